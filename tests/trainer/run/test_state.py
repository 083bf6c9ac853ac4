"""Which epoch is the best one."""

import pytest

from trainer.run.state import best_of
from trainer.run.talk import epoch_line

HISTORY = [
    {"epoch": 1, "validation_loss": 0.60, "calibrated_loss": 0.60, "accuracy": 0.7, "f1": 0.6},
    {"epoch": 2, "validation_loss": 0.75, "calibrated_loss": 0.50, "accuracy": 0.8, "f1": 0.5},
    {"epoch": 3, "validation_loss": 0.80, "calibrated_loss": 0.55, "accuracy": 0.8, "f1": 0.6},
    {"epoch": 4, "validation_loss": 0.80, "calibrated_loss": 0.55, "accuracy": 0.8, "f1": 0.6},
]


@pytest.mark.parametrize(("select", "epoch"), [("loss", 2), ("accuracy", 2), ("f1", 3)])
def test_the_best_epoch_is_by_what_was_asked_for(select: str, epoch: int) -> None:
    """The loss is that at the epoch's temperature, and decides between figures that are alike."""
    history = [
        {**row, "validation_accuracy": row["accuracy"], "validation_f1": row["f1"]}
        for row in HISTORY
    ]
    assert best_of(history, select)["epoch"] == epoch


def test_epochs_of_older_versions_have_one_loss() -> None:
    history = [{"epoch": 1, "validation_loss": 0.6}, {"epoch": 2, "validation_loss": 0.5}]
    assert best_of(history, "loss")["epoch"] == 2
    assert best_of([*history, {"epoch": 3, "validation_loss": 0.5}], "loss")["epoch"] == 2


def test_an_epochs_line_shows_the_loss_that_decides() -> None:
    row = dict.fromkeys(("validation_accuracy", "validation_f1", "padding_share"), 0.5) | {
        "epoch": 2, "training_loss": 0.4, "validation_loss": 0.75, "calibrated_loss": 0.5,
        "temperature": 2.0, "seconds": 1.0, "tokens_per_second": 10.0,
    }  # fmt: skip
    line = epoch_line(row, 3, True, "linear model 40.00%")
    assert "validation loss 0.7500 (0.5000 at temperature 2.00), accuracy 50.00%" in line
    line = epoch_line(row | {"temperature": 1.0, "calibrated_loss": 0.75}, 3, True, "")
    assert "validation loss 0.7500, accuracy" in line
