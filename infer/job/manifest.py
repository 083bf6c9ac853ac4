"""The manifest of an output folder: what was found complete, so that a later change is seen."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from infer.base.errors import OutputError
from infer.base.words import counted
from infer.table.outputs import Target

MANIFEST: Final = "_sent-manifest.json"  # its name hides it from what reads the folder
Manifest = Mapping[str, Any]  # as `Completeness.to_manifest` returns it


def write_manifest(manifest: Target, found: Manifest) -> None:
    """Write down what was found complete.

    Raises:
        OutputError: that cannot be.
    """
    content = json.dumps(found, indent=1).encode()
    try:
        if _read(manifest) == content:  # which needs no right to write
            return
        with manifest.create(overwrite=True) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise OutputError(
            f"{manifest}: cannot be written ({error.strerror}), though nothing is missing of "
            f"{counted(found['rows'], 'row')}. Make room for it there, or get the right to write"
        ) from error


def changed_since(manifest: Target, found: Manifest) -> Iterator[str]:
    """Yield the places of files that are not what they were when the same job was complete.

    A manifest that is not there, is none or is of another job tells nothing.
    """
    try:
        known = _hashes(manifest, found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    for one in found["inputs"]:
        for file in one["files"]:
            if known.get(file["place"], file["sha256"]) != file["sha256"]:
                yield file["place"]


def _hashes(manifest: Target, found: Manifest) -> dict[str, str]:
    """Return the hash that each file had, of inputs that are what they were."""
    before = json.loads(_read(manifest))
    if before["job"] != found["job"]:
        return {}
    inputs = [now["content"] for now in found["inputs"]]
    same = (one for one in before["inputs"] if one["content"] in inputs)
    return {file["place"]: file["sha256"] for one in same for file in one["files"]}


def _read(manifest: Target) -> bytes:
    """Return what is there; nothing of what is no file, such as a pipe, which would be waited for.

    Raises:
        OSError: it cannot be read.
    """
    if not manifest.is_there():
        return b""
    with manifest.open() as file:
        return bytes(file.read())
