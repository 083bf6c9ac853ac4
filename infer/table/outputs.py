"""Where scores go: which file for which input, and what can be done with it."""

import hashlib
import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote

import pyarrow as pa

from infer.base.aside import aside
from infer.base.commit import (
    NO_FILES,
    TEMPORARY_SUFFIX,
    FileKey,
    atomic_file,
    check_folder,
    check_output,
    file_keys,
    remove_stale_temporaries,
)
from infer.base.errors import InputError, OutputError
from infer.table.folders import LOCAL, PARTS_SUFFIX
from infer.table.formats import has_known_ending
from infer.table.inputs import InputFile, Inputs
from infer.table.places import ENCODED, plain_path
from infer.table.stores import Store, copied, open_store

# A `Path` of a URI has lost one of its slashes.
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
_DIGITS: Final = 16


class Target(ABC):
    """A file that a job makes, which appears whole or not at all.

    Attributes:
        place: where it lies below the job's output folder, with slashes; its name where it is the
            only output.
    """

    place: str

    @property
    def name(self) -> str:
        """Its own name, whose end tells the format."""
        return PurePosixPath(self.place).name

    def beside(self, name: str) -> "Target":
        """Return another file in the same folder."""
        return self.at(PurePosixPath(self.place).with_name(name).as_posix())

    @abstractmethod
    def __str__(self) -> str:
        """Return what messages call it."""

    @abstractmethod
    def at(self, place: str) -> "Target":
        """Return another file of the same job."""

    @property
    @abstractmethod
    def scratch(self) -> Path:
        """A folder of this machine, which need not be there, whose disk has room for rows."""

    @abstractmethod
    def names_beside(self) -> list[str]:
        """Return the names of what is in its folder."""

    @abstractmethod
    def is_there(self) -> bool:
        """Whether a regular file of that name is there."""

    @abstractmethod
    def is_one_of(self, files: Iterable[InputFile]) -> bool:
        """Whether it is one of these files, by whatever name."""

    @abstractmethod
    def check(self, overwrite: bool, inputs: Mapping[FileKey, Path] = NO_FILES) -> None:
        """Refuse what must not be written; see `check_output`."""

    @abstractmethod
    def open(self) -> pa.NativeFile:
        """Open what is there; an `OSError` where that cannot be."""

    @abstractmethod
    def local_copy(self) -> AbstractContextManager[InputFile]:
        """Give what is there as a file of this machine."""

    @abstractmethod
    def create(
        self, overwrite: bool, like: os.stat_result | None = None
    ) -> AbstractContextManager[Path]:
        """Give a path to write, which becomes the file when the block ends well; see `atomic_file`.

        Raises:
            OutputError: one appeared meanwhile and `overwrite` is false.
            OSError: it cannot be written.
        """

    @abstractmethod
    def tidy(self) -> None:
        """Remove what a killed run left beside it."""


@dataclass(frozen=True)
class LocalTarget(Target):
    """A file of this machine.

    Attributes:
        path: where.
        place: see `Target`.
    """

    path: Path
    place: str

    def __str__(self) -> str:
        """Return the path."""
        return str(self.path)

    def at(self, place: str) -> "LocalTarget":
        """Return another file of the same job."""
        root = self.path.parents[len(PurePosixPath(self.place).parts) - 1]
        return LocalTarget(root.joinpath(*PurePosixPath(place).parts), place)

    @property
    def scratch(self) -> Path:
        """The folder itself."""
        return self.path.parent

    def names_beside(self) -> list[str]:
        """Return the names of what is in its folder."""
        folder = self.path.parent
        return [path.name for path in folder.iterdir()] if folder.is_dir() else []

    def is_there(self) -> bool:
        """Whether a regular file of that name is there."""
        return not self.path.is_symlink() and self.path.is_file()

    def is_one_of(self, files: Iterable[InputFile]) -> bool:
        """Whether it is one of these files, by whatever name or hard link."""
        others = file_keys(Path(file.path) for file in files if file.is_local)
        return bool(file_keys([self.path]).keys() & others.keys())

    def check(self, overwrite: bool, inputs: Mapping[FileKey, Path] = NO_FILES) -> None:
        """Refuse what must not be written."""
        check_output(self.path, overwrite, inputs)

    def open(self) -> pa.NativeFile:
        """Open what is there."""
        return LOCAL.open_input_file(str(self.path))

    @contextmanager
    def local_copy(self) -> Iterator[InputFile]:
        """Give what is there."""
        yield InputFile(LOCAL, str(self.path), str(self), PurePosixPath(self.place))

    def create(
        self, overwrite: bool, like: os.stat_result | None = None
    ) -> AbstractContextManager[Path]:
        """Give a path to write, on the same disk."""
        self.tidy()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return atomic_file(self.path, overwrite, like)

    def tidy(self) -> None:
        """Remove what a killed run left beside it."""
        remove_stale_temporaries(self.path)


