"""What is missing, doubled, damaged or of another job is named; nothing else is."""

import json
import shutil
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import infer
from infer.base.errors import InputError, UsageError
from infer.job.shards import Shard
from tests.infer.job.conftest import OPTIONS, kinds, message, reviews


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
    assert "is missing, 250 rows of" in message(check())
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
    assert kinds(found) == ["other job"] * 5  # which are not missing beside that
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
        "other job"
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
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["kind"] == "missing"
    assert Path(job / "out" / "_sent-manifest.json").exists()
    done = sent_score(job / "in", "-o", job / "out", "--check-complete")
    assert done.stderr.count(problem["message"]) == 1
    assert "is not complete (1 missing). Run what is missing again" in done.stderr


def test_of_one_row_it_speaks_as_of_one(tmp_path, score, sent_score):
    pq.write_table(reviews(1), tmp_path / "a.parquet")
    score(tmp_path / "a.parquet", tmp_path / "out.parquet")
    done = sent_score(tmp_path / "a.parquet", "-o", tmp_path / "out.parquet", "--check-complete")
    assert "Complete: 1 row of 1 input in 1 file\n" in done.stderr


def test_a_faulty_file_is_named_once(tmp_path, score, model_path):
    source, output = tmp_path / "a.parquet", tmp_path / "out.parquet"
    pq.write_table(reviews(30), source)
    score(source, output)
    found = infer.check_complete(source, output, model=model_path, columns=[])
    assert kinds(found) == ["other job"]
    content = bytearray(output.read_bytes())
    output.write_bytes(content[:200])
    assert kinds(infer.check_complete(source, output, model=model_path)) == ["damaged"]
    content[60] ^= 1
    output.write_bytes(content)
    found = infer.check_complete(source, output, model=model_path)
    assert kinds(found) == ["damaged"] and message(found).count(str(output)) == 1


def test_rows_behind_those_of_a_faulty_file_are_missing(job, check):
    path = job / "out" / "b.000000000100.parquet"
    pq.write_table(pq.read_table(path).slice(0, 99), path)
    (job / "out" / "b.000000000200.parquet").unlink()
    found = check()
    assert kinds(found) == ["damaged", "missing"]
    assert "rows 200 to 249 of" in found.problems[1].message
