"""Progress that survives a kill: part files by the output, each bound to the file it belongs to.

A part holds the scores of one window of rows of one input: some seven bytes a row, and four for
each further column. Its metadata counts what these rows are like, so that all parts together tell
it of the input, whoever scored them and when.

A part hangs on what its scores depend on: the input's content and text column, which its name
holds, and the model and settings, which `job.json` holds for the whole folder. It does not hang on
which other files a job has, nor on which columns are carried over.

::

    scores.parquet.sent-parts/
    ├── lock            held by the running job
    ├── job.json        what all scores here depend on: model, provider, settings, versions
    └── PLACE-CONTENT-000000000000-000000016384.parquet    rows 0 to 16,383 of an input

Where the output is a folder, its parts lie within it, in `.sent-parts`, hidden from what reads the
folder: of a container's file system often nothing else outlives the container.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infer.base.commit import TEMPORARY_SUFFIX, atomic_file
from infer.base.console import say
from infer.base.errors import InputError, JobError, OutputError
from infer.model.profile import PROFILE_KEY, Profile
from infer.model.results import Scores
from infer.table.columns import RESULT_COLUMNS

_JOB, _LOCK = "job.json", "lock"
_DIGITS: Final = 16
_PART: Final = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})-(\d{12,})-(\d{12,})\.parquet")
# What version 0.1.0 called its parts and notes: removed like ours, taken up never.
_OLDER: Final = re.compile(r"\d{5,}-(\d{12,}-\d{12,}\.parquet|output\.json)")


@dataclass(frozen=True)
class PartKey:
    """Which input a part belongs to.

    Attributes:
        place: hash of the output's place in the job's output folder.
        content: hash of what the input is (`InputFile.identity`) and of its text column.
    """

    place: str
    content: str

    @classmethod
    def of(cls, place: str, content: Mapping[str, Any]) -> "PartKey":
        """Hash a place and a JSON-ready description of the content."""
        return cls(_hash(place), _hash(json.dumps(content, sort_keys=True)))


class PartStore:
    """The folder of part files of one job; made by `open_parts`.

    Attributes:
        folder: where they lie.
        has_outputs: whether outputs of this job are there already, so that the folder, which says
            that they are of an unfinished job, is worth keeping.
    """

    def __init__(self, folder: Path) -> None:
        """Take a folder that is locked; drop parts that can be of no use to anybody."""
        self.folder = folder
        self.has_outputs = False
        self._parts: dict[PartKey, list[tuple[int, int, Path]]] = {}
        for path in sorted(folder.iterdir()):
            if match := _PART.fullmatch(path.name):
                place, content, start, end = match.groups()
                self._take(PartKey(place, content), int(start), int(end), path)

    def _take(self, key: PartKey, start: int, end: int, path: Path) -> None:
        if start == self.rows(key) and _is_whole(path, end - start):
            self._parts.setdefault(key, []).append((start, end, path))
        else:  # damaged, or behind a damaged one
            path.unlink()

    def rows(self, key: PartKey) -> int:
        """Return how many rows of an input are scored, counted from its first."""
        parts = self._parts.get(key)
        return parts[-1][1] if parts else 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost with the folder."""
        return not self._parts

    def add(self, key: PartKey, start: int, scores: Scores, profile: Profile) -> None:
        """Store the scores of an input from row `start` on; durable when this returns."""
        end = start + len(scores)
        path = self.folder / f"{key.place}-{key.content}-{start:012d}-{end:012d}.parquet"
        columns = (scores.score, scores.prediction, scores.status, *scores.further.T)
        further = (str(number) for number in range(scores.further.shape[1]))
        table = pa.table(columns, [*RESULT_COLUMNS, *further])
        table = table.replace_schema_metadata({PROFILE_KEY: profile.to_text()})
        with atomic_file(path) as temporary:
            pq.write_table(table, temporary, write_page_checksum=True)
        self._parts.setdefault(key, []).append((start, end, path))

    def read(self, key: PartKey) -> Iterator[Scores]:
        """Read the scores of an input in the order of its rows."""
        for _, _, path in self._parts.get(key, []):
            table = pq.read_table(path, page_checksum_verification=True)
            score, prediction, status, *further = (one.to_numpy() for one in table.columns)
            none = np.zeros((len(score), 0), np.float32)
            yield Scores(score, prediction, status, np.column_stack((none, *further)))

    def profile(self, key: PartKey, labels: tuple[str, ...]) -> Profile:
        """Return what an input's rows are like, as far as they are scored.

        Args:
            key: of the input.
            labels: names of the model's.
        """
        found = Profile.nothing(labels)
        for _, _, path in self._parts.get(key, []):
            found += _profile(pq.read_schema(path), labels)
        return found

    def drop(self, key: PartKey) -> None:
        """Remove the parts of an input: its output is there, or its content is another now."""
        for _, _, path in self._parts.pop(key, []):
            path.unlink(missing_ok=True)

    def drop_older(self, key: PartKey) -> None:
        """Remove the parts that stand at the key's place for another content."""
        for other in [k for k in self._parts if k.place == key.place and k != key]:
            self.drop(other)


