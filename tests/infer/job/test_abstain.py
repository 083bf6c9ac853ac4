"""`--abstain-below`: which labels are marked as confident, and what is said of them."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import infer
from infer.base.errors import InputError, UsageError
from infer.job.plan import ScoreOptions, make_plan
from infer.job.scoring import score_plan
from infer.model.file import read_model_file, stamp
from infer.model.profile import Profile
from infer.model.risk import RiskCurve, RiskPoint
from infer.model.scorer import Scorer
from infer.model.session import Session
from infer.model.validated import Validated

WORDS = ("good", "bad", "film", "the", "not", "!")
LABELS = ("negative", "positive")


@pytest.fixture(scope="module")
def rows():
    """Texts with and without a score."""
    draw = np.random.default_rng(1)
    texts = [" ".join(draw.choice(WORDS, draw.integers(1, 9))) for _ in range(40)]
    return pa.table({"id": range(43), "text": [*texts[:20], None, "", *texts[20:], "good " * 50]})


@pytest.fixture(scope="module")
def middling(model, session, rows):
    """A confidence that half of the texts have."""
    found = Scorer(model, session)
    score = found.score(found.encode(rows["text"].combine_chunks())).score
    return float(np.nanmedian(np.maximum(score, 1 - score.astype(np.float64))))


@pytest.fixture(scope="module")
def knowing(model_path, middling, tmp_path_factory):
    """The tiny model, with what it knows of 1,000 validation reviews."""
    card = read_model_file(model_path).card
    points = (RiskPoint(0.0, 1_000, 700), RiskPoint(middling, 500, 480))
    profile = replace(
        Profile.nothing(LABELS),
        statuses=Profile.nothing(LABELS).statuses | {"ok": 1_000},
        labels=dict.fromkeys(LABELS, 500),
        scores=(500, *[0] * 18, 500),
        lengths=(*[0] * 8, 1_000, *[0] * 4),
        unknown=(1_000, *[0] * 7),
        tokens=200_000,
    )
    card = replace(card, validated=Validated(profile, RiskCurve(points)))
    path = tmp_path_factory.mktemp("knowing") / "model.onnx"
    path.write_bytes(stamp(onnx.load(model_path), card))
    return path


@pytest.fixture
def source(tmp_path, rows):
    pq.write_table(rows, tmp_path / "in.parquet")
    return tmp_path / "in.parquet"


def run(knowing, source, output, **options):
    return infer.score_files(source, output, model=knowing, device="cpu", threads=1, **options)


def test_labels_so_sure_are_marked(knowing, source, tmp_path, middling):
    summary = run(knowing, source, tmp_path / "out.parquet", abstain_below=0.9)
    read = pq.read_table(tmp_path / "out.parquet")
    assert read.column_names == ["id", "score", "prediction", "status", "confident"]
    assert read.schema.field("confident").type == pa.bool_()
    for score, mark in zip(read["score"].to_pylist(), read["confident"].to_pylist(), strict=True):
        assert mark == (None if score is None else max(score, 1 - score) >= middling)
    assert set(read["status"].to_pylist()) == {"ok", "truncated", "null", "empty"}
    marked = read["confident"].to_pylist().count(True)
    assert 10 < marked < 35
    told = summary.to_json()["abstained"]
    assert told == {
        "below": 0.9, "confidence": middling, "rows": marked, "share": round(marked / 41, 6),
        "expected_accuracy": 0.96, "expected_at_least": told["expected_at_least"],
        "validation_share": 0.5,
    }  # fmt: skip
    assert 0.9 <= told["expected_at_least"] < 0.96


def test_what_every_label_reaches_marks_every_score(knowing, source, tmp_path):
    summary = run(knowing, source, tmp_path / "out.parquet", abstain_below=0.6)
    assert summary.abstained.share == 1
    assert pq.read_table(tmp_path / "out.parquet")["confident"].to_pylist().count(True) == 41


def test_what_cannot_be_had_is_refused_before_anything_is_done(
    knowing, model_path, source, tmp_path
):
    output = tmp_path / "out" / "o.parquet"
    with pytest.raises(UsageError, match=r"surest 50\.0% .* right for 96\.00%, .* Ask for 0\.93"):
        run(knowing, source, output, abstain_below=0.97)
    with pytest.raises(UsageError, match=r"does not say how often .* export the model with this"):
        run(model_path, source, output, abstain_below=0.9)
    for wrong in (0.3, 1.1, float("nan")):
        with pytest.raises(UsageError, match=r"accuracy from 0\.5 to 1"):
            run(knowing, source, output, abstain_below=wrong)
    assert not output.parent.exists()


def test_a_column_of_that_name_is_not_written_twice(knowing, tmp_path):
    pq.write_table(pa.table({"text": ["good"], "Confident": [1]}), tmp_path / "in.parquet")
    with pytest.raises(InputError, match="'Confident' would be written twice"):
        run(knowing, tmp_path / "in.parquet", tmp_path / "o.parquet", abstain_below=0.9)
    run(knowing, tmp_path / "in.parquet", tmp_path / "o.parquet", abstain_below=0.9, prefix="my_")
    names = pq.read_schema(tmp_path / "o.parquet").names
    assert names == ["Confident", "my_score", "my_prediction", "my_status", "my_confident"]


def test_other_formats_hold_it_too(knowing, source, tmp_path):
    whole = run(knowing, source, tmp_path / "o.parquet", abstain_below=0.9)
    marks = pq.read_table(tmp_path / "o.parquet")["confident"].to_pylist()
    run(knowing, source, tmp_path / "o.csv", abstain_below=0.9)
    assert pa.csv.read_csv(tmp_path / "o.csv")["confident"].to_pylist() == marks
    run(knowing, source, tmp_path / "o.jsonl", abstain_below=0.9)
    lines = (tmp_path / "o.jsonl").read_text().splitlines()
    assert [json.loads(line)["confident"] for line in lines] == marks
    # What is there is found, and counted by its note or by its column.
    for name in ("o.parquet", "o.csv", "o.jsonl"):
        again = run(knowing, source, tmp_path / name, abstain_below=0.9)
        assert (again.resumed_rows, again.abstained) == (43, whole.abstained)


def test_parts_serve_with_and_without(knowing, source, tmp_path, monkeypatch):
    """An interrupted job goes on with another accuracy: the scores are the same."""
    file = read_model_file(knowing)

    def job(options):
        plan = make_plan([str(source)], tmp_path / "out.parquet", ScoreOptions(**options))
        return score_plan(plan, Scorer(file, Session(file.data, threads=1)))

    run, runs = Session.run, []

    def fail(self, *arguments):
        runs.append(1)
        if len(runs) > 3:
            raise KeyboardInterrupt
        return run(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "run", fail)
        with pytest.raises(KeyboardInterrupt):
            job({"part_rows": 5})
    summary = job({"part_rows": 5, "abstain_below": 0.9})
    assert summary.resumed_rows > 0
    read = pq.read_table(tmp_path / "out.parquet")
    assert read["confident"].null_count == 2
    # A finished output without the column is another one.
    with pytest.raises(infer.SentError, match="exists"):
        job({"part_rows": 5})


@pytest.mark.parametrize("texts", [[], [None, None]])
def test_nothing_to_score(knowing, tmp_path, texts):
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), tmp_path / "in.parquet")
    summary = run(knowing, tmp_path / "in.parquet", tmp_path / "o.parquet", abstain_below=0.9)
    assert summary.abstained.share == 0
    assert pq.read_table(tmp_path / "o.parquet")["confident"].null_count == len(texts)


def test_the_command_says_what_is_left_and_how_the_texts_differ(
    knowing, source, tmp_path, sent_score
):
    done = sent_score(
        source, "-o", tmp_path / "o.parquet", "--abstain-below", 0.9, "--model", knowing,
        "--processes", 2, "--threads", 2, "--part-rows", 5, "--json", "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "50.0% were, and right for 96.0% (at least 93.9%)" in done.stderr
    assert "Warning: these texts are not like those that the model learned from" in done.stderr
    assert "shorter, around 4 to 7 tokens against 256 to 511" in done.stderr
    told = json.loads(done.stdout)
    assert told["drift"]["lengths"]["in_words"] == "much"
    run(knowing, source, tmp_path / "one.parquet", abstain_below=0.9, part_rows=5)
    assert (tmp_path / "o.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()
    refused = sent_score(source, "-o", tmp_path / "no.parquet", "--abstain-below", "nan",
                         "--model", knowing)  # fmt: skip
    assert refused.returncode == 2 and "expected an accuracy" in refused.stderr


def test_a_loaded_model_marks_too(knowing, model_path, rows, middling):
    model = infer.load(knowing, device="cpu", threads=1)
    found = model.score(rows["text"], abstain_below=0.9)
    assert found.column_names == ["score", "prediction", "status", "confident"]
    assert model(rows, abstain_below=0.9)["confident"].to_pylist() == found["confident"].to_pylist()
    assert found["confident"].null_count == 2
    batch = model(rows.combine_chunks().to_batches()[0], abstain_below=0.9)
    assert batch.column("confident").to_pylist() == found["confident"].to_pylist()
    scorer = infer.Scorer(knowing, device="cpu", abstain_below=0.9)
    assert scorer(rows).equals(model(rows, abstain_below=0.9))
    assert scorer.schema(rows.schema).equals(scorer(rows).schema)
    with pytest.raises(UsageError, match="does not say"):
        infer.load(model_path, device="cpu", threads=1).score(["good"], abstain_below=0.9)
