"""A window: consecutive rows of an input, which are encoded, scored, kept and resumed as one."""

from collections.abc import Callable
from dataclasses import dataclass

from infer.model.profile import Profile
from infer.model.results import Scores
from infer.model.scorer import Scorer
from infer.text.batching import Rows
from infer.text.encoding import EncodedTexts

Advance = Callable[[int], object]


@dataclass(frozen=True)
class Window:
    """Consecutive rows that were scored.

    Attributes:
        scores: what is said of them.
        profile: what they are like.
        tokens: those that were run through the model.
        padded_tokens: the same with padding.
        encode_seconds: what encoding took.
    """

    scores: Scores
    profile: Profile
    tokens: int
    padded_tokens: int
    encode_seconds: float


def score_window(
    scorer: Scorer,
    encoded: EncodedTexts,
    encode_seconds: float,
    probabilities: bool,
    advance: Advance,
) -> Window:
    """Score one window.

    Args:
        scorer: the model on its device.
        encoded: the rows.
        encode_seconds: what encoding them took.
        probabilities: whether the probability of each label is told too.
        advance: is told how many rows more are scored, in this thread.
    """
    lengths, (run, tokens, padded) = encoded.lengths, (0, 0, 0)

    def count(rows: Rows) -> None:
        nonlocal run, tokens, padded
        run += len(rows)
        tokens += int(lengths[rows].sum())
        padded += len(rows) * int(lengths[rows].max())
        advance(len(rows))

    scores = scorer.score(encoded, count, probabilities)
    advance(len(encoded) - run)  # what has no tokens, or those of another row
    profile = Profile.of(encoded, scores, scorer.file.card.labels)
    return Window(scores, profile, tokens, padded, encode_seconds)
