"""Where scores go: which file for which input, and what can be done with it."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa

from infer.base.commit import (
    NO_FILES,
    FileKey,
    atomic_file,
    check_output,
    remove_stale_temporaries,
)
from infer.base.errors import OutputError
from infer.table.folders import LOCAL, PARTS_SUFFIX
from infer.table.formats import has_known_ending
from infer.table.inputs import InputFile, Inputs

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")


@dataclass(frozen=True)
class Target:
    """A file of this machine that a job makes.

    Attributes:
        path: where.
        place: the same below the job's output folder, with slashes; its name where it is alone.
    """

    path: Path
    place: str

    def __str__(self) -> str:
        """Return what messages call it."""
        return str(self.path)

    @property
    def name(self) -> str:
        """Its own name, whose end tells the format."""
        return self.path.name

    def beside(self, name: str) -> "Target":
        """Return another file in the same folder."""
        place = PurePosixPath(self.place)
        return Target(self.path.with_name(name), place.with_name(name).as_posix())

    def at(self, place: str) -> "Target":
        """Return another file of the same job."""
        root = self.path.parents[len(PurePosixPath(self.place).parts) - 1]
        return Target(root.joinpath(*PurePosixPath(place).parts), place)

    @property
    def scratch(self) -> Path:
        """A folder of this machine, which need not be there, whose disk has room for rows."""
        return self.path.parent

    def names_beside(self) -> list[str]:
        """Return the names of what is in its folder."""
        folder = self.path.parent
        return [path.name for path in folder.iterdir()] if folder.is_dir() else []

    def is_there(self) -> bool:
        """Whether a regular file of that name is there."""
        return not self.path.is_symlink() and self.path.is_file()

    def check(self, overwrite: bool, inputs: Mapping[FileKey, Path] = NO_FILES) -> None:
        """Refuse what must not be written; see `check_output`."""
        check_output(self.path, overwrite, inputs)

    def open(self) -> pa.NativeFile:
        """Open what is there; an `OSError` where that cannot be."""
        return LOCAL.open_input_file(str(self.path))

    @contextmanager
    def local_copy(self) -> Iterator[InputFile]:
        """Give what is there as a file of this machine."""
        yield InputFile(LOCAL, str(self.path), str(self), PurePosixPath(self.place))

    def create(
        self, overwrite: bool, like: os.stat_result | None = None
    ) -> AbstractContextManager[Path]:
        """Give a path to write; see `atomic_file`."""
        self.tidy()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return atomic_file(self.path, overwrite, like)

    def tidy(self) -> None:
        """Remove what a killed run left beside it."""
        remove_stale_temporaries(self.path)


def find_targets(inputs: Inputs, output: str | Path) -> list[Target]:
    """Return where each input's scores go: the output itself, or one file each below it.

    Args:
        inputs: what is scored.
        output: a file or a folder; a name that ends with / is a folder's.

    Raises:
        OutputError: the output is a folder where a file is due, or the other way round, or lies
            among the inputs, or is a URI.
    """
    if uri := _SCHEME.match(os.fspath(output)):
        rest = os.fspath(output)[uri.end() :]
        raise OutputError(f"{uri[1]}://{rest}: is a URI, expected a path of this machine")
    path = Path(output)
    if inputs.single:
        if path.is_dir() or os.fspath(output).endswith(os.sep):
            raise OutputError(
                f"{output}: is a folder, expected a file for the scores of "
                f"{inputs.files[0].name}. Name one, such as {path / inputs.files[0].relative}"
            )
        return [Target(path, path.name)]
    count = len(inputs.files)
    several = f"{count} files" if count > 1 else f"{inputs.files[0].name} in pieces"
    if path.exists() and not path.is_dir():
        raise OutputError(f"{output}: is a file, expected a folder for the scores of {several}")
    if not path.exists() and has_known_ending(path):
        raise OutputError(
            f"{output}: is a file's name, expected a folder for the scores of {several}. Name one, "
            f"such as {path.with_suffix('')}"
        )
    _check_apart(inputs, path)
    return [
        Target(path.joinpath(*file.relative.parts), file.relative.as_posix())
        for file in inputs.files
    ]


def _check_apart(inputs: Inputs, output: Path) -> None:
    """Refuse an output folder from which the next run would read its own scores."""
    target = output.resolve()
    for folder in inputs.folders:
        if target.is_relative_to(folder.resolve()):
            raise OutputError(f"{output}: lies in the input folder {folder}. Name another output")
    for file in inputs.files:
        if file.is_local and Path(file.path).resolve().is_relative_to(target):
            raise OutputError(f"{output}: holds the input {file.name}. Name another output")


def is_folder(output: str | Path) -> bool:
    """Whether an output is there and is a folder."""
    return Path(output).is_dir()


def made_below(output: str | Path) -> Iterator[Target]:
    """Yield the files in an output folder, in their order, without those of jobs' parts."""
    for path in sorted(Path(output).rglob("*")):
        place = path.relative_to(output)
        if path.is_file() and not any(part.endswith(PARTS_SUFFIX) for part in place.parts):
            yield Target(path, place.as_posix())
