"""Kills and signals: the output is old or new at every instant, and the job goes on."""

import itertools
import os
import random
import signal
import time

import pytest


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
    """Ctrl-C and SIGTERM: no temporary file, a word on how to go on, 128 + the signal's number."""
    draw = random.Random(1)
    stopped = 0
    tries = 30 if full else 4
    for _ in range(tries):
        job = case.start()
        time.sleep(draw.uniform(0.02, case.seconds))
        os.kill(job.pid, number)
        code = job.wait()
        assert code in (0, expected), job.stderr
        case.check_whole()
        names = [path.name for path in case.output.parent.iterdir()]
        assert not [name for name in names if name.endswith(".sent-tmp")]
        if code:
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
