"""Progress that survives a kill: part files by the output, bound to the job they belong to.

A part holds the scores of one window of rows and nothing else, some five bytes a row. The output
is written from the input and the parts in one pass at the end, the same way whether or not the
job was interrupted, so a resumed job ends in the same bytes.

::

    scores.parquet.sent-parts/
    ├── lock            held by the running job
    ├── job.json        the fingerprint: inputs, model, options, version
    ├── 00000-000000000000-000000016384.parquet    input 0, rows 0 to 16,383
    └── 00000-output.json                          which file input 0 became

Where the output is a folder, its parts lie within it, in `.sent-parts`, hidden from what reads the
folder: of a container's file system often nothing else outlives the container.
"""

import contextlib
import fcntl
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from infer.base.commit import TEMPORARY_SUFFIX, atomic_file
from infer.base.errors import InputError, JobError, OutputError
from infer.table.folders import PARTS_SUFFIX

_JOB, _LOCK = "job.json", "lock"
_PART: Final = re.compile(r"(\d{5,})-(\d{12,})-(\d{12,})\.parquet")
_COMMIT_NOTE: Final = re.compile(r"\d{5,}-output\.json")


@dataclass(frozen=True)
class Scores:
    """Scores of consecutive rows.

    Attributes:
        score: (R,) float32 probability of the positive label, NaN where there is none.
        status: (R,) uint8, positions in `infer.text.encoding.STATUSES`.
    """

    score: npt.NDArray[np.float32]
    status: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.score)

    def slice(self, start: int, end: int) -> "Scores":
        """Return the rows from `start` to before `end`."""
        return Scores(self.score[start:end], self.status[start:end])


