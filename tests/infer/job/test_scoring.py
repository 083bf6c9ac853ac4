"""The main path on real files: every row comes back, whatever happens on the way."""

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infer.base.errors import InputError, JobError, OutputError, SentError
from infer.job.plan import ScoreOptions, make_plan
from infer.job.scoring import score_plan
from infer.model.cuda import CUDA
from infer.model.probability import probabilities
from infer.model.scorer import Scorer
from infer.model.session import OutOfMemoryError, Session
from infer.table import parquet
from infer.table.outputs import LocalOutput
from infer.text.settings import TextSettings
from infer.text.tokenizer import Tokenizer, spacy_version
from tests.infer.text.samples import SAMPLES

MINOR = ".".join(spacy_version().split(".")[:2])
WORDS = ["good", "bad", "film", "the", "a", "not", ".", "!", "unheard-of", "<br />"]


def reviews(rows, seed=0):
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(WORDS, draw.integers(1, 30))) for _ in range(rows)]
    return pa.table({"id": np.arange(rows), "text": texts})


def write(path, table, **options):
    pq.write_table(table, path, **options)
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


ROWS_POLICY = [
    (b"good film", "ok"),
    (None, "null"),
    (b"", "empty"),
    (b" \t\n\xc2\xa0\xe2\x80\x83 ", "empty"),
    (b"<br /><br>", "empty"),
    (b"\xff", "invalid"),
    (b"good \xed\xa0\x80 film", "invalid"),
    (b"good\x00film \x00", "ok"),
    ("🎬👩‍👩‍👧 Ωραία ταινία".encode(), "ok"),
    ("فيلم جيد \u202e".encode(), "ok"),
    (b"!" * 100, "truncated"),
    (b"https://" + b"a.b/" * 50_000, "truncated"),
    (b"the " * 40, "ok"),
    (b"the " * 41, "truncated"),
]


@pytest.mark.parametrize("kind", [pa.binary(), pa.string(), pa.large_string(), pa.string_view()])
def test_every_row_becomes_a_row_with_its_status(tmp_path, score, kind):
    texts = pa.array([text for text, _ in ROWS_POLICY], pa.binary())
    texts = texts.view(kind) if kind in (pa.binary(), pa.string()) else unchecked(texts, kind)
    table = pa.table({"id": range(len(ROWS_POLICY)), "text": texts})
    source = write(tmp_path / "in.parquet", table)
    summary = score(source, tmp_path / "out.parquet")
    read = pq.read_table(tmp_path / "out.parquet")
    expected = [status for _, status in ROWS_POLICY]
    assert read["id"].to_pylist() == list(range(len(ROWS_POLICY)))
    found = read["status"].to_pylist()
    # How many tokens spaCy makes of one long word is its own affair.
    assert [s if s == e else f"{s} for {e}" for s, e in zip(found, expected, strict=True)] == found
    for value, status in zip(read["score"].to_pylist(), found, strict=True):
        assert (value is not None and 0 <= value <= 1) == (status in ("ok", "truncated"))
    assert summary.statuses == {name: found.count(name) for name in summary.statuses}


def test_a_word_of_a_million_characters_and_a_review_of_ten_megabytes(tmp_path, score):
    texts = ["good film", "a" * 1_000_000, "good film . " * 900_000, "bad film"]
    write(tmp_path / "in.parquet", pa.table({"text": texts}))
    score(tmp_path / "in.parquet", tmp_path / "out.parquet")
    read = pq.read_table(tmp_path / "out.parquet")
    assert read["status"].to_pylist() == ["ok", "ok", "truncated", "ok"]
    assert read["score"].null_count == 0


def unchecked(texts, kind):
    """Make an array of a string type that may hold bytes which are no UTF-8."""
    large = texts.cast(pa.large_binary())
    if kind == pa.large_string():
        return large.view(kind)
    return texts.cast(pa.binary_view()).view(kind)


def test_a_dictionary_column_with_bad_entries(tmp_path, score):
    values = pa.array([b"good film", b"\xff", b""], pa.binary()).view(pa.string())
    texts = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2, 0], pa.int32()), values)
    write(tmp_path / "in.parquet", pa.table({"text": texts}))
    score(tmp_path / "in.parquet", tmp_path / "out.parquet")
    read = pq.read_table(tmp_path / "out.parquet")
    assert read["status"].to_pylist() == ["ok", "invalid", "null", "empty", "ok"]


