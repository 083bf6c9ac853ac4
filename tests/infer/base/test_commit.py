"""Committing: what may be written, and files that appear whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from infer.base.commit import (
    TEMPORARY_SUFFIX,
    atomic_file,
    check_output,
    file_keys,
    remove_stale_temporaries,
)
from infer.base.errors import OutputError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "scores.parquet"
    with atomic_file(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.name.startswith(".scores.parquet.")
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["scores.parquet"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_an_error_leaves_the_old_file_and_no_debris(tmp_path, overwrite):
    path = tmp_path / "scores.parquet"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_file(path, overwrite) as temporary:
        temporary.write_text("new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["scores.parquet"]


def test_a_file_that_appeared_meanwhile_is_kept(tmp_path):
    path = tmp_path / "scores.parquet"
    message = "appeared while this run was working"
    with (
        pytest.raises(OutputError, match=message),
        atomic_file(path, overwrite=False) as temporary,
    ):
        temporary.write_text("ours")
        path.write_text("theirs")
    assert path.read_text() == "theirs"
    assert names(tmp_path) == ["scores.parquet"]


def test_the_order_that_survives_a_power_cut(tmp_path, monkeypatch):
    """The data is durable before the name, and the name before the block ends."""
    steps = []
    fsync, replace, link = os.fsync, os.replace, os.link

    def spied_fsync(handle):
        steps.append(("fsync", Path(f"/proc/self/fd/{handle}").readlink().name))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", spied_fsync)
    monkeypatch.setattr(os, "replace", lambda *a: (steps.append(("name", "")), replace(*a)))
    monkeypatch.setattr(os, "link", lambda *a: (steps.append(("name", "")), link(*a)))
    for overwrite in (True, False):
        steps.clear()
        with atomic_file(tmp_path / f"{overwrite}.parquet", overwrite) as temporary:
            temporary.write_text("x")
        assert steps == [("fsync", temporary.name), ("name", ""), ("fsync", tmp_path.name)]


def test_without_hard_links_a_rename_serves(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "scores.parquet"
    with atomic_file(path, overwrite=False) as temporary:
        temporary.write_text("ours")
    assert path.read_text() == "ours"
    with pytest.raises(OutputError), atomic_file(path, overwrite=False):
        pass
    assert path.read_text() == "ours"


def link_to(target):
    return lambda path: path.symlink_to(target)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("old"), "exists already. Use --overwrite"),
        (link_to("other.parquet"), "is a symbolic link"),
        (link_to("nothing"), "is a symbolic link"),
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.mkdir(), "is not a regular file"),
    ],
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_what_must_not_be_written(tmp_path, make, message, overwrite):
    (tmp_path / "other.parquet").write_text("other")
    path = tmp_path / "scores.parquet"
    make(path)
    if overwrite and "exists" in message:
        check_output(path, overwrite)
        return
    with pytest.raises(OutputError) as caught:
        check_output(path, overwrite)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert (tmp_path / "other.parquet").read_text() == "other"


def test_an_input_is_never_an_output_by_whatever_name(tmp_path):
    source = tmp_path / "reviews.parquet"
    source.write_text("reviews")
    os.link(source, tmp_path / "hard.parquet")
    for path in (source, tmp_path / "hard.parquet", tmp_path / "x" / ".." / "reviews.parquet"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(OutputError):
            check_output(path, overwrite=True, inputs=file_keys([source]))


def test_folders_and_names_that_cannot_hold_an_output(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"cannot be written \(Not a directory\)"):
        check_output(tmp_path / "file" / "scores.parquet", overwrite=False)
    with pytest.raises(OutputError, match="the name has 238 bytes, expected at most"):
        check_output(tmp_path / ("é" * 115 + ".parquet"), overwrite=False)
    check_output(tmp_path / "new" / "folder" / "scores.parquet", overwrite=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError):
        check_output(tmp_path / "scores.parquet", overwrite=False)
    tmp_path.chmod(0o755)


def test_stale_temporaries_are_recognised_and_others_kept(tmp_path):
    path = tmp_path / "a[1]*.parquet"
    stale = tmp_path / f".{path.name}.0123456789abcdef{TEMPORARY_SUFFIX}"
    others = [".b.parquet.0123456789abcdef" + TEMPORARY_SUFFIX, ".a1x.parquet.0" + TEMPORARY_SUFFIX]
    others.append(f".{path.name}.zstd.0123456789abcdef{TEMPORARY_SUFFIX}")  # of another output
    for name in (stale.name, *others):
        (tmp_path / name).touch()
    remove_stale_temporaries(path)
    assert names(tmp_path) == sorted(others)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_live_runs_temporary_is_not_taken_for_a_killed_ones(tmp_path):
    path = tmp_path / "scores.parquet"
    killed = tmp_path / f".scores.parquet.{'0' * 16}{TEMPORARY_SUFFIX}"
    killed.touch()
    with atomic_file(path) as temporary:
        temporary.write_text("half")
        remove_stale_temporaries(path)
        assert temporary.read_text() == "half"
        assert not killed.exists()
    assert names(tmp_path) == ["scores.parquet"]


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("allowed", [0o600, 0o640, 0o644, 0o444])
def test_nobody_may_read_the_output_who_may_not_read_the_input(tmp_path, overwrite, allowed):
    source, path = tmp_path / "in", tmp_path / "out"
    source.touch()
    source.chmod(allowed)
    if overwrite:
        path.touch()
        path.chmod(0o666)
    with atomic_file(path, overwrite, like=source.stat()) as temporary:
        assert mode(temporary) & ~(allowed | 0o200) == 0
    assert mode(path) & ~(allowed | 0o200) == 0


@pytest.mark.parametrize("kept", [0o600, 0o664, 0o444])
def test_a_replaced_file_keeps_its_permissions(tmp_path, kept):
    path = tmp_path / "out"
    path.touch()
    path.chmod(kept)
    with atomic_file(path) as temporary:
        temporary.write_text("new")
    assert (mode(path), path.read_text()) == (kept, "new")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_group_that_is_not_the_inputs_may_what_others_may(tmp_path):
    source, path = tmp_path / "in", tmp_path / "out"
    source.touch()
    os.chown(source, -1, 12_345)
    source.chmod(0o664)
    with atomic_file(path, like=source.stat()):
        pass
    assert mode(path) == 0o644
