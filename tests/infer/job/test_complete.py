"""What is missing, doubled, damaged or of another job is named; nothing else is."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import infer
from infer.base.errors import InputError, OutputError, UsageError
from infer.job.shards import Shard

OPTIONS = {"piece_rows": 100}


def reviews(rows, seed=0):
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(["good", "bad", "film"], 5)) for _ in range(rows)]
    return pa.table({"id": np.arange(rows), "text": texts})


@pytest.fixture(scope="module")
def made(tmp_path_factory, score):
    """Inputs and what two shards made of them."""
    root = tmp_path_factory.mktemp("complete")
    (root / "in" / "y=1").mkdir(parents=True)
    pq.write_table(reviews(250), root / "in" / "b.parquet")
    pq.write_table(reviews(30, 1), root / "in" / "y=1" / "c.parquet")
    pq.write_table(reviews(0), root / "in" / "empty.parquet")
    for number in (1, 2):
        score(root / "in", root / "out", shard=Shard(number, 2), **OPTIONS)
    return root


@pytest.fixture
def job(made, tmp_path):
    """Return a copy of both, whose inputs have the times of before, and a way to check it."""
    shutil.copytree(made, tmp_path / "job")
    return tmp_path / "job"


@pytest.fixture
def check(job, model_path):
    def run(**options):
        options = {"model": model_path, "output": job / "out", **options}
        return infer.check_complete(options.pop("inputs", job / "in"), **options)

    return run


def kinds(found):
    assert found.is_complete == (not found.problems)
    return [problem.kind for problem in found.problems]


def message(found):
    (problem,) = found.problems
    return problem.message


def test_a_complete_folder_gets_a_manifest(job, check):
    found = check()
    assert kinds(found) == []
    assert (found.rows, found.files) == (280, 5)
    manifest = json.loads((job / "out" / "_sent-manifest.json").read_text())
    assert manifest["rows"] == 280
    (entry,) = [one for one in manifest["inputs"] if one["name"].endswith("b.parquet")]
    assert [(file["place"], file["first_row"], file["rows"]) for file in entry["files"]] == [
        ("b.000000000000.parquet", 0, 100),
        ("b.000000000100.parquet", 100, 100),
        ("b.000000000200.parquet", 200, 50),
    ]
    before = (job / "out" / "_sent-manifest.json").read_bytes()
    # It is no matter how many shards there were, nor where they would be cut, nor what ran them.
    assert check(shard="1/7", piece_rows=7, device="cuda", processes=3, overwrite=True).is_complete
    assert (job / "out" / "_sent-manifest.json").read_bytes() == before


def test_nothing_is_there(job, check):
    shutil.rmtree(job / "out")
    assert kinds(check(piece_rows=100)) == ["missing"] * 3
    assert not (job / "out").exists()


def test_rows_that_are_missing(job, check):
    (job / "out" / "b.000000000100.parquet").unlink()
    assert message(check()).endswith(f"rows 100 to 199 of {job}/in/b.parquet are missing")
    (job / "out" / "b.000000000200.parquet").unlink()
    assert "rows 100 to 249" in message(check())
    (job / "out" / "b.000000000000.parquet").unlink()
    assert "is missing, all 250 rows" in message(check())
    assert not (job / "out" / "_sent-manifest.json").exists()


def test_a_file_without_rows_is_missed_too(job, check):
    (job / "out" / "empty.parquet").unlink()
    assert kinds(check()) == ["missing"]


def test_rows_that_are_there_twice(job, check, score):
    score(job / "in", job / "again")
    shutil.copy(job / "again" / "b.parquet", job / "out" / "b.parquet")
    assert kinds(check()) == ["doubled"] * 3
    score(job / "in", job / "halves", piece_rows=150)
    (job / "out" / "b.parquet").unlink()
    shutil.copy(job / "halves" / "b.000000000150.parquet", job / "out")
    assert kinds(check()) == ["doubled"] * 2


def test_a_piece_under_another_name(job, check):
    out = job / "out"
    (out / "b.000000000100.parquet").rename(out / "b.000000000300.parquet")
    assert kinds(check()) == ["damaged", "missing"]


def test_a_foreign_file(job, check):
    (job / "out" / "notes.txt").write_text("of no account")
    (job / "out" / "_SUCCESS").write_text("")
    (job / "out" / ".sent-parts").mkdir()
    (job / "out" / ".sent-parts" / "x.parquet").write_text("")
    assert check().is_complete
    for name in ("x.parquet", "y=1/b.000000000000.parquet", "z.csv"):
        shutil.copy(job / "out" / "b.000000000000.parquet", job / "out" / name)
    (job / "out" / "link.parquet").symlink_to(job / "out" / "b.000000000000.parquet")
    assert kinds(check()) == ["foreign"] * 4


def test_a_damaged_output(job, check):
    path = job / "out" / "b.000000000100.parquet"
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    assert kinds(check()) == ["damaged"]
    path.write_bytes(bytes(content[:100]))
    assert kinds(check()) == ["damaged", "missing"]


@pytest.mark.parametrize("rows", [None, "xy", [0], [0, None]])
def test_an_output_that_tells_no_rows(job, check, rows):
    path = job / "out" / "b.000000000100.parquet"
    table = pq.read_table(path)
    task = json.dumps({"content": {"rows": rows}})
    pq.write_table(table.replace_schema_metadata({"sent.task": task}), path)
    assert kinds(check()) == ["other job", "missing"]


def test_a_manifest_that_cannot_be_written(job, check):
    (job / "out" / "_sent-manifest.json").mkdir()
    with pytest.raises(OutputError, match=r"cannot be written .* though all 280 rows are there"):
        check()


def test_an_output_that_another_program_wrote_again(job, check):
    path = job / "out" / "b.000000000100.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 99), path)
    assert kinds(check()) == ["damaged", "missing"]
    pq.write_table(table.replace_schema_metadata(None), path)
    assert "does not say which job made it" in check().problems[0].message


def test_scores_that_were_changed_since(job, check):
    assert check().is_complete
    path = job / "out" / "b.000000000100.parquet"
    table = pq.read_table(path)
    changed = pa.array(np.zeros(100, np.float32))
    pq.write_table(table.set_column(1, table.schema.field("score"), changed), path)
    assert kinds(check()) == ["changed output"]
    (job / "out" / "_sent-manifest.json").write_text("no JSON")
    assert check().is_complete


def test_an_input_that_changed_since(job, check):
    pq.write_table(reviews(251), job / "in" / "b.parquet")
    found = check()
    assert kinds(found) == ["changed input"] * 3 + ["missing"]
    assert found.problems[0].message.endswith(f"its input {job}/in/b.parquet has changed since")


def test_inputs_that_came_and_went(job, check):
    pq.write_table(reviews(1), job / "in" / "new.parquet")
    (job / "in" / "empty.parquet").unlink()
    assert kinds(check()) == ["foreign", "missing"]
    with pytest.raises(InputError, match="no such file"):
        check(inputs=job / "none")


@pytest.mark.parametrize(
    ("options", "other"),
    [
        ({"columns": []}, "columns"),
        ({"prefix": "p_"}, "prefix"),
        ({"probabilities": True}, "further"),
        ({"part_rows": 7}, "part rows"),
    ],
)
def test_another_job(check, options, other):
    found = check(**options)
    assert sorted(kinds(found)) == ["missing"] * 3 + ["other job"] * 5
    assert f"(other: {other})" in found.problems[0].message


def test_what_is_no_option(check):
    with pytest.raises(UsageError, match="pice_rows: expected options of score_files"):
        check(pice_rows=3)


def test_several_machines(job, check, monkeypatch, score):
    (job / "out" / "b.000000000200.parquet").unlink()
    monkeypatch.setattr("infer.job.job.spacy_version", lambda: "3.0.0")
    score(job / "in", job / "other", **OPTIONS)
    shutil.copy(job / "other" / "b.000000000200.parquet", job / "out")
    found = check()
    assert kinds(found) == ["several machines"]
    assert "made with spaCy version 3.0.0 and not" in message(found)


def test_one_file_and_files_of_text(tmp_path, score, model_path):
    source = tmp_path / "a.csv"
    pyarrow.csv.write_csv(reviews(30), source)
    for name in ("out.csv", "out.jsonl", "out.parquet"):
        score(source, tmp_path / name)
        found = infer.check_complete(source, tmp_path / name, model=model_path)
        assert (found.problems, found.rows, found.manifest) == ([], 30, None)
    (tmp_path / "out.csv").write_text((tmp_path / "out.csv").read_text() + "\n")
    assert kinds(infer.check_complete(source, tmp_path / "out.csv", model=model_path)) == [
        "other job",
        "missing",
    ]
    missing = infer.check_complete(source, tmp_path / "none.csv", model=model_path)
    assert kinds(missing) == ["missing"]
    score([str(source)], tmp_path / "folder", shard=Shard(1, 1))
    assert infer.check_complete(source, tmp_path / "folder", model=model_path).manifest


def test_the_command(job, sent_score):
    done = sent_score(job / "in", "-o", job / "out", "--check-complete", "--json")
    assert done.returncode == 0, done.stderr
    assert "Complete: 280 rows of 3 inputs in 5 files" in done.stderr
    assert json.loads(done.stdout)["complete"] is True
    (job / "out" / "b.000000000100.parquet").unlink()
    done = sent_score(job / "in", "-o", job / "out", "--check-complete", "--json", "--quiet")
    assert done.returncode == 1
    assert "is not complete (1 missing; first: " in done.stderr
    assert [problem["kind"] for problem in json.loads(done.stdout)["problems"]] == ["missing"]
    assert Path(job / "out" / "_sent-manifest.json").exists()
