"""Why a text has its score: the words that move it, found by leaving each of them out.

The same model is run again on the text without a word; what that changes is what the word does (Li,
Monroe and Jurafsky 2016). Words that say the same thing twice hide one another: without the one the
other is still there. Legend: N tokens, V variants of a text, K labels.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infer.model.probability import predicted
from infer.model.results import make_scores
from infer.model.scorer import Scorer
from infer.text.encoding import EncodedTexts, concatenate
from infer.text.statuses import OK, STATUSES

# Of a text with more tokens several are left out at once.
MOST_VARIANTS: Final = 500
# Tokens of the variants that are laid out at once, 16 MB.
_TOKENS_AT_ONCE: Final = 1 << 22


@dataclass(frozen=True)
class Word:
    """A token that the model read, or several in a row; what it does to the score.

    Attributes:
        word: as it stands in the text.
        start: its first character's place in the text of the explanation.
        end: the place behind its last character.
        change: by how much the log-odds of the label are higher with it than without; None where
            it is all there is.
        score_change: likewise of the label's probability, -1 to 1.
    """

    word: str
    start: int
    end: int
    change: float | None
    score_change: float | None


@dataclass(frozen=True)
class Explanation:
    """Why a text has its score.

    Attributes:
        text: as it is read: without invisible characters, and with spaces for HTML breaks.
        label: what the words speak for or against: the positive of two labels, or the predicted
            one of more.
        score: its probability.
        prediction: the predicted label.
        status: `ok` or `truncated`.
        words: those that the model read, in their order.
        tokens_at_once: how many are left out together, 1 unless the text is long.
    """

    text: str
    label: str
    score: float
    prediction: str
    status: str
    words: tuple[Word, ...]
    tokens_at_once: int = 1

    def strongest(self, count: int = 10) -> list[Word]:
        """Return the words that move the score most, for the label or against it."""
        known = [word for word in self.words if word.change is not None]
        return sorted(known, key=lambda word: -abs(word.change or 0.0))[:count]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON-ready mapping."""
        return asdict(self) | {"words": [asdict(word) for word in self.words]}


def explain(scorer: Scorer, text: bytes | None) -> Explanation | None:
    """Leave the words of a text out, one after the other.

    Args:
        scorer: the model on its device.
        text: as UTF-8; None where there is none.

    Returns:
        None where the text has no score.
    """
    encoded = scorer.encode(pa.array([text], pa.large_binary()))
    if text is None or not len(encoded.ids):
        return None
    spans = scorer.spans(text.decode())
    read = _read(len(spans.places), len(encoded.ids), scorer.file.card.text.head_tokens)
    at_once = -(-len(read) // MOST_VARIANTS)
    whole, without = _logits(scorer, encoded, at_once)
    card = scorer.file.card
    scores = make_scores(whole, encoded.statuses, card, with_probabilities=False)
    label = 1 if len(card.labels) == 2 else int(predicted(whole)[0])
    before, after = (_log_odds(logits, card.temperature, label) for logits in (whole, without))
    places = spans.places[read]
    words = tuple(
        _word(spans.text, places[i * at_once : (i + 1) * at_once], float(before[0]), odds)
        for i, odds in enumerate(after.tolist())
    )
    return Explanation(
        spans.text,
        card.labels[label],
        _probability(float(before[0])),
        card.labels[int(scores.prediction[0])],
        STATUSES[encoded.statuses[0]],
        words,
        at_once,
    )


def _read(tokens: int, kept: int, head: int) -> npt.NDArray[np.int64]:
    """Return which tokens of a text the model reads: head and tail, where it is too long."""
    if kept == tokens:
        return np.arange(tokens)
    return np.concatenate((np.arange(head), np.arange(tokens - (kept - head), tokens)))


def _logits(
    scorer: Scorer, encoded: EncodedTexts, at_once: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Run a text as it is and without each of its runs of tokens.

    Returns:
        Logits of the text, (1,) or (1, K), and of the variants, (V,) or (V, K).
    """
    ids, found = encoded.ids, []
    starts = np.arange(0, len(ids), at_once)
    step = max(1, _TOKENS_AT_ONCE // len(ids))
    for some in np.split(starts, range(step, len(starts), step)):
        variants = [np.delete(ids, slice(start, start + at_once)) for start in some]
        found.append(scorer.logits(concatenate([_encoded(variant) for variant in variants])))
    return scorer.logits(encoded), np.concatenate(found)


def _encoded(ids: npt.NDArray[np.int32]) -> EncodedTexts:
    return EncodedTexts(ids, np.array([0, len(ids)]), np.array([OK], np.uint8))


def _log_odds(
    logits: npt.NDArray[np.float32], temperature: float, label: int
) -> npt.NDArray[np.float64]:
    """Return the log-odds of a label's probability: (R,) or (R, K) → (R,)."""
    cooled = logits.astype(np.float64) / temperature
    if cooled.ndim == 1:
        return cooled
    others = np.delete(cooled, label, axis=1)
    with np.errstate(invalid="ignore"):  # of a text without its only word
        odds: npt.NDArray[np.float64] = cooled[:, label] - np.logaddexp.reduce(others, axis=1)
    return odds


def _probability(log_odds: float) -> float:
    return float(0.5 * (1 + np.tanh(log_odds / 2)))


def _word(text: str, places: npt.NDArray[np.int64], before: float, after: float) -> Word:
    """Describe tokens in a row that are left out together."""
    start, end = int(places[0, 0]), int(places[-1, 1])
    if np.isnan(after):  # nothing is left that could have a score
        return Word(text[start:end], start, end, None, None)
    moved = _probability(before) - _probability(after)
    return Word(text[start:end], start, end, before - after, moved)
