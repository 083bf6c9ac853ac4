"""Training from Python: what `sent-train` goes through too.

Nothing heavy is imported before a function is called, and nothing is printed: what there is to say
goes to the logger `sent_toolkit`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infer.base.console import require_packages, say
from infer.base.errors import UsageError
from infer.table.delimiters import read_delimiter
from trainer.settings.labels import renamings
from trainer.settings.recipe import OLD_NAMES, default_recipe, named_recipe
from trainer.settings.request import SAVE_MINUTES, Request, folders
from trainer.settings.search import searched_settings

if TYPE_CHECKING:
    from trainer.checkpoint.folder import Checkpoint
    from trainer.checkpoint.series import Series

DEFAULT_OUTPUT: Final = Path("artifacts/checkpoint")
NEEDED: Final = ("torch", "safetensors")
TOY: Final = (
    "Training on the embedded sample: a toy of a few thousand made-up reviews. "
    "For real work use --data imdb or --data PATH."
)


@dataclass(frozen=True)
class Trained:
    """What came of training.

    Attributes:
        folder: the checkpoint folder; `exporter.export` makes a model file of it.
        metrics: the figures of `metrics.json`: `epoch`, `validation`, `test` and `data`.
        checkpoint: what the folder holds, the PyTorch model among it.
    """

    folder: Path
    metrics: dict[str, Any]
    checkpoint: "Checkpoint" = field(repr=False)


def train(
    data: str | Path = "sample",
    *,
    output: str | Path = DEFAULT_OUTPUT,
    recipe: str | None = None,
    device: str = "auto",
    seed: int = 123,
    split_seed: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    score_column: str | None = None,
    delimiter: str | None = None,
    group_column: str | None = None,
    positive: str | None = None,
    labels: str | Mapping[str, str] | None = None,
    ordinal: bool = False,
    unlabelled: str | Path | None = None,
    teacher: str | Path | Sequence[str | Path] | None = None,
    threads: int | None = None,
    save_minutes: float = SAVE_MINUTES,
    tensorboard: str | Path | None = None,
    seeds: int | None = None,
    trials: int | None = None,
    **changes: Any,
) -> Trained:
    """Train the bidirectional LSTM on labelled reviews and leave a checkpoint folder.

    The process's PyTorch is set up for it: number of threads, seeds, TF32, flushed denormals.

    Example:
        >>> result = trainer.train("reviews/", output="artifacts/mine", recipe="small", epochs=2)
        >>> print(f"{result.metrics['test']['accuracy']:.2%} in {result.folder}")

    Args:
        data: `sample`, `imdb`, or the path of a file (Parquet, CSV, TSV, JSON Lines) or of a folder
            with two such files, train and test.
        output: checkpoint folder to write; an older checkpoint there is replaced.
        recipe: `article`, `small` or `strong`; None: `article` for the sample, else `strong`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        seed: of everything drawn at random.
        split_seed: of which rows validate and, of a single file, test; None: `seed`.
        text_column: column of the texts; None for the usual search by name.
        label_column: column of the labels; None for the usual search by name.
        score_column: column of a teacher's probabilities of the positive label, in the training
            and the unlabelled file; None: `score` where it holds such; `"none"`: none. Of more
            than two labels, what the columns' names begin with; None: `probability`, for
            `probability_LABEL`.
        delimiter: what parts the fields of CSV files; None for what their names and looks say.
        positive: which of two labels is the positive one, whose probability is the score; None:
            the usual rules.
        labels: what labels are called in place of how the files write them; one name for several
            joins them, an empty one leaves their rows out. `{"1": "bad", "2": "bad", "3": ""}`,
            or the same as `"1=bad,2=bad,3="`.
        ordinal: whether the labels are numbers in an order, such as stars: scoring tells the
            expected value too.
        group_column: column of what rows hang together by, such as a film or an author: those of
            one group are kept in one part.
        unlabelled: file of further texts, for `vectors="corpus"` and `self_training=True`.
        teacher: checkpoint folder of a network that labels them too, or several of them.
        threads: CPU threads; None: one a core.
        save_minutes: how often the epoch under way is kept.
        tensorboard: folder for an event file.
        seeds: train with so many seeds, from `seed` on, on the same parts; the figures have their
            mean and spread under `seeds`.
        trials: search learning rate, dropout, embedding dropout and batch size, those of them
            that are not in `changes`, with so many trainings that validation judges.
        changes: fields of the recipe in place of its own, such as `epochs=2`;
            `trainer.RECIPES["small"]` shows them all.

    Returns:
        The folder, the figures, and the best epoch's model.

    Raises:
        infer.base.errors.SentError: as `sent-train` ends with an error: `UsageError` for wrong
            arguments or data, `DeviceError`, `TrainingError`.
    """
    if recipe is not None and recipe in OLD_NAMES:
        say(f"recipe {recipe} is the old name of recipe {OLD_NAMES[recipe]}")
    if "epochs" in changes:  # so many are wanted, however few the reviews are
        changes = {"steps": 0, **changes}
    request = Request(
        recipe=replace(named_recipe(recipe or default_recipe(str(data))), **changes),
        data=str(data),
        output=Path(output),
        device=device,
        seed=seed,
        split_seed=split_seed,
        text_column=text_column,
        label_column=label_column,
        score_column=score_column,
        delimiter=read_delimiter(delimiter),
        group_column=group_column,
        positive=positive,
        labels=renamings(labels),
        ordinal=ordinal,
        unlabelled=_path(unlabelled),
        teacher=folders(teacher),
        threads=threads,
        save_minutes=save_minutes,
        tensorboard=_path(tensorboard),
    )
    if seeds is None and trials is None:
        return _carry_out(request)
    return _carry_out_series(_series(request, seeds, trials, changes))


def resume(
    output: str | Path = DEFAULT_OUTPUT,
    **asked: Any,
) -> Trained:
    """Go on with a run of training that was interrupted.

    Example:
        >>> result = trainer.resume("artifacts/mine", epochs=8)

    Args:
        output: its checkpoint folder.
        asked: arguments of `train`. `data` and `unlabelled` say where the same data are now;
            `device`, `threads`, `save_minutes` and `tensorboard` come in place of the run's, and
            so do `epochs` and `patience`, or of several runs `seeds` and `trials`; any other has
            to be as the run has it.

    Raises:
        infer.base.errors.SentError: as in `train`; `ModelFileError` where there is no checkpoint,
            `UsageError` where its run is finished.
    """
    _require()
    from trainer.checkpoint.series import is_series
    from trainer.run.resume import resumed
    from trainer.run.series import resumed_series

    folder = Path(output)
    if is_series(folder):
        return _carry_out_series(resumed_series(folder, asked))
    return _carry_out(resumed(folder, asked))


def advice(trained: Trained) -> str | None:
    """Say what helps a network that is no better than a linear model, or finds none of a label.

    Both go by the validation reviews.

    Example:
        >>> result = trainer.train("reviews/", recipe="small")
        >>> print(trainer.advice(result) or "better than the linear model")

    Returns:
        None where there is nothing to tell.
    """
    from trainer.teaching.beside import advice as advise

    return advise(trained.checkpoint)


def load(folder: str | Path) -> "Checkpoint":
    """Read a checkpoint folder: the PyTorch model, its vocabulary, its figures.

    Example:
        >>> checkpoint = trainer.load("artifacts/mine")
        >>> checkpoint.model.eval()

    Raises:
        infer.base.errors.ModelFileError: it is missing or damaged.
    """
    _require()
    from trainer.checkpoint.folder import load_checkpoint

    return load_checkpoint(Path(folder))


def _carry_out(request: Request) -> Trained:
    _require()
    from trainer.run.train import carry_out

    if request.data == "sample":
        say(TOY)
    checkpoint = carry_out(request)
    return Trained(request.output, checkpoint.metrics, checkpoint)


def _series(
    request: Request, seeds: int | None, trials: int | None, fixed: dict[str, Any]
) -> "Series":
    """Return what several runs have in common.

    Raises:
        UsageError: both are asked for, too few, or nothing is left to search.
    """
    _require()
    from trainer.checkpoint.series import SEEDS, TRIALS, Series

    if seeds is not None and trials is not None:
        raise UsageError(
            "--seeds and --trials are both given, expected one. Search first, then train what was "
            "found with several seeds"
        )
    if trials is not None:
        return Series(TRIALS, _at_least(1, TRIALS, trials), request, searched_settings(fixed))
    return Series(SEEDS, _at_least(2, SEEDS, seeds), request)


def _at_least(lowest: int, name: str, number: int | None) -> int:
    if number is None or number < lowest:
        raise UsageError(f"{name} is {number}, expected {lowest} or more")
    return number


def _carry_out_series(series: "Series") -> Trained:
    from trainer.checkpoint.series import SEEDS
    from trainer.run.search import carry_out_trials
    from trainer.run.seeds import carry_out_seeds

    if series.request.data == "sample":
        say(TOY)
    checkpoint = (carry_out_seeds if series.kind == SEEDS else carry_out_trials)(series)
    return Trained(series.folder, checkpoint.metrics, checkpoint)


def _require() -> None:
    require_packages(NEEDED)


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)
