"""The labels that scoring marked as confident: how many there are, and how right they should be."""

from typing import TYPE_CHECKING, Any

from infer.model.risk import RiskCurve
from reporter.figures.counts import Counts
from reporter.figures.labels import Labels
from reporter.figures.shares import Part, Truth, parts_by, share_of

if TYPE_CHECKING:
    from infer.model.file import ModelFile


def confident_figures(
    counts: Counts, labels: Labels, truth: Truth | None, file: "ModelFile | None"
) -> dict[str, Any]:
    """Tell the marked labels from the others.

    Args:
        counts: of all rows.
        labels: of the predictions.
        truth: value of the truth column → name of a label; None where there is none.
        file: the model that scored them; None where it is not known.

    Returns:
        `rows` and `share` of the marked ones, `marked` and `others` (see `Part.figures`), and
        `expected`, what validation says of labels as sure: `accuracy`, `at_least` (95 %) and
        `share`; None where the model does not say.
    """
    keys = ["confident", "prediction", *(["truth"] if truth is not None else [])]
    parts = parts_by(counts.by(*keys), truth)
    marked, others = parts.get(True, Part()), parts.get(False, Part())
    least = min(
        (
            1 - found.most if labels.positive not in (None, name) else found.least
            for (is_marked, name), found in counts.spread("confident", "prediction").items()
            if is_marked and found.scores
        ),
        default=None,
    )
    curve = None
    if file is not None and file.card.validated is not None:
        curve = file.card.validated.risk
    return {
        "rows": marked.rows,
        "share": share_of(marked.rows, marked.rows + others.rows),
        "marked": marked.figures(labels, truth is not None),
        "others": others.figures(labels, truth is not None),
        "expected": None if curve is None or least is None else _expected(curve, least),
    }


def _expected(curve: RiskCurve, least: float) -> dict[str, float]:
    """Return what is known of labels that are at least so sure."""
    # A point's own bound is a score of its own, which float32 may have put a hair lower.
    point = max(
        (point for point in curve.points if point.confidence <= least + 1e-6),
        key=lambda point: point.confidence,
    )
    return {
        "accuracy": point.accuracy,
        "at_least": point.at_least,
        "share": curve.coverage(point),
    }
