"""The comparisons on one provider. Legend: B rows of a batch, T tokens, R rows in all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from exporter.parity.difference import Difference, find_problems, measure_difference
from exporter.parity.reference import Batch, Material, probe_rows, run_texts
from exporter.parity.report import Accuracy, Comparison
from exporter.parity.tolerance import Tolerance
from infer.base.console import progress
from infer.base.errors import SentError
from infer.base.words import counted
from infer.model.probability import predicted
from infer.model.session import Session
from infer.text.batching import Logits, pad

# Tokens behind the longest row's end, where the batch-mates are many.
FURTHER: Final = 7


def compare_session(
    session: Session, tolerance: Tolerance, material: Material
) -> tuple[list[Comparison], list[Accuracy]]:
    """Run every comparison on one provider."""
    subject = Subject(session, tolerance, material.middle)
    pairs = list(zip(material.grid, material.grid_logits, strict=True))
    grid = []
    with progress(f"{session.label}, shapes", len(pairs)) as advance:
        for batch, logits in pairs:
            grid.append(compare_batch(subject, batch, logits))
            advance(1)
    texts, accuracies = compare_texts(subject, material)
    probes = pad(material.found, probe_rows(material.found))
    against_itself = (compare_mates(subject, probes), compare_repeated(subject, probes))
    return [*grid, texts, *against_itself], accuracies


@dataclass(frozen=True)
class Subject:
    """The exported graph on one provider, and the bounds that it has to keep there.

    Above the logit `middle` the positive of two labels is predicted.
    """

    session: Session
    tolerance: Tolerance
    middle: float

    def compare(
        self,
        check: str,
        shape: tuple[int, ...],
        lengths: npt.NDArray[np.integer[Any]],
        expected: Callable[[], Logits],
        found: Callable[[], Logits],
    ) -> Comparison:
        """Compute logits in two ways, (R,) or (R, K) each, and compare them.

        A graph that does not run on the batch is a result too: it fails the check.

        Args:
            check: name of the comparison.
            shape: (B, T) of the batch, or of all rows laid side by side.
            lengths: (R,) tokens of each row.
            expected: computes what is right.
            found: computes what is compared with it.
        """
        outcome = Comparison(self.session.label, check, shape, self.tolerance, None, ())
        try:
            reference, logits = expected(), found()
        except SentError as error:
            return replace(outcome, problems=(str(error),))
        if logits.shape != reference.shape:
            wrong = f"logits of shape {logits.shape}, expected {reference.shape}"
            return replace(outcome, problems=(wrong,))
        difference = measure_difference(reference, logits, lengths, self.middle)
        problems = find_problems(reference, logits, difference, self.tolerance)
        return replace(outcome, difference=difference, problems=tuple(problems))


def compare_batch(subject: Subject, batch: Batch, logits: Logits) -> Comparison:
    """Compare one batch of the grid with PyTorch's logits."""
    run = subject.session.run
    return subject.compare("grid", batch[0].shape, batch[1], lambda: logits, lambda: run(*batch))


def compare_texts(subject: Subject, material: Material) -> tuple[Comparison, list[Accuracy]]:
    """Compare the real texts, their labels, and the accuracy where the truth is known."""
    rows, encoded = material.rows, material.found
    budget = subject.session.batch_tokens
    title = f"{subject.session.label}, reviews"
    found = np.full_like(material.logits, np.nan)

    def run() -> Logits:
        run, side_by_side = subject.session.run, subject.session.side_by_side
        with side_by_side() as executor:
            found[:] = run_texts(run, encoded, budget, title, executor.map, found.shape[1:])
        return found[rows]

    lengths = encoded.lengths[rows]
    shape = (len(rows), int(lengths.max()))
    comparison = subject.compare("texts", shape, lengths, lambda: material.logits[rows], run)
    if comparison.difference is None:
        return comparison, []
    accuracies = measure_accuracy(subject, material, found)
    problems = (
        *comparison.problems,
        *mean_problems(comparison.difference, subject.tolerance),
        *flip_problems(comparison.difference, subject.tolerance),
        *loss_problems(accuracies, subject.tolerance),
    )
    return replace(
        comparison, difference=named(comparison.difference, material), problems=problems
    ), accuracies


