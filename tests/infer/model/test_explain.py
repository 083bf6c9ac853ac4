"""Words that move a score: each variant is the text without them, run by the model itself."""

import numpy as np
import pyarrow as pa
import pytest

import infer
from infer.base.errors import InputError
from infer.model import explain as module
from infer.model.explain import explain
from infer.model.scorer import Scorer
from infer.text.settings import TextSettings
from infer.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def scorer(model, session):
    return Scorer(model, session)


def log_odds(scorer, text):
    (logit,) = scorer.logits(scorer.encode(pa.array([text])))
    return float(logit) / scorer.file.card.temperature


def test_a_word_does_what_its_absence_undoes(scorer):
    found = explain(scorer, b"the film not good !")
    whole = log_odds(scorer, "the film not good !")
    assert [word.word for word in found.words] == ["the", "film", "not", "good", "!"]
    without = ["film not good !", "the not good !", "the film good !", "the film not !",
               "the film not good"]  # fmt: skip
    for word, rest in zip(found.words, without, strict=True):
        assert word.change == pytest.approx(whole - log_odds(scorer, rest), abs=1e-6)
        assert found.text[word.start : word.end] == word.word
    (score,) = scorer.score(scorer.encode(pa.array(["the film not good !"]))).score
    assert found.score == pytest.approx(score, abs=1e-6)
    assert (found.label, found.status, found.tokens_at_once) == ("positive", "ok", 1)
    sizes = [abs(word.change) for word in found.strongest(3)]
    assert sizes == sorted((abs(word.change) for word in found.words), reverse=True)[:3]


def test_breaks_and_what_nobody_sees_are_no_words(scorer):
    found = explain(scorer, "good<br /><BR>fi\u00adlm\u200b\n\nbad 🎬映画 .".encode())
    words = [word.word for word in found.words]
    assert words[:3] == ["good", "film", "bad"] and words[-1] == "."
    assert "br" not in "".join(words) and "🎬" in "".join(words)
    assert [found.text[word.start : word.end] for word in found.words] == words


def test_only_what_was_read_is_left_out(scorer):
    """Of a long text, its first 10 and last 30 tokens."""
    found = explain(scorer, ("good " * 12 + "not " * 20 + "bad " * 35).encode())
    assert [word.word for word in found.words] == ["good"] * 10 + ["bad"] * 30
    assert found.status == "truncated"


def test_many_words_are_left_out_together(scorer, monkeypatch):
    monkeypatch.setattr(module, "MOST_VARIANTS", 8)
    monkeypatch.setattr(module, "_TOKENS_AT_ONCE", 60)
    text = "the film good not bad ! " * 3
    found = explain(scorer, text.encode())
    assert found.tokens_at_once == 3
    assert [word.word for word in found.words] == ["the film good", "not bad !"] * 3
    whole, rest = log_odds(scorer, text), log_odds(scorer, text.strip().removesuffix("not bad !"))
    assert found.words[-1].change == pytest.approx(whole - rest, abs=1e-6)


def test_the_only_word_has_nothing_to_be_held_against(scorer):
    (word,) = explain(scorer, b"good").words
    assert (word.word, word.change, word.score_change) == ("good", None, None)


def test_the_only_word_of_one_of_several_labels_gives_no_warning():
    nothing = np.full((1, 3), np.nan, np.float32)
    assert np.isnan(module._log_odds(nothing, temperature=1.0, label=0)).all()


@pytest.mark.parametrize("text", [None, b"", b" \n", b"<br>", b"\xff"])
def test_without_a_score_there_is_nothing_to_explain(scorer, text):
    assert explain(scorer, text) is None


def test_a_hundred_thousand_words_take_no_longer(scorer):
    found = explain(scorer, b"good film " * 50_000)
    assert len(found.words) == 40
    assert len(explain(scorer, b"good film " * 200_000).words) == 40  # more than a megabyte


def test_a_loaded_model_explains(model_path):
    model = infer.load(model_path, device="cpu", threads=1)
    assert [word.word for word in model.explain("good film").words] == ["good", "film"]
    assert model.explain(None) is model.explain("") is model.explain("\ud800") is None
    assert model.explain(b"\xff") is None
    with pytest.raises(InputError, match="expected str"):
        model.explain(7)


@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_spans_are_where_the_tokens_stand(language):
    tokenizer = Tokenizer(TextSettings(language=language))
    for text in (
        "I can't, it's 10km o. O «naïve» 🎬!",
        "Ein  Ü\u00adber-Film <br/> z.B. 映画です。",
        "",
    ):
        spans = tokenizer.spans(text)
        tokens = [spans.text[start:end] for start, end in spans.places]
        assert tokens == tokenizer.tokenize(text)
        assert (np.diff(spans.places.ravel()) >= 0).all()
