"""spaCy's rules of a language, read from its language data and prepared for a linear cutter.

spaCy itself searches each rule over the whole rest of a piece for each character that it peels
off. Here the rules are anchored; those of English are looked up only where a character can begin or
end a match. What they find is the same (the tests hold both against spaCy, the English ones on
every character of Unicode).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from infer.base.lean_import import lean_spacy

with lean_spacy():
    import spacy.util
    from spacy.attrs import ORTH
    from spacy.lang import char_classes as chars
    from spacy.lang.tokenizer_exceptions import URL_PATTERN


_DASHES: Final = "—–"
_ELLIPSIS: Final = "…"
_PUNCT: Final = "".join(mark.lstrip("\\") for mark in chars.LIST_PUNCT)
_QUOTES: Final = "".join(mark.lstrip("\\") for mark in chars.LIST_QUOTES)
_CURRENCY: Final = "".join(mark.replace("\\", "") for mark in chars.LIST_CURRENCY)
_INFIX_STARTS: Final = ".+-*^,~:<>=/" + _DASHES + _ELLIPSIS
_PREFIX_STARTS: Final = "§%=+." + _DASHES + _ELLIPSIS + _PUNCT + _QUOTES + _CURRENCY
_SUFFIX_ENDS: Final = (
    "sS+." + _DASHES + _ELLIPSIS + _PUNCT + _QUOTES + _CURRENCY + "".join(chars.LIST_UNITS)
)
# What spaCy's English suffix rule for a full stop looks for in front of it.
_BEFORE_STOP: Final = rf"[0-9{chars.ALPHA_LOWER}%²\-\+{chars.PUNCT}(?:{chars.CONCAT_QUOTES})]"
# Optional user names and passwords. No piece holds white space, so it means "anything, then @".
_URL_USER: Final = r"(?:\S+(?::\S*)?@)?"
_URL_SCHEME: Final = r"(?:(?:[\w\+\-\.]{2,})://)?"
_URL_SCHEME_NAME: Final = re.compile(r"[\w\+\-\.]{2,}")


@dataclass(frozen=True)
class Rules:
    """The rules of one language.

    Attributes:
        is_english: whether no rule parts two letters or looks at which ones they are, except for
            words that the rules name; only such chunks are cut alike where they look alike.
        cases: special case → its tokens ("don't" → "do", "n't"), which give it when joined.
        longest_case: characters in the longest of them.
        prefix: matches what is peeled off where a piece begins.
        suffix: finds what is peeled off where a piece ends.
        suffix_end: matches a character that can end a suffix.
        infix: finds what parts the rest of a piece.
        prefix_marks: characters that are each a prefix, whatever comes next.
        suffix_marks: characters that are each a suffix, whatever stands before.
        not_mere_marks: finds what keeps a pile of marks from being a token each.
        prefix_run: matches characters that are each a prefix, these or others.
        suffix_run: the same for suffixes, in a reversed piece.
        url_host: matches a URL from its host on.
        url_scheme: matches what can stand before `://`.
    """

    is_english: bool
    cases: dict[str, tuple[str, ...]]
    longest_case: int
    prefix: re.Pattern[str]
    suffix: re.Pattern[str]
    suffix_end: re.Pattern[str]
    infix: re.Pattern[str]
    prefix_marks: frozenset[str]
    suffix_marks: frozenset[str]
    not_mere_marks: re.Pattern[str]
    prefix_run: re.Pattern[str]
    suffix_run: re.Pattern[str]
    url_host: re.Pattern[str]
    url_scheme: re.Pattern[str]


# Matches nothing, and everything: what English rules rule out, others may not.
_NOTHING: Final = re.compile(r"(?!)")
_ANYTHING: Final = re.compile("")


@lru_cache
def rules_of(language: str) -> Rules:
    """Prepare the rules of a language whose rules look at the ends of a piece alone."""
    defaults: Any = spacy.util.get_lang_class(language).Defaults
    cases = {
        case: tuple(token[ORTH] for token in tokens)
        for case, tokens in defaults.tokenizer_exceptions.items()
    }
    return _english(defaults, cases) if language == "en" else _others(defaults, cases)


def _english(defaults: Any, cases: dict[str, tuple[str, ...]]) -> Rules:
    prefix = re.compile(f"(?={_one_of(_PREFIX_STARTS)})(?:{_either(defaults.prefixes)})")
    suffix = spacy.util.compile_suffix_regex(defaults.suffixes)
    prefix_marks, suffix_marks = _always_prefixes(prefix), _always_suffixes(suffix)
    return Rules(
        is_english=True,
        cases=cases,
        longest_case=max(map(len, cases)),
        prefix=prefix,
        suffix=suffix,
        suffix_end=re.compile(_one_of(_SUFFIX_ENDS)),
        infix=re.compile(f"(?={_one_of(_INFIX_STARTS)})(?:{_either(defaults.infixes)})"),
        prefix_marks=prefix_marks,
        suffix_marks=suffix_marks,
        not_mere_marks=_not_mere_marks(prefix_marks & suffix_marks, cases),
        prefix_run=re.compile(rf"(?:{_one_of(prefix_marks)}|\+(?![0-9]))+"),
        suffix_run=re.compile(rf"(?:{_one_of(suffix_marks)}|\.(?!\.)(?={_BEFORE_STOP}))+"),
        url_host=_url_host(),
        url_scheme=_URL_SCHEME_NAME,
    )


def _others(defaults: Any, cases: dict[str, tuple[str, ...]]) -> Rules:
    """Prepare rules of which nothing is known but that they look at the ends of a piece."""
    return Rules(
        is_english=False,
        cases=cases,
        longest_case=max(map(len, cases)),
        prefix=re.compile(_either(defaults.prefixes)),
        suffix=spacy.util.compile_suffix_regex(defaults.suffixes),
        suffix_end=_ANYTHING,
        infix=spacy.util.compile_infix_regex(defaults.infixes),
        prefix_marks=frozenset(),
        suffix_marks=frozenset(),
        not_mere_marks=_ANYTHING,
        prefix_run=_NOTHING,
        suffix_run=_NOTHING,
        url_host=_url_host(),
        url_scheme=_URL_SCHEME_NAME,
    )


def _either(patterns: Iterable[str]) -> str:
    return "|".join(pattern for pattern in patterns if pattern.strip())


def _one_of(marks: Iterable[str]) -> str:
    """Return a pattern for one of these characters, or a pictograph."""
    return f"[{re.escape(''.join(sorted(set(marks))))}{chars.ICONS}]"


def _always_prefixes(prefix: re.Pattern[str]) -> frozenset[str]:
    """Return the marks that are a prefix of one character, whatever comes behind them."""
    marks = set(_PREFIX_STARTS)
    behind = {*marks, *"aAsS0"}
    found = ((mark, [prefix.match(mark + other) for other in behind]) for mark in sorted(marks))
    return frozenset(mark for mark, ends in found if all(m and m.end() == 1 for m in ends))


def _always_suffixes(suffix: re.Pattern[str]) -> frozenset[str]:
    """Return the marks that are a suffix of one character, whatever stands before them."""
    marks = {*_PUNCT, *_QUOTES, *_DASHES}
    before = {*marks, *_SUFFIX_ENDS, *"aA0°"}
    found = ((mark, [suffix.search(other + mark) for other in before]) for mark in sorted(marks))
    return frozenset(mark for mark, starts in found if all(m and m.start() == 1 for m in starts))


def _not_mere_marks(marks: frozenset[str], cases: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern for other characters, and for the first two marks of special cases."""
    of_marks = [case for case in cases if len(case) > 1 and marks.issuperset(case)]
    behind: dict[str, set[str]] = {}
    for case in of_marks:
        behind.setdefault(case[0], set()).add(case[1])
    pairs = [f"{re.escape(mark)}{_one_of(others)}" for mark, others in sorted(behind.items())]
    return re.compile("|".join([f"[^{_one_of(marks)[1:]}", *pairs]))


def _url_host() -> re.Pattern[str]:
    """Return spaCy's URL pattern from the host on, without what makes it quadratic.

    No piece can fail the path behind the host: anything but white space.
    """
    scheme_and_user, path = "^" + _URL_SCHEME + _URL_USER, r"(?:[/?#]\S*)?$"
    if not (URL_PATTERN.startswith(scheme_and_user) and URL_PATTERN.endswith(path)):
        raise RuntimeError("spaCy's URL pattern is another one than infer.text.rules knows")
    host = URL_PATTERN.removeprefix(scheme_and_user).removesuffix(path)
    return re.compile(rf"(?u){host}(?:[/?#]|$)")
