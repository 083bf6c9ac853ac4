"""Object stores and other file systems elsewhere, as places where files appear whole or not at all.

`s3://`, `gs://` and `abfs://` are spoken by obstore: a file goes out in one request, under the
condition that nothing is there where nothing may be replaced, or in parts that the last request
makes an object. Other URIs go through fsspec: to a temporary name, which is then renamed.
"""

import contextlib
import errno
import io
import mmap
import os
import re
import secrets
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from infer.base.commit import TEMPORARY_SUFFIX
from infer.base.errors import MissingExtraError, OutputError
from infer.base.shown import without_secrets
from infer.table.places import ENCODED, told

# What a server may take to be met, for a question, and for a file on a slow line.
_CONNECT_SECONDS, _ASK_SECONDS, _SEND_SECONDS, _BYTES_A_SECOND = 10, 60, 60, 1 << 20
_RETRIES: Final = 4
# S3 takes 5 GB in one request; what is larger goes in parts of so many bytes, a few at a time.
_ONE_REQUEST: Final = 4 << 30
_PART_BYTES, _PARTS_AT_ONCE = 32 << 20, 4
_COPIED_BYTES: Final = 16 << 20
_S3 = ("s3", "s3a")
_CLOUDS: Final = (*_S3, "gs", "gcs", "abfs", "abfss", "az", "azure", "adl")
_READ_ONLY: Final = ("http", "https", "data", "git", "github", "zip", "tar")
# What Arrow takes in the query of an s3 URI.
_S3_OPTIONS: Final = ("region", "endpoint_override", "scheme")
# What some servers that speak S3's language say to a condition.
_NO_CONDITIONS: Final = re.compile(r"NotImplemented|501 Not Implemented")
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_BODY: Final = re.compile(r"(<\?xml|<Error>|\n\nDebug source).*", re.DOTALL)


class Store(ABC):
    """What holds files by their keys; whatever cannot be done is an `OSError` in plain words."""

    @abstractmethod
    def has(self, key: str) -> bool:
        """Whether there is a file of that name."""

    @abstractmethod
    def below(self, key: str) -> list[str]:
        """Return the keys of all files below a folder, sorted."""

    @abstractmethod
    def is_folder(self, key: str) -> bool:
        """Whether there is anything below a folder."""

    @abstractmethod
    def names_in(self, key: str) -> list[str]:
        """Return the names of the files in a folder."""

    @abstractmethod
    def open(self, key: str) -> pa.NativeFile:
        """Open a file to be read anywhere in it."""

    @abstractmethod
    def put(self, path: Path, key: str, overwrite: bool) -> None:
        """Send a file, which appears whole or not at all.

        Raises:
            FileExistsError: there is one, and it may not be replaced.
        """


def open_store(uri: str) -> tuple[Store, str, str]:
    """Return what a URI points into, the key there, and the URI as messages show it.

    Raises:
        OutputError: no file can be written there.
        MissingExtraError: the package that does so is not installed.
    """
    scheme = urlsplit(uri).scheme.lower()
    if scheme in _READ_ONLY:
        raise OutputError(
            f"{uri}: cannot be written. Name a path, or a URI such as s3://bucket/key"
        )
    try:
        if scheme in _CLOUDS:
            return _cloud(_quoted(uri), scheme)
        return *_elsewhere(uri), _shown(uri)
    except (ValueError, ImportError, OSError) as error:
        raise OutputError(f"{uri}: no file system opens it ({told(error, uri)})") from error


def _cloud(uri: str, scheme: str) -> tuple[Store, str, str]:
    try:
        import obstore.store
    except ModuleNotFoundError as error:
        raise MissingExtraError("obstore", "uri") from error
    parts = urlsplit(uri)
    key = "/".join(part for part in unquote(parts.path).split("/") if part)
    base, config = f"{scheme.replace('gcs', 'gs')}://{parts.netloc}", {}
    if scheme in _S3:
        base, config = f"s3://{_bucket(uri)}", _s3_config(uri)
    elif parts.query:
        raise OutputError(f"{uri}: options of a URI are known for s3:// alone. Use the environment")

    credentials = _aws_credentials(scheme, config)

    def store(seconds: int) -> Any:
        options: dict[str, Any] = {
            "config": config,
            "client_options": {
                "allow_http": True,  # where an endpoint says so
                "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
                "timeout": timedelta(seconds=seconds),
            },
            "retry_config": {
                "max_retries": _RETRIES,
                "retry_timeout": timedelta(seconds=_ASK_SECONDS),
            },
            **credentials,
        }
        return obstore.store.from_url(base, **options)

    # However it was written, one place has one name: by it, outputs among the inputs are found.
    shown = _shown(f"{scheme}://{parts.netloc}/{key.translate(ENCODED)}")
    with _in_plain_words():
        return _Cloud(store), key, shown


