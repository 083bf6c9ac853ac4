"""Reading: columns chosen or refused, windows of text, tables of carried columns."""

import base64
import dataclasses
import datetime
import decimal
import os
import subprocess
import sys
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.base.errors import InputError
from infer.table.columns import choose_columns, is_text, output_schema
from infer.table.inputs import find_inputs
from infer.table.leaves import lost_meanings
from infer.table.parquet import carried_tables, check_carried, open_parquet, text_windows

STRINGS = ["string", "large_string", "string_view"]
BINARIES = ["binary", "large_binary", "binary_view"]
TEXTS = ["good film", None, "", "bad 🎬 فيلم"]


def write(path, table, **options):
    pq.write_table(table, path, **options)
    return find_inputs([str(path)]).files[0]


def windows(source, rows=100, **options):
    with open_parquet(source) as file:
        return [window.to_pylist() for window in text_windows(file, "text", rows, **options)]


@pytest.mark.parametrize("name", STRINGS + BINARIES)
@pytest.mark.parametrize("dictionary", [False, True])
def test_every_type_that_can_hold_text(tmp_path, name, dictionary):
    kind = getattr(pa, name)()
    texts = TEXTS
    if name in BINARIES:
        texts = [None if text is None else text.encode() for text in TEXTS]
    array = pa.array(texts, kind)
    if dictionary and not name.endswith("view"):
        array = array.dictionary_encode()
    source = write(tmp_path / "x.parquet", pa.table({"text": array}))
    with open_parquet(source) as file:
        assert is_text(file.schema.field("text").type)
    assert windows(source) == [texts]


