"""Figures of small files by hand, and of a larger one against other programs' arithmetic."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import reporter
from infer.base.errors import InputError
from infer.base.interval import interval
from tests.reporter.conftest import scores_table
from trainer.network.calibration import calibration_error
from trainer.network.figures import class_figures
from trainer.report.analysis import reliability

Figures = Callable[..., dict[str, Any]]
DAYS = ["2024-01-05", "2024-01-31", "2024-02-01", "2024-02-29", "2024-03-01", None]


def shares(found: dict[str, Any]) -> dict[str, tuple[int, float]]:
    return {each["label"]: (each["rows"], each["share"]) for each in found["shares"]}


def test_rows_statuses_and_labels_by_hand(figures: Figures) -> None:
    found = figures(scores_table())
    assert (found["rows"], found["scored"]) == (6, 5)
    assert found["statuses"] == {"ok": 4, "truncated": 1, "empty": 1}
    assert shares(found) == {"negative": (2, 0.4), "positive": (3, 0.6)}
    assert (found["shares"][1]["low"], found["shares"][1]["high"]) == interval(3, 5)
    assert found["positive"] == "positive" and found["notes"] == []
    filled = {each["from"]: each["predictions"] for each in found["scores"] if each["count"]}
    assert filled == {
        0.1: {"negative": 1},
        0.3: {"negative": 1},
        0.6: {"positive": 1},
        0.8: {"positive": 1},
        0.9: {"positive": 1},
    }
    assert not {"over", "by", "truth", "lengths", "examples"} & found.keys()
    json.dumps(found)


@pytest.mark.parametrize(
    "dates",
    [
        DAYS,
        pa.array([day and date.fromisoformat(day) for day in DAYS]),
        pa.array([day and datetime.fromisoformat(day) for day in DAYS], pa.timestamp("ns")),
        pa.array([day and f"{day}T23:30:00-05:00" for day in DAYS]).dictionary_encode(),
    ],
    ids=["words", "dates", "times", "words with a zone"],
)
def test_over_time_by_hand(figures: Figures, dates: Any) -> None:
    found = figures(scores_table(day=dates), over="day")["over"]
    assert [period["period"] for period in found["periods"]] == ["2024-01", "2024-02", "2024-03"]
    assert [period["rows"] for period in found["periods"]] == [2, 2, 0]
    assert shares(found["periods"][0]) == {"negative": (0, 0.0), "positive": (2, 1.0)}
    assert found["undated"] == 1 and found["count"] == 3


def test_a_time_with_a_zone_counts_by_the_clocks_there(figures: Figures) -> None:
    late = datetime(2024, 2, 1, 4, 30, tzinfo=UTC)
    times = pa.array([late] * 6, pa.timestamp("ms", "America/New_York"))
    assert late.astimezone(timezone(timedelta(hours=-5))).month == 1
    (period,) = figures(scores_table(at=times), over="at")["over"]["periods"]
    assert period["period"] == "2024-01"


@pytest.mark.parametrize(
    ("every", "names"),
    [
        ("day", ["2024-01-05", "2024-01-31", "2024-02-01", "2024-02-29", "2024-03-01"]),
        ("week", ["2024-01-01", "2024-01-29", "2024-02-26"]),
        ("quarter", ["2024 Q1"]),
        ("year", ["2024"]),
    ],
)
def test_periods_of_any_length(figures: Figures, every: str, names: list[str]) -> None:
    found = figures(scores_table(day=DAYS), over="day", every=every)["over"]
    assert [period["period"] for period in found["periods"]] == names


def test_early_years_have_four_digits(figures: Figures) -> None:
    days = scores_table(day=["0001-01-01 ", " 0999-12-31", "", " ", None, "9999-12-31"])
    for every, first in (("year", "0001"), ("quarter", "0001 Q1"), ("month", "0001-01")):
        found = figures(days, over="day", every=every)
        assert found["over"]["periods"][0]["period"] == first
        assert found["over"]["undated"] == 2 and found["notes"] == []


def test_dates_that_cannot_be_read_are_counted(figures: Figures) -> None:
    days = ["31.01.2024", "2024-01-31", "infinity", "", None, "2024-01-30"]
    found = figures(scores_table(day=days), over="day")
    assert found["over"]["undated"] == 3
    assert any("2 dates that cannot be read" in note for note in found["notes"])


def test_times_that_no_calendar_has(figures: Figures) -> None:
    far = pa.array([2**40, -(2**40), 0, None, 0, 0], pa.timestamp("s"))
    found = figures(scores_table(day=far), over="day", every="week")
    assert [period["period"] for period in found["over"]["periods"]] == ["1969-12-29"]
    assert any("2 dates that cannot be read" in note for note in found["notes"])
    with pytest.raises(InputError, match="column 'day' cannot be used"):
        figures(scores_table(day=pa.array([2**62] * 6, pa.timestamp("ms"))), over="day")


def test_groups_that_moved_come_first(figures: Figures) -> None:
    """Of 400 rows each, b is unlike the others; c is too, but has two rows."""
    rows = {"a": (200, 200), "b": (300, 100), "c": (2, 0), None: (190, 210)}
    group, prediction = [], []
    for name, (positive, negative) in rows.items():
        group += [name] * (positive + negative)
        prediction += ["positive"] * positive + ["negative"] * negative
    score = [0.9 if one == "positive" else 0.1 for one in prediction]
    table = pa.table(
        {"score": score, "prediction": prediction, "status": ["ok"] * len(score), "shop": group}
    )
    found = figures(table, by="shop")["by"]
    assert found["groups"][0]["group"] == "b" and found["count"] == 4
    move = found["groups"][0]["move"]
    assert move["after"] == 0.75 and move["before"] == (200 + 2 + 190) / (400 + 2 + 400)
    # Newcombe's interval of a difference, from the two Wilson intervals.
    low, high = interval(300, 400)
    before_low, before_high = interval(392, 802)
    difference = 0.75 - 392 / 802
    assert move["low"] == pytest.approx(difference - np.hypot(0.75 - low, before_high - 392 / 802))
    assert move["high"] == pytest.approx(difference + np.hypot(high - 0.75, 392 / 802 - before_low))
    assert {each["group"]: each["rows"] for each in found["groups"]}[None] == 400
    assert {each["group"]: each["move"]["surely"] for each in found["groups"]}["c"] == 0


def test_with_dates_a_group_is_held_against_itself_before(figures: Figures) -> None:
    months = ["2024-01-01"] * 100 + ["2024-02-01"] * 100
    prediction = (["positive"] * 50 + ["negative"] * 50) * 2  # a stays
    prediction += ["positive"] * 90 + ["negative"] * 10 + ["positive"] * 10 + ["negative"] * 90
    table = pa.table(
        {
            "score": [0.9 if one == "positive" else 0.1 for one in prediction],
            "prediction": prediction,
            "status": ["ok"] * 400,
            "shop": ["a"] * 200 + ["b"] * 200,
            "day": months * 2,
        }
    )
    found = figures(table, by="shop", over="day")["by"]
    assert found["against"] == "before"
    (b, a) = found["groups"]
    assert (b["group"], b["move"]["before"], b["move"]["after"]) == ("b", 0.9, 0.1)
    assert a["move"]["difference"] == 0 and a["move"]["surely"] == 0


def test_truth_against_the_trainers_arithmetic(figures: Figures) -> None:
    random = np.random.default_rng(3)
    score = random.random(2_000).astype(np.float32)
    truth = (random.random(2_000) < score**2).astype(np.int8)
    known = random.random(2_000) < 0.9
    predicted = (score >= 0.5).astype(np.int8)
    table = pa.table(
        {
            "score": score,
            "prediction": np.array(["negative", "positive"])[predicted],
            "status": ["ok"] * 2_000,
            "label": pa.array(truth, mask=~known),
        }
    )
    found = figures(table, label_column="label")
    seen = found["truth"]
    right = (predicted == truth)[known]
    assert seen["rows"] == known.sum() and seen["accuracy"] == pytest.approx(right.mean())
    assert tuple(seen["interval"]) == interval(int(right.sum()), len(right))
    theirs = class_figures(predicted[known], truth[known], 2)
    assert seen["macro_f1"] == pytest.approx(theirs["macro_f1"])
    for ours, other in zip(seen["classes"], theirs["classes"], strict=True):
        assert ours["reviews"] == other["reviews"]
        for name in ("precision", "recall", "f1"):
            assert ours[name] == pytest.approx(other[name])
    labels, exact = truth[known].astype(np.int16), score[known].astype(np.float64)
    assert seen["calibration_error"] == pytest.approx(calibration_error(exact, labels))
    for ours, other in zip(seen["calibration"], reliability(exact, labels), strict=True):
        assert ours == pytest.approx(other)
    assert any("with a true label" in note for note in found["notes"])


def test_of_more_labels_the_score_is_the_predictions(figures: Figures) -> None:
    table = pa.table(
        {
            "score": [0.5, 0.6, 0.9, 0.4],
            "prediction": ["10", "9", "9", "2"],
            "status": ["ok"] * 4,
            "stars": [10, 9, 2, 3],
        }
    )
    found = figures(table, label_column="stars")
    assert found["labels"] == ["2", "3", "9", "10"] and found["positive"] is None
    assert found["truth"]["accuracy"] == 0.5
    assert found["truth"]["confusion"] == {
        "10": {"10": 1},
        "9": {"9": 1},
        "2": {"9": 1},
        "3": {"2": 1},
    }
    bins = {
        each["from"]: each["share_positive"]
        for each in found["truth"]["calibration"]
        if each["count"]
    }
    assert bins == {0.4: 0, 7 / 15: 1, 0.6: 1, 13 / 15: 0}


def test_columns_of_probabilities_tell_the_labels(figures: Figures) -> None:
    more = {"probability_yes": [0.5] * 6, "probability_no": [0.5] * 6}
    predictions = ["no", "no", "yes", "yes", None, "no"]
    found = figures(scores_table(prediction=predictions, **more))
    assert found["labels"] == ["yes", "no"] and found["positive"] == "no"


@pytest.mark.parametrize(
    ("predictions", "scores", "labels", "positive"),
    [
        (["b", "b", "a"], [0.1, 0.2, 0.7], ["b", "a"], "a"),
        (["b", "b", "a"], [0.7, 0.4, 0.6], ["a", "b"], None),
        (["pos", "pos", "pos"], [0.7, 0.8, 0.6], ["neg", "pos"], "pos"),
        (["a", "a", "a"], [0.1, 0.2, 0.3], ["a", "the other label"], "the other label"),
        (["a", "a", "a"], [0.7, 0.8, 0.6], ["a"], None),
        ([None, None, None], [None, None, float("nan")], [], None),
    ],
    ids=["apart", "mixed", "well-known", "all negative", "all one", "none"],
)
def test_what_scores_tell_of_the_labels(
    figures: Figures,
    predictions: list[str | None],
    scores: list[float | None],
    labels: list[str],
    positive: str | None,
) -> None:
    table = pa.table(
        {
            "score": pa.array(scores, pa.float64()),
            "prediction": pa.array(predictions, pa.string()),
            "status": ["ok"] * 3,
        }
    )
    found = figures(table)
    assert (found["labels"], found["positive"]) == (labels, positive)


@pytest.mark.parametrize("truth", [[1, 1, 0, 0, 1, 0], ["Pos", "pos ", "NEG", "neg", "", "neg"],
                                   [True, True, False, False, None, False],
                                   [1.0, 1.0, 0.0, 0.0, None, 0.0]])  # fmt: skip
def test_ways_to_write_a_truth(figures: Figures, truth: list[Any]) -> None:
    found = figures(scores_table(label=truth), label_column="label")["truth"]
    assert found["rows"] == 5 and found["accuracy"] == 0.8
    assert found["confusion"] == {
        "positive": {"positive": 2},
        "negative": {"negative": 2, "positive": 1},
    }


def test_a_number_that_is_none_is_no_truth_and_no_group(figures: Figures) -> None:
    numbers = pa.array([1.0, float("nan"), 0.0, 0.0, None, 1.0])
    found = figures(scores_table(x=numbers), label_column="x", by="x")
    assert found["truth"]["rows"] == 4
    assert {group["group"] for group in found["by"]["groups"]} == {"0", "1", None}


def test_a_text_in_place_of_a_label_is_cut_in_the_error(figures: Figures) -> None:
    with pytest.raises(InputError, match=r"'x{60}…', expected"):
        figures(scores_table(x=["x" * 500] * 6), label_column="x")


def test_a_truth_of_other_labels_is_refused(figures: Figures) -> None:
    with pytest.raises(
        InputError, match=r"2 rows with 'neutral'.*'negative', 'positive' \(or 0 and 1"
    ):
        figures(
            scores_table(label=["neutral", "neutral", "pos", "1", "0", None]), label_column="label"
        )


def test_lengths_and_examples(figures: Figures) -> None:
    texts = ["a" * 10, "b" * 60, "c" * 70, "d" * 10_000, "", "f"]
    table = scores_table(text=texts, id=[f"r{i}" for i in range(6)], label=[0, 1, 0, 0, 1, 0])
    found = figures(table, label_column="label", examples=2)
    spans = [
        (each["from"], each["to"], each["texts"], each["truncated"])
        for each in found["lengths"]["bins"]
    ]
    assert spans == [(0, 49, 3, 0), (50, 99, 2, 1), (6400, None, 1, 0)]
    kinds = found["examples"]
    ids = {kind: [row["id"] for row in rows] for kind, rows in kinds.items() if kind != "sure"}
    assert ids["unsure"] == ["r5", "r2"] and ids["mistakes"] == ["r0", "r5"]
    assert len(set(ids["random"])) == 2 and "r4" not in ids["random"]
    assert {label: [row["id"] for row in rows] for label, rows in kinds["sure"].items()} == {
        "negative": ["r3", "r2"],
        "positive": ["r0", "r1"],
    }
    assert kinds["mistakes"][0]["truth"] == "negative" and "text" not in kinds["mistakes"][0]
    again = figures(table, label_column="label", examples=2)
    assert again == found
    assert "examples" not in figures(table, texts=False) and "lengths" not in figures(
        table, texts=False
    )


def test_examples_of_several_files_are_found_in_theirs(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(3):
        score = random.random(5_000)
        table = pa.table(
            {
                "score": score,
                "prediction": np.where(score < 0.5, "negative", "positive"),
                "status": ["ok"] * 5_000,
                "text": [f"file {number} row {i}" for i in range(5_000)],
            }
        )
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=700)
    found = reporter.report(tmp_path, examples=50)
    whole = pa.concat_tables([pq.read_table(tmp_path / f"{n}.parquet") for n in range(3)])
    best = np.argsort(-whole["score"].to_numpy(), kind="stable")[:50]
    rows = found["examples"]["sure"]["positive"]
    assert [(Path(row["file"]).name, row["row"]) for row in rows] == [
        (f"{i // 5_000}.parquet", i % 5_000) for i in best
    ]
    assert [row["score"] for row in rows] == pytest.approx(whole["score"].take(best).to_pylist())


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_and_one(figures: Figures, rows: int) -> None:
    table = scores_table(text=["x"] * 6, day=["2024-01-01"] * 6, shop=["a"] * 6, label=[1] * 6)
    options = {"over": "day", "by": "shop", "label_column": "label"}
    found = figures(table.slice(0, rows), **options)
    assert found["rows"] == rows and found["truth"]["rows"] == rows
    assert found["truth"]["accuracy"] == (1.0 if rows else None)
