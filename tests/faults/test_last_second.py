"""Killed between the last commit and the end: the same command again has nothing to fear."""

import random
import signal

import pyarrow.parquet as pq
import pytest

SECONDS = 0.05  # from the last commit to the end of the process, with room


@pytest.fixture
def job(worker, tmp_path, make_reviews, request):
    """Return `run(**command)` of a job, its output, and what an undisturbed run leaves."""
    folder, place = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    place.mkdir()
    for i in range(3):
        pq.write_table(make_reviews(60, i), folder / f"{i}.parquet")
    source, output = folder, place / "scored"
    if request.param == "file":
        source, output = folder / "0.parquet", place / "scores.parquet"

    def run(*options, **command):
        return worker.run(source, output, "--part-rows", "40", *options, **command)

    def left():
        return {p.relative_to(place): p.read_bytes() for p in place.rglob("*") if p.is_file()}

    return run, left


def steps_of(run, left, tmp_path):
    """Return the steps behind the last commit, counted from 1, and what the job leaves."""
    trace = tmp_path / "trace"
    assert run(fault={"step": 0, "action": "none", "trace": str(trace)})[0] == 0
    names = trace.read_text().split()
    commit = max(i for i, name in enumerate(names, 1) if name in ("replace", "link"))
    return range(commit, len(names) + 1), left()


@pytest.mark.parametrize("job", ["file", "folder"], indirect=True)
@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_killed_behind_the_last_commit(job, tmp_path, full, tally, options):
    run, left = job
    steps, whole = steps_of(run, left, tmp_path)
    draw = random.Random(0)
    faults = [{"step": n, "action": a} for n in steps for a in ("kill before", "kill after")][1:]
    later = {"step": steps[0], "action": "kill later"}
    faults += [{**later, "seconds": draw.uniform(0, SECONDS)} for _ in range(25 if full else 4)]
    killed = 0
    for fault in faults[:: 1 if full else 4]:
        # A run that nothing stops first, so that there is something to replace or to find.
        assert run("--overwrite", "--no-resume")[0] == 0
        if not options:
            empty(tmp_path / "out")
        code, said = run(*options, fault=fault)
        assert code in (0, -signal.SIGKILL), said
        killed += code != 0
        code, said = run(*options)
        assert code == 0, (fault, said)
        assert left() == whole, fault
    assert killed
    tally(
        "Killed between the last commit and the end: the same command again ends with exit code 0 "
        f"and nothing beside the output ({'a folder' if len(whole) > 1 else 'one file'}"
        f"{', --overwrite' if options else ''})",
        f"{len(faults)} kills, {killed} of them before the process had ended",
    )


def empty(place):
    for path in sorted(place.rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()
        else:
            path.rmdir()
