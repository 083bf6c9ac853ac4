"""Several seeds: each as if trained alone, their mean and spread, and the best by validation."""

import json
import shutil
import signal
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import trainer
from infer.base.console import Stopped, stop_signals, talking
from infer.base.errors import UsageError
from trainer.checkpoint.folder import WEIGHTS, Checkpoint, load_checkpoint, load_record
from trainer.run.seeds import summary
from trainer.run.train import carry_out
from trainer.settings.request import Request

SAME = {"device": "cpu", "threads": 1, "recipe": "article"}


def weights(folder: Path) -> bytes:
    return (folder / WEIGHTS).read_bytes()


def test_three_seeds(
    trained: tuple[Path, Checkpoint],
    request_: Request,
    capfd: pytest.CaptureFixture[str],
    interrupt_at: Callable[[str], None],
) -> None:
    """Stopped in the second, gone on with, made one more, and refused when there is no more."""
    output = request_.output
    changes = {**request_.recipe.to_json(), **SAME}
    shutil.copytree(trained[0], output)
    before = weights(output)
    interrupt_at("seed 124, 2 of 2")
    with pytest.raises(Stopped) as stopped, stop_signals():
        trainer.train(request_.data, output=output, seeds=2, **changes)
    assert f"sent-train --resume --output {output} goes on" in stopped.value.__notes__[0]
    assert weights(output) == before, "an older checkpoint stays until all are done"
    interrupt_at("epoch 1/3")
    with pytest.raises(Stopped) as stopped, stop_signals():
        trainer.resume(output)
    (note,) = stopped.value.__notes__
    assert note == (
        f"{output / 'seeds' / '124'} keeps the best so far, epoch 1, and the run as it was after "
        f"epoch 1; sent-train --resume --output {output} goes on"
    )
    with pytest.raises(UsageError, match="hidden is 7"):
        trainer.resume(output, hidden=7)
    with pytest.raises(UsageError, match="no setting 'trials'"):
        trainer.resume(output, trials=4)
    two = trainer.resume(output)
    assert [run["seed"] for run in two.metrics["seeds"]["runs"]] == [123, 124]
    with pytest.raises(UsageError, match=r"has 2 runs, all finished"):
        trainer.resume(output)
    capfd.readouterr()
    with talking():
        result = trainer.resume(output, seeds=3, data=request_.data)
    told = capfd.readouterr().err
    assert "seed 125, 3 of 3" in told and "3 seeds" in told and "spread" in told
    figures = result.metrics["seeds"]
    runs = figures["runs"]
    assert [run["seed"] for run in runs] == [123, 124, 125]
    losses = [run["validation"]["calibrated_loss"] for run in runs]
    best = runs[losses.index(min(losses))]
    assert figures["kept"] == best["seed"] == result.checkpoint.record.seed
    accuracies = [run["test"]["accuracy"] for run in runs]
    assert figures["mean"]["test"]["accuracy"] == pytest.approx(statistics.fmean(accuracies))
    assert figures["spread"]["test"]["accuracy"] == pytest.approx(statistics.stdev(accuracies))
    assert result.metrics["test"]["accuracy"] == best["test"]["accuracy"]
    assert json.loads((output / "metrics.json").read_text()) == result.metrics
    assert weights(output) == weights(output / "seeds" / str(best["seed"]))

    alone = replace(request_, seed=124, split_seed=123, output=output.with_name("alone"))
    carry_out(alone)
    assert weights(output / "seeds" / "124") == weights(alone.output)
    assert weights(output / "seeds" / "123") == weights(trained[0])
    held_out = [load_checkpoint(f).validation.to_pylist() for f in (output / "seeds").iterdir()]
    assert held_out == [trained[1].validation.to_pylist()] * 3
    assert {p.name for p in output.parent.iterdir()} == {"c", "alone"}

    carry_out(request_)  # a single run takes the place of all
    assert load_record(output).seed == 123
    assert not (output / "seeds").exists()


@pytest.mark.parametrize(("select", "kept"), [("loss", 2), ("accuracy", 1), ("f1", 2)])
def test_the_best_run_is_chosen_as_the_best_epoch_is(select: str, kept: int) -> None:
    """By the loss at its temperature, which the model has, not by that of logits too sure."""
    rows = [(1, 0.9, 0.6, 0.3, 0.29), (2, 0.8, 0.7, 0.4, 0.28), (3, 0.8, 0.7, 0.5, 0.28 + 1e-9)]
    names = ("accuracy", "macro_f1", "loss", "calibrated_loss")
    runs = [
        {
            "seed": seed,
            "epoch": 1,
            "validation": dict(zip(names, figures, strict=True)),
            "test": dict(zip(names, figures, strict=True)),
        }
        for seed, *figures in rows
    ]
    assert summary(runs, select)["kept"] == kept


@pytest.fixture
def interrupt_at(caplog: pytest.LogCaptureFixture) -> Callable[[str], None]:
    """Send SIGINT once when something is said that starts as asked."""
    caplog.set_level("INFO", "sent_toolkit")
    starts: list[str] = []

    def watch(record: object) -> bool:
        if starts and record.getMessage().startswith(starts[0]):
            starts.clear()
            signal.raise_signal(signal.SIGINT)
        return True

    caplog.handler.addFilter(watch)
    return starts.append


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"seeds": 1}, "seeds is 1, expected 2 or more"),
        ({"trials": 0}, "trials is 0, expected 1 or more"),
        ({"seeds": 2, "trials": 2}, "both given"),
    ],
)
def test_what_cannot_be(request_: Request, asked: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        trainer.train(request_.data, output=request_.output, **asked)
    assert not request_.output.exists()
