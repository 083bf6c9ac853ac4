"""Which files belong to a job, and what they say of themselves."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from infer.base.errors import OutputError
from tests.infer.job.conftest import kinds


def test_a_foreign_file(job, check):
    (job / "out" / "notes.txt").write_text("of no account")
    (job / "out" / "_SUCCESS").write_text("")
    (job / "out" / ".sent-parts").mkdir()
    (job / "out" / ".sent-parts" / "x.parquet").write_text("")
    assert check().is_complete
    for name in ("x.parquet", "y=1/b.000000000000.parquet", "z.csv"):
        shutil.copy(job / "out" / "b.000000000000.parquet", job / "out" / name)
    (job / "out" / "link.parquet").symlink_to(job / "out" / "b.000000000000.parquet")
    assert kinds(check()) == ["foreign"] * 4


def test_a_damaged_output(job, check):
    path = job / "out" / "b.000000000100.parquet"
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    assert kinds(check()) == ["damaged"]
    path.write_bytes(bytes(content[:100]))
    assert kinds(check()) == ["damaged", "missing"]


@pytest.mark.parametrize("rows", [None, "xy", [0], [0, None]])
def test_an_output_that_tells_no_rows(job, check, rows):
    path = job / "out" / "b.000000000100.parquet"
    table = pq.read_table(path)
    task = json.dumps({"content": {"rows": rows}})
    pq.write_table(table.replace_schema_metadata({"sent.task": task}), path)
    assert kinds(check()) == ["other job", "missing"]


def test_an_output_that_another_program_wrote_again(job, check):
    path = job / "out" / "b.000000000100.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 99), path)
    assert kinds(check()) == ["damaged"]
    pq.write_table(table.replace_schema_metadata(None), path)
    assert "does not say which job made it" in check().problems[0].message


def test_a_piece_under_another_name(job, check):
    out = job / "out"
    (out / "b.000000000100.parquet").rename(out / "b.000000000300.parquet")
    assert kinds(check()) == ["damaged"]


@pytest.mark.parametrize("column", ["id", "score", "status"])
def test_an_output_without_a_column(job, check, column):
    path = job / "out" / "b.000000000100.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    assert kinds(check()) == ["damaged"]
    assert f"other columns than it was made with ({column})" in check().problems[0].message


def test_a_problem_is_one_line(job, check):
    path = job / "out" / "b.000000000100.parquet"
    content = bytearray(path.read_bytes())
    content[-60] ^= 16  # within the footer
    path.write_bytes(content)
    assert "\n" not in check().problems[0].message


def test_a_name_that_is_too_long(job, check):
    with pytest.raises(OutputError, match="File name too long"):
        check(output=job / ("x" * 300))
