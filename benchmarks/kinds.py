"""Kinds of text → token ids, per byte, against ordinary reviews that have not been seen either."""

import base64
import json
import random
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import spacy
from spacy.tokenizer import Tokenizer as SpacyTokenizer

from benchmarks.encoding import new_encoder, one_arrow_thread
from benchmarks.harness import SEED
from benchmarks.harness.contract import Goal, Result, Settings, Table
from benchmarks.harness.reviews import reviews
from infer.text.chunks import HTML_BREAK
from infer.text.settings import TextSettings
from infer.text.tokenizer import Tokenizer
from infer.text.vocabulary import Vocabulary

TITLE = "Kinds of text"
EXPLANATION = (
    "As many bytes of each kind as of ordinary reviews become token ids, each with an encoder that "
    "has seen nothing, on one thread; CPU seconds, the better of two tries. Most rows are drawn "
    "anew, so little of them repeats. The tokens are compared with those of spaCy's tokenizer on "
    "the first rows of each kind."
)
_WORDS_A_ROW: Final = 200

Rows = Callable[[random.Random, list[str]], str]


@dataclass(frozen=True)
class Sizes:
    """Bytes of each kind, rows compared with spaCy, bytes of the row without an end."""

    bytes: int
    compared: int
    row_bytes: int


SIZES = {
    "tiny": Sizes(4_000, 1, 20_000),
    "quick": Sizes(500_000, 2, 5_000_000),
    "full": Sizes(2_000_000, 3, 50_000_000),
}


def _parted(separator: str) -> Rows:
    """Return words parted by something."""
    return lambda chance, words: separator.join(chance.choices(words, k=_WORDS_A_ROW))


def _pile(marks: str, size: int = 1_000) -> Rows:
    """Return one piece of random marks."""
    return lambda chance, words: "".join(chance.choices(marks, k=size))


def _piles(marks: str, longest: int) -> Rows:
    """Return short piles with spaces between them."""
    return lambda chance, words: " ".join(
        "".join(chance.choices(marks, k=chance.randint(1, longest))) for _ in range(_WORDS_A_ROW)
    )


def _runs(marks: str) -> Rows:
    """Return words, with a run of one mark in front of each."""
    return lambda chance, words: " ".join(
        chance.choice(marks) * chance.randint(1, 60) + chance.choice(words) for _ in range(30)
    )


def _letters(first: str, last: str, between: str = " ") -> Rows:
    """Return words of random letters of a script."""
    alphabet = [chr(c) for c in range(ord(first), ord(last) + 1)]
    return lambda chance, words: between.join(
        "".join(chance.choices(alphabet, k=chance.randint(2, 9))) for _ in range(_WORDS_A_ROW)
    )


def _json(chance: random.Random, words: list[str]) -> str:
    values = [chance.random(), chance.randint(0, 9_999), chance.choice(words), [1, {"a": None}]]
    pairs = {chance.choice(words): chance.choice(values) for _ in range(40)}
    return json.dumps(pairs, separators=(",", ":"))


def _markup(chance: random.Random, words: list[str]) -> str:
    return "".join(
        f"<div class=\"{chance.choice(words)}\"><a href='/{chance.randint(0, 99_999)}'>"
        f"{chance.choice(words)}</a></div>"
        for _ in range(20)
    )


def _urls(chance: random.Random, words: list[str]) -> str:
    return " ".join(
        f"https://www.{chance.choice(words).lower()}.com/{chance.choice(words)}/"
        f"{chance.randint(0, 99_999)}?q={chance.choice(words)}&p={chance.random()}"
        for _ in range(20)
    )


def _base64(size: int) -> Rows:
    return lambda chance, words: base64.b64encode(chance.randbytes(size)).decode()


def _numbers(chance: random.Random, words: list[str]) -> str:
    return " ".join(f"{chance.random() * 1_000:.3f}" for _ in range(_WORDS_A_ROW))


KINDS: Final[dict[str, Rows]] = {
    "words parted by newlines": _parted("\n"),
    "words parted by tabs": _parted("\t"),
    "words parted by no-break spaces": _parted("\u00a0"),
    "words parted by ideographic spaces": _parted("\u3000"),
    "words parted by two spaces": _parted("  "),
    "words parted by hyphens": _parted("-"),
    "words parted by full stops": _parted("."),
    "words parted by commas": _parted(","),
    "words parted by @": _parted("@"),
    "piles of ?!": _pile("?!"),
    "piles of ?!.,;:": _pile("?!.,;:"),
    "piles of all marks of ASCII": _pile(string.punctuation),
    "a pile of ?! of a million": _pile("?!", 1_000_000),
    "brackets": _pile("()[]{}<>"),
    "short piles of brackets": _piles("()[]{}<>", 10),
    "short piles of all marks of ASCII": _piles(string.punctuation, 10),
    "quotes": _pile("'\"`“”‘’«»"),
    "rules before words": _runs("=_-*~#+."),
    "runs of each mark": lambda chance, words: chance.choice(string.punctuation) * 1_000,
    "emoji": _pile("😀😂👍🏽🔥🎬⭐"),
    "emoticons": lambda chance, words: "".join(chance.choices([":)", ";-)", "<3", ":D"], k=300)),
    "compact JSON": _json,
    "markup": _markup,
    "URLs": _urls,
    "base64, in lines": _base64(57),
    "base64, of a million bytes": _base64(750_000),
    "numbers": _numbers,
    "Chinese": _letters("一", "鿿", "，"),
    "Thai": _letters("ก", "ฺ"),
    "Arabic": _letters("ء", "ي"),
    "Cyrillic": _letters("а", "я"),
    "words of random letters": _letters("a", "z"),
    "letters and digits": _letters("0", "z"),
}


