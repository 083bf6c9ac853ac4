"""How far scored texts are from those that were learned from, against cases counted by hand."""

import numpy as np
import pytest

from infer.model.drift import differences, drift, shift
from infer.model.profile import Profile
from infer.model.results import Scores
from infer.text.encoding import EncodedTexts

LABELS = ("negative", "positive")


def profile(rows, length, unknown=0, positive=0.5, labels=LABELS):
    """Rows of so many tokens, `unknown` of them not known, a share of them positive."""
    ids = np.tile([1] * unknown + [5] * (length - unknown), rows).astype(np.int32)
    status = np.zeros(rows, np.uint8)
    texts = EncodedTexts(ids, np.arange(rows + 1) * length, status)
    score = np.where(np.arange(rows) < positive * rows, 0.97, 0.03).astype(np.float32)
    prediction = (score > 0.5).astype(np.int16)
    return Profile.of(texts, Scores(score, prediction, status, np.zeros((rows, 0))), labels)


def test_the_index_is_that_of_the_rule():
    # Of many rows the half count that is added does not show.
    found = shift([500_000, 500_000], [600_000, 400_000])
    expected = 0.1 * np.log(0.6 / 0.5) - 0.1 * np.log(0.4 / 0.5)
    assert found.index == pytest.approx(expected, abs=1e-5)
    assert found.in_words == "little"
    assert shift([500_000, 500_000], [670_000, 330_000]).in_words == "some"
    assert shift([500_000, 500_000], [900_000, 100_000]).in_words == "much"


def test_what_chance_explains_is_little():
    """Ten rows of one population are seldom shared out as two thousand are."""
    draw = np.random.default_rng(0)
    population = np.full(20, 0.05)
    expected = draw.multinomial(2_000, population)
    found = [shift(expected, draw.multinomial(10, population)) for _ in range(300)]
    assert np.mean([one.index > 0.25 for one in found]) > 0.9
    assert sum(one.in_words != "little" for one in found) <= 3


def test_alike_is_alike():
    assert differences(profile(500, 200, 2), profile(300, 200, 2)) == []
    found = drift(profile(500, 200, 2), profile(300, 200, 2))
    assert {shift["in_words"] for shift in found.to_json().values()} == {"little"}


def test_each_difference_is_named():
    learned = profile(2_000, 200, unknown=1)
    assert differences(learned, profile(500, 9)) == [
        "shorter, around 8 to 15 tokens against 128 to 255"
    ]
    assert differences(learned, profile(500, 5_000)) == [
        "longer, around 4,096 and more tokens against 128 to 255"
    ]
    assert differences(learned, profile(500, 200, unknown=80)) == [
        "40.0% unknown tokens against 0.5%"
    ]
    assert differences(learned, profile(500, 200, 1, positive=0.95)) == ["95% positive against 50%"]


def test_nothing_scored_tells_nothing():
    nothing = Profile.nothing(LABELS)
    assert drift(profile(10, 5), nothing) is None
    assert differences(nothing, profile(10, 5)) == []
    with pytest.raises(ValueError, match="labels"):
        drift(Profile.nothing(("1", "2", "3")), nothing)