@dataclass(frozen=True)
class RemoteTarget(Target):
    """An object of a store, or a file of another file system.

    Attributes:
        output: where the job writes.
        place: see `Target`.
        key: what the store calls it.
    """

    output: "RemoteOutput"
    place: str
    key: str

    def __str__(self) -> str:
        """Return its URI, without secrets."""
        place = self.place.translate(ENCODED)
        return str(self.output) if self.key == self.output.key else f"{self.output}/{place}"

    def at(self, place: str) -> "RemoteTarget":
        """Return another file of the same job."""
        root = self.key.removesuffix(self.place)
        return RemoteTarget(self.output, place, root + place)

    @property
    def scratch(self) -> Path:
        """The folder of the job's parts."""
        return self.output.parts()

    def names_beside(self) -> list[str]:
        """Return the names of what is in its folder."""
        with _asked(self):
            return self.output.store.names_in(self.key.rpartition("/")[0])

    def is_there(self) -> bool:
        """Whether there is such an object."""
        with _asked(self):
            return self.output.store.has(self.key)

    def is_one_of(self, files: Iterable[InputFile]) -> bool:
        """Whether it is one of these files."""
        return _plain_scheme(str(self)) in {_plain_scheme(file.name) for file in files}

    def check(self, overwrite: bool, inputs: Mapping[FileKey, Path] = NO_FILES) -> None:
        """Refuse to replace what is there."""
        if not overwrite and self.is_there():
            raise OutputError(f"{self}: exists already. Use --overwrite to replace it")

    def open(self) -> pa.NativeFile:
        """Open what is there."""
        return self.output.store.open(self.key)

    @contextmanager
    def local_copy(self) -> Iterator[InputFile]:
        """Give a copy of what is there, which is gone behind the block."""
        with copied(self.output.store, self.key) as path:
            yield InputFile(LOCAL, str(path), str(self), PurePosixPath(self.place))

    @contextmanager
    def create(self, overwrite: bool, like: os.stat_result | None = None) -> Iterator[Path]:
        """Give a path on this machine to write, which is sent when the block ends well."""
        is_new = not self.scratch.exists()
        self.scratch.mkdir(0o700, parents=True, exist_ok=True)
        try:
            with tempfile.NamedTemporaryFile(
                dir=self.scratch, prefix=".", suffix=TEMPORARY_SUFFIX
            ) as temporary:
                path = Path(temporary.name)
                yield path
                self._send(path, overwrite)
        finally:
            if is_new:
                with suppress(OSError):
                    self.scratch.rmdir()

    def _send(self, path: Path, overwrite: bool) -> None:
        try:
            aside(lambda: self.output.store.put(path, self.key, overwrite))
        except FileExistsError as error:
            raise OutputError(
                f"{self}: appeared while this run was working; it was kept. Use --overwrite"
            ) from error
        except OSError as error:
            raise OSError(error.errno, f"{self}: cannot be written ({error.strerror})") from error

    def tidy(self) -> None:
        """Leave it: what was not sent to its end is nowhere."""


class Output(ABC):
    """What was named with `--output`: a file, or a folder of them."""

    @abstractmethod
    def __str__(self) -> str:
        """Return what messages call it."""

    @abstractmethod
    def is_folder(self) -> bool:
        """Whether it is there and is a folder."""

    @abstractmethod
    def is_file(self) -> bool:
        """Whether it is there and is none."""

    @abstractmethod
    def whole(self) -> Target:
        """Return it as a job's only file."""

    @abstractmethod
    def target(self, place: str) -> Target:
        """Return a file below it."""

    @abstractmethod
    def made(self) -> Iterator[Target]:
        """Yield the files in the folder, in their order, without those of jobs' parts."""

    @abstractmethod
    def parts(self, single: bool = False, name: str = PARTS_SUFFIX) -> Path:
        """Return the folder for the parts of a job.

        Args:
            single: whether the output is a file.
            name: what the folder is called within an output folder.
        """

    def check_parts(self, single: bool) -> Path:
        """Return that folder where one can be made there.

        Raises:
            OutputError: none can be.
        """
        parts = self.parts(single)
        check_folder(parts)
        return parts

    @abstractmethod
    def check_apart(self, inputs: Inputs) -> None:
        """Refuse an output folder from which the next run would read its own scores."""


