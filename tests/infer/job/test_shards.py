"""Shards: any number of them makes the same files, and none is in another's way."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from infer.base.errors import InputError, JobError, OutputError, UsageError
from infer.job.parts import locked
from infer.job.pieces import Piece, cut, piece_name, piece_of, share
from infer.job.plan import ScoreOptions, make_plan
from infer.job.shards import Shard, read_shard
from infer.table.inputs import find_inputs
from infer.table.outputs import LocalTarget, find_targets, open_output

WORDS = ["good", "bad", "film", "the", "a", "not", ".", "!", "unheard-of"]


def reviews(rows, seed=0):
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(WORDS, draw.integers(1, 30))) for _ in range(rows)]
    return pa.table({"id": np.arange(rows), "text": texts})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five inputs: one in three pieces, two in one, one without rows, one of a folder below."""
    folder = tmp_path_factory.mktemp("shards") / "in"
    (folder / "y=1").mkdir(parents=True)
    pq.write_table(reviews(250), folder / "b.parquet", row_group_size=70)
    pq.write_table(reviews(100, 1), folder / "a.parquet")
    pq.write_table(reviews(3, 2), folder / "b-more.parquet")
    pq.write_table(reviews(0), folder / "empty.parquet")
    pq.write_table(reviews(101, 3), folder / "y=1" / "c.parquet")
    return folder


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def one(folder, score):
    """What a single shard makes of the folder, by the files' names."""
    out = folder.parent / "one"
    score(folder, out, shard=Shard(1, 1), piece_rows=100)
    return content(out)


@pytest.mark.parametrize(
    ("text", "shard"), [("1/1", Shard(1, 1)), ("3/8", Shard(3, 8)), ("8/8", Shard(8, 8))]
)
def test_a_shard_by_its_name(text, shard):
    assert read_shard(text) == shard
    assert str(shard) == text


@pytest.mark.parametrize("text", ["", "3", "0/8", "9/8", "1/0", "-1/8", "1/8/8", "a/b", " 1/8"])
def test_no_shard(text):
    with pytest.raises(UsageError, match=r"expected I/N with I from 1 to N"):
        read_shard(text)


def slurm(task, count, least, most):
    values = {"ID": task, "COUNT": count, "MIN": least, "MAX": most}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        (slurm(0, 8, 0, 7), "1/8"),
        (slurm(7, 8, 0, 7), "8/8"),
        (slurm(1, 8, 1, 8), "1/8"),
        (slurm(8, 8, 1, 8), "8/8"),
        (slurm(30, 4, 10, 40), "3/4"),
        (slurm(5, 1, 5, 5), "1/1"),
        ({"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "4"}, "1/4"),
        ({"JOB_COMPLETION_INDEX": "3", "JOB_COMPLETIONS": "4"}, "4/4"),
    ],
)
def test_a_shard_of_the_environment(environment, shard):
    assert str(read_shard("auto", environment)) == shard


