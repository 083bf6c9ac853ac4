"""Kills and signals: the output is old or new at every instant, and the job goes on."""

import itertools
import os
import random
import signal
import string
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

# Bytes; without a space, so that no middle can be left out, it takes a thread seconds to encode.
LONG_ROW = 50_000_000
LONG_ROWS = {
    "marks": ("?!.,;:", LONG_ROW),
    "letters of a script without spaces": ("".join(map(chr, range(0x0E01, 0x0E3A))), LONG_ROW),
    "letters": (string.ascii_lowercase, LONG_ROW),
}


def test_kill_at_random_moments(case, reader, full, tally):
    """SIGKILL anywhere between start and end, each run going on from the last one's parts."""
    draw = random.Random(0)
    finished = 0
    kills = 200 if full else 10
    with reader(case.output) as watching:
        for _ in range(kills):
            job = case.start()
            time.sleep(draw.uniform(0, 1.1 * case.seconds))
            os.kill(job.pid, signal.SIGKILL)
            assert job.wait() in (0, -signal.SIGKILL)
            if case.check_whole():
                finished += 1
                case.finish()
                case.reset()
        case.finish()
    assert watching.seen == watching.allowed
    tally(
        "A kill -9 at any moment: the output is the old file or the whole new one, and the same "
        "command ends in the same bytes",
        f"{kills} random moments ({finished} jobs came to their end in between), "
        f"{watching.polls:,} readings by another program",
    )


@pytest.mark.parametrize("action", ["kill before", "kill after"])
def test_kill_at_every_durable_step(case, full, tally, action):
    """SIGKILL right before and right after each write, fsync, rename, link and unlink."""
    done = 0
    for step in itertools.count(1, 1 if full else 9):
        code, _ = case.run(fault={"step": step, "action": action})
        if code == 0:
            break
        assert code == -signal.SIGKILL
        case.check_whole()
        case.finish()
        case.reset()
        done += 1
    assert done > 5
    tally(f"The same, {action.removeprefix('kill ')} each durable step", f"{done} steps")


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_at_random_moments(case, full, tally, number, expected):
    """Ctrl-C and SIGTERM: no temporary file, a word on how to go on, 128 + the signal's number.

    While the inputs are looked at the signal itself ends the process, for which a shell says that
    number too.
    """
    draw = random.Random(1)
    stopped = 0
    tries = 30 if full else 4
    for _ in range(tries):
        job = case.start()
        time.sleep(draw.uniform(0.02, case.seconds))
        os.kill(job.pid, number)
        code = job.wait()
        assert code in (0, expected, -number), job.stderr
        case.check_whole()
        names = [path.name for path in case.output.parent.iterdir()]
        assert not [name for name in names if name.endswith(".sent-tmp")]
        if code == expected:
            stopped += 1
            assert f"Stopped by {signal.Signals(number).name}" in job.stderr
            parts = list(case.output.parent.glob("*.sent-parts/*.parquet"))
            assert ("the same command goes on" in job.stderr) == bool(parts)
        case.finish()
        case.reset()
    assert stopped
    tally(
        f"{signal.Signals(number).name} stops with exit code {expected}, no debris but part files",
        f"{tries} random moments, {stopped} of them before the end",
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", LONG_ROWS)
def test_a_signal_while_one_long_row_is_encoded(worker, tmp_path, tally, kind):
    """SIGTERM is answered in the middle of a row, with its exit code and no debris."""
    source, folder = tmp_path / "in.parquet", tmp_path / "folder"
    folder.mkdir()
    text = long_row(*LONG_ROWS[kind])
    pq.write_table(pa.table({"text": [text]}), source)
    job = worker.start(source, folder / "out.parquet")
    time.sleep(1)  # it starts in milliseconds, and reads the row in less
    os.kill(job.pid, signal.SIGTERM)
    assert job.wait() == 128 + signal.SIGTERM, job.stderr
    assert list(folder.iterdir()) == []
    tally("SIGTERM while one row of 50 MB is encoded stops the job", f"{len(LONG_ROWS)} kinds")


def long_row(alphabet, size):
    """Return a text of pieces of so many random characters."""
    draw = random.Random(2)
    pieces = (
        "".join(draw.choices(alphabet, k=size))
        for _ in range(max(1, LONG_ROW // (size * len(alphabet[0].encode()) + 1)))
    )
    return " ".join(pieces)
