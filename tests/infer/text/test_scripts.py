"""Texts in another script than the language's are noticed, and mixed ones are not."""

import re

import pyarrow as pa
import pytest

from infer.text.scripts import misfit, scripts_of
from tests.infer.text.samples import SAMPLES

ENGLISH, RUSSIAN, CHINESE = SAMPLES["en"], SAMPLES["ru"], SAMPLES["zh"]


def test_letters_are_counted_by_script() -> None:
    assert scripts_of(pa.array(["ab, é1", "好看ﾆ", None, "ｅ"])) == {
        "LATIN": 4,
        "CJK": 2,
        "KATAKANA": 1,
    }


@pytest.mark.parametrize("language", sorted(SAMPLES))
def test_a_languages_own_texts_fit(language: str) -> None:
    assert misfit(pa.array([SAMPLES[language]] * 3), language) is None


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        (CHINESE.replace("Good film", ""), "en", r"9\d% of the letters are CJK.*'en'.*zh"),
        (RUSSIAN, "en", "Cyrillic.*bg, ky, mk, ru"),
        (ENGLISH, "ru", "100% of the letters are Latin.*en, de, fr"),
        (RUSSIAN, "zh", "Cyrillic"),
        (CHINESE, "xx", "CJK"),
        (SAMPLES["hi"], "bn", "Devanagari.*hi, mr, ne"),
    ],
)
def test_a_foreign_script_is_noticed(text: str, language: str, said: str) -> None:
    found = misfit(pa.array([text, None, ""]), language)
    assert found is not None
    assert re.search(said, found), found


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (f"{ENGLISH} {ENGLISH} «{RUSSIAN[:20]}»", "en"),  # a name, a quotation
        ("华为 Huawei MateBook 很好", "zh"),  # Latin letters stand beside any script
        (RUSSIAN, "xx"),
        ("好", "en"),  # too few letters to tell
        ("123 :-)", "ru"),
    ],
)
def test_what_fits_well_enough_is_not_mentioned(text: str, language: str) -> None:
    assert misfit(pa.array([text]), language) is None
    assert misfit(pa.array([], pa.string()), language) is None


def test_rows_from_all_over_the_table_are_looked_at() -> None:
    rows = [ENGLISH] * 2_000 + [RUSSIAN] * 8_000
    assert misfit(pa.array(rows), "en") is not None
    assert misfit(pa.array([b"\xff", *[RUSSIAN.encode()] * 9]), "en") is not None
    assert misfit(pa.array(rows, pa.string_view()), "en") is not None
