"""Every language that spaCy tokenizes without a further package gives spaCy's own tokens here."""

import random
import re
import re._parser as regex
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.base.errors import UsageError
from infer.text import languages as languages_module
from infer.text.encoding import Encoder
from infer.text.languages import (
    LOOKING_FAR,
    build_tokenizer,
    check_language,
    cutter_of,
    languages,
    needs_package,
)
from infer.text.long_texts import EDGE, LONG
from infer.text.pieces import LOOKS_BACK, SUFFIX_WINDOW
from infer.text.settings import TextSettings
from infer.text.tokenizer import Tokenizer
from infer.text.vocabulary import Vocabulary
from tests.infer.text.oracle import MARKS
from tests.infer.text.samples import SAMPLES

FREE: Final = [code for code in languages() if not needs_package(code)]
SLOW: Final = ("id", "ms")  # spaCy takes seconds to read their special cases
ALL: Final = [pytest.param(code, marks=[pytest.mark.slow] * (code in SLOW)) for code in FREE]
# What is left out of texts everywhere. Joiners are not: only English leaves them out.
UNSEEN: Final = "\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
WORDS: Final = [word for text in SAMPLES.values() for word in text.split()]

spacys = lru_cache(build_tokenizer)


@lru_cache
def ours(language: str) -> Tokenizer:
    """Return the toolkit's tokenizer of a language."""
    return Tokenizer(TextSettings(language=language, html_breaks=False))


def spacy_tokens(text: str, language: str) -> list[str]:
    """Return spaCy's tokens of the whole text, white space aside."""
    unseen = UNSEEN + "\u200c\u200d" if language == "en" else UNSEEN
    tokens = spacys(language)(re.sub(f"[{unseen}]", "", text))
    return [token.text.strip() for token in tokens if not token.is_space]


def assert_equal_spacy(text: str, language: str) -> None:
    """Compare the tokens of a text, one by one."""
    assert ours(language).tokenize(text) == spacy_tokens(text, language), repr(text)


def mixed(language: str) -> Callable[[int], str]:
    """Return what draws texts of a language's words, special cases and their parts, and marks."""
    cases: list[str] = list(getattr(spacys(language), "rules", ["a."]))
    own = re.findall(r"\w+|\W", SAMPLES.get(language, SAMPLES["de"]))

    def draw(seed: int) -> str:
        chance = random.Random(seed)
        some = chance.choices(cases, k=4)
        parts = [
            part for case in chance.choices(cases, k=4) for part in re.findall(r"\w+|\W", case)
        ]
        pool = [*chance.sample(MARKS, 5), *some, *parts, *chance.choices(own, k=5)]
        pool += [*chance.choices(WORDS, k=3), " ", " ", "\n", "\u00a0"]
        if chance.random() < 0.4:
            pool = chance.sample(pool, 4)
        return "".join(chance.choices(pool, k=chance.choice([2, 3, 5, 8, 20, 60])))

    return draw


@pytest.mark.parametrize("language", ALL)
def test_tokens_of_every_script_equal_spacys(language: str) -> None:
    for text in SAMPLES.values():
        assert_equal_spacy(text, language)
    assert_equal_spacy("\n ".join(SAMPLES.values()), language)


@pytest.mark.parametrize("language", ALL)
def test_tokens_of_mixed_texts_equal_spacys(language: str) -> None:
    draw = mixed(language)

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 2**62))
    def check(seed: int) -> None:
        assert_equal_spacy(draw(seed), language)

    check()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("language", FREE)
def test_tokens_of_many_mixed_texts_equal_spacys(language: str) -> None:
    draw = mixed(language)

    @settings(max_examples=2_000, deadline=None)
    @given(st.integers(0, 2**62))
    def check(seed: int) -> None:
        assert_equal_spacy(draw(seed), language)

    check()


def test_there_is_a_sample_of_every_script() -> None:
    assert {"am", "ar", "bn", "el", "he", "hi", "hy", "ru", "ta", "zh"} <= SAMPLES.keys()
    assert len(FREE) > 70 and SAMPLES.keys() <= set(FREE)


