"""The linear model: logistic regression on hashed n-grams of token ids, weighted by naive Bayes.

After Wang and Manning, "Baselines and Bigrams" (2012), with logistic regression in place of their
support vector machine. It is fitted within a minute, errs in other places than an LSTM, and serves
three ends: it stands beside the network in the model (`trainer.network.ngrams`), its probabilities
are what an LSTM can be trained on (`trainer.teaching.self_training`), and what it gets right by
itself is what a network has to beat.

Of more than two labels each is told from all others.

Legend: R rows, W buckets, V of them that occur, K labels, O logits of a row.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from infer.base.console import progress, say
from infer.base.errors import InputError
from infer.base.words import counted
from infer.model.probability import label_count
from infer.text.encoding import EncodedTexts
from infer.text.vocabulary import UNK_ID
from trainer.network.evaluate import predict
from trainer.network.model import as_logits
from trainer.network.ngrams import NGrams, bucket_of, room_for, sums_of, text_sums
from trainer.settings.recipe import Recipe

# Longest n-gram of the model that teaches a network which has none of its own.
NGRAMS: Final = 3
# The regression's inverse penalty: fast.ai's choice for the same features of the same reviews.
STRENGTH: Final = 0.1
STEPS: Final = 60
# Some 1.5 GB of n-grams. More rows than that change little: a sample of them is drawn.
MOST_TOKENS: Final = 30_000_000
# Places for which it is noted in which texts their n-grams stand, 256 MB.
PLACES: Final = 1 << 25


def fit_ngrams(
    recipe: Recipe, seed: int, encoded: EncodedTexts, targets: npt.NDArray[np.float32]
) -> NGrams:
    """Fit the linear model.

    Args:
        recipe: longest n-gram and size of the table.
        seed: draws the rows, where there are more than are needed.
        encoded: R texts, those that are trained on and no others.
        targets: (R,) or (R, K) float32 probabilities of labels: 0 and 1, or a teacher's.

    Returns:
        In evaluation mode, on the CPU; what it counts beside a network is not decided here.

    Raises:
        InputError: all targets are of one label.
    """
    labels = label_count(targets)
    longest, buckets = recipe.ngrams or NGRAMS, room_for(recipe.ngram_buckets, labels)
    rows = _some(encoded.lengths, seed)
    say(f"fitting the linear model on {counted(len(rows), 'review')}")
    wanted = targets[rows].astype(np.float64)
    # Probabilities may all lie on one side, as a teacher's do of a rare label, and yet differ.
    if (wanted == wanted[:1]).all():
        raise InputError(
            f"the linear model cannot be fitted on {counted(len(rows), 'review')} with words whose "
            "targets are all of one label, expected two labels or more"
        )
    counts = count(_taken(encoded, rows), longest, buckets)
    # A bucket that no text has would keep a weight of 0, and take as long as any other. What is
    # trained on may have no unknown token, new texts have some each: they are to count nothing.
    unknown = bucket_of(sums_of([np.array([UNK_ID])])[0], buckets)
    there = np.setdiff1d(counts.indices, unknown)  # (V,)
    counts = counts[:, there]  # (R, V)
    often = repetition(counts)
    model = NGrams(longest, buckets, labels)
    table = model.weight.view(buckets, -1)  # (W, O)
    columns = wanted.reshape(len(rows), -1)  # (R, O): of more labels each against all others
    with progress("linear model", columns.shape[1], "labels") as advance:
        for column, own in enumerate(columns.T):
            ratios = log_ratios(counts, own) / often
            features = balanced(counts.multiply(ratios).tocsr().astype(np.float32))
            weights, bias = _regression(features, own)
            # Half is enough, and sums of halves are exact in double precision (`NGrams.forward`).
            table[there, column] = torch.from_numpy(weights * ratios).half().float()
            model.bias[column] = bias
            advance(1)
    return model.eval()


def predict_linear(
    model: NGrams, encoded: EncodedTexts, title: str = "n-grams"
) -> npt.NDArray[np.float32]:
    """Compute the logits of the n-grams alone: (R,) or (R, K), NaN where a text has no token."""
    return predict(model, encoded, title, compute=lambda *batch: as_logits(model(*batch)))


def _some(lengths: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """Return the rows that have tokens; where that is too much, a sample of them."""
    rows = np.flatnonzero(lengths)
    if lengths.sum() > MOST_TOKENS:
        drawn = np.random.default_rng(seed).permutation(rows)
        rows = np.sort(drawn[np.cumsum(lengths[drawn]) <= MOST_TOKENS])
    return rows


def _taken(encoded: EncodedTexts, rows: npt.NDArray[np.int64]) -> EncodedTexts:
    """Return some of the texts, whose numbers ascend."""
    chosen = np.isin(np.arange(len(encoded)), rows)
    ids = encoded.ids[np.repeat(chosen, encoded.lengths)]
    offsets = np.concatenate(([0], np.cumsum(encoded.lengths[chosen])))
    return EncodedTexts(ids, offsets, encoded.statuses[chosen])


def count(encoded: EncodedTexts, longest: int, buckets: int) -> Any:
    """Count the n-grams of each text that stand in others too: a sparse (R, W) matrix of float32.

    One that a single text has tells nothing of others, and takes a bucket that n-grams of new texts
    fall into: after 2,000 reviews two in five did, and now one in thirteen does.
    """
    from scipy.sparse import csr_array

    sums = text_sums(encoded, longest)  # (N, S)
    texts = np.repeat(np.arange(len(encoded), dtype=np.int32), encoded.lengths)  # (S,)
    kept = np.stack([in_several(own, texts) for own in sums])
    columns, rows = bucket_of(sums[kept], buckets), np.broadcast_to(texts, kept.shape)[kept]
    ones = np.ones(len(columns), np.float32)
    counts = csr_array((ones, (rows, columns)), shape=(len(encoded), buckets))
    counts.sum_duplicates()
    return counts


def in_several(sums: npt.NDArray[np.int64], texts: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Tell which n-grams stand in two texts or more; by chance one of a single text is told too.

    Args:
        sums: (S,) of n-grams of one length, text behind text.
        texts: (S,) number of each one's text, which never falls.

    Returns:
        (S,) bool.
    """
    places = bucket_of(sums, PLACES)
    first, last = np.empty(PLACES, np.int32), np.empty(PLACES, np.int32)
    # Of several values for one place NumPy keeps the last.
    first[places[::-1]] = texts[::-1]
    last[places] = texts
    several: npt.NDArray[np.bool_] = (first != last)[places]
    return several


