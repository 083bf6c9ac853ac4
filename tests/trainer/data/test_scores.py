"""A teacher's scores are read, and what is none is left alone or refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from infer.base.errors import InputError, UsageError
from infer.table.columns import find_text_column
from trainer.data.datasets import Dataset, load_dataset
from trainer.data.prepared import prepare_data, targets_of, truth_of
from trainer.data.reading import Columns, read_scored
from trainer.settings.recipe import RECIPES
from trainer.settings.request import Request

NAN = float("nan")
SCORES = [0.5, 0.0, 1.0, 0.25, None, NAN]
TEXTS = ["a", "b", "c", "d", "e", "f"]
LABELS = [0, 1, 0, 1, 0, 1]
PAIR = ("negative", "positive")


def folder(path: Path, scores: object, name: str = "score", labels: object = LABELS) -> Path:
    """Write a data folder whose training file has scores."""
    table = pa.table({"text": TEXTS, "label": labels, name: scores})
    pq.write_table(table, path / "train.parquet")
    pq.write_table(pa.table({"text": ["x", "y"], "label": [0, 1]}), path / "test.parquet")
    return path


def load(path: Path, asked: str | None = None) -> Dataset:
    return load_dataset(str(path), 1, Columns(score=asked))


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16()])
def test_scores_of_any_float_stand_beside_the_labels(tmp_path: Path, kind: pa.DataType) -> None:
    values = pa.array([s if s is None else pa.scalar(s).as_py() for s in SCORES], pa.float64())
    data = load(folder(tmp_path, values.cast(kind)))
    assert data.train["score"].to_pylist() == [0.5, 0.0, 1.0, 0.25, None, None]
    assert targets_of(data.train).tolist() == [0.5, 0.0, 1.0, 0.25, 0.0, 1.0]
    assert (data.score_column, data.scored.num_rows) == ("score", 0)
    assert data.test["score"].null_count == 2


def test_another_column_and_none(tmp_path: Path) -> None:
    folder(tmp_path, pa.array(SCORES), "soft")
    assert load(tmp_path).score_column is None
    assert load(tmp_path, "soft").train["score"][3].as_py() == 0.25
    off = load(folder(tmp_path, pa.array(SCORES)), "none")
    assert (off.score_column, off.train["score"].null_count) == (None, 6)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pa.array([1, 0, 1, 0, 1, 0]), "'score' has type int64"),
        (pa.array(["0.5"] * 6), "'score' has type string"),
        (pa.array([True] * 6), "'score' has type bool"),
        (pa.array([0.1, 7.5, 0.2, -1.0, 0.3, None]), r"'score' holds 7\.5 \(and 2 of 6 values"),
        (pa.array([0.1, float("inf"), 0, 0, 0, 0]), r"'score' holds inf \(and 1 of 6 values"),
    ],
)
def test_what_is_no_probability_is_left_alone_or_refused(
    tmp_path: Path, values: pa.Array, words: str
) -> None:
    folder(tmp_path, values)
    with pytest.raises(InputError, match=words + ".*float, 0 to 1.*--score-column") as error:
        load(tmp_path, "score")
    assert str(tmp_path / "train.parquet") in str(error.value)
    data = load(tmp_path)
    assert (data.score_column, data.train["score"].null_count) == (None, 6)
    (note,) = data.notes
    assert note.startswith(str(tmp_path / "train.parquet")) and "is left alone" in note


def test_a_column_that_has_another_use_is_not_the_teachers(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": TEXTS, "score": [1.0, 0.0] * 3}), tmp_path / "a.parquet")
    data = load_dataset(str(tmp_path / "a.parquet"), 1, Columns(label="score"))
    assert data.score_column is None
    with pytest.raises(InputError, match="'label' holds the texts or the labels"):
        load(folder(tmp_path, pa.array(SCORES)), "label")
    with pytest.raises(UsageError, match="--label-column and --score-column are both 'a'"):
        Request(RECIPES["article"], label_column="a", score_column="a")


@pytest.mark.parametrize("missing", [pa.array([0, 1, None] * 2), pa.array([0, 1, NAN] * 2)])
def test_rows_without_a_label_are_taught_by_their_score(tmp_path: Path, missing: pa.Array) -> None:
    data = load(folder(tmp_path, pa.array([None, 0.1, 0.2, None, 0.3, 0.4]), labels=missing))
    assert data.train["text"].to_pylist() == ["a", "b", "d", "e"]
    assert data.scored["text"].to_pylist() == ["c", "f"]
    assert data.scored["label"].to_pylist() == [None, None]
    assert targets_of(data.scored).tolist() == pytest.approx([0.2, 0.4])
    folder(tmp_path, pa.array([0.1] * 5 + [None]), labels=missing)
    data = load(tmp_path)
    assert data.scored["text"].to_pylist() == ["c"]
    assert any("1 of its 6 rows have neither a label nor a score" in note for note in data.notes)
    assert not load(tmp_path, "none").scored.num_rows
    folder(tmp_path, pa.array([0.1] * 6), labels=pa.nulls(6, pa.int8()))
    with pytest.raises(InputError, match="none of its 6 rows has a label"):
        load(tmp_path)


def test_rows_without_a_label_are_never_tested_on(tmp_path: Path) -> None:
    labels = pa.array([0, 1, None, None, None] * 20)
    texts = [f"t{i}" for i in range(100)]
    table = pa.table({"text": texts, "label": labels, "score": [0.5] * 100})
    pq.write_table(table, tmp_path / "a.parquet")
    data = load(tmp_path / "a.parquet")
    assert (data.train.num_rows, data.test.num_rows, data.scored.num_rows) == (32, 8, 60)


def test_a_text_without_a_label_that_is_tested_on_is_warned_of(tmp_path: Path) -> None:
    folder(tmp_path, pa.array([0.1] * 6), labels=pa.array([0, 1, 0, 1, None, None]))
    pq.write_table(pa.table({"text": ["e", "y"], "label": [0, 1]}), tmp_path / "test.parquet")
    recipe = replace(RECIPES["article"], validation=0.5)
    prepared = prepare_data(Request(recipe, data=str(tmp_path), output=tmp_path / "c"), None)
    assert prepared.overlap == {"test_texts_in_training": 1}


def test_csv_and_json_lines(tmp_path: Path) -> None:
    """Where a file does not tell its types, 0 and 1 are probabilities too."""
    rows = [("a", 0, 0), ("b", 1, 1), ("c", 0, None), ("d", 1, 1)] * 2
    names = ("text", "label", "score")
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    pa.csv.write_csv(table, tmp_path / "a.csv")
    lines = [json.dumps(row) for row in table.to_pylist()]
    lines[1] = lines[1].replace('"score": 1', '"score": 0.75')
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    for name, second in (("a.csv", 1.0), ("a.jsonl", 0.75)):
        data = load(tmp_path / name)
        rows = pa.concat_tables([data.train, data.test]).sort_by("id").to_pylist()
        assert [row["score"] for row in rows] == [0, second, None, 1, 0, 1, None, 1]
    (tmp_path / "b.jsonl").write_text("\n".join(lines).replace("0.75", '{"p": 0.75}'))
    assert load(tmp_path / "b.jsonl").score_column is None
    with pytest.raises(InputError, match=r"b\.jsonl.*--score-column"):
        load(tmp_path / "b.jsonl", "score")


def test_unlabelled_texts_with_and_without_a_score(tmp_path: Path) -> None:
    path = tmp_path / "unsup.parquet"
    table = {"text": ["a", None, "c"], "score": [0.25, 0.5, None], "label": [None] * 3}
    pq.write_table(pa.table(table), path)
    found, notes = read_scored(path, Columns(), PAIR)
    assert (found.to_pylist(), notes) == (
        [{"text": "a", "score": 0.25}, {"text": "c", "score": None}],
        (),
    )
    assert read_scored(path, Columns(score="none"), PAIR)[0]["score"].null_count == 2
    assert read_scored(path, Columns(label="score"), PAIR)[0]["score"].null_count == 2
    pq.write_table(pa.table(table | {"score": [1, 2, 3]}), path)
    found, notes = read_scored(path, Columns(), PAIR)
    assert found["score"].null_count == 2 and "is left alone" in notes[0]
    with pytest.raises(InputError, match="has type int64"):
        read_scored(path, Columns(score="score"), PAIR)


def test_texts_are_found_in_what_scoring_wrote() -> None:
    kinds = [("body", pa.string()), ("score", pa.float32()), ("prediction", pa.string())]
    whole = pa.schema([*kinds, ("status", pa.string())])
    assert find_text_column(whole, "x") == "body"
    with pytest.raises(InputError, match="and 2 string columns"):
        find_text_column(pa.schema(kinds), "x")


THREE = ("a", "b", "c")


def three(**columns: object) -> pa.Table:
    """Return a table of six rows of three labels, with the columns given."""
    return pa.table({"text": TEXTS, "label": [*THREE, *THREE], **columns})


def scored_three(path: Path, table: pa.Table, asked: str | None = None) -> Dataset:
    for part in ("train", "test"):
        pq.write_table(table, path / f"{part}.parquet")
    return load(path, asked)


def test_more_labels_have_a_column_each(tmp_path: Path) -> None:
    table = three(
        score=[0.9] * 6,
        probability_a=[0.5, 0.0, None, 0.2, NAN, 1.0],
        probability_b=[0.25, 0.004, None, 0.3, NAN, 0.0],
        probability_c=[0.25, 0.999, None, 0.5, NAN, 0.0],
    )
    data = scored_three(tmp_path, table)
    assert data.score_column == "probability"
    found = targets_of(data.train)
    assert found.dtype == np.float32 and found.flags.writeable
    assert found[[0, 3, 5]].tolist() == pytest.approx(
        np.array([[0.5, 0.25, 0.25], [0.2, 0.3, 0.5], [1, 0, 0]])
    )
    assert found[1] == pytest.approx(np.array([0, 0.004, 0.999]) / 1.003)
    assert found[[2, 4]].tolist() == [[0, 0, 1], [0, 1, 0]]
    assert scored_three(tmp_path, table, "none").score_column is None
    renamed = table.rename_columns(
        [name.replace("probability", "p") for name in table.column_names]
    )
    assert scored_three(tmp_path, renamed).score_column is None
    assert targets_of(scored_three(tmp_path, renamed, "p").train) == pytest.approx(found)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"probability_b": [0.5] * 6}, "columns of scores, but no 'probability_c'"),
        (
            {"probability_b": [0.5] * 6, "probability_c": [0.5] * 6},
            r"a sum of 1\.5 in row 0 \(and 6 of 6 rows are so\)",
        ),
        (
            {"probability_b": [0.5] * 6, "probability_c": [0.0] * 5 + [None]},
            "have only some of them in row 5",
        ),
        (
            {"probability_b": [1, 0] * 3, "probability_c": [0.0] * 6},
            "'probability_b' has type int64",
        ),
    ],
)
def test_columns_that_are_no_probabilities_of_labels(
    tmp_path: Path, columns: dict[str, list[float]], words: str
) -> None:
    table = three(probability_a=[0.5] * 6, **columns)
    with pytest.raises(InputError, match=words):
        scored_three(tmp_path, table, "probability")
    data = scored_three(tmp_path, table)
    assert data.score_column is None and any("is left alone" in note for note in data.notes)


def test_rows_of_more_labels_without_one_are_learned_from_by_their_scores(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": [*TEXTS, "g"],
            "label": [*THREE, *THREE, None],
            **{
                f"probability_{name}": [None] * 6 + [p]
                for name, p in zip(THREE, (0.1, 0.2, 0.7), strict=True)
            },
        }
    )
    pq.write_table(table, tmp_path / "train.parquet")
    pq.write_table(three(), tmp_path / "test.parquet")
    data = load(tmp_path)
    assert data.scored["text"].to_pylist() == ["g"]
    assert targets_of(data.scored) == pytest.approx(np.array([[0.1, 0.2, 0.7]]))
    both = pa.concat_tables([data.train, data.scored]).slice(5)
    assert targets_of(both) == pytest.approx(np.array([[0, 0, 1], [0.1, 0.2, 0.7]]))
    assert truth_of(both) == pytest.approx(targets_of(both))
