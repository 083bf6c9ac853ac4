"""Taking an unfinished run up again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infer.base.errors import UsageError
from trainer.checkpoint.folder import TRAINING, load_record
from trainer.settings.recipe import Recipe, named_recipe
from trainer.settings.request import Request, folders


def resumed(
    folder: Path,
    device: str | None = None,
    threads: int | None = None,
    asked: Mapping[str, Any] | None = None,
) -> Request:
    """Return the request of the unfinished run in a checkpoint folder.

    Args:
        folder: where the run keeps its best epoch so far.
        device: in place of the run's.
        threads: in place of the run's.
        asked: names of the request or the recipe → what the run has to have there.

    Raises:
        ModelFileError: there is no checkpoint, or it is damaged.
        UsageError: the run is finished, was begun by a version that computes what this one does
            not, or has something else than is asked for.
    """
    record = load_record(folder)
    if not (folder / TRAINING).is_dir():
        raise UsageError(
            f"--resume: the run in {folder} is finished; there is nothing to go on with. "
            "Leave --resume out to train anew"
        )
    run = Request(
        recipe=Recipe.from_json(record.recipe),
        data=record.data.name,
        output=folder,
        device=device or record.device,
        seed=record.seed,
        split_seed=record.split_seed,
        text_column=record.data.text_column,
        label_column=record.data.label_column,
        score_column=record.data.score_column,
        delimiter=record.data.delimiter,
        unlabelled=Path(record.data.unlabelled) if record.data.unlabelled else None,
        teacher=folders(record.teacher),
        threads=threads or record.threads,
        resume=True,
    )
    _check_asked(run, asked or {})
    return run


def _check_asked(run: Request, asked: Mapping[str, Any]) -> None:
    """Refuse what would make another run of it."""
    had = {**vars(run), **vars(run.recipe)}
    wanted = dict(asked)
    if (recipe := wanted.pop("recipe", None)) is not None:
        wanted = {**vars(named_recipe(recipe)), **wanted}
    for name, value in sorted(wanted.items()):
        if name not in had:
            raise UsageError(f"--resume: a run has no setting {name!r}")
        if had[name] != _like(had[name], value):
            raise UsageError(
                f"--resume: {name} is {value!r}, the run in {run.output} has "
                f"{had[name]!r}. Leave the option out, or start anew without --resume"
            )


def _like(had: object, value: Any) -> object:
    """Return a value as a request holds it, where the run has paths."""
    if isinstance(had, tuple):
        return folders(value)
    return Path(value) if isinstance(had, Path) else value