@pytest.mark.parametrize("language", sorted(set(FREE) - LOOKING_FAR - {"en", "zh"}))
def test_rules_cut_here_look_at_the_ends_alone(language: str) -> None:
    """What the cutter in linear time relies on, of whatever version of spaCy is installed."""
    tokenizer = spacys(language)
    assert tokenizer.token_match is None
    assert tokenizer.url_match.__self__.pattern == spacys("en").url_match.__self__.pattern
    defaults: Any = languages_module.spacy.util.get_lang_class(language).Defaults
    for pattern in filter(str.strip, [*defaults.prefixes, *defaults.suffixes]):
        parsed = regex.parse(f"^{pattern}$")
        assert str(parsed[0][0]) == "AT", f"a choice that is not bracketed: {pattern}"
        assert not looks_behind(regex.parse(pattern)) or pattern in defaults.suffixes, pattern
    for pattern in filter(str.strip, defaults.suffixes):
        width = regex.parse(pattern).getwidth()[1]
        behind = looks_behind(regex.parse(pattern))
        assert behind <= LOOKS_BACK, pattern
        assert width + behind < SUFFIX_WINDOW or pattern == r"\.\.+", pattern


def looks_behind(parsed: Any) -> int:
    """Return how many characters before a match a pattern looks at."""
    most = 0
    for name, value in parsed:
        if str(name) in ("ASSERT", "ASSERT_NOT") and value[0] < 0:
            most = max(most, value[1].getwidth()[1])
        elif str(name) == "BRANCH":
            most = max(most, *map(looks_behind, value[1]))
        elif str(name) == "SUBPATTERN":
            most = max(most, looks_behind(value[3]))
        elif str(name).endswith("REPEAT"):
            most = max(most, looks_behind(value[2]))
    return most


def test_the_plain_word_short_cut_is_english_alone() -> None:
    """English makes one token of letters without marks, Chinese makes many."""
    assert ours("en").tokenize("好看") == ["好看"]
    assert ours("zh").tokenize("好看 ok") == ["好", "看", "o", "k"]


@pytest.mark.parametrize(
    ("language", "text", "tokens"),
    [
        ("de", "z.B. d.h. so", ["z.B.", "d.h.", "so"]),
        ("fr", "l'acteur d'aujourd'hui", ["l'", "acteur", "d'", "aujourd'hui"]),
        ("es", "en EE. UU. sí", ["en", "EE. UU.", "sí"]),  # a case with a space in it
        ("es", "en EE. UU , sí", ["en", "EE", ".", "UU", ",", "sí"]),
        ("fa", "می\u200cخواهم", ["می\u200cخواهم"]),  # seen: it tells how letters are joined
        ("en", "می\u200cخواهم", ["میخواهم"]),
    ],
)
def test_a_text_has_these_tokens(language: str, text: str, tokens: list[str]) -> None:
    assert ours(language).tokenize(text) == tokens == [*map(str.strip, tokens)]


def test_a_token_with_a_space_has_an_id() -> None:
    tokenizer = ours("es")
    vocabulary = Vocabulary.from_counts(tokenizer.count(pa.array(["en EE. UU. sí"])), 10)
    assert Vocabulary.from_text(vocabulary.to_text()) == vocabulary
    encoder = Encoder(tokenizer.settings, vocabulary)
    ids = encoder.encode(pa.array(["EE. UU."])).ids.tolist()
    assert [vocabulary.tokens[i] for i in ids] == ["EE. UU."]


@pytest.mark.parametrize(("language", "size"), [("de", 50_000), ("tr", 3_000)])
def test_a_pile_of_marks_ends(language: str, size: int) -> None:
    """spaCy's own time grows with the square of a piece without white space."""
    marks = "".join(random.Random(1).choices("?!", k=size))
    assert sum(map(len, ours(language).tokenize(marks))) == size


@pytest.mark.parametrize("language", ["ru", "fr", "zh"])
def test_a_long_text_keeps_its_ids_without_its_middle(language: str) -> None:
    text = f"{SAMPLES[language]} " * (LONG // len(SAMPLES[language]) + 1)
    tokenizer = Tokenizer(TextSettings(language=language, max_tokens=100, head_tokens=40))
    assert len(text.encode()) > LONG
    short = tokenizer.shortened(pa.array([text], pa.large_string()))[0].as_py()
    assert len(short.encode()) <= 2 * EDGE + 1
    whole, kept = tokenizer.tokenize(text), tokenizer.tokenize(short)
    assert (kept[:40], kept[-60:]) == (whole[:40], whole[-60:])


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("german", "'german', which spaCy has no tokenizer for.*a code such as "),
        ("qq", "such as af, am, ar, "),
    ],
)
def test_an_unknown_language_is_refused(language: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_language(language)


@pytest.mark.parametrize("language", [code for code in languages() if needs_package(code)])
def test_a_language_that_needs_a_package_says_which(language: str) -> None:
    try:
        tokens = cutter_of(language).cut(["ok"])
    except UsageError as error:
        assert re.search(rf"'{language}'.*package.*pip install", str(error))
    else:  # the package is here
        assert next(tokens) == ["ok"]