@pytest.mark.parametrize(
    ("environment", "match"),
    [
        ({}, "SLURM_ARRAY_TASK_ID .* nor JOB_COMPLETION_INDEX"),
        (slurm(3, 3, 1, 7), "equal distances"),
        (slurm(2, 3, 1, 8), "equal distances"),
        (slurm(9, 2, 1, 2), "equal distances"),
        (slurm(5, 0, 5, 5), "equal distances"),
        ({"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_COUNT is None"),
        ({"JOB_COMPLETION_INDEX": "1"}, "JOB_COMPLETIONS is None"),
        ({"JOB_COMPLETION_INDEX": "4", "JOB_COMPLETIONS": "4"}, "expected an index below it"),
        ({"JOB_COMPLETION_INDEX": "x", "JOB_COMPLETIONS": "4"}, "expected a whole number"),
    ],
)
def test_an_environment_that_tells_no_shard(environment, match):
    with pytest.raises(UsageError, match=match):
        read_shard("auto", environment)


def test_names_of_pieces():
    for name in ("a.parquet", "A.PARQUET", "a.csv.gz", "a", "a.snappy", ".parquet", "a\nb.parquet"):
        starts = (0, 100, 10**9, 10**12 - 1)
        names = [piece_name(name, start) for start in starts]
        assert names == sorted(names)
        assert [piece_of(one) for one in names] == [(name, start) for start in starts]
        assert piece_of(name) is None
    assert piece_name("a.csv.gz", 100) == "a.000000000100.csv.gz"


@pytest.mark.parametrize("count", [1, 2, 3, 5, 100])
def test_every_piece_is_of_one_shard(count):
    sizes = np.random.default_rng(count).integers(0, 1000, 40)
    pieces = [
        Piece(None, LocalTarget(Path(str(i)), str(i)), size=int(size))
        for i, size in enumerate(sizes)
    ]
    shares = [share(pieces, Shard(number, count)) for number in range(1, count + 1)]
    assert sorted((p for one in shares for p in one), key=lambda p: int(p.output.name)) == pieces
    assert all(one == sorted(one, key=lambda p: int(p.output.name)) for one in shares)
    loads = [sum(piece.size for piece in one) for one in shares]
    assert max(loads) - min(loads) <= 1000


def test_far_more_shards_than_pieces():
    """A list of all of them would fill the memory."""
    pieces = [Piece(None, LocalTarget(Path("a"), "a"), size=5)]
    assert share(pieces, Shard(1, 999_999_999)) == pieces
    assert share(pieces, Shard(999_999_999, 999_999_999)) == []


def test_the_cut_is_of_rows(folder):
    inputs = find_inputs([str(folder)])
    pieces = cut(
        inputs.files, find_targets(inputs, open_output(folder.parent / "none"), "none"), 100
    )
    assert [(piece.output.place, piece.start, piece.rows) for piece in pieces] == [
        ("a.parquet", 0, None),
        ("b-more.parquet", 0, None),
        ("b.000000000000.parquet", 0, 100),
        ("b.000000000100.parquet", 100, 100),
        ("b.000000000200.parquet", 200, 50),
        ("empty.parquet", 0, None),
        ("y=1/c.000000000000.parquet", 0, 100),
        ("y=1/c.000000000100.parquet", 100, 1),
    ]
    places = [piece.output.path for piece in pieces]
    assert places == sorted(places)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_any_number_of_shards_makes_the_same_files(folder, one, score, tmp_path, count):
    rows = 0
    for number in range(count, 0, -1):
        rows += score(folder, tmp_path / "out", shard=Shard(number, count), piece_rows=100).rows
    assert rows == 454
    assert content(tmp_path / "out") == one


def test_pieces_are_the_rows_of_the_whole(folder, one, score, tmp_path):
    score(folder / "b.parquet", tmp_path / "b.parquet")
    names = [name for name in sorted(one) if name.startswith("b.")]
    read = pa.concat_tables([pq.read_table(pa.BufferReader(one[name])) for name in names])
    assert len(names) == 3
    assert read.equals(pq.read_table(tmp_path / "b.parquet"))


def test_what_one_number_of_shards_has_done_another_does_not_do_again(folder, score, tmp_path):
    options = {"piece_rows": 100}
    first = score(folder, tmp_path, shard=Shard(1, 2), **options)
    assert 0 < first.rows < 454
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    rest = [score(folder, tmp_path, shard=Shard(i, 3), **options) for i in (1, 2, 3)]
    assert sum(summary.resumed_rows for summary in rest) == first.rows
    assert sum(summary.rows for summary in rest) == 454
    assert before.items() <= {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")}.items()


def test_pieces_without_shards(folder, one, score, tmp_path):
    score(folder, tmp_path / "out", piece_rows=100)
    assert content(tmp_path / "out") == one


def test_a_shard_without_rows(folder, score, said, tmp_path):
    out = tmp_path / "out"
    for number in (2, 3):
        assert score(folder / "a.parquet", out, shard=Shard(number, 3)).rows == 0
        assert f"Shard {number}/3: 0 of 1 piece." in said()
        assert content(out) == {}
    assert score(folder / "a.parquet", out, shard=Shard(1, 3)).rows == 100
    assert [path.name for path in out.iterdir()] == ["a.parquet"]


def test_the_same_shard_twice_is_refused_and_others_are_not(folder, score, tmp_path):
    options = {"piece_rows": 100}
    plan = make_plan([str(folder)], tmp_path, ScoreOptions(shard=Shard(1, 2), **options))
    with locked(plan.parts):
        with pytest.raises(OutputError, match="another run is writing"):
            score(folder, tmp_path, shard=Shard(1, 2), **options)
        score(folder, tmp_path, shard=Shard(2, 2), **options)
        # These find the rest of it, which nobody writes in truth.
        score(folder, tmp_path, shard=Shard(1, 3), **options)
    score(folder, tmp_path, shard=Shard(1, 2), **options)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_shards_at_once(folder, one, score, model_path, tmp_path):
    """Three processes at once, one of which has another number of shards: the same rows."""
    code = "from infer.cli import main; main()"
    command = [sys.executable, "-c", code, folder, "-o", tmp_path / "out", "--model", model_path]
    runs = [
        subprocess.Popen(
            [*command, "--piece-rows", "100", "--threads", "1", "--shard", shard],
            stderr=subprocess.PIPE,
            text=True,
        )
        for shard in ("1/2", "2/2", "1/1")
    ]
    said = [run.communicate(timeout=120)[1] for run in runs]
    # Whoever finds a file that appeared in that very moment says so, and leaves it as it is.
    assert all(r.returncode == 0 or "appeared" in s for r, s in zip(runs, said, strict=True)), said
    for number in (1, 2):
        score(folder, tmp_path / "out", shard=Shard(number, 2), piece_rows=100)
    score(folder, tmp_path / "out", shard=Shard(1, 1), piece_rows=100)
    assert content(tmp_path / "out") == one


def test_a_killed_shard_goes_on(folder, one, score, said, model_path, tmp_path):
    """Ended in the middle by SIGKILL, it takes up its parts and ends in the same bytes."""
    code = """
import os, signal, sys
import infer.job.job as job
kept, keep = 0, job.Job.keep
def kill(self, task, scores):
    global kept
    keep(self, task, scores)
    kept += 1
    if kept == 3:
        os.kill(os.getpid(), signal.SIGKILL)
job.Job.keep = kill
from infer.cli import main
main()
"""
    options = ["--shard", "1/1", "--piece-rows", "100"]
    command = [sys.executable, "-c", code, folder, "-o", tmp_path / "out", "--model", model_path]
    killed = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "out" / ".1-of-1.sent-parts" / "job.json").exists()
    score(folder, tmp_path / "out", shard=Shard(1, 1), piece_rows=100)
    assert any("Going on from the parts" in line for line in said())
    assert content(tmp_path / "out") == one


def test_a_folder_does_not_hold_rows_twice(folder, score, tmp_path):
    score(folder, tmp_path, shard=Shard(1, 1), piece_rows=100)
    for options in ({}, {"piece_rows": 50}, {"shard": Shard(1, 2)}, {"overwrite": True}):
        with pytest.raises(OutputError, match=r"holds rows that this run would write to other"):
            score(folder, tmp_path, **options)
    score(folder / "b.parquet", tmp_path / "b" / "x.parquet")
    with pytest.raises(OutputError, match=r"c\.parquet: holds rows"):
        pq.write_table(reviews(1), tmp_path / "y=1" / "c.parquet")
        score(folder, tmp_path, shard=Shard(1, 2), piece_rows=100)


def test_another_model_or_column_is_refused(folder, score, tmp_path):
    score(folder, tmp_path, shard=Shard(1, 2), piece_rows=100)
    with pytest.raises(OutputError, match="exists already"):
        score(folder, tmp_path, shard=Shard(1, 3), piece_rows=100, columns=())
    score(folder, tmp_path, shard=Shard(1, 2), piece_rows=100, columns=(), overwrite=True)


def test_pieces_whose_names_are_taken(score, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    pq.write_table(reviews(20), source / "a.parquet")
    pq.write_table(reviews(1), source / "a.000000000010.parquet")
    with pytest.raises(OutputError, match=r"would hold rows of .*a\.parquet"):
        score(source, tmp_path / "out", piece_rows=10)
    score(source, tmp_path / "out", piece_rows=20)
    assert sorted(content(tmp_path / "out")) == ["a.000000000010.parquet", "a.parquet"]


def test_files_of_text_stay_whole(score, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    pyarrow.csv.write_csv(reviews(30), source / "a.csv")
    pyarrow.csv.write_csv(reviews(10, 1), source / "b.csv")
    (source / "c.jsonl").write_text('{"text": "good film"}\n' * 5)
    summaries = [score(source, tmp_path / "out", shard=Shard(i, 2), piece_rows=10) for i in (1, 2)]
    assert sum(summary.rows for summary in summaries) == 45
    assert sorted(content(tmp_path / "out")) == [
        ".a.csv.sent-note", ".b.csv.sent-note", ".c.jsonl.sent-note", "a.csv", "b.csv", "c.jsonl",
    ]  # fmt: skip
    again = [score(source, tmp_path / "out", shard=Shard(i, 3), piece_rows=10) for i in (1, 2, 3)]
    assert sum(summary.resumed_rows for summary in again) == 45


def test_a_large_file_of_text_is_cut_too(score, tmp_path, monkeypatch):
    monkeypatch.setattr("infer.job.pieces.TEXT_BYTES", 1_000)
    source = tmp_path / "in"
    source.mkdir()
    pyarrow.csv.write_csv(reviews(45), source / "large.csv")
    pyarrow.csv.write_csv(reviews(3), source / "small.csv")
    for number in (1, 2, 3):
        score(source, tmp_path / "out", shard=Shard(number, 3), piece_rows=20)
    names = [f"large.{start:012d}.csv" for start in (0, 20, 40)]
    assert sorted(p.name for p in (tmp_path / "out").glob("*.csv")) == [*names, "small.csv"]
    score(source / "large.csv", tmp_path / "large.csv")
    header, *rows = (tmp_path / "large.csv").read_text().splitlines()
    pieces = [(tmp_path / "out" / name).read_text().splitlines() for name in names]
    assert [lines[0] for lines in pieces] == [header] * 3
    assert [row for lines in pieces for row in lines[1:]] == rows


@pytest.mark.parametrize("cut", [("--shard", "1/2"), ("--piece-rows", "1")])
def test_stdin_has_no_pieces(sent_score, tmp_path, cut):
    done = sent_score("-", "-o", tmp_path / "out", *cut, input="text\ngood\n")
    assert done.returncode == 2
    assert "stdin: is read once, expected files" in done.stderr


def test_a_file_for_the_output_of_shards(folder, score, tmp_path):
    with pytest.raises(OutputError, match=r"expected a folder for the scores of .* in pieces"):
        score(folder / "b.parquet", tmp_path / "out.parquet", shard=Shard(1, 2))


def test_what_is_wrong_with_a_file_in_pieces_is_said_once(folder, score, tmp_path):
    with pytest.raises(InputError) as caught:
        score(folder / "b.parquet", tmp_path, shard=Shard(1, 1), piece_rows=10, columns=("none",))
    assert str(caught.value).count("b.parquet") == 1


def test_an_input_that_changes_meanwhile(folder, score, tmp_path, monkeypatch):
    source = tmp_path / "x.parquet"
    pq.write_table(reviews(40), source)
    from infer.job import job

    def change(self, task, scores):
        keep(self, task, scores)
        pq.write_table(reviews(41), source)

    keep = job.Job.keep
    monkeypatch.setattr(job.Job, "keep", change)
    with pytest.raises(JobError):
        score(source, tmp_path / "out", shard=Shard(1, 1), piece_rows=10)
    monkeypatch.undo()
    assert score(source, tmp_path / "out2", shard=Shard(1, 1), piece_rows=10).rows == 41


def test_an_input_that_is_called_like_a_piece_of_the_output(score, tmp_path):
    """Another file of such a name may hold the same rows, and stops the job as before."""
    source, output = tmp_path / "s.000000000000.parquet", tmp_path / "s.parquet"
    pq.write_table(reviews(10), source)
    assert score(source, output).rows == 10
    assert score(source, output).resumed_rows == 10
    pq.write_table(reviews(10), tmp_path / "s.000000000010.parquet")
    with pytest.raises(OutputError, match=r"s\.000000000010\.parquet: holds rows"):
        score(source, output)
