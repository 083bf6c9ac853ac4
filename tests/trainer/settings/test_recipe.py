"""Recipes refuse what cannot be trained, and survive JSON."""

from dataclasses import replace

import pytest

from infer.base.errors import UsageError
from trainer.settings.recipe import ADDED, RECIPES, Recipe


@pytest.mark.parametrize("name", RECIPES)
def test_json_round_trip(name: str) -> None:
    recipe = RECIPES[name]
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_the_recipe_article_is_the_articles() -> None:
    r = RECIPES["article"]
    sizes = (r.vocabulary, r.embedding, r.hidden, r.layers, r.batch_size)
    assert sizes == (10_000, 100, 256, 2, 30)
    assert (r.dropout, r.learning_rate, r.epochs, r.lower) == (0.5, 1e-3, 10, False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden": 0}, "hidden is 0, expected at least 1"),
        ({"dropout": 1.5}, "dropout is 1.5, expected from 0.0 to 0.95"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"pooling": "mean"}, "pooling is 'mean', expected one of last, max_mean"),
        ({"epochs": 2.5}, "epochs is 2.5, expected a value of type int"),
        ({"layers": True}, "layers is True, expected a value of type int"),
        ({"class_weight": "auto"}, "class_weight is 'auto', expected one of none, balanced"),
        ({"threshold": "1"}, "threshold is '1', expected f1 or a number between 0 and 1"),
        ({"threshold": "nan"}, "threshold is 'nan'"),
        ({"threshold": "F1"}, "threshold is 'F1'"),
        ({"max_tokens": 10, "head_tokens": 11}, "expected at most max_tokens"),
    ],
)
def test_a_wrong_value_is_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as error:
        replace(Recipe(), **changes)
    assert words in str(error.value)


def test_a_recipe_of_an_older_version_is_read_where_it_computes_the_same() -> None:
    older = {**Recipe().to_json(), "virtual_adversarial": 0.0, "entropy": 0}
    for name in ADDED:
        del older[name]
    assert Recipe.from_json(older) == Recipe()
    with pytest.raises(UsageError, match=r"entropy is 0\.5, which no version after"):
        Recipe.from_json({**older, "entropy": 0.5})


def test_unknown_and_missing_fields_are_named() -> None:
    values = Recipe().to_json()
    del values["clip"]
    with pytest.raises(UsageError, match=r"\['clip', 'momentum'\]"):
        Recipe.from_json({**values, "momentum": 0.9})
