"""Score a file with too little memory left on a GPU: a process of its own, for `cuda`."""

import argparse
import ctypes
import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from infer.base.device import Device
from infer.job.plan import ScoreOptions, make_plan
from infer.job.scoring import score_plan
from infer.model.cuda import free_memory, runtime
from infer.model.file import ModelFile, read_model_file
from infer.model.scorer import Scorer
from infer.model.session import Session


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
    with tempfile.TemporaryDirectory() as work:
        outputs = [Path(work) / name for name in ("calm.parquet", "squeezed.parquet")]
        score(given.source, file, outputs[0], 16_384, Session(file.data, given.device))
        session = Session(file.data, given.device, precision=file.card.precision)
        with little_memory(Device.parse(given.device).index, given.leave_mib << 20):
            budget = score(given.source, file, outputs[1], given.batch_tokens, session)
        calm, squeezed = (pq.read_table(output)["score"].to_numpy() for output in outputs)
    apart = float(np.nanmax(np.abs(squeezed - calm)))
    halvings = round(math.log2(given.batch_tokens / budget))
    facts = {"halvings": halvings, "batch_tokens": budget, "difference": apart}
    print(json.dumps({**facts, "provider": session.provider, "rows": len(calm)}))


def score(source: Path, file: ModelFile, output: Path, budget: int, session: Session) -> int:
    """Score the source as `sent-score` does, at a budget; return the budget that is left of it."""
    plan = make_plan([str(source)], output, ScoreOptions(batch_tokens=budget))
    return score_plan(plan, Scorer(file, session, budget)).batch_tokens


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
