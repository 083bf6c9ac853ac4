"""The report shows what there is to see, runs nothing, fetches nothing and looks right."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infer.base.console import Stopped
from infer.base.errors import MissingExtraError
from reporter.frame.confusion import confused_pairs, confusion_rows
from reporter.frame.page import EXCERPT, excerpt
from tests.pages import (
    IMAGE,
    SCRIPT,
    Page,
    check_colours,
    check_fits,
    check_form,
    check_runs_nothing,
    check_safe,
    needs_browser,
)
from trainer.checkpoint.folder import METRICS, REPORT, Checkpoint, load_checkpoint
from trainer.network.evaluate import measure, named_confusion
from trainer.report.analysis import analyse, most_confident_mistakes
from trainer.report.charts import accuracy_chart
from trainer.report.page import confusion_counts, recipe_words, render_report
from trainer.run.train import carry_out
from trainer.settings.recipe import RECIPES
from trainer.settings.request import Request

HOSTILE = (SCRIPT, IMAGE)
HEADINGS = (
    "Data",
    "Beside the network",
    "Each label",
    "Learning curve",
    "Confusion matrix",
    "Calibration",
    "Other thresholds",
    "Accuracy by length",
    "Most confident mistakes",
    "Settings",
)


@pytest.fixture
def made(trained: tuple[Path, Checkpoint]) -> Callable[..., str]:
    """Render a report of made-up logits, with labels and words of the test's choice."""

    def render(
        logits: np.ndarray,
        truth: np.ndarray,
        labels: tuple[str, str] = ("negative", "positive"),
        word: str = "w",
    ) -> str:
        logits, truth = logits.astype(np.float32), truth.astype(np.int8)
        lengths = np.arange(1, len(logits) + 1)
        test: dict[str, Any] = measure(logits, truth) | analyse(logits, truth, lengths, 1.5)
        majority = {"label": labels[0], "accuracy": 0.5}
        test["beside"] = {"majority": majority, "linear": None}
        rows = most_confident_mistakes(logits, truth)
        test["calibration_error"] = {"before": 0.1, "after": float("nan")}
        test["mistakes"] = [
            {
                "id": word,
                "truth": labels[truth[i]],
                "predicted": labels[1 - truth[i]],
                "score": 0.5,
                "tokens": i,
            }
            for i in rows
        ]
        metrics = trained[1].metrics
        metrics = metrics | {"test": test, "data": metrics["data"] | {"name": word}}
        parts = {part: dict(zip(labels, (3, 7), strict=True)) for part in ("training", "test")}
        metrics["data"] |= {"rows": parts, "columns": {"text": word, "label": None}}
        checkpoint = replace(trained[1], labels=labels, metrics=metrics)
        losses = {"training_loss": 0.7, "validation_loss": 0.6, "validation_accuracy": 0.5}
        return render_report(
            checkpoint,
            [losses | {"epoch": 1, "seconds": 4_000.0}],
            [word] * len(rows),
            datetime(2026, 1, 31, 12, tzinfo=UTC),
        )

    return render


@pytest.fixture
def hostile(made: Callable[..., str]) -> str:
    """A report in which every string from the data is an attack, with 20 long mistakes."""
    random = np.random.default_rng(0)
    word = SCRIPT + IMAGE + "W" * 100
    return made(random.normal(0, 3, 200), random.integers(0, 2, 200), HOSTILE, word)


def test_a_finished_run_leaves_a_report_and_the_figures(
    trained: tuple[Path, Checkpoint],
) -> None:
    page = Page((trained[0] / REPORT).read_text(encoding="utf-8"))
    command = "sent-train --data "
    for words in (
        *HEADINGS,
        "seed 123",
        "Ended 20",
        " in 3 epochs",
        command,
        trained[1].metrics["data"]["sha256"],
        "torch ",
    ):
        assert words in page.text
    assert [tag for tag, _ in page.elements].count("svg") == 5
    test = json.loads((trained[0] / METRICS).read_text())["test"]
    assert f"{test['accuracy']:.2%}" in page.text
    wrong = test["confusion"]["false_positive"] + test["confusion"]["false_negative"]
    assert len(test["mistakes"]) == min(20, wrong)
    assert sum(b["reviews"] for b in test["by_length"]) == test["reviews"]
    for bins in test["calibration"].values():
        assert sum(b["count"] for b in bins) == test["reviews"]
    for mistake in test["mistakes"]:
        assert mistake.keys() == {"id", "truth", "predicted", "score", "tokens"}
        assert (mistake["score"] > 0.5) == (mistake["truth"] == "negative")
    assert load_checkpoint(trained[0]).metrics["test"] == test


