"""A search: judged by validation alone, gone on with, its best tested once."""

import importlib.util
import json
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import trainer
from infer.base.errors import MissingExtraError, ModelFileError, TrainingError, UsageError
from trainer.checkpoint.folder import WEIGHTS, load_checkpoint
from trainer.run.train import carry_out
from trainer.settings.recipe import Recipe
from trainer.settings.request import Request
from trainer.settings.search import SPANS, span_of

pytest.importorskip("optuna")


@pytest.fixture
def asked(request_: Request) -> dict[str, object]:
    """What a search is asked for: two of the four settings are left to it."""
    recipe = replace(request_.recipe, epochs=2).to_json()
    for name in ("learning_rate", "dropout"):
        del recipe[name]
    return {"data": request_.data, "recipe": "article", "device": "cpu", "threads": 1, **recipe}


class Killed(BaseException):
    """What no code of ours handles, as SIGKILL."""


def test_a_search(
    request_: Request,
    asked: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Killed in its second trial, gone on with, made longer: it proposes what one alone would."""
    from trainer.run import search, train

    real, calls = train.keep_if_best, []

    def killing(*arguments: object) -> bool:
        calls.append(1)
        if len(calls) == 4:
            raise Killed
        return real(*arguments)

    monkeypatch.setattr(train, "keep_if_best", killing)
    output = request_.output
    with pytest.raises(Killed):
        trainer.train(**asked, output=output, trials=2)
    assert sorted(p.name for p in (output / "trials").iterdir()) == ["0", "1", "optuna.db"]
    two = trainer.resume(output)
    assert [run["trial"] for run in two.metrics["trials"]["runs"]] == [0, 1]
    with pytest.raises(UsageError, match="--trials with a larger number"):
        trainer.resume(output)
    result = trainer.resume(output, trials=3)
    figures = result.metrics["trials"]
    runs = figures["runs"]
    assert figures["searched"] == ["learning_rate", "dropout"]
    own = Recipe()
    first = {"learning_rate": own.learning_rate, "dropout": own.dropout}
    assert [run["settings"] == first for run in runs] == [True, False, False]
    losses = [run["validation"]["calibrated_loss"] for run in runs]
    best = figures["kept"]
    assert losses[best] == min(losses) == result.metrics["validation"]["calibrated_loss"]
    assert result.metrics["test"]["reviews"] == 60
    assert json.loads((output / "metrics.json").read_text()) == result.metrics
    places = sorted(p.name for p in (output / "trials").iterdir())
    assert places == [str(best), "optuna.db"], "what lost is gone"

    # The best is what its settings give alone.
    recipe = replace(request_.recipe, epochs=2, **runs[best]["settings"])
    alone = replace(request_, recipe=recipe, output=tmp_path / "alone")
    carry_out(alone)
    assert (output / WEIGHTS).read_bytes() == (alone.output / WEIGHTS).read_bytes()

    # The test part's labels turned round change nothing but the last figures.
    turned = Path(shutil.copytree(request_.data, tmp_path / "turned"))
    table = pq.read_table(turned / "test.parquet")
    labels = pa.array([1 - label for label in table["label"].to_pylist()], pa.int8())
    pq.write_table(table.set_column(1, "label", labels), turned / "test.parquet")
    tested = []
    monkeypatch.setattr(
        train, "final_test", lambda *a, real=train.final_test: tested.append(1) or real(*a)
    )
    other = trainer.train(**{**asked, "data": turned}, output=tmp_path / "other", trials=3)
    assert other.metrics["trials"] == figures
    assert len(tested) == 1
    assert other.metrics["test"]["accuracy"] == pytest.approx(
        1 - result.metrics["test"]["accuracy"]
    )
    assert search.DATABASE == "optuna.db"


def test_a_trial_that_diverges_is_passed_over(
    request_: Request, asked: dict[str, object], said: Callable[[], list[str]]
) -> None:
    asked |= {"learning_rate": 1e38, "clip": 0.0, "pooling": "max_mean", "epochs": 1}
    with pytest.raises(TrainingError, match="none of 2 trials came to an end"):
        trainer.train(**asked, output=request_.output, trials=2)
    assert [line.split(":")[0] for line in said() if "no end" in line] == [
        "trial 0 came to no end", "trial 1 came to no end",
    ]  # fmt: skip
    with pytest.raises(ModelFileError, match="there is a model"):
        load_checkpoint(request_.output)


def test_a_database_that_cannot_be_is_told(
    request_: Request, asked: dict[str, object], said: Callable[[], list[str]]
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(TrainingError, match=r"trials/optuna.db: cannot be used \(disk I/O"):
            trainer.train(**asked, output=request_.output, trials=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert trainer.resume(request_.output).metrics["trials"]["kept"] == 0
    (request_.output / "trials" / "optuna.db").write_bytes(b"no database" * 100)
    with pytest.raises(TrainingError, match=r"cannot be used \(file is not a database"):
        trainer.resume(request_.output, trials=2)


def test_what_is_searched() -> None:
    recipe = Recipe(learning_rate=0.5, batch_size=4, dropout=0.05)
    for name in SPANS:
        span = span_of(name, recipe)
        assert span.low <= getattr(recipe, name) <= span.high
    assert span_of("batch_size", recipe).low == 4
    with pytest.raises(UsageError, match="nothing is left to search"):
        trainer.train("sample", trials=3, **{name: getattr(recipe, name) for name in SPANS})


def test_without_optuna_the_extra_is_named(
    request_: Request, asked: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda n: None if n == "optuna" else find(n))
    with pytest.raises(MissingExtraError, match=r"pip install -c constraints.txt '\.\[search\]'"):
        trainer.train(**asked, output=request_.output, trials=2)
    assert not request_.output.exists()