def open_output(output: str | Path, home: Path | None = None, shard: str = "") -> Output:
    """Return what was named with `--output`.

    Args:
        output: a path or a URI.
        home: where folders of parts go (None: beside or within the output, or for a URI the folder
            of this user's caches).
        shard: what the folder of a shard's parts is called, if there is one.

    Raises:
        OutputError: nothing can be written there, or a URI is no home for parts.
    """
    if home is not None and _SCHEME.match(str(home)):
        raise OutputError(
            f"parts: {home} is a URI, expected a folder on this machine, such as one on a shared "
            "disk"
        )
    home = None if home is None else Path(plain_path(str(home)))
    name = os.fspath(output)
    uri = _SCHEME.match(name)
    if uri is None or uri[1].lower() == "file":
        path = unquote(name[uri.end() - 1 :]) if uri else plain_path(name)
        return LocalOutput(Path(path), home, shard)
    name = f"{uri[1]}://{name[uri.end() :]}"
    store, key, shown = open_store(name)
    return RemoteOutput(shown, key, home, shard, store)


@dataclass(frozen=True)
class LocalOutput(Output):
    """A path of this machine; see `open_output`."""

    path: Path
    home: Path | None = None
    shard: str = ""

    def __str__(self) -> str:
        """Return the path."""
        return str(self.path)

    def is_folder(self) -> bool:
        """Whether it is there and is a folder."""
        return self.path.is_dir()

    def is_file(self) -> bool:
        """Whether it is there and is none."""
        return self.path.exists() and not self.path.is_dir()

    def whole(self) -> LocalTarget:
        """Return it as a job's only file."""
        return LocalTarget(self.path, self.path.name)

    def target(self, place: str) -> LocalTarget:
        """Return a file below it."""
        return LocalTarget(self.path.joinpath(*PurePosixPath(place).parts), place)

    def made(self) -> Iterator[LocalTarget]:
        """Yield the files in the folder."""
        for path in sorted(self.path.rglob("*")):
            place = path.relative_to(self.path)
            if path.is_file() and not _is_of_parts(place):
                yield self.target(place.as_posix())

    def parts(self, single: bool = False, name: str = PARTS_SUFFIX) -> Path:
        """Return the folder for the parts of a job: beside its one file, or in its folder."""
        if self.home is not None:
            return self.home / (_digest(str(self.path.resolve())) + (self.shard or name))
        if single:
            return self.path.with_name(self.path.name + PARTS_SUFFIX)
        return self.path / (self.shard or name)

    def check_apart(self, inputs: Inputs) -> None:
        """Refuse an output folder from which the next run would read its own scores."""
        target = self.path.resolve()
        for folder in inputs.folders:
            if target.is_relative_to(folder.resolve()):
                raise OutputError(f"{self}: lies in the input folder {folder}. Name another output")
        for file in inputs.files:
            if file.is_local and Path(file.path).resolve().is_relative_to(target):
                raise OutputError(f"{self}: holds the input {file.name}. Name another output")


