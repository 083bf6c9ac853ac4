"""Taking an unfinished run up again."""

from collections.abc import Set
from dataclasses import replace
from pathlib import Path

from infer.base.errors import ModelFileError, UsageError
from trainer.checkpoint.folder import TRAINING, load_checkpoint
from trainer.settings.recipe import Recipe
from trainer.settings.request import Request


def recipe_of(folder: Path) -> Recipe:
    """Return the recipe of the run in a checkpoint folder, on which further options are put.

    Raises:
        ModelFileError: there is no checkpoint, or it is damaged.
        UsageError: its recipe has fields that this version does not know.
    """
    config = load_checkpoint(folder).config
    try:
        return Recipe.from_json(config["recipe"])
    except (KeyError, TypeError) as error:
        raise ModelFileError(f"{folder}: damaged config.json ({error!r})") from error


def resumed(request: Request, given: Set[str] = frozenset()) -> Request:
    """Return the request of the unfinished run in `request.output`.

    Args:
        request: the output is taken from here, device and threads where they were asked for;
            the rest is the run's.
        given: names of the options that were asked for; others must be the run's.

    Raises:
        ModelFileError: there is no checkpoint, or it is damaged.
        UsageError: the run is finished, or an option differs from what it computes.
    """
    config = load_checkpoint(request.output).config
    if not (request.output / TRAINING).is_dir():
        raise UsageError(
            f"--resume: the run in {request.output} is finished; there is nothing to go on with. "
            "Leave --resume out to train anew"
        )
    try:
        unlabelled, teacher = config["data"]["unlabelled"], config["teacher"]
        run = replace(
            request,
            recipe=Recipe.from_json(config["recipe"]),
            data=config["data"]["name"],
            seed=config["seed"],
            text_column=config["data"]["text_column"],
            label_column=config["data"]["label_column"],
            unlabelled=Path(unlabelled) if unlabelled else None,
            teacher=Path(teacher) if teacher else None,
            device=request.device if "device" in given else config["device"],
            threads=request.threads if "threads" in given else config["threads"],
            resume=True,
        )
    except (KeyError, TypeError) as error:
        raise ModelFileError(f"{request.output}: damaged config.json ({error!r})") from error
    _check_given(request, run, given)
    return run


def _check_given(request: Request, run: Request, given: Set[str]) -> None:
    """Refuse options that would make another run of it."""
    wanted, had = ({**vars(r), **vars(r.recipe)} for r in (request, run))
    named = given | set(vars(run.recipe)) if "recipe" in given else given
    for name in sorted(named & had.keys() - {"recipe", "resume"}):
        if wanted[name] != had[name]:
            raise UsageError(
                f"--resume: {name} is {wanted[name]!r}, the run in {request.output} has "
                f"{had[name]!r}. Leave the option out, or start anew without --resume"
            )