@pytest.mark.parametrize(
    ("columns", "options", "text", "carried"),
    [
        ([("id", pa.int64()), ("text", pa.string())], {}, "text", ("id",)),
        ([("text", pa.string()), ("review", pa.string())], {}, "text", ("review",)),
        ([("review", pa.string()), ("title", pa.string())], {}, "review", ("title",)),
        ([("body", pa.large_string()), ("n", pa.int8())], {}, "body", ("n",)),
        ([("a", pa.string()), ("b", pa.binary())], {"text": "b"}, "b", ("a",)),
        (
            [("text", pa.string()), ("b", pa.int8())],
            {"carry": ["b", "text"]},
            "text",
            ("text", "b"),
        ),
        ([("text", pa.string()), ("score", pa.int8())], {"prefix": "sent_"}, "text", ("score",)),
        ([("text", pa.string()), ("score", pa.int8())], {"carry": []}, "text", ()),
    ],
)
def test_which_columns_are_read(columns, options, text, carried):
    chosen = choose_columns(pa.schema(columns), "x.parquet", **options)
    assert (chosen.text, chosen.carried) == (text, carried)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ([], {}, "no columns at all, expected at least a text column"),
        ([("id", pa.int64())], {}, "no string columns. Columns: id (int64). Use --text-column"),
        (
            [("a", pa.string()), ("b", pa.string())],
            {},
            "and 2 string columns. Columns: a (string), b (string). Use --text-column",
        ),
        ([("text", pa.int64())], {}, "column 'text' has type int64, expected string"),
        ([("text", pa.list_(pa.string()))], {}, "'text' has type list<item: string>, expected"),
        ([("text", pa.struct([("a", pa.string())]))], {}, "has type struct<a: string>, expected"),
        ([("id", pa.string())], {"text": "body"}, "no column 'body'. Columns: id (string)"),
        ([("id", pa.string())], {"carry": ["x"]}, "no column 'x'. Columns: id (string)"),
        ([("text", pa.string()), ("text", pa.string())], {}, "column 'text' occurs twice"),
        (
            [("text", pa.string()), ("score", pa.int8())],
            {},
            "column 'score' would be written twice",
        ),
        ([("text", pa.string()), ("p_status", pa.int8())], {"prefix": "p_"}, "'p_status' would be"),
    ],
)
def test_what_cannot_be_read_is_named(columns, options, message):
    with pytest.raises(InputError) as caught:
        choose_columns(pa.schema([pa.field(*column) for column in columns]), "x.parquet", **options)
    assert str(caught.value).startswith("x.parquet: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"text\ngood film\n", os.urandom(1000)])
def test_what_is_no_parquet_file_is_named(tmp_path, content):
    (tmp_path / "x.parquet").write_bytes(content)
    source = find_inputs([str(tmp_path / "x.parquet")]).files[0]
    message = r"x\.parquet: not a whole, readable Parquet file"
    with pytest.raises(InputError, match=message), open_parquet(source):
        pass


@given(
    lengths=st.lists(st.integers(0, 40), max_size=40),
    groups=st.integers(1, 50),
    rows=st.integers(1, 12),
    max_bytes=st.integers(1, 100),
    data=st.data(),
)
def test_windows_are_bounded_and_start_where_a_resumed_job_asks(
    tmp_path_factory, lengths, groups, rows, max_bytes, data
):
    path = tmp_path_factory.mktemp("windows") / "x.parquet"
    texts = [f"{i}".ljust(n, "x")[:n] for i, n in enumerate(lengths)]
    source = write(path, pa.table({"text": pa.array(texts, pa.string())}), row_group_size=groups)
    whole = windows(source, rows, max_bytes=max_bytes)
    assert [text for window in whole for text in window] == texts
    for window in whole:
        assert 0 < len(window) <= rows
        assert sum(map(len, window)) <= max_bytes or len(window) == 1
    done = data.draw(st.integers(0, len(whole)))
    skip = sum(map(len, whole[:done]))
    assert windows(source, rows, max_bytes=max_bytes, skip=skip) == whole[done:]


# The peak since the program began; `ru_maxrss` counts that of the process that started it, too.
PEAK = """
from pathlib import Path
status = Path("/proc/self/status").read_text().split()
print(int(status[status.index("VmHWM:") + 1]) // 1024)
"""
READ_A_WHILE = (
    """
import sys
from infer.table.inputs import find_inputs
from infer.table.parquet import carried_tables, open_parquet, text_windows
with open_parquet(find_inputs(sys.argv[1:]).files[0]) as file:
    for _, window in zip(range(10), text_windows(file, "text", 16_384)):
        assert len(window) <= 64
    for _, table in zip(range(3), carried_tables(file, ["id", "copy"])):
        assert table.nbytes <= 150 << 20
"""
    + PEAK
)


def repeated_texts(path, size, rows):
    """Write `rows` rows of the same two texts: a dictionary page stands for all of them."""
    texts = pa.DictionaryArray.from_arrays(
        pa.array(np.arange(rows) % 2, pa.int32()), ["x" * size, "good film"]
    )
    table = pa.table({"id": np.arange(rows), "text": texts, "copy": texts})
    return write(path, table, store_schema=False)


def test_a_dictionary_page_that_stands_for_gigabytes(tmp_path):
    """4,000 rows of 1 MB each, 4 GB of text in a file of 50 KB, as text and as carried column."""
    source = repeated_texts(tmp_path / "x.parquet", 1 << 20, 4_000)
    command = [sys.executable, "-c", READ_A_WHILE, source.path]
    peak_megabytes = int(subprocess.run(command, check=True, capture_output=True).stdout)
    assert peak_megabytes < 1_000


def test_the_longest_entry_is_found_below_nulls_and_in_nested_columns(tmp_path):
    rows = 1000
    long = "y" * 100_000
    texts = [None] * (rows // 2) + [long, "z"] * (rows // 4)
    table = pa.table(
        {
            "text": texts,
            "many": [None, *([[long]] * (rows - 1))],
            "in": [{"x": long}] * rows,
            "with.dot": [{"x": long}] * rows,
        }
    )
    source = write(tmp_path / "x.parquet", table)
    with open_parquet(source) as file:
        for column in table.column_names:
            for batch in file.batches([column], 4 << 20, 8192):
                assert batch.nbytes <= 5 << 20, column


def carried(source, columns):
    with open_parquet(source) as file:
        return pa.concat_tables(list(carried_tables(file, columns)))


def test_carried_columns_come_back_bit_for_bit(tmp_path):
    nans = np.array([0x7FF8000000000001, 0xFFF0000000000001, 0x8000000000000000, 1], np.uint64)
    zone = pa.timestamp("ns", "Europe/Berlin")
    table = pa.table(
        {
            "nan": nans.view(np.float64),
            "half": np.array([0x7E01, 0xFC00, 0x8000, 1], np.uint16).view(np.float16),
            "decimal": pa.array([decimal.Decimal("12.34"), None, None, None], pa.decimal128(38, 2)),
            "when": pa.array([0, 1, None, 2**62], zone),
            "day": pa.array([datetime.date(1, 1, 1), datetime.date(9999, 12, 31), None, None]),
            "time": pa.array([0, 1, 2, None], pa.time64("ns")),
            "took": pa.array([0, -1, 2**62, None], pa.duration("us")),
            "nested": [[{"a": [1, None]}], [], None, [{"a": None}, None]],
            "map": pa.array([[("k", 1)], [], None, [("a", None)]], pa.map_(pa.string(), pa.int8())),
            "kind": pa.array(["x", None, "y", "x"]).dictionary_encode(),
            "fixed": pa.array([b"ab", None, b"cd", b"\0\0"], pa.binary(2)),
            "view": pa.array(["a", None, "long enough not to be inlined", ""], pa.string_view()),
            "bytes": [b"\xff", b"\xed\xa0\x80", b"", None],
            "nothing": pa.nulls(4),
            "uuid": pa.array([uuid.UUID(int=i).bytes for i in range(4)], pa.uuid()),
            "a.b": [1, 2, 3, 4],
            "a": [5, 6, 7, 8],
            "odd \0 näme": [True, None, False, True],
        }
    )  # fmt: skip
    source = write(tmp_path / "x.parquet", table)
    original = pq.read_table(tmp_path / "x.parquet")
    found = carried(source, table.column_names)
    assert found.schema.equals(original.schema, check_metadata=True)
    for name in table.column_names:
        expected, value = original[name].combine_chunks(), found[name].combine_chunks()
        if name in ("nan", "half"):  # NaNs are unequal to themselves
            bits = np.uint64 if name == "nan" else np.uint16
            assert (expected.to_numpy().view(bits) == value.to_numpy().view(bits)).all()
        else:
            assert value.equals(expected), name
    assert carried(source, ["a"]).column_names == ["a"]  # not a.b along with it


def test_carried_tables_are_row_groups_of_a_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr("infer.table.parquet._OUTPUT_ROWS", 65_536)
    table = pa.table({"text": ["x"] * 200_000, "id": np.arange(200_000)})
    source = write(tmp_path / "x.parquet", table, row_group_size=3_000)
    with open_parquet(source) as file:
        tables = list(carried_tables(file, ["id"]))
        empty = list(carried_tables(file, []))
    assert pa.concat_tables(tables)["id"].to_numpy().tolist() == list(range(200_000))
    assert max(one.num_rows for one in tables) < 65_536 + 3_000
    assert min(one.num_rows for one in tables[:-1]) >= 65_536
    assert sum(one.num_rows for one in empty) == 200_000


@pytest.mark.parametrize("distinct", [7, 5_000, 60_000])
@pytest.mark.parametrize("ordered", [False, True])
def test_a_carried_dictionary_is_written_once(tmp_path, distinct, ordered):
    """Every 16,384 rows became a row group with the whole dictionary."""
    draw = np.random.default_rng(0)
    values = pa.DictionaryArray.from_arrays(
        pa.array(draw.integers(0, distinct, 60_000), mask=draw.random(60_000) < 0.01),
        pa.array([f"value {i:09d} {i * 7919 % 999983}" for i in range(distinct)]),
        ordered=ordered,
    )
    table = pa.table({"text": ["x"] * 60_000, "kind": values})
    source = write(tmp_path / "x.parquet", table, compression="none", row_group_size=40_000)
    found = carried(source, ["kind"])
    assert found["kind"].type == pq.read_schema(source.path).field("kind").type
    assert (
        found["kind"].cast(pa.string()).equals(pq.read_table(source.path)["kind"].cast(pa.string()))
    )
    with open_parquet(source) as file:
        (group,) = carried_tables(file, ["kind"])
    for name, written in (("out", group), ("one", pq.read_table(source.path).select(["kind"]))):
        pq.write_table(written, tmp_path / name, compression="none", store_schema=False)
    sizes = [(tmp_path / name).stat().st_size for name in ("out", "one")]
    assert sizes[0] <= 1.2 * sizes[1]


def test_int96_comes_out_in_microseconds(tmp_path):
    days = [datetime.datetime(9999, 12, 31), datetime.datetime(1, 1, 1), None]
    table = pa.table({"text": ["x"] * 3, "when": pa.array(days, pa.timestamp("us"))})
    source = write(tmp_path / "x.parquet", table, use_deprecated_int96_timestamps=True)
    assert carried(source, ["when"])["when"].to_pylist() == days
    with open_parquet(source) as file:
        assert lost_meanings(file.leaves, file.schema, ["when"]) == [
            "'when' is of the old type INT96 and becomes TIMESTAMP (isAdjustedToUTC False, "
            "timeUnit microseconds), cut to microseconds"
        ]


def test_types_that_arrow_lacks_are_told(tmp_path):
    table = pa.table({"text": ["x"], "gap": pa.array([b"123456789012"], pa.binary(12))})
    source = write(tmp_path / "x.parquet", table)
    with open_parquet(source) as file:
        assert lost_meanings(file.leaves, file.schema, ["text", "gap"]) == []
        leaf = dataclasses.replace(file.leaves[1], meaning="INTERVAL")
        assert lost_meanings([leaf], file.schema, ["gap"]) == [
            "'gap' is of type INTERVAL and becomes FIXED_LEN_BYTE_ARRAY"
        ]


@pytest.fixture
def encrypted(tmp_path):
    """A file whose column `secret` is encrypted and whose footer is not."""
    encryption = pytest.importorskip("pyarrow.parquet.encryption")

    class Keys(encryption.KmsClient):
        def wrap_key(self, key_bytes, master_key_identifier):
            return base64.b64encode(key_bytes)

        def unwrap_key(self, wrapped_key, master_key_identifier):
            return base64.b64decode(wrapped_key)

    config = encryption.EncryptionConfiguration(
        footer_key="footer", column_keys={"column": ["secret"]}, plaintext_footer=True
    )
    factory = encryption.CryptoFactory(lambda _: Keys())
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), config)
    return write(
        tmp_path / "x.parquet",
        pa.table({"text": ["good", "bad"], "secret": ["a", "b"], "id": [1, 2]}),
        encryption_properties=properties,
    )


