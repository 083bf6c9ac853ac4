"""Disks that fail or are full: one line, the old file, no debris, and a way to go on."""

import itertools
import os
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def check_refusal(case, code, said):
    """One line that says what failed; the old output; nothing beside it but what resumes."""
    assert code == 1, said
    assert "UNEXPECTED" not in said
    assert said.splitlines()[-1].startswith("Error: "), said
    assert case.output.read_bytes() in (case.old, case.expected)
    names = {path.name for path in case.output.parent.iterdir()}
    assert names <= {"out.parquet", "out.parquet.sent-parts"}
    if len(names) > 1:
        assert "the same command goes on from there" in said


def test_every_write_fsync_and_rename_fails_once(case, tmp_path, full, tally):
    """The n-th durable step raises EIO, for every n that a job comes to."""
    failed = []
    note = tmp_path / "note"
    for step in itertools.count(1, 1 if full else 8):
        note.unlink(missing_ok=True)
        code, said = case.run(fault={"step": step, "action": "fail", "note": str(note)})
        if not note.exists():
            assert code == 0
            break
        failed.append(note.read_text())
        if failed[-1] in ("unlink", "rmdir"):
            # Tidying up behind a temporary file or a finished job: the news is elsewhere.
            assert code in (0, 1, 2), said
            case.check_whole()
        elif code == 2:
            assert "cannot hold part files" in said
        else:
            check_refusal(case, code, said)
        case.finish()
        case.reset()
    assert {"fsync", "replace", "write_table"} <= set(failed)
    tally(
        "A write, fsync or rename that fails: one line, the old file, no debris; the same command "
        "goes on",
        f"{len(failed)} steps: " + ", ".join(f"{failed.count(n)} {n}" for n in sorted(set(failed))),
    )


def test_files_that_may_grow_no_further(case, full, tally):
    """RLIMIT_FSIZE at every so many bytes: real writes fail in the middle of a file."""
    refused = 0
    limits = range(0, len(case.expected), 64 if full else 2048)
    for limit in limits:
        code, said = case.run(file_size=limit)
        assert code in (1, 2), said
        if code == 2:
            assert "cannot hold part files" in said
            assert case.output.read_bytes() == case.old
        else:
            check_refusal(case, code, said)
        refused += 1
    case.finish()
    assert refused > 2
    tally("A write that stops in the middle of a file (RLIMIT_FSIZE)", f"{refused} limits")


@pytest.fixture
def small_disk(tmp_path):
    """Return `mount(kilobytes)`, which makes a file system of that size, where that is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = []

    def mount(kilobytes):
        if mounted:
            subprocess.run(["umount", str(place)], check=True)
            mounted.clear()
        options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
        done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    if os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    yield mount
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(case, small_disk, full, tally):
    """A disk with room for less and less: an error and the old file, or the whole new one."""
    sizes = range(4, 120, 4 if full else 20)
    outcomes = {0: 0, 1: 0, 2: 0}
    for kilobytes in sizes:
        folder = small_disk(kilobytes)
        output = folder / "out.parquet"
        output.write_bytes(case.old)
        code, said = case.worker.run(case.source, output, *case.options, "--overwrite")
        outcomes[code] += 1
        assert "UNEXPECTED" not in said
        if code:
            assert "No space left on device" in said
            assert output.read_bytes() == case.old
            names = {path.name for path in folder.iterdir()}
            assert names <= {"out.parquet", "out.parquet.sent-parts"}
        else:
            assert output.read_bytes() == case.expected
    assert outcomes[0]
    assert outcomes[1] + outcomes[2]
    tally(
        "A full disk: one line, the old file, no debris",
        f"{len(sizes)} disks of {sizes[0]} to {sizes[-1]} kB, {outcomes[0]} of them large enough",
    )


def test_a_disk_with_room_again(case, small_disk):
    """What was scored before the disk filled up is taken up when there is room."""
    folder = small_disk(64)
    filler = folder / "filler"
    filler.write_bytes(bytes(44 << 10))  # job.json and some of five parts find room beside it
    code, said = case.worker.run(case.source, folder / "out.parquet", *case.options)
    assert code == 1
    assert "the same command goes on from there" in said
    filler.unlink()
    code, said = case.worker.run(case.source, folder / "out.parquet", *case.options)
    assert code == 0, said
    assert (folder / "out.parquet").read_bytes() == case.expected
    assert [path.name for path in folder.iterdir()] == ["out.parquet"]


def damaged(content, full):
    """Yield how a file was damaged, and what became of it."""
    for end in range(0, len(content), 64 if full else 2048):
        yield f"cut at {end}", content[:end]
    for place in range(0, len(content), 32 if full else 512):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place // 32 % 8)
        yield f"bit of byte {place}", bytes(flipped)


@pytest.mark.parametrize("checksums", [True, False])
def test_damaged_inputs(worker, tmp_path, case, full, tally, checksums):
    """Cut and flipped files: an error of ours in one line, or the same scores; never a crash."""
    table = pq.read_table(case.source).slice(0, 120)
    table = table.append_column("kind", pa.array(["x", "y"] * 60).dictionary_encode())
    source = tmp_path / "whole.parquet"
    pq.write_table(table, source, row_group_size=40, write_page_checksum=checksums)
    assert worker.run(source, tmp_path / "whole-out.parquet")[0] == 0
    expected = pq.read_table(tmp_path / "whole-out.parquet")
    tries = list(damaged(source.read_bytes(), full))
    scored = 0
    for i in range(0, len(tries), 200):
        scored += score_damaged(worker, tmp_path, tries[i : i + 200], checksums and expected)
    tally(
        "A damaged input" + (" with page checksums" if checksums else "") + ": an error that "
        "names it, " + ("or the same scores" if checksums else "or a row for each row"),
        f"{len(tries)} files cut or with a bit flipped, {scored} of them still readable",
    )


def score_damaged(worker, folder, tries, expected):
    """Score damaged files one by one; return how many gave an output."""
    scored = 0
    for how, content in tries:
        source, output = folder / "damaged.parquet", folder / "damaged-out.parquet"
        source.write_bytes(content)
        code, said = worker.run(source, output, "--no-resume", "--overwrite")
        assert code in (0, 1, 2), (how, code, said)
        if code:
            assert "Error: " in said.splitlines()[-1], (how, said)
            assert not output.exists(), how
            continue
        scored += 1
        found = pq.read_table(output)
        if expected:
            assert found["score"].equals(expected["score"]), how
        assert found.num_rows == pq.read_metadata(source).num_rows, how
        output.unlink()
    return scored
