"""A job's counts of what it scored: to the number the same, however it was carried out."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infer.base.errors import OutputError
from infer.job.plan import ScoreOptions, make_plan
from infer.job.scoring import score_plan
from infer.model.profile import PROFILE_KEY, Profile
from infer.model.scorer import Scorer
from infer.model.session import Session
from infer.table.columns import RESULT_COLUMNS

WORDS = ("good", "bad", "film", "the", "unheard-of", "<br />")
LABELS = ("negative", "positive")


def write(path, texts):
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), path)
    return path


@pytest.fixture
def source(tmp_path):
    """Texts of which many are equal, some missing, some empty, some longer than 40 tokens."""
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS, draw.integers(0, 60))) for _ in range(70)]
    return write(tmp_path / "in.parquet", [*texts, None, *texts[:30], "good film", "good film"])


def profile_of(path):
    return Profile.from_text(pq.read_schema(path).metadata[PROFILE_KEY.encode()], LABELS)


def counted(path):
    """Count again what the columns say."""
    table = pq.read_table(path)
    scores = table["score"].drop_null().to_numpy().astype(np.float64)
    bins = np.minimum(np.floor(scores * 20), 19).astype(int)
    return {
        "scores": np.bincount(bins, minlength=20).tolist(),
        "statuses": {name: table["status"].to_pylist().count(name) for name in
                     ("ok", "truncated", "null", "empty", "invalid")},
        "labels": {name: table["prediction"].to_pylist().count(name) for name in LABELS},
    }  # fmt: skip


def test_equal_texts_are_run_once_and_counted_each(tmp_path, score, source):
    summary = score(source, tmp_path / "out.parquet")
    found = profile_of(tmp_path / "out.parquet")
    assert summary.profile == found
    assert summary.to_json()["profile"] == found.to_json()
    assert found.to_json().items() >= counted(tmp_path / "out.parquet").items()
    assert found.rows == 103
    assert (
        sum(found.lengths) == found.scored == summary.statuses["ok"] + summary.statuses["truncated"]
    )
    assert summary.to_json()["drift"] is None  # the model says nothing of what it learned from


def test_any_way_of_scoring_gives_the_same_bytes(tmp_path, score, source, sent_score):
    folder = tmp_path / "out"
    folder.mkdir()
    score(source, folder / "whole.parquet", part_rows=7)

    def same(name):
        return (folder / name).read_bytes() == (folder / "whole.parquet").read_bytes()

    done = sent_score(
        source, "-o", folder / "two.parquet", "--part-rows", 7, "--processes", 2, "--threads", 2,
        "--json", "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert same("two.parquet")
    assert json.loads(done.stdout)["profile"] == profile_of(folder / "whole.parquet").to_json()


def test_a_job_that_goes_on_counts_what_was_scored_before(
    tmp_path, score, source, model, session, monkeypatch
):
    score(source, tmp_path / "whole.parquet", part_rows=7)
    plan = make_plan([str(source)], tmp_path / "out.parquet", ScoreOptions(part_rows=7))
    run, runs = Session.run, []

    def fail(self, *arguments):
        runs.append(1)
        if len(runs) > 4:
            raise KeyboardInterrupt
        return run(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "run", fail)
        with pytest.raises(KeyboardInterrupt):
            score_plan(plan, Scorer(model, session))
    summary = score(source, tmp_path / "out.parquet", part_rows=7)
    assert 0 < summary.resumed_rows < 103
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    again = score(source, tmp_path / "out.parquet", part_rows=7)
    assert again.resumed_rows == 103
    assert again.profile == summary.profile


@pytest.mark.parametrize("texts", [[], [None, None], ["", " "]])
def test_nothing_to_score_is_counted_too(tmp_path, score, texts):
    summary = score(write(tmp_path / "in.parquet", texts), tmp_path / "out.parquet")
    assert summary.profile.rows == len(texts)
    assert summary.profile.scored == 0
    assert summary.warning is None


def test_several_files_add_up_and_other_formats_keep_counts_in_their_note(tmp_path, score, source):
    whole = score(source, tmp_path / "out.csv")
    assert score(source, tmp_path / "out.csv").profile == whole.profile
    write(tmp_path / "more.parquet", ["good film"])
    both = score([str(source), str(tmp_path / "more.parquet")], tmp_path / "both")
    assert both.profile.rows == 104
    files = (tmp_path / "both").glob("*.parquet")
    assert sum(map(profile_of, files), Profile.nothing(LABELS)) == both.profile


def test_an_output_that_lost_its_counts_is_no_output_of_the_job(tmp_path, score, source):
    output = tmp_path / "out.parquet"
    score(source, output)
    table = pq.read_table(output)
    kept = {k: v for k, v in table.schema.metadata.items() if k != PROFILE_KEY.encode()}
    pq.write_table(table.replace_schema_metadata(kept), output)
    with pytest.raises(OutputError, match="damaged"):
        score(source, output)
    assert pq.read_table(output).column_names == [*RESULT_COLUMNS]