def measure(settings: Settings) -> Result:
    """Measure every kind once, each against reviews measured around it."""
    sizes = settings.sizes("kinds", SIZES)
    ordinary = _reviews(settings, sizes.bytes)
    vocabulary = Vocabulary.from_counts(Tokenizer(TextSettings()).count(ordinary), 10_000)
    texts = {name: _rows(rows, _words(ordinary), sizes.bytes) for name, rows in KINDS.items()}
    texts["one row of reviews, long"] = _one_row(ordinary, sizes.row_bytes)
    with one_arrow_thread():
        base = _seconds_a_megabyte(ordinary, vocabulary)
        seconds = {name: _seconds_a_megabyte(column, vocabulary) for name, column in texts.items()}
        base = (base + _seconds_a_megabyte(ordinary, vocabulary)) / 2
    theirs = spacy.blank("en").tokenizer
    different = sorted(
        n for n in KINDS if not _equals_spacy(texts[n].slice(0, sizes.compared), theirs)
    )
    slowest = max(seconds, key=lambda name: seconds[name])
    goal = Goal(
        "slowest kind against ordinary reviews, per byte", 10, seconds[slowest] / base,
        better="lower", note=f"{slowest}; "
        + (f"other tokens than spaCy's: {different}" if different else "tokens equal spaCy's"),
    )  # fmt: skip
    rows = sorted(((n, s, s / base) for n, s in seconds.items()), key=lambda row: -row[2])
    table = Table(
        "One thread, nothing seen before",
        ("kind", "CPU s/MB", "times ordinary reviews"),
        (*rows, ("ordinary reviews", base, 1.0)),
    )
    return Result(TITLE, EXPLANATION, (goal,), (table,), {"CPU seconds per MB": seconds})


def _reviews(settings: Settings, size: int) -> pa.Array:
    """Return reviews of so many bytes, HTML breaks out."""
    texts = (
        reviews(settings, "test", 100 + size // 100)["text"]
        .combine_chunks()
        .cast(pa.large_string())
    )
    texts = pc.replace_substring_regex(texts, pattern=HTML_BREAK, replacement=" ")
    return texts.slice(0, 1 + int(np.searchsorted(np.cumsum(pc.binary_length(texts)), size)))


def _words(texts: pa.Array) -> list[str]:
    """Return distinct words of letters alone."""
    return sorted({word for text in texts.to_pylist() for word in text.split() if word.isalpha()})


def _rows(rows: Rows, words: list[str], size: int) -> pa.Array:
    """Draw rows of a kind until they have so many bytes."""
    return pa.array(_until(rows, random.Random(SEED), words, size), pa.large_string())


def _until(rows: Rows, chance: random.Random, words: list[str], size: int) -> Iterator[str]:
    while size > 0:
        text = rows(chance, words)
        size -= len(text.encode())
        yield text


def _one_row(texts: pa.Array, size: int) -> pa.Array:
    """Join texts again and again, until one row has so many bytes."""
    joined = " ".join(texts.to_pylist()) + " "
    return pa.array([joined * -(-size // len(joined.encode()))], pa.large_string())


def _seconds_a_megabyte(texts: pa.Array, vocabulary: Vocabulary) -> float:
    """Return CPU seconds, the fewer of two tries: other work on the machine is not to count."""
    seconds = min(_cpu_seconds(texts, vocabulary) for _ in range(2))
    return seconds / int(pc.sum(pc.binary_length(texts)).as_py()) * 1e6


def _cpu_seconds(texts: pa.Array, vocabulary: Vocabulary) -> float:
    encoder = new_encoder(vocabulary)
    start = time.process_time()
    encoder.encode(texts)
    return time.process_time() - start


def _equals_spacy(texts: pa.Array, theirs: SpacyTokenizer) -> bool:
    """Compare the tokens of texts; of each the first 2,000 characters, which spaCy ends as well."""
    ours = Tokenizer(TextSettings(html_breaks=False))
    return all(
        ours.tokenize(text) == [token.text for token in theirs(text) if not token.is_space]
        for text in (text[:2_000] for text in texts.to_pylist())
    )