def test_a_partly_encrypted_file_is_read_where_it_can_be(encrypted):
    assert windows(encrypted) == [["good", "bad"]]
    assert carried(encrypted, ["id"])["id"].to_pylist() == [1, 2]
    message = r"x\.parquet: column 'secret': .*decrypt.*\. Leave that column out with --columns"
    with pytest.raises(InputError, match=message):
        carried(encrypted, ["id", "secret"])
    with open_parquet(encrypted) as file, pytest.raises(InputError, match=message):
        check_carried(file, ["id", "secret"])


def test_damage_in_a_carried_column_is_found_before_the_work(tmp_path):
    table = pa.table(
        {"text": ["good"] * 1000, "a": range(1000), "b": [f"v{i}" for i in range(1000)]}
    )
    source = write(tmp_path / "x.parquet", table, write_page_checksum=True, compression="none")
    content = bytearray((tmp_path / "x.parquet").read_bytes())
    content[content.index(b"v500") + 3] ^= 1
    (tmp_path / "x.parquet").write_bytes(content)
    with open_parquet(source) as file:
        check_carried(file, ["a"])
        with pytest.raises(InputError, match=r"x\.parquet: column 'b': .*CRC.*--columns"):
            check_carried(file, ["a", "b"])


def test_ten_thousand_columns(tmp_path):
    """Each question for a column's name went through all of them."""
    table = pa.table({"text": ["good", None], **{f"c{i}": [i, i + 1] for i in range(10_000)}})
    source = write(tmp_path / "x.parquet", table)
    with open_parquet(source) as file:
        chosen = choose_columns(file.schema, "x.parquet")
        (read,) = carried_tables(file, chosen.carried)
    assert read.equals(table.drop(["text"]))