class PartStore:
    """The folder of part files of one job; made by `open_parts`."""

    def __init__(self, folder: Path) -> None:
        """Take a folder that is locked and belongs to the job; drop parts that are of no use."""
        self.folder = folder
        self._parts: dict[int, list[tuple[int, int, Path]]] = {}
        for path in sorted(folder.iterdir()):
            if match := _PART.fullmatch(path.name):
                index, start, end = map(int, match.groups())
                if start == self.rows(index) and _is_whole(path, end - start):
                    self._parts.setdefault(index, []).append((start, end, path))
                else:  # damaged, or behind a damaged one
                    path.unlink()

    def rows(self, index: int) -> int:
        """Return how many rows of input `index` are scored, counted from its first."""
        parts = self._parts.get(index)
        return parts[-1][1] if parts else 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost with the folder."""
        return not any(map(_is_progress, self.folder.iterdir()))

    def add(self, index: int, start: int, scores: Scores) -> None:
        """Store the scores of input `index` from row `start` on; durable when this returns."""
        end = start + len(scores)
        path = self.folder / f"{index:05d}-{start:012d}-{end:012d}.parquet"
        table = pa.table({"score": scores.score, "status": scores.status})
        with atomic_file(path) as temporary:
            pq.write_table(table, temporary, write_page_checksum=True)
        self._parts.setdefault(index, []).append((start, end, path))

    def read(self, index: int) -> Iterator[Scores]:
        """Read the scores of input `index` in the order of its rows."""
        for _, _, path in self._parts.get(index, []):
            table = pq.read_table(path, page_checksum_verification=True)
            yield Scores(table["score"].to_numpy(), table["status"].to_numpy())

    def committing(self, index: int, identity: dict[str, Any]) -> None:
        """Note which file input `index` is about to become, just before it takes its name."""
        with atomic_file(self._commit_note(index)) as temporary:
            temporary.write_text(json.dumps(identity))

    def committed(self, index: int) -> dict[str, Any] | None:
        """Return the note of `committing`, or None."""
        try:
            note: dict[str, Any] = json.loads(self._commit_note(index).read_text())
        except (OSError, ValueError):
            return None
        return note

    def _commit_note(self, index: int) -> Path:
        return self.folder / f"{index:05d}-output.json"


@contextmanager
def open_parts(
    folder: Path,
    job: dict[str, Any],
    resume: bool,
    say: Callable[[str], None],
    check: Callable[[], None] = lambda: None,
) -> Iterator[PartStore]:
    """Open the part files of a job, starting over when they belong to another one.

    Args:
        folder: what `parts_folder` returns for the job's output; it is made.
        job: what the results depend on, JSON-ready; compared field by field.
        resume: go on from parts that are there; otherwise start over.
        say: called with one line when parts are taken up or thrown away.
        check: called before the job starts over; what it raises keeps the parts of the other one.

    Raises:
        OutputError: another run is working on this output, or the folder is not ours.
    """
    with _locked(folder):
        try:
            yield _take_up(folder, job, resume, say, check)
        except BaseException as error:
            _leave(folder, error)
            raise
        try:
            _remove(folder)
        except OSError as error:
            say(f"{folder}: could not be removed ({error}). It is of no use any more")
        except KeyboardInterrupt:  # the job is done all the same
            _remove(folder)
            raise


def _leave(folder: Path, error: BaseException) -> None:
    """Let the error say what is kept and how to go on; keep no folder without progress."""
    with contextlib.suppress(OSError):
        if any(map(_is_progress, folder.iterdir())):
            error.add_note(
                f"What is done is kept in {folder}: the same command goes on from there, "
                "--no-resume starts over"
            )
        else:
            _remove(folder)


def _take_up(
    folder: Path,
    job: dict[str, Any],
    resume: bool,
    say: Callable[[str], None],
    check: Callable[[], None],
) -> PartStore:
    """Make the locked folder that of the job, with the parts that belong to it."""
    try:
        _remove_temporaries(folder)
        reason = _why_not(folder, job) if resume else "--no-resume"
        if reason:
            others = any(_PART.fullmatch(path.name) for path in folder.iterdir())
            try:
                check()
            except OutputError as error:
                if others:
                    error.add_note(f"This is not the job that was interrupted ({reason})")
                raise
            if others:
                say(f"Starting over ({reason}): the parts in {folder} are dropped.")
            _empty(folder)
            with atomic_file(folder / _JOB) as temporary:
                temporary.write_text(json.dumps(job, sort_keys=True, indent=1))
        store = PartStore(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot hold part files ({error})") from error
    if not store.is_empty:
        say(f"Going on from the parts in {folder}.")
    return store


@contextmanager
def job_errors() -> Iterator[None]:
    """Turn what the machine does to a job into one line.

    Raises:
        JobError: the disk is full or failing, the memory is out, or an input cannot be read on.
    """
    try:
        yield
    except (OSError, InputError, pa.ArrowException, MemoryError) as error:
        raise JobError(" ".join(str(error).split()) or "out of memory") from error


def parts_folder(output: Path, single: bool) -> Path:
    """Return where the part files of a job lie: beside its one output, or in its output folder."""
    return output.with_name(output.name + PARTS_SUFFIX) if single else output / PARTS_SUFFIX


def is_interrupted(folder: Path) -> bool:
    """Whether a job with these part files was interrupted, and may have committed some outputs."""
    return not folder.is_symlink() and (folder / _JOB).is_file()


def _why_not(folder: Path, job: dict[str, Any]) -> str:
    """Return what keeps the parts of an earlier run from being taken up, or nothing."""
    try:
        before = json.loads((folder / _JOB).read_text())
    except (OSError, ValueError):
        return "no earlier run"
    if not isinstance(before, dict):
        return "no earlier run"
    changed = [key for key in sorted(job.keys() | before.keys()) if job.get(key) != before.get(key)]
    return f"changed since: {', '.join(changed)}" if changed else ""


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel lets it go when the process dies."""
    while True:
        try:
            handle = _open_lock(folder)
        except FileNotFoundError:
            continue  # the run before removed the folder in between
        except OSError as error:
            raise OutputError(f"{folder}: cannot hold part files ({error.strerror})") from error
        try:
            _lock(handle, folder)
            if _is_current(handle, folder / _LOCK):
                yield
                return
        finally:
            os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"{folder}: another run is writing the output that these parts belong to. Wait for "
            "that, or name another output"
        ) from error
    except OSError as error:  # some network file systems have no locks
        raise OutputError(
            f"{folder}: cannot be locked ({error.strerror}). Name an output on another disk"
        ) from error


def _open_lock(folder: Path) -> int:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(0o700)  # the input may be nobody else's business
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise OutputError(
            f"{folder}: is no folder of this job's part files (a file or a symbolic link). "
            "Remove it, or name another output"
        )
    return os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)


def _is_current(handle: int, path: Path) -> bool:
    """Whether the locked file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _is_whole(path: Path, rows: int) -> bool:
    """Whether a part can be read to its end; pages carry checksums."""
    try:
        return bool(pq.read_table(path, page_checksum_verification=True).num_rows == rows)
    except (OSError, pa.ArrowException):
        return False


def _is_progress(path: Path) -> bool:
    return bool(_PART.fullmatch(path.name) or _COMMIT_NOTE.fullmatch(path.name))


def _empty(folder: Path) -> None:
    (folder / _JOB).unlink(missing_ok=True)
    for path in filter(_is_progress, folder.iterdir()):
        path.unlink()


def _remove(folder: Path) -> None:
    """Remove the job's files, and the folder unless others are in it.

    The job's description goes first: what a kill leaves of a finished job is not taken up.
    """
    _empty(folder)
    _remove_temporaries(folder)
    (folder / _LOCK).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _remove_temporaries(folder: Path) -> None:
    for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        path.unlink()