def test_a_folder_in_a_folder_out(tmp_path, score):
    table = reviews(20)
    for name in ("y=1/a.parquet", "y=2/a.parquet", "empty.parquet"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / "in" / name, table.slice(0, 0 if "empty" in name else 20))
    summary = score(tmp_path / "in", tmp_path / "out")
    assert summary.rows == 40
    assert [file["rows"] for file in summary.files] == [0, 20, 20]
    assert names(tmp_path) == ["in", "out"]
    one, two = (pq.read_table(tmp_path / f"out/y={i}/a.parquet", partitioning=None) for i in (1, 2))
    assert one.equals(two)
    assert one["id"].equals(table["id"])


def run(source, output, model, session, **options):
    options = {"part_rows": 10, **options}
    plan = make_plan([str(source)], output, ScoreOptions(**options))
    return score_plan(plan, Scorer(model, session, plan.options.batch_tokens))


@pytest.fixture
def on_progress(monkeypatch):
    """Call a function with the rows that are scored, as they are, in the jobs that follow."""

    def call(advance):
        @contextmanager
        def progress(title, total, unit=""):
            yield advance

        monkeypatch.setattr("infer.job.scoring.progress", progress)

    return call


@pytest.fixture
def run_until(on_progress, model, session):
    """Run a job, and stop it once so many rows are kept as parts."""

    def run_and_stop(rows, source, output, **options):
        seen = []

        def advance(more):
            seen.append(more)
            if sum(seen) >= rows:
                raise SentError("stopped by the test")

        on_progress(advance)
        with pytest.raises(SentError, match="stopped") as caught:
            run(source, output, model, session, **options)
        on_progress(lambda rows: None)
        return caught.value

    return run_and_stop


@pytest.fixture
def interrupted(tmp_path, run_until):
    """A job of 100 rows that was stopped after some sixty."""
    source = write(tmp_path / "in.parquet", reviews(100))
    stopped = run_until(65, source, tmp_path / "out.parquet")
    assert "the same command goes on from there" in stopped.__notes__[0]
    return source


def test_a_resumed_job_ends_in_the_same_bytes(tmp_path, interrupted, model, session):
    run(interrupted, tmp_path / "whole.parquet", model, session)
    summary = run(interrupted, tmp_path / "out.parquet", model, session)
    assert 0 < summary.resumed_rows < 100
    assert summary.rows == 100
    whole, resumed = ((tmp_path / f"{n}.parquet").read_bytes() for n in ("whole", "out"))
    assert whole == resumed
    assert names(tmp_path) == ["in.parquet", "out.parquet", "whole.parquet"]


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        ("model", {}, "changed since: model"),
        (None, {"batch_tokens": 7}, "changed since: batch tokens"),
        (None, {"resume": False}, "--no-resume"),
    ],
)
def test_other_scores_start_over(
    tmp_path, interrupted, model, session, said, change, options, reason
):
    if change == "model":
        model = replace(model, sha256="0" * 64)
    summary = run(interrupted, tmp_path / "out.parquet", model, session, **options)
    assert summary.resumed_rows == 0
    assert f"Starting over ({reason})" in said()[-1]
    assert names(tmp_path) == ["in.parquet", "out.parquet"]


@pytest.mark.parametrize("change", ["content", "time"])
def test_an_input_that_changed_is_scored_anew(tmp_path, interrupted, model, session, change):
    if change == "content":
        write(interrupted, reviews(100, seed=1))
    interrupted.touch()
    assert run(interrupted, tmp_path / "out.parquet", model, session).resumed_rows == 0
    assert names(tmp_path) == ["in.parquet", "out.parquet"]


@pytest.mark.parametrize("options", [{"prefix": "x_"}, {"columns": ()}, {"columns": ("id",)}])
def test_what_is_carried_over_costs_no_progress(tmp_path, interrupted, model, session, options):
    assert run(interrupted, tmp_path / "out.parquet", model, session, **options).resumed_rows >= 30


def test_an_input_replaced_meanwhile_gives_no_scores_to_other_rows(
    tmp_path, model, session, on_progress
):
    """The same number of rows, in another order: only the file's identity tells."""
    source, output = write(tmp_path / "in.parquet", reviews(40)), tmp_path / "out.parquet"
    other = write(tmp_path / "other.parquet", reviews(40).take(np.arange(40)[::-1]))
    on_progress(lambda rows: other.replace(source) if other.exists() else None)
    with pytest.raises(JobError, match=r"in\.parquet: changed while it was read\. Start over"):
        run(source, output, model, session)
    assert not output.exists()
    run(source, output, model, session)
    assert pq.read_table(output)["id"].to_pylist() == list(range(40))[::-1]


