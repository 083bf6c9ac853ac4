"""What is to be scored: files, folders, globs and URIs → Parquet files and their output paths."""

import fnmatch
import glob
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from pyarrow import fs

from infer.base.errors import InputError, MissingExtraError, OutputError

PARTS_SUFFIX = ".sent-parts"  # of the folder that keeps a job's part files
_FOOTER_TAIL = 8  # a Parquet file ends with its footer's length and the letters PAR1
_GLOB = frozenset("*?[")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_URI_CHARACTERS = ":/?&=%*,;@+$!'()~#-._"  # the rest (spaces, brackets, …) is percent-encoded


@dataclass(frozen=True)
class InputFile:
    """One Parquet file to score.

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

    def identity(self) -> dict[str, Any]:
        """Return what changes when the file changes: name, size, time and a hash of the footer.

        Raises:
            InputError: it cannot be read.
        """
        try:
            info = self.filesystem.get_file_info(self.path)
            content = content_identity(self.filesystem, self.path)
        except OSError as error:
            raise InputError(f"{self.name}: cannot be read ({error})") from error
        return {"name": self.name, "mtime_ns": info.mtime_ns, **content}


@dataclass(frozen=True)
class Inputs:
    """The files of a job.

    Attributes:
        files: at least one.
        single: one file was named, so that one file comes out.
        folders: folders of this machine that were searched.
    """

    files: tuple[InputFile, ...]
    single: bool
    folders: tuple[Path, ...] = ()


def find_inputs(sources: Sequence[str]) -> Inputs:
    """Resolve what the user named.

    Args:
        sources: paths, folders, globs, or URIs that pyarrow or fsspec opens (`s3://bucket/key`).

    Raises:
        InputError: something is not there, or holds no Parquet file.
    """
    found: list[InputFile] = []
    folders: list[Path] = []
    for source in sources:
        filesystem, path, prefix = _locate(source)
        kind = _type(filesystem, path, source)
        if kind == fs.FileType.NotFound and _GLOB & set(path):
            found += _expand(filesystem, path, prefix, source)
            # What reads any depth below its base would read scores written there, too.
            if "**" in PurePosixPath(path).parts and isinstance(filesystem, fs.LocalFileSystem):
                folders.append(Path(_base(path)))
        elif kind == fs.FileType.NotFound:
            raise InputError(f"{source}: no such file or folder")
        elif kind == fs.FileType.Directory:
            found += _list_folder(filesystem, path, prefix, source)
            folders += [Path(path)] if isinstance(filesystem, fs.LocalFileSystem) else []
        elif kind == fs.FileType.File:
            name = PurePosixPath(PurePosixPath(path).name)
            found.append(InputFile(filesystem, path, prefix + path, name))
        else:
            raise InputError(f"{source}: not a regular file, expected a Parquet file or a folder")
    _check_places(found)
    single = len(sources) == 1 and kind == fs.FileType.File
    return Inputs(tuple(found), single, tuple(folders))


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


def output_paths(inputs: Inputs, output: Path) -> list[Path]:
    """Return where each input's scores go: the output itself, or one file each below it.

    Raises:
        OutputError: the output is a folder where a file is due, or the other way round, or lies
            among the inputs, or is a URI.
    """
    if _SCHEME.match(str(output)):
        raise OutputError(f"{output}: is a URI, expected a path of this machine")
    if inputs.single:
        if output.is_dir():
            raise OutputError(
                f"{output}: is a folder, expected a file for the scores of "
                f"{inputs.files[0].name}. Name one, such as {output / inputs.files[0].relative}"
            )
        return [output]
    if output.exists() and not output.is_dir():
        raise OutputError(
            f"{output}: is a file, expected a folder for the scores of {len(inputs.files)} files"
        )
    _check_apart(inputs, output)
    return [output.joinpath(*file.relative.parts) for file in inputs.files]


def _check_apart(inputs: Inputs, output: Path) -> None:
    """Refuse an output folder from which the next run would read its own scores."""
    target = output.resolve()
    for folder in inputs.folders:
        if target.is_relative_to(folder.resolve()):
            raise OutputError(f"{output}: lies in the input folder {folder}. Name another output")
    for file in inputs.files:
        if file.is_local and Path(file.path).resolve().is_relative_to(target):
            raise OutputError(f"{output}: holds the input {file.name}. Name another output")


def _locate(source: str) -> tuple[fs.FileSystem, str, str]:
    """Return the file system, the path in it, and what stands before the path in its name."""
    if "://" not in source:
        return fs.LocalFileSystem(), source, ""
    scheme = source.partition("://")[0]
    try:
        filesystem, path = fs.FileSystem.from_uri(_quoted(source))
    except pa.ArrowInvalid as error:
        filesystem, path = _fsspec(source, str(error))
    except OSError as error:
        raise InputError(f"{source}: cannot be opened ({_one_line(error)})") from error
    is_local = isinstance(filesystem, fs.LocalFileSystem)
    return filesystem, path, "" if is_local else f"{scheme}://"


def _quoted(source: str) -> str:
    """Percent-encode what no URI may hold, and a question mark that begins no `?option=value`."""
    return re.sub(r"\?(?![^/?=]+=)", "%3F", quote(source, safe=_URI_CHARACTERS))


def _fsspec(source: str, refusal: str) -> tuple[fs.FileSystem, str]:
    """Open a URI that Arrow does not know (`refusal` says why) through fsspec."""
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise MissingExtraError("fsspec", "uri") from error
    try:
        filesystem, path = fsspec.core.url_to_fs(source)
    except (ValueError, ImportError, OSError) as error:
        reasons = f"fsspec: {_one_line(error)}; Arrow: {refusal}"
        raise InputError(f"{source}: no file system opens it ({reasons})") from error
    if "file" in filesystem.protocol:
        return fs.LocalFileSystem(), path
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path


def _type(filesystem: fs.FileSystem, path: str, source: str) -> fs.FileType:
    _check_name(source)
    try:
        return filesystem.get_file_info(path).type
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{source}: cannot be read ({_one_line(error)})") from error


def _check_name(path: str) -> None:
    """Refuse a name that Arrow cannot be given."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{path!r}: the name is not UTF-8. Rename the file") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _list_folder(
    filesystem: fs.FileSystem, folder: str, prefix: str, source: str
) -> list[InputFile]:
    """List the Parquet files below a folder; names that start with . or _ are not data."""
    found = []
    for path in _walk(filesystem, folder, source):
        relative = PurePosixPath(path).relative_to(PurePosixPath(folder))
        if path.endswith(".parquet") and _is_data(relative):
            found.append(InputFile(filesystem, path, prefix + path, relative))
    if not found:
        raise InputError(f"{source}: no file in it ends with .parquet")
    return sorted(found, key=lambda file: file.relative)


