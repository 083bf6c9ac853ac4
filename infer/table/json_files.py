"""JSON Lines, or one array of objects: read in a stream, whatever its values are."""

import io
import json
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

import pyarrow as pa

from infer.table.formats import Opener

# Of a field whose strings are JSON: values that are no strings and have no type of their own.
WRITTEN_OUT: Final = {b"sent.json": b"1"}
_READ_CHARACTERS: Final = 1 << 20
_BATCH_ROWS: Final = 4_096
_BATCH_CHARACTERS: Final = 1 << 24
_BOUND: Final = 1 << 63
_WHITE: Final = " \t\r\n"
_Row = dict[str, object]


class JsonFile:
    """A file of JSON objects that is there to be read, as often as it is asked for."""

    def __init__(self, opener: Opener) -> None:
        """Take what opens it."""
        self._opener = opener

    def schema(self) -> pa.Schema:
        """Return the names of all columns and the types of their values, which takes a reading.

        A column with a string in it is one of strings; one of numbers alone, or of true and false,
        has their type; what else there is (objects, lists, several kinds) is written out as JSON.

        Raises:
            ArrowInvalid: it holds no object.
        """
        kinds: dict[str, set[type]] = {}
        for row in self._rows():
            for name, value in row.items():
                kinds.setdefault(name, set())
                if value is not None:
                    kinds[name].add(_kind(value))
        if not kinds:
            raise pa.ArrowInvalid("it holds no object")
        return pa.schema([_field(name, those) for name, those in kinds.items()])

    def columns(self, names: Sequence[str], strings: Sequence[str]) -> pa.Table:
        """Read columns, `strings` among them as text; no other column is looked at.

        Raises:
            ArrowInvalid: a column of strings holds an object or a list.
        """
        columns: dict[str, list[object]] = {name: [] for name in names}
        for row in self._rows():
            for name, values in columns.items():
                values.append(row.get(name))
        return pa.table({n: _plain(v, n, n in strings) for n, v in columns.items()})

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Read all columns of what `schema` returned."""
        for block in _blocks(self._rows()):
            arrays = [_typed([row.get(field.name) for row in block], field) for field in schema]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _rows(self) -> Iterator[_Row]:
        """Read the objects of JSON Lines, or those of one array.

        Raises:
            ArrowInvalid: something else stands there.
        """
        with _text(self._opener) as file:
            start = file.read(1)
            while start and start in _WHITE:
                start = file.read(1)
            rows, place = (
                (_elements(file), "element") if start == "[" else (_lines(file, start), "line")
            )
            for number, row in rows:
                if not isinstance(row, dict):
                    raise pa.ArrowInvalid(
                        f"{place} {number:,} is {json.dumps(row)[:60]}, expected an object such as "
                        '{"text": "A good film.", "label": 1}'
                    )
                yield {_utf8(name): value for name, value in row.items()}


def _blocks(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    """Put rows together, few enough and short enough for any memory."""
    block: list[_Row] = []
    size = 0
    for row in rows:
        block.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(block) == _BATCH_ROWS or size > _BATCH_CHARACTERS:
            yield block
            block, size = [], 0
    if block:
        yield block


def _text(opener: Opener) -> TextIO:
    """Open a file as text. A byte that is no UTF-8 makes a text no text, and spares all others."""
    with opener() as file:
        encoding = "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
    return io.TextIOWrapper(opener(), encoding=encoding, errors=errors)


def _lines(file: TextIO, start: str) -> Iterator[tuple[int, object]]:
    number = 0
    for number, line in enumerate(file, 1):
        line = start + line if number == 1 else line
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise pa.ArrowInvalid(
                    f"line {number:,} is no JSON ({error}), expected an object on each line, or "
                    "one array of objects"
                ) from error
    if start and not number:
        raise pa.ArrowInvalid(f"line 1 is {start}, expected an object")


def _elements(file: TextIO) -> Iterator[tuple[int, object]]:
    """Read the elements of an array whose bracket is read already, one by one."""
    decoder, buffer, number, place = json.JSONDecoder(), "", 0, 0
    is_first, wanted = True, _READ_CHARACTERS
    while True:
        place = _behind_white(buffer, place)
        end = _next_element(buffer, place, is_first)
        if end == "]":
            return
        try:
            if end is None:
                raise ValueError("it ends too early")
            value, behind = decoder.raw_decode(buffer, _behind_white(buffer, place + len(end)))
            if behind == len(buffer):
                raise ValueError("it ends too early")
        except ValueError as error:
            more = file.read(wanted)
            if not more:
                raise pa.ArrowInvalid(f"element {number + 1:,} is no JSON ({error})") from error
            buffer, place = buffer[place:] + more, 0
            wanted = max(
                wanted, len(buffer)
            )  # an element of megabytes is not tried at each of them
            continue
        number, place, is_first = number + 1, behind, False
        wanted = _READ_CHARACTERS
        yield number, value


def _next_element(buffer: str, place: int, is_first: bool) -> str | None:
    """Return what stands before the next element: a comma or nothing; "]" at the end."""
    mark = buffer[place : place + 1]
    if mark == "]":
        return mark
    if is_first:
        return "" if mark else None
    return mark if mark == "," else None


def _behind_white(buffer: str, place: int) -> int:
    while place < len(buffer) and buffer[place] in _WHITE:
        place += 1
    return place


def _kind(value: object) -> type:
    """Return the type of a value, `object` where Arrow has none of its own for it."""
    kind = type(value)
    if kind is int and not -_BOUND <= value < _BOUND:  # type: ignore[operator]
        return object
    return object if kind in (dict, list) else kind


def _field(name: str, kinds: set[type]) -> pa.Field:
    if not kinds:
        return pa.field(name, pa.null())
    if str in kinds:
        return pa.field(name, pa.string())
    if kinds == {bool}:
        return pa.field(name, pa.bool_())
    if kinds == {int}:
        return pa.field(name, pa.int64())
    if kinds <= {int, float}:
        return pa.field(name, pa.float64())
    return pa.field(name, pa.string(), metadata=WRITTEN_OUT)


def _typed(values: Sequence[object], field: pa.Field) -> pa.Array:
    if not pa.types.is_string(field.type):
        return pa.array(values, field.type)
    is_json = field.metadata == WRITTEN_OUT
    written = [v if v is None or (isinstance(v, str) and not is_json) else _dumped(v)
               for v in values]  # fmt: skip
    return _binary(written).cast(pa.binary()).view(pa.string())


def _plain(values: Sequence[object], name: str, as_strings: bool) -> pa.Array:
    """Return values in the type they share, strings where one is a string."""
    if not as_strings and not any(isinstance(value, str) for value in values):
        return pa.array(values, from_pandas=True)
    for value in values:
        if isinstance(value, dict | list):
            raise pa.ArrowInvalid(
                f"column {name!r} holds {json.dumps(value)[:60]}, expected strings"
            )
    return _binary([v if isinstance(v, str) or v is None else _dumped(v) for v in values])


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _binary(texts: Sequence[str | None]) -> pa.Array:
    """Return texts as large_binary, half a surrogate pair as no UTF-8."""
    return pa.array([None if t is None else _encoded(t) for t in texts], pa.large_binary())


def _encoded(text: str) -> bytes:
    """Return a text's bytes, as no UTF-8 where the file had no UTF-8 or half a surrogate pair."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _utf8(name: str) -> str:
    return name.encode("utf-8", "replace").decode()
