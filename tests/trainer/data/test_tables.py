"""Files of every format hold the same reviews; what cannot be read is named."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infer.base.errors import InputError, UsageError
from infer.table.files import read_columns, read_schema
from trainer.data.datasets import load_dataset
from trainer.data.reading import Columns, read_unlabelled
from trainer.run.train import carry_out
from trainer.settings.recipe import Recipe
from trainer.settings.request import Request

TEXTS = [
    'She said "no", twice.',
    "Two\nlines, one comma",
    "2010-10-10",
    "NA",
    "null",
    "42",
    "  spaces  ",
    "naïve – ☃",
    "true",
    "last",
]
LABELS = [0, 1] * 5
FORMATS = ["parquet", "csv", "jsonl", "ndjson", "json"]


def write(path: Path, texts: list[str], labels: list[object], **more: list[object]) -> Path:
    """Write reviews in the format of the path's suffix."""
    columns = {"text": texts, "label": labels, **more}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(columns))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def folder(tmp_path: Path, train: str, test: str, **more: list[object]) -> Path:
    write(tmp_path / f"train.{train}", TEXTS, LABELS, **more)
    write(tmp_path / f"test.{test}", TEXTS, LABELS, **more)
    return tmp_path


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_reviews(tmp_path: Path, suffix: str) -> None:
    data = load_dataset(str(folder(tmp_path, suffix, suffix)), seed=1)
    assert data.train["text"].to_pylist() == TEXTS
    assert data.train["label"].to_pylist() == LABELS
    assert data.train["id"].to_pylist() == [str(i) for i in range(10)]
    assert data.labels == ("negative", "positive")


def test_a_folders_parts_may_differ_in_format(tmp_path: Path) -> None:
    data = load_dataset(str(folder(tmp_path, "csv", "parquet")), seed=1)
    assert data.train.equals(data.test)


@pytest.mark.parametrize("suffix", FORMATS)
def test_texts_that_are_all_dates_or_numbers_stay_as_they_are_written(
    tmp_path: Path, suffix: str
) -> None:
    dates = [f"2010-10-{i} 00:00" for i in range(10, 20)]
    write(tmp_path / f"train.{suffix}", dates, LABELS)
    write(tmp_path / f"test.{suffix}", [f"00{i}" for i in range(10)], LABELS)
    data = load_dataset(str(tmp_path), seed=1)
    assert data.train["text"].to_pylist() == dates
    assert data.test["text"].to_pylist() == [f"00{i}" for i in range(10)]


def test_two_files_for_one_part_are_refused(tmp_path: Path) -> None:
    write(folder(tmp_path, "csv", "csv") / "train.jsonl", TEXTS, LABELS)
    with pytest.raises(InputError, match=r"holds train\.csv and train\.jsonl, expected one"):
        load_dataset(str(tmp_path), seed=1)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([True, False] * 5, ("negative", "positive")),
        (["pos", "neg"] * 5, ("neg", "pos")),
        ([1, 0] * 5, ("negative", "positive")),
    ],
)
def test_labels_of_every_kind(
    tmp_path: Path, suffix: str, labels: list[object], names: tuple[str, str]
) -> None:
    data = load_dataset(str(write(tmp_path / f"a.{suffix}", TEXTS, labels)), seed=1)
    assert data.labels == names
    both = pa.concat_tables([data.train, data.test])
    truth = {i: int(label in (True, "pos", 1)) for i, label in enumerate(labels)}
    ids = map(int, both["id"].to_pylist())
    assert dict(zip(ids, both["label"].to_pylist(), strict=True)) == truth


def test_an_empty_field_is_no_text_and_a_byte_order_mark_no_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("\ufefftext,label\r\n,0\r\nNA,1\r\ngood,1\r\nbad,0\r\nworse,0\r\n".encode())
    data = load_dataset(str(path), seed=1)
    rows = pa.concat_tables([data.train, data.test]).sort_by("id")
    assert rows["text"].to_pylist() == ["NA", "good", "bad", "worse"]
    assert rows["id"].to_pylist() == ["1", "2", "3", "4"]


def test_json_lines_of_every_kind_in_columns_that_nobody_asked_for(tmp_path: Path) -> None:
    odd = [1, "one", None, [1], {"a": 1}, 0.5, True, "\\ud800", 1 << 80, {"b": "2"}]
    rows = [
        {"text": text, "label": label, "odd": value}
        for text, label, value in zip(TEXTS, LABELS, odd, strict=True)
    ]
    lines = [json.dumps(row) for row in rows]
    for name, content in (("a.jsonl", "\n".join(lines)), ("a.json", f" [{','.join(lines)}]")):
        (tmp_path / name).write_text(content)
        data = load_dataset(str(tmp_path / name), seed=1)
        found = pa.concat_tables([data.train, data.test]).sort_by([("id", "ascending")])
        assert found["text"].to_pylist() == TEXTS
        assert found["label"].to_pylist() == LABELS


def test_half_a_surrogate_pair_is_a_text_that_is_missing(tmp_path: Path) -> None:
    rows = [{"text": text, "label": i % 2} for i, text in enumerate(["\ud800", *"abcdefg"])]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = load_dataset(str(tmp_path / "a.jsonl"), seed=1)
    assert data.train.num_rows + data.test.num_rows == 7
    assert "1 of its 8 rows have no text" in data.notes[0]


