"""Texts without their middle: the same ids and statuses, at a fraction of the memory."""

import random
from dataclasses import replace

import pyarrow as pa
import pytest

from infer.text.chunks import Chunker
from infer.text.encoding import Encoder
from infer.text.long_texts import EDGE, LONG, Shortener
from infer.text.rules import rules_of
from infer.text.settings import TextSettings
from infer.text.special_cases import SpecialCases
from infer.text.statuses import OK, TRUNCATED
from infer.text.tokenizer import Tokenizer
from infer.text.vocabulary import PAD, UNK, Vocabulary

WORDS = [
    *("good", "film.", "Film,", "doesn't", "<3", ":)", "'", "''", '"', "(", ")", "o.O", "a.m."),
    *("I'm", "<br", "<br/>", "<br>", "/>", ">", "/", "-", "...", "été", "фильм", "映画", "หนัง"),
    *("😀", "don", "t", "’", "’s", "s.", "\u200b", "\ufeff", "\xad", "can", "not", "Mr.", "'s"),
]
SPACES = (" ", "  ", "\n", "\t", "\r\n", " \n ", "\xa0", "\u3000", "")
BREAKS = ("<br", "<br>", "/>", ">", "good")
FACES = (":", ")", "))", ":)", "o", ".", "O", "'", "''")  # special cases that reach over a space
TOKENS = tuple(dict.fromkeys(Tokenizer(TextSettings()).tokenize(" ".join(WORDS))))
VOCABULARY = Vocabulary((PAD, UNK, *TOKENS))


def drawn(draw: random.Random) -> str:
    """Few kinds of words, many times: each place in turn is one at which a text is parted."""
    words = draw.choice([draw.sample(WORDS, 3), BREAKS, FACES])
    spaces = draw.sample(SPACES, 2)
    return "".join(draw.choice(words) + draw.choice(spaces) for _ in range(draw.randrange(40)))


@pytest.mark.parametrize("breaks", [True, False])
def test_the_same_ids_without_the_middle(breaks: bool) -> None:
    draw = random.Random(0)
    encoder = Encoder(TextSettings(html_breaks=breaks), VOCABULARY)
    chunker = Chunker(encoder.settings, SpecialCases(rules_of("en")).parting())
    shortened = 0
    for _ in range(600):
        longest = draw.randrange(1, 6)
        encoder.settings = replace(
            encoder.settings, max_tokens=longest, head_tokens=draw.randrange(longest + 1)
        )
        texts = [None, *(drawn(draw) for _ in range(8))]
        whole = pa.array(texts, pa.large_string())
        short = Shortener(encoder.settings, chunker, long=10)(whole)
        shortened += short.nbytes < whole.nbytes
        plain, fast = encoder.encode(whole), encoder.encode(short)
        assert fast.offsets.tolist() == plain.offsets.tolist()
        assert fast.ids.tolist() == plain.ids.tolist()
        assert fast.statuses.tolist() == plain.statuses.tolist()
    assert shortened > 300


def test_only_the_ends_of_megabytes_are_kept() -> None:
    settings = TextSettings()
    shorten = Tokenizer(settings).shortened
    text = "good film " * (LONG // 8)
    short = shorten(pa.array(["bad", text, None, "x" * 2 * LONG], pa.large_string()))
    assert short[0].as_py() == "bad"
    assert len(short[1].as_py()) < 2 * EDGE
    assert not short[2].is_valid
    assert short[3].as_py() == "x" * 2 * LONG  # no place to part it
    encoder = Encoder(settings, VOCABULARY)
    assert encoder.encode(pa.array(["good " * 900, text])).statuses.tolist() == [OK, TRUNCATED]
