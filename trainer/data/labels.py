"""Labels, however a file writes them → numbers of classes and their names. Legend: R rows."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from infer.base.errors import InputError
from infer.base.words import counted
from infer.model.labels import (
    KNOWN_PAIRS,
    MOST_LABELS,
    PLAIN_PAIRS,
    fold,
    label_numbers,
    spellings,
)
from infer.text.encoding import decode_utf8
from trainer.settings.labels import LabelRules

LABEL_NAMES: Final = ("negative", "positive")
USUAL_RULES: Final = LabelRules()
# Of so many times the most labels it is not worth to look at each.
FAR_TOO_MANY: Final = 10
SHOWN: Final = 10
UNKNOWN: Final = -1


@dataclass(frozen=True)
class Labels:
    """The classes of a label column.

    Attributes:
        names: what they are called; of two, (negative, positive).
        numbers: a label as files write it, folded → the number of its class, which is the position
            of its name; None where its rows are left out.
        kind: the column's type: int64, bool or large_string; None where any will do.
        notes: how they were understood, where that is not plain.
    """

    names: tuple[str, ...]
    numbers: Mapping[str, int | None]
    kind: pa.DataType | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spelling:
    """One label of a file, before it has a class.

    Attributes:
        text: how it is mostly written, without blanks at its ends.
        rows: how many rows have it.
        variants: how else it is written.
    """

    text: str
    rows: int
    variants: tuple[str, ...]


def name_labels(column: pa.ChunkedArray, path: Path, rules: LabelRules = USUAL_RULES) -> Labels:
    """Find the classes of a label column, their order, and of two which is the positive one.

    Labels that differ by blanks at their ends or by upper and lower case are one, which is noted.
    Of two classes 0/1, false/true and strings like negative/positive or neg/pos in any case are
    understood; of other pairs the greater value is taken for the positive class, which is noted.
    More classes stand in the order of their numbers, else of the alphabet.

    Args:
        column: (R,) integers, whole numbers of any type, booleans or strings, plain or as a
            dictionary; what is missing, as NaN is, is passed over.
        path: the file, for messages.
        rules: what was asked for.

    Raises:
        InputError: another type, a single class, too many, or none as asked for.
    """
    column = _plain(column, path)
    spellings = _spellings(column.drop_null(), path)
    renamed, told = _rename(spellings, rules)
    names = tuple(dict.fromkeys(filter(None, (renamed[key] for key in spellings))))
    if not 2 <= len(names) <= MOST_LABELS:
        more = f". {_told_missing(column)}" if column.null_count else ""
        raise _wrong_number(names, len(names), path, more)
    is_nameless = len(names) == 2 and not pa.types.is_large_string(column.type)
    is_nameless = is_nameless and not any(new for _, new in rules.renamed)
    names, notes = _in_order(names, is_nameless, rules, path)
    numbers = {name: number for number, name in enumerate(names)}
    return Labels(
        names=LABEL_NAMES if is_nameless else names,
        numbers={
            old: numbers.get(new) for old, new in renamed.items() if not new or new in numbers
        },
        kind=column.type,
        notes=(*_variants(spellings), *told, *notes),
    )


def _told_missing(column: pa.ChunkedArray) -> str:
    return f"{column.null_count:,} of {counted(len(column), 'label')} missing, blank or not UTF-8"


def has_label(column: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
    """Return which rows have a label, (R,) bool; NaN and what is not UTF-8 is none.

    Raises:
        InputError: the column is of another type.
    """
    return _plain(column, path).is_valid()


def labels_like(
    column: pa.ChunkedArray, names: tuple[str, ...], rules: LabelRules, path: Path
) -> Labels:
    """Understand a file's labels as those that a model was trained on.

    The file may hold some of the classes only.

    Args:
        column: (R,) labels, as in `name_labels`.
        names: of the model's labels, in their order.
        rules: what was asked for when these were named.
        path: the file, for messages.

    Raises:
        InputError: they are others.
    """
    labels = _called(names, rules)
    plain = _plain(column, path)
    if all(fold(_text(v)) in labels.numbers for v in pc.unique(plain).to_pylist() if v is not None):
        return labels
    seen = [_text(value) for value in pc.unique(plain).drop_null().to_pylist()]
    if names == LABEL_NAMES and len(seen) == 2 and not pa.types.is_large_string(plain.type):
        return name_labels(column, path, rules)  # two nameless ones, whatever they are
    raise InputError(
        f"{path}: labels {listed(sorted(seen))}, expected the model's: {listed(names)}. Call them "
        "so in the file, or leave the column out"
    )


def _called(names: tuple[str, ...], rules: LabelRules) -> Labels:
    """Return labels of which files hold the names, or what was asked to be called so.

    Of two that are called negative and positive, or so in short, they may hold any that mean these.
    """
    numbers = spellings(names, rules.positive)
    known = {name: number for number, name in enumerate(names)}
    renamed = {old: known.get(new) for old, new in rules.renamed if not new or new in known}
    return Labels(names, numbers | {fold(old): number for old, number in renamed.items()})


def read_labels(column: pa.ChunkedArray, labels: Labels, path: Path) -> pa.Array:
    """Turn a label column into (R,) int16 numbers of classes, null where rows are left out.

    Raises:
        InputError: a label is missing, of another type, or none of these.
    """
    column = _plain(column, path)
    if labels.kind not in (None, column.type):
        raise InputError(
            f"{path}: labels are of type {column.type}, those of the training part of type "
            f"{labels.kind}. Write both alike"
        )
    found = column.combine_chunks().dictionary_encode()
    texts = [_text(value) for value in found.dictionary.to_pylist()]
    numbers = pa.array([labels.numbers.get(fold(text), UNKNOWN) for text in texts], pa.int16())
    read = numbers.take(found.indices)
    is_unknown = pc.fill_null(pc.equal(read, UNKNOWN), False)
    strange = int(pc.sum(pc.or_(is_unknown, found.is_null())).as_py() or 0)
    if strange:
        unknown = [text for text in texts if fold(text) not in labels.numbers]
        seen = f" (such as {unknown[0]!r})" if unknown else ""
        raise InputError(
            f"{path}: {strange:,} of {counted(len(column), 'label')} missing or none of "
            f"{listed(tuple(labels.numbers))}, the labels of the training part{seen}"
        )
    return read


def listed(names: Sequence[str]) -> str:
    """Return names in quotes, of many the first ones."""
    more = ", …" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more


def _text(value: Any) -> str:
    """Return a label as a text: `1`, `true`, or what a string holds."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _spellings(column: pa.ChunkedArray, path: Path) -> dict[str, Spelling]:
    """Count the labels of a column that has one in each row: folded → how it is written."""
    values = pc.value_counts(column.combine_chunks())
    if len(values) > FAR_TOO_MANY * MOST_LABELS:
        raise _wrong_number(
            list(map(_text, values.field(0)[:SHOWN].to_pylist())), len(values), path
        )
    kinds: dict[str, Counter[str]] = {}
    for value in sorted(values.to_pylist(), key=lambda value: value["values"]):
        text = _text(value["values"])
        kinds.setdefault(fold(text), Counter())[text] += value["counts"]
    return {key: _spelling(texts) for key, texts in kinds.items()}


