"""Part files: progress that survives a kill, bound to its job."""

import os

import numpy as np
import pytest

from infer.base.errors import JobError, OutputError, SentError
from infer.job.parts import Scores, is_interrupted, job_errors, open_parts

JOB = {"inputs": [{"name": "a"}], "model": "1", "part rows": 2}


def scores(*values):
    return Scores(np.array(values, np.float32), np.zeros(len(values), np.uint8))


class KilledError(Exception):
    """Ends a job as a crash does: what is there stays there."""


def interrupted(folder, job=JOB, add=((0, 0), (0, 2)), resume=True):
    """Run a job that stores parts of two rows and then dies; return what it said."""
    said = []
    with pytest.raises(KilledError), open_parts(folder, job, resume, said.append) as parts:
        for index, start in add:
            parts.add(index, start, scores(start, np.nan))
        raise KilledError
    return said


def resumed_rows(folder, job=JOB, resume=True):
    """Open the job again; return the rows that are taken up and what is said."""
    said = []
    with pytest.raises(KilledError), open_parts(folder, job, resume, said.append) as parts:
        read = np.concatenate([np.zeros(0), *(part.score for part in parts.read(0))])
        raise KilledError
    return len(read), " ".join(said)


def test_parts_are_taken_up_by_the_same_job(tmp_path):
    folder = tmp_path / "scores.parquet.sent-parts"
    interrupted(folder)
    assert is_interrupted(folder)
    said = []
    with open_parts(folder, JOB, True, said.append) as parts:
        assert parts.rows(0) == 4
        assert parts.rows(1) == 0
        read = [part.score.tolist() for part in parts.read(0)]
        np.testing.assert_equal(read, [[0.0, np.nan], [2.0, np.nan]])
    assert "Going on" in said[0]
    assert not list(tmp_path.iterdir())  # done: nothing is left
    assert not is_interrupted(folder)


def refuse(folder, message):
    with pytest.raises(OutputError, match=message), open_parts(folder, JOB, True, print):
        pass


@pytest.mark.parametrize(
    ("job", "resume", "reason"),
    [
        (JOB | {"inputs": [{"name": "b"}]}, True, "changed since: inputs"),
        (JOB | {"model": "2", "part rows": 3}, True, "changed since: model, part rows"),
        ({"inputs": [{"name": "a"}], "part rows": 2}, True, "changed since: model"),
        (JOB, False, "--no-resume"),
    ],
)
def test_another_job_starts_over_and_says_why(tmp_path, job, resume, reason):
    folder = tmp_path / "scores.parquet.sent-parts"
    interrupted(folder)
    rows, said = resumed_rows(folder, job, resume)
    assert rows == 0
    assert f"Starting over ({reason})" in said
    assert resumed_rows(folder) == (0, "")  # nor are they taken up later


def test_a_job_that_leaves_nothing_to_resume_leaves_nothing(tmp_path):
    assert interrupted(tmp_path / "scores.parquet", add=()) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "flip", "missing", "empty"])
def test_damaged_parts_and_those_behind_them_are_dropped(tmp_path, damage):
    folder = tmp_path / "scores.parquet.sent-parts"
    interrupted(folder, add=((0, 0), (0, 2), (0, 4)))
    part = folder / "00000-000000000002-000000000004.parquet"
    content = bytearray(part.read_bytes())
    if damage == "missing":
        part.unlink()
    elif damage == "flip":
        content[content.index(np.float32(2.0).tobytes())] ^= 1
        part.write_bytes(content)
    else:
        part.write_bytes(content[: 0 if damage == "empty" else len(content) // 2])
    assert resumed_rows(folder)[0] == 2
    assert resumed_rows(folder)[0] == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"model": 1}'])
def test_a_damaged_job_description_starts_over(tmp_path, content):
    folder = tmp_path / "scores.parquet.sent-parts"
    interrupted(folder)
    (folder / "job.json").write_text(content)
    assert resumed_rows(folder)[0] == 0


def test_commit_notes(tmp_path):
    folder = tmp_path / "scores.parquet.sent-parts"
    with pytest.raises(KilledError), open_parts(folder, JOB, True, print) as parts:
        assert parts.committed(0) is None
        parts.committing(0, {"size": 1})
        raise KilledError  # an input without rows has a note and no part
    with open_parts(folder, JOB, True, print) as parts:
        assert parts.committed(0) == {"size": 1}
        (parts.folder / "00000-output.json").write_text("{")
        assert parts.committed(0) is None


def test_two_runs_onto_one_output(tmp_path):
    folder = tmp_path / "scores.parquet.sent-parts"
    with open_parts(folder, JOB, True, print):
        refuse(folder, "another run is writing the output")
    with open_parts(folder, JOB, True, print):
        pass


@pytest.mark.parametrize("kind", ["symlink", "dangling", "file", "pipe"])
def test_a_folder_that_is_none_is_not_followed(tmp_path, kind):
    folder, other = tmp_path / "scores.parquet.sent-parts", tmp_path / "other"
    if kind == "file":
        folder.touch()
    elif kind == "pipe":
        os.mkfifo(folder)
    else:
        folder.symlink_to(other)
    if kind == "symlink":
        other.mkdir()
        (other / "job.json").write_text("mine")
    refuse(folder, "is no folder of this job's part files")
    assert not is_interrupted(folder)
    if kind == "symlink":
        assert [path.name for path in other.iterdir()] == ["job.json"]


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    folder = tmp_path / "scores.parquet.sent-parts"
    folder.mkdir()
    (folder / "lock").symlink_to(tmp_path / "other")
    refuse(folder, "cannot hold part files")
    assert not (tmp_path / "other").exists()


def test_foreign_files_in_the_folder_are_not_touched(tmp_path):
    folder = tmp_path / "scores.parquet.sent-parts"
    interrupted(folder)
    (folder / "thesis.txt").write_text("years of work")
    with open_parts(folder, JOB, True, print):
        pass
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (OSError(28, "No space left on device"), JobError),
        (MemoryError(), JobError),
        (SentError("x"), SentError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_errors_say_what_is_kept(tmp_path, error, becomes):
    folder = tmp_path / "scores.parquet.sent-parts"
    for start in (None, 0):
        with (
            pytest.raises(becomes) as caught,
            open_parts(folder, JOB, True, print) as parts,
            job_errors(),
        ):
            if start is not None:
                parts.add(0, start, scores(1, 2))
            raise error
        told = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
        assert ("the same command goes on from there" in told) == (start is not None)
        assert "\n" not in told
