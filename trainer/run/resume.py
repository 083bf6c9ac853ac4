"""Taking an unfinished run up again: as it was begun, but for its length and where things are."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from infer.base.console import say
from infer.base.errors import UsageError
from infer.base.words import counted
from infer.table.delimiters import read_delimiter
from trainer.checkpoint.folder import load_record
from trainer.checkpoint.unfinished import is_unfinished, load_begun
from trainer.settings.labels import renamings
from trainer.settings.recipe import Recipe, named_recipe
from trainer.settings.request import Request, folders

# What may be another than the run began with. Of the data, whose bytes the run knows, the place;
LOCAL: Final = ("data", "unlabelled", "device", "threads", "save_minutes", "tensorboard")
# of the recipe, what decides when training ends.
LENGTH: Final = ("epochs", "patience")
# What a recipe says of it too, and --epochs overrules.
OF_LENGTH: Final = (*LENGTH, "steps")


def resumed(folder: Path, asked: Mapping[str, Any] | None = None) -> Request:
    """Return the request of the unfinished run in a checkpoint folder.

    Args:
        folder: where the run keeps its best epoch so far.
        asked: names of the request or the recipe → what is to be had there: anything for those of
            `LOCAL` and `LENGTH`, else what the run has.

    Raises:
        ModelFileError: there is no checkpoint, or it is damaged.
        UsageError: the run is finished, was begun by a version that computes what this one does
            not, or has something else than is asked for.
    """
    if not is_unfinished(folder):
        load_record(folder)  # tells what else it may be than a finished run
        raise UsageError(
            f"--resume: the run in {folder} is finished; there is nothing to go on with. "
            "Leave --resume out to train anew"
        )
    record, asked = load_begun(folder).record, dict(asked or {})
    run = Request(
        recipe=Recipe.from_json(record.recipe),
        data=record.data.name,
        output=folder,
        device=record.device,
        seed=record.seed,
        split_seed=record.split_seed,
        text_column=record.data.text_column,
        label_column=record.data.label_column,
        score_column=record.data.score_column,
        delimiter=record.data.delimiter,
        group_column=record.data.group_column,
        positive=record.data.positive,
        labels=record.data.labels,
        ordinal=record.data.ordinal,
        unlabelled=Path(record.data.unlabelled) if record.data.unlabelled else None,
        teacher=folders(record.teacher),
        threads=record.threads,
        resume=True,
    )
    local = local_of(asked)
    length: dict[str, Any] = {name: asked.pop(name) for name in LENGTH if name in asked}
    check_asked(run, asked)
    _tell_of_length(run.recipe, length)
    if "epochs" in length:
        length = {"steps": 0, **length}
    return replace(run, recipe=replace(run.recipe, **length), **local)


def local_of(asked: dict[str, Any]) -> dict[str, Any]:
    """Take what may be another than the run began with out of what is asked for."""
    local: dict[str, Any] = {name: asked.pop(name) for name in LOCAL if name in asked}
    for name in ("unlabelled", "tensorboard"):
        if local.get(name) is not None:
            local[name] = Path(local[name])
    return local


def check_asked(run: Request, asked: Mapping[str, Any]) -> None:
    """Refuse what would make another run of it.

    Raises:
        UsageError: naming the setting, what is asked for and what the run has.
    """
    had = {**vars(run), **vars(run.recipe)}
    wanted = dict(asked)
    if (recipe := wanted.pop("recipe", None)) is not None:
        named = {n: value for n, value in vars(named_recipe(recipe)).items() if n not in OF_LENGTH}
        wanted = {**named, **wanted}
    for name, value in sorted(wanted.items()):
        if name not in had:
            raise UsageError(f"--resume: a run has no setting {name!r}. Leave it out")
        if had[name] != _like(name, had[name], value):
            raise UsageError(
                f"--resume: {name} is {value!r}, the run in {run.output} has "
                f"{had[name]!r}. Leave the option out, or start anew without --resume"
            )


def _like(name: str, had: object, value: Any) -> object:
    """Return a value as a request holds it: paths, names of labels, a delimiter."""
    if name == "labels":
        return renamings(value)
    if name == "delimiter":
        return read_delimiter(value)
    if isinstance(had, tuple):
        return folders(value)
    return Path(value) if isinstance(had, Path) else value


def _tell_of_length(recipe: Recipe, length: Mapping[str, Any]) -> None:
    """Say what another number of epochs does to a learning rate that hangs on it."""
    epochs = length.get("epochs", recipe.epochs)
    if epochs != recipe.epochs and recipe.schedule != "constant":
        say(
            f"the run is of {counted(epochs, 'epoch')} now, not {recipe.epochs}: from the next "
            "step on the learning rate is that of a run of this length at this place, so it jumps "
            "there"
        )
