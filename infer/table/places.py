"""A path or URI as the user wrote it → the file system that holds it, and a name to show."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import pyarrow as pa
from pyarrow import fs

from infer.base.aside import aside
from infer.base.errors import InputError, MissingExtraError
from infer.base.shown import without_secrets

# A server that has said nothing for so long is not waited for.
ANSWER_SECONDS: Final = 60
_URI_CHARACTERS = ":/?&=%*,;@+$!'()~-._"  # the rest (spaces, brackets, #, …) is percent-encoded
_LIKE_A_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# Without credentials Arrow's client for these ends the process that asks.
_DEADLY: Final = ("abfs://", "abfss://")
_ASK: Final = (
    "import sys; from pyarrow import fs; "
    "system, path = fs.FileSystem.from_uri(sys.stdin.read()); system.get_file_info(path)"
)
_TOLD: Final = 300  # characters of what a library says


@dataclass(frozen=True)
class Place:
    """Where something that the user named lies.

    Attributes:
        source: what the user wrote, without secrets.
        filesystem: where it lies.
        path: its path there.
        type: what is there.
        prefix: what stands before the path in its name (`s3://`).
        is_encoded: whether what has a meaning in URIs is percent-encoded in names.
    """

    source: str
    filesystem: fs.FileSystem
    path: str
    type: fs.FileType
    prefix: str = ""
    is_encoded: bool = False

    @property
    def is_local(self) -> bool:
        """Whether `path` is a path of this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def may_be_pattern(self) -> bool:
        """Whether its wildcards are wildcards: a question mark in a web address begins a query."""
        return "://" not in self.path

    def name(self, path: str | None = None) -> str:
        """Return what a path in this file system is called: written again, it is found again."""
        path = self.path if path is None else path
        return without_secrets(self.prefix + (path.translate(ENCODED) if self.is_encoded else path))


# What a name holds of these means something else in a URI.
ENCODED: Final = str.maketrans({"%": "%25", "?": "%3F", "#": "%23"})


def locate(source: str) -> Place:
    """Find the file system that a path or URI means, and what lies there.

    Raises:
        InputError: no file system opens it, or it does not answer.
        MissingExtraError: the package that opens such URIs is not installed.
    """
    check_utf8(source)
    if "://" in source:
        return _answered(lambda: _open(source), without_secrets(source))
    local, path = fs.LocalFileSystem(), plain_path(source)
    return Place(source, local, path, _type(local, path, source))


def plain_path(path: str) -> str:
    """Return a path of this machine so that Arrow takes it for one: `run:1` begins like a URI."""
    return os.path.abspath(path) if _LIKE_A_URI.match(path) else path  # noqa: PTH100


def check_utf8(path: str) -> None:
    """Refuse a name that Arrow cannot be given."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{path!r}: the name is not UTF-8. Rename the file") from error


def _open(source: str) -> Place:
    name, prefix = without_secrets(source), f"{source.partition('://')[0]}://"
    if source.startswith(_DEADLY):
        _ask_elsewhere(source, name)
    try:
        filesystem, path = fs.FileSystem.from_uri(_quoted(source))
        is_encoded = True
    except pa.ArrowInvalid as error:
        filesystem, path = _fsspec(source, name, told(error, source))
        is_encoded = False  # fsspec takes names as they are
    except OSError as error:
        raise InputError(f"{name}: cannot be opened ({told(error, source)})") from error
    if isinstance(filesystem, fs.LocalFileSystem):
        prefix, is_encoded = "", False
    elif "://" in path:  # a web address is a path to fsspec
        prefix = ""
    return Place(name, filesystem, path, _type(filesystem, path, name), prefix, is_encoded)


def _ask_elsewhere(source: str, name: str) -> None:
    """Let another process look first, and see whether it lives on."""
    asked = subprocess.Popen(  # the URI is given on stdin, since others see what stands behind it
        [sys.executable, "-c", _ASK],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, said = asked.communicate(_quoted(source), timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        asked.kill()
        said = asked.communicate()[1]
    if asked.returncode < 0:
        reason = said.partition("what():")[2].strip().partition("\n")[0]
        raise InputError(
            f"{name}: cannot be opened ({without_secrets(reason)[:_TOLD] or 'no answer'}). Check "
            "the address, the network and the credentials"
        )


def _fsspec(source: str, name: str, refusal: str) -> tuple[fs.FileSystem, str]:
    """Open a URI that Arrow does not know (`refusal` says why) through fsspec."""
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise MissingExtraError("fsspec", "uri") from error
    try:
        filesystem, path = fsspec.core.url_to_fs(source)
    except (ValueError, ImportError, OSError) as error:
        reasons = f"fsspec: {told(error, source)}; Arrow: {refusal}"
        raise InputError(f"{name}: no file system opens it ({reasons})") from error
    if "file" in filesystem.protocol:
        return fs.LocalFileSystem(), path
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path


def _type(filesystem: fs.FileSystem, path: str, name: str) -> fs.FileType:
    try:
        return filesystem.get_file_info(path).type
    except (OSError, pa.ArrowException) as error:
        remedy = ". Check the address, the network and the credentials" if "://" in name else ""
        raise InputError(f"{name}: cannot be read ({told(error, path)}){remedy}") from error


def told(error: Exception, source: str = "") -> str:
    """Return what a library says, in one line and without the secrets of `source`."""
    text = " ".join(str(error).split())
    if source:
        text = text.replace(source, without_secrets(source))
    return without_secrets(text)[:_TOLD]


def _quoted(source: str) -> str:
    """Percent-encode what no URI may hold, and a question mark that begins no `?option=value`.

    Google's client would ask for credentials for a quarter of an hour, so that it is given a limit.
    """
    quoted = re.sub(r"\?(?![^/?=]+=)", "%3F", quote(source, safe=_URI_CHARACTERS))
    if quoted.startswith(("gs://", "gcs://")) and "retry_limit_seconds=" not in quoted:
        quoted += f"{'&' if '?' in quoted else '?'}retry_limit_seconds={ANSWER_SECONDS // 4}"
    return quoted


def _answered(ask: Callable[[], Place], name: str) -> Place:
    """Ask in a thread of its own, and do not wait for ever.

    Raises:
        InputError: there was no answer in time.
    """
    try:
        return aside(ask, ANSWER_SECONDS)
    except TimeoutError as error:
        raise InputError(
            f"{name}: no answer within {ANSWER_SECONDS} seconds. Check the address, the network "
            "and the credentials"
        ) from error
