"""Reviews come in from many shapes of files; what cannot be trained on is named."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infer.base.errors import InputError
from trainer.data.datasets import find_sample, hash_files, load_dataset, read_unlabelled, split_rows
from trainer.data.labels import name_labels


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
        ([1, 1, 1], r"1 classes \(1\), expected exactly two"),
        ([0, 1, 2], r"3 classes \(0, 1, 2\), expected exactly two"),
        ([0, 1, None], "1 of 3 labels are missing"),
        ([0.5, 1.0], "labels are of type double"),
        (["", "pos"], "a label is an empty string"),
        (pa.array([0, 2**63], pa.uint64()), "a label is no number of 64 bits"),
    ],
)
def test_other_labels_are_refused(tmp_path: Path, values: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_dataset(str(write(tmp_path / "a.parquet", values)), seed=1)


def test_a_folder_keeps_its_parts_and_label_names(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", ["neg", "pos", "pos"], text="review", label="sentiment")
    write(tmp_path / "test.parquet", ["pos"], text="body", label="target")
    data = load_dataset(str(tmp_path), seed=1)
    assert data.train["label"].to_pylist() == [0, 1, 1]
    assert data.test["label"].to_pylist() == [1]
    assert data.labels == ("neg", "pos")
    assert data.unlabelled is None
    assert data.sha256 == hash_files([tmp_path / "train.parquet", tmp_path / "test.parquet"])


def test_a_test_label_unknown_to_training_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", ["neg", "pos"])
    write(tmp_path / "test.parquet", ["pos", "neutral"])
    with pytest.raises(InputError, match=r"1 of 2 labels .*'neg' nor 'pos'"):
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
    assert "8 of its 40 rows, drawn with seed 1" in data.notes[0]
    assert load_dataset(str(path), seed=1).test.equals(data.test)
    assert not load_dataset(str(path), seed=2).test.equals(data.test)


def test_rows_without_text_are_left_out_and_counted(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", None, " \n", "b"], "label": [0, 1, 1, 1]})
    for name in ("train", "test"):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    data = load_dataset(str(tmp_path), seed=1)
    assert data.train["text"].to_pylist() == ["a", "b"]
    for name in ("train", "test"):
        path = tmp_path / f"{name}.parquet"
        assert f"{path}: 2 of its 4 rows have no text and are left out." in data.notes
    single = load_dataset(str(tmp_path / "train.parquet"), seed=1)
    assert "2 of its 4 rows have no text" in single.notes[0]


def test_shared_and_torn_texts_are_warned_of(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"text": ["a", "b", "b"], "label": [0, 1, 0]}), tmp_path / "train.parquet"
    )
    pq.write_table(pa.table({"text": ["a", "c"], "label": [0, 1]}), tmp_path / "test.parquet")
    shared, torn = load_dataset(str(tmp_path), seed=1).notes
    assert shared.startswith("Warning: 1 of the 2 test texts stand in the training part")
    assert torn.startswith("Warning: 1 training texts carry both labels")


def test_missing_columns_and_files_are_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x"], "b": ["y"]}), tmp_path / "no_label.parquet")
    pq.write_table(pa.table({"a": ["x"], "b": ["y"], "label": [1]}), tmp_path / "two_texts.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"no Parquet")
    for name, words in {
        "no_label.parquet": "no label column. Columns: a, b",
        "two_texts.parquet": "no text column. Columns: a (string), b (string), label (int64)",
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


def test_split_takes_at_least_one_row_and_leaves_one() -> None:
    table = pa.table({"text": ["a", "b"], "label": [0, 1]})
    assert [part.num_rows for part in split_rows(table, 0.001, 1)] == [1, 1]
    with pytest.raises(InputError, match="expected at least 2"):
        split_rows(table.slice(0, 1), 0.5, 1)