def test_an_interrupted_job_does_not_wait_for_what_is_being_encoded(
    tmp_path, run_until, monkeypatch
):
    rows, words = (
        1_024,
        100,
    )  # of the second window, which is one slice: 100,000 calls without a stop
    monkeypatch.setattr("infer.text.encoding.TOKENIZED_AT_ONCE", 1)
    calls = []
    tokenize = Tokenizer.tokenize_chunks
    monkeypatch.setattr(
        Tokenizer, "tokenize_chunks", lambda self, new: (calls.append(1), tokenize(self, new))[1]
    )
    unknown = [" ".join(f"word-{i}-{j}" for j in range(words)) for i in range(rows)]
    table = pa.table({"text": ["good film"] * rows + unknown})
    source = write(tmp_path / "in.parquet", table)
    run_until(1, source, tmp_path / "out.parquet", part_rows=16_384)
    assert len(calls) < rows * words


def test_the_next_window_is_read_while_one_is_encoded(tmp_path, model, monkeypatch):
    """For a GPU, whose name this session is given: there the time shows."""
    session = Session(model.data, threads=1)
    session.provider = CUDA
    second, seen = threading.Event(), []

    def text_windows(*arguments):
        for number, window in enumerate(parquet.text_windows(*arguments)):
            if number == 1:
                second.set()
            yield window

    class Waiting(Scorer):
        def encode(self, texts):
            seen.append(second.wait(10))
            return super().encode(texts)

    monkeypatch.setattr("infer.job.scoring.text_windows", text_windows)
    source = write(tmp_path / "in.parquet", reviews(40))
    plan = make_plan([str(source)], tmp_path / "out.parquet", ScoreOptions(part_rows=10))
    assert score_plan(plan, Waiting(model, session)).rows == 40
    assert seen == [True] * 4


def test_a_column_without_a_value_has_no_type_and_null_rows(tmp_path, score):
    write(tmp_path / "in.parquet", pa.table({"id": [1, 2], "text": pa.nulls(2)}))
    score(tmp_path / "in.parquet", tmp_path / "out.parquet")
    read = pq.read_table(tmp_path / "out.parquet")
    assert read["status"].to_pylist() == ["null", "null"]
    assert read["score"].to_pylist() == [None, None]


@pytest.fixture
def interrupted_folder(tmp_path, run_until):
    """Two files of 50 rows; `out` has the scores of the first and a part of the second's."""
    for name in "ab":
        (tmp_path / "in").mkdir(exist_ok=True)
        write(tmp_path / "in" / f"{name}.parquet", reviews(50))
    run_until(75, tmp_path / "in", tmp_path / "out")
    return tmp_path / "in"


def test_a_resumed_folder_keeps_what_was_committed(tmp_path, interrupted_folder, model, session):
    assert names(tmp_path) == ["in", "out"]  # a container may have nothing else that lasts
    assert names(tmp_path / "out") == [".sent-parts", "a.parquet"]
    assert pq.read_table(tmp_path / "out").num_rows == 50  # readers pass the parts over
    first = (tmp_path / "out" / "a.parquet").stat()
    summary = run(interrupted_folder, tmp_path / "out", model, session)  # without --overwrite
    assert 50 <= summary.resumed_rows < 100  # all of a, perhaps parts of b
    assert summary.rows == 100
    assert (tmp_path / "out" / "a.parquet").stat().st_mtime_ns == first.st_mtime_ns
    assert names(tmp_path / "out") == ["a.parquet", "b.parquet"]
    assert run(interrupted_folder, tmp_path / "out", model, session).resumed_rows == 100
    with pytest.raises(OutputError):
        run(interrupted_folder, tmp_path / "out", model, session, resume=False)


def test_another_job_that_is_refused_costs_no_progress(
    tmp_path, interrupted_folder, model, session
):
    for other in ({"columns": ()}, {"batch_tokens": 7}):
        with pytest.raises(OutputError):
            run(interrupted_folder, tmp_path / "out", model, session, **other)
    assert run(interrupted_folder, tmp_path / "out", model, session).resumed_rows >= 30


def test_leftovers_of_another_job_do_not_cost_the_work(
    tmp_path, interrupted, model, session, on_progress
):
    """Part files lie there, but the output is not theirs: told before the work, not after."""
    (tmp_path / "out.parquet").write_text("precious")
    scored = []
    on_progress(scored.append)
    with pytest.raises(OutputError):
        run(interrupted, tmp_path / "out.parquet", model, session, batch_tokens=7)
    assert scored == []
    assert (tmp_path / "out.parquet").read_text() == "precious"


