"""Files made to fill the memory: each stays under 1 GB (promise 10)."""

import subprocess
import sys

import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

LIMIT_MB = 1_000
PROMISE = "Peak memory under 1 GB: "


# What a forked child is charged with is partly the memory of the process that it was forked from.
COMMAND = """
import re, sys
from pathlib import Path
from infer.cli import main
try:
    main()
finally:
    peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
    print("PEAK", peak[1])
"""


def run(model_path, source, output, codes=(0,)):
    """Run the command in a process of its own: its peak resident memory in MB, and its talk."""
    command = [sys.executable, "-c", COMMAND, source, "-o", output, "--model", model_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in codes, done.stderr
    return int(done.stdout.rpartition("PEAK")[2]) / 1024, done.stderr


def ascending():
    """Return 450 MB of texts, none shorter than the one before, the longest of 300 kB."""
    return pa.array(["good film . " * (8 * i) for i in range(3_060)], pa.string())


@pytest.mark.slow
@pytest.mark.parametrize("column", ["text", "carried"])
def test_lengths_ascending_in_one_row_group(model_path, tmp_path, tally, column):
    source = tmp_path / "in.parquet"
    texts = ascending()
    other = {"text": pa.array(["good"] * len(texts))} if column == "carried" else {}
    pq.write_table(pa.table({**other, column: texts}), source, use_dictionary=False)
    del texts
    megabytes, _ = run(model_path, source, tmp_path / "out.parquet")
    assert megabytes < LIMIT_MB
    kind = "carried" if column == "carried" else "scored"
    tally(
        f"{PROMISE}a {kind} column, lengths ascending in one row group without dictionary",
        f"{source.stat().st_size >> 20} MB for 450 MB of text: {megabytes:.0f} MB",
    )


TEXTS = {
    "words": "good film . It's (bad) <br /> ",
    "lines": "good film .\r\n\r\n",
    "Cyrillic": "хороший фильм ",
    "Chinese": "这部电影很好。",
    "base64": "aGVsbG8gd29ybGQK",
    "marks": "?!) ",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", TEXTS)
def test_a_row_of_60_megabytes(model_path, tmp_path, tally, kind):
    source, text = tmp_path / "in.parquet", TEXTS[kind]
    pq.write_table(pa.table({"text": [text * (60_000_000 // len(text.encode()))]}), source)
    megabytes, _ = run(model_path, source, tmp_path / "out.parquet")
    assert megabytes < LIMIT_MB
    tally(f"{PROMISE}a row of 60 MB ({kind})", f"{megabytes:.0f} MB")


@pytest.mark.slow
def test_a_carried_value_of_60_megabytes(model_path, tmp_path, tally):
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": ["good"], "page": ["good film . " * 5_000_000]}), source)
    megabytes, _ = run(model_path, source, tmp_path / "out.parquet")
    assert megabytes < LIMIT_MB
    tally(f"{PROMISE}a carried value of 60 MB", f"{megabytes:.0f} MB")


def varint(number, size):
    """Return a number, 0 or more, as Thrift's compact protocol writes it, in so many bytes."""
    zigzag = number << 1
    low = [zigzag >> (7 * i) & 0x7F for i in range(size)]
    assert zigzag >> (7 * size) == 0
    return bytes([*(byte | 0x80 for byte in low[:-1]), low[-1]])


def read_varint(content, place):
    """Return the number at a place, and where it ends."""
    end = place
    while content[end] & 0x80:
        end += 1
    return sum((content[i] & 0x7F) << 7 * (i - place) for i in range(place, end + 1)) >> 1, end + 1


def with_claim(content, claim):
    """Give the first page's header a claim of its unpacked size, in the room of its checksum."""
    assert content[:7] == b"PAR1\x15\x00\x15"
    _, end = read_varint(content, 7)
    assert content[end] == 0x15
    packed, end = read_varint(content, end + 1)
    assert content[end] == 0x15
    _, end = read_varint(content, end + 1)
    assert content[end] == 0x1C  # the page's own header is the next field; then the next but one
    head = content[:7] + varint(claim, 5) + b"\x15"
    room = end - len(head)
    return head + varint(packed, room) + b"\x2c" + content[end + 1 :]


def test_a_page_that_claims_two_gigabytes(model_path, tmp_path, tally):
    source = tmp_path / "in.parquet"
    table = pa.table({"text": ["good film"] * 5_000})
    pq.write_table(table, source, use_dictionary=False, write_page_checksum=True)
    assert pq.read_table(source).num_rows == 5_000
    source.write_bytes(with_claim(source.read_bytes(), (1 << 31) - 1))
    megabytes, said = run(model_path, source, tmp_path / "out.parquet", codes=(1, 2))
    assert len(said.splitlines()) <= 3, said
    assert "Error: " in said.splitlines()[-1]
    assert "in.parquet" in said.splitlines()[-1]
    assert megabytes < LIMIT_MB
    tally(f"{PROMISE}a page that claims 2 GiB", f"one line, {megabytes:.0f} MB")


def test_a_card_of_40_megabytes(model_path, tmp_path, tally):
    """A vocabulary of some five million words, in a file that is sealed again."""
    model = onnx.load(model_path)
    for entry in model.metadata_props:
        if entry.key == "sent.vocabulary":
            entry.value += "".join(f"word{i:08}\n" for i in range(3_100_000))
    large = tmp_path / "large.onnx"
    onnx.save(model, large)
    assert large.stat().st_size > 40_000_000
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": ["good"]}), source)
    megabytes, said = run(large, source, tmp_path / "out.parquet", codes=(1,))
    assert len(said.splitlines()) == 1, said
    assert "large.onnx" in said
    assert megabytes < LIMIT_MB
    tally(f"{PROMISE}a model file with a card of 40 MB", f"one line, {megabytes:.0f} MB")
