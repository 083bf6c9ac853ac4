"""Which model made the scores: the one that is named, or whose hash the files name."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from infer.base.errors import InputError, ModelFileError
from infer.model.shipped import DEFAULT_MODEL, SHIPPED
from reporter.rows.reading import Rows

if TYPE_CHECKING:
    from infer.model.file import ModelFile

_KEY = "sent.model_sha256"


def find_model_file(rows: Rows, asked: str | None) -> "ModelFile | None":
    """Return the model file that scored the rows; None where it is not here.

    Args:
        rows: the files, whose metadata may say the hash.
        asked: a shipped model's name or a path; None: whichever of the shipped ones and
            `artifacts/model.onnx` has the hash.

    Raises:
        InputError: another model scored these files.
        ModelFileError: the model file that was asked for is missing or damaged.
    """
    from infer.model.file import read_model_file

    hashes = model_hashes(rows)
    if asked is not None:
        file = read_model_file(SHIPPED.get(asked, Path(asked)))
        if hashes and hashes != {file.sha256}:
            raise InputError(
                f"--model {asked}: its SHA-256 is {file.sha256[:12]}…, and "
                f"{rows.files[0].source.name} was scored by {min(hashes)[:12]}…. Name that one, or "
                "leave --model out"
            )
        return file
    for path in (DEFAULT_MODEL, *SHIPPED.values()):
        if path.is_file() and hashes == {_hash(path)}:
            try:
                return read_model_file(path)
            except ModelFileError:  # nobody asked for it
                return None
    return None


def model_hashes(rows: Rows) -> set[str]:
    """Return the hashes of the models that scored the files, as far as these say so."""
    return {file.metadata[_KEY] for file in rows.files if _KEY in file.metadata}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
