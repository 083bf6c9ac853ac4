"""Make a model that MLflow loads: `python mlflow_model.py save packed/ --model imdb`.

Needs `pip install -c constraints.txt '.[mlflow]'`. MLflow copies this file and the model file into
the folder; whoever loads it has the toolkit installed.
"""

import argparse

import mlflow
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.pyfunc import PythonModelContext
from mlflow.types.schema import AnyType, ColSpec, Schema

import infer

# Of a column declared as a string MLflow would make the text "<NA>" of nulls that pandas keeps in
# Arrow.
INPUTS = Schema([ColSpec(AnyType(), "text")])


class ReviewModel(mlflow.pyfunc.PythonModel):
    """Scores the column `text` of a data frame."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model file on the device of `model_config`; it is had, or it is an error."""
        self.model = infer.load(context.artifacts["model"], **context.model_config)

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:
        """Return score, prediction and status of each row, under the index of the input."""
        return scores(self.model, model_input)


def scores(model: infer.Model, frame: pd.DataFrame) -> pd.DataFrame:
    """Score a column `text` of strings, missing values, or bytes that should be UTF-8."""
    return model.score(frame["text"].astype(object)).to_pandas().set_axis(frame.index)


def save(folder: str, name: str | None, device: str, threads: int) -> None:
    """Save an MLflow model with its signature.

    Args:
        folder: a folder that is not there yet.
        name: what `infer.load` takes.
        device: where it runs unless `mlflow.pyfunc.load_model` is given another `model_config`.
        threads: likewise.
    """
    model = infer.load(name, device="cpu", threads=1)
    example = pd.DataFrame({"text": ["A wonderful film.", None]})
    mlflow.pyfunc.save_model(
        folder,
        python_model=__file__,
        artifacts={"model": str(model.path.absolute())},
        signature=ModelSignature(INPUTS, infer_signature(None, scores(model, example)).outputs),
        input_example=example,
        model_config={"device": device, "threads": threads},
        # The toolkit is on no package index that MLflow could install it from.
        pip_requirements=[f"mlflow-skinny=={mlflow.__version__}", "pandas"],
    )


def score(folder: str, source: str, output: str, device: str | None) -> None:
    """Score a Parquet file with a column `text` into another, through a saved MLflow model."""
    model = mlflow.pyfunc.load_model(folder, model_config={"device": device} if device else None)
    frame = pd.read_parquet(source)
    scored = [frame.drop(columns="text"), model.predict(frame[["text"]])]
    pd.concat(scored, axis="columns").to_parquet(output, index=False)


mlflow.models.set_model(ReviewModel())

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    saving = commands.add_parser("save")
    saving.add_argument("folder", help="a folder that is not there yet")
    saving.add_argument("--model", help="imdb, imdb-small or a model file")
    saving.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    saving.add_argument("--threads", type=int, default=0, help="0 for all cores")
    scoring = commands.add_parser("score")
    scoring.add_argument("folder", help="what was saved")
    scoring.add_argument("source", help="a Parquet file")
    scoring.add_argument("output", help="a Parquet file")
    scoring.add_argument("--device", help="in place of the saved one")
    given = parser.parse_args()
    if given.command == "save":
        save(given.folder, given.model, given.device, given.threads)
    else:
        score(given.folder, given.source, given.output, given.device)
