"""The sample in data/: what it holds, that it is reproducible, that order matters."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

DATA = Path(__file__).resolve().parents[2] / "data"
ROWS = {"train.parquet": 3000, "test.parquet": 600, "reviews.parquet": 400}
LABELLED = pa.schema([("text", pa.string()), ("label", pa.int8())])
UNLABELLED = pa.schema(
    [
        ("id", pa.string()),
        ("product", pa.string()),
        ("date", pa.date32()),
        ("text", pa.string()),
    ]
)
SCHEMAS = {
    "train.parquet": LABELLED,
    "test.parquet": LABELLED,
    "reviews.parquet": UNLABELLED,
}


def read(name: str) -> pa.Table:
    """Read one of the sample files."""
    return pq.read_table(DATA / name)


def texts_and_labels(name: str) -> tuple[list[str], list[int]]:
    """Read the two columns of a labelled file as lists."""
    table = read(name)
    return table["text"].to_pylist(), table["label"].to_pylist()


def generate(folder: Path) -> Path:
    """Run the generator as a user would and return the folder it wrote."""
    script = DATA / "generate.py"
    subprocess.run([sys.executable, "-B", script, "--out", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def regenerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the files written anew."""
    return generate(tmp_path_factory.mktemp("regenerated"))


@pytest.mark.parametrize("name", [*ROWS, "films.parquet"])
def test_regenerating_gives_the_committed_tables(regenerated: Path, name: str) -> None:
    assert pq.read_table(regenerated / name).equals(read(name))


def test_two_runs_write_the_same_bytes(regenerated: Path, tmp_path: Path) -> None:
    again = generate(tmp_path)
    for name in (*ROWS, "films.parquet"):
        assert (again / name).read_bytes() == (regenerated / name).read_bytes()


@pytest.mark.parametrize("name", ROWS)
def test_rows_columns_and_types(name: str) -> None:
    table = read(name)
    assert table.num_rows == ROWS[name]
    assert table.schema.equals(SCHEMAS[name])
    assert all(column.null_count == 0 for column in table.columns)


@pytest.mark.parametrize("name", ["train.parquet", "test.parquet"])
def test_labels_are_balanced(name: str) -> None:
    _, labels = texts_and_labels(name)
    assert set(labels) == {0, 1}
    assert sum(labels) * 2 == len(labels)


def test_no_text_occurs_twice() -> None:
    texts = [text.lower() for name in ROWS for text in read(name)["text"].to_pylist()]
    assert len(set(texts)) == len(texts) == sum(ROWS.values())


def test_review_ids_are_unique() -> None:
    assert pc.count_distinct(read("reviews.parquet")["id"]).as_py() == 400


def test_files_stay_small() -> None:
    assert sum((DATA / name).stat().st_size for name in ROWS) < 1_000_000


def vocabulary(texts: list[str]) -> set[str]:
    """Collect the lower-cased words of the texts."""
    return set(CountVectorizer(lowercase=True).fit(texts).vocabulary_)


def test_no_word_of_the_test_split_is_new() -> None:
    train_texts, _ = texts_and_labels("train.parquet")
    test_texts, _ = texts_and_labels("test.parquet")
    assert vocabulary(test_texts) <= vocabulary(train_texts)


def test_word_counts_alone_do_not_decide_the_label() -> None:
    train_texts, train_labels = texts_and_labels("train.parquet")
    test_texts, test_labels = texts_and_labels("test.parquet")
    counter = CountVectorizer(lowercase=True)
    model = LogisticRegression(max_iter=2000)
    model.fit(counter.fit_transform(train_texts), train_labels)
    accuracy = model.score(counter.transform(test_texts), test_labels)
    assert 0.55 < accuracy < 0.80
