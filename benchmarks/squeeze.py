"""Score a window with too little memory left on the device: a process of its own, for `cuda`."""

import argparse
import json
import math
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from infer.model.file import read_model_file
from infer.model.scorer import Scorer
from infer.model.session import DEFAULT_BATCH_TOKENS, Session


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
    session = Session(file.data, given.device, precision=file.card.precision)
    calm = Scorer(file, session, DEFAULT_BATCH_TOKENS[session.provider] // 8)
    squeezed = Scorer(file, session, given.batch_tokens)
    encoded = calm.encode(texts)
    expected = calm.score(encoded).score
    with little_memory(given.device, given.leave_mib << 20):
        scores = squeezed.score(encoded).score
    apart = float(np.nanmax(np.abs(scores - expected)))
    facts = {
        "halvings": round(math.log2(given.batch_tokens / squeezed.batch_tokens)),
        "batch_tokens": squeezed.batch_tokens,
        "difference": apart,
    }
    print(json.dumps({**facts, "provider": session.provider, "rows": len(scores)}))


@contextmanager
def little_memory(device: str, leave: int) -> Iterator[None]:
    """Leave so many bytes: fill a GPU's memory, or bound this process's address space."""
    if device != "cpu":
        import torch

        free, _ = torch.cuda.mem_get_info(torch.device(device))
        filler = torch.empty(max(0, free - leave), dtype=torch.uint8, device=device)
        yield
        del filler
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + leave, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def address_space() -> int:
    """Return the bytes of address space that this process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
