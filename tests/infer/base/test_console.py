"""How far something has come is told: by a bar on a terminal, by a line a minute in a log."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infer.base import console
from infer.base.console import Stopped, held_signals, progress, stop_signals, talking

ROOT = Path(__file__).parents[3]


def test_a_log_gets_a_line_every_so_often(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1_000.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    with talking(), progress("epoch 1/2", 4_000, "tokens", done=1_000) as advance:
        for _ in range(6):
            now += 25.0
            advance(500, "loss 0.500")
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1/2: 2,500 of 4,000 (62%), loss 0.500, 20 tokens/s, about 0:01:15 left",
        "epoch 1/2: 4,000 of 4,000 (100%), loss 0.500, 20 tokens/s, about 0:00:00 left",
    ]


def test_threads_count_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "LINE_SECONDS", 0.0)
    with talking(), progress("Scoring", 400) as advance:
        threads = [
            threading.Thread(target=lambda: [advance(1) for _ in range(100)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = capsys.readouterr().err.splitlines()
    counts = [int(re.match(r"Scoring: (\d+) of 400", line)[1]) for line in lines]
    assert sorted(counts) == list(range(1, 401))


def test_who_is_not_talked_to_hears_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "LINE_SECONDS", 0.0)
    for quiet in (True, False):
        with talking(quiet), progress("Scoring", 2, "reviews") as advance:
            advance(1)
        assert bool(capsys.readouterr().err) is not quiet
    with progress("Scoring", 2, "reviews") as advance:
        advance(1)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_and_no_lines() -> None:
    code = (
        "from infer.base import console\n"
        "console.LINE_SECONDS = 0.0\n"
        "with console.talking(), console.progress('Scoring', 2, 'reviews', done=1) as advance:\n"
        "    advance(1, 'words')\n"
    )
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"}
    with os.fdopen(ours, "rb", 0) as shown, os.fdopen(theirs, "wb", 0) as terminal:
        command = [sys.executable, "-c", code]
        subprocess.run(command, stderr=terminal, env=environment, check=True)
        told = shown.read(65_536).decode()
    assert "━" in told and "2/2" in told and "Scoring: " not in told


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises, even where these tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_signal_waits_for_its_moment() -> None:
    done = []
    with pytest.raises(Stopped) as stopped, stop_signals(), held_signals() as let_through:
        for step in range(3):
            if step == 1:
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGINT)
            done.append(step)
            let_through()
    assert stopped.value.signum == signal.SIGTERM
    assert done == [0, 1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("interruptible")
def test_a_signal_that_waits_comes_at_the_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held_signals():
        signal.raise_signal(signal.SIGINT)
        done.append("all")
    assert done == ["all"]


@pytest.mark.usefixtures("interruptible")
def test_signals_of_others_and_in_other_threads_are_left_alone() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with held_signals():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    found = []

    def elsewhere() -> None:
        with held_signals() as let_through:
            let_through()
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
