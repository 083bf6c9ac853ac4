"""Word vectors: found rows are the file's, missing ones are drawn, errors are named."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from infer.base.errors import InputError
from infer.text.settings import TextSettings
from infer.text.vocabulary import PAD_ID, UNK_ID, Vocabulary
from trainer.data.vectors import fit_vectors, load_vectors

VOCABULARY = Vocabulary(("<pad>", "<unk>", "the", "Film", "film", "rare"))
GLOVE = "the 1 2 3\n. . -9 -9 -9\nfilm 4 5 6.5\nthe 9 9 9\nother 7 8 9\n"


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("header", ["", "5 3\n"])
def test_rows_coverage_and_lower_cased_fallback(tmp_path: Path, header: str) -> None:
    vectors = load_vectors(write(tmp_path / "v.txt", header + GLOVE), VOCABULARY, 3, seed=1)
    assert vectors.matrix.dtype == np.float32
    assert vectors.matrix[2].tolist() == [1, 2, 3]  # the first of two lines counts
    assert vectors.matrix[3].tolist() == vectors.matrix[4].tolist() == [4, 5, 6.5]
    assert vectors.found.tolist() == [False, False, True, True, True, False]
    assert vectors.coverage == 0.75
    assert not vectors.matrix[PAD_ID].any() and vectors.matrix[UNK_ID].any()
    again = load_vectors(str(tmp_path / "v.txt"), VOCABULARY, 3, seed=1)
    assert np.array_equal(again.matrix, vectors.matrix)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the 1 2\n", "vectors of 2 numbers, expected 3. Use --embedding 2"),
        ("2 2\nother 1 2\nthe 1 2\n", "vectors of 2 numbers, expected 3. Use --embedding 2"),
        ("the\t1\t2\t3\n", "no numbers in its first line"),
        ("other 1 2 3\nthe 1 2\n", "line 2: 2 numbers, expected 3"),
        ("other 1 2 3\nthe 1 2 x\n", "line 2: not a number"),
        ("other 1 2 3\nthe 1 2 nan\n", "expected 3 finite ones"),
        ("other 1 2 3\n", "no token of the vocabulary has a vector in it"),
        ("", "no token of the vocabulary has a vector in it"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        load_vectors(write(tmp_path / "v.txt", text), VOCABULARY, 3, seed=1)
    assert words in str(error.value)


def test_no_file_and_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Expected none, corpus, glove"):
        load_vectors(str(tmp_path / "absent"), VOCABULARY, 3, seed=1)
    (tmp_path / "binary").write_bytes(b"3 3\n\xff\xfe\x00")
    with pytest.raises(InputError, match="no UTF-8 text file of vectors"):
        load_vectors(str(tmp_path / "binary"), VOCABULARY, 3, seed=1)


def test_word2vec_on_the_corpus_is_reproducible() -> None:
    pytest.importorskip("gensim")
    texts = pa.array(["the film the Film", "the film unknown"] * 20)

    def fit() -> np.ndarray:
        vectors = fit_vectors(texts, TextSettings(), VOCABULARY, 4, 1, threads=1)
        assert vectors.found.tolist() == [False, False, True, True, True, False]
        return vectors.matrix

    first = fit()
    assert first.shape == (6, 4) and np.isfinite(first).all()
    assert np.array_equal(first, fit())