def test_an_output_that_appears_meanwhile_is_kept(tmp_path, model, session, on_progress):
    source, output = write(tmp_path / "in.parquet", reviews(20)), tmp_path / "out.parquet"
    on_progress(lambda rows: output.write_text("theirs"))
    with pytest.raises(OutputError):
        run(source, output, model, session)
    assert output.read_text() == "theirs"
    run(source, output, model, session, overwrite=True)
    assert pq.read_metadata(output).num_rows == 20


class SmallDevice(Session):
    """A device with room for so many tokens at a time."""

    room = 100

    def run(self, input_ids, lengths, give_back=False):
        if input_ids.size > self.room:
            raise OutOfMemoryError("no room")
        return super().run(input_ids, lengths, give_back)


def test_scores_do_not_depend_on_the_cores(tmp_path, model):
    source = write(tmp_path / "in.parquet", reviews(200))
    for cores in (1, 3):
        session = Session(model.data, threads=cores)
        assert session.at_once == cores
        run(source, tmp_path / f"{cores}.parquet", model, session, batch_tokens=40)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "3.parquet").read_bytes()


def test_a_job_taken_up_with_other_cores_goes_on(tmp_path, model, interrupted):
    session = Session(model.data, threads=3)
    summary = run(interrupted, tmp_path / "out.parquet", model, session)
    assert summary.resumed_rows > 0


def test_out_of_memory_halves_the_budget_and_goes_on(tmp_path, model, session, said):
    source = write(tmp_path / "in.parquet", reviews(200))
    run(source, tmp_path / "whole.parquet", model, session)
    small = SmallDevice(model.data, threads=1)
    summary = run(source, tmp_path / "out.parquet", model, small)
    assert 50 <= summary.batch_tokens <= 100
    assert summary.to_json()["batch_tokens"] == summary.batch_tokens
    lines = said()
    assert all("Out of device memory: going on with" in line for line in lines)
    assert 1 <= len(lines) <= 3  # remembered: not tried again in each part
    one, two = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("whole", "out"))
    scores = one["score"].to_numpy(), two["score"].to_numpy()
    np.testing.assert_allclose(*scores, rtol=0, atol=1e-6)


class HoardingDevice(Session):
    """A device with room for 100 tokens, that keeps what a batch took until it is given back."""

    held = 0

    def run(self, input_ids, lengths, give_back=False):
        has_room = self.held + input_ids.size <= 100
        self.held = 0 if give_back else max(self.held, input_ids.size * has_room)
        if not has_room:
            raise OutOfMemoryError("no room")
        return super().run(input_ids, lengths, give_back)


def test_what_other_batches_left_does_not_cost_the_budget(model):
    scorer = Scorer(model, HoardingDevice(model.data, threads=1), 160)
    # Ten tokens each, all different.
    bits = [f"{row:010b}".replace("0", "good ").replace("1", "bad ") for row in range(53)]
    scores = scorer.score(scorer.encode(pa.array(bits)))  # 16, 16, 16, 5 rows
    assert scorer.batch_tokens == 80
    assert np.isfinite(scores.score).all()


def test_no_room_for_a_single_review(tmp_path, model):
    device = SmallDevice(model.data)
    device.room = 3
    source = write(tmp_path / "in.parquet", reviews(20))
    with pytest.raises(SentError, match=r"no room for a single review\. Use --threads 1"):
        run(source, tmp_path / "out.parquet", model, device)
    assert names(tmp_path) == ["in.parquet"]


def test_logits_that_are_no_numbers(tmp_path, model):
    class Faulty(Session):
        def run(self, input_ids, lengths, give_back=False):
            return np.full(len(lengths), np.nan, np.float32)

    source = write(tmp_path / "in.parquet", reviews(20))
    with pytest.raises(SentError, match="not a number"):
        run(source, tmp_path / "out.parquet", model, Faulty(model.data))
    assert names(tmp_path) == ["in.parquet"]


def test_a_page_that_is_damaged_midway(tmp_path, model, session):
    source = tmp_path / "in.parquet"
    write(source, reviews(1000), row_group_size=100, write_page_checksum=True, compression="none")
    chunk = pq.read_metadata(source).row_group(6).column(1)
    content = bytearray(source.read_bytes())
    content[chunk.data_page_offset + 100] ^= 1
    source.write_bytes(content)
    with pytest.raises(JobError, match=r"in\.parquet: column 'text': not a whole") as caught:
        run(source, tmp_path / "out.parquet", model, session)
    assert "the same command goes on from there" in caught.value.__notes__[0]
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["in.parquet", "out.parquet.sent-parts"]


