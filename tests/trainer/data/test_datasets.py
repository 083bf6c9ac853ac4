"""Reviews come in from many shapes of files; what cannot be trained on is named."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infer.base.errors import InputError
from infer.table.columns import choose_columns
from trainer.data.datasets import find_sample, load_dataset
from trainer.data.labels import name_labels
from trainer.data.reading import Columns, hash_files, read_unlabelled
from trainer.data.splits import split_rows


def write(path: Path, labels: object, text: str = "text", label: str = "label") -> Path:
    column = labels if isinstance(labels, pa.Array) else pa.array(labels)
    texts = pa.array([f"review {i}" for i in range(len(column))])
    pq.write_table(pa.table({text: texts, label: column}), path)
    return path


def column(values: object) -> pa.ChunkedArray:
    return pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values)])


@pytest.mark.parametrize(
    ("values", "names", "noted"),
    [
        (pa.array([1, 0, 1], pa.int8()), ("negative", "positive"), False),
        (pa.array([1, 0, 1], pa.uint64()), ("negative", "positive"), False),
        ([True, False], ("negative", "positive"), False),
        (["Positive", "Negative"], ("Negative", "Positive"), False),
        (["pos", "neg"], ("neg", "pos"), False),
        (pa.array(["pos", "neg"]).dictionary_encode(), ("neg", "pos"), False),
        ([1, 2], ("negative", "positive"), True),
        (["ham", "spam"], ("ham", "spam"), True),
    ],
)
def test_two_classes_are_understood(
    tmp_path: Path, values: object, names: tuple[str, str], noted: bool
) -> None:
    labels = name_labels(column(values), tmp_path)
    assert labels.names == names
    assert bool(labels.notes) is noted


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 1, 1], r"one class \('1'\), expected two or more"),
        (list(range(1_001)), r"1,001 classes \('0', .*, …\), expected at most 1,000"),
        ([0.5, 1.0], "a label is 0.5, expected one of some classes"),
        (pa.nulls(3), "none of its 3 rows has a label"),
        (["", "pos"], "1 of 2 labels missing, blank or not UTF-8"),
        (pa.array([0, 2**63], pa.uint64()), "a label is no number of 64 bits"),
    ],
)
def test_other_labels_are_refused(tmp_path: Path, values: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_dataset(str(write(tmp_path / "a.parquet", values)), seed=1)


def test_a_folder_keeps_its_parts_and_label_names(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", ["neg", "pos", "pos"], text="review", label="sentiment")
    write(tmp_path / "test.parquet", ["pos", "neg"], text="body", label="target")
    data = load_dataset(str(tmp_path), seed=1)
    assert data.train["label"].to_pylist() == [0, 1, 1]
    assert data.test["label"].to_pylist() == [1, 0]
    assert data.labels == ("neg", "pos")
    assert data.unlabelled is None
    assert data.sha256 == hash_files([tmp_path / "train.parquet", tmp_path / "test.parquet"])


def test_a_test_label_unknown_to_training_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", ["neg", "pos"])
    write(tmp_path / "test.parquet", ["pos", "neutral"])
    with pytest.raises(
        InputError, match=r"1 of 2 labels .* none of 'neg', 'pos'.*such as 'neutral'"
    ):
        load_dataset(str(tmp_path), seed=1)


@pytest.mark.parametrize("trained", [[0, 1], [False, True], ["0", "1"]])
@pytest.mark.parametrize("tested", [[0, 1], [False, True], ["0", "1"]])
def test_both_parts_write_their_labels_alike(
    tmp_path: Path, trained: list[object], tested: list[object]
) -> None:
    write(tmp_path / "train.parquet", trained)
    write(tmp_path / "test.parquet", tested)
    if trained == tested and type(trained[0]) is type(tested[0]):
        assert load_dataset(str(tmp_path), seed=1).test["label"].to_pylist() == [0, 1]
        return
    with pytest.raises(InputError, match=r"test\.parquet: labels are"):
        load_dataset(str(tmp_path), seed=1)


def test_a_part_without_a_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", [0, 1])
    pq.write_table(pa.table({"text": ["", " "], "label": [0, 1]}), tmp_path / "test.parquet")
    with pytest.raises(InputError, match=r"test\.parquet: none of its 2 rows has a text"):
        load_dataset(str(tmp_path), seed=1)


def test_a_single_file_is_split_by_the_seed_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "all.parquet", [0, 1] * 20)
    data = load_dataset(str(path), seed=1)
    train, test = set(data.train["text"].to_pylist()), set(data.test["text"].to_pylist())
    assert (len(train), len(test), train & test) == (32, 8, set())
    assert "8 of its 40 labelled rows, drawn with seed 1" in data.notes[0]
    assert load_dataset(str(path), seed=1).test.equals(data.test)
    assert not load_dataset(str(path), seed=2).test.equals(data.test)


def test_rows_without_text_are_left_out_and_counted(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", None, " \n", "b"] * 2, "label": [0, 1, 1, 1] * 2})
    for name in ("train", "test"):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    data = load_dataset(str(tmp_path), seed=1)
    assert data.train["text"].to_pylist() == ["a", "b"] * 2
    for name in ("train", "test"):
        path = tmp_path / f"{name}.parquet"
        assert f"{path}: 4 of its 8 rows have no text and are left out." in data.notes
    single = load_dataset(str(tmp_path / "train.parquet"), seed=1)
    assert "4 of its 8 rows have no text" in single.notes[0]


def test_torn_texts_are_warned_of(tmp_path: Path) -> None:
    write_part(tmp_path / "train.parquet", [0, 1, 0], ["a", "b", "b"])
    write_part(tmp_path / "test.parquet", [0, 1])
    (torn,) = load_dataset(str(tmp_path), seed=1).notes
    assert torn == "Warning: 1 training text with different labels in different rows."


def test_missing_columns_and_files_are_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x"], "b": ["y"]}), tmp_path / "no_label.parquet")
    pq.write_table(pa.table({"a": ["x"], "b": ["y"], "label": [1]}), tmp_path / "two_texts.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"no Parquet")
    for name, words in {
        "no_label.parquet": "no label column. Columns: a (string), b (string)",
        "two_texts.parquet": "and 2 string columns. Columns: a (string), b (string), label (int64)",
        "broken.parquet": "not a readable Parquet file",
        "absent.parquet": "no such file or folder. Expected sample, imdb",
        ".": "no train.parquet",
    }.items():
        with pytest.raises(InputError) as error:
            load_dataset(str(tmp_path / name), seed=1)
        assert words in str(error.value)


def test_unlabelled_texts(data: Path) -> None:
    assert load_dataset(str(data), seed=1).unlabelled == data / "unsup.parquet"
    assert len(read_unlabelled(data / "unsup.parquet")) == 80


def test_the_sample_is_found_beside_the_package() -> None:
    folder = find_sample()
    data = load_dataset("sample", seed=1)
    assert (data.train.num_rows, data.test.num_rows) == (3000, 600)
    assert (folder / "README.md").parent.name == "data"


def test_anybodys_own_data_folder_is_not_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    for part in ("train", "test"):
        write(tmp_path / "data" / f"{part}.parquet", [0, 1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "trainer.data.datasets.__file__", str(tmp_path / "site" / "trainer" / "data" / "d.py")
    )
    with pytest.raises(InputError, match=r"the embedded sample is not here .*grammar\.py"):
        find_sample()


def test_a_path_that_the_system_refuses_is_named() -> None:
    with pytest.raises(InputError, match=r"--data x+: cannot be read \(.*too long"):
        load_dataset("x" * 256, seed=1)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.25, 0.999])
@pytest.mark.parametrize("positives", [2, 10, 90])
def test_a_split_draws_from_each_class_by_its_share(share: float, positives: int) -> None:
    labels = [1] * positives + [0] * (100 - positives)
    table = pa.table({"text": [str(i) for i in range(100)], "label": labels})
    for seed in range(20):
        rest, drawn = split_rows(table, share, seed)
        both = pa.concat_tables([rest, drawn])["text"].to_pylist()
        assert sorted(both, key=int) == table["text"].to_pylist()
        assert drawn["text"].to_pylist() == sorted(drawn["text"].to_pylist(), key=int)
        for label, count in ((1, positives), (0, 100 - positives)):
            found = drawn["label"].to_pylist().count(label)
            assert 1 <= found < count
            assert abs(found - share * count) <= max(1.0, share * count / 10)
    assert split_rows(table, share, 0)[1].equals(split_rows(table, share, 0)[1])


def test_a_class_that_cannot_stand_in_both_parts_is_refused_with_counts() -> None:
    for labels in ([0], [0, 1], [0, 0, 0, 1]):
        table = pa.table({"text": ["a"] * len(labels), "label": labels})
        counts = f"{labels.count(0)} 'no', {labels.count(1)} 'yes'"
        with pytest.raises(InputError, match=f"{len(labels)} rows? .{counts}.* at least 2 of each"):
            split_rows(table, 0.5, 1, ("no", "yes"))


def test_one_positive_in_a_thousand_is_an_error_that_counts(tmp_path: Path) -> None:
    table = pa.table({"text": [f"row {i}" for i in range(1000)], "label": [1] + [0] * 999})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"x\.parquet: 1,000 rows .999 'negative', 1 'positive'"):
        load_dataset(str(tmp_path / "x.parquet"), seed=1)


def write_groups(path: Path, groups: list[str | None], labels: list[int]) -> None:
    texts = [f"text {i}" for i in range(len(groups))]
    pq.write_table(pa.table({"text": texts, "label": labels, "film": groups}), path)


@pytest.mark.parametrize("size", [1, 3, 10])
def test_a_group_is_kept_in_one_part(tmp_path: Path, size: int) -> None:
    rows = 300
    groups = [f"film {i // size}" for i in range(rows)]
    write_groups(tmp_path / "x.parquet", groups, [int(i * 7 % 10 == 0) for i in range(rows)])
    for seed in range(3):
        data = load_dataset(str(tmp_path / "x.parquet"), seed, Columns(group="film"))
        parts = [data.test, *split_rows(data.train, 0.1, seed)]
        found = [set(part["group"].to_pylist()) for part in parts]
        assert not (found[0] & found[1] or found[0] & found[2] or found[1] & found[2])
        assert sum(part.num_rows for part in parts) == rows
        for part, share in zip(parts, (0.2, 0.72, 0.08), strict=True):
            assert abs(part.num_rows - share * rows) <= max(10, size)
            positives = sum(part["label"].to_pylist())
            assert 1 <= positives <= 2 * max(2, 0.1 * part.num_rows)


def test_a_row_without_a_group_is_one_of_its_own(tmp_path: Path) -> None:
    write_groups(tmp_path / "x.parquet", ["a"] * 40 + [None] * 60, [0, 1] * 50)
    data = load_dataset(str(tmp_path / "x.parquet"), 1, Columns(group="film"))
    assert data.test.num_rows == 20
    assert data.test["group"].null_count == 20


def test_groups_that_cannot_be_split_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_groups(path, ["all"] * 10, [0, 1] * 5)
    with pytest.raises(InputError, match=r"x\.parquet: 10 rows in 1 group .5 'negative', 5 'pos"):
        load_dataset(str(path), 1, Columns(group="film"))
    write_groups(path, ["a"] * 5 + ["b"] * 5, [0] * 5 + [1] * 5)
    with pytest.raises(InputError, match="in 2 groups"):
        load_dataset(str(path), 1, Columns(group="film"))
    with pytest.raises(InputError, match=r"director: no such column. Columns: text, label, film"):
        load_dataset(str(path), 1, Columns(group="director"))
    for taken in ("text", "label"):
        with pytest.raises(InputError, match=f"{taken}: that is its text or label"):
            load_dataset(str(path), 1, Columns(group=taken))


def write_part(path: Path, labels: list[int], texts: list[str | None] | None = None) -> None:
    texts = texts or [f"{path.stem} {i}" for i in range(len(labels))]
    pq.write_table(pa.table({"text": texts, "label": labels}), path)


def test_a_part_of_one_class_is_refused(tmp_path: Path) -> None:
    """The text of the only positive review may be missing."""
    for part in ("train", "test", "validation"):
        for each in ("train", "test", "validation"):
            texts = ["a", None, "c", None] if each == part else None
            write_part(tmp_path / f"{each}.parquet", [0, 1, 0, 1], texts)
        words = rf"{part}\.parquet: a class is missing .2 'negative', 0 'positive'"
        with pytest.raises(InputError, match=words):
            load_dataset(str(tmp_path), seed=1)


def test_a_validation_file_validates(tmp_path: Path) -> None:
    for part, rows in (("train", 20), ("validation", 6), ("test", 8)):
        write_part(tmp_path / f"{part}.parquet", [0, 1] * (rows // 2))
    data = load_dataset(str(tmp_path), seed=1)
    assert data.validation is not None
    assert data.validation["text"].to_pylist() == [f"validation {i}" for i in range(6)]
    assert data.train.num_rows == 20
    assert any("validation.parquet validates" in note for note in data.notes)
    write_part(tmp_path / "validation.parquet", [0, 1, 2])
    with pytest.raises(InputError, match=r"validation\.parquet: 1 of 3 labels .* none of"):
        load_dataset(str(tmp_path), seed=1)


def test_the_hash_covers_the_validation_file(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_part(tmp_path / f"{part}.parquet", [0, 1] * 2)
    before = load_dataset(str(tmp_path), seed=1).sha256
    write_part(tmp_path / "validation.parquet", [0, 1] * 2)
    assert load_dataset(str(tmp_path), seed=1).sha256 != before


@pytest.mark.parametrize(
    "labels",
    [
        pa.array([1.0, 0.0] * 5),
        pa.array([1.0, 0.0] * 5, pa.float16()),
        pa.array([1, 0] * 5).cast(pa.decimal128(25, 2)),
        pa.array([b"pos", b"neg"] * 5),
    ],
)
def test_labels_however_they_are_written(tmp_path: Path, labels: pa.Array) -> None:
    pq.write_table(pa.table({"text": list("abcdefghij"), "label": labels}), tmp_path / "x.parquet")
    data = load_dataset(str(tmp_path / "x.parquet"), seed=1)
    rows = pa.concat_tables([data.train, data.test])
    assert rows["label"].to_pylist() == [ord(text) % 2 for text in rows["text"].to_pylist()]


@pytest.mark.parametrize(
    "labels", [[1.0, 0.0, float("nan")] * 4, ["pos", "neg", " "] * 4, [True, False, None] * 4]
)
def test_rows_that_are_yet_to_be_labelled_are_left_out(tmp_path: Path, labels: list[Any]) -> None:
    pq.write_table(
        pa.table({"text": list("abcdefghijkl"), "label": labels}), tmp_path / "x.parquet"
    )
    data = load_dataset(str(tmp_path / "x.parquet"), seed=1)
    rows = pa.concat_tables([data.train, data.test])
    assert sorted(rows["text"].to_pylist()) == list("abdeghjk") and not data.scored.num_rows
    assert any("4 of its 12 rows have neither a label nor a score" in note for note in data.notes)


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"body": pa.string(), "sentiment": pa.string()}, {}, "body"),
        ({"text": pa.binary(), "label": pa.int64()}, {}, "text"),
        ({"body": pa.large_binary(), "label": pa.int64()}, {}, "body"),
        ({"title": pa.string(), "raw": pa.binary(), "target": pa.int8()}, {}, "title"),
        ({"text": pa.int64(), "review": pa.string(), "label": pa.int8()}, {}, "review"),
        ({"a": pa.string(), "b": pa.binary(), "label": pa.int8()}, {"asked": "b"}, "b"),
    ],
)
def test_training_and_scoring_find_the_same_text(
    tmp_path: Path, columns: dict[str, pa.DataType], options: dict[str, str], expected: str
) -> None:
    values = {"sentiment": ["neg", "pos"] * 2, "label": [0, 1] * 2, "target": [0, 1] * 2}
    table = pa.table(
        {
            name: pa.array(values.get(name, ["1", "2", "3", "4"])).cast(kind)
            for name, kind in columns.items()
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    asked = options.get("asked")
    assert choose_columns(table.schema, "x.parquet", asked).text == expected
    data = load_dataset(str(tmp_path / "x.parquet"), 1, Columns(asked))
    assert data.text_column == expected
