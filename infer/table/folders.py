"""What lies below a folder: its files of a kind, each once, and what was passed over."""

import contextlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import pyarrow as pa
from pyarrow import fs

from infer.base.errors import InputError
from infer.base.shown import printable
from infer.table.places import told

PARTS_SUFFIX = ".sent-parts"  # of the folder that keeps a job's part files
_SHOWN: Final = 5
LOCAL: Final = fs.LocalFileSystem()
Parts = tuple[str, ...]

# Folders whose files are not all rows of the table: what lies in them → what they are, and what
# tells which files are live. (Iceberg is told by what its folder `metadata` holds.)
_TABLE_FORMATS: Final = {
    "_delta_log": ("Delta table", "deltalake.DeltaTable(path).file_uris()"),
    ".hoodie": (
        "Hudi table",
        "hudi.HudiTableBuilder.from_base_uri(path).build().get_file_slices()",
    ),
    "_spark_metadata": ("log of a Spark stream's files", "spark.read.parquet(path).inputFiles()"),
    "metadata": ("table of Iceberg", "pyiceberg's table.scan().plan_files()"),
}
_ICEBERG_FILES: Final = (".metadata.json", "version-hint.text")

# Why something is passed over, as it is said behind a number.
HIDDEN, PARTS = "hidden by a leading . or _", "of a job's part files"
OTHERS, LOST = "of another format", "links to nothing"
AGAIN = "links to what is read anyway"


@dataclass
class Listing:
    """What was found below a folder.

    Attributes:
        files: places of files below the folder, sorted.
        passed_over: places of what is not read, by the reason.
    """

    files: list[PurePosixPath] = field(default_factory=list)
    passed_over: dict[str, list[PurePosixPath]] = field(default_factory=dict)

    def passes_over(self, reason: str, place: PurePosixPath) -> None:
        """Note what is not read."""
        self.passed_over.setdefault(reason, []).append(place)

    def remark(self, source: str) -> str:
        """Say what was passed over: a line, or nothing."""
        if not self.passed_over:
            return ""
        kinds = [
            f"{len(places):,} {reason} ({_some(places)})"
            for reason, places in sorted(self.passed_over.items())
        ]
        return f"Passed over in {source}: {', '.join(kinds)}."


def _some(places: Sequence[PurePosixPath]) -> str:
    names = [str(place) for place in sorted(places)[:_SHOWN]]
    return ", ".join(names) + (", …" if len(places) > _SHOWN else "")


def why_not_data(parts: Parts) -> str:
    """Return why a place below a folder is not data by its name, or nothing."""
    if any(map(_is_hidden, parts)):
        return HIDDEN
    return PARTS if any(part.endswith(PARTS_SUFFIX) for part in parts) else ""


def _is_hidden(name: str) -> bool:
    """Whether a name is hidden by convention; `_lang=en` is a partition."""
    if name == "..":
        return False
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def list_folder(
    filesystem: fs.FileSystem,
    folder: str,
    source: str,
    wanted: Callable[[Parts], bool],
    leads: Callable[[Parts], bool] | None = None,
) -> Listing:
    """List the files below a folder, each folder once however many links lead to it.

    Args:
        filesystem: where the folder lies.
        folder: its path there.
        source: what the user called it, for messages.
        wanted: whether a file at a place below the folder is asked for.
        leads: whether a folder at a place may hold such files; None: all may, and whatever is not
            read is noted.

    Raises:
        InputError: it cannot be listed, belongs to a table format, or what is asked for cannot be
            read (a link to nothing, a pipe).
    """
    if isinstance(filesystem, fs.LocalFileSystem):
        _check_above(filesystem, os.path.realpath(folder), source)
        listing = _Walk(source, folder, wanted, leads).run()
    else:
        _check_above(filesystem, folder, source)
        listing = _list_remote(filesystem, folder, source, wanted, leads is None)
    listing.files.sort()
    return listing


def _check_above(filesystem: fs.FileSystem, folder: str, source: str) -> None:
    """Refuse a folder that lies in a table of another format."""
    path = PurePosixPath(folder)
    markers = [str(place / name) for place in (path, *path.parents) for name in _TABLE_FORMATS]
    with contextlib.suppress(OSError, pa.ArrowException):  # what may not be seen is not known
        for info in filesystem.get_file_info(markers):
            if info.type == fs.FileType.Directory and _is_table(filesystem, info.path):
                raise _table_error(source, PurePosixPath(info.path).name)


def _is_table(filesystem: fs.FileSystem, marker: str) -> bool:
    if PurePosixPath(marker).name != "metadata":
        return True
    listed = filesystem.get_file_info(fs.FileSelector(marker))
    return any(info.path.endswith(_ICEBERG_FILES) for info in listed)


def _table_error(source: str, marker: str) -> InputError:
    kind, how = _TABLE_FORMATS[marker]
    return InputError(
        f"{source}: a {kind} ({marker} lies in or above it), whose folder holds files that are no "
        f"longer part of it. Name its live files, which {how} lists, or write its rows as plain "
        "Parquet first"
    )


