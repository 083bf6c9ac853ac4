"""Each benchmark runs for real at tiny sizes; no time is asserted."""

import json
from importlib import import_module

import pytest

from benchmarks import encoding, overlap
from benchmarks.harness import BENCHMARKS
from benchmarks.harness.formats import goal_line
from benchmarks.run import main, run_one

# The whole table of goals: a benchmark that drops one is noticed.
GOALS = {
    "encoding": 1,
    "kinds": 1,
    "batching": 3,
    "overlap": 1,
    "precision": 3,
    "peers": 3,
    "startup": 5,
    "growth": 2,
    "repeats": 2,
    "processes": 3,
    "scale": 5,
    "stages": 0,
    "training": 1,
    "reports": 2,
}
SLOW = (
    "growth",
    "overlap",
    "peers",
    "precision",
    "processes",
    "repeats",
    "reports",
    "scale",
    "startup",
    "training",
)
MODULES = [import_module(f"benchmarks.{name}") for name in BENCHMARKS]


def test_every_benchmark_is_listed():
    assert set(GOALS) == set(BENCHMARKS)
    assert all({"tiny", "quick", "full"} == module.SIZES.keys() for module in MODULES)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in BENCHMARKS],
)
def test_runs_and_writes_its_json(name, settings, tmp_path):
    path = run_one(name, settings, tmp_path)
    assert path.name == f"{name}.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    assert body["machine"]["cores"] >= 1
    assert {"python", "pyarrow", "numpy"} <= body["versions"].keys()
    assert (body["seed"], body["mode"]) == (123, "tiny")
    assert len(body["goals"]) == GOALS[name]
    assert body["tables"]
    for goal in body["goals"]:
        assert goal["measured"] is not None or goal["note"]
        assert goal["name"] in goal_line(goal)
    if name == "training":  # the packed network is the same network
        assert body["raw"]["difference"] < 1e-5
    for table in body["tables"]:
        assert all(len(row) == len(table["columns"]) for row in table["rows"])


def test_both_sides_make_the_same_tokens(settings):
    texts = encoding.window(settings, 50)
    one = encoding.one_thread(texts, encoding_vocabulary(settings), 1)
    assert one["tokens"]["ours"] == one["tokens"]["spaCy"] > 0


def encoding_vocabulary(settings):
    from benchmarks.harness.models import model_path
    from infer.model.file import read_model_file

    return read_model_file(model_path(settings, "article fp32")).card.vocabulary


def test_sizes_can_be_changed(settings):
    from dataclasses import replace

    changed = replace(settings, overrides={"overlap.rows": 7})
    assert changed.sizes("overlap", overlap.SIZES).rows == 7
    wrong = replace(settings, overrides={"overlap.lines": 7})
    with pytest.raises(ValueError, match="overlap has no size 'lines', expected"):
        wrong.sizes("overlap", overlap.SIZES)


@pytest.mark.slow
def test_command_runs_each_in_its_own_process_and_says_what_failed(tmp_path, capfd):
    arguments = ["tiny", "--only", "startup", "training", "--results", str(tmp_path)]
    assert main([*arguments, "--set", "startup.x=1"]) == 1
    said = capfd.readouterr()
    assert "a training step against packing" in said.out
    assert "failed: startup\n" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["training.json"]
