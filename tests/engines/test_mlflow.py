"""MLflow: a model saved, carried elsewhere, and loaded by other processes."""

import shutil

import pytest

from .conftest import RECIPES, needs, rows_of, run

pytestmark = pytest.mark.engines

FRAMES = """
import sys
import mlflow
import pandas as pd

saved, source, output = sys.argv[1:]
model = mlflow.pyfunc.load_model(saved, model_config={"device": "cpu"})
assert model.metadata.signature.inputs.input_names() == ["text"]
assert model.metadata.signature.outputs.input_names() == ["score", "prediction", "status"]
frame, arrow = pd.read_parquet(source), pd.read_parquet(source, dtype_backend="pyarrow")
columns = {
    "text-arrow": arrow["text"],
    "text-category": frame["text"].astype("category"),
    "raw-bytes": frame["raw"],
    "raw-arrow": arrow["raw"],
    "raw-string": frame["raw"].map(lambda raw: raw and raw.decode("utf-8", "surrogateescape")),
}
for name, texts in columns.items():
    asked = pd.DataFrame({"text": texts}).set_axis(frame["id"] // 2)
    scored = model.predict(asked)
    assert scored.index.equals(asked.index), name
    scored.assign(id=frame["id"].to_numpy()).to_parquet(f"{output}/{name}.parquet", index=False)
for texts in ([], [None, float("nan")]):
    print(*model.predict(pd.DataFrame({"text": texts}))["status"])
"""

DEVICE = """
import sys
import infer
import mlflow

try:
    model = mlflow.pyfunc.load_model(sys.argv[1])
    print(model.unwrap_python_model().model.provider)
except infer.SentError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(autouse=True)
def _installed():
    needs("mlflow")


@pytest.fixture(scope="module")
def saved(model_path, tmp_path_factory):
    """A model for a GPU that no machine has, moved; the file that it was made of is gone."""
    needs("mlflow")
    folder = tmp_path_factory.mktemp("saved")
    shutil.copy(model_path, folder / "own.onnx")
    made = ("--model", folder / "own.onnx", "--device", "cuda:99")
    run(RECIPES / "mlflow_model.py", "save", folder / "first place", *made)
    (folder / "own.onnx").unlink()
    return (folder / "first place").rename(folder / "moved")


def test_the_recipe_gives_the_rows_of_the_command(saved, reviews, expected, tmp_path):
    output = tmp_path / "out.parquet"
    run(RECIPES / "mlflow_model.py", "score", saved, reviews, output, "--device", "cpu")
    assert rows_of(output).equals(expected)


def test_every_kind_of_column(saved, reviews, expected, by_command, tmp_path):
    """Nulls of each kind, bytes and strings that are no UTF-8, an index that repeats."""
    printed = run("-c", FRAMES, saved, reviews, tmp_path)
    assert printed.split("\n") == ["", "null null", ""]
    raw = by_command(reviews, "raw")
    assert "invalid" in raw["status"].to_pylist()
    outputs = sorted(tmp_path.iterdir())
    assert len(outputs) == 5
    for output in outputs:
        wanted = raw if output.name.startswith("raw") else expected
        assert rows_of(output).equals(wanted), output.name


def test_the_device_is_had_or_it_is_an_error(saved):
    assert run("-c", DEVICE, saved).startswith("DeviceError --device cuda:99: ")
    on_cpu = run("-c", DEVICE, saved, MLFLOW_PYFUNC_INFERENCE_CONFIG='{"device": "cpu"}')
    assert on_cpu == "CPUExecutionProvider\n"