def _walk(filesystem: fs.FileSystem, folder: str, source: str) -> list[str]:
    try:
        listed = filesystem.get_file_info(fs.FileSelector(folder, recursive=True))
        return [info.path for info in listed if info.is_file]
    except UnicodeDecodeError as error:
        name = error.object.decode("utf-8", "backslashreplace")
        raise InputError(f"{source}: the name '{name}' in it is not UTF-8. Rename it") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{source}: cannot be listed ({_one_line(error)})") from error


def _is_data(relative: PurePosixPath) -> bool:
    """Whether a place below a folder is neither hidden nor among a job's part files."""
    return not any(
        (part.startswith((".", "_")) and part != "..") or part.endswith(PARTS_SUFFIX)
        for part in relative.parts
    )


def _expand(filesystem: fs.FileSystem, pattern: str, prefix: str, source: str) -> list[InputFile]:
    """Expand a glob; outputs mirror the part of the path behind the first wildcard."""
    base = _base(pattern)
    if isinstance(filesystem, fs.LocalFileSystem):
        paths = [path for path in glob.glob(pattern, recursive=True) if Path(path).is_file()]  # noqa: PTH207
    else:
        listed = _walk(filesystem, str(base), source)
        paths = [path for path in listed if _matches(path, pattern)]
    for path in paths:
        _check_name(path)
    places = {path: PurePosixPath(path).relative_to(base) for path in sorted(paths)}
    found = [
        InputFile(filesystem, path, prefix + path, relative)
        for path, relative in places.items()
        if _is_data(relative)
    ]
    if not found:
        raise InputError(f"{source}: no file matches")
    return found


def _base(pattern: str) -> PurePosixPath:
    """Return the folder before the first wildcard."""
    parts = PurePosixPath(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if _GLOB & set(part))
    return PurePosixPath(*parts[:fixed])


def _matches(path: str, pattern: str) -> bool:
    """Match part by part, as a shell does: `*` stays within a folder, `**` does not."""
    parts, patterns = PurePosixPath(path).parts, PurePosixPath(pattern).parts
    if "**" in patterns:
        return fnmatch.fnmatchcase(path, pattern.replace("**/", "*"))
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def _check_places(files: list[InputFile]) -> None:
    """Refuse files that would share a place in the output folder, or stand outside of it."""
    named = Counter(file.name for file in files)
    places: dict[PurePosixPath, str] = {}
    for file in files:
        other = places.setdefault(file.relative, file.name)
        if ".." in file.relative.parts:
            raise InputError(f"{file.name}: '..' behind the folder or wildcard. Name the file")
        if other != file.name or named[file.name] > 1:
            raise InputError(
                f"{other} and {file.name} would both become {file.relative} in the output "
                "folder. Score them in separate runs"
            )
