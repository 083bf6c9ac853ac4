"""What is fetched from the net: once, checked by its hash, into the user's cache folder."""

import io
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import IO, Final

import pooch
import pyarrow as pa
import pyarrow.parquet as pq

from infer.base.console import shows_bars
from infer.base.errors import InputError

IMDB_URL: Final = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
IMDB_HASH: Final = "sha256:c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
GLOVE_URL: Final = "https://nlp.stanford.edu/data/glove.6B.zip"
GLOVE_HASH: Final = "md5:056ea991adb4740ac6bf1b6d9b50408b"
GLOVE_MEMBER: Final = "glove.6B.100d.txt"

IMDB_SCHEMA: Final = pa.schema(
    [("id", pa.string()), ("text", pa.string()), ("label", pa.int8()), ("stars", pa.int8())]
)
# Folder of the archive → (file it goes into, label).
IMDB_FOLDERS: Final = {
    "train/pos": ("train", 1),
    "train/neg": ("train", 0),
    "test/pos": ("test", 1),
    "test/neg": ("test", 0),
    "train/unsup": ("unsup", None),
}
# (folder, number), by which a split is sorted, and the row.
Review = tuple[tuple[str, int], dict[str, object]]
MAX_REVIEW_BYTES: Final = 1 << 20
TIMEOUT_SECONDS: Final = 30


def cache_folder() -> Path:
    """Return the user's cache folder of the toolkit; `SENT_TOOLKIT_CACHE` names another."""
    named = os.environ.get("SENT_TOOLKIT_CACHE")
    return Path(named) if named else Path(pooch.os_cache("sent-toolkit"))


def fetch(url: str, known_hash: str, folder: Path, instead: str) -> Path:
    """Download a file once, with a progress bar where a command talks, and check its hash.

    Args:
        url: where it is.
        known_hash: `algorithm:hexadecimal digits`.
        folder: cache folder; a file there with the right hash is used as it is.
        instead: what can be done without the net, for the message.

    Raises:
        InputError: the net or the host cannot be reached, or what came is another file.
    """
    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(
            pooch.retrieve(
                url,
                known_hash,
                fname=url.rsplit("/", 1)[-1],
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=shows_bars(), timeout=TIMEOUT_SECONDS),
            )
        )
    except ValueError as error:
        raise InputError(f"{url}: what was sent is not the expected file ({error})") from error
    except OSError as error:
        reason = type(error).__name__
        raise InputError(f"{url} cannot be downloaded ({reason}). Offline? {instead}") from error


def fetch_imdb() -> Path:
    """Return the folder with IMDB's train, test and unsup.parquet, made on the first call.

    Raises:
        InputError: the archive cannot be had; the message names the alternatives.
    """
    folder = cache_folder() / "imdb"
    names = ("train.parquet", "test.parquet", "unsup.parquet")
    if not all((folder / name).is_file() for name in names):
        instead = (
            "Use --data PATH (a Parquet file, or a folder with train.parquet and test.parquet) "
            "or --data sample"
        )
        archive = fetch(IMDB_URL, IMDB_HASH, cache_folder(), instead)
        unpack_imdb(archive, folder)
    return folder


def unpack_imdb(archive: Path, folder: Path) -> None:
    """Turn the archive into three Parquet files: negative, then positive, each by number.

    Members are read, never extracted, so no path in the archive can name a place on the disk.

    Raises:
        InputError: the archive is damaged or holds no reviews, or the disk is full.
    """
    rows: dict[str, list[Review]] = {"train": [], "test": [], "unsup": []}
    try:
        for split, review in _reviews(archive):
            rows[split].append(review)
    except (tarfile.TarError, EOFError, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{archive}: damaged archive ({error}). Delete it and try again"
        ) from error
    if not (rows["train"] and rows["test"]):
        raise InputError(
            f"{archive}: no reviews in it, expected aclImdb/train/pos/0_9.txt and so on"
        )
    try:
        _write_imdb(rows, folder)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error}). SENT_TOOLKIT_CACHE names another cache folder"
        ) from error


def _write_imdb(rows: dict[str, list[Review]], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        for split, reviews in rows.items():
            ordered = [row for _, row in sorted(reviews, key=itemgetter(0))]
            table = pa.Table.from_pylist(ordered, schema=IMDB_SCHEMA)
            pq.write_table(table, Path(scratch) / f"{split}.parquet", compression="zstd")
        folder.mkdir(exist_ok=True)
        for path in Path(scratch).iterdir():
            shutil.move(path, folder / path.name)


def _reviews(archive: Path) -> Iterator[tuple[str, Review]]:
    """Yield the split and the review of each member that is one."""
    with tarfile.open(archive, "r|gz") as members:
        for member in members:
            parts = member.name.split("/")
            place = "/".join(parts[1:3])
            if len(parts) != 4 or place not in IMDB_FOLDERS or not member.isfile():
                continue
            content = members.extractfile(member)
            if content is None or member.size > MAX_REVIEW_BYTES:
                continue
            split, label = IMDB_FOLDERS[place]
            stem = parts[3].removesuffix(".txt")
            number, _, stars = stem.partition("_")
            text = content.read().decode("utf-8")
            row: dict[str, object] = {"id": f"{place}/{stem}", "text": text, "label": label}
            row["stars"] = int(stars)
            yield split, ((place, int(number)), row)


@contextmanager
def open_glove() -> Iterator[IO[str]]:
    """Open glove.6B.100d's text straight from the zip, downloading that on the first call.

    Raises:
        InputError: the zip cannot be had; the message names the alternatives.
    """
    instead = "Use --vectors PATH, --vectors corpus or --vectors none"
    archive = fetch(GLOVE_URL, GLOVE_HASH, cache_folder(), instead)
    with open_member(archive, GLOVE_MEMBER) as lines:
        yield lines


@contextmanager
def open_member(archive: Path, member: str) -> Iterator[IO[str]]:
    """Open one text member of a zip, to be read line by line.

    Raises:
        InputError: it is no zip, or has no such member.
    """
    try:
        with zipfile.ZipFile(archive) as files, files.open(member) as content:
            yield io.TextIOWrapper(content, encoding="utf-8", newline="\n")
    except (zipfile.BadZipFile, KeyError) as error:
        raise InputError(f"{archive}: damaged, or without a member {member} ({error})") from error