@pytest.mark.parametrize("logit", [-200.0, -1.0, 0.0, 1.0, 200.0])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.0])
def test_the_probability_is_a_sigmoid_without_overflow(logit, temperature):
    with np.errstate(all="raise", under="ignore"):
        found = probabilities(np.array([logit], np.float32), temperature)
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-np.float64(logit / temperature)))
    np.testing.assert_allclose(found, [expected], rtol=1e-6, atol=1e-30 if logit > -9 else 1e-7)


def test_the_plan_refuses_to_replace_what_it_reads(tmp_path, model_path):
    source = write(tmp_path / "in.parquet", reviews(2))
    for output in (source, model_path):
        with pytest.raises(OutputError):
            make_plan([str(source)], output, ScoreOptions(overwrite=True), model_path)
    with pytest.raises(InputError, match="no column 'x'"):
        make_plan([str(source)], tmp_path / "o", ScoreOptions(text_column="x"))


@pytest.mark.parametrize(
    ("made", "warns"),
    [("", False), (spacy_version(), False), (f"{MINOR}.999", False), ("2.3.1", True)],
)
def test_another_spacy_is_warned_of(tmp_path, model, session, said, made, warns):
    """Of the versions that are allowed, those of one minor version cut alike."""
    model = replace(model, card=replace(model.card, text=TextSettings(spacy_version=made)))
    source = write(tmp_path / "in.parquet", reviews(3))
    run(source, tmp_path / "out.parquet", model, session)
    warned = [line.startswith("Warning: the model learned from") for line in said()]
    assert warned == [True] * warns


def test_texts_of_a_foreign_script_are_mentioned_once(tmp_path, model, session, said):
    (tmp_path / "in").mkdir()
    for name in ("a.parquet", "b.parquet"):
        write(tmp_path / "in" / name, pa.table({"text": [SAMPLES["zh"][:16] * 3] * 4}))
    run(tmp_path / "in", tmp_path / "out", model, session)
    warned = [line for line in said() if "of the letters are CJK" in line]
    assert len(warned) == 1 and "a.parquet" in warned[0] and "--language" in warned[0]


def test_a_model_of_another_language_cuts_its_texts(tmp_path, model, session, said):
    settings = TextSettings(language="zh", max_tokens=9, head_tokens=3)
    card = replace(model.card, text=settings)
    rows = pa.table({"text": ["好看", "good", "好" * 10, " "]})
    source = write(tmp_path / "in.parquet", rows)
    run(source, tmp_path / "out.parquet", replace(model, card=card), session)
    statuses = pq.read_table(tmp_path / "out.parquet")["status"].to_pylist()
    assert statuses == ["ok", "ok", "truncated", "empty"]
    assert not any("of the letters" in line for line in said())


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("x" * 300, "cannot be written (File name too long)"),
        ("é" * 120, "the name has 240 bytes, expected at most"),
        ("scores-\udcff.parquet", "the name is not UTF-8"),
    ],
)
def test_outputs_with_impossible_names(tmp_path, output, message):
    source = write(tmp_path / "in.parquet", reviews(1))
    with pytest.raises(OutputError) as caught:
        make_plan([str(source)], tmp_path / output, ScoreOptions())
    assert message in str(caught.value)


def test_an_input_whose_name_is_no_text(tmp_path):
    with pytest.raises(InputError, match="the name is not UTF-8"):
        make_plan([f"{tmp_path}/\udcff.parquet"], tmp_path / "out.parquet", ScoreOptions())


def test_a_folder_becomes_the_current_folder(tmp_path, score, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "here").mkdir()
    write(tmp_path / "in" / "a.parquet", reviews(3))
    monkeypatch.chdir(tmp_path / "here")
    score(tmp_path / "in", Path())
    assert pq.read_table("a.parquet").num_rows == 3
    assert names(tmp_path) == ["here", "in"]


def test_the_job_is_described_in_words(tmp_path, interrupted):
    job = json.loads(
        (LocalOutput(tmp_path / "out.parquet").parts(single=True) / "job.json").read_text()
    )
    assert set(job) == {
        "model",
        "batch tokens",
        "part rows",
        "profile",
        "provider",
        "TF32",
        "toolkit version",
        "ONNX Runtime version",
        "spaCy version",
    }
