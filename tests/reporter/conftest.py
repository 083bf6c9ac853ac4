"""Small files of scores, as sent-score writes them, and the figures of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import reporter

SCORES = [0.92, 0.82, 0.32, 0.12, None, 0.62]
PREDICTIONS = ["positive", "positive", "negative", "negative", None, "positive"]
STATUSES = ["ok", "ok", "truncated", "ok", "empty", "ok"]


def scores_table(**columns: Any) -> pa.Table:
    """Six rows, one of them without a score; columns come beside or in place of the usual ones."""
    usual: dict[str, Any] = {
        "score": pa.array(SCORES, pa.float32()),
        "prediction": PREDICTIONS,
        "status": STATUSES,
    }
    return pa.table(usual | columns)


@pytest.fixture
def figures(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Write a table, and make the figures of it."""

    def make(table: pa.Table, **options: Any) -> dict[str, Any]:
        path = tmp_path / "scores.parquet"
        pq.write_table(table, path)
        return reporter.report(path, **options)

    return make
