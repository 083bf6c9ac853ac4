"""Text settings: what they accept and how they travel."""

import pytest

from infer.base.errors import ModelFileError
from infer.text.settings import TextSettings


def test_settings_survive_json() -> None:
    settings = TextSettings(lower=True, max_tokens=7, head_tokens=3, spacy_version="3.8.0")
    assert TextSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"language": "German"}, "'German'"),
        ({"max_tokens": 0}, "max_tokens 0"),
        ({"max_tokens": 5, "head_tokens": 6}, "head_tokens 6"),
        ({"lower": 1}, "lower"),
        ({"surprise": True}, "surprise"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        TextSettings.from_json(TextSettings().to_json() | change)


def test_settings_that_name_no_language_are_english() -> None:
    values = TextSettings().to_json()
    del values["language"]
    assert TextSettings.from_json(values) == TextSettings(language="en")


def test_missing_fields_are_refused() -> None:
    with pytest.raises(ModelFileError, match="head_tokens"):
        TextSettings.from_json({"language": "en"})
