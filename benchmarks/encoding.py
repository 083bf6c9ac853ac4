"""Text column → token ids, against `spacy.blank("en").tokenizer` on one thread."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import spacy

from benchmarks.harness.contract import Result, Settings, Table, ratio_goal
from benchmarks.harness.models import model_path
from benchmarks.harness.reviews import reviews
from benchmarks.harness.timing import interleave, ratios, timed
from infer.base.cores import cores
from infer.job.scoring import PART_ROWS
from infer.model.file import read_model_file
from infer.model.session import CPU
from infer.table.parquet import WINDOW_BYTES
from infer.text.chunks import HTML_BREAK
from infer.text.encoding import Encoder
from infer.text.settings import TextSettings
from infer.text.vocabulary import Vocabulary

TITLE = "Encoding"
EXPLANATION = (
    "A text column becomes token ids: ours with one Arrow thread, a window at a time as "
    "`sent-score` reads it; spaCy's tokenizer text by text on the same texts (HTML breaks already "
    "out, Python strings already made, ids not looked up). Steady state: both have seen the "
    "texts, and ours has run just before. Cold: neither has seen any. No floor: what bounds it is "
    "reading the bytes."
)
# A text is never cut here, so that both sides make the same tokens.
LONGEST = 1_000_000


@dataclass(frozen=True)
class Sizes:
    """Rows in the window, and repeats."""

    rows: int
    repeats: int


SIZES = {"tiny": Sizes(100, 1), "quick": Sizes(4_096, 3), "full": Sizes(PART_ROWS[CPU], 3)}


def measure(settings: Settings) -> Result:
    """Measure one thread, warm and cold, then more threads."""
    sizes = settings.sizes("encoding", SIZES)
    texts = window(settings, sizes.rows)
    card = read_model_file(model_path(settings, "article fp32")).card
    with one_arrow_thread():
        one = one_thread(texts, card.vocabulary, sizes.repeats)
        scaled = scaling(texts, card.vocabulary, thread_counts(), sizes.repeats)
    goal = ratio_goal("one thread, steady state, against spaCy", 25, one["spaCy"], one["ours"],
                      note=_note(one))  # fmt: skip
    rates = {name: len(texts) / median(one[name]) for name in ("ours", "spaCy")}
    rates |= {f"{name}, cold": len(texts) / one[f"{name}, cold"][0] for name in rates}
    speeds = Table("One thread", ("what", "reviews/s"), tuple(rates.items()))
    threads = Table(
        "Threads that read one warm cache",
        ("threads", "reviews/s", "times one thread"),
        tuple((n, rate, rate / scaled[0][1]) for n, rate in scaled),
    )
    return Result(
        TITLE, EXPLANATION, (goal,), (speeds, threads), {"seconds": one, "rows": len(texts)}
    )


def window(settings: Settings, rows: int) -> pa.Array:
    """Return the first rows that a window of `sent-score` holds, HTML breaks already out."""
    texts = reviews(settings, "test", rows)["text"].combine_chunks().cast(pa.large_string())
    fitting = np.cumsum(pc.binary_length(texts).to_numpy()) <= WINDOW_BYTES
    kept = texts.slice(0, max(1, int(fitting.sum())))
    return pc.replace_substring_regex(kept, pattern=HTML_BREAK, replacement=" ")


@contextmanager
def one_arrow_thread() -> Iterator[None]:
    """Hold Arrow to one thread."""
    before = pa.cpu_count()
    pa.set_cpu_count(1)
    try:
        yield
    finally:
        pa.set_cpu_count(before)


def one_thread(texts: pa.Array, vocabulary: Vocabulary, repeats: int) -> dict[str, Any]:
    """Return seconds of ours and of spaCy, cold and warm; check that both make as many tokens."""
    strings = texts.to_pylist()
    encoder = new_encoder(vocabulary)
    tokenizer = spacy.blank("en").tokenizer
    tokens = {"ours": 0, "spaCy": 0}

    def encode() -> None:
        tokens["ours"] = len(encoder.encode(texts).ids)

    def ours() -> float:
        encode()  # spaCy's turn has taken the memory that Arrow had got used to
        return timed(encode)

    def spacy_alone() -> float:
        return timed(lambda: deque(map(tokenizer, strings), maxlen=0))

    cold = {"ours, cold": [timed(encode)], "spaCy, cold": [spacy_alone()]}
    tokens["spaCy"] = sum(not token.is_space for text in strings for token in tokenizer(text))
    warm = interleave({"ours": ours, "spaCy": spacy_alone}, repeats)
    return {**warm, **cold, "tokens": tokens}


def new_encoder(vocabulary: Vocabulary) -> Encoder:
    """Return an encoder that cuts no text."""
    return Encoder(TextSettings(max_tokens=LONGEST, head_tokens=0), vocabulary)


def _note(one: dict[str, Any]) -> str:
    cold = ratios(one["spaCy, cold"], one["ours, cold"])[0]
    ours, theirs = one["tokens"]["ours"], one["tokens"]["spaCy"]
    same = "as many tokens" if ours == theirs else f"{ours:,} tokens against {theirs:,}"
    return f"cold {cold:.1f}x; {same}"


def thread_counts() -> list[int]:
    """Return 1, 2, 4 … up to the machine's cores."""
    return [n for n in (1, 2, 4, 8, 16, 32) if n <= cores()]


def scaling(
    texts: pa.Array, vocabulary: Vocabulary, counts: list[int], repeats: int
) -> list[tuple[int, float]]:
    """Return reviews a second by threads, which read one warm cache and encode the same texts."""
    warm = new_encoder(vocabulary)
    warm.encode(texts)
    with ThreadPoolExecutor(max(counts)) as pool:
        tasks: dict[str, Callable[[], float]] = {
            str(n): lambda n=n: timed(  # type: ignore[misc]
                lambda: list(pool.map(lambda _: len(warm.encode(texts)), range(n)))
            )
            for n in counts
        }
        seconds = interleave(tasks, repeats)
    return [(n, n * len(texts) / median(seconds[str(n)])) for n in counts]
