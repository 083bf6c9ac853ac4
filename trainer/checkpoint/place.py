"""The place of a checkpoint folder: whether it may be written, by one run at a time, and how.

A folder is written whole beside its place and put there by renaming.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from infer.base.commit import check_folder, sync, writable
from infer.base.errors import OutputError, TrainingError
from trainer.checkpoint.config import is_checkpoint

# Of a folder's name, so that there is room for `.NAME.new` in any file system in use.
MAX_NAME_BYTES: Final = 250


def check_place(folder: Path) -> None:
    """Make sure that a checkpoint may be written to `folder`.

    A checkpoint or an empty folder may be replaced; nothing else is.

    Raises:
        OutputError: something else is there, nothing can be made beside it, or it is a mount
            point, which cannot be renamed.
    """
    with writable(folder):
        _refuse_wrong_place(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
    check_folder(folder)


def _refuse_wrong_place(folder: Path) -> None:
    if folder.name in ("", ".."):
        raise OutputError(f"{folder}: expected the folder's name. Use --output with another path")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder}: not a folder. Use --output with another path")
    if folder.is_dir() and any(folder.iterdir()) and not is_checkpoint(folder):
        raise OutputError(
            f"{folder}: a folder that is no checkpoint and not empty; it is left as it is. "
            "Use --output with another path"
        )
    if os.path.ismount(folder):
        raise OutputError(
            f"{folder}: a mount point cannot be replaced. Use --output with a folder within it"
        )
    if (length := len(os.fsencode(folder.name))) > MAX_NAME_BYTES:
        raise OutputError(
            f"{folder}: the name has {length} bytes, expected at most {MAX_NAME_BYTES}. "
            "Use --output with another path"
        )


@contextmanager
def one_run(folder: Path) -> Iterator[None]:
    """Hold a place for the block, which no other run then writes to; a dead process holds none.

    Args:
        folder: the place, which `check_place` has looked at.

    Raises:
        OutputError: another run holds it.
    """
    with writable(folder):
        path, handle = _hold(folder)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _hold(folder: Path) -> tuple[Path, int]:
    """Open and lock the lock file that has its name in the end."""
    path = folder.with_name(f".{folder.name}.run")
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise OutputError(
                f"{folder}: another run is training there. Wait for its end, or use --output with "
                "another path"
            ) from None
        except OSError:  # some network file systems have no locks
            return path, handle
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                return path, handle
        os.close(handle)  # the run before took its name away in between


@contextmanager
def errors_told(folder: Path) -> Iterator[None]:
    """Turn what the system says while a checkpoint is written into one line.

    Raises:
        TrainingError: the disk is full or failing.
    """
    try:
        yield
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be written ({error})") from error


@contextmanager
def new_beside(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside a place, to be filled and put there; what is left of it goes.

    Raises:
        TrainingError: the disk is full or failing.
    """
    new = folder.with_name(f".{folder.name}.new")
    try:
        with errors_told(folder):
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
            yield new
    finally:
        recover(folder)
        shutil.rmtree(new, ignore_errors=True)


def sync_all(folder: Path) -> None:
    """Bring a folder and all that is in it to the disk."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def put(new: Path, folder: Path) -> None:
    """Rename `new` to `folder`; a kill in between leaves the old one as `.NAME.old`."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    sync(folder.parent)


def recover(folder: Path) -> None:
    """Put back a checkpoint whose replacement was killed between its two renames."""
    old = folder.with_name(f".{folder.name}.old")
    if not folder.exists() and is_checkpoint(old):
        old.rename(folder)
