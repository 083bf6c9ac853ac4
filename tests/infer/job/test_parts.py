"""Part files: progress that survives a kill, bound to its job."""

import os
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from infer.base.errors import JobError, OutputError, SentError
from infer.job.parts import PartKey, is_interrupted, job_errors, locked, open_parts
from infer.model.profile import PROFILE_KEY, Profile
from infer.model.results import Scores
from infer.text.statuses import STATUSES

JOB = {"model": "1", "part rows": 2}
LABELS = ("negative", "positive")
# What two rows without a token are like.
EMPTY = replace(Profile.nothing(LABELS), statuses=dict(zip(STATUSES, (0, 0, 0, 2, 0), strict=True)))
A, B = PartKey.of("a", {"size": 1}), PartKey.of("b", {"size": 1})


def scores(*values):
    rows = len(values)
    return Scores(
        np.array(values, np.float32),
        np.zeros(rows, np.int16),
        np.zeros(rows, np.uint8),
        np.zeros((rows, 0), np.float32),
    )


class KilledError(Exception):
    """Ends a job as a crash does: what is there stays there."""


@contextmanager
def opened(folder, job=JOB, resume=True):
    with locked(folder), open_parts(folder, job, resume) as parts:
        yield parts


def interrupted(folder, job=JOB, add=((A, 0), (A, 2)), resume=True):
    """Run a job that stores parts of two rows and then dies."""
    with pytest.raises(KilledError), opened(folder, job, resume) as parts:
        for key, start in add:
            parts.add(key, start, scores(start, np.nan), EMPTY)
        raise KilledError


def resumed_rows(folder, job=JOB, resume=True, key=A):
    """Open the job again; return the rows of an input that are taken up."""
    with pytest.raises(KilledError), opened(folder, job, resume) as parts:
        read = np.concatenate([np.zeros(0), *(part.score for part in parts.read(key))])
        raise KilledError
    return len(read)


def test_parts_are_taken_up_by_the_same_job(tmp_path, said):
    folder = tmp_path / "scores.parquet.sent-parts"
    interrupted(folder)
    assert is_interrupted(folder)
    with opened(folder) as parts:
        assert parts.rows(A) == 4
        assert parts.rows(B) == 0
        read = [part.score.tolist() for part in parts.read(A)]
        np.testing.assert_equal(read, [[0.0, np.nan], [2.0, np.nan]])
        parts.drop(A)
    assert "Going on" in said()[0]
    assert not list(tmp_path.iterdir())  # done: nothing is left
    assert not is_interrupted(folder)


def refuse(folder, message):
    with pytest.raises(OutputError, match=message), opened(folder):
        pass


@pytest.mark.parametrize(
    ("job", "resume", "reason"),
    [
        (JOB | {"model": "2", "part rows": 3}, True, "changed since: model, part rows"),
        ({"part rows": 2}, True, "changed since: model"),
        (JOB, False, "--no-resume"),
    ],
)
def test_another_job_starts_over_and_says_why(tmp_path, said, job, resume, reason):
    folder = tmp_path / "scores.parquet.sent-parts"
    interrupted(folder)
    assert resumed_rows(folder, job, resume) == 0
    assert f"Starting over ({reason})" in said()[0]
    assert resumed_rows(folder) == 0  # nor are they taken up later
    assert len(said()) == 1


def test_a_job_that_leaves_nothing_to_resume_leaves_nothing(tmp_path):
    interrupted(tmp_path / "scores.parquet", add=())
    assert not list(tmp_path.iterdir())


def test_the_progress_of_other_files_is_kept(tmp_path, said):
    """A file less in the job, and its progress is there when it comes back."""
    folder = tmp_path / "out" / ".sent-parts"
    interrupted(folder, add=((A, 0), (B, 0)))
    with opened(folder) as parts:
        parts.drop(A)
    assert f"The progress of other files is kept in {folder}." in said()
    assert resumed_rows(folder, key=B) == 2


def test_parts_of_what_a_file_was_before_are_dropped(tmp_path):
    folder = tmp_path / "scores.parquet.sent-parts"
    changed = PartKey.of("a", {"size": 2})
    interrupted(folder, add=((A, 0), (B, 0)))
    with pytest.raises(KilledError), opened(folder) as parts:
        parts.drop_older(changed)
        assert [parts.rows(key) for key in (A, changed, B)] == [0, 0, 2]
        raise KilledError
    assert len(list(folder.glob("*.parquet"))) == 1


def test_what_an_older_version_left_is_removed(tmp_path):
    folder = tmp_path / "scores.parquet.sent-parts"
    folder.mkdir()
    for name in ("00000-000000000000-000000000002.parquet", "00001-output.json", "job.json"):
        (folder / name).write_text("{}")
    with opened(folder):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "flip", "missing", "empty"])
def test_damaged_parts_and_those_behind_them_are_dropped(tmp_path, damage):
    folder = tmp_path / "scores.parquet.sent-parts"
    interrupted(folder, add=((A, 0), (A, 2), (A, 4)))
    (part,) = folder.glob("*-000000000002-000000000004.parquet")
    content = bytearray(part.read_bytes())
    if damage == "missing":
        part.unlink()
    elif damage == "flip":
        content[content.index(np.float32(2.0).tobytes())] ^= 1
        part.write_bytes(content)
    else:
        part.write_bytes(content[: 0 if damage == "empty" else len(content) // 2])
    assert resumed_rows(folder) == 2
    assert resumed_rows(folder) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"model": 1}'])
def test_a_damaged_job_description_starts_over(tmp_path, content):
    folder = tmp_path / "scores.parquet.sent-parts"
    interrupted(folder)
    (folder / "job.json").write_text(content)
    assert resumed_rows(folder) == 0


def test_a_job_that_made_an_output_is_an_unfinished_one(tmp_path):
    """Its folder stays without a single part, so that --overwrite does not make it again."""
    folder = tmp_path / "scores.parquet.sent-parts"
    with pytest.raises(KilledError), opened(folder) as parts:
        parts.has_outputs = True
        raise KilledError
    assert is_interrupted(folder)


def test_two_runs_onto_one_output(tmp_path):
    folder = tmp_path / "scores.parquet.sent-parts"
    with opened(folder):
        refuse(folder, "another run is writing the output")
    with opened(folder):
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
    with opened(folder) as parts:
        parts.drop(A)
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "thesis.txt"]


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
            opened(folder) as parts,
            job_errors(),
        ):
            if start is not None:
                parts.add(A, start, scores(1, 2), EMPTY)
            raise error
        told = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
        assert ("the same command goes on from there" in told) == (start is not None)
        assert "\n" not in told


def test_parts_add_up_to_what_an_input_is_like(tmp_path):
    folder = tmp_path / "scores.parquet.sent-parts"
    interrupted(folder)
    with opened(folder) as parts:
        assert parts.profile(A, LABELS) == EMPTY + EMPTY
        assert parts.profile(B, LABELS) == Profile.nothing(LABELS)


@pytest.mark.parametrize("said", [None, "", "{}", "[" * 5_000, EMPTY.to_text().replace("2", "3")])
def test_a_part_that_does_not_tell_what_its_rows_are_like_is_scored_again(tmp_path, said):
    folder = tmp_path / "scores.parquet.sent-parts"
    interrupted(folder)
    part = next(path for path in sorted(folder.iterdir()) if "000000000002-" in path.name)
    table = pq.read_table(part)
    metadata = None if said is None else {PROFILE_KEY: said}
    pq.write_table(table.replace_schema_metadata(metadata), part)
    assert resumed_rows(folder) == 2
