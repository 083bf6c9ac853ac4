"""A byte changed anywhere in a Parquet file: scores or one line, never a signal's exit code."""

import random
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def whole(tmp_path):
    """The bytes of a file with columns of many kinds, in small pages."""
    rows = 400
    table = pa.table(
        {
            "id": np.arange(rows),
            "text": [f"good film {i}" if i % 7 else None for i in range(rows)],
            "kind": pa.array(["a", "b"] * (rows // 2)).dictionary_encode(),
            "when": pa.array([10**6 * i for i in range(rows)], pa.timestamp("us")),
            "nested": [[{"x": i, "y": "s"}] for i in range(rows)],
            "fixed": pa.array([b"1234"] * rows, pa.binary(4)),
        }
    )
    path = tmp_path / "whole.parquet"
    pq.write_table(table, path, row_group_size=150, data_page_size=1_000)
    return path.read_bytes()


def test_a_byte_changed_anywhere(worker, tmp_path, full, tally, whole):
    footer = len(whole) - 8 - struct.unpack("<I", whole[-8:-4])[0]
    draw = random.Random(0)
    tries, codes = (2_000 if full else 10), {0: 0, 1: 0, 2: 0}
    for number in range(tries):
        content = bytearray(whole)
        # The footer and the pages with their headers in turn.
        place = draw.randrange(footer, len(whole)) if number % 2 else draw.randrange(4, footer)
        content[place] ^= draw.randrange(1, 256)
        source, output = tmp_path / "in.parquet", tmp_path / "out" / "out.parquet"
        source.write_bytes(content)
        options = ("--overwrite", "--no-resume", "--text-column", "text", "--quiet")
        code, said = worker.run(source, output, *options)
        assert code in codes, (number, place, code, said)
        assert code == 0 or len(said.splitlines()) == 1, (number, place, said)
        codes[code] += 1
    tally(
        "A byte changed in footer, page header or page: scores or one line, no signal",
        f"{tries:,} files: {codes[0]:,} scored, {codes[1] + codes[2]:,} refused in one line",
    )
