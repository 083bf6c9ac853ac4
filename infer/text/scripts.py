"""Do a table's letters belong to the language whose rules cut them? Measured on some of its rows.

Rules for English make one word of a whole Chinese sentence, and nothing fails: every word is
unknown, and every score about the same.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infer.text.encoding import decode_utf8

SAMPLED_ROWS: Final = 1_000
_SAMPLED_CHARACTERS: Final = 500  # of each row
_FEWEST_LETTERS: Final = 20
# Latin letters stand beside any script: names, brands, addresses.
_LATIN: Final = "LATIN"
_MOST_OTHERS, _FEWEST_OWN = 0.3, 0.1
# Scripts whose words nothing parts, and which rules that look for white space cannot cut.
_UNPARTED: Final = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
# Languages that are not written in Latin letters, or not in these alone. Scripts are called as
# Unicode begins the names of their letters.
_SCRIPTS: Final[Mapping[str, tuple[str, ...]]] = {
    "am": ("ETHIOPIC",),
    "ar": ("ARABIC",),
    "az": (_LATIN, "CYRILLIC", "ARABIC"),
    "bg": ("CYRILLIC",),
    "bn": ("BENGALI",),
    "bo": ("TIBETAN",),
    "el": ("GREEK",),
    "fa": ("ARABIC",),
    "grc": ("GREEK",),
    "gu": ("GUJARATI",),
    "he": ("HEBREW",),
    "hi": ("DEVANAGARI",),
    "hy": ("ARMENIAN",),
    "ja": ("HIRAGANA", "KATAKANA", "CJK"),
    "kmr": (_LATIN, "ARABIC", "CYRILLIC"),
    "kn": ("KANNADA",),
    "ko": ("HANGUL", "CJK"),
    "ky": ("CYRILLIC",),
    "mk": ("CYRILLIC",),
    "ml": ("MALAYALAM",),
    "mr": ("DEVANAGARI",),
    "ms": (_LATIN, "ARABIC"),
    "ne": ("DEVANAGARI",),
    "ru": ("CYRILLIC",),
    "sa": ("DEVANAGARI",),
    "si": ("SINHALA",),
    "sr": ("CYRILLIC", _LATIN),
    "ta": ("TAMIL",),
    "te": ("TELUGU",),
    "th": ("THAI",),
    "ti": ("ETHIOPIC",),
    "tt": ("CYRILLIC", _LATIN),
    "uk": ("CYRILLIC",),
    "ur": ("ARABIC",),
    "zh": ("CJK",),
}
_ANY_LANGUAGE: Final = "xx"


def scripts_of(texts: pa.Array) -> Counter[str]:
    """Count the letters of some texts by script, as Unicode calls it ("LATIN", "CJK").

    Args:
        texts: (R,) of any string or binary type; up to `SAMPLED_ROWS` of them are looked at.
    """
    if pa.types.is_string_view(texts.type) or pa.types.is_binary_view(texts.type):
        texts = texts.cast(pa.large_binary())  # Arrow cannot take from views
    rows = np.unique(np.linspace(0, max(len(texts) - 1, 0), SAMPLED_ROWS).astype(np.int64))
    sample, _ = decode_utf8(texts.take(pa.array(rows[: len(texts)])))
    starts = pc.utf8_slice_codeunits(sample.drop_null(), 0, _SAMPLED_CHARACTERS)
    letters: Counter[str] = Counter()
    for character, count in Counter("".join(starts.to_pylist())).items():
        if character.isalpha():
            letters[_script(character)] += count
    return letters


def misfit(texts: pa.Array, language: str) -> str | None:
    """Say that the letters of texts do not belong to a language, or nothing.

    Args:
        texts: (R,) of any string or binary type.
        language: whose rules cut them.

    Returns:
        A sentence's beginning, "97 % of the letters are CJK, …", and which languages would fit.
    """
    letters = scripts_of(texts)
    total = letters.total()
    if total < _FEWEST_LETTERS:
        return None
    own = _own(language, letters)
    others = Counter({script: n for script, n in letters.items() if script not in own})
    if not others:
        return None
    script, count = others.most_common(1)[0]
    few_own = 1 - others.total() / total < _FEWEST_OWN
    if not (few_own if script == _LATIN else count / total > _MOST_OTHERS):
        return None
    fitting = [code for code, scripts in _SCRIPTS.items() if scripts[0] == script]
    instead = "en, de, fr, …" if script == _LATIN else ", ".join(fitting) or "none"
    return (
        f"{count / total:.0%} of the letters are {_shown(script)}, which the rules of language "
        f"{language!r} do not part into words (languages that do: {instead})"
    )


def _own(language: str, letters: Counter[str]) -> set[str]:
    if language == _ANY_LANGUAGE:
        return set(letters).difference(_UNPARTED)
    return set(_SCRIPTS.get(language, (_LATIN,)))


def _shown(script: str) -> str:
    return script if script == "CJK" else script.capitalize()


def _script(letter: str) -> str:
    words = unicodedata.name(letter, "UNKNOWN").split()
    return words[1] if words[0] in ("FULLWIDTH", "HALFWIDTH") else words[0]