ASCENDING = (
    """
import sys
from infer.table.inputs import find_inputs
from infer.table.parquet import carried_tables, open_parquet, text_windows
with open_parquet(find_inputs(sys.argv[1:]).files[0]) as file:
    rows = sum(len(window) for window in text_windows(file, "text", 16_384))
    assert rows == sum(table.num_rows for table in carried_tables(file, ["copy"])) == file.rows
"""
    + PEAK
)


@pytest.mark.slow
def test_lengths_in_ascending_order_in_one_row_group(tmp_path):
    lengths = np.concatenate([np.ones(400_000, int), np.arange(1, 3_000) * 100])
    texts = pa.array(["x" * n for n in lengths])
    source = write(
        tmp_path / "x.parquet",
        pa.table({"text": texts, "copy": texts}),
        use_dictionary=False,
        row_group_size=len(texts),
    )
    done = subprocess.run(
        [sys.executable, "-c", ASCENDING, source.path], check=True, capture_output=True
    )
    assert int(done.stdout) < 1_000


def test_the_output_schema_keeps_fields_and_metadata():
    before = pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False, metadata={"unit": "none"}),
            pa.field("text", pa.string()),
        ],
        metadata={"owner": "{}", "sent.version": "old", b"raw": b"\xff"},
    )
    after = output_schema(before, ["id"], "p_", {"sent.version": "new"})
    assert after.names == ["id", "p_score", "p_prediction", "p_status"]
    assert after.field("id").equals(before.field("id"), check_metadata=True)
    assert after.metadata == {b"owner": b"{}", b"sent.version": b"new", b"raw": b"\xff"}


def test_a_flipped_bit_in_a_page_with_a_checksum_is_an_error(tmp_path):
    table = pa.table({"text": [f"review {i}" for i in range(1000)]})
    source = write(tmp_path / "x.parquet", table, write_page_checksum=True, compression="none")
    content = bytearray((tmp_path / "x.parquet").read_bytes())
    content[content.index(b"review 500") + 3] ^= 1
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(InputError, match="CRC"):
        windows(source)
