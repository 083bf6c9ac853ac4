"""Many runs onto one output: one whole winner, and every other run says what is in its way."""

import pytest


@pytest.mark.parametrize("overwrite", [False, True])
def test_eight_processes_onto_one_output(case, reader, full, tally, overwrite):
    rounds = 25 if full else 2
    won = 0
    options = (*case.options, *(["--overwrite"] if overwrite else []))
    for _ in range(rounds):
        if not overwrite:
            case.output.unlink()
        with reader(case.output) as watching:
            jobs = [case.worker.start(case.source, case.output, *options) for _ in range(8)]
            codes = [job.wait() for job in jobs]
        assert set(codes) <= {0, 2}, [job.stderr for job in jobs]
        assert codes.count(0) >= 1
        for job, code in zip(jobs, codes, strict=True):
            reasons = ("another run is writing the output", "exists already", "appeared while")
            assert code == 0 or any(reason in job.stderr for reason in reasons), job.stderr
        assert watching.seen <= watching.allowed | {None}
        assert case.output.read_bytes() == case.expected
        assert [path.name for path in case.output.parent.iterdir()] == ["out.parquet"]
        won += codes.count(0)
        case.reset()
    tally(
        "Eight runs onto one output" + (" with --overwrite" if overwrite else "") + ": one whole "
        "winner, the others say why not",
        f"{rounds} × 8 processes, {won} of them came through",
    )