def log_ratios(counts: Any, wanted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Say how much likelier a positive review has each n-gram: (W,) float64, in nats.

    Args:
        counts: sparse (R, W) of how often each review has it; once is as good as often.
        wanted: (R,) probabilities of the positive label.
    """
    having = counts > 0
    shares = [(having.T @ side + 1) / (side.sum() + 1) for side in (wanted, 1 - wanted)]
    ratios: npt.NDArray[np.float64] = np.log(shares[0] / shares[1])
    return ratios


def repetition(counts: Any) -> npt.NDArray[np.float64]:
    """Say how often a text that has an n-gram has it, on average: (W,) float64, 1 or more.

    A feature divided by it counts alike whether it is of a word that stands once in a text ("bad")
    or often ("?"): else a text's oftenest words lead.

    Args:
        counts: sparse (R, W), none of whose columns is empty.
    """
    means: npt.NDArray[np.float64] = counts.sum(axis=0) / (counts > 0).sum(axis=0)
    return means


def balanced(features: Any) -> Any:
    """Scale each row to the median norm, as if all texts said as much: else the long ones lead.

    A new text is read unscaled, so a text that says as much as most keeps its features.

    Args:
        features: sparse (R, W) float32.

    Returns:
        The same; a row of zeros stays one.
    """
    norms = np.sqrt(features.multiply(features).sum(axis=1))  # (R,)
    some = norms > 0
    if not some.any():
        return features
    scales = np.divide(np.median(norms[some]), norms, out=np.zeros_like(norms), where=some)
    return features.multiply(scales[:, None]).tocsr()


def _regression(
    features: Any, wanted: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], float]:
    """Fit logistic regression towards probabilities, which scikit-learn's does not take.

    Args:
        features: sparse (R, W) float32.
        wanted: (R,) probabilities.

    Returns:
        Weights (W,) and bias.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    def objective(x: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        weights, bias = x[:-1], x[-1]
        logits = features @ weights.astype(np.float32) + bias
        error = expit(logits) - wanted
        loss = np.logaddexp(0, logits) - wanted * logits
        slope = np.append(features.T @ error.astype(np.float32), error.sum())
        slope[:-1] = STRENGTH * slope[:-1] + weights
        slope[-1] *= STRENGTH
        return STRENGTH * loss.sum() + weights @ weights / 2, slope

    start = np.zeros(features.shape[1] + 1)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    return found[:-1], float(found[-1])
