"""The twenty texts that a model file carries with their ids and logits, each for one rule.

They are the toolkit's own, whatever the model learned from. The logits are those of the very graph
that rides in the file, by ONNX Runtime on the CPU, each text alone.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infer.model.card import ModelCard
from infer.model.file import ModelFile
from infer.model.known_answers import KnownAnswer, Text, in_blocks
from infer.model.probability import row_shape
from infer.model.results import Scores, make_scores
from infer.model.session import Session
from infer.text.batching import run_in_batches
from infer.text.encoding import Encoder
from infer.text.settings import TextSettings

# A text is a batch of its own: no budget has room for two.
_ONE_AT_A_TIME: Final = 1

TEXTS: Final = (
    ("words and marks", "A wonderful film: warm, funny and true!"),
    ("upper case", "The WORST film that I have EVER seen."),
    ("lower case beyond ASCII", "İSTANBUL, ÉTÉ, STRAßE, ΣΟΦΟΣ, ǅ and ＦＩＬＭ"),
    ("contractions", "I can't say it isn't good; they don’t, she'd've, y'all gonna."),
    ("HTML breaks", "Good.<br /><br/>Bad<BR>film<bR \t>the</br> <br\u00a0/> <p>end"),
    ("unknown words", "A frobbish blort of a film, zxqv and grimpiferous."),
    ("emoji and emoticons", "Great fun 👍🏽 😂❤️ :-) <3 xD ¯\\(ツ)/¯ not:("),
    ("Latin, Greek and Cyrillic", "Très bon, sehr schön, πολύ καλό. Отличный фильм!"),
    ("Chinese, Japanese and Korean", "很好的电影。とても面白い映画。정말 좋은 영화였다."),
    ("Arabic, Hebrew, Hindi and Thai", "فيلم رائع! סרט טוב. बहुत अच्छी फ़िल्म। หนังดีมาก"),
    ("kinds of white space", " good\tfilm\n\nbad\r\nthe\u00a0a\u2003not\u2028an\x1cof  end\u3000"),
    (
        "invisible characters",
        "\ufeffgo\u00adod\u200b fi\u200clm \u200dbad\u200e\u200f the\u202a\u202b\u202c\u202d\u202e "
        "a\u2060\u2061\u2062\u2063\u2064 not\u2066\u2067\u2068\u2069.",
    ),
    ("no normalisation", "caf\u00e9 is not cafe\u0301, nor is \ufb01lm film."),
    ("numbers, units, abbreviations", "Mr. Hill paid $5.00 for 10km in the U.S.A. at 8:30 p.m."),
    ("addresses", "See https://www.example.org/a?b=c#d, or write to me@example.org."),
    ("hyphens and piles of marks", "A well-known, must-see... and/or -- 10/10 --what?!?! ((end))"),
    ("special cases, over a space too", ": ) o. O Mother'' x:) (good): ' ' can not, a.m."),
)


def known_answers(model_file: ModelFile) -> tuple[KnownAnswer, ...]:
    """Run the texts through a model file's text settings, vocabulary and graph."""
    card = model_file.card
    named = [*((shows, ((text, 1),)) for shows, text in TEXTS), *long_and_empty(card.text)]
    texts = pa.array(["".join(part * times for part, times in text) for _, text in named])
    encoded = Encoder(card.text, card.vocabulary).encode(texts)
    run = Session(model_file.data, "cpu", 1, card.precision).run
    logits = run_in_batches(encoded, _ONE_AT_A_TIME, run, shape=row_shape(len(card.labels)))
    found = make_scores(logits, encoded.statuses, card, with_probabilities=False)
    ids = np.split(encoded.ids, encoded.offsets[1:-1])
    return tuple(
        _answer(card, *named[i], ids[i], logits[i], found.slice(i, i + 1))
        for i in range(len(named))
    )


def long_and_empty(text: TextSettings) -> list[tuple[str, Text]]:
    """Return texts longer than the longest sequence, as long as it, and without a token."""
    head, tail = text.head_tokens, text.max_tokens - text.head_tokens
    longer = (("good ", head), ("the ", 7), ("bad ", tail))
    return [
        ("head and tail of a long text", tuple(part for part in longer if part[1])),
        ("the longest text that stays whole", (("film ", text.max_tokens),)),
        ("no token", ((" \u00a0\n\u200b<br>" if text.html_breaks else " \u00a0\n\u200b", 1),)),
    ]


def _answer(
    card: ModelCard,
    shows: str,
    text: Text,
    ids: npt.NDArray[np.int32],
    logits: npt.NDArray[np.float32],
    found: Scores,
) -> KnownAnswer:
    """Put one answer together, its floats with the digits that tell a float32."""
    if not len(ids):
        return KnownAnswer(shows, text, (), (), None, None)
    return KnownAnswer(
        shows,
        text,
        in_blocks(ids.tolist()),
        tuple(float(str(logit)) for logit in np.atleast_1d(logits)),
        float(str(found.score[0])),
        card.labels[found.prediction[0]],
    )
