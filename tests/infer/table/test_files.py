"""Files of text as people and programs write them: what parts fields, quotes, encodings, JSON."""

import bz2
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.base.errors import InputError, UsageError
from infer.table import json_files
from infer.table.csv_files import CsvFile
from infer.table.delimiters import read_delimiter
from infer.table.files import how_read, read_columns, read_schema
from infer.table.formats import FORMATS, find_format
from infer.table.json_files import WRITTEN_OUT, JsonFile

ROWS = {"text": ["good, bad", 'a "b"', "two\nlines"], "label": [1, 0, 1]}


def read(path: Path, content: bytes, delimiter: str | None = None) -> dict[str, list[Any]]:
    """Return all columns of a file with this content, texts as they are written."""
    path.write_bytes(content)
    names = read_schema(path, delimiter).names
    return read_columns(path, names, ["text"], delimiter).to_pydict()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b'text,label\n"good, bad",1\n"a ""b""",0\n"two\nlines",1\n'),
        ("a.csv", b'text;label\n"good, bad";1\n"a ""b""";0\n"two\nlines";1\n'),
        ("a.csv", b'text|label\n"good, bad"|1\n"a ""b"""|0\n"two\nlines"|1\n'),
        ("a.tsv", b'text\tlabel\ngood, bad\t1\n"a ""b"""\t0\n"two\nlines"\t1\n'),
        ("a.csv", b'text\tlabel\n"good, bad"\t1\n"a ""b"""\t0\n"two\nlines"\t1\n'),
        ("a.csv", b'text,label\n"good, bad",1\n"a \\"b\\"",0\n"two\nlines",1\n'),  # as Spark does
        ("a.csv", b'text,label\r\n"good, bad",1\r\n"a ""b""",0\r\n"two\nlines",1'),
        ("a.csv", b'text,label\r"good, bad",1\r"a ""b""",0\r"two\nlines",1\r'),
        ("a.csv", b'\xef\xbb\xbftext,label\n"good, bad",1\n"a ""b""",0\n"two\nlines",1\n'),
        ("a.csv", 'text,label\n"good, bad",1\n"a ""b""",0\n"two\nlines",1\n'.encode("utf-16")),
        ("A.CSV.GZ", gzip.compress(b'text;label\n"good, bad";1\n"a ""b""";0\n"two\nlines";1\n')),
        ("a.jsonl", b'{"text":"good, bad","label":1}\r\n\n{"text":"a \\"b\\"","label":0}\n'
                    b'{"text":"two\\nlines","label":1}'),
        ("a.json", json.dumps([dict(zip(ROWS, r, strict=True))
                               for r in zip(*ROWS.values(), strict=True)], indent=2).encode()),
        ("a.ndjson.bz2", bz2.compress(b'\xef\xbb\xbf{"text":"good, bad","label":1}\n'
                    b'{"text":"a \\"b\\"","label":0}\n{"text":"two\\nlines","label":1}\n')),
        ("a.jsonl", '{"text":"good, bad","label":1}\n{"text":"a \\"b\\"","label":0}\n'
                    '{"text":"two\\nlines","label":1}\n'.encode("utf-16")),
    ],
)  # fmt: skip
def test_the_same_rows_however_they_are_written(tmp_path: Path, name: str, content: bytes) -> None:
    assert read(tmp_path / name, content) == ROWS


def test_what_was_noticed_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'text;label\n"a \\"b\\"";1\nc;0\n')
    notes = how_read(path)
    assert "parted by ';' by its looks" in notes[0] and "--delimiter" in notes[0]
    assert "have a backslash before them" in notes[1]
    path.write_bytes(b'text,label\n"a ""b""",1\nC:\\x,0\n"D:\\",1\n')
    assert how_read(path) == ()
    assert how_read(tmp_path / "a.jsonl") == ()


def test_quotes_that_are_neither_doubled_nor_escaped_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b'text\tlabel\nsize 5" is\t1\n"Never began\t0\nthe "end\t1\n')
    assert read_columns(path, ["text"], ["text"]).num_rows == 2  # of three
    (note,) = how_read(path)
    assert "Warning" in note and "up to line 4" in note and "may have run together" in note


def test_a_delimiter_that_is_asked_for_is_used_or_another_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    assert read(path, b"text!label\na,b!1\n", "!") == {"text": ["a,b"], "label": [1]}
    with pytest.raises(InputError, match=r"one column by --delimiter '\|'.*looks that is tab"):
        read(path, b"text\tlabel\na\t1\n", "|")


@pytest.mark.parametrize("content", [b'text\ngood; bad\n"so, so"\n', b"text\na\n", b"text\n"])
def test_one_column_stays_one(tmp_path: Path, content: bytes) -> None:
    assert list(read(tmp_path / "a.csv", content)) == ["text"]


