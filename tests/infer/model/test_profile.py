"""Counts of what was scored: the same however the rows are split, and strict when read back."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.model.profile import LENGTH_EDGES, SCORE_BINS, UNKNOWN_ENDS, Profile
from infer.model.results import Scores
from infer.model.scorer import Scorer
from infer.text.encoding import EncodedTexts
from infer.text.statuses import STATUSES

LABELS = ("negative", "positive")


def encoded(rows, statuses=None, left_out=None):
    """Rows of ids, 1 for an unknown token."""
    ids = np.array([number for row in rows for number in row], np.int32)
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    if statuses is None:
        statuses = [0 if row else 3 for row in rows]
    return EncodedTexts(ids, offsets, np.array(statuses, np.uint8), left_out)


def scores(values, status):
    values = np.array(values, np.float32)
    return Scores(
        values, (values >= 0.5).astype(np.int16), status, np.zeros((len(values), 0), np.float32)
    )


def profile(rows, values, **options):
    texts = encoded(rows, **options)
    return Profile.of(texts, scores(values, texts.statuses), LABELS)


def test_each_row_is_counted_where_it_belongs():
    rows = [[5], [], [1, 5], [5] * 100, [1] * 5, [5] * 99 + [1]]
    found = profile(rows, [0.0, np.nan, 0.05, 1.0, 0.9999999, 0.5])
    assert found.statuses == {"ok": 5, "truncated": 0, "null": 0, "empty": 1, "invalid": 0}
    assert (found.rows, found.scored) == (6, 5)
    assert found.labels == {"negative": 2, "positive": 3}
    assert {number: n for number, n in enumerate(found.scores) if n} == {0: 1, 1: 1, 10: 1, 19: 2}
    at = {LENGTH_EDGES[number]: n for number, n in enumerate(found.lengths) if n}
    assert at == {1: 1, 2: 1, 4: 1, 64: 2}
    # None, 1 in 100, half of them, all of them.
    assert {UNKNOWN_ENDS[number]: n for number, n in enumerate(found.unknown) if n} == {
        0: 2, 1: 1, 50: 1, 100: 1,
    }  # fmt: skip
    assert (found.tokens, found.unknown_tokens) == (208, 7)


def test_a_cut_text_counts_with_its_whole_length_and_what_was_read_of_it():
    found = profile([[5] * 40], [0.5], statuses=[1], left_out=np.array([5_000]))
    assert found.lengths == (0,) * 12 + (1,)
    assert found.tokens == 40


def test_the_encoder_notes_what_truncation_leaves_out(model, session):
    megabyte = "good " * 400_000
    texts = pa.array(["good " * 45, None, megabyte, "film", ""])
    found = Scorer(model, session).encode(texts)
    assert found.lengths.tolist() == [40, 0, 40, 1, 0]
    assert found.written[[0, 1, 3, 4]].tolist() == [45, 0, 1, 0]
    assert found.written[2] == pytest.approx(400_000, rel=0.1)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_split_adds_up_to_the_same(data):
    rows = data.draw(st.lists(st.lists(st.integers(1, 3), max_size=6), max_size=12))
    values = [
        data.draw(st.floats(0, 1, width=32)) if row else float("nan") for row in rows
    ]  # fmt: skip
    whole = profile(rows, values)
    cut = data.draw(st.integers(0, len(rows)))
    parts = profile(rows[:cut], values[:cut]) + profile(rows[cut:], values[cut:])
    assert parts == whole
    assert Profile.nothing(LABELS) + whole == whole


def test_it_reads_its_own_json_back_and_nothing_else():
    found = profile([[5], [1, 2], []], [0.1, 0.9, np.nan])
    values = json.loads(json.dumps(found.to_json(), sort_keys=True))
    assert Profile.from_json(values, LABELS) == found
    for change in (
        {"scores": found.to_json()["scores"][:-1]},
        {"scores": [2.0, *[0] * (SCORE_BINS - 1)]},
        {"scores": [float("nan")] * SCORE_BINS},
        {"lengths": [-1, 3, *[0] * 11]},
        {"lengths": [True, 1, *[0] * 11]},
        {"unknown": [0] * 8},
        {"labels": {"negative": 1, "others": 1}},
        {"labels": [1, 1]},
        {"statuses": {"ok": 2}},
        {"statuses": dict.fromkeys(STATUSES, 0)},
        {"statuses": found.to_json()["statuses"] | {"further": 1}},
        {"tokens": 1},
        {"unknown_tokens": 4},
        {"tokens": 1e3},
        {"tokens": 1 << 60},
        {"further": 1},
    ):
        with pytest.raises(ValueError, match="profile"):
            Profile.from_json(values | change, LABELS)
    for foreign in (None, [], {}, "profile"):
        with pytest.raises(ValueError, match="profile"):
            Profile.from_json(foreign, LABELS)


def test_profiles_of_other_labels_do_not_add_up():
    with pytest.raises(ValueError, match="labels"):
        Profile.nothing(LABELS) + Profile.nothing(("1", "2", "3"))
