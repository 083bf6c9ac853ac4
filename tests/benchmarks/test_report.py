"""The documents hold what the JSON holds, and the committed ones are what it gives."""

import json

import pytest

from benchmarks.harness import RESULTS, ROOT
from benchmarks.harness.contract import Goal, ratio_goal
from benchmarks.harness.formats import is_met, markdown, number, verdict
from benchmarks.report import documents, main

GOALS = [
    {"name": "speed", "goal": 3.0, "measured": 2.4, "better": "higher", "unit": "x",
     "floor": None, "runs": [2.3, 2.4, 2.5], "note": "a note"},
    {"name": "labels", "goal": 99.5, "measured": None, "better": "higher", "unit": "%",
     "floor": 100.0, "runs": [], "note": "needs a model"},
    {"name": "padding", "goal": 3.0, "measured": 2.0, "better": "lower", "unit": "%",
     "floor": 0.0, "runs": [2.0], "note": ""},
]  # fmt: skip
TABLE = {
    "title": "Whole commands",
    "columns": ["command", "rows", "reviews/s", "small int8 is … times"],
    "rows": [["linear", 10, 200.0, 0.5], ["small int8", 10, 100.0, 1.0]],
    "note": "",
}


def body(name):
    return {
        "benchmark": name, "mode": "full", "date": "2026-01-01T00:00:00+00:00", "commit": "abc",
        "seed": 123, "data": "some reviews", "trained_models": [], "sizes_changed": {},
        "device": "cpu", "seconds": 1.5, "title": "Peers", "explanation": "How.",
        "machine": {"cpu": "A CPU", "cores": 2, "flags": ["avx2"], "memory_gib": 8.0,
                    "system": "Linux", "load_before": 0.1},
        "versions": {"python": "3.11.7"}, "goals": GOALS, "tables": [TABLE],
        "raw": {},
    }  # fmt: skip


@pytest.fixture
def results(tmp_path):
    (tmp_path / "peers.json").write_text(json.dumps(body("peers")), encoding="utf-8")
    return tmp_path


def test_committed_documents_are_what_the_json_gives():
    for name, text in documents(RESULTS).items():
        path = ROOT / "docs" / name
        assert path.read_text(encoding="utf-8") == text, "run python -m benchmarks.report"


def test_every_goal_is_told_and_losses_plainly(results):
    text = documents(results)["performance.md"]
    assert "| Speed | ≥ 3.00x | 2.40x | — | **missed** (-20 %) | a note |" in text
    assert "- **Missed**: speed: 2.40x, goal ≥ 3.00x" in text
    assert "- Not measured: labels (needs a model)" in text
    assert "met (-1.00%)" in text
    assert "- linear is faster than small int8 (2.0 times)" in text
    assert "| Speed | 2.30x, 2.40x, 2.50x |" in text
    assert "A CPU, 2 cores" in text


def test_the_command_that_measures_again_is_whole(results):
    changed = body("peers") | {"trained_models": ["small int8"], "sizes_changed": {"peers.a": 3}}
    (results / "peers.json").write_text(json.dumps(changed), encoding="utf-8")
    text = documents(results)["performance.md"]
    told = "`python -m benchmarks.run full --only peers --small-int8-model FILE --set peers.a=3`"
    assert told in text


def test_nothing_measured_is_said(tmp_path):
    found = documents(tmp_path)
    assert "Nothing has been measured yet." in found["performance.md"]
    assert "Not yet run on a GPU" in found["cuda.md"]
    assert "not been measured yet" in found["scaling.md"]


def test_scaling_says_what_fills_cores_and_gpus(tmp_path):
    rates = {"read": 80_000.0, "encode": 20_000.0, "pad": 400_000.0, "write": 1e6}
    raw = {"reviews_per_second": rates, "tokens_a_review": 270.0, "file_bytes_a_review": 456.0}
    one = {"title": "One thread", "columns": ["what", "reviews/s"], "note": "",
           "rows": [["ours", 40_000.0], ["ours, cold", 10_000.0]]}  # fmt: skip
    columns = ["precision", "reviews/s, process", "reviews/s, session.run", "times fp32"]
    found = [
        {"title": f"{size} model, 9 reviews", "columns": columns, "note": "",
         "rows": [["fp32", 1.0, rate, 1.0], ["int8", 1.0, 2 * rate, 2.0]]}
        for size, rate in (("article", 200.0), ("small", 2_000.0))
    ]  # fmt: skip
    for name, changes in (
        ("stages", {"raw": raw}),
        ("encoding", {"tables": [one]}),
        ("precision", {"tables": found}),
    ):
        content = {**body(name), **changes}
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    text = documents(tmp_path)["scaling.md"]
    # One core: 1 / (1 / 20,000 + 1 / 400,000 + 1 / 2,000) = 1,810 reviews/s warm.
    assert "| 16 | imdb-small (int8), warm | 20,000 | 4 | 28,959 | the cores |" in text
    assert "| 16 | imdb-small (int8), cold | 10,000 | 4 | 26,556 | the cores |" in text
    assert "| 64 | imdb-small (int8), warm | 20,000 | 16 | 74,074 | reading and writing |" in text
    assert "8 at 29,000 reviews/s need 232,000 from each stage" in text
    assert "| encode, warm | 20,000 | 12 |" in text
    assert "| encode, cold | 10,000 | 24 |" in text
    assert "So 2 processes a GPU fill it" in text
    assert "One process reads 80,000 reviews/s, 34% of what 8 GPUs could take" in text


def test_scaling_takes_the_rate_that_a_gpu_had():
    text = documents(RESULTS)["scaling.md"]
    assert "Rate of a GPU: measured on NVIDIA H200" in text
    assert "8 at 45,449 reviews/s" in text


def test_check_tells_stale_documents_and_writes_nothing(results, tmp_path, capsys):
    docs = tmp_path / "docs"
    arguments = ["--results", str(results), "--docs", str(docs)]
    assert main([*arguments, "--check"]) == 1
    assert not docs.exists()
    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 0
    assert "performance.md" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("goal", "met", "said"),
    [
        (Goal("a", 2.0, 3.0), True, "met (+50 %)"),
        (Goal("a", 1.05, 1.26, "lower"), False, "**missed** (+20 %)"),
        (Goal("a", 1.0, None), None, "not measured"),
    ],
)
def test_a_goal_is_held_against_its_measurement(goal, met, said):
    assert is_met(vars(goal)) is met
    assert verdict(vars(goal)) == said


def test_ratios_are_of_pairs():
    goal = ratio_goal("a", 2.0, [2.0, 9.0, 3.0], [1.0, 3.0, 2.0])
    assert goal.runs == (2.0, 3.0, 1.5)
    assert goal.measured == 2.0


def test_numbers_and_tables():
    assert [number(n) for n in (1234567, 1234.5, 45.67, 1.234, 0.0)] == [
        "1,234,567", "1,234", "45.7", "1.23", "0",
    ]  # fmt: skip
    assert markdown(("a", "b"), [("x|y", 1), ("z", None)]).splitlines() == [
        "| a | b |", "|---|---:|", "| x\\|y | 1 |", "| z | — |",
    ]  # fmt: skip