def test_an_unfinished_run_has_no_report(
    interrupt: Callable[[Request, str], Stopped], request_: Request
) -> None:
    interrupt(request_, "epoch 1/")
    assert not (request_.output / REPORT).exists()


def test_a_missing_package_is_found_before_training(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    monkeypatch.setattr("trainer.run.train.prepare_data", None)
    with pytest.raises(MissingExtraError):
        carry_out(request_)
    assert not request_.output.exists()


def test_strings_from_the_data_are_text(hostile: str) -> None:
    check_safe(hostile)


def test_the_page_is_well_formed(hostile: str) -> None:
    check_form(hostile)


def test_the_same_input_gives_the_same_bytes(made: Callable[..., str]) -> None:
    case = np.linspace(-3, 3, 50), np.arange(50) % 2
    assert made(*case) == made(*case)


@pytest.mark.parametrize(
    ("logits", "truth", "words"),
    [
        ([2.0], [1], "There are none"),
        ([2.0], [0], "The 1 test review on"),
        ([np.nan], [0], "No test review has a token"),
        ([-1.0, np.nan, 1.0], [0, 1, 1], "and 1 without a token"),
    ],
    ids=["one right", "one wrong", "no token", "some without tokens"],
)
def test_little_to_show(
    made: Callable[..., str], logits: list[float], truth: list[int], words: str
) -> None:
    page = Page(made(np.array(logits), np.array(truth)))
    assert words in page.text and "nan" not in page.text


def test_the_confusion_matrix_by_hand() -> None:
    confusion = {
        "true_positive": 3,
        "false_positive": 2,
        "false_negative": 1,
        "true_negative": 8,
    }
    assert confusion_rows(confusion_counts(confusion, ("no", "yes")), ("no", "yes")) == [
        ("no", [(8, 0.8), (2, 0.2)]),
        ("yes", [(1, 0.25), (3, 0.75)]),
    ]


def test_a_recipe_is_named_with_what_was_changed() -> None:
    small = RECIPES["small"]
    assert recipe_words(small.to_json()) == "small"
    assert recipe_words(replace(small, hidden=7).to_json()) == "small, with hidden 7"


def test_long_texts_are_cut() -> None:
    assert excerpt("a" * EXCERPT) == "a" * EXCERPT
    assert excerpt("a" * (EXCERPT + 1)) == "a" * EXCERPT + "…"


@needs_browser
def test_a_browser_shows_it_and_runs_nothing(hostile: str, tmp_path: Path) -> None:
    shown = check_runs_nothing(hostile, tmp_path, "Training report: ", drawn=5)
    for words in HEADINGS:
        assert words in shown.text


@needs_browser
@pytest.mark.parametrize("width", [360, 1100])
def test_it_fits_on_narrow_and_wide_screens(hostile: str, tmp_path: Path, width: int) -> None:
    check_fits(hostile, tmp_path, width)


@needs_browser
@pytest.mark.parametrize("is_dark", [True, False])
def test_it_is_light_or_dark_as_preferred(hostile: str, tmp_path: Path, is_dark: bool) -> None:
    check_colours(hostile, tmp_path, is_dark)


def test_of_many_labels_the_pairs_that_are_confused_most_are_shown() -> None:
    labels = tuple(f"l{i}" for i in range(21))
    counts = np.diag([5] * 21)
    counts[3, 4], counts[4, 3], counts[20, 0] = 2, 1, 15
    confusion = named_confusion(counts.tolist(), labels)
    assert confusion["l3"] == {"l3": 5, "l4": 2}
    named = confusion_counts(confusion, labels)
    assert confusion_rows(named, labels) == []
    assert confused_pairs(named, labels) == [
        {"truth": "l20", "predicted": "l0", "count": 15, "share": 0.75},
        {"truth": "l3", "predicted": "l4", "count": 2, "share": 2 / 7},
        {"truth": "l4", "predicted": "l3", "count": 1, "share": 1 / 6},
    ]
    few = {
        a: {b: n for b, n in row.items() if b < "l2"} for a, row in confusion.items() if a < "l2"
    }
    assert len(few) == 12  # l0, l1, l10 … l19
    counted = confusion_counts(few, tuple(few))
    assert confused_pairs(counted, tuple(few)) == []
    rows = confusion_rows(counted, tuple(few))
    assert rows[0] == ("l0", [(5, 1.0), *[(0, 0.0)] * 11])


def test_one_epoch_is_no_fraction() -> None:
    svg = accuracy_chart([{"epoch": 1, "validation_accuracy": 0.5}], 1)
    assert re.findall(r">(\d[\d.]*)</text>", svg) == ["1"]
