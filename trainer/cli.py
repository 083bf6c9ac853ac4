"""`sent-train`: options in, one library call, figures out."""

import json
from collections.abc import Callable
from dataclasses import Field, asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import click

import infer
import trainer
from infer.base.console import given_options, one_list, run_command, say, talking
from trainer.api import DEFAULT_OUTPUT
from trainer.settings.recipe import OLD_NAMES, RECIPES, Recipe
from trainer.settings.request import SAVE_MINUTES
from trainer.settings.search import SPANS

MOST_THREADS = 1_024
NAMES = click.Choice(list(RECIPES))

EPILOG = """\b
Examples:
  sent-train
  sent-train --data imdb --recipe small
  sent-train --data imdb --recipe small --teacher artifacts/checkpoint
  sent-train --data reviews.parquet --epochs 3 --output artifacts/mine
  sent-train --data tickets.csv --text-column body --label-column solved
  sent-train --data stars.csv --labels '1=bad,2=bad,3=,4=good,5=good'
  sent-train --data stars.csv --ordinal
  sent-train --data taught/ --recipe small --score-column score
  sent-train --resume
  sent-train --data reviews.parquet --recipe small --seeds 5
  sent-train --data reviews.parquet --recipe small --trials 20 --epochs 3
"""


Function = TypeVar("Function", bound=Callable[..., object])


def recipe_name(value: str) -> str:
    """Take a recipe's name, or one that it had before, which is shown nowhere."""
    return value if value in OLD_NAMES else str(NAMES.convert(value, None, None))


def recipe_options(command: Function) -> Function:
    """Give a command an option for every field of `Recipe`."""
    for spec in reversed(fields(Recipe)):
        command = _recipe_option(spec)(command)
    return command


def _recipe_option(spec: Field[Any]) -> Callable[[Function], Function]:
    flag = spec.name.replace("_", "-")
    rules = spec.metadata
    switch = spec.type is bool
    kind: Any = click.Choice(rules["choices"]) if "choices" in rules else spec.type
    return click.option(
        f"--{flag}/--no-{flag}" if switch else f"--{flag}",
        spec.name,
        type=None if switch else kind,
        default=None,
        help=f"{rules['help']}  [default: {_shown_default(spec.name)}]",
    )


def _shown_default(name: str) -> str:
    """Say what the recipes set a field to: one value, or one for each recipe."""
    values = {recipe: _shown(getattr(settings, name)) for recipe, settings in RECIPES.items()}
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    return ", ".join(f"{recipe} {value}" for recipe, value in values.items())


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


