"""What is to be scored: files, folders, globs and URIs → Parquet files and their output paths."""

import fnmatch
import glob
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import fs

from infer.errors import InputError, MissingExtraError, OutputError

_FOOTER_TAIL = 8  # a Parquet file ends with its footer's length and the letters PAR1
_GLOB = frozenset("*?[")


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
    """The files of a job; `single` when one file was named, so that one file comes out."""

    files: tuple[InputFile, ...]
    single: bool


def find_inputs(sources: Sequence[str]) -> Inputs:
    """Resolve what the user named.

    Args:
        sources: paths, folders, globs, or URIs that pyarrow or fsspec opens (`s3://bucket/key`).

    Raises:
        InputError: something is not there, or holds no Parquet file.
    """
    found: list[InputFile] = []
    single = False
    for source in sources:
        filesystem, path, prefix = _locate(source)
        if _GLOB & set(path) and _type(filesystem, path) == fs.FileType.NotFound:
            found += _expand(filesystem, path, prefix, source)
            continue
        kind = _type(filesystem, path)
        if kind == fs.FileType.NotFound:
            raise InputError(f"{source}: no such file or folder")
        if kind == fs.FileType.Directory:
            found += _list_folder(filesystem, path, prefix, source)
        else:
            name = PurePosixPath(PurePosixPath(path).name)
            found.append(InputFile(filesystem, path, prefix + path, name))
            single = len(sources) == 1
    _check_distinct(found)
    return Inputs(tuple(found), single)


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
        OutputError: the output is a folder where a file is due, or the other way round.
    """
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
    return [output.joinpath(*file.relative.parts) for file in inputs.files]


def _locate(source: str) -> tuple[fs.FileSystem, str, str]:
    """Return the file system, the path in it, and what stands before the path in its name."""
    if "://" not in source:
        return fs.LocalFileSystem(), source, ""
    scheme = source.partition("://")[0]
    bare, _, query = source.partition("?")
    try:
        filesystem, _ = fs.FileSystem.from_uri(source)
        _, path = fs.FileSystem.from_uri(bare) if not query else (None, _path_of(source))
    except pa.ArrowInvalid:
        filesystem, path = _fsspec(source)
    except OSError as error:
        raise InputError(f"{source}: cannot be opened ({error})") from error
    return filesystem, path, "" if scheme == "file" else f"{scheme}://"


def _path_of(uri: str) -> str:
    return str(fs.FileSystem.from_uri(uri)[1])


def _fsspec(source: str) -> tuple[fs.FileSystem, str]:
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise MissingExtraError("fsspec", "uri") from error
    try:
        filesystem, path = fsspec.core.url_to_fs(source)
    except (ValueError, ImportError, OSError) as error:
        raise InputError(f"{source}: no file system opens it ({error})") from error
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path


def _type(filesystem: fs.FileSystem, path: str) -> fs.FileType:
    try:
        return filesystem.get_file_info(path).type
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def _list_folder(
    filesystem: fs.FileSystem, folder: str, prefix: str, source: str
) -> list[InputFile]:
    """List the Parquet files below a folder; names that start with . or _ are not data."""
    found = []
    for info in filesystem.get_file_info(fs.FileSelector(folder, recursive=True)):
        relative = PurePosixPath(info.path).relative_to(PurePosixPath(folder))
        hidden = any(
            part.startswith((".", "_")) or part.endswith(".sent-parts") for part in relative.parts
        )
        if info.is_file and info.path.endswith(".parquet") and not hidden:
            found.append(InputFile(filesystem, info.path, prefix + info.path, relative))
    if not found:
        raise InputError(f"{source}: no file in it ends with .parquet")
    return sorted(found, key=lambda file: file.relative)


def _expand(filesystem: fs.FileSystem, pattern: str, prefix: str, source: str) -> list[InputFile]:
    """Expand a glob; outputs mirror the part of the path behind the first wildcard."""
    parts = PurePosixPath(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if _GLOB & set(part))
    base = PurePosixPath(*parts[:fixed])
    if isinstance(filesystem, fs.LocalFileSystem):
        paths = [path for path in glob.glob(pattern, recursive=True) if Path(path).is_file()]  # noqa: PTH207
    else:
        selector = fs.FileSelector(str(base), recursive=True)
        listed = [info.path for info in filesystem.get_file_info(selector) if info.is_file]
        paths = [path for path in listed if fnmatch.fnmatchcase(path, pattern)]
    if not paths:
        raise InputError(f"{source}: no file matches")
    return [
        InputFile(filesystem, path, prefix + path, PurePosixPath(path).relative_to(base))
        for path in sorted(paths)
    ]


def _check_distinct(files: list[InputFile]) -> None:
    places: dict[PurePosixPath, str] = {}
    for file in files:
        other = places.setdefault(file.relative, file.name)
        if other != file.name or sum(file.name == one.name for one in files) > 1:
            raise InputError(
                f"{other} and {file.name} would both become {file.relative} in the output "
                "folder. Score them in separate runs"
            )
