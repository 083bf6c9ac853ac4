"""What is said of a text, of two labels and of more."""

from dataclasses import replace

import numpy as np
import pytest

from infer.base.errors import ModelFileError
from infer.model.card import read_card
from infer.model.results import further_columns, join_scores, make_scores, no_scores

STATUS = np.array([0, 0, 3], np.uint8)
TWO = np.array([0.0, -1.0, np.nan], np.float32)
MORE = np.array([[0.0, 1.0, 2.0], [5.0, 0.0, 0.0], [np.nan] * 3], np.float32)


def test_two_labels(model):
    found = make_scores(TWO, STATUS, model.card, with_probabilities=True)
    assert found.score[:2].tolist() == [0.5, pytest.approx(1 / (1 + np.e))]
    assert found.prediction[:2].tolist() == [1, 0]
    assert further_columns(model.card, with_probabilities=True) == (
        "probability_negative",
        "probability_positive",
    )
    assert found.further[:2, 1].tolist() == found.score[:2].tolist()
    assert found.further.sum(axis=1)[:2] == pytest.approx(1.0)
    assert make_scores(TWO, STATUS, model.card, with_probabilities=False).further.shape == (3, 0)


def test_ordered_labels(model):
    card = replace(model.card, labels=("1", "2.5", "10"), ordinal=True, temperature=2.0)
    found = make_scores(MORE, STATUS, card, with_probabilities=True)
    names = ("expected", "probability_1", "probability_2.5", "probability_10")
    assert further_columns(card, with_probabilities=True) == names
    assert further_columns(card, with_probabilities=False) == names[:1]
    expected, each = found.further[:, 0], found.further[:, 1:]
    assert each[0] == pytest.approx(np.exp([0, 0.5, 1]) / np.exp([0, 0.5, 1]).sum())
    assert expected[:2] == pytest.approx(each[:2] @ [1, 2.5, 10])
    assert found.prediction[:2].tolist() == [2, 0]
    assert found.score[:2].tolist() == each[:2].max(axis=1).tolist()
    assert np.isnan(found.score[2]) and np.isnan(found.further[2]).all()


def test_parts_are_joined_and_cut(model):
    card = replace(model.card, labels=("a", "b", "c"))
    whole = make_scores(MORE, STATUS, card, with_probabilities=True)
    again = join_scores([no_scores(3), whole.slice(0, 1), whole.slice(1, 3)])
    for name in ("score", "prediction", "status", "further"):
        np.testing.assert_equal(getattr(again, name), getattr(whole, name))


def test_a_card_keeps_the_order_of_its_labels(model):
    card = replace(model.card, labels=("1", "2", "3"), ordinal=True)
    assert read_card(card.vocabulary.to_text(), card.to_json()) == card
    assert "ordinal" not in model.card.to_json()
    for labels in (("1", "2"), ("a", "b", "c")):
        with pytest.raises(ModelFileError, match="ordinal labels"):
            replace(card, labels=labels)
    with pytest.raises(ModelFileError, match="expected two different names or more"):
        replace(model.card, labels=("a", "b", "a"))
