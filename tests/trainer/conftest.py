"""A tiny task on which a tiny model learns something within a second."""

import logging
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from infer.base.console import LOGGER, Stopped, stop_signals
from infer.base.errors import DeviceError
from trainer.checkpoint.folder import Checkpoint
from trainer.network.device import check_precision
from trainer.run.train import carry_out
from trainer.settings.recipe import Recipe
from trainer.settings.request import Request

TINY = Recipe(vocabulary=50, embedding=8, hidden=6, epochs=3, batch_size=16, learning_rate=0.02)
NOUNS = ("film", "plot", "cast", "music", "ending", "camera")


@pytest.fixture(autouse=True)
def one_thread(one_torch_thread: None) -> None:
    """Every test here computes with one."""


@pytest.fixture(scope="session")
def has_bf16() -> bool:
    """Whether this processor computes LSTMs in bf16: those with AVX-512 or AMX do."""
    try:
        check_precision("bf16", torch.device("cpu"))
    except DeviceError:
        return False
    return True


@pytest.fixture
def needs_bf16(has_bf16: bool) -> None:
    if not has_bf16:
        pytest.skip("this processor computes no LSTM in bf16")


def write_reviews(path: Path, rows: int, seed: int) -> pa.Table:
    """Write reviews whose polarity hangs on one adjective and whether it is negated."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for i in range(rows):
        good, negated = random.integers(2, size=2)
        words = [f"The {noun}" for noun in random.permutation(NOUNS)[: random.integers(1, 6)]]
        words += ["was", "not" if negated else "really", "great" if good else "awful", f"№ {i}."]
        texts.append(" ".join(words))
        labels.append(int(good != negated))
    table = pa.table({"text": texts, "label": pa.array(labels, pa.int8())})
    pq.write_table(table, path)
    return table


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_reviews(folder / "train.parquet", 240, seed=1)
    write_reviews(folder / "test.parquet", 60, seed=2)
    unlabelled = write_reviews(folder / "unsup.parquet", 80, seed=3)
    pq.write_table(unlabelled.select(["text"]), folder / "unsup.parquet")
    return folder


@pytest.fixture(scope="session")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Checkpoint]:
    """A finished checkpoint's folder, and what `train` returned for it."""
    folder = tmp_path_factory.mktemp("run") / "checkpoint"
    request = Request(TINY, data=str(data), output=folder, device="cpu", threads=1)
    return folder, carry_out(request)


class Interrupting(logging.Handler):
    """Sends this process SIGINT when something is said that starts like this."""

    def __init__(self, start: str) -> None:
        super().__init__()
        self.start = start

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(self.start):
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def request_(trained: tuple[Path, Checkpoint], data: Path, tmp_path: Path) -> Request:
    """The request that `trained` carried out, into another folder."""
    recipe = Recipe.from_json(trained[1].record.recipe)
    return Request(recipe, data=str(data), output=tmp_path / "c", device="cpu", threads=1)


@pytest.fixture
def interrupt(caplog: pytest.LogCaptureFixture) -> Callable[[Request, str], Stopped]:
    """Train, and send SIGINT when something is said that starts as asked."""
    caplog.set_level("INFO", LOGGER.name)

    def run(request: Request, when: str) -> Stopped:
        handler = Interrupting(when)
        LOGGER.addHandler(handler)
        try:
            with pytest.raises(Stopped) as stopped, stop_signals():
                carry_out(request)
        finally:
            LOGGER.removeHandler(handler)
        return stopped.value

    return run
