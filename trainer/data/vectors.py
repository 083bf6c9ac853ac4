"""Word vectors to start the embedding from. Legend: V vocabulary ids, E vector size."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infer.base.console import progress, say
from infer.base.errors import InputError
from infer.base.words import counted
from infer.text.encoding import EncodedTexts, Encoder
from infer.text.settings import TextSettings
from infer.text.vocabulary import PAD_ID, UNK_ID, Vocabulary
from trainer.data.epoch_batches import encode_with_bar

GLOVE: Final = "glove.6B.100d"
# As often as word2vec goes through a corpus, unless that is so small that it would read too few
# tokens to tell words apart: five times 1,800 reviews leave all frequent words the same vector.
CORPUS_EPOCHS: Final = 5
MOST_EPOCHS: Final = 40
TOKENS_READ: Final = 5_000_000


@dataclass(frozen=True)
class Vectors:
    """Vectors for a vocabulary.

    Attributes:
        source: what was asked for.
        matrix: (V, E) float32; rows without a vector of their own are drawn at random, with the
            spread of those found, and the padding row is zero.
        found: (V,) bool, which rows came from the source.
    """

    source: str
    matrix: npt.NDArray[np.float32]
    found: npt.NDArray[np.bool_]

    @property
    def coverage(self) -> float:
        """Share of the vocabulary's real tokens that have a vector, 0 to 1."""
        return float(self.found[UNK_ID + 1 :].mean()) if len(self.found) > UNK_ID + 1 else 0.0


def load_vectors(source: str, vocabulary: Vocabulary, size: int, seed: int) -> Vectors:
    """Read the vectors that the vocabulary needs from a GloVe or word2vec text file.

    Args:
        source: path of the file, or `glove.6B.100d` for the download.
        vocabulary: V tokens; one without a vector takes its lower-cased form's.
        size: E.
        seed: decides the random rows.

    Raises:
        InputError: no such file, no vectors in it, or vectors of another size.
    """
    with _open(source) as lines:
        rows = read_vectors(lines, _wanted(vocabulary), size, source)
    return assemble(source, rows, vocabulary, size, seed)


def check_vectors(source: str, size: int) -> None:
    """Look at the first lines of a file of vectors, before anything that takes long.

    Raises:
        InputError: no such file, or vectors of another size.
    """
    if source not in ("none", "corpus"):
        with _open(source) as lines:
            read_vectors(islice(lines, 2), set(), size, source)


@contextmanager
def _open(source: str) -> Iterator[IO[str]]:
    if source == GLOVE:
        from trainer.data.download import open_glove

        with open_glove() as lines:
            yield lines
        return
    path = Path(source)
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            yield lines
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no UTF-8 text file of vectors ({error.reason})") from error
    except OSError as error:
        raise InputError(
            f"--vectors {path}: {error.strerror}. Expected none, corpus, {GLOVE} or the path of a "
            "GloVe or word2vec text file"
        ) from error


def _wanted(vocabulary: Vocabulary) -> set[str]:
    tokens = vocabulary.tokens[UNK_ID + 1 :]
    return {*tokens, *(token.lower() for token in tokens)}


def read_vectors(
    lines: Iterable[str] | IO[str], wanted: set[str], size: int, source: str
) -> dict[str, npt.NDArray[np.float32]]:
    """Stream over the lines of a vector file and keep the wanted words.

    Args:
        lines: a word and E numbers each; a first line of two numbers (word2vec's) is skipped.
        wanted: words to keep.
        size: E.
        source: the file's name, for messages.

    Returns:
        word → (E,) float32.

    Raises:
        InputError: a line has another number of fields, or a field is no number.
    """
    rows: dict[str, npt.NDArray[np.float32]] = {}
    for number, line in enumerate(lines, 1):
        word, _, rest = line.rstrip(" \r\n").partition(" ")
        if number == 1:
            if _is_header(word, rest):
                _check_size(int(rest), size, source)
                continue
            _check_size(len(rest.split()), size, source)
        # A few words of the large GloVe files hold spaces; no token does, so they are passed over.
        if word in wanted and word not in rows and rest.count(" ") < size:
            rows[word] = _parse(rest, size, source, number)
    return rows


def _is_header(word: str, rest: str) -> bool:
    return word.isdigit() and rest.strip().isdigit()


