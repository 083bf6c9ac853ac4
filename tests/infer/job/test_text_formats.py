"""CSV, TSV and JSON Lines are scored and written with every promise that Parquet has."""

import csv
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import infer
from infer.base.errors import InputError, JobError, OutputError
from infer.job import writers
from infer.job.notes import note_of, read_note
from infer.job.plan import ScoreOptions, make_plan
from infer.table.files import read_columns
from infer.table.outputs import LocalOutput, LocalTarget

TEXTS = ["good film", "bad, bad film", None, "", 'not "good"', "two\nlines", "good " * 50]
STATUSES = ["ok", "ok", "null", "empty", "ok", "ok", "truncated"]
IDS = ["007", "1", None, "", "é", "a,b", "x"]


def write(path: Path, rows: int = len(TEXTS)) -> Path:
    """Write rows of text, id and stars in the format of the path."""
    texts, ids = (TEXTS * rows)[:rows], (IDS * rows)[:rows]
    stars = [i % 5 for i in range(rows)]
    if path.name.endswith(".parquet"):
        pq.write_table(pa.table({"id": ids, "text": texts, "stars": stars}), path)
        return path
    if ".json" in path.name:
        found = [
            {"id": i, "text": t, "stars": s} for i, t, s in zip(ids, texts, stars, strict=True)
        ]
        content = "".join(f"{json.dumps(row)}\n" for row in found)
    else:
        mark = "\t" if ".tsv" in path.name else ","
        lines = [["id", "text", "stars"], *zip(ids, texts, map(str, stars), strict=True)]
        content = "".join(mark.join(map(field, line)) + "\r\n" for line in lines)
    raw = content.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix.lower() == ".gz" else raw)
    return path


def target(path: Path) -> LocalTarget:
    return LocalTarget(path, path.name)


def field(value):
    """Write a field as people do: quoted where it is there."""
    return "" if value is None else '"' + value.replace('"', '""') + '"'


