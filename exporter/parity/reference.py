"""What parity is checked on, with PyTorch's answers: batches of many shapes, and real texts.

Legend: B rows of a batch, T tokens, R texts, K labels. Logits are (B,), or (B, K) where K > 2.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from exporter.graph.foreign import Foreign
from exporter.parity.reviews import Reviews
from exporter.parity.source import Source
from infer.base.console import progress
from infer.model.file import ModelFile
from infer.model.probability import row_shape
from infer.model.session import CPU, DEFAULT_BATCH_TOKENS
from infer.text.batching import Logits, run_in_batches
from infer.text.encoding import EncodedTexts, Encoder
from trainer.data.epoch_batches import encode_with_bar
from trainer.network.model import SentimentLSTM

Batch = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]
Run = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int32]], Logits]

GRID_ROWS: Final = (1, 2, 7, 33)
GRID_TOKENS: Final = (1, 2, 50, 400)
# The longest sequences that scoring ever runs; a batch of 33 of them would take as long as all
# the others together.
LONGEST_ROWS: Final = 7
PROBES: Final = 12
SEED: Final = 123


@dataclass(frozen=True)
class Material:
    """What is compared on, with PyTorch's answers.

    Attributes:
        grid: made-up batches of many shapes.
        grid_logits: PyTorch's logits of each.
        reviews: the real texts.
        expected: the texts through the checkpoint's text settings and vocabulary.
        found: the same through the model file's.
        middle: the logit above which the positive of two labels is predicted.
        logits: (R,) or (R, K), PyTorch's logits of the texts, NaN where there is no token.
    """

    grid: list[Batch]
    grid_logits: list[Logits]
    reviews: Reviews
    expected: EncodedTexts
    found: EncodedTexts
    logits: Logits
    middle: float

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Numbers of the texts that have a token on either side, (R',) int64."""
        return np.flatnonzero(self.expected.lengths + self.found.lengths)

    def describe_reviews(self) -> dict[str, str | int]:
        """Return what the report says about the texts."""
        labelled = 0 if self.reviews.labels is None else len(self.rows)
        return {
            "source": self.reviews.source,
            "sha256": self.reviews.sha256,
            "rows": len(self.expected),
            "compared": len(self.rows),
            "labelled": labelled,
        }


def make_material(model_file: ModelFile, checkpoint: Source, reviews: Reviews) -> Material:
    """Encode the texts and run PyTorch on everything."""
    card = model_file.card
    expected = found = encode_with_bar(
        Encoder(checkpoint.text, checkpoint.vocabulary), reviews.texts, "Tokenizing"
    )
    if (card.text, card.vocabulary) != (checkpoint.text, checkpoint.vocabulary):
        found = encode_with_bar(
            Encoder(card.text, card.vocabulary), reviews.texts, "Tokenizing again"
        )
    grid = make_grid(len(checkpoint.vocabulary), checkpoint.text.max_tokens)
    pytorch = run_pytorch(checkpoint.model)
    grid_logits = run_grid(pytorch, grid)
    shape = row_shape(len(checkpoint.labels))
    logits = run_texts(
        pytorch, expected, DEFAULT_BATCH_TOKENS[CPU], "PyTorch, reviews", shape=shape
    )
    return Material(grid, grid_logits, reviews, expected, found, logits, card.middle)


def make_grid(vocabulary_size: int, max_tokens: int) -> list[Batch]:
    """Make batches of random tokens: each number of rows with each number of tokens.

    Lengths are mixed: one row is full, the others anything from 1 up. Behind a row's end stand
    random tokens instead of padding: whoever reads them computes something else.
    """
    random = np.random.default_rng(SEED)
    tokens = [t for t in GRID_TOKENS if t < max_tokens]
    shapes = [(rows, t) for t in tokens for rows in GRID_ROWS]
    shapes += [(1, max_tokens), (LONGEST_ROWS, max_tokens)]
    batches = []
    for rows, longest in shapes:
        lengths = random.integers(1, longest, rows, np.int32, endpoint=True)
        lengths[random.integers(rows)] = longest
        batches.append((random.integers(0, vocabulary_size, (rows, longest)), lengths))
    return batches


def run_pytorch(model: SentimentLSTM | Foreign) -> Run:
    """Return a function from a batch to PyTorch's logits."""

    @torch.inference_mode()
    def run(input_ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]) -> Logits:
        logits: Logits = model(torch.from_numpy(input_ids), torch.from_numpy(lengths)).numpy()
        return logits

    return run


def run_grid(run: Run, grid: list[Batch]) -> list[Logits]:
    """Run the made-up batches: the logits of each."""
    logits = []
    with progress("PyTorch, shapes", len(grid)) as advance:
        for batch in grid:
            logits.append(run(*batch))
            advance(1)
    return logits


def run_texts(
    run: Run,
    encoded: EncodedTexts,
    budget: int,
    title: str,
    in_turn: Callable[..., Iterable[Logits | None]] = map,
    shape: tuple[int, ...] = (),
) -> Logits:
    """Run all texts in batches of like length: (R, *shape) logits, NaN where there is no token.

    Args:
        run: from a batch to its logits.
        encoded: R texts.
        budget: padded tokens in a batch.
        title: what the progress bar says.
        in_turn: `map`, or an executor's, which runs batches side by side.
        shape: of one text's logits.
    """
    with progress(title, int(np.count_nonzero(encoded.lengths))) as advance:
        return run_in_batches(
            encoded,
            budget,
            run,
            in_turn=in_turn,
            done=lambda rows: advance(len(rows)),
            shape=shape,
        )


def probe_rows(encoded: EncodedTexts) -> npt.NDArray[np.int64]:
    """Choose up to `PROBES` texts from the shortest to the longest, evenly by rank."""
    ranked = np.argsort(encoded.lengths, kind="stable")
    ranked = ranked[encoded.lengths[ranked] > 0]
    places = np.unique(np.linspace(0, len(ranked) - 1, PROBES).astype(np.int64))
    return ranked[places]
