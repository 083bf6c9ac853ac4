"""The table of accuracies, on a few generated reviews."""

import re

import pytest

from benchmarks import accuracy
from benchmarks.harness.models import model_path


@pytest.mark.slow
def test_linear_models_and_a_model_file_are_compared(settings, capsys):
    model = model_path(settings, "tiny fp32")
    assert accuracy.main(["--rows", "200", "--model", str(model)]) == 0
    out = capsys.readouterr().out
    rows = re.findall(r"^\| (?!model|---)(.+?) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", out, re.M)
    assert len(rows) == 4 and rows[-1][0] == str(model)
    found = {name: float(figure) for name, figure, *_ in rows}
    assert all(figure > 80 for name, figure in found.items() if "regression" in name)
    assert "200 training reviews, 200 test reviews; seed 123" in out