def _s3_config(uri: str) -> dict[str, Any]:
    """Return what an s3 URI says beside bucket and key, as Arrow reads it."""
    parts = urlsplit(uri)
    options = dict(parse_qsl(parts.query))
    if unknown := options.keys() - set(_S3_OPTIONS):
        raise OutputError(
            f"{uri}: {', '.join(sorted(unknown))} is no option of an s3 URI, expected "
            f"{', '.join(_S3_OPTIONS)}"
        )
    found = {
        "access_key_id": unquote(parts.username or ""),
        "secret_access_key": unquote(parts.password or ""),
        "region": options.get("region", os.environ.get("AWS_REGION", "")),
        "endpoint": options.get("endpoint_override", ""),
    }
    if found["endpoint"] and "://" not in found["endpoint"]:
        found["endpoint"] = f"{options.get('scheme', 'https')}://{found['endpoint']}"
    endpoints = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT")
    is_amazon = not found["endpoint"] and not any(name in os.environ for name in endpoints)
    if is_amazon and not found["region"] and "AWS_DEFAULT_REGION" not in os.environ:
        with contextlib.suppress(OSError):
            found["region"] = fs.resolve_s3_region(_bucket(uri))
    return {name: value for name, value in found.items() if value}


def _bucket(uri: str) -> str:
    name = urlsplit(uri).netloc.rpartition("@")[2]
    if not _BUCKET.fullmatch(name):  # which is not shown: it may be a secret up to its slash
        raise OutputError(f"{uri}: names no bucket. In a secret, a slash is written as %2F")
    return name