@contextmanager
def open_parts(folder: Path, job: Mapping[str, Any], resume: bool) -> Iterator[PartStore]:
    """Take up the part files in a folder that is `locked`, or start over.

    Args:
        folder: what `Output.parts` returns.
        job: what every score depends on, JSON-ready; compared field by field.
        resume: go on from parts that are there; otherwise start over.

    Raises:
        OutputError: the folder cannot hold part files.
    """
    try:
        store = _take_up(folder, job, resume)
    except OSError as error:
        raise OutputError(f"{folder}: cannot hold part files ({error})") from error
    try:
        yield store
    except BaseException as error:
        if not store.is_empty or store.has_outputs:
            error.add_note(
                f"What is done is kept in {folder}: the same command goes on from there, "
                "--no-resume starts over"
            )
        else:
            _empty(folder)
        raise
    try:
        _close(store)
    except OSError as error:
        say(f"{folder}: could not be emptied ({error}). It is of no use any more")
    except KeyboardInterrupt:  # the job is done all the same
        _close(store)
        raise


def _take_up(folder: Path, job: Mapping[str, Any], resume: bool) -> PartStore:
    """Make the locked folder that of the job, with the parts that belong to it."""
    _remove_temporaries(folder)
    if reason := _why_not(folder, job) if resume else "--no-resume":
        if any(_PART.fullmatch(path.name) for path in folder.iterdir()):
            say(f"Starting over ({reason}): the parts in {folder} are dropped.")
        _empty(folder)
        with atomic_file(folder / _JOB) as temporary:
            temporary.write_text(json.dumps(job, sort_keys=True, indent=1))
    store = PartStore(folder)
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


def is_interrupted(folder: Path) -> bool:
    """Whether a job with these part files was interrupted, and may have committed some outputs."""
    return not folder.is_symlink() and (folder / _JOB).is_file()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _why_not(folder: Path, job: Mapping[str, Any]) -> str:
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
def locked(folder: Path) -> Iterator[None]:
    """Make the folder and hold its lock, which the kernel lets go when the process dies.

    What holds nothing but the lock in the end is removed.

    Raises:
        OutputError: another run holds it, or there is something else of that name.
    """
    handle = _hold(folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if [path.name for path in folder.iterdir()] == [_LOCK]:
                (folder / _LOCK).unlink()
                folder.rmdir()
        os.close(handle)


def _hold(folder: Path) -> int:
    """Open and lock the lock file that has its name in the end."""
    while True:
        try:
            handle = _open_lock(folder)
        except FileNotFoundError:
            continue  # the run before removed the folder in between
        except OSError as error:
            raise OutputError(f"{folder}: cannot hold part files ({error.strerror})") from error
        try:
            _lock(handle, folder)
        except BaseException:
            os.close(handle)
            raise
        if _is_current(handle, folder / _LOCK):
            return handle
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
    """Whether a part has every column and can be read to its end; pages carry checksums."""
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        is_whole = table.num_rows == rows and tuple(table.column_names[:3]) == RESULT_COLUMNS
        return is_whole and _profile(table.schema).rows == rows
    except (OSError, ValueError, pa.ArrowException):
        return False


def _profile(schema: pa.Schema, labels: tuple[str, ...] | None = None) -> Profile:
    """Return what a part's rows are like.

    Raises:
        ValueError: it does not say.
    """
    return Profile.from_text((schema.metadata or {}).get(PROFILE_KEY.encode(), b""), labels)


def _empty(folder: Path) -> None:
    """Remove all progress. The job's description goes first: half of it is not taken up."""
    (folder / _JOB).unlink(missing_ok=True)
    for path in folder.iterdir():
        if _PART.fullmatch(path.name) or _OLDER.fullmatch(path.name):
            path.unlink()


def _close(store: PartStore) -> None:
    """Empty the folder of a finished job, unless it holds the progress of other files."""
    if store.is_empty:
        _empty(store.folder)
        _remove_temporaries(store.folder)
    else:
        say(f"The progress of other files is kept in {store.folder}.")


def _remove_temporaries(folder: Path) -> None:
    for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        path.unlink()