def named(difference: Difference, material: Material) -> Difference:
    """Give the worst row its review's number and text."""
    row = int(material.rows[difference.worst.row])
    text = material.reviews.texts[row].as_py()
    return replace(difference, worst=replace(difference.worst, row=row, text=text))


def measure_accuracy(subject: Subject, material: Material, found: Logits) -> list[Accuracy]:
    """Count the labelled reviews that each side has right; none where nothing is labelled."""
    labels, rows = material.reviews.labels, material.rows
    if labels is None:
        return []
    sides = (material.logits, found)
    before, after = (predicted(logits[rows], subject.middle) == labels[rows] for logits in sides)
    provider = subject.session.label
    return [Accuracy(provider, len(rows), int(before.sum()), int(after.sum()))]


def mean_problems(difference: Difference, tolerance: Tolerance) -> list[str]:
    """Say whether the logits of many reviews differ by more in the mean than allowed."""
    mean = difference.logit_absolute.mean
    if mean <= tolerance.mean:
        return []
    return [f"the logits differ by {mean:.3g} in the mean (allowed: {tolerance.mean:g})"]


def flip_problems(difference: Difference, tolerance: Tolerance) -> list[str]:
    """Say whether more labels changed than allowed."""
    allowed = tolerance.flips_allowed(difference.rows)
    if difference.flips <= allowed:
        return []
    return [
        f"{difference.flips} of {counted(difference.rows, 'label')} changed (allowed: {allowed}, "
        f"{tolerance.flips:.1%} and at least one)"
    ]


def loss_problems(accuracies: list[Accuracy], tolerance: Tolerance) -> list[str]:
    """Say whether more accuracy was lost than allowed."""
    return [
        f"accuracy fell from {a.before:.4f} to {a.after:.4f} (allowed: "
        f"{tolerance.losses_allowed(a.reviews)} of {counted(a.reviews, 'review')}, "
        f"{100 * tolerance.accuracy:g} points and at least one)"
        for a in accuracies
        if a.right_before - a.right_after > tolerance.losses_allowed(a.reviews)
    ]


def compare_mates(subject: Subject, batch: Batch) -> Comparison:
    """Compare each row alone with the same row among others, in batches of several shapes.

    Among all, so that the shortest row stands first beside longer ones; backwards; in pairs; among
    three times as many, with tokens behind the longest row's end.
    """
    input_ids, lengths = batch
    rows, run = np.arange(len(lengths)), subject.session.run

    def some(chosen: npt.NDArray[np.int64], further: int = 0) -> Logits:
        longest = int(lengths[chosen].max())
        ids = np.pad(input_ids[chosen, :longest], ((0, 0), (0, further)), mode="edge")
        return run(ids, lengths[chosen])

    def alone() -> Logits:
        return np.concatenate([some(rows[i : i + 1]) for i in rows] * 6)

    def among() -> Logits:
        pairs = [some(np.array([i, i - 1]))[:1] for i in rows]
        thrice = some(np.tile(rows, 3), FURTHER)
        return np.concatenate((some(rows), some(rows[::-1])[::-1], *pairs, thrice))

    outcome = subject.compare("batch-mates", input_ids.shape, np.tile(lengths, 6), alone, among)
    problems = (*mates_problems(outcome.difference, subject.tolerance), *outcome.problems)
    return replace(outcome, problems=problems)


def mates_problems(difference: Difference | None, tolerance: Tolerance) -> list[str]:
    """Say whether a row's logit hangs on the rows beside it where it must not."""
    if difference is None or tolerance.mates is None:
        return []
    found = difference.logit_absolute.maximum
    if found <= tolerance.mates * max(1.0, abs(difference.worst.expected)):
        return []
    allowed = f"{tolerance.mates:g}" if tolerance.mates else "not a bit"
    return [
        f"a text's logit changes by up to {found:.3g} with its batch-mates (allowed: {allowed})"
    ]


def compare_repeated(subject: Subject, batch: Batch) -> Comparison:
    """Compare a batch with itself, run again."""
    shape, lengths = batch[0].shape, batch[1]

    def run() -> Logits:
        return subject.session.run(*batch)

    return subject.compare("repeated", shape, lengths, run, run)
