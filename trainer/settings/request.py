"""What `sent-train` is asked to do. Nothing heavy is imported, so wrong options show at once."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from infer.base.errors import UsageError
from trainer.settings.labels import LabelRules, Renamed
from trainer.settings.recipe import Recipe

SAVE_MINUTES: Final = 10.0


@dataclass(frozen=True)
class Request:
    """A run of training.

    Attributes:
        recipe: what is computed.
        data: `sample`, `imdb` or a path.
        output: the checkpoint folder.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        seed: of everything drawn at random.
        split_seed: of which rows validate and, of a single file, test; None: `seed`.
        text_column: the column of `data` that holds the texts; None for the usual search.
        label_column: the column of `data` that holds the labels; None for the usual search.
        score_column: the column of `data` and of `unlabelled` that holds a teacher's
            probabilities; None for `score` where it holds such, `none` for none. Of more than two
            labels, what the names of such columns begin with: `probability` for
            `probability_LABEL`.
        delimiter: what parts the fields of CSV files; None for what their names and looks say.
        group_column: the column of `data` that rows hang together by, which are kept in one part.
        positive: which of two labels is the positive one; None for the usual rules.
        labels: what labels are called in place of how the file writes them.
        ordinal: whether the labels are numbers in an order, such as stars.
        unlabelled: file of further texts, for `vectors = corpus` and `self_training`.
        teacher: checkpoint folders of networks that label them beside the linear model.
        resume: go on with the unfinished run in `output`.
        threads: CPU threads; None: all cores that the process may use.
        save_minutes: how often the epoch under way is kept.
        tensorboard: folder for an event file; None: none is written.
    """

    recipe: Recipe
    data: str = "sample"
    output: Path = Path("artifacts/checkpoint")
    device: str = "auto"
    seed: int = 123
    split_seed: int | None = None
    text_column: str | None = None
    label_column: str | None = None
    score_column: str | None = None
    delimiter: str | None = None
    group_column: str | None = None
    positive: str | None = None
    labels: Renamed = ()
    ordinal: bool = False
    unlabelled: Path | None = None
    teacher: tuple[Path, ...] = ()
    resume: bool = False
    threads: int | None = None
    save_minutes: float = SAVE_MINUTES
    tensorboard: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a seed that no generator takes, one column for all, texts and teachers unused."""
        for what, seed in (("seed", self.seed), ("split_seed", self.split_seed or 0)):
            if not 0 <= seed < 2**32:
                raise UsageError(f"{what} is {seed}, expected a number from 0 to {2**32 - 1}")
        if not self.save_minutes >= 0:
            raise UsageError(f"save_minutes is {self.save_minutes}, expected 0 or more")
        columns = {
            "--text-column": self.text_column,
            "--label-column": self.label_column,
            "--score-column": self.score_column,
            "--group-column": self.group_column,
        }
        for (one, name), (other, same) in combinations(columns.items(), 2):
            if name is not None and name == same:
                raise UsageError(f"{one} and {other} are both {name!r}, expected two columns")
        if self.teacher and not self.recipe.self_training:
            raise UsageError(
                f"--teacher {self.teacher[0]}: it is for self-training, which this recipe does not "
                "do. Use --self-training or --recipe small"
            )
        if twice := {folder for folder in self.teacher if self.teacher.count(folder) > 1}:
            raise UsageError(
                f"--teacher {min(twice)} is given twice, expected each once: all count alike"
            )
        reads_unlabelled = self.recipe.self_training or self.recipe.vectors == "corpus"
        if self.unlabelled is not None and not reads_unlabelled:
            raise UsageError(
                f"--unlabelled {self.unlabelled}: it is for self-training and --vectors corpus, "
                "of which this recipe has neither. Use --self-training or --recipe small"
            )

    def to_json(self) -> dict[str, Any]:
        """Return what is asked for, but for what concerns one sitting alone."""
        values = asdict(self)
        values["recipe"] = self.recipe.to_json()
        values["unlabelled"] = None if self.unlabelled is None else str(self.unlabelled)
        values["teacher"] = [str(folder) for folder in self.teacher]
        for name in ("output", "resume", "save_minutes", "tensorboard"):
            del values[name]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any], output: Path) -> "Request":
        """Read `to_json` back.

        Raises:
            UsageError: this version does not compute what is asked for.
            KeyError, TypeError: an entry is missing or unknown.
        """
        changed = {
            "recipe": Recipe.from_json(values["recipe"]),
            "unlabelled": None if values["unlabelled"] is None else Path(values["unlabelled"]),
            "teacher": folders(values["teacher"]),
        }
        return cls(**{**{n: _tuples(v) for n, v in values.items()}, **changed}, output=output)

    @property
    def label_rules(self) -> LabelRules:
        """What was asked for about the labels."""
        return LabelRules(self.positive, self.labels, self.ordinal)

    @property
    def parts_seed(self) -> int:
        """The seed that the parts are drawn with."""
        return self.seed if self.split_seed is None else self.split_seed


def _tuples(value: Any) -> Any:
    """Return what JSON made a list of as the tuple that it was, through all its parts."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def folders(value: str | Path | Iterable[str | Path] | None) -> tuple[Path, ...]:
    """Take one folder, several or none, as `teacher` may be given."""
    if value is None:
        return ()
    return (Path(value),) if isinstance(value, str | Path) else tuple(map(Path, value))