@dataclass(frozen=True)
class RemoteOutput(Output):
    """A URI; see `open_output`.

    Attributes:
        uri: without secrets.
        key: what the store calls it.
    """

    uri: str
    key: str
    home: Path | None
    shard: str
    store: Store = field(compare=False, repr=False)

    def __str__(self) -> str:
        """Return the URI."""
        return self.uri

    def is_folder(self) -> bool:
        """Whether there is anything below it."""
        with _asked(self):
            return not self.key or self.store.is_folder(self.key)

    def is_file(self) -> bool:
        """Whether there is an object of that name."""
        with _asked(self):
            return bool(self.key) and self.store.has(self.key)

    def whole(self) -> RemoteTarget:
        """Return it as a job's only file."""
        return RemoteTarget(self, PurePosixPath(self.key).name, self.key)

    def target(self, place: str) -> RemoteTarget:
        """Return a file below it."""
        return RemoteTarget(self, place, f"{self.key}/{place}" if self.key else place)

    def made(self) -> Iterator[RemoteTarget]:
        """Yield the files in the folder."""
        root = f"{self.key}/" if self.key else ""
        with _asked(self):
            keys = self.store.below(self.key)
        for key in keys:
            place = key.removeprefix(root)
            if not _is_of_parts(PurePosixPath(place)):
                yield self.target(place)

    def parts(self, single: bool = False, name: str = PARTS_SUFFIX) -> Path:
        """Return the folder for the parts of a job, on this machine."""
        return (self.home or _caches()) / (_digest(self.uri) + (self.shard or name))

    def check_parts(self, single: bool) -> Path:
        """Return that folder where one can be made there."""
        try:
            return super().check_parts(single)
        except OutputError as error:
            raise OutputError(
                f"{self}: its parts have no place ({error}). Name a folder for them with --parts"
            ) from error

    def check_apart(self, inputs: Inputs) -> None:
        """Refuse an output folder from which the next run would read its own scores."""
        ours = f"{_plain_scheme(self.uri)}/"
        for folder in inputs.remote_folders:
            if ours.startswith(f"{_plain_scheme(folder.rstrip('/'))}/"):
                raise OutputError(f"{self}: lies in the input folder {folder}. Name another output")
        for file in inputs.files:
            if not file.is_local and _plain_scheme(file.name).startswith(ours):
                raise OutputError(f"{self}: holds the input {file.name}. Name another output")


def find_targets(inputs: Inputs, output: Output, named: str) -> list[Target]:
    """Return where each input's scores go: the output itself, or one file each below it.

    Args:
        inputs: what is scored.
        output: where.
        named: as it was named; a name that ends with / is a folder's.

    Raises:
        InputError: two files would have one place.
        OutputError: the output is a folder where a file is due, or the other way round, or lies
            among the inputs, or cannot be looked at.
    """
    if inputs.single:
        if named.endswith(("/", os.sep)) or output.is_folder():
            raise OutputError(
                f"{output}: is a folder, expected a file for the scores of "
                f"{inputs.files[0].name}. Name one, such as {output}/{inputs.files[0].relative}"
            )
        target = output.whole()
        if target.is_one_of(inputs.files):
            raise OutputError(f"{output}: is the input itself. Name another output")
        return [target]
    count = len(inputs.files)
    several = f"{count} files" if count > 1 else f"{inputs.files[0].name} in pieces"
    if output.is_file():
        raise OutputError(f"{output}: is a file, expected a folder for the scores of {several}")
    if has_known_ending(str(output)) and not output.is_folder():
        stem = re.sub(r"\.[^./]*$", "", str(output))
        raise OutputError(
            f"{output}: is a file's name, expected a folder for the scores of {several}. Name one, "
            f"such as {stem}"
        )
    _check_places(inputs.files)
    output.check_apart(inputs)
    return [output.target(file.relative.as_posix()) for file in inputs.files]


def _check_places(files: Sequence[InputFile]) -> None:
    """Refuse files that would share a place in the output folder."""
    named = Counter(file.name for file in files)
    places: dict[PurePosixPath, str] = {}
    for file in files:
        other = places.setdefault(file.relative, file.name)
        if other != file.name or named[file.name] > 1:
            raise InputError(
                f"{other} and {file.name} would both become {file.relative} in the output "
                "folder. Score them in separate runs"
            )


@contextmanager
def _asked(what: object) -> Iterator[None]:
    """Turn what a store says to a question into one line.

    Raises:
        OutputError: naming what was asked for.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{what}: cannot be looked at ({error.strerror}). Check the address, the network and "
            "the credentials"
        ) from error


def _is_of_parts(place: PurePosixPath | Path) -> bool:
    return any(part.endswith(PARTS_SUFFIX) for part in place.parts)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _caches() -> Path:
    """Return the folder of this user's caches, which others cannot prepare."""
    named = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    return Path(named) / "sent-toolkit"


def _plain_scheme(uri: str) -> str:
    """Return a URI under the first of the names that its scheme has."""
    scheme, mark, rest = uri.partition("://")
    names = {"s3a": "s3", "gcs": "gs", "abfss": "abfs"}
    return names.get(scheme.lower(), scheme.lower()) + mark + rest if mark else uri
