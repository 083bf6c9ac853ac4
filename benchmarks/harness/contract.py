"""What a benchmark is given, and what it gives: goals, tables, every measurement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

from benchmarks.harness.timing import ratios

# The command's option for a trained model file of each kind.
MODEL_OPTIONS: Final = {
    "article fp32": "model",
    "article int8": "int8-model",
    "small fp32": "small-model",
    "small int8": "small-int8-model",
}
T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """What a run is asked for.

    Attributes:
        mode: `tiny` (the tests), `quick` or `full`; each benchmark has its sizes for each.
        work: folder for inputs, models and outputs, shared by the benchmarks of one run.
        data: folder with IMDB's train.parquet and test.parquet; None for generated reviews.
        models: trained model files by name (`article fp32`, `article int8`, `small fp32`, …);
            what is not named is made on the spot with random weights.
        device: `cpu` or `cuda[:N]`, for the benchmarks that run a session.
        overrides: `benchmark.field` → value, in place of a mode's size.
    """

    mode: str
    work: Path
    data: Path | None = None
    models: Mapping[str, Path] = field(default_factory=dict)
    device: str = "cpu"
    overrides: Mapping[str, int] = field(default_factory=dict)

    def sizes(self, benchmark: str, by_mode: Mapping[str, T]) -> T:
        """Return the sizes of this mode, with the overrides put in."""
        sizes: Any = by_mode[self.mode]
        known = {spec.name for spec in fields(sizes)}
        given = {name.removeprefix(f"{benchmark}."): value for name, value in self.overrides.items()
                 if name.startswith(f"{benchmark}.")}  # fmt: skip
        if unknown := given.keys() - known:
            raise ValueError(f"{benchmark} has no size {min(unknown)!r}, expected {sorted(known)}")
        changed: T = replace(sizes, **given)
        return changed


@dataclass(frozen=True)
class Goal:
    """A number that was promised, and what was measured.

    Attributes:
        name: what is measured, in words.
        goal: the number.
        measured: the median; None where it could not be measured (`note` says why).
        better: `higher` or `lower`.
        unit: put behind the numbers: `x` or `%`.
        floor: what the machine allows at best, in the same unit; None where nothing bounds it.
        runs: the measured values that the median is of.
        note: what a reader has to know about the number.
    """

    name: str
    goal: float
    measured: float | None
    better: str = "higher"
    unit: str = "x"
    floor: float | None = None
    runs: tuple[float, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Figures for people: a header and rows of words and numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Result:
    """What one benchmark found; `raw` holds every single measurement."""

    title: str
    explanation: str
    goals: tuple[Goal, ...] = ()
    tables: tuple[Table, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


def ratio_goal(
    name: str, goal: float, above: Sequence[float], below: Sequence[float], **rest: Any
) -> Goal:
    """Return a goal on the median of paired ratios."""
    runs = ratios(above, below)
    return Goal(name, goal, median(runs), runs=runs, **rest)