class _Walk:
    """A walk through a folder of this machine; links come last, so that names without them win."""

    def __init__(
        self,
        source: str,
        folder: str,
        wanted: Callable[[Parts], bool],
        leads: Callable[[Parts], bool] | None,
    ) -> None:
        self._source, self._folder = source, folder or "."
        self._wanted, self._leads = wanted, leads
        self._listing = Listing()
        self._seen: set[tuple[int, int]] = set()
        self._folders: deque[Parts] = deque([()])
        self._links: deque[Parts] = deque()
        self._unusable: list[str] = []

    def run(self) -> Listing:
        """Walk to the end."""
        while self._folders or self._links:
            if self._folders:
                self._enter(self._folders.popleft())
            else:
                self._follow(self._links.popleft())
        if self._unusable:
            raise InputError(f"{self._source}: {', '.join(self._unusable)}. Remove or mend them")
        return self._listing

    def _enter(self, parts: Parts) -> None:
        path = os.path.join(self._folder, *parts)  # noqa: PTH118 - names that are not UTF-8
        try:
            status = os.stat(path)  # noqa: PTH116
            if (key := (status.st_dev, status.st_ino)) in self._seen:
                return
            self._seen.add(key)
            with os.scandir(path) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    self._meet(entry, (*parts, entry.name))
        except OSError as error:
            raise InputError(
                f"{self._source}: {printable(path)} cannot be listed ({error.strerror})"
            ) from error

    def _meet(self, entry: "os.DirEntry[str]", parts: Parts) -> None:
        is_folder = entry.is_dir()
        if is_folder and entry.name in _TABLE_FORMATS and _is_table(LOCAL, entry.path):
            raise _table_error("/".join((self._source, *parts[:-1])), entry.name)
        asked = self._leads_on(parts) if is_folder else self._wanted(parts)
        if why_not_data(parts):
            if self._leads is None or (asked and not is_folder):
                self._pass(why_not_data(parts), parts)
        elif asked:
            self._keep(entry, parts, is_folder)
        elif self._leads is None:
            self._pass(LOST if entry.is_symlink() and not entry.is_file() else OTHERS, parts)

    def _leads_on(self, parts: Parts) -> bool:
        return self._leads is None or self._leads(parts)

    def _keep(self, entry: "os.DirEntry[str]", parts: Parts, is_folder: bool) -> None:
        if entry.is_symlink():
            self._links.append(parts)
        elif is_folder:
            self._folders.append(parts)
        else:
            self._take(entry.stat(), parts)

    def _follow(self, parts: Parts) -> None:
        """Read what a link leads to, unless it is read anyway."""
        try:
            status = Path(self._folder, *parts).stat()
        except OSError as error:
            self._unusable.append(f"{'/'.join(parts)} is a link to nothing ({error.strerror})")
            return
        if (status.st_dev, status.st_ino) in self._seen:
            self._pass(AGAIN, parts)
        elif stat.S_ISDIR(status.st_mode):
            self._folders.append(parts)
        else:
            self._take(status, parts)

    def _take(self, status: os.stat_result, parts: Parts) -> None:
        if not stat.S_ISREG(status.st_mode):
            self._unusable.append(f"{'/'.join(parts)} is not a regular file")
            return
        self._seen.add((status.st_dev, status.st_ino))
        self._listing.files.append(PurePosixPath(*parts))

    def _pass(self, reason: str, parts: Parts) -> None:
        self._listing.passes_over(reason, PurePosixPath(*parts))


def _list_remote(
    filesystem: fs.FileSystem,
    folder: str,
    source: str,
    wanted: Callable[[Parts], bool],
    is_whole: bool,
) -> Listing:
    listing = Listing()
    for place in _remote_files(filesystem, folder, source):
        _check_in_table(source, place.parts)
        asked, reason = wanted(place.parts), why_not_data(place.parts)
        if asked and not reason:
            listing.files.append(place)
        elif asked or is_whole:
            listing.passes_over(reason or OTHERS, place)
    return listing


def _check_in_table(source: str, parts: Parts) -> None:
    """Refuse a file below a folder that belongs to a table of another format."""
    for number, part in enumerate(parts[:-1]):
        if part in _TABLE_FORMATS and (part != "metadata" or parts[-1].endswith(_ICEBERG_FILES)):
            raise _table_error("/".join((source, *parts[:number])), part)


def _remote_files(filesystem: fs.FileSystem, folder: str, source: str) -> Iterator[PurePosixPath]:
    try:
        listed = filesystem.get_file_info(fs.FileSelector(folder, recursive=True))
    except UnicodeDecodeError as error:
        name = error.object.decode("utf-8", "backslashreplace")
        raise InputError(f"{source}: the name '{name}' in it is not UTF-8. Rename it") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{source}: cannot be listed ({told(error)})") from error
    for info in listed:
        if info.is_file:
            yield PurePosixPath(info.path).relative_to(PurePosixPath(folder))
