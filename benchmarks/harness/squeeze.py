"""Score a file with too little memory left on a GPU: a process of its own, for `cuda`."""

import argparse
import ctypes
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from infer.base.device import Device
from infer.model.cuda import free_memory, runtime
from infer.model.file import ModelFile, read_model_file
from infer.model.scorer import Scorer
from infer.model.session import Session

CALM: Final = 16_384  # tokens a batch, for which there is room


def main() -> None:
    """Score with memory to spare, then squeezed; print the halvings and how far apart they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--device", required=True)
    parser.add_argument("--leave-mib", type=int, required=True)
    parser.add_argument("--batch-tokens", type=int, required=True)
    given = parser.parse_args()
    file = read_model_file(given.model)
    texts = pq.read_table(given.source)["text"].combine_chunks()
    calm = Scorer(file, open_session(file, given.device), CALM)
    encoded = calm.encode(texts)
    expected = calm.score(encoded).score
    session = open_session(file, given.device)
    squeezed = Scorer(file, session, given.batch_tokens)
    with little_memory(Device.parse(given.device).index, given.leave_mib << 20):
        scores = squeezed.score(encoded).score
    facts = {
        "halvings": round(math.log2(given.batch_tokens / squeezed.batch_tokens)),
        "batch_tokens": squeezed.batch_tokens,
        "difference": float(np.nanmax(np.abs(scores - expected))),
    }
    print(json.dumps({**facts, "provider": session.provider, "rows": len(scores)}))


def open_session(file: ModelFile, device: str) -> Session:
    """Load the model onto the device, with a memory arena of its own."""
    return Session(file.data, device, precision=file.card.precision)


@contextmanager
def little_memory(index: int, leave: int) -> Iterator[None]:
    """Leave so many bytes of a GPU's memory."""
    filler = fill(index, leave)
    yield
    runtime().cudaFree(filler)


def fill(index: int, leave: int) -> Any:
    """Take all memory of a GPU but so many bytes, and return where it lies."""
    filler, free = ctypes.c_void_p(), free_memory(index)
    if free is None:
        raise RuntimeError(f"cuda:{index}: its free memory is not known")
    if error := runtime().cudaMalloc(ctypes.byref(filler), ctypes.c_size_t(free - leave)):
        raise RuntimeError(f"cuda:{index}: cudaMalloc failed with error {error}")
    return filler


if __name__ == "__main__":
    main()
