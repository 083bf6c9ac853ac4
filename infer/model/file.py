"""The model file's contract: names, version, metadata, and what a file may hold at all.

One `.onnx` file is the whole model. Before ONNX Runtime sees a byte of it, the file is parsed as
plain protocol buffers and refused unless it is exactly what `sent-export` writes: ONNX Runtime and
the `onnx` package have both followed external-data paths out of hostile files (CVE-2024-27318,
CVE-2026-27489), so neither is trusted with that.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError
from onnx import ModelProto

from infer.base.errors import MissingModelError, ModelFileError
from infer.base.words import counted
from infer.model.card import ModelCard, read_card
from infer.model.graph_rules import (
    MAX_NODES,
    check_container,
    check_embedding,
    check_graph,
    check_interface,
)
from infer.model.labels import format_version

FORMATS: Final = ("1", "2")
MAX_BYTES: Final = 1 << 30
# Room for a vocabulary of a million words; read, it takes 30 times its size.
MAX_REST_BYTES: Final = 16 << 20

_FORMAT, _VOCABULARY, _CARD, _DIGEST = (
    "sent.format",
    "sent.vocabulary",
    "sent.card",
    "sent.digest",
)
_KEYS: Final = frozenset((_FORMAT, _VOCABULARY, _CARD, _DIGEST))


@dataclass(frozen=True)
class ModelFile:
    """A model file that keeps the contract, in memory; nothing else is opened later.

    Attributes:
        path: where it was read from.
        data: its bytes.
        sha256: hash of `data`, hexadecimal.
        card: what its metadata says.
    """

    path: Path
    data: bytes
    sha256: str
    card: ModelCard


def stamp(model: ModelProto, card: ModelCard) -> bytes:
    """Write the card into a copy of the graph's metadata and serialise the model file.

    What it is in words stands in `doc_string` twice: viewers show the model's, and the digest is
    over the graph's.

    Raises:
        ModelFileError: the graph or the card breaks the contract.
    """
    stamped = ModelProto()
    stamped.CopyFrom(model)
    stamped.doc_string = stamped.graph.doc_string = card.in_words()
    del stamped.metadata_props[:]
    values = {
        _FORMAT: str(format_version(len(card.labels))),
        _VOCABULARY: card.vocabulary.to_text(),
        _CARD: card.to_json(),
    }
    for key, value in values.items():
        stamped.metadata_props.add(key=key, value=value)
    stamped.metadata_props.add(key=_DIGEST, value=_digest(stamped))
    data = bytes(stamped.SerializeToString(deterministic=True))
    check_model(stamped, len(data))
    return data


def read_model_file(path: Path) -> ModelFile:
    """Read and check a model file; exactly one file is opened, once.

    Raises:
        MissingModelError: no file can be read there.
        ModelFileError: it is damaged, foreign, or holds what the contract forbids.
    """
    data = _read_regular_file(path)
    try:
        model = ModelProto.FromString(data)
    except DecodeError as error:
        raise ModelFileError(
            f"{path}: not an ONNX file, or cut short ({counted(len(data), 'byte')}). Export it "
            "again with sent-export"
        ) from error
    try:
        card = check_model(model, len(data))
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    return ModelFile(path, data, hashlib.sha256(data).hexdigest(), card)


def check_model(model: ModelProto, size: int) -> ModelCard:
    """Check everything that the contract says about a model file and return its card.

    Args:
        model: the file's content.
        size: the file's bytes; what of them is not in the model is foreign.

    Raises:
        ModelFileError: with the first thing found wrong.
    """
    _check_size(model, size)
    metadata = _metadata(model)
    check_container(model, size)
    check_graph(model.graph)
    card = read_card(metadata[_VOCABULARY], metadata[_CARD])
    labels = len(card.labels)
    if metadata[_FORMAT] != str(format_version(labels)):
        raise ModelFileError(
            f"model file format {metadata[_FORMAT]!r} with {labels} labels, expected format "
            f"{str(format_version(labels))!r}. Export it again"
        )
    check_interface(model.graph, labels)
    check_embedding(model.graph, card.vocabulary)
    if model.doc_string != model.graph.doc_string:
        raise ModelFileError("the model's doc_string is not the graph's. Export it again")
    if metadata[_DIGEST] != _digest(model):
        raise ModelFileError(
            "the content does not match its own digest: the file was changed after sent-export "
            "wrote it. Export it again"
        )
    return card


def _read_regular_file(path: Path) -> bytes:
    try:
        # O_NONBLOCK: a FIFO must be refused, not waited for.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise MissingModelError(f"{path}: not a regular file. Name a model file")
            if status.st_size > MAX_BYTES:
                raise ModelFileError(
                    f"{path}: {status.st_size:,} bytes, a model file has at most {MAX_BYTES:,}"
                )
            with os.fdopen(handle, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(handle)
    except OSError as error:
        raise MissingModelError(
            f"{path}: cannot be read ({error.strerror}). Make a model file with sent-export, or "
            "name one with --model"
        ) from error


def _check_size(model: ModelProto, size: int) -> None:
    """Refuse what would take minutes or gigabytes to look at any further."""
    graph = model.graph
    for name, entries in (
        ("nodes", graph.node),
        ("tensors", graph.initializer),
        ("described values", graph.value_info),
    ):
        if len(entries) > MAX_NODES:
            raise ModelFileError(
                f"{len(entries):,} {name} in its graph, expected at most {MAX_NODES:,}"
            )
    constants = (attribute.t for node in graph.node for attribute in node.attribute)
    weights = sum(len(tensor.raw_data) for tensor in (*graph.initializer, *constants))
    if size - weights > MAX_REST_BYTES:
        raise ModelFileError(
            f"{size - weights:,} bytes beside the weights, expected at most {MAX_REST_BYTES:,} of "
            "graph, card and vocabulary"
        )


def _metadata(model: ModelProto) -> dict[str, str]:
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if metadata.get(_FORMAT) is None:
        raise ModelFileError(
            f"no {_FORMAT} in its metadata: not a model file of this toolkit. Export it with "
            "sent-export"
        )
    if metadata[_FORMAT] not in FORMATS:
        raise ModelFileError(
            f"model file format {metadata[_FORMAT]!r}, this version reads {' and '.join(FORMATS)}. "
            "Export it again with this version of sent-export"
        )
    if metadata.keys() != _KEYS or len(model.metadata_props) != len(_KEYS):
        # A key that is not UTF-8 comes as bytes.
        keys = sorted(str(entry.key) for entry in model.metadata_props)
        raise ModelFileError(f"metadata keys {keys}, expected {sorted(_KEYS)}")
    return metadata


def _digest(model: ModelProto) -> str:
    """Hash the file's content, the digest entry itself left out."""
    content = hashlib.sha256()
    for entry in sorted(model.metadata_props, key=lambda entry: entry.key):
        if entry.key != _DIGEST:
            content.update(f"{entry.key}\0{len(entry.value)}\0{entry.value}".encode())
    content.update(model.graph.SerializeToString(deterministic=True))
    return content.hexdigest()
