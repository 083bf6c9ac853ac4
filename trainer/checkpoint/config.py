"""`config.json`: what makes a folder a checkpoint, and its entries, read with the faults named.

The entries about the run itself are `trainer.checkpoint.record`'s.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from infer.base.errors import ModelFileError
from infer.model.labels import format_version, label_names
from trainer.checkpoint.files import read_json
from trainer.network.model import POOLINGS, ModelConfig
from trainer.network.ngrams import LONGEST

FORMAT: Final = "sent-checkpoint"
# Of a model, by its labels: see `format_version`. What a run began with has the first.
FORMAT_VERSIONS: Final = (1, 2)
CONFIG: Final = "config.json"
TRAINING: Final = "training"
LABELS: Final = "labels"  # the size that follows from the names
SERIES: Final = "series.json"
# What older checkpoints say nothing of: their networks have no n-grams.
ADDED: Final = {"ngrams": 0, "ngram_buckets": ModelConfig.ngram_buckets}


def is_checkpoint(folder: Path) -> bool:
    """Tell whether this toolkit made the folder, be it that there is no model in it yet."""
    marks = (folder / CONFIG, folder / TRAINING / CONFIG, folder / SERIES)
    return any(map(_is_ours, marks))


def _is_ours(path: Path) -> bool:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("format") == FORMAT


def read_config(folder: Path) -> dict[str, Any]:
    """Read the file of a checkpoint folder.

    Raises:
        ModelFileError: it is missing, damaged, or of another format or version.
    """
    config = read_json(folder / CONFIG)
    if config.get("format") != FORMAT or config.get("format_version") not in FORMAT_VERSIONS:
        expected = " or ".join(map(str, FORMAT_VERSIONS))
        raise ModelFileError(
            f"{folder / CONFIG}: format {config.get('format')!r}, version "
            f"{config.get('format_version')!r}; expected {FORMAT!r}, version {expected}"
        )
    return config


def written_sizes(sizes: ModelConfig) -> dict[str, Any]:
    """Return the sizes as `config.json` has them: without the labels, whose names stand there."""
    return {name: size for name, size in asdict(sizes).items() if name != LABELS}


def model_sizes(config: Mapping[str, Any], labels: int, folder: Path) -> ModelConfig:
    """Return the sizes of the network for so many labels.

    Raises:
        ModelFileError: one is missing, unknown or impossible.
    """
    values = config.get("model")
    if isinstance(values, dict):
        values = ADDED | values
    types = {spec.name: spec.type for spec in fields(ModelConfig) if spec.name != LABELS}
    if not isinstance(values, dict) or values.keys() != types.keys():
        raise ModelFileError(f"{folder / CONFIG}: model is {values!r}, expected {sorted(types)}")
    sizes = ("vocabulary_size", "embedding", "hidden", "layers", "ngram_buckets")
    if any(type(values[name]) is not int or values[name] < 1 for name in sizes):
        raise ModelFileError(f"{folder / CONFIG}: model sizes {values!r}, expected positive ones")
    if type(values["ngrams"]) is not int or not 0 <= values["ngrams"] <= LONGEST:
        raise ModelFileError(
            f"{folder / CONFIG}: ngrams {values['ngrams']!r}, expected from 0 to {LONGEST}"
        )
    if values["pooling"] not in POOLINGS:
        raise ModelFileError(
            f"{folder / CONFIG}: pooling {values['pooling']!r}, expected one of {POOLINGS}"
        )
    return ModelConfig(**values, labels=labels)


def names_of_labels(config: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """Return the names of the labels; of two, (negative, positive).

    Raises:
        ModelFileError: they are not different names, or not as many as the version has.
    """
    values = config.get("labels")
    try:
        names = label_names(values if isinstance(values, list) else ())
    except ValueError as error:
        raise ModelFileError(f"{folder / CONFIG}: {error}") from error
    if (version := config["format_version"]) != format_version(len(names)):
        raise ModelFileError(
            f"{folder / CONFIG}: version {version} with {len(names)} labels, expected version "
            f"{format_version(len(names))}"
        )
    return names


def temperature_of(config: Mapping[str, Any], folder: Path) -> float:
    """Return what logits are divided by; an older checkpoint has none, and 1 changes nothing.

    Raises:
        ModelFileError: it is not a number above 0.
    """
    value = config.get("temperature", 1.0)
    if isinstance(value, float) and 0 < value < math.inf:
        return value
    raise ModelFileError(f"{folder / CONFIG}: temperature {value!r}, expected a number above 0")


def threshold_of(config: Mapping[str, Any], folder: Path) -> float:
    """Return the score from which on the positive label is predicted; 0.5 in older checkpoints.

    Raises:
        ModelFileError: it is not a number between 0 and 1.
    """
    value = config.get("threshold", 0.5)
    if isinstance(value, float) and 0 < value < 1:
        return value
    raise ModelFileError(
        f"{folder / CONFIG}: threshold {value!r}, expected a number between 0 and 1"
    )