@pytest.mark.parametrize("suffix", FORMATS)
def test_ids_are_the_files_own(tmp_path: Path, suffix: str) -> None:
    ids: list[object] = [f"00{i}" for i in range(10)]
    named = load_dataset(str(folder(tmp_path, suffix, suffix, review_id=ids)), seed=1)
    assert named.test["id"].to_pylist() == ids
    numbers = load_dataset(str(folder(tmp_path, suffix, suffix, id=list(range(90, 100)))), seed=1)
    assert numbers.test["id"].to_pylist() == [str(i) for i in range(90, 100)]


def test_columns_are_those_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", TEXTS, LABELS, body=[f"body {i}" for i in range(10)],
                 stars=[1, 5] * 5)  # fmt: skip
    data = load_dataset(str(path), 1, Columns("body", "stars"))
    assert data.train["text"][0].as_py().startswith("body ")
    assert "1 is taken for negative, 5 for positive" in " ".join(data.notes)
    with pytest.raises(InputError, match=r"no column 'x'\. .*stars.*--text-column"):
        load_dataset(str(path), 1, Columns("x"))
    with pytest.raises(InputError, match=r"no column 'y'\. .*stars.*--label-column"):
        load_dataset(str(path), 1, Columns(None, "y"))
    with pytest.raises(UsageError, match="both 'text'"):
        Request(recipe=Recipe(), text_column="text", label_column="text")


def test_a_number_column_of_parquet_is_no_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", TEXTS, LABELS, stars=[1, 5] * 5)
    with pytest.raises(InputError, match="column 'stars' has type int64, expected string"):
        load_dataset(str(path), 1, Columns("stars"))


@pytest.mark.parametrize("suffix", FORMATS)
def test_unlabelled_texts_of_every_format(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", TEXTS, LABELS)
    assert read_unlabelled(path).to_pylist() == TEXTS
    assert read_unlabelled(path, Columns("elsewhere")).to_pylist() == TEXTS


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "text,label\nna\xefve,0\nok,1\n".encode("latin-1"), "CSV file, in UTF-8"),
        ("a.csv", "text,label,catégorie\na,0,1\n".encode("latin-1"), "CSV file, in UTF-8"),
        ("a.csv", b"text,text,label\na,b,0\nc,d,1\n", "2 columns are called 'text'"),
        ("a.csv", b"text,label\na,0,9\nb,1\n", "not a readable CSV file"),
        ("a.csv", b"", "not a readable CSV file"),
        ("a.jsonl", b'{"text": "a", "label": 0}\n{"text": ', "not a readable JSON Lines file"),
        ("a.jsonl", b'{"text": "a"}\n["text"]\n', r'line 2 is \["text"\], expected an object'),
        ("a.jsonl", b'{"text": "a"}\n{"text":\n', "line 2 is no JSON"),
        ("a.json", b'[{"text": "a"}, 7]', "element 2 is 7, expected an object"),
        ("a.jsonl", b'{"text": ["a"], "label": 0}\n', "not a readable JSON Lines file"),
        ("a.jsonl", b"", "not a readable JSON Lines file"),
        (
            "a.jsonl",
            '{"text": "a", "label": "nég"}\n{"text": "b", "label": "pos"}\n'.encode("latin-1"),
            "1 of 2 labels missing, blank or not UTF-8",
        ),
        ("a.parquet", b"text,label\n", "not a readable Parquet file"),
        ("a.csv", b"text,label\n", "a.csv: no rows, expected some of each class"),
        ("a.csv", b"text,label\na,\nb,\n", "none of its 2 rows has a label"),
        (
            "a.csv",
            b"text,stars\na,0\nb,1\n",
            "no label column. Columns: text .string., stars .int64.",
        ),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        load_dataset(str(tmp_path / name), seed=1)


def test_ids_that_stand_there_twice_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,id,text,label\n" + "".join(f"7,8,text {i},{i % 2}\n" for i in range(9)))
    data = load_dataset(str(path), seed=1)
    ids = {*data.train["id"].to_pylist(), *data.test["id"].to_pylist()}
    assert ids == {str(i) for i in range(9)}


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", TEXTS, LABELS, more=TEXTS)  # type: ignore[arg-type]
    assert read_schema(path).names == ["text", "label", "more"]
    assert read_columns(path, ["more"], strings=[]).column_names == ["more"]


def test_training_on_csv(tmp_path: Path) -> None:
    texts = [f"{'good' if i % 2 else 'bad'} film {i}" for i in range(60)]
    path = write(tmp_path / "a.csv", texts, [i % 2 for i in range(60)])
    recipe = Recipe(vocabulary=30, embedding=4, hidden=3, layers=1, epochs=1, batch_size=8)
    request = Request(
        recipe=recipe, data=str(path), output=tmp_path / "out", device="cpu",
        text_column="text", label_column="label", threads=1,
    )  # fmt: skip
    checkpoint = carry_out(request)
    assert checkpoint.validation.column_names == ["text", "label"]
    assert checkpoint.record.data.text_column == "text"
    mistakes = checkpoint.metrics["test"]["mistakes"]
    assert all(0 <= int(mistake["id"]) < 60 for mistake in mistakes)
