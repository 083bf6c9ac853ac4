"""What parts the fields of CSV, as people write it. Nothing heavy is imported here."""

from infer.base.errors import UsageError

_NAMES = {"tab": "\t", "\\t": "\t"}


def read_delimiter(value: str | None) -> str | None:
    r"""Return a delimiter as Arrow takes it; `tab` and `\t` are a tab, None stays None.

    Raises:
        UsageError: it is none.
    """
    if value is None:
        return None
    mark = _NAMES.get(value.lower(), value)
    if len(mark) != 1 or not mark.isascii() or mark.isalnum() or mark in '"\r\n\\':
        raise UsageError(f"--delimiter {value!r}: expected one ASCII mark, such as ';', '|' or tab")
    return mark


def shown_delimiter(mark: str) -> str:
    """Return a delimiter as people write it."""
    return "tab" if mark == "\t" else repr(mark)