def _aws_credentials(scheme: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return what finds AWS's profiles, which boto3 knows; obstore asks the rest of the places."""
    if scheme not in _S3 or "access_key_id" in config or "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    try:
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return {}
    try:
        return {"credential_provider": Boto3CredentialProvider()}
    except ValueError:  # it found none
        return {}
    except BotoCoreError as error:  # a profile that is not there, a file that is none
        raise ValueError(told(error)) from error


class _Cloud(Store):
    """An object store that obstore speaks with."""

    def __init__(self, store: Callable[[int], Any]) -> None:
        """Take what opens it with a time-out in seconds."""
        self._store, self._asks = store, store(_ASK_SECONDS)

    def has(self, key: str) -> bool:
        import obstore

        try:
            with _in_plain_words():
                obstore.head(self._asks, key)
        except FileNotFoundError:
            return False
        return True

    def below(self, key: str) -> list[str]:
        import obstore

        with _in_plain_words():
            return sorted(
                one["path"] for some in obstore.list(self._asks, prefix=key or None) for one in some
            )

    def is_folder(self, key: str) -> bool:
        found = self._list(key)
        return bool(found["objects"] or found["common_prefixes"])

    def names_in(self, key: str) -> list[str]:
        return [one["path"].rpartition("/")[2] for one in self._list(key)["objects"]]

    def _list(self, key: str) -> Any:
        import obstore

        with _in_plain_words():
            return obstore.list_with_delimiter(self._asks, prefix=key or None)

    def open(self, key: str) -> pa.NativeFile:
        return pa.PythonFile(_Object(self._asks, key), mode="r")

    def put(self, path: Path, key: str, overwrite: bool) -> None:
        try:
            self._put(path, key, "overwrite" if overwrite else "create")
        except FileExistsError:
            raise
        except OSError as error:
            if overwrite or not _NO_CONDITIONS.search(str(error)):
                raise
            self._put_where_none_is(path, key)

    def _put(self, path: Path, key: str, mode: Any) -> None:
        import obstore

        size = path.stat().st_size
        if mode == "create" and size > _ONE_REQUEST:
            self._put_where_none_is(path, key)
            return
        store = self._store(_SEND_SECONDS + size // _BYTES_A_SECOND)
        with _in_plain_words(), path.open("rb") as file:
            if not size:  # which cannot be mapped
                obstore.put(store, key, b"", mode=mode, use_multipart=False)
            elif size <= _ONE_REQUEST:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    obstore.put(store, key, content, mode=mode, use_multipart=False)
            else:
                obstore.put(
                    store, key, path, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE
                )

    def _put_where_none_is(self, path: Path, key: str) -> None:
        """Look before, where the store cannot be told to; one may appear in between."""
        if self.has(key):
            raise FileExistsError(errno.EEXIST, "exists already")
        self._put(path, key, "overwrite")


class _Object(io.RawIOBase):
    """An object that is there, to be read anywhere in it: each reading is a request."""

    def __init__(self, store: Any, key: str) -> None:
        import obstore

        self._store, self._key, self._at = store, key, 0
        with _in_plain_words():
            self._size: int = obstore.head(store, key)["size"]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_CUR: self._at, os.SEEK_END: self._size}.get(whence, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        import obstore

        count = max(0, min(len(buffer), self._size - self._at))
        if count:
            with _in_plain_words():
                found = obstore.get_range(self._store, self._key, start=self._at, length=count)
            buffer[:count] = memoryview(found)
            self._at += count
        return count


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """Turn what obstore says into an `OSError`, without what a server sent beside its reason."""
    from obstore.exceptions import AlreadyExistsError, BaseError

    try:
        yield
    except AlreadyExistsError as error:
        raise FileExistsError(errno.EEXIST, "exists already") from error
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, _plain(error)) from error
    except (BaseError, ValueError) as error:  # the latter of a key that no store takes
        raise OSError(errno.EIO, _plain(error)) from error


def _plain(error: Exception) -> str:
    text = str(error)
    code = _CODE.search(text)
    words = _BODY.sub("", text).rstrip(": \n")
    return told(OSError(f"{code[1]}: {words}" if code else words))


def _elsewhere(uri: str) -> tuple[Store, str]:
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise MissingExtraError("fsspec", "uri") from error
    filesystem, path = fsspec.core.url_to_fs(uri)
    return _Fsspec(filesystem), path


class _Fsspec(Store):
    """A file system that fsspec speaks with."""

    def __init__(self, filesystem: Any) -> None:
        self._filesystem = filesystem

    def has(self, key: str) -> bool:
        with _as_system_error():
            return bool(self._filesystem.isfile(key))

    def below(self, key: str) -> list[str]:
        with _as_system_error():
            self._filesystem.invalidate_cache()
            return sorted(self._filesystem.find(key))

    def is_folder(self, key: str) -> bool:
        with _as_system_error():
            self._filesystem.invalidate_cache()
            return bool(self._filesystem.isdir(key))

    def names_in(self, key: str) -> list[str]:
        if not self.is_folder(key):
            return []
        with _as_system_error():
            return [path.rpartition("/")[2] for path in self._filesystem.ls(key, detail=False)]

    def open(self, key: str) -> pa.NativeFile:
        with _as_system_error():
            handler = fs.PyFileSystem(fs.FSSpecHandler(self._filesystem))
            return handler.open_input_file(key)

    def put(self, path: Path, key: str, overwrite: bool) -> None:
        folder, _, name = key.rpartition("/")
        temporary = f"{folder}/.{name}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
        with _as_system_error():
            self._filesystem.makedirs(folder, exist_ok=True)
            try:
                self._filesystem.put_file(str(path), temporary)
                if not overwrite and self._filesystem.exists(key):
                    raise FileExistsError(errno.EEXIST, "exists already")
                self._filesystem.mv(temporary, key)
            except BaseException:
                with contextlib.suppress(Exception):
                    self._filesystem.rm_file(temporary)
                raise


@contextmanager
def _as_system_error() -> Iterator[None]:
    """Turn whatever a client of fsspec raises into an `OSError`."""
    try:
        yield
    except (FileExistsError, MemoryError):
        raise
    except Exception as error:
        raise OSError(errno.EIO, told(error)) from error


@contextmanager
def copied(store: Store, key: str) -> Iterator[Path]:
    """Give a copy of a file on this machine's disk, without a name behind the block."""
    with store.open(key) as source, tempfile.NamedTemporaryFile(suffix=TEMPORARY_SUFFIX) as copy:
        while block := source.read(_COPIED_BYTES):
            copy.write(block)
        copy.flush()
        yield Path(copy.name)


def _quoted(uri: str) -> str:
    """Percent-encode a question mark that begins no `?option=value`, and what begins a fragment."""
    return re.sub(r"\?(?![^/?=]+=)", "%3F", uri).replace("#", "%23")


def _shown(uri: str) -> str:
    """Return what messages call a URI: without secrets, and no slash at its end."""
    return without_secrets(uri).rstrip("/")
