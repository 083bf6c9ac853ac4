"""What a scoring job did: counts, seconds, padding; printed as a table or as one JSON object."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from infer import __version__
from infer.job.crew import Crew
from infer.job.explaining import Explained
from infer.job.windows import Window
from infer.model.card import ModelCard
from infer.model.drift import Drift, differences, drift
from infer.model.file import ModelFile
from infer.model.profile import Profile
from infer.model.risk import RiskPoint
from infer.model.scorer import Scorer
from infer.model.shipped import COST_OF_DRIFT, is_shipped
from infer.table.outputs import Target
from infer.text.statuses import STATUSES

# What of the parity certificate a summary repeats.
CERTIFICATE: Final = (
    "passed", "date", "providers", "max_logit_difference", "flipped_labels", "accuracy",
)  # fmt: skip


@dataclass
class Seconds:
    """Where the time went; reading and encoding run beside the model.

    `run` is the time within `session.run`, divided by the batches that may run side by side; `run`
    and `encode` are those of a process, in the mean.
    """

    total: float = 0.0
    read: float = 0.0
    encode: float = 0.0
    run: float = 0.0
    write: float = 0.0

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the block's time to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, stage, getattr(self, stage) + time.perf_counter() - start)


@dataclass(frozen=True)
class Counts:
    """Rows of one output: all of them, by status, by predicted label, and what they are like.

    Attributes:
        confident: how many are marked as confident; None where that was not asked for.
    """

    rows: int
    statuses: dict[str, int]
    predictions: dict[str, int]
    profile: Profile
    confident: int | None = None


@dataclass
class Abstained:
    """Which labels are marked as confident, and how often they should be right.

    Attributes:
        below: the accuracy that was asked for.
        point: what validation says of labels so sure.
        coverage: share of the validation reviews that had such a label.
        rows: how many are marked.
        scored: of so many rows with a score.
    """

    below: float
    point: RiskPoint
    coverage: float
    rows: int = 0
    scored: int = 0

    @classmethod
    def of(cls, card: ModelCard, below: float | None) -> "Abstained | None":
        """Begin to count; None where nothing was asked for.

        Raises:
            UsageError: the model was not right so often in validation, or does not say.
        """
        point = card.point(below)
        if below is None or point is None or card.validated is None:
            return None
        return cls(below, point, card.validated.risk.coverage(point))

    @property
    def share(self) -> float:
        """Share of the rows with a score that are marked, 0 to 1."""
        return self.rows / self.scored if self.scored else 0.0

    def in_words(self) -> str:
        """Say it in a line."""
        return (
            f"confident {self.rows:,} of {self.scored:,} ({self.share:.1%}). In validation "
            f"{self.coverage:.1%} were, and right for {self.point.accuracy:.1%} (at least "
            f"{self.point.at_least:.1%})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON-ready object."""
        return {
            "below": self.below,
            "confidence": self.point.confidence,
            "rows": self.rows,
            "share": round(self.share, 6),
            "expected_accuracy": round(self.point.accuracy, 6),
            "expected_at_least": round(self.point.at_least, 6),
            "validation_share": round(self.coverage, 6),
        }


