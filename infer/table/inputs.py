"""What is to be scored: files, folders, globs, URIs and stdin → files and their output paths."""

import fnmatch
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pyarrow import fs

from infer.base.errors import InputError, all_at_once
from infer.table.folders import Listing, Parts, list_folder
from infer.table.formats import ENDINGS, has_known_ending
from infer.table.places import Place, check_utf8, locate, told

_FOOTER_TAIL = 8  # a Parquet file ends with its footer's length and the letters PAR1
_GLOB = frozenset("*?[")
# What `-` names, and where it lies.
_DASH = "-"
STDIN = "/dev/stdin"


@dataclass(frozen=True)
class InputFile:
    """One file to score.

    Attributes:
        filesystem: where it lies.
        path: its path there.
        name: what messages call it: the path or URI as the user would write it.
        relative: its place below the folder, glob or list it came from.
    """

    filesystem: fs.FileSystem
    path: str
    name: str
    relative: PurePosixPath

    @property
    def is_local(self) -> bool:
        """Whether `path` is a path of this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def status(self) -> os.stat_result | None:
        """Return what the operating system says of the file, None where it is not here."""
        return Path(self.path).stat() if self.is_local else None

    def size(self) -> int:
        """Return how many bytes it has.

        Raises:
            InputError: it cannot be read.
        """
        try:
            return int(self.filesystem.get_file_info(self.path).size or 0)
        except Exception as error:  # fsspec hands on whatever a client raises
            raise InputError(f"{self.name}: cannot be read ({told(error, self.path)})") from error

    def identity(self) -> dict[str, Any]:
        """Return what changes when the file changes: name, size, time and a hash of the footer.

        The name is without credentials and signatures: those change while the file does not.

        Raises:
            InputError: it cannot be read.
        """
        try:
            info = self.filesystem.get_file_info(self.path)
            content = content_identity(self.filesystem, self.path)
        except Exception as error:  # fsspec hands on whatever a client raises
            raise InputError(f"{self.name}: cannot be read ({told(error, self.path)})") from error
        return {"name": self.name, "mtime_ns": info.mtime_ns, **content}


@dataclass(frozen=True)
class Inputs:
    """The files of a job.

    Attributes:
        files: at least one.
        single: one file was named, and one file comes out.
        folders: folders of this machine that were searched.
        remote_folders: URIs of others.
        remarks: what was passed over in folders, a line each.
    """

    files: tuple[InputFile, ...]
    single: bool
    folders: tuple[Path, ...] = ()
    remote_folders: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def find_inputs(sources: Sequence[str]) -> Inputs:
    """Resolve what the user named.

    Args:
        sources: paths, folders, globs, URIs that pyarrow or fsspec opens (`s3://bucket/key`), or
            `-` for stdin.

    Raises:
        InputError: something is not there, or holds no table; all of these at once.
    """
    found: list[Inputs] = []
    errors: list[InputError] = []
    for source in sources:
        try:
            found.append(_find(source))
        except InputError as error:
            errors.append(error)
    all_at_once(errors, len(sources), "inputs")
    files = [file for inputs in found for file in inputs.files]
    return Inputs(
        files=tuple(files),
        single=len(found) == 1 and found[0].single,
        folders=tuple(folder for inputs in found for folder in inputs.folders),
        remote_folders=tuple(name for inputs in found for name in inputs.remote_folders),
        remarks=tuple(remark for inputs in found for remark in inputs.remarks),
    )


def _find(source: str) -> Inputs:
    """Resolve one thing that the user named."""
    if source == _DASH:
        stdin = InputFile(fs.LocalFileSystem(), STDIN, "stdin", PurePosixPath("stdin.parquet"))
        return Inputs((stdin,), single=True)
    place = locate(source)
    if place.type == fs.FileType.NotFound and place.may_be_pattern and _GLOB & set(place.path):
        return _expand(place)
    if place.type == fs.FileType.NotFound:
        raise InputError(f"{place.source}: no such file or folder")
    if place.type == fs.FileType.Directory:
        listing = list_folder(place.filesystem, place.path, place.source, _ends_with_parquet)
        if not listing.files:
            listing = list_folder(place.filesystem, place.path, place.source, _ends_like_a_table)
        return _inputs(
            place, PurePosixPath(place.path), listing, f"no file in it ends with {ENDINGS}"
        )
    if place.type == fs.FileType.File:
        relative = PurePosixPath(PurePosixPath(place.name()).name)
        file = InputFile(place.filesystem, place.path, place.name(), relative)
        return Inputs((file,), single=True)
    raise InputError(f"{place.source}: not a regular file, expected a file of rows or a folder")


def _ends_with_parquet(parts: Parts) -> bool:
    return parts[-1].lower().endswith(".parquet")


def _ends_like_a_table(parts: Parts) -> bool:
    return has_known_ending(parts[-1])


def _inputs(place: Place, base: PurePosixPath, listing: Listing, nothing: str) -> Inputs:
    """Return what was listed below a folder as inputs, which mirror their place in it."""
    remark = listing.remark(place.source)
    if not listing.files:
        raise InputError(f"{place.source}: {nothing}. {remark}".removesuffix(". "))
    files = []
    for relative in listing.files:
        path = str(base / relative)
        check_utf8(path)
        files.append(InputFile(place.filesystem, path, place.name(path), relative))
    # What reads any depth below its base would read scores written there, too.
    searched = place.type == fs.FileType.Directory or "**" in PurePosixPath(place.path).parts
    folders = (Path(base),) if searched and place.is_local else ()
    others = (place.name(str(base)),) if searched and not place.is_local else ()
    return Inputs(tuple(files), False, folders, others, (remark,) if remark else ())


def content_identity(filesystem: fs.FileSystem, path: str) -> dict[str, Any]:
    """Return a Parquet file's size and the hash of its footer, which names every page's place.

    Raises:
        OSError: the file cannot be read.
    """
    with filesystem.open_input_file(path) as file:
        size = file.size()
        tail = file.read_at(_FOOTER_TAIL, max(0, size - _FOOTER_TAIL))
        footer = min(size, int.from_bytes(tail[:4], "little") + _FOOTER_TAIL)
        digest = hashlib.sha256(file.read_at(footer, size - footer)).hexdigest()
    return {"size": size, "footer": digest}


def _expand(place: Place) -> Inputs:
    """Expand a glob; outputs mirror the part of the path behind the first wildcard."""
    parts = PurePosixPath(place.path).parts
    fixed = next(i for i, part in enumerate(parts) if _GLOB & set(part))
    base, patterns = PurePosixPath(*parts[:fixed]), parts[fixed:]
    if ".." in patterns:
        raise InputError(f"{place.source}: '..' behind the folder or wildcard. Name the file")
    if place.is_local and not Path(base).is_dir():
        raise InputError(f"{place.source}: no file matches")
    listing = list_folder(
        place.filesystem,
        str(base),
        place.source,
        lambda parts: _matches(parts, patterns),
        lambda parts: _leads(parts, patterns),
    )
    return _inputs(place, base, listing, "no file matches")


def _matches(parts: Parts, patterns: Parts) -> bool:
    """Match part by part, as a shell does: `*` stays within a folder, `**` does not."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return _matches(parts, patterns[1:]) or (bool(parts) and _matches(parts[1:], patterns))
    return (
        bool(parts)
        and fnmatch.fnmatchcase(parts[0], patterns[0])
        and _matches(parts[1:], patterns[1:])
    )


def _leads(parts: Parts, patterns: Parts) -> bool:
    """Whether a folder may hold what a pattern matches."""
    if not parts or (patterns and patterns[0] == "**"):
        return True
    return (
        len(patterns) > 1
        and fnmatch.fnmatchcase(parts[0], patterns[0])
        and _leads(parts[1:], patterns[1:])
    )
