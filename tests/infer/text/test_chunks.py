"""Chunks: texts are cut behind white space, and nothing gets lost but what nobody sees."""

import re
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.text.chunks import MAX_CHUNK, Chunker, visible
from infer.text.rules import rules_of
from infer.text.settings import TextSettings
from infer.text.special_cases import SpecialCases
from tests.infer.text.oracle import INVISIBLE, WHITE_SPACE
from tests.infer.text.oracle import texts as odd_texts

CHUNKER = Chunker(TextSettings(html_breaks=False), SpecialCases(rules_of("en")).parting())
COLUMNS = st.lists(st.one_of(st.none(), odd_texts()), max_size=6)


def chunks_of(texts: list[str | None]) -> list[list[str]]:
    """Return the chunks of each text."""
    chunks = CHUNKER.split(pa.array(texts, pa.string()))
    values, offsets = chunks.values.to_pylist(), chunks.offsets.tolist()
    return [values[start:end] for start, end in pairwise(offsets)]


@settings(deadline=None)
@given(COLUMNS, st.integers(0, 3))
def test_chunks_give_the_texts_when_joined(texts: list[str | None], skipped: int) -> None:
    kept = texts[skipped:]
    chunks = CHUNKER.split(pa.array(texts, pa.large_string()).slice(skipped))
    joined = ["".join(chunks.values[a:b].to_pylist())
              for a, b in zip(chunks.offsets, chunks.offsets[1:], strict=False)]  # fmt: skip
    assert joined == [re.sub(f"[{INVISIBLE}]", "", text or "") for text in kept]


def test_all_white_space_is_a_cut_and_nothing_else_is() -> None:
    for space in WHITE_SPACE:
        assert chunks_of([f"good{space}film{space}"]) == [[f"good{space}", f"film{space}"]]
    others = [chr(c) for c in range(0x2100) if not chr(c).isspace()]
    kept = [c for c in others if not re.match(f"[{INVISIBLE}]", c)]
    assert chunks_of([f"a{c}b" for c in kept]) == [[f"a{c}b"] for c in kept]


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("so : ) fine", ["so ", ": ) ", "fine"]),
        ("o. O", ["o. O"]),
        ("film. Oscar", ["film. ", "Oscar"]),  # O would have to be a token
        ("Im . x", ["Im . ", "x"]),  # a special case is "I" and "m"
        (":\n)", [":\n", ")"]),
        (":  )", [": ", " ", ")"]),
    ],
)
def test_a_space_that_a_special_case_can_reach_over_is_no_cut(text: str, chunks: list[str]) -> None:
    assert chunks_of([text, "k", text, ""]) == [chunks, ["k"], chunks, []]


@given(
    st.lists(st.text(st.one_of(st.sampled_from("ab é中😀\u200b\ufeff\u00ad\u200d")), max_size=9))
)
def test_what_nobody_sees_is_dropped(texts: list[str]) -> None:
    expected = [re.sub(f"[{INVISIBLE}]", "", text) for text in texts]
    assert visible(pa.array(texts, pa.string())).to_pylist() == expected


def test_a_chunk_too_long_is_cut_between_two_characters() -> None:
    chunks = chunks_of(["good " + "é" * (MAX_CHUNK // 2) + "a" + "中" * 400_000 + " film"])[0]
    assert "".join(chunks[1:-1]) == "é" * (MAX_CHUNK // 2) + "a" + "中" * 400_000 + " "
    assert [len(chunk.encode()) for chunk in chunks] == [5, MAX_CHUNK, MAX_CHUNK, 200_002, 4]
