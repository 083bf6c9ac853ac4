"""Each stage of scoring by itself, on one core: what a machine with GPUs has to feed them with."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.batching import window_batches
from benchmarks.encoding import one_arrow_thread
from benchmarks.harness.contract import Result, Settings, Table
from benchmarks.harness.models import model_path
from benchmarks.harness.processes import score
from benchmarks.harness.reviews import write_reviews
from benchmarks.harness.timing import interleave, timed
from infer.job.scoring import PART_ROWS
from infer.model.cuda import CUDA
from infer.model.file import read_model_file
from infer.model.session import CPU, DEFAULT_BATCH_TOKENS
from infer.table.inputs import find_inputs
from infer.table.parquet import open_parquet, text_windows
from infer.text.batching import pad
from infer.text.encoding import EncodedTexts, Encoder

TITLE = "Stages"
EXPLANATION = (
    "Each stage of `sent-score` alone, one after another in one thread: reading and decompressing "
    "the text column, encoding it (warm), padding it into batches of CUDA's default budget, and "
    "writing the output, which is taken from a whole process with a tiny model. No goal; "
    "`docs/scaling.md` is computed from it."
)


@dataclass(frozen=True)
class Sizes:
    """Reviews, and repeats."""

    rows: int
    repeats: int


SIZES = {"tiny": Sizes(60, 1), "quick": Sizes(8_192, 3), "full": Sizes(25_000, 3)}


def measure(settings: Settings) -> Result:
    """Time each stage."""
    sizes = settings.sizes("stages", SIZES)
    source = write_reviews(settings, "test", sizes.rows)
    card = read_model_file(model_path(settings, "article fp32")).card
    texts = pq.read_table(source)["text"].combine_chunks()
    encoder = Encoder(card.text, card.vocabulary)
    encoded = encoder.encode(texts)
    tiny = model_path(settings, "tiny fp32")
    tasks: dict[str, Callable[[], float]] = {
        "read": lambda: timed(lambda: read(str(source))),
        "encode": lambda: timed(lambda: encode(encoder, texts)),
        "pad": lambda: timed(lambda: pad_all(encoded)),
        "write": lambda: float(score(settings, source, tiny).summary["seconds"]["write"]),
    }
    with one_arrow_thread():
        seconds = interleave(tasks, sizes.repeats)
    rates = {name: len(texts) / max(median(values), 1e-9) for name, values in seconds.items()}
    table = Table("One core", ("stage", "reviews/s"), tuple(rates.items()))
    tokens = int(encoded.lengths.sum())
    raw = {
        "reviews_per_second": rates,
        "seconds": seconds,
        "tokens_a_review": tokens / len(texts),
        "file_bytes_a_review": source.stat().st_size / len(texts),
    }
    return Result(TITLE, EXPLANATION, (), (table,), raw)


def read(path: str) -> int:
    """Read the text column in windows; return the rows."""
    with open_parquet(find_inputs([path]).files[0]) as file:
        return sum(len(window) for window in text_windows(file, "text", PART_ROWS[CPU]))


def encode(encoder: Encoder, texts: pa.Array) -> int:
    """Encode window by window; return the tokens."""
    starts = range(0, len(texts), PART_ROWS[CPU])
    return sum(len(encoder.encode(texts.slice(s, PART_ROWS[CPU])).ids) for s in starts)


def pad_all(encoded: EncodedTexts) -> int:
    """Plan and pad every batch; return the padded tokens."""
    budget = DEFAULT_BATCH_TOKENS[CUDA]
    return sum(pad(encoded, rows)[0].size for rows in window_batches(encoded, budget, CUDA))