def _spelling(texts: Counter[str]) -> Spelling:
    """Choose how a label is written: mostly so, and of as frequent ones the first."""
    trimmed: Counter[str] = Counter()
    for text, rows in texts.items():
        trimmed[text.strip()] += rows
    ((most, _),) = trimmed.most_common(1)
    return Spelling(most, texts.total(), tuple(text for text in texts if text != most))


def _variants(spellings: Mapping[str, Spelling]) -> Iterable[str]:
    """Say which labels are taken for one."""
    for spelling in spellings.values():
        if spelling.variants:
            yield f"Labels: {listed(spelling.variants)} is taken for {spelling.text!r}."


def _wrong_number(names: Sequence[str], count: int, path: Path, more: str = "") -> InputError:
    shown = listed(names)
    if count < 2:
        found = f"one class ({shown})" if count else "no class"
        return InputError(f"{path}: {found}, expected two or more{more}")
    return InputError(
        f"{path}: {count:,} classes ({shown}), expected at most {MOST_LABELS:,}. If these are no "
        "labels, name the column of the labels with --label-column"
    )


def _rename(
    spellings: Mapping[str, Spelling], rules: LabelRules
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Call labels as was asked for: folded → name, '' for what is left out; and what to say."""
    wanted = {fold(old): new for old, new in rules.renamed}
    joined: dict[str, list[str]] = {}
    for key, name in wanted.items():
        joined.setdefault(name, []).append(spellings[key].text if key in spellings else key)
    told = [f"{', '.join(old)} → {name}" for name, old in joined.items() if name]
    if "" in joined:
        rows = sum(spelling.rows for key, spelling in spellings.items() if wanted.get(key) == "")
        told.append(f"{', '.join(joined[''])} left out ({counted(rows, 'row')})")
    notes = [f"Labels: {'; '.join(told)}."] if told else []
    if unseen := [old for old, _ in rules.renamed if fold(old) not in spellings]:
        notes.append(f"Warning: no label is {listed(unseen)}, which --labels names.")
    called = {fold(new): new for new in wanted.values()}
    own = {key: called.get(key, spelling.text) for key, spelling in spellings.items()}
    renamed = {key: wanted.get(key, own[key]) for key in spellings}
    return wanted | renamed, tuple(notes)


def _in_order(
    names: tuple[str, ...], is_nameless: bool, rules: LabelRules, path: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names in their order, and what there is to say of it."""
    if rules.ordinal and (len(names) == 2 or label_numbers(names) is None):
        raise InputError(
            f"{path}: --ordinal: labels {listed(names)}, expected three numbers or more. Call "
            "them so: --labels 'bad=1,fair=2,good=3'"
        )
    numbers = label_numbers(names)
    if numbers is None or (len(names) == 2 and not is_nameless):
        ordered = sorted(names)
    else:
        ordered = [name for _, name in sorted(zip(numbers, names, strict=True))]
    if rules.positive is not None:
        ordered = _with_positive(ordered, rules.positive, path)
    if len(names) > 2:
        return tuple(ordered), (f"Labels: {len(names):,} classes, {listed(ordered)}.",)
    return _pair(ordered[0], ordered[1], is_nameless, rules.positive is not None)


def _with_positive(names: Sequence[str], positive: str, path: Path) -> list[str]:
    """Put the label that was asked for behind the other one."""
    if len(names) > 2:
        raise InputError(
            f"{path}: --positive {positive}: of {len(names):,} classes ({listed(names)}) none is "
            "the positive one. Join those that are not with --labels 'a=other,b=other'"
        )
    others = [name for name in names if fold(name) != fold(positive)]
    if len(others) == 2:
        raise InputError(f"{path}: --positive {positive}: no such label, expected {listed(names)}")
    return [*others, *(name for name in names if name not in others)]


def _pair(
    negative: str, positive: str, is_nameless: bool, is_asked: bool
) -> tuple[tuple[str, str], tuple[str, ...]]:
    """Return two labels as (negative, positive), and what to say where nothing tells which is."""
    if is_nameless:
        note = f"Labels: {negative} is taken for negative, {positive} for positive."
        is_plain = (negative, positive) in PLAIN_PAIRS
        return (negative, positive), (() if is_plain else (note,))
    known = {name.lower(): name for name in (negative, positive)}
    for pair in KNOWN_PAIRS:
        if known.keys() == set(pair) and not is_asked:
            return (known[pair[0]], known[pair[1]]), ()
    note = (
        f"Labels: in alphabetical order {negative!r} is taken for the negative class and "
        f"{positive!r} for the positive one, whose probability is the score."
    )
    return (negative, positive), (() if is_asked else (note,))


def _plain(column: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
    """Return the column as int64, bool or large_string.

    What is no label is null: a blank string, as in a table that is yet to be filled in, and one
    that is not UTF-8.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _whole(column.cast(pa.float64()), path)
    if pa.types.is_integer(kind):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise InputError(f"{path}: a label is no number of 64 bits ({error})") from error
    if pa.types.is_boolean(kind):
        return column.cast(pa.bool_())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _strings(column)
    if pa.types.is_null(kind):
        return column.cast(pa.large_string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return _strings(column)
    raise InputError(f"{path}: labels are of type {kind}, expected integers, booleans or strings")


def _strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    chunks = [decode_utf8(chunk)[0] for chunk in column.chunks]
    texts = pa.chunked_array(chunks, pa.large_string())
    is_blank = pc.equal(pc.utf8_trim_whitespace(texts), "")
    return pc.if_else(is_blank, pa.scalar(None, pa.large_string()), texts)


def _whole(column: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
    """Return (R,) float64 as int64: a column of 0 and 1 with a gap is written as 0.0 and 1.0."""
    column = pc.if_else(pc.is_nan(column), None, column)
    parts = pc.drop_null(pc.unique(column)).to_pylist()
    if broken := [value for value in parts if value != value // 1 or abs(value) > 2**53]:
        raise InputError(
            f"{path}: a label is {broken[0]}, expected one of some classes. Write classes such as "
            "0 and 1, rounded where these are degrees"
        )
    return column.cast(pa.int64())
