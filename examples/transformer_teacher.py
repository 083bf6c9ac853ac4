"""Fine-tune a transformer on labelled reviews, and write its probabilities for others to learn.

    pip install -c constraints.txt '.[teacher]'
    python -m examples.transformer_teacher ENCODER train.parquet --unlabelled unsup.parquet -o out

ENCODER is any sequence encoder of Hugging Face transformers, by name or folder. The labelled
reviews are cut into blocks of neighbours (reviews of one film stand together); each block is
scored by a network that saw neither it nor the rows beside it. Unlabelled reviews get the mean of
all networks. Each file is written to `out`, its rows and columns as they were, with `score`: the
probability of the positive label. The same command goes on where a stopped run was.

Legend: R rows.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from examples.fine_tuning import Floats, Fold, Integers, Mask, Place, Settings, Timer, encode
from infer.base.commit import atomic_file, check_output, file_keys
from infer.base.console import run_command, say, talking
from infer.base.errors import InputError, UsageError
from infer.table.files import read_columns, read_schema
from infer.text.encoding import EncodedTexts
from trainer.checkpoint.files import load_tensors, read_json, save_tensors, write_json
from trainer.data.labels import name_labels, read_labels
from trainer.data.reading import Columns, hash_files, read_raw, read_texts
from trainer.network.device import choose_device

Labels = npt.NDArray[np.int8]

SCORE: Final = "score"
TRAINING_SHARE: Final = 0.6  # of a fold's time where --minutes bounds it; the rest is for scoring


@dataclass(frozen=True)
class Part:
    """A file's reviews.

    Attributes:
        name: of the file, without its ending.
        table: (R,) rows as they stand in the file.
        tokens: of the R texts, with the encoder's special ones; a missing text has none.
    """

    name: str
    table: pa.Table
    tokens: EncodedTexts


@dataclass(frozen=True)
class Job:
    """All that a run reads.

    Attributes:
        parts: the labelled reviews, then any others.
        labels: (R,) of the first part, 1 positive and 0 negative.
        settings: what the scores depend on.
        place: where it computes, and for how long.
    """

    parts: Sequence[Part]
    labels: Labels
    settings: Settings
    place: Place

    @property
    def blocks(self) -> Integers:
        """Which fold's network scores each labelled row, (R,)."""
        return assign_folds(self.labels, self.settings.folds)

    @property
    def targets(self) -> Floats:
        """The probabilities to learn, (R,)."""
        smoothing = self.settings.smoothing
        return (self.labels * (1 - smoothing) + smoothing / 2).astype(np.float32)


def assign_folds(labels: Labels, folds: int) -> Integers:
    """Cut the rows of each class, in file order, into blocks of like size: (R,) block numbers."""
    found = np.empty(len(labels), np.int64)
    for label in (0, 1):
        rows = np.flatnonzero(labels == label)
        found[rows] = np.arange(len(rows)) * folds // len(rows)
    return found


def rows_to_train_on(labels: Labels, blocks: Integers, fold: int, gap: int) -> Mask:
    """Leave out a fold's block and, of each class, the `gap` rows on both sides: (R,) bool.

    Raises:
        InputError: a class has too few rows.
    """
    allowed = np.zeros(len(labels), bool)
    for label in (0, 1):
        rows = np.flatnonzero(labels == label)
        places, held_out = np.arange(len(rows)), np.flatnonzero(blocks[rows] == fold)
        if len(held_out):
            allowed[rows] = (places < held_out[0] - gap) | (places > held_out[-1] + gap)
        if not allowed[rows].any():
            raise InputError(
                f"{len(rows):,} rows of a class are too few for blocks of them with a gap of "
                f"{gap}. Use more rows, fewer --folds or a smaller --gap"
            )
    return allowed


def run(job: Job) -> list[Floats]:
    """Train a network a fold and score everything, from where a stopped run was.

    Returns:
        For each part (R,) float32 probabilities of the positive label: of the labelled rows from
        the network that did not see them, of others the mean; NaN where there is none.
    """
    begin = time.monotonic()
    found = []
    for fold in range(job.settings.folds):
        end = begin + 60 * job.place.minutes * (fold + 1) / job.settings.folds
        found.append(run_fold(job, fold, Timer(end - time.monotonic())))
    with warnings.catch_warnings():  # a row that no network scored stays NaN
        warnings.simplefilter("ignore", RuntimeWarning)
        return [np.nanmean(scores, axis=0) for scores in zip(*found, strict=True)]


def run_fold(job: Job, number: int, clock: Timer) -> list[Floats]:
    """Train a fold's network, and score its block of the labelled part and all of the others."""
    path = job.place.work / f"scores-{number}.safetensors"
    scores = _read_scores(path, job.parts)
    if not any(rows.any() for rows in _unscored(job, number, scores)):
        return scores
    fold = Fold(number, job.settings, job.place)
    allowed = rows_to_train_on(job.labels, job.blocks, number, job.settings.gap)
    fold.train(job.parts[0].tokens, job.targets, allowed, TRAINING_SHARE * clock.seconds)
    for part, rows, own in zip(job.parts, _unscored(job, number, scores), scores, strict=True):
        fold.score(part.tokens, rows, own, clock, lambda: _write_scores(path, job.parts, scores))
    if not any(rows.any() for rows in _unscored(job, number, scores)):
        fold.forget()
    known = ~np.isnan(scores[0])
    right = np.count_nonzero((scores[0] > 0.5)[known] == job.labels[known])
    say(f"{fold.name}: {right:,} of {known.sum():,} unseen rows right")
    return scores


