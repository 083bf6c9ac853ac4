"""What may be shown or kept of a text that others wrote: no secret, no control character.

Names of files and columns, labels and what libraries say about them reach a terminal, a log, a
part file or an output. Every message of the toolkit passes through here.
"""

import re
from typing import Final

# Within a URI: who signs in. `key:secret@`, where the secret may hold a slash, and `token@`.
_SIGN_IN: Final = re.compile(
    r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://?)"
    r"(?:[^\s@/:]*:(?!\d+/)[^\s@]*@|(?P<container>[^\s@/:?#]+)@)"
)
# In these `container@account` is an address, not a sign-in.
_CONTAINERS: Final = ("abfs://", "abfss://", "wasb://", "wasbs://")
# Signatures and keys stand in queries.
_QUERY: Final = re.compile(
    r"(\b[A-Za-z][A-Za-z0-9+.-]*:/[^\s?'\"]*)\?[^\s'\")>]*=[^\s'\")>]*?(?=[:,;.]?(?:[\s'\")>]|$))"
)
# Of a web address also what stands behind # and ; (as it is, or percent-encoded by who shows it).
_WEB_TAIL: Final = re.compile(
    r"(\bhttps?:/[^\s'\"#;]*?)(?:[#;]|%23|%3B)[^\s'\")>]*=[^\s'\")>]*?(?=[:,;.]?(?:[\s'\")>]|$))",
    re.IGNORECASE,
)
# C0, DEL, C1, half a surrogate pair, and what turns the direction of writing.
_CONTROL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def without_secrets(text: str) -> str:
    """Return the text with the credentials and queries of the URIs in it left out."""
    return _WEB_TAIL.sub(r"\1", _QUERY.sub(r"\1", _SIGN_IN.sub(_address, text)))


def _address(match: re.Match[str]) -> str:
    scheme, container = match["scheme"], match["container"]
    return f"{scheme}{container}@" if container and scheme.lower() in _CONTAINERS else scheme


def printable(text: str) -> str:
    r"""Return the text with its control characters written as escapes (`\x1b`)."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def shown(text: str) -> str:
    """Return what a person is shown of a text: one line, no secret, nothing a terminal obeys."""
    return printable(without_secrets(text))
