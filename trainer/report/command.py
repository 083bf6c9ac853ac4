"""The command that makes a run anew, by what was written down of it."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from trainer.checkpoint.record import DataRecord, TrainingRecord
from trainer.settings.recipe import RECIPES


def nearest_recipe(settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the recipe that settings are nearest to, and those that differ from it."""
    differences = {
        name: {key: value for key, value in settings.items() if asdict(recipe).get(key) != value}
        for name, recipe in RECIPES.items()
    }
    name = min(differences, key=lambda name: len(differences[name]))
    return name, differences[name]


def command(record: TrainingRecord) -> str:
    """Return the command of a run; where it writes is the caller's business.

    Example:
        >>> command(record)  # doctest: +SKIP
        'sent-train --data reviews.parquet --recipe small --epochs 2 --seed 123 --threads 1'
    """
    recipe, changes = nearest_recipe(record.recipe)
    words = ["--data", record.data.name, *_data(record.data), "--recipe", recipe]
    for name, value in changes.items():
        words += _option(name, value)
    words += [word for teacher in record.teacher for word in ("--teacher", teacher)]
    words += _option("seed", record.seed) + _option("split_seed", record.split_seed)
    words += _option("device", record.device) + _option("threads", record.threads)
    return shlex.join(["sent-train", *words])


def _data(data: DataRecord) -> list[str]:
    """Return the options that say how the data are read."""
    words = [
        *_option("text_column", data.text_column),
        *_option("label_column", data.label_column),
        *_option("score_column", data.score_column),
        *_option("delimiter", data.delimiter),
        *_option("group_column", data.group_column),
        *_option("positive", data.positive),
        *_option("unlabelled", data.unlabelled),
        *_option("ordinal", data.ordinal or None),
    ]
    if data.labels:
        words += ["--labels", ",".join(_quoted(f"{old}={new}") for old, new in data.labels)]
    return words


def _option(name: str, value: Any) -> list[str]:
    """Return an option with its value; none for None."""
    flag = name.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", str(value)]


def _quoted(entry: str) -> str:
    """Return an entry of a list as it is written there: with a comma in it, in double quotes."""
    if not {",", '"'} & set(entry):
        return entry
    doubled = entry.replace('"', '""')
    return f'"{doubled}"'