@click.command(epilog=EPILOG, context_settings={"max_content_width": 100})
@click.option(
    "--data",
    default="sample",
    show_default=True,
    help="Reviews to train on: sample (embedded, a toy), imdb (downloaded once), or the PATH of a "
    "file (Parquet, CSV, TSV, JSON Lines) or of a folder with two such files, train and test (and "
    "perhaps validation).",
)
@click.option(
    "--text-column",
    default=None,
    help="Column of the texts.  [default: text, else review, else the only string column]",
)
@click.option(
    "--label-column",
    default=None,
    help="Column of the labels, two or more.  [default: label, else sentiment, else target]",
)
@click.option(
    "--score-column",
    default=None,
    help="Column of a teacher's probabilities of the positive label, in the training file and the "
    "unlabelled one: what is learned in place of labels, and from rows that have none. none "
    "switches it off. Of more than two labels: what the columns' names begin with, such as "
    "probability for probability_LABEL.  [default: score, or probability, where these hold "
    "probabilities]",
)
@click.option(
    "--positive",
    default=None,
    metavar="LABEL",
    help="Which of two labels is the positive one, whose probability is the score.  [default: 1, "
    "true, positive or pos, else the last in order]",
)
@click.option(
    "--labels",
    multiple=True,
    default=None,
    callback=one_list,
    metavar="LABEL=NAME,…",
    help="What labels are called in place of how the files write them: one name for several joins "
    "them, no name leaves their rows out. May be given several times.  [default: as written]",
)
@click.option(
    "--ordinal",
    is_flag=True,
    help="The labels are numbers in an order, such as stars: scoring tells the expected value "
    "too.  [default: off]",
)
@click.option(
    "--group-column",
    default=None,
    help="Column of what rows hang together by, such as a film, a product or an author: those of "
    "one group are kept in one part, so that no figure rests on having seen the others.  "
    "[default: none]",
)
@click.option(
    "--delimiter",
    default=None,
    metavar="MARK",
    help="What parts the fields of CSV files: ';', '|', tab, ….  [default: by a file's name and "
    "looks]",
)
@click.option(
    "--recipe",
    type=recipe_name,
    metavar=f"[{'|'.join(RECIPES)}]",
    default=None,
    help="Named settings, each of which has an option below.  [default: article for the sample, "
    "strong for other data]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=DEFAULT_OUTPUT,
    show_default=True,
    help="Checkpoint folder to write; an older checkpoint there is replaced.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda or cuda:N; what is asked for is used, or it is an error.",
)
@click.option("--seed", type=int, default=123, show_default=True, help="Seed of all that is drawn.")
@click.option(
    "--split-seed",
    type=int,
    default=None,
    help="Seed of which rows validate and, of a single file, test: the same for networks of "
    "several seeds that are to teach.  [default: --seed]",
)
@click.option(
    "--unlabelled",
    type=click.Path(path_type=Path),
    default=None,
    help="File of further texts for --vectors corpus and --self-training.  [default: the data "
    "folder's unsup.parquet, where there is one]",
)
@click.option(
    "--teacher",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Checkpoint folder of a network of the same data and split, whose probabilities are "
    "averaged with the linear model's in self-training: a second round. May be given several "
    "times.  [default: none]",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the unfinished run in --output, as it was begun. --data and --unlabelled say "
    "where the same data are now; --epochs and --patience make it longer or shorter.  "
    "[default: off]",
)
@click.option(
    "--save-minutes",
    type=click.FloatRange(min=0),
    default=SAVE_MINUTES,
    show_default=True,
    help="How often the epoch under way is kept, so that no more than that is lost to a kill.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=2),
    default=None,
    help="Train with so many seeds, from --seed on, on the same parts of the data, and show mean "
    "and spread. The best by validation is left in --output, all are in its folder seeds.  "
    "[default: one]",
)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=None,
    help="Search for better settings with so many trainings, judged by validation: of "
    f"{', '.join(name.replace('_', ' ') for name in SPANS)} those that are not given. The best "
    "is left in --output.  [default: no search]",
)
@click.option(
    "--tensorboard",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder for an event file, which TensorBoard shows.  [default: none is written]",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1, max=MOST_THREADS),
    default=None,
    help="CPU threads; with 1 the same seed gives the same weights, bit for bit.  "
    "[default: one a core]",
)
@recipe_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.  [default: off]")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.  [default: off]")
@click.version_option(infer.__version__, prog_name="sent-train")
def main(output: Path, as_json: bool, quiet: bool, resume: bool, **options: Any) -> None:
    """Train the bidirectional LSTM on labelled reviews and leave a checkpoint folder."""
    given = given_options(click.get_current_context())
    run_command(lambda: _train(output, resume, options, given, as_json, quiet))


def _train(
    output: Path,
    resume: bool,
    options: dict[str, Any],
    given: set[str],
    as_json: bool,
    quiet: bool,
) -> None:
    """Train or go on, and tell."""
    # What was given; the rest is the recipe's, or the run's that is taken up.
    asked = {name: value for name, value in options.items() if name in given}
    with talking(quiet):
        result = (trainer.resume if resume else trainer.train)(output=output, **asked)
        if as_json:
            teachers = [asdict(teacher) for teacher in result.checkpoint.record.teachers or ()]
            shown = {
                "checkpoint": str(output),
                "metrics": result.metrics,
                **({"teachers": teachers} if teachers else {}),
            }
            click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        say(f"checkpoint: {output}")
        say(f"report: {output / 'report.html'}")
        say(f"Next: {_next_command(output)}")
        # What it says may make the next command pointless, so nothing comes behind it.
        if (told := trainer.advice(result)) is not None:
            say(told)


def _next_command(output: Path) -> str:
    """Return the command that exports this checkpoint."""
    return "sent-export" if output == DEFAULT_OUTPUT else f"sent-export --checkpoint {output}"


if __name__ == "__main__":
    main()