def test_an_empty_line_of_one_column_is_a_row(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", b'text\na\n\n""\nb\n') == {"text": ["a", None, "", "b"]}
    assert read(tmp_path / "b.csv", b"text,label\na,1\n\nb,2\n") == {
        "text": ["a", "b"],
        "label": [1, 2],
    }


@pytest.mark.parametrize("content", [b"text,label\n", b"text,label", b"\xef\xbb\xbftext,label\r\n"])
def test_a_header_alone_has_no_rows(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path / "a.csv", content) == {"text": [], "label": []}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "not a readable CSV file"),
        ("a.csv", b"text,label\na,1\nb\n", "Expected 2 columns, got 1"),
        ("a.csv", b"text,label\na,1\nb,2,3\n", "Expected 2 columns, got 3"),
        ("a.tsv.gz", b"text\tlabel\n", "not a readable TSV file"),
        ("a.json", b"[", "element 1 is no JSON"),
        ("a.json", b'[{"text": "a"} {"text": "b"}]', "element 2 is no JSON"),
        ("a.json", b'[{"text": "a"},', "element 2 is no JSON"),
        ("a.json", b"[]", "holds no object"),
        ("a.json", b'{"text": "a",\n "label": 1}', "line 1 is no JSON"),
        ("a.jsonl", b"7", "line 1 is 7, expected an object"),
        ("a.jsonl", b"  \n", "holds no object"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path / name, content)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
def test_an_array_is_read_in_a_stream(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(json_files, "_READ_CHARACTERS", size)
    values: list[Any] = [{"a": 1, "b": ["x", {"c": '"]},'}]}, {}, {"d": -1.5e3}, {"é": None}]
    for indent in (None, 2):
        text = f" \n{json.dumps(values, indent=indent)} \n"
        assert list(JsonFile(opener(text.encode()))._rows()) == values


def opener(content: bytes) -> Callable[[], pa.NativeFile]:
    """Return what opens a file with this content."""
    return lambda: pa.BufferReader(content)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner,
                                                                max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), JSON_VALUES), min_size=1), st.booleans())
def test_json_of_every_kind_comes_back(rows: list[dict[str, Any]], as_array: bool) -> None:
    rows = [{"text": "x", **row} for row in rows]
    lines = map(json.dumps, rows)
    content = f"[{','.join(lines)}]" if as_array else "\n".join(lines)
    file = JsonFile(opener(content.encode()))
    schema = file.schema()
    table = pa.Table.from_batches(list(file.batches(schema)), schema)
    for name in schema.names:
        values = [row.get(name) for row in rows]
        field = schema.field(name)
        if pa.types.is_string(field.type):
            found = raw(table[name])
            assert found == [
                None if value is None
                else (value if isinstance(value, str) and field.metadata is None
                      else json.dumps(value, ensure_ascii=False)).encode("utf-8", "surrogatepass")
                for value in values
            ]  # fmt: skip
            assert (field.metadata == WRITTEN_OUT) == all(not isinstance(v, str) for v in values)
        else:
            assert table[name].to_pylist() == values


def raw(column: pa.ChunkedArray) -> list[bytes | None]:
    """Return strings as bytes, whatever they hold."""
    return [value for chunk in column.chunks for value in chunk.view(pa.binary()).to_pylist()]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
                 | st.none(), min_size=2, max_size=2),
        min_size=1),
    st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
def test_csv_of_every_text_comes_back(rows: list[list[str | None]], mark: str, end: str) -> None:
    written = io.StringIO()
    for row in [["text", "more"], *rows]:
        fields = ("" if f is None else '"' + f.replace('"', '""') + '"' for f in row)
        written.write(mark.join(fields) + end)
    schema, batches = CsvFile(opener(written.getvalue().encode()), "a", mark, mark).batches()
    found = pa.Table.from_batches(list(batches), schema)
    assert [list(row.values()) for row in found.to_pylist()] == rows


def test_bytes_that_are_no_utf8_are_kept_where_rows_are_streamed() -> None:
    _, batches = CsvFile(opener(b"text,more\n\xff,caf\xe9\n"), "a", ",").batches()
    batch = next(iter(batches))
    assert [column.view(pa.binary()).to_pylist() for column in batch.columns] == [
        [b"\xff"],
        [b"caf\xe9"],
    ]


@pytest.mark.parametrize("value", ["", "ab", "a", "é", '"', "\n", "\\"])
def test_no_delimiters(value: str) -> None:
    with pytest.raises(UsageError, match="expected one ASCII mark"):
        read_delimiter(value)


def test_delimiters_as_people_write_them() -> None:
    assert [read_delimiter(v) for v in (None, ";", "tab", "TAB", "\\t", "\t")] == [
        None, ";", "\t", "\t", "\t", "\t",
    ]  # fmt: skip


def test_a_names_end_tells_the_format() -> None:
    assert find_format("a/B.TSV.gz").name == "TSV"
    assert find_format(Path("x.json.zst")).name == "JSON Lines"
    assert find_format("x.parquet.csv").name == "CSV"
    assert find_format("csv").name == find_format("x.gz").name == "Parquet"
    assert {".csv", ".csv.gz", ".tsv.bz2", ".jsonl.zst", ".parquet"} < set(FORMATS)
