"""What the rivals' commands share: reviews in, scores out."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Scorer = Callable[[list[str], Path], npt.NDArray[np.floating[Any]]]


def run(score: Scorer, description: str) -> None:
    """Read INPUT's text column, score it, write the other columns and `score` to OUTPUT."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    given = parser.parse_args()
    table = pq.read_table(given.input)
    scores = score(table["text"].to_pylist(), given.model)
    result = table.drop_columns(["text"]).append_column("score", pa.array(scores, pa.float32()))
    pq.write_table(result, given.output)
