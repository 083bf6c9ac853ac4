"""What an output says that it was made of is read back, or is nothing."""

import json

import pytest

from infer.job.provenance import read_made


def test_what_was_told_is_read_back() -> None:
    for content in ({"text column": "text"}, {"rows": [0, 5]}):
        assert read_made(json.dumps({"content": content}).encode()) == {"content": content}


@pytest.mark.parametrize(
    "told",
    [None, "", "no JSON", "[]", "{}", '{"content": 1}', '{"content": {"rows": [0, "5"]}}',
     '{"content": {"rows": [0]}}', '[' * 100_000],
)  # fmt: skip
def test_anything_else_is_nothing(told: str | None) -> None:
    assert read_made(told) is None