def _unscored(job: Job, fold: int, scores: Sequence[Floats]) -> list[Integers]:
    """Return the lengths of each part's rows that the fold has to score, 0 for the other rows."""
    own = [job.blocks == fold, *(np.True_ for _ in job.parts[1:])]
    return [
        np.where(np.isnan(found) & rows, part.tokens.lengths, 0)
        for part, found, rows in zip(job.parts, scores, own, strict=True)
    ]


def _read_scores(path: Path, parts: Sequence[Part]) -> list[Floats]:
    if path.exists():
        found = load_tensors(path)
        return [found[part.name].numpy() for part in parts]
    return [np.full(part.table.num_rows, np.nan, np.float32) for part in parts]


def _write_scores(path: Path, parts: Sequence[Part], scores: Sequence[Floats]) -> None:
    named = {p.name: torch.from_numpy(s) for p, s in zip(parts, scores, strict=True)}
    with atomic_file(path) as temporary:
        save_tensors(temporary, named)


def read_parts(
    paths: Sequence[Path], columns: Columns, settings: Settings
) -> tuple[list[Part], Labels]:
    """Read the files, the labelled one first, encode their texts, and read the labels."""
    raw = read_raw(paths[0], columns)
    labels = read_labels(raw["label"], name_labels(raw["label"], paths[0]), paths[0])
    tokenizer = AutoTokenizer.from_pretrained(settings.encoder)
    longest = min(settings.max_tokens, tokenizer.model_max_length)
    parts = []
    for number, path in enumerate(paths):
        texts = read_texts(path, columns) if number else raw["text"].combine_chunks()
        table = read_columns(path, read_schema(path).names, [])
        parts.append(Part(path.stem, table, encode(texts, tokenizer, longest)))
    return parts, labels.to_numpy()


def write_part(part: Part, scores: Floats, path: Path) -> None:
    """Write a part's rows with their scores, null where there is none."""
    rest = part.table.drop_columns([SCORE] if SCORE in part.table.column_names else [])
    column = pa.array(scores, pa.float32(), mask=np.isnan(scores))
    with atomic_file(path) as temporary:
        pq.write_table(rest.append_column(SCORE, column), temporary)


def settings_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for every field of `Settings` but the encoder."""
    for spec in reversed(fields(Settings)[1:]):
        name, about = f"--{spec.name.replace('_', '-')}", spec.metadata
        given = {"type": about["type"], "default": spec.default, "help": about["help"]}
        command = click.option(name, show_default=True, **given)(command)
    return command


@click.command(context_settings={"max_content_width": 100})
@click.argument("encoder")
@click.argument("labelled", type=click.Path(path_type=Path))
@click.option(
    "--unlabelled",
    "others",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Further file of texts to score; may be given several times.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for the scored files, and for work that is not done.",
)
@click.option("--text-column", help="Column of the texts.  [default: as for sent-train]")
@click.option("--label-column", help="Column of the labels.  [default: as for sent-train]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--minutes",
    type=click.FloatRange(0),
    default=float("inf"),
    help="Train less, and leave scores out, rather than last longer.  [default: no bound]",
)
@click.option(
    "--checkpoint-minutes",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="Minutes that a stopped run loses at most.",
)
@settings_options
def main(labelled: Path, others: tuple[Path, ...], output: Path, **given: Any) -> None:
    """Fine-tune ENCODER on the file LABELLED and write its probabilities for all files."""
    run_command(lambda: _main((labelled, *others), output, given))


def _main(paths: Sequence[Path], output: Path, given: dict[str, Any]) -> None:
    with talking():
        teach(paths, output, given)


def teach(paths: Sequence[Path], output: Path, given: dict[str, Any]) -> None:
    """Fine-tune, score and write; go on where a run of the same settings was stopped."""
    disable_progress_bar()
    settings = Settings(**{spec.name: given[spec.name] for spec in fields(Settings)})
    place = Place(
        work=output / "work",
        device=choose_device(given["device"]),
        checkpoint_minutes=given["checkpoint_minutes"],
        minutes=given["minutes"],
    )
    results = [output / f"{path.stem}.parquet" for path in paths]
    check_results(results, paths)
    parts, labels = read_parts(
        paths, Columns(given["text_column"], given["label_column"]), settings
    )
    claim_folder(place.work, {**asdict(settings), "sha256": hash_files(paths)})
    found = run(Job(parts, labels, settings, place))
    for part, scores, path in zip(parts, found, results, strict=True):
        write_part(part, scores, path)
        done = np.count_nonzero(~np.isnan(scores))
        say(f"{path}: {done:,} of {len(scores):,} rows scored")


def check_results(results: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Refuse two results of one name, and one that would replace an input."""
    if len(set(results)) < len(results):
        raise UsageError(f"several of {', '.join(map(str, inputs))} have one name. Rename them")
    for path in results:
        check_output(path, overwrite=True, inputs=file_keys(inputs))


def claim_folder(work: Path, job: dict[str, Any]) -> None:
    """Make the folder of unfinished work this job's own.

    Raises:
        UsageError: another job's is there.
    """
    work.mkdir(parents=True, exist_ok=True)
    path = work / "job.json"
    if path.exists() and (found := read_json(path)) != job:
        other = [name for name in job if job[name] != found.get(name)]
        raise UsageError(
            f"{work}: holds a run that differs in {', '.join(other)}. Name another --output, or "
            "remove that folder"
        )
    write_json(path, job)


if __name__ == "__main__":
    main()
