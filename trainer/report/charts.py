"""The curves of a run of training, as drawings of the report."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from reporter.frame.drawing import FAINT, FIRST, LINES, SECOND, Rows, drawing, legend, to_svg


def loss_chart(history: Rows, best: int) -> str:
    """Draw training and validation loss by epoch.

    Args:
        history: of each epoch `epoch`, `training_loss` and `validation_loss` (nats).
        best: the epoch that was kept.
    """
    with drawing() as figure:
        axes = _epochs(figure, best)
        _curve(axes, history, "training_loss", FIRST, "o-")
        _curve(axes, history, "validation_loss", SECOND, "s--")
        axes.set_ylabel("loss (nats)")
        legend(figure)
        return to_svg(figure, "loss", "Training and validation loss by epoch")


def accuracy_chart(history: Rows, best: int) -> str:
    """Draw validation accuracy by epoch.

    Args:
        history: of each epoch `epoch` and `validation_accuracy` (0 to 1).
        best: the epoch that was kept.
    """
    with drawing() as figure:
        axes = _epochs(figure, best)
        _curve(axes, history, "validation_accuracy", SECOND, "s--")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_ylabel("accuracy")
        legend(figure)
        return to_svg(figure, "accuracy", "Validation accuracy by epoch")


def _curve(axes: Axes, history: Rows, key: str, color: str, style: str) -> None:
    """Add a line over the epochs, named by the first word of what it shows."""
    epochs, values = [row["epoch"] for row in history], [row[key] for row in history]
    axes.plot(epochs, values, style, color=color, ms=4, label=key.split("_")[0])


def _epochs(figure: Figure, best: int) -> Axes:
    """Make axes over epochs, with a line at the one that was kept."""
    axes = figure.subplots()
    axes.axvline(best, color=FAINT, ls=":", label="kept")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")
    return axes


def threshold_chart(by_threshold: Rows, threshold: float) -> str:
    """Draw what other thresholds would give.

    Args:
        by_threshold: as `analysis.by_threshold` has it.
        threshold: the one in use.
    """
    with drawing() as figure:
        axes = figure.subplots()
        axes.axvline(threshold, color=FAINT, ls=":", label="in use")
        for name, (color, style) in zip(("precision", "recall", "f1"), LINES, strict=False):
            known = [row for row in by_threshold if row[name] is not None]
            places, values = [row["threshold"] for row in known], [row[name] for row in known]
            axes.plot(
                places, values, style, color=color, ms=3, lw=1.2, label=name.replace("f", "F")
            )
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set(xlim=(0, 1), xlabel="threshold", ylabel="of the positive label")
        legend(figure)
        return to_svg(figure, "threshold", "Precision, recall and F1 by threshold")
