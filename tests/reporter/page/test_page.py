"""The page of scores shows what there is to see, runs nothing, fetches nothing and looks right."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import reporter
from infer.base.errors import UsageError
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
from tests.reporter.conftest import scores_table

HEADINGS = (
    *("Rows by status", "Labels and scores", "Over time", "By group", "Against the truth"),
    *("Confusion matrix", "Calibration", "Lengths", "Examples", "Surest mistakes", "At random"),
)
OPTIONS = {"by": "shop", "over": "day", "label_column": "label"}


def hostile_table(labels: tuple[str, ...], word: str) -> pa.Table:
    """200 rows whose every string is of the caller's choice."""
    random = np.random.default_rng(0)
    score = np.round(random.random(200), 3)
    predicted = (score * len(labels)).astype(int)
    return pa.table(
        {
            "score": score if len(labels) == 2 else np.maximum(score, 0.4),
            "prediction": np.array(labels)[predicted],
            "status": [word if i % 50 == 0 else "ok" for i in range(200)],
            "label": np.array(labels)[random.integers(0, len(labels), 200)],
            "shop": [f"{i % 9}{word}" if i % 9 else None for i in range(200)],
            "day": [f"2024-{1 + i % 12:02}-01" for i in range(200)],
            "text": [word * 3 if i % 2 else f"<br /><br />Fine.<br>{i}" for i in range(200)],
            "id": [f"{i}{word}" for i in range(200)],
        }
    )


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    def run(table: pa.Table, name: str = "scores.parquet", **options: Any) -> str:
        folder = tmp_path_factory.mktemp("page")
        pq.write_table(table, folder / name)
        reporter.report(folder / name, folder / "report.html", **options)
        return (folder / "report.html").read_text(encoding="utf-8")

    return run


@pytest.fixture(scope="module")
def hostile(render: Callable[..., str]) -> str:
    """A page in which every string from the data is an attack."""
    word = SCRIPT + IMAGE + "W" * 100
    name = "<img src=x>" + "W" * 100 + ".parquet"
    return render(hostile_table((SCRIPT, IMAGE), word), name, **OPTIONS)


def test_strings_from_the_data_are_text(hostile: str) -> None:
    check_safe(hostile)
    text = Page(hostile).text
    for words in HEADINGS:
        assert words in text
    assert "<br" not in text and "Fine." in text


def test_the_page_is_well_formed(hostile: str) -> None:
    check_form(hostile)


def test_short_names_are_not_broken(render: Callable[..., str]) -> None:
    page = render(hostile_table(("sport", "politics", "truncated"), "x"), **OPTIONS)
    cells = re.findall(r"<t[hd][^>]*>[^<]*<bdi([^>]*)>(sport|politics|truncated)<", page)
    assert len(cells) > 30 and {style for style, _ in cells} == {' class="whole"'}


@needs_browser
def test_a_browser_shows_it_and_runs_nothing(hostile: str, tmp_path: Path) -> None:
    check_runs_nothing(hostile, tmp_path, "Scores: ", drawn=4)


@needs_browser
@pytest.mark.parametrize("width", [400, pytest.param(1280, marks=pytest.mark.slow)])
def test_it_fits_on_narrow_and_wide_screens(hostile: str, tmp_path: Path, width: int) -> None:
    check_fits(hostile, tmp_path, width)


@needs_browser
@pytest.mark.slow  # the training report's page, in the same frame, is looked at each time
@pytest.mark.parametrize("is_dark", [True, False])
def test_it_is_light_or_dark_as_preferred(hostile: str, tmp_path: Path, is_dark: bool) -> None:
    check_colours(hostile, tmp_path, is_dark)


def test_figures_stand_on_the_page(render: Callable[..., str]) -> None:
    text = Page(
        render(scores_table(text=["x"] * 6, label=[1, 0, 0, 0, 1, 1]), label_column="label")
    ).text
    for words in ("60.00%", "80.00%", "37.6%–96.4%", "a text without a word", "row 3"):
        assert words in text


def test_of_three_labels_and_without_dates(render: Callable[..., str]) -> None:
    table = hostile_table(("a", "b", "c"), "w")
    page = render(table, by="shop", over="day", label_column="label")
    check_form(page)
    text = Page(page).text
    assert "probability of the predicted label" in text and "label 3" in text
    assert "nan" not in text


@pytest.mark.parametrize("rows", [0, 1])
def test_little_to_show(render: Callable[..., str], rows: int) -> None:
    table = hostile_table(("negative", "positive"), "w").slice(0, rows)
    page = render(table, **OPTIONS)
    check_form(page)
    assert ("nothing more to show" in page) == (rows == 0)
    assert "nan" not in Page(page).text


def test_many_groups_and_labels_are_cut(render: Callable[..., str]) -> None:
    table = pa.table(
        {
            "score": [0.5 + i / 4_000 for i in range(600)],
            "prediction": [f"l{i % 50}" for i in range(600)],
            "status": ["ok"] * 600,
            "shop": [f"shop {i}" for i in range(600)],
            "label": [f"l{i % 49}" for i in range(600)],
        }
    )
    page = render(table, by="shop", label_column="label")
    assert "of which there are 600" in Page(page).text and len(page) < 500_000
    assert "these are confused most" in page


def test_without_texts_no_text_is_shown(render: Callable[..., str]) -> None:
    table = scores_table(text=["secret words"] * 6)
    assert "secret words" in render(table)
    assert "secret words" not in render(table, texts=False)
    assert "secret words" not in render(table, texts=False, text_column="text")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"by": "text"},
            "scores.parquet: column 'text' has the texts.* Name another with --by, or",
        ),
        ({"label_column": "text"}, "column 'text' .* with --label-column"),
        ({"by": "body", "text_column": "body"}, "column 'body'"),
        ({"by": "scored"}, "column 'scored'"),
    ],
)
def test_without_texts_none_is_a_group_or_a_label(
    render: Callable[..., str], options: dict[str, Any], words: str
) -> None:
    """The usual column, the one that is named, and the one that scoring says it has read."""
    secret = ["secret words"] * 6
    table = scores_table(prediction=["a", "b", "c", "a", None, "b"], text=secret, body=secret)
    made = json.dumps({"content": {"text column": "scored"}})
    table = table.append_column("scored", [secret]).replace_schema_metadata({"sent.task": made})
    assert "secret words" in render(table, **options)
    with pytest.raises(UsageError, match=words):
        render(table, texts=False, **options)


@pytest.mark.parametrize("told", ["", "[]", '{"content": {"text column": ["shop"]}}'])
def test_without_texts_other_columns_part_the_rows(render: Callable[..., str], told: str) -> None:
    table = scores_table(shop=["corner"] * 6, text=[1] * 6)
    page = render(table.replace_schema_metadata({"sent.task": told}), texts=False, by="shop")
    assert "corner" in page
    assert "By group" in render(table, texts=False, by="text")
