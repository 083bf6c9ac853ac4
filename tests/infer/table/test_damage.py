"""Files with one changed byte: read, or an `InputError`; never the end of the process."""

import subprocess
import sys

# Each file is read in a child of its own, since pyarrow can end it.
READ_DAMAGED = """
import collections, os, random, struct, sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from infer.base.errors import InputError
from infer.table.columns import choose_columns
from infer.table.inputs import find_inputs
from infer.table.parquet import carried_tables, open_parquet, text_windows

folder, tries = Path(sys.argv[1]), int(sys.argv[2])
rows = 400
table = pa.table({
    "id": np.arange(rows),
    "text": [f"good film {i}" if i % 7 else None for i in range(rows)],
    "kind": pa.array(["a", "b"] * (rows // 2)).dictionary_encode(),
    "nested": [[{"x": i, "y": "s"}] for i in range(rows)],
    "fixed": pa.array([b"1234"] * rows, pa.binary(4)),
})
pq.write_table(table, folder / "whole.parquet", row_group_size=150, data_page_size=1_000)
whole = (folder / "whole.parquet").read_bytes()
footer = len(whole) - 8 - struct.unpack("<I", whole[-8:-4])[0]
draw, codes = random.Random(0), collections.Counter()

def read(path):
    try:
        with open_parquet(find_inputs([str(path)]).files[0]) as file:
            columns = choose_columns(file.schema, "x", "text")
            list(text_windows(file, "text", 100))
            list(carried_tables(file, columns.carried))
    except InputError:
        return 2
    return 0

for number in range(tries):
    content = bytearray(whole)
    place = draw.randrange(footer, len(whole)) if number % 2 else draw.randrange(4, footer)
    content[place] ^= draw.randrange(1, 256)
    (folder / "x.parquet").write_bytes(content)
    if (child := os.fork()) == 0:
        os._exit(read(folder / "x.parquet"))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 2), (number, place, code)
    codes[code] += 1
assert min(codes[0], codes[2]) > tries // 10, codes
"""


def test_one_changed_byte(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", READ_DAMAGED, str(tmp_path), "200"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
