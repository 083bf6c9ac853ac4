"""What is written down of a training run: on what data, how, where and with which versions.

It is the larger part of a checkpoint's `config.json`; the network's sizes, the text settings, the
labels and the temperature stand beside it there, since the model file needs them too.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from infer.base.errors import ModelFileError
from infer.table.columns import NO_COLUMN


@dataclass(frozen=True)
class DataRecord:
    """What was trained on.

    Attributes:
        name: `sample`, `imdb` or a path.
        sha256: over the bytes of the labelled files.
        training_reviews: how many were trained on, without those that chose the epoch.
        text_column: the column that was asked for; None for the usual search.
        label_column: likewise.
        unlabelled: the file of further texts that was asked for.
        unlabelled_sha256: of the unlabelled texts that self-training read.
        found_text_column: the column that the texts stood in; None where it was not noted.
        score_column: the column of scores that was asked for; None for the usual search, `none`
            for none, which older versions never read.
        delimiter: of CSV files, that was asked for; None for what their names and looks say.
        group_column: the column that kept rows of a group in one part.
        positive: the label that was asked for as the positive one.
        labels: what labels were to be called in place of how the file writes them, '' for those
            whose rows were left out.
        ordinal: whether the labels are in an order, as stars are.
    """

    name: str
    sha256: str
    text_column: str | None
    label_column: str | None
    training_reviews: int
    unlabelled: str | None
    unlabelled_sha256: str | None = None
    found_text_column: str | None = None
    score_column: str | None = NO_COLUMN
    delimiter: str | None = None
    group_column: str | None = None
    positive: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    ordinal: bool = False


@dataclass(frozen=True)
class VectorsRecord:
    """Where the first word vectors came from, and the share of the vocabulary they cover."""

    source: str
    coverage: float


@dataclass(frozen=True)
class TeacherRecord:
    """A teacher of self-training: `linear` or a checkpoint's folder, and how good it was."""

    name: str
    temperature: float
    validation_accuracy: float


@dataclass(frozen=True)
class ScoresRecord:
    """A column of a teacher's probabilities.

    Attributes:
        column: what it is called.
        labelled: how many labelled rows of the training file have a score, validation's among them.
        agreement: share of these whose score is on the label's side of 0.5; None without any.
        alone: how many rows are learned from by their score, without a label.
    """

    column: str
    labelled: int
    agreement: float | None
    alone: int


@dataclass(frozen=True)
class TrainingRecord:
    """A run of training.

    Attributes:
        recipe: every field of the recipe, resolved. A checkpoint of another version may have
            other fields, so these are not a `Recipe` until `Recipe.from_json` takes them for one.
        seed: of everything drawn at random.
        device: `cpu` or `cuda:N`.
        threads: CPU threads of PyTorch.
        data: what was trained on.
        teacher: checkpoint folders of the networks that were to teach.
        versions: name of a library → its version.
        teachers: who labelled the unlabelled texts, where there were any.
        vectors: what the embedding started from, where that was not drawn.
        scores: of a column of them, where there were any.
        split_seed: of which rows validate and test; None: `seed`.
    """

    recipe: dict[str, Any]
    seed: int
    device: str
    threads: int
    data: DataRecord
    teacher: tuple[str, ...]
    versions: dict[str, str]
    teachers: tuple[TeacherRecord, ...] | None = None
    vectors: VectorsRecord | None = None
    scores: ScoresRecord | None = None
    split_seed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entries of `config.json`; what a run did not do has none."""
        values = asdict(self)
        values["teacher"] = list(self.teacher) or None
        for name in ("teachers", "vectors", "scores", "split_seed"):
            if values[name] is None:
                del values[name]
        if self.data.found_text_column is None:
            del values["data"]["found_text_column"]
        if self.data.score_column == NO_COLUMN:
            del values["data"]["score_column"]
        if self.data.delimiter is None:
            del values["data"]["delimiter"]
        if self.data.group_column is None:
            del values["data"]["group_column"]
        for name in ("positive", "labels", "ordinal"):
            if not values["data"][name]:
                del values["data"][name]
        if not self.recipe.get("self_training"):
            del values["data"]["unlabelled_sha256"]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any], folder: Path) -> "TrainingRecord":
        """Read `to_json` back; what an older version did not note yet is None.

        Args:
            values: the whole of `config.json`.
            folder: the checkpoint's, for the message.

        Raises:
            ModelFileError: an entry is missing or of another type.
        """
        try:
            return cls(
                recipe=_entry(values, "recipe", dict),
                seed=_entry(values, "seed", int),
                device=_entry(values, "device", str),
                threads=_entry(values, "threads", int),
                data=_data(_entry(values, "data", dict)),
                teacher=_folders(_entry(values, "teacher", list, str, NoneType)),
                versions=_entry(values, "versions", dict),
                teachers=_teachers(_entry(values, "teachers", list, NoneType)),
                vectors=_vectors(_entry(values, "vectors", dict, NoneType)),
                split_seed=_entry(values, "split_seed", int, NoneType),
                scores=_scores(_entry(values, "scores", dict, NoneType)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{folder}: damaged config.json ({error!r})") from error


def _entry(values: Mapping[str, Any], name: str, *types: type) -> Any:
    """Return an entry of one of the types; it may be missing where None is one of them."""
    value = values.get(name) if NoneType in types else values[name]
    if not isinstance(value, types):
        expected = " or ".join(kind.__name__ for kind in types)
        raise TypeError(f"{name} is {value!r}, expected {expected}")
    return value


def _data(values: Mapping[str, Any]) -> DataRecord:
    return DataRecord(
        name=_entry(values, "name", str),
        sha256=_entry(values, "sha256", str),
        text_column=_entry(values, "text_column", str, NoneType),
        label_column=_entry(values, "label_column", str, NoneType),
        training_reviews=_entry(values, "training_reviews", int),
        unlabelled=_entry(values, "unlabelled", str, NoneType),
        unlabelled_sha256=_entry(values, "unlabelled_sha256", str, NoneType),
        found_text_column=_entry(values, "found_text_column", str, NoneType),
        score_column=_entry({"score_column": NO_COLUMN, **values}, "score_column", str, NoneType),
        delimiter=_entry(values, "delimiter", str, NoneType),
        group_column=_entry(values, "group_column", str, NoneType),
        positive=_entry(values, "positive", str, NoneType),
        labels=tuple((old, new) for old, new in _entry(values, "labels", list, NoneType) or ()),
        ordinal=_entry({"ordinal": False, **values}, "ordinal", bool),
    )


def _folders(value: list[str] | str | None) -> tuple[str, ...]:
    """Read the folders of teachers, of which older versions knew one at most."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def _teachers(values: list[Mapping[str, Any]] | None) -> tuple[TeacherRecord, ...] | None:
    return None if values is None else tuple(TeacherRecord(**teacher) for teacher in values)


def _vectors(values: Mapping[str, Any] | None) -> VectorsRecord | None:
    return None if values is None else VectorsRecord(**values)


def _scores(values: Mapping[str, Any] | None) -> ScoresRecord | None:
    return None if values is None else ScoresRecord(**values)
