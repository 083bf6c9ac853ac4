"""The command that the report shows makes the run anew."""

import shlex
from dataclasses import fields, replace
from pathlib import Path

from trainer.checkpoint.folder import Checkpoint
from trainer.cli import main
from trainer.report.command import command
from trainer.settings.labels import renamings
from trainer.settings.recipe import RECIPES, Recipe


def test_the_command_asks_for_the_same_run(trained: tuple[Path, Checkpoint]) -> None:
    record = trained[1].record
    data = replace(
        record.data, name="my reviews.csv", delimiter=";", positive="no", ordinal=True,
        labels=(("a, b", "x"), ('c"', "")), label_column="what it is",
    )  # fmt: skip
    record = replace(record, data=data, teacher=("one", "two"), split_seed=7)
    program, *words = shlex.split(command(record))
    asked = main.make_context(program, words).params
    changes = {f.name: asked[f.name] for f in fields(Recipe) if asked[f.name] is not None}
    assert replace(RECIPES[asked["recipe"]], **changes).to_json() == record.recipe
    assert (program, asked["data"]) == ("sent-train", "my reviews.csv")
    assert renamings(asked["labels"]) == data.labels
    assert asked["teacher"] == (Path("one"), Path("two"))
    for name in ("seed", "split_seed", "device", "threads"):
        assert asked[name] == getattr(record, name)
    for name in ("text_column", "label_column", "score_column", "delimiter", "positive", "ordinal"):
        assert asked[name] == getattr(data, name)
