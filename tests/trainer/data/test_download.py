"""Downloads: from a real server on this machine, and from none."""

import functools
import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infer.base.console import talking
from infer.base.errors import InputError
from trainer.data.datasets import load_dataset
from trainer.data.download import cache_folder, fetch, open_member, unpack_imdb


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which a server gives it out."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Silent, directory=folder)
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_file_is_fetched_once_and_checked(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    (folder / "a.txt").write_bytes(b"content")
    known = f"sha256:{hashlib.sha256(b'content').hexdigest()}"
    cache = tmp_path / "cache"
    path = fetch(f"{address}/a.txt", known, cache, "")
    (folder / "a.txt").unlink()
    assert fetch(f"{address}/a.txt", known, cache, "").read_bytes() == b"content"
    assert path == cache / "a.txt"


@pytest.mark.parametrize("quiet", [False, True])
def test_quiet_silences_the_progress_bar(
    served: tuple[Path, str], tmp_path: Path, capfd: pytest.CaptureFixture[str], quiet: bool
) -> None:
    folder, address = served
    (folder / "a.txt").write_bytes(b"content")
    known = f"sha256:{hashlib.sha256(b'content').hexdigest()}"
    with talking(quiet):
        fetch(f"{address}/a.txt", known, tmp_path / "cache", "")
    assert ("100%" in capfd.readouterr().err) is not quiet


def test_an_error_page_is_not_taken_for_the_file(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    (folder / "a.zip").write_bytes(b"<html>out of order</html>")
    with pytest.raises(InputError, match="not the expected file"):
        fetch(f"{address}/a.zip", "md5:" + "0" * 32, tmp_path / "cache", "")
    assert not (tmp_path / "cache" / "a.zip").exists()


def test_offline_names_the_alternatives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(InputError, match=r"cannot be downloaded .* Offline\? Use --data sample"):
        fetch("http://127.0.0.1:9/a.zip", "md5:" + "0" * 32, tmp_path, "Use --data sample")


def write_archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


REVIEWS = {
    "aclImdb/README": b"not a review",
    "aclImdb/train/pos/10_9.txt": "späte<br />Zeile".encode(),
    "aclImdb/train/pos/2_8.txt": b"second",
    "aclImdb/train/neg/0_2.txt": b"bad",
    "aclImdb/train/unsup/5_0.txt": b"perhaps",
    "aclImdb/test/pos/1_10.txt": b"fine",
    "aclImdb/test/neg/1_1.txt": b"poor",
    "../../etc/pos/evil_1.txt": b"outside",
}


def test_the_archive_becomes_parquet(tmp_path: Path) -> None:
    unpack_imdb(write_archive(tmp_path / "a.tar.gz", REVIEWS), tmp_path / "imdb")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar.gz", "imdb"]
    train = pq.read_table(tmp_path / "imdb" / "train.parquet").to_pylist()
    assert train == [
        {"id": "train/neg/0_2", "text": "bad", "label": 0, "stars": 2},
        {"id": "train/pos/2_8", "text": "second", "label": 1, "stars": 8},
        {"id": "train/pos/10_9", "text": "späte<br />Zeile", "label": 1, "stars": 9},
    ]
    data = load_dataset(str(tmp_path / "imdb"), seed=1)
    assert data.test["label"].to_pylist() == [0, 1]
    assert pq.read_table(data.unlabelled)["label"].null_count == 1


def test_a_filled_cache_needs_no_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENT_TOOLKIT_CACHE", str(tmp_path))
    unpack_imdb(write_archive(tmp_path / "a.tar.gz", REVIEWS), tmp_path / "imdb")
    assert cache_folder() == tmp_path
    data = load_dataset("imdb", seed=1)
    assert (data.name, data.train.num_rows, data.test.num_rows) == ("imdb", 3, 2)


def test_a_damaged_archive_leaves_nothing(tmp_path: Path) -> None:
    whole = write_archive(tmp_path / "a.tar.gz", REVIEWS).read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged archive"):
        unpack_imdb(tmp_path / "a.tar.gz", tmp_path / "imdb")
    write_archive(tmp_path / "b.tar.gz", {"README": b"else"})
    with pytest.raises(InputError, match="no reviews in it"):
        unpack_imdb(tmp_path / "b.tar.gz", tmp_path / "imdb")
    assert not (tmp_path / "imdb").exists()


def test_a_zip_member_is_read_in_place(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("vectors.txt", "the 0.5\n\u2028 1.0\n")
    with open_member(tmp_path / "a.zip", "vectors.txt") as lines:
        assert list(lines) == ["the 0.5\n", "\u2028 1.0\n"]
    missing = open_member(tmp_path / "a.zip", "b.txt")
    with pytest.raises(InputError, match=r"without a member b\.txt"), missing:
        pass
