"""A search for better settings with Optuna: each trial is judged by validation, the best is tested.

Optuna proposes the settings and keeps what came of them in a database of its own (`optuna.db`),
from which the search goes on.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from infer.base.console import require_packages, say, say_table
from infer.base.errors import DivergedError, TrainingError
from infer.base.words import counted
from trainer.checkpoint.folder import Checkpoint, load_checkpoint
from trainer.checkpoint.series import Series, publish
from trainer.network.device import seed_of
from trainer.run.series import carry_out_one, demerit, judging_figures, under_way
from trainer.settings.search import span_of
from trainer.teaching.beside import in_words

if TYPE_CHECKING:
    import optuna

DATABASE: Final = "optuna.db"
STUDY: Final = "sent-train"


def carry_out_trials(series: Series) -> Checkpoint:
    """Train with one set of settings after the other; the first are the recipe's own.

    Returns:
        The checkpoint of the trial that is the best on validation (`--select`), tested now, over
        the trials' folder; its metrics have a table of all under `trials`.

    Raises:
        MissingExtraError: Optuna is not installed.
        TrainingError: no trial came to its end, or the database fails; or as `carry_out`.
    """
    require_packages(("optuna",))
    with under_way(series), _database_told(series):
        study = _study(series)
        _try_all(study, series)
        best = _best(study, series)
        carry_out_one(series, best["trial"], _request(series, best["settings"]))
        figures = {"searched": list(series.searched), "runs": _rows(study), "kept": best["trial"]}
        publish(series, best["trial"], figures)
        _tell(figures, best["settings"])
        kept = load_checkpoint(series.folder)
        say(f"to beat, validation: {in_words(kept.metrics['validation']['beside'])}")
        return kept


@contextmanager
def _database_told(series: Series) -> Iterator[None]:
    """Turn what the database says into one line."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise TrainingError(f"{series.place(DATABASE)}: cannot be used ({reason})") from error


def _study(series: Series) -> "optuna.Study":
    """Open what the search keeps, or make it."""
    import optuna
    from sqlalchemy.engine import URL

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = series.place(DATABASE)
    path.parent.mkdir(exist_ok=True)
    # The URL quotes what a path may hold.
    address = URL.create("sqlite", database=str(path.absolute())).render_as_string()
    storage = optuna.storages.RDBStorage(address)
    study = optuna.create_study(storage=storage, study_name=STUDY, load_if_exists=True)
    if not study.trials:
        study.enqueue_trial(
            {name: getattr(series.request.recipe, name) for name in series.searched}
        )
    return study


def _try_all(study: "optuna.Study", series: Series) -> None:
    """Finish the trial that was under way, then make new ones."""
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        _try_one(study, series, trial.number, trial.params)
    while (number := len(_rows(study))) < series.number:
        # Seeded anew each time, so that an interrupted search proposes what another would have.
        study.sampler = TPESampler(seed=seed_of(series.request.seed, number))
        proposed = study.ask(_distributions(series))
        _try_one(study, series, proposed.number, proposed.params)


def _distributions(series: Series) -> "dict[str, optuna.distributions.BaseDistribution]":
    from optuna.distributions import FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for name in series.searched:
        span = span_of(name, series.request.recipe)
        whole = isinstance(span.low, int) and isinstance(span.high, int)
        kind = IntDistribution if whole else FloatDistribution
        found[name] = kind(span.low, span.high, log=span.log)  # type: ignore[arg-type]
    return found


def _try_one(
    study: "optuna.Study", series: Series, number: int, settings: Mapping[str, Any]
) -> None:
    """Train with some settings, and tell the search and the user what came of it."""
    from optuna.trial import TrialState

    say(f"trial {number}, {len(_rows(study)) + 1} of {series.number}: {_shown(settings)}")
    try:
        checkpoint = carry_out_one(series, number, _request(series, settings), test=False)
    except DivergedError as error:
        say(f"trial {number} came to no end: {error}")
        study.tell(number, state=TrialState.FAIL)
    else:
        figures = judging_figures(checkpoint)
        study.set_user_attr(str(number), {"epoch": checkpoint.metrics["epoch"], **figures})
        study.tell(number, demerit(figures, series.request.recipe.select)[0])
    _drop_losers(study, series)


def _request(series: Series, settings: Mapping[str, Any]) -> Any:
    return replace(series.request, recipe=replace(series.request.recipe, **settings))


def _rows(study: "optuna.Study") -> list[dict[str, Any]]:
    """Return what came of each trial that is over: its settings and its validation figures."""
    rows = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state.is_finished():
            figures = dict(study.user_attrs.get(str(trial.number), {}))
            epoch = figures.pop("epoch", None)
            rows.append(
                {
                    "trial": trial.number,
                    "settings": trial.params,
                    "epoch": epoch,
                    "validation": figures or None,
                }
            )
    return rows


def _best(study: "optuna.Study", series: Series) -> dict[str, Any]:
    """Return the row of the best trial."""
    rows, select = _rows(study), series.request.recipe.select
    ended = [row for row in rows if row["validation"]]
    if not ended:
        raise TrainingError(
            f"none of {counted(len(rows), 'trial')} came to an end with numbers. Name a lower "
            "--learning-rate or --clip"
        )
    return min(ended, key=lambda row: demerit(row["validation"], select))


def _drop_losers(study: "optuna.Study", series: Series) -> None:
    """Remove the folders of trials that are over, but for the best one's."""
    losers = {row["trial"] for row in _rows(study)}
    if any(row["validation"] for row in _rows(study)):
        losers.discard(_best(study, series)["trial"])
    for number in losers:
        shutil.rmtree(series.place(number), ignore_errors=True)


def _tell(figures: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Show the table, and how the best settings are asked for."""
    names = (name.replace("_", " ") for name in figures["searched"])
    header = ("trial", *names, "validation accuracy", "validation loss at its temperature")
    rows = []
    for row in figures["runs"]:
        found = row["validation"]
        loss = f"{found['calibrated_loss']:.4f}" if found else "diverged"
        told = (f"{found['accuracy']:.2%}" if found else "", loss)
        values = (f"{row['settings'][name]:.4g}" for name in figures["searched"])
        rows.append((str(row["trial"]), *values, *told))
    say_table(counted(len(rows), "trial"), rows, header)
    options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in settings.items())
    say(f"kept: trial {figures['kept']}, the best on validation: {options}")


def _shown(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in settings.items())
