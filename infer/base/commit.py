"""Files that appear whole or not at all.

A temporary sibling with a random name, fsync of the file, one rename, fsync of the folder: the
protocol that survives a crash at any instant (Pillai et al., OSDI 2014). Rename alone is atomic
but not durable.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import Final

from infer.base.errors import OutputError

TEMPORARY_SUFFIX = ".sent-tmp"
_RANDOM_BYTES = 8
_NAME_BYTES = 255  # of a file's name, in every file system in use
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)

FileKey = tuple[int, int]  # what a file is by whatever name: device and inode
NO_FILES: Final[Mapping[FileKey, Path]] = MappingProxyType({})


def file_keys(paths: Iterable[Path]) -> dict[FileKey, Path]:
    """Return those of the files that are there, by what tells them apart under any name."""
    keys = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            keys[status.st_dev, status.st_ino] = path
    return keys


def check_output(path: Path, overwrite: bool, inputs: Mapping[FileKey, Path] = NO_FILES) -> None:
    """Refuse an output path that must not be written, before any work is done.

    Args:
        path: where the output will stand.
        overwrite: an existing regular file may be replaced.
        inputs: `file_keys` of what the output must not be (by any name or hard link).

    Raises:
        OutputError: naming what is in the way and what to do.
    """
    _check_name(path)
    try:
        status = path.lstat()
    except FileNotFoundError:
        check_folder(path)
        return
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
    if stat.S_ISLNK(status.st_mode):
        raise OutputError(f"{path}: is a symbolic link. Name the file itself")
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(f"{path}: is not a regular file. Name another output")
    if (source := inputs.get((status.st_dev, status.st_ino))) is not None:
        raise OutputError(f"{path}: is the input {source}. Name another output")
    if not overwrite:
        raise OutputError(f"{path}: exists already. Use --overwrite to replace it")
    check_folder(path)


@contextmanager
def writable(output: object) -> Iterator[None]:
    """Turn what the system says about an impossible path into one line.

    Raises:
        OutputError: with the system's reason.
    """
    try:
        str(output).encode()
        yield
    except OSError as error:
        raise OutputError(f"{output}: cannot be written ({error.strerror})") from error
    except UnicodeEncodeError as error:
        raise OutputError(f"{str(output)!r}: the name is not UTF-8. Name another output") from error


@contextmanager
def atomic_file(
    path: Path, overwrite: bool = True, like: os.stat_result | None = None
) -> Iterator[Path]:
    """Yield a temporary path to write; it becomes `path` when the block ends well.

    When the block raises, the temporary file is removed and `path` is as it was. The temporary is
    locked while this process lives, so that no other job takes it for a killed one's.

    Args:
        path: the final path.
        overwrite: replace an existing file; otherwise one that appeared meanwhile is kept.
        like: the file whose content is passed on; nobody may read `path` who may not read that.

    Raises:
        OutputError: the file appeared meanwhile and `overwrite` is false.
    """
    temporary, handle = _locked_temporary(path)
    try:
        mode = _mode(path if overwrite else None, handle, like)
        _allow(handle, mode | stat.S_IRUSR | stat.S_IWUSR)
        yield temporary
        sync(temporary)
        _allow(handle, mode)
        if overwrite:
            temporary.replace(path)
        else:
            _publish_new(temporary, path)
        sync(path.parent)
    finally:
        # Where the disk fails so that not even this works, the error that led here is the news.
        with contextlib.suppress(OSError):
            temporary.unlink()
        os.close(handle)


def _locked_temporary(path: Path) -> tuple[Path, int]:
    """Make an empty temporary sibling, and hold its lock where the file system has locks."""
    while True:
        name = f".{path.name}.{secrets.token_hex(_RANDOM_BYTES)}{TEMPORARY_SUFFIX}"
        temporary = path.with_name(name)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if temporary.exists():
            return temporary, handle
        os.close(handle)  # taken for a killed run's before it was locked


def _mode(old: Path | None, handle: int, like: os.stat_result | None) -> int:
    """Return the permissions of a file: the replaced one's, and none that `like` does not give."""
    status = os.fstat(handle)
    mode = stat.S_IMODE(status.st_mode)
    with contextlib.suppress(FileNotFoundError):
        mode = stat.S_IMODE(old.stat().st_mode) & 0o777 if old is not None else mode
    if like is not None:
        allowed = stat.S_IMODE(like.st_mode)
        if like.st_gid != status.st_gid:  # that group is not this one: what others may, it may
            allowed = (allowed & ~0o070) | (allowed & 0o007) << 3
        mode &= allowed | stat.S_IRUSR | stat.S_IWUSR
    return mode


def _allow(handle: int, mode: int) -> None:
    """Set a file's permissions, where the file system knows any."""
    if stat.S_IMODE(os.fstat(handle).st_mode) != mode:
        with contextlib.suppress(PermissionError):
            os.fchmod(handle, mode)


def remove_stale_temporaries(path: Path) -> None:
    """Remove temporary siblings that a killed run left, and none that a live run holds."""
    # As many characters as there are random ones: `scores.x` must not reach `scores.x.parquet`.
    random = "?" * (2 * _RANDOM_BYTES)
    for stale in path.parent.glob(f".{glob_escape(path.name)}.{random}{TEMPORARY_SUFFIX}"):
        with contextlib.suppress(OSError):  # held by a live run, or another user's
            handle = os.open(stale, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stale.unlink(missing_ok=True)
            finally:
                os.close(handle)


def glob_escape(name: str) -> str:
    """Escape the characters that a glob would expand."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _publish_new(temporary: Path, path: Path) -> None:
    """Give the file its name unless that is taken: where a rename replaces, a hard link fails."""
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise OutputError(
            f"{path}: appeared while this run was working; it was kept. Use --overwrite"
        ) from error
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if os.path.lexists(path):
            raise OutputError(f"{path}: appeared while this run was working; it was kept") from None
        temporary.replace(path)


def _check_name(path: Path) -> None:
    room = _NAME_BYTES - len(f"..{TEMPORARY_SUFFIX}") - 2 * _RANDOM_BYTES
    if len(os.fsencode(path.name)) > room:
        raise OutputError(
            f"{path}: the name has {len(os.fsencode(path.name))} bytes, expected at most {room}. "
            "Use a shorter one"
        )


def check_folder(path: Path) -> None:
    """Refuse a path in whose folder, or the nearest one that is there, nothing can be made.

    Raises:
        OutputError: naming that folder.
    """
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(f"{path}: {folder} is not a folder")
    try:
        with TemporaryFile(dir=folder):  # what permissions say is not the whole truth
            pass
    except OSError as error:
        raise OutputError(
            f"{path}: the folder {folder} is not writable ({error.strerror}). Name another output"
        ) from error


def sync(path: Path) -> None:
    """Bring a file or a folder to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