def rows_of(path: Path) -> list[dict]:
    """Read an output back."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if ".json" in path.name:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return [json.loads(line) for line in raw.decode().splitlines()]
    names = ["id", "stars", "score", "prediction", "status"]
    return read_columns(path, names, ["id", "prediction", "status"]).to_pylist()


@pytest.fixture(scope="module")
def expected(tmp_path_factory, score):
    """What the same rows give as Parquet."""
    folder = tmp_path_factory.mktemp("parquet")
    score(write(folder / "in.parquet"), folder / "out.parquet")
    return rows_of(folder / "out.parquet")


@pytest.mark.parametrize("source", ["in.csv", "in.tsv", "in.jsonl", "in.json.gz", "IN.CSV.GZ"])
@pytest.mark.parametrize("output", ["out.parquet", "out.csv", "out.tsv", "out.jsonl", "o.jsonl.gz"])
def test_the_same_rows_from_and_to_every_format(tmp_path, score, expected, source, output):
    summary = score(write(tmp_path / source), tmp_path / output)
    found = rows_of(tmp_path / output)
    assert [row["id"] for row in found] == IDS
    assert [row["status"] for row in found] == STATUSES
    assert [str(row["stars"]) for row in found] == [str(row["stars"]) for row in expected]
    assert [row["prediction"] for row in found] == [row["prediction"] for row in expected]
    for row, wanted in zip(found, expected, strict=True):
        assert (row["score"] or 0) == pytest.approx(wanted["score"] or 0, rel=1e-6)
    assert summary.rows == len(IDS) and summary.statuses["truncated"] == 1


@pytest.mark.parametrize("output", ["out.csv", "out.jsonl"])
def test_the_same_command_again_finds_it_done(tmp_path, score, said, output):
    source, path = write(tmp_path / "in.csv"), tmp_path / output
    first = score(source, path)
    before = path.read_bytes()
    again = score(source, path)
    assert path.read_bytes() == before
    assert (again.rows, again.resumed_rows) == (first.rows, first.rows)
    assert (again.statuses, again.predictions) == (first.statuses, first.predictions)
    os.utime(source)  # a copy of the same content is the same input
    assert score(source, path).resumed_rows == first.rows
    assert not LocalOutput(path).parts(single=True).exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("metadata", {}),
        ("metadata", None),
        ("metadata", {"sent.job": 1}),
        ("columns", [1]),
        ("rows", "10"),
        ("rows", True),
        ("statuses", []),
        ("predictions", {"positive": None}),
        ("confident", "1"),
    ],
)
def test_a_note_that_was_edited_is_not_this_jobs(tmp_path, score, model_path, name, value):
    source, output = write(tmp_path / "in.csv"), tmp_path / "out.csv"
    score(source, output)
    note = note_of(target(output)).path
    note.write_text(json.dumps({**json.loads(note.read_text()), name: value}))
    with pytest.raises(OutputError, match="exists already"):
        score(source, output)
    (problem,) = infer.check_complete(source, output, model=model_path).problems
    assert "does not say which job made it" in problem.message


def test_another_files_output_is_not_replaced(tmp_path, score):
    source, output = write(tmp_path / "in.csv"), tmp_path / "out.csv"
    output.write_text("mine\n")
    with pytest.raises(OutputError, match=r"exists already\. Use --overwrite"):
        score(source, output)
    score(source, output, overwrite=True)
    assert read_note(target(output)) is not None
    output.write_bytes(output.read_bytes() + b"more\n")
    assert read_note(target(output)) is None  # the note is about another file now
    with pytest.raises(OutputError, match="exists already"):
        score(source, output)
    write(source, rows=3)
    score(source, output, overwrite=True)
    assert len(rows_of(output)) == 3


def test_a_job_goes_on_where_it_was(tmp_path, score, said, monkeypatch):
    source = write(tmp_path / "in.csv", rows=50)
    score(source, tmp_path / "whole.jsonl", part_rows=10)

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(writers, "_line", fail)
        with pytest.raises(JobError, match="No space left"):
            score(source, tmp_path / "out.jsonl", part_rows=10)
    assert not (tmp_path / "out.jsonl").exists()
    assert not note_of(target(tmp_path / "out.jsonl")).path.exists()
    summary = score(source, tmp_path / "out.jsonl", part_rows=10)
    assert summary.resumed_rows == 50
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_what_has_changed_is_scored_anew(tmp_path, score, monkeypatch):
    source = write(tmp_path / "in.csv", rows=50)
    score(source, tmp_path / "out.csv")
    write(source, rows=49)
    with pytest.raises(OutputError, match="exists already"):
        score(source, tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("name", "is_said"), [("out.txt", True), ("out.csv.xz", True), ("out.PARQUET", False), ("o", 0)]
)
def test_parquet_under_the_name_of_something_else_is_said(tmp_path, score, said, name, is_said):
    score(write(tmp_path / "in.csv"), tmp_path / name)
    assert pq.read_metadata(tmp_path / name).num_rows == len(IDS)
    assert any(f"{name}: is written as Parquet" in line for line in said()) == is_said


def test_a_folder_of_text_files(tmp_path, score):
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.csv")
    write(folder / "b.jsonl")
    (folder / "notes.txt").write_text("no table")
    score(folder, tmp_path / "out")
    assert [row["id"] for row in rows_of(tmp_path / "out" / "a.csv")] == IDS
    assert [row["id"] for row in rows_of(tmp_path / "out" / "b.jsonl")] == IDS
    write(folder / "c.parquet")  # where there is Parquet, that is the table
    score(folder, tmp_path / "more")
    assert [path.name for path in (tmp_path / "more").iterdir()] == ["c.parquet"]


def test_rows_that_are_no_utf8_are_marked_and_their_bytes_kept(tmp_path, score):
    (tmp_path / "in.csv").write_bytes(b"text,id\ngood \xff,1\ngood,caf\xe9\n")
    score(tmp_path / "in.csv", tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_bytes().splitlines()
    assert lines[1] == b'"1",,,"invalid"'
    assert lines[2].startswith(b'"caf\xe9",0.') and lines[2].endswith(b'"ok"')
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "\\ud800", "x": "\\ud800"}\n{"text": "good"}\n')
    score(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    first, second = rows_of(tmp_path / "out.jsonl")
    assert first == {"x": "\ud800", "score": None, "prediction": None, "status": "invalid"}
    assert second["status"] == "ok"


def test_json_values_come_back_as_they_were(tmp_path, score):
    values = [1, 2.5, [1, {"a": None}], {"b": "x"}, True, 1 << 80, None]
    rows = [{"text": "good", "odd": v, "all": [v], "n": 1} for v in values]
    (tmp_path / "in.json").write_text(json.dumps(rows))
    score(tmp_path / "in.json", tmp_path / "out.jsonl")
    found = rows_of(tmp_path / "out.jsonl")
    assert [row["odd"] for row in found] == values
    assert [row["all"] for row in found] == [[v] for v in values]
    score(tmp_path / "in.json", tmp_path / "out.parquet")
    odd = pq.read_table(tmp_path / "out.parquet")["odd"].to_pylist()
    assert [None if v is None else json.loads(v) for v in odd] == values


def test_the_text_column_is_the_one_that_training_finds(tmp_path):
    """A column that looks like numbers is no candidate, though CSV holds nothing but strings."""
    (tmp_path / "in.csv").write_text("stars,comment\n1,good\n2,bad\n")
    plan = make_plan([str(tmp_path / "in.csv")], tmp_path / "out.csv", ScoreOptions())
    assert plan.tasks[0].columns.text == "comment"
    asked = ScoreOptions(text_column="stars")
    plan = make_plan([str(tmp_path / "in.csv")], tmp_path / "out.csv", asked)
    assert plan.tasks[0].columns.text == "stars"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", b"text,id\na,1\nb\n", "Expected 2 columns, got 1"),
        ("in.csv", b"text,id,id\na,1,2\n", "column 'id' occurs twice"),
        ("in.csv", b"", "not a readable CSV file"),
        ("in.csv.gz", gzip.compress(b"text,id\n" + os.urandom(999).hex().encode())[:300],
         "not a readable CSV file"),
        ("in.json", b'[{"text": "a"}, 7]', "element 2 is 7"),
        ("in.jsonl", b'{"score": 1, "text": "a"}', "column 'score' would be written twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_named_and_leaves_nothing(tmp_path, score, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        score(tmp_path / name, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_header_alone_gives_a_header_alone(tmp_path, score):
    (tmp_path / "in.csv").write_text("text,id\n")
    assert score(tmp_path / "in.csv", tmp_path / "out.csv").rows == 0
    assert (tmp_path / "out.csv").read_text() == '"id","score","prediction","status"\n'


def test_csv_holds_no_lists_and_says_so_before_any_work(tmp_path, score):
    pq.write_table(pa.table({"text": ["a"], "l": [[1]]}), tmp_path / "in.parquet")
    with pytest.raises(InputError, match=r"'l' has type list.*CSV cannot hold.*--columns"):
        score(tmp_path / "in.parquet", tmp_path / "out.csv")
    score(tmp_path / "in.parquet", tmp_path / "out.csv", columns=())
    score(tmp_path / "in.parquet", tmp_path / "out.jsonl")
    assert rows_of(tmp_path / "out.jsonl")[0]["l"] == [1]


def test_columns_of_every_type_are_written_as_text(tmp_path, score):
    strings = pa.array(["x", None, "y"])
    table = pa.table({
        "text": ["good"] * 3,
        "dictionary": strings.dictionary_encode(),
        "view": strings.cast(pa.string_view()),
        "bytes": pa.array([b"\xff", None, b"b"]),
        "time": pa.array([0, None, 1], pa.timestamp("s")),
        "float": [float("nan"), None, 1e300],
        "bool": [True, None, False],
        "decimal": pa.array([1, None, 2]).cast(pa.decimal128(20, 1)),
        "nothing": pa.nulls(3),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "in.parquet")
    score(tmp_path / "in.parquet", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.reader(file))
    assert rows[1][:8] == ["x", "x", "\udcff", "1970-01-01 00:00:00.000", "nan", "true", "1.0", ""]
    assert rows[2][:8] == [""] * 8
    score(tmp_path / "in.parquet", tmp_path / "out.jsonl")
    first = rows_of(tmp_path / "out.jsonl")[0]
    assert list(first.values())[:8] == [
        "x", "x", "\udcff", "1970-01-01 00:00:00.000", None, True, "1.0", None,
    ]  # fmt: skip


def test_times_that_python_has_not_are_written_as_json(tmp_path, score):
    """Nanoseconds, years above 9999, and what lies within lists, structures and maps."""
    nanoseconds = pa.array([1, None], pa.timestamp("ns"))
    no_utf8 = pa.array([b"\xff", None]).view(pa.string())
    table = pa.table({
        "text": ["good"] * 2,
        "ns": nanoseconds,
        "day": pa.array([1, None], pa.time64("ns")),
        "for": pa.array([7, None], pa.duration("ns")),
        "far": pa.array([1 << 61, None], pa.timestamp("us")),
        "list": pa.ListArray.from_arrays([0, 1, 1], nanoseconds),
        "struct": pa.StructArray.from_arrays([nanoseconds, no_utf8], names=["a", "b"]),
        "map": pa.MapArray.from_arrays([0, 1, 1], pa.array(["k"]), nanoseconds[:1]),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "in.parquet")
    score(tmp_path / "in.parquet", tmp_path / "out.jsonl")
    first, second = rows_of(tmp_path / "out.jsonl")
    instant = "1970-01-01 00:00:00.000000001"
    assert (first["ns"], first["day"], first["for"]) == (instant, "00:00:00.000000001", "7")
    assert (first["list"], first["map"]) == ([instant], [["k", instant]])
    assert first["struct"] == {"a": instant, "b": "\udcff"}
    assert str(1 << 61) in first["far"]
    assert (second["ns"], second["far"], second["list"]) == (None, None, [])


@pytest.mark.parametrize("output", ["out.csv", "out.jsonl"])
def test_a_time_zone_that_is_not_known_is_told_before_any_work(tmp_path, score, output):
    times = pa.array([1], pa.timestamp("us", "Mars/Olympus"))
    pq.write_table(pa.table({"text": ["good"], "at": times}), tmp_path / "in.parquet")
    with pytest.raises(InputError, match=r"'at' has type .*Mars/Olympus.*not known.*--columns"):
        score(tmp_path / "in.parquet", tmp_path / output)
    score(tmp_path / "in.parquet", tmp_path / "out.parquet")


def test_json_texts_that_are_numbers_are_scored_as_training_reads_them(tmp_path, score):
    (tmp_path / "in.jsonl").write_text('{"text": 1984}\n{"text": null}\n')
    (tmp_path / "in.csv").write_text("text,n\n1984,1\n,2\n")
    score(tmp_path / "in.jsonl", tmp_path / "json.parquet")
    score(tmp_path / "in.csv", tmp_path / "csv.parquet", columns=())
    found = pq.read_table(tmp_path / "json.parquet")
    assert found["status"].to_pylist() == ["ok", "null"]
    assert found.equals(pq.read_table(tmp_path / "csv.parquet"))


@pytest.mark.parametrize("is_enough", [True, False])
def test_more_text_files_than_may_be_open(tmp_path, model_path, is_enough):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(70):
        (folder / f"{number}.csv").write_text("text,id\ngood,1\n")
    limits = f"ulimit -Sn 60; {'' if is_enough else 'ulimit -Hn 60;'} exec"
    command = [sys.executable, "-c", "from infer.cli import main; main()", str(folder)]
    command += ["-o", str(tmp_path / "out"), "--model", str(model_path), "--device", "cpu"]
    shell = ["sh", "-c", f'{limits} "$@"', "sh"]
    done = subprocess.run([*shell, *command], capture_output=True, text=True, check=False)
    if is_enough:
        assert done.returncode == 0, done.stderr
        assert len(list((tmp_path / "out").glob("*.csv"))) == 70
    else:
        assert done.returncode == 2
        assert "70 files of text: this system lets a process open 60 files" in done.stderr


def test_nobody_may_read_an_output_who_may_not_read_the_input(tmp_path, score):
    source = write(tmp_path / "in.csv")
    source.chmod(0o600)
    score(source, tmp_path / "out.csv")
    for path in (tmp_path / "out.csv", note_of(target(tmp_path / "out.csv")).path):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.parquet"])
def test_stdin_is_read_whatever_it_holds(tmp_path, model_path, name):
    content = write(tmp_path / name).read_bytes()
    command = [sys.executable, "-c", "from infer.cli import main; main()", "-", "-o", "out.jsonl",
               "--model", model_path, "--device", "cpu", "--json"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    for resumed in (0, len(IDS)):
        done = subprocess.run(
            command, input=content, capture_output=True, cwd=tmp_path, check=True, env=environment
        )
        assert json.loads(done.stdout)["resumed_rows"] == resumed
    assert [row["id"] for row in rows_of(tmp_path / "out.jsonl")] == IDS
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".out.jsonl.sent-note",
        name,
        "out.jsonl",
    ]


def test_a_name_with_a_colon_is_a_path(tmp_path, score, model_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in:1").mkdir()
    write(Path("in:1/a:b.csv"))
    for output in ("file:x.parquet", "run:1.csv", "s3:x.jsonl"):
        assert score("in:1/a:b.csv", output).rows == len(TEXTS)
        assert score("in:1/a:b.csv", output).resumed_rows == len(TEXTS)
    score(["in:1"], "out:1")
    score("file:x.parquet", "x.parquet", text_column="id", columns=(), parts=Path("gs:parts"))
    assert infer.check_complete("in:1", "out:1", model=model_path).is_complete


def test_a_name_that_leaves_no_room_for_its_note_is_refused_beforehand(tmp_path, score):
    source = write(tmp_path / "in.csv")
    with pytest.raises(OutputError, match=r"sent-note: the name has 231 bytes"):
        score(source, tmp_path / ("n" * 216 + ".csv"))
    assert score(source, tmp_path / ("n" * 213 + ".csv")).rows == len(TEXTS)
    assert score(source, tmp_path / ("n" * 220 + ".parquet")).rows == len(TEXTS)
