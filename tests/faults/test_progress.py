"""Progress belongs to a file: other files and other carried columns cost nothing that is scored."""

import hashlib
import json
import re
import shutil
import signal

import pyarrow.parquet as pq
import pytest

ROWS = 240
PART = re.compile(r".*-(\d+)-(\d+)\.parquet")


def in_place(folder, change):
    """Count the rows whose scores lie in parts or, where it may stay as it is, in the output.

    Parts stay until all outputs are there; then they go, one after the other.
    """
    rows = dict.fromkeys("abc", 0)
    for name in rows:
        place = hashlib.sha256(f"{name}.parquet".encode()).hexdigest()[:16]
        parts = [PART.fullmatch(path.name) for path in folder.glob(f".sent-parts/{place}-*")]
        rows[name] = sum(int(part[2]) - int(part[1]) for part in parts)
        output = folder / f"{name}.parquet"
        if output.exists() and change is not column_left_out:
            rows[name] = max(rows[name], pq.read_metadata(output).num_rows)
    return sum(rows.values())


def more(folder, reviews, scored):
    pq.write_table(reviews(ROWS, 9), folder / "0.parquet")
    return (), scored


def fewer(folder, reviews, scored):
    (folder / "c.parquet").unlink()
    return (), min(scored, 2 * ROWS)


def column_left_out(folder, reviews, scored):
    return ("--columns", ""), scored


def changed(folder, reviews, scored):
    """The second file is another: its rows are scored anew, and no others."""
    pq.write_table(reviews(ROWS, 8), folder / "b.parquet")
    return (), min(scored, ROWS) + max(0, scored - 2 * ROWS)


@pytest.mark.parametrize("change", [more, fewer, column_left_out, changed])
def test_what_is_scored_stays_scored(worker, tmp_path, make_reviews, full, tally, change):
    """Killed before a durable step, changed, run again: no row is scored twice."""
    folder, output, told = tmp_path / "in", tmp_path / "out", tmp_path / "told.json"
    kept = tries = 0
    for step in range(8, 1_000, 3 if full else 45):
        folder.mkdir()
        for i, name in enumerate("abc"):
            pq.write_table(make_reviews(ROWS, i), folder / f"{name}.parquet")
        fault = {"step": step, "action": "kill before"}
        command = (folder, output, "--part-rows", "80", "--overwrite")
        code, said = worker.run(*command, fault=fault)
        if code == 0:
            break
        assert code == -signal.SIGKILL, said
        if all((output / f"{name}.parquet").exists() for name in "abc"):
            break  # its last second, of which test_last_second tells
        options, expected = change(folder, make_reviews, in_place(output, change))
        code, said = worker.run(*command, *options, "--json", stdout=str(told))
        assert code == 0, said
        assert json.loads(told.read_text())["resumed_rows"] == expected, (step, said)
        kept, tries = kept + expected, tries + 1
        again = (folder, tmp_path / "anew", *command[2:], *options)
        assert worker.run(*again)[0] == 0
        for path in folder.iterdir():
            one, two = (pq.read_table(place / path.name) for place in (output, tmp_path / "anew"))
            assert one.equals(two)
        for place in (folder, output, tmp_path / "anew"):
            shutil.rmtree(place)
    assert kept
    tally(
        f"A folder's job killed, then {CHANGES[change]}: what is scored is not scored again",
        f"{tries} kills, {kept:,} rows kept, none scored twice",
    )


CHANGES = {
    more: "run with a file more",
    fewer: "run with a file fewer",
    column_left_out: "run with a column left out",
    changed: "run with one file changed (that one is scored anew)",
}