def _check_size(found: int, size: int, source: str) -> None:
    if not found:
        raise InputError(
            f"{source}: no numbers in its first line, expected a word and numbers, with spaces"
        )
    if found != size:
        raise InputError(
            f"{source}: vectors of {found} numbers, expected {size}. Use --embedding {found}"
        )


def _parse(rest: str, size: int, source: str, number: int) -> npt.NDArray[np.float32]:
    try:
        values = np.array(rest.split(), dtype=np.float32)
    except ValueError as error:
        raise InputError(f"{source}, line {number}: not a number ({error})") from error
    if len(values) != size or not np.isfinite(values).all():
        raise InputError(
            f"{source}, line {number}: {len(values)} numbers, expected {size} finite ones. "
            f"Use --embedding with the file's size"
        )
    return values


def assemble(
    source: str,
    rows: dict[str, npt.NDArray[np.float32]],
    vocabulary: Vocabulary,
    size: int,
    seed: int,
) -> Vectors:
    """Lay found vectors in the vocabulary's order and draw the missing ones.

    Raises:
        InputError: not one token of the vocabulary has a vector.
    """
    tokens = vocabulary.tokens
    own = [None if i <= UNK_ID else rows.get(t, rows.get(t.lower())) for i, t in enumerate(tokens)]
    found = np.fromiter((row is not None for row in own), bool, len(own))
    if not found.any():
        raise InputError(f"{source}: no token of the vocabulary has a vector in it")
    known = np.stack([row for row in own if row is not None])
    matrix = np.random.default_rng([seed, 1]).normal(0.0, known.std(), (len(tokens), size))
    matrix[found] = known
    matrix[PAD_ID] = 0.0
    return Vectors(source, matrix.astype(np.float32), found)


def fit_vectors(
    texts: pa.Array,
    settings: TextSettings,
    vocabulary: Vocabulary,
    size: int,
    seed: int,
    threads: int,
) -> Vectors:
    """Fit word2vec (skip-gram) on texts, labelled or not, with gensim.

    Args:
        texts: (R,) strings.
        settings: how they become tokens; a text is read beyond its `max_tokens`, up to the 10,000
            tokens at which gensim stops.
        vocabulary: V tokens; others are skipped.
        size: E.
        seed: seed of word2vec; with one thread the result is reproducible.
        threads: workers.
    """
    from gensim.models import Word2Vec

    whole = replace(settings, max_tokens=1_000_000, head_tokens=0)
    encoded = encode_with_bar(Encoder(whole, vocabulary), texts, "encoding for word2vec")
    epochs = corpus_epochs(len(encoded.ids))
    tokens, times = counted(len(encoded.ids), "token"), counted(epochs, "time")
    say(f"fitting word2vec on {tokens} of {counted(len(texts), 'text')}, {times}")
    with progress("word2vec", len(texts) * (epochs + 1)) as advance:
        fitted = Word2Vec(
            Sentences(encoded, vocabulary, lambda: advance(1)),
            vector_size=size,
            sg=1,
            window=5,
            negative=5,
            sample=1e-4,
            min_count=1,
            epochs=epochs,
            seed=seed,
            workers=threads,
        )
    index = fitted.wv.key_to_index
    rows = {token: fitted.wv.vectors[i] for token, i in index.items()}
    return assemble("corpus", rows, vocabulary, size, seed)


def corpus_epochs(tokens: int) -> int:
    """Return how often word2vec goes through so many tokens.

    Example:
        >>> corpus_epochs(20_000_000), corpus_epochs(500_000), corpus_epochs(100_000)
        (5, 10, 40)
    """
    return min(MOST_EPOCHS, max(CORPUS_EPOCHS, math.ceil(TOKENS_READ / max(1, tokens))))


@dataclass(frozen=True)
class Sentences:
    """Encoded texts as lists of tokens, to be gone through again and again.

    Attributes:
        encoded: the texts.
        vocabulary: what their ids mean.
        advance: called after each text.
    """

    encoded: EncodedTexts
    vocabulary: Vocabulary
    advance: Callable[[], object]

    def __iter__(self) -> Iterator[list[str]]:
        """Yield each text's known tokens."""
        tokens = self.vocabulary.tokens
        for start, end in pairwise(self.encoded.offsets):
            ids = self.encoded.ids[start:end]
            yield [tokens[i] for i in ids[ids > UNK_ID].tolist()]
            self.advance()