@dataclass
class Summary:
    """A job's figures.

    Attributes:
        rows: rows in the outputs.
        resumed_rows: those of them that an earlier run had scored.
        statuses: rows by status.
        predictions: rows by predicted label.
        files: input, output and rows of each file.
        seconds: see `Seconds`.
        tokens: tokens run through the model.
        padded_tokens: the same with padding.
        batch_tokens: the token budget at the end; halved where the device ran out of memory.
        profile: what the rows are like.
        abstained: what was asked for with `abstain_below`, and what came of it; None without.
        learned: what the model's validation reviews were like; None where its file does not say.
        explained: why the first rows have their scores, where that was asked for.
        model: path, hash, precision and parity certificate of the model.
        provider: ONNX Runtime's name of the provider that ran it.
        provider_reason: why that one, in words.
        processes: how many scored side by side.

    Example:
        >>> summary = infer.score_files("reviews.parquet", "scores.parquet")  # doctest: +SKIP
        >>> summary.rows, summary.statuses["ok"]  # doctest: +SKIP
        (1000, 998)
    """

    batch_tokens: int
    model: dict[str, Any]
    provider: str
    provider_reason: str
    profile: Profile
    learned: Profile | None = None
    abstained: "Abstained | None" = None
    processes: int = 1
    rows: int = 0
    resumed_rows: int = 0
    statuses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    predictions: dict[str, int] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    explained: list[Explained] = field(default_factory=list)
    seconds: Seconds = field(default_factory=Seconds)
    tokens: int = 0
    padded_tokens: int = 0

    @classmethod
    def of(cls, scorer: Scorer | Crew, abstain_below: float | None = None) -> "Summary":
        """Begin the figures of a job that a scorer carries out.

        Args:
            scorer: the model.
            abstain_below: the accuracy that labels marked as confident have to have.
        """
        session, card = scorer.session, scorer.file.card
        return cls(
            scorer.batch_tokens,
            describe(scorer.file),
            session.provider,
            session.reason,
            Profile.nothing(card.labels),
            None if card.validated is None else card.validated.profile,
            Abstained.of(card, abstain_below),
            len(scorer) if isinstance(scorer, Crew) else 1,
        )

    def finish(self, scorer: Scorer | Crew) -> None:
        """Take over what the scorer knows at the end."""
        self.batch_tokens = scorer.batch_tokens
        self.seconds.run = scorer.seconds

    def add(self, window: Window) -> None:
        """Add a window that was scored."""
        self.tokens += window.tokens
        self.padded_tokens += window.padded_tokens
        self.seconds.encode += window.encode_seconds

    @property
    def reviews_per_second(self) -> float:
        """Rows scored by this run, over its whole time."""
        return (self.rows - self.resumed_rows) / max(self.seconds.total, 1e-9)

    @property
    def padding(self) -> float:
        """Share of the tokens run that were padding, 0 to 1."""
        return 1 - self.tokens / self.padded_tokens if self.padded_tokens else 0.0

    def count(self, source: str, output: Target, counts: Counts) -> None:
        """Add an output that was written."""
        self.files.append({"input": source, "output": str(output), "rows": counts.rows})
        self.rows += counts.rows
        self.profile += counts.profile
        if self.abstained is not None:
            self.abstained.rows += counts.confident or 0
            self.abstained.scored += counts.profile.scored
        for totals, more in (
            (self.statuses, counts.statuses),
            (self.predictions, counts.predictions),
        ):
            for name, rows in more.items():
                totals[name] = totals.get(name, 0) + rows

    @property
    def drift(self) -> Drift | None:
        """How far the texts are from those that the model learned from; None where unknown."""
        return None if self.learned is None else drift(self.learned, self.profile)

    @property
    def warning(self) -> str | None:
        """Say in one line that the texts are not like those that the model learned from."""
        found = [] if self.learned is None else differences(self.learned, self.profile)
        if not found:
            return None
        cost = f" {COST_OF_DRIFT}" if is_shipped(Path(self.model["path"])) else ""
        return (
            f"Warning: these texts are not like those that the model learned from: "
            f"{'; '.join(found)}. It may be right less often.{cost}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures as a JSON-ready object."""
        drift = self.drift
        return {
            "rows": self.rows,
            "resumed_rows": self.resumed_rows,
            "statuses": self.statuses,
            "predictions": self.predictions,
            "files": self.files,
            "seconds": {stage: round(s, 3) for stage, s in asdict(self.seconds).items()},
            "reviews_per_second": round(self.reviews_per_second, 1),
            "padding": round(self.padding, 4),
            "batch_tokens": self.batch_tokens,
            "provider": self.provider,
            "provider_reason": self.provider_reason,
            "processes": self.processes,
            "profile": self.profile.to_json(),
            "abstained": self.abstained and self.abstained.to_json(),
            "explained": [one.to_json() for one in self.explained],
            "drift": None if drift is None else drift.to_json(),
            "model": self.model,
            "version": __version__,
        }


def describe(file: ModelFile) -> dict[str, Any]:
    """Say which model it is, with the key figures of its parity certificate, JSON-ready."""
    parity = file.card.parity
    return {
        "path": str(file.path),
        "sha256": file.sha256,
        "precision": file.card.precision,
        "parity": {key: value for key, value in parity.items() if key in CERTIFICATE},
    }
