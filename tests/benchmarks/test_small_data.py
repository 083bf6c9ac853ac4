"""The benchmark of small tables, on a few generated reviews; what is there is not made anew."""

import json

import pytest

from benchmarks import small_data


def test_figures_that_are_there_are_printed_as_means(tmp_path, capsys):
    run = {"network": 0.8, "beside": 0.7, "tfidf": 0.75, "nb": 0.6, "majority": 0.5}
    found = {"500 reviews small 123": run, "500 reviews small 124": run | {"network": 0.9}}
    found["500 reviews strong 123"] = run
    (tmp_path / "r.json").write_text(json.dumps(found))
    options = ["--table", "500 reviews", "--seeds", "2", "--results", str(tmp_path / "r.json")]
    assert small_data.main(options) == 0
    out = capsys.readouterr().out
    assert "| 500 reviews | 2 | 85.0 | 7.07 | 70.0 | 75.0 | 60.0 | 50.0 | +10.00 |" in out


@pytest.mark.slow
def test_a_table_is_trained_on(tmp_path, capsys, monkeypatch):
    tables = {
        "sample": lambda settings: tuple(t.slice(0, 200) for t in small_data.sample(settings))
    }
    monkeypatch.setattr(small_data, "TABLES", tables)
    path = tmp_path / "r.json"
    assert small_data.main(["--seeds", "1", "--recipe", "small", "--results", str(path)]) == 0
    found = json.loads(path.read_text())["sample small 123"]
    assert all(0 <= found[kind] <= 1 for kind in ("network", "beside", "tfidf", "nb"))


def test_tables_are_what_they_say():
    settings = small_data.Settings(mode="full", work=None)
    train, test = small_data.lopsided(settings)
    assert train["label"].to_pylist().count(1) == 200 and train.num_rows == 4_000
    assert test["label"].to_pylist().count(1) == 125
    cut, _ = small_data.sentences(settings)
    assert max(len(text.split()) for text in cut["text"].to_pylist()) < 60
