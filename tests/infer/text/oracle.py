"""What the tokenizer is held against: spaCy on the whole text, and odd texts to try both on."""

import random
import re
import sys
from typing import Final

import spacy
from hypothesis import strategies as st

SPACY: Final = spacy.blank("en").tokenizer
WHITE_SPACE: Final = [chr(c) for c in range(sys.maxunicode + 1) if chr(c).isspace()]
INVISIBLE: Final = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
CASES: Final = sorted(case for case in SPACY.rules if not case.isspace())
# Marks, and what the rules look at beside them.
MARKS: Final = [
    *"?!.,;:'\"()[]{}<>-_=+*&#@/\\|~`^%$§…—–“”‘’«»°", "......", "..", "……", "US$", "A$", "km", "kg",
    "'s", "’S", "😀", "👍🏽", "👨‍👩‍👧", "°F.", "°C", "10", "5", "0", "192.168.1.1", "8.8.8.8",
    "1234567",
    "a", "B", "AB", "Ab", "é", "É", "ß", "İ", "中", "文", "ไ", "م", "©", "½", "²", "ǅ", "ﬁ", "K",
    "٣",
    "http://", "www.", "me@b.com", "x.com", ".com", "://", "ftp://a:b@c.de:80/x?y#z", ":8080",
    "word", "Word", "WORD", "McDonald", "iPhone", "a" * 70, "x" * 59 + ".com",
]  # fmt: skip


def spacy_tokens(text: str, lower: bool = False) -> list[str]:
    """Return spaCy's tokens of the whole text without what nobody sees, white space aside."""
    tokens = [token for token in SPACY(re.sub(f"[{INVISIBLE}]", "", text)) if not token.is_space]
    return [token.lower_ if lower else token.text for token in tokens]


def piles(longest: int) -> st.SearchStrategy[str]:
    """Return pieces: piles of a few kinds of marks and special cases, and of all kinds."""

    def pile(seed: int) -> str:
        chance = random.Random(seed)
        pool = [*chance.sample(MARKS, 4), *chance.sample(CASES, 2)]
        pool = chance.choice([pool[:2], pool[:4], pool, MARKS, MARKS + CASES])
        return "".join(chance.choices(pool, k=chance.randint(1, longest)))[: 4 * longest]

    return st.integers(0, 2**62).map(pile)


def texts(longest: int = 8) -> st.SearchStrategy[str]:
    """Return texts of piles and words, parted by white space of one kind or of many."""
    parted = st.sampled_from([[" "], [" ", "\n"], ["\n"], ["\t", "  "], ["\u00a0"], WHITE_SPACE])
    return parted.flatmap(
        lambda spaces: st.lists(
            st.tuples(piles(longest), st.sampled_from(spaces)).map("".join), max_size=12
        )
    ).map("".join)
