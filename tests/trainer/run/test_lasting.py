"""A run that is cut at any moment goes on from there, elsewhere too, and may become longer."""

import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from infer.base.console import Stopped, stop_signals
from infer.base.errors import InputError, ModelFileError, OutputError, TrainingError
from trainer.checkpoint.files import load_tensors
from trainer.checkpoint.folder import TRAINING, WEIGHTS, Checkpoint, load_checkpoint
from trainer.checkpoint.unfinished import load_begun
from trainer.network.replicas import ROWS_OF_A_SHARE
from trainer.run import epochs, keeping, train
from trainer.run.resume import resumed
from trainer.run.state import STATE_TENSORS, place_of
from trainer.run.train import carry_out
from trainer.settings.recipe import Recipe
from trainer.settings.request import Request

ROOT = Path(__file__).parents[3]
STEPS = 14  # of an epoch over the 216 reviews of the tiny task
# Everything that a step hangs on.
ALL = {
    "epochs": 2,
    "schedule": "one_cycle",
    "weight_average": 0.9,
    "embedding_dropout": 0.1,
    "pooling": "max_mean",
    "ngrams": 2,
    "ngram_buckets": 1_000,
}


class Killed(BaseException):
    """What no code of ours handles, as SIGKILL."""


def weights(folder: Path) -> bytes:
    return (folder / WEIGHTS).read_bytes()


@pytest.fixture
def tiny(request_: Request) -> Request:
    return replace(request_, recipe=replace(request_.recipe, **ALL))


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Do something right after the n-th step that is taken from now on."""

    def plan(step: int, act: Callable[[], object]) -> None:
        left = [step]

        def take_step(*arguments: object) -> float:
            value = real(*arguments)
            left[0] -= 1
            if left[0] == 0:
                act()
            return value

        monkeypatch.setattr(epochs, "take_step", take_step)

    real = epochs.take_step
    yield plan
    monkeypatch.setattr(epochs, "take_step", real)


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def kill() -> None:
    raise Killed


@pytest.fixture
def every_fifth_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes a minute on whenever it is read."""

    class Clock:
        minutes = 0

        def monotonic(self) -> float:
            self.minutes += 1
            return 60.0 * self.minutes

    monkeypatch.setattr(keeping, "time", Clock())


def place(folder: Path) -> tuple[int, int]:
    """How many epochs and how many steps of the next one are kept."""
    epoch, _, _, part = place_of(folder / TRAINING)
    return epoch, part.steps


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"self_training": True},
        {"adversarial": 0.5, "batch_size": 2 * ROWS_OF_A_SHARE},
    ],
    ids=["plain", "self-training", "two threads"],
)
def test_cut_again_and_again_it_ends_in_the_same_bits(
    tiny: Request,
    at_step: Callable[..., None],
    changes: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By signals right after a step, by kills some steps after the last one that was kept."""
    threads = 2 if "batch_size" in changes else 1
    request = replace(tiny, recipe=replace(tiny.recipe, **changes), threads=threads)
    whole = replace(request, output=request.output.with_name("whole"))
    expected = carry_out(whole)
    request = replace(request, save_minutes=0)
    cuts = 0
    for step in (1, 2, 3, 5, 8, 4, 3, 2, 100):
        act = (interrupt, kill)[cuts % 2]
        at_step(step, act)
        try:
            with stop_signals():
                checkpoint = carry_out(request)
            break
        except Stopped as stopped:
            words = "the run as it was after"
            assert words in stopped.__notes__[0], stopped.__notes__
        except Killed:
            pass
        cuts += 1
        request = replace(resumed(request.output), save_minutes=0)
    assert cuts >= 4
    assert weights(request.output) == weights(whole.output)
    assert checkpoint.metrics == expected.metrics
    history = [
        [line.split(",")[i] for i in (0, 1, 2, 4)]
        for folder in (whole.output, request.output)
        for line in (folder / "history.csv").read_text().splitlines()
    ]
    assert history[: len(history) // 2] == history[len(history) // 2 :]


@pytest.mark.usefixtures("every_fifth_step")
@pytest.mark.parametrize(("step", "kept"), [(2, (0, 0)), (9, (0, 5)), (STEPS + 7, (1, 6))])
def test_a_kill_costs_no_more_than_the_interval(
    tiny: Request, at_step: Callable[..., None], step: int, kept: tuple[int, int]
) -> None:
    request = replace(tiny, save_minutes=5)
    at_step(step, kill)
    with pytest.raises(Killed):
        carry_out(request)
    assert place(request.output) == kept
    at_step(9_999, kill)
    carry_out(resumed(request.output))
    whole = replace(tiny, output=request.output.with_name("whole"))
    carry_out(whole)
    assert weights(request.output) == weights(whole.output)


def test_stopped_in_the_first_epoch_it_keeps_all_that_was_prepared(
    tiny: Request,
    at_step: Callable[..., None],
    said: Callable[[], list[str]],
) -> None:
    recipe = replace(tiny.recipe, self_training=True, vectors="corpus", embedding=8)
    request = replace(tiny, recipe=recipe)
    at_step(3, interrupt)
    with pytest.raises(Stopped) as stopped, stop_signals():
        carry_out(request)
    folder = request.output
    assert stopped.value.__notes__ == [
        f"{folder} keeps the run as it was after step 3 of epoch 1; "
        f"sent-train --resume --output {folder} goes on"
    ]
    with pytest.raises(ModelFileError, match="not come so far"):
        load_checkpoint(folder)
    record = load_begun(folder).record
    assert record.vectors is not None and record.vectors.source == "corpus"
    (teacher,) = record.teachers or ()
    before = len(said())
    found = carry_out(resumed(folder)).record
    assert (found.vectors, found.teachers) == (record.vectors, (teacher,))
    again = said()[before:]
    assert f"going on after step 3 of epoch 1 of the run in {folder}" in again
    assert not [line for line in again if "linear teacher" in line or "word2vec" in line]


def test_stopped_while_validating_it_keeps_the_epochs_steps(
    tiny: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replace(tiny, output=tiny.output.with_name("whole"))
    carry_out(whole)
    predict = train.predict

    def interrupted(*arguments: object, **options: object) -> object:
        monkeypatch.setattr(train, "predict", predict)
        interrupt()

    monkeypatch.setattr(train, "predict", interrupted)
    with pytest.raises(Stopped), stop_signals():
        carry_out(tiny)
    assert place(tiny.output) == (0, STEPS)
    carry_out(resumed(tiny.output))
    assert weights(tiny.output) == weights(whole.output)


def test_an_older_checkpoint_stays_until_the_first_epoch_is_done(
    trained: tuple[Path, Checkpoint], tiny: Request, at_step: Callable[..., None]
) -> None:
    shutil.copytree(trained[0], tiny.output)
    before = weights(tiny.output)
    at_step(STEPS - 1, interrupt)
    with pytest.raises(Stopped), stop_signals():
        carry_out(tiny)
    assert weights(tiny.output) == before
    assert load_checkpoint(tiny.output).metrics["test"] is not None
    whole = replace(tiny, output=tiny.output.with_name("whole"))
    carry_out(resumed(tiny.output))
    carry_out(whole)
    assert weights(tiny.output) == weights(whole.output) != before
    assert {p.name for p in tiny.output.parent.iterdir()} == {"c", "whole"}


def test_a_new_run_in_place_of_an_unfinished_one_is_told(
    tiny: Request, at_step: Callable[..., None], said: Callable[[], list[str]]
) -> None:
    at_step(2, interrupt)
    with pytest.raises(Stopped), stop_signals():
        carry_out(tiny)
    at_step(1, interrupt)
    other = replace(tiny, seed=7)
    with pytest.raises(Stopped), stop_signals():
        carry_out(other)
    assert any(line.startswith("Warning: this run takes the place of") for line in said())
    assert load_begun(tiny.output).record.seed == 7
    assert place(tiny.output) == (0, 1)
    assert [p.name for p in tiny.output.iterdir()] == [TRAINING]


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Let no file grow beyond so many bytes: what a full disk does, in the same places."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_is_full_for_a_while_is_told_and_costs_nothing(
    tiny: Request,
    at_step: Callable[..., None],
    small_files: Callable[[int], None],
    said: Callable[[], list[str]],
) -> None:
    request = replace(tiny, save_minutes=0)
    at_step(3, lambda: small_files(1_000))
    monkey = keeping.replace_training
    kept = []

    def and_room_again(*arguments: object) -> None:
        try:
            monkey(*arguments)
        except TrainingError:
            kept.append(place(request.output))
            small_files(resource.RLIM_INFINITY)
            raise

    keeping.replace_training = and_room_again
    try:
        carry_out(request)
    finally:
        keeping.replace_training = monkey
    assert kept == [(0, 2)]
    (warning,) = [line for line in said() if "training goes on" in line]
    assert warning.startswith("Warning") and "too large" in warning


def test_a_disk_that_is_full_at_the_start_or_when_stopped(
    tiny: Request, at_step: Callable[..., None], small_files: Callable[[int], None]
) -> None:
    small_files(1_000)
    with pytest.raises(TrainingError, match="cannot be written"):
        carry_out(tiny)
    small_files(resource.RLIM_INFINITY)
    assert list(tiny.output.parent.iterdir()) == []

    def full_and_stopped() -> None:
        small_files(1_000)
        interrupt()

    at_step(3, full_and_stopped)
    with pytest.raises(Stopped) as stopped, stop_signals():
        carry_out(tiny)
    small_files(resource.RLIM_INFINITY)
    assert "cannot be written" in stopped.value.__notes__[0]
    assert "as it was after the preparation; sent-train" in stopped.value.__notes__[1]
    assert sorted(p.name for p in (tiny.output / TRAINING).iterdir()) == [
        "config.json", STATE_TENSORS, "targets.safetensors", "vocabulary.txt",
    ]  # fmt: skip


def test_two_runs_into_one_folder(tiny: Request) -> None:
    lock = tiny.output.with_name(".c.run")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another run is training there"):
            carry_out(tiny)
    carry_out(tiny)  # the lock's file is there still, and held by nobody
    assert [p.name for p in tiny.output.parent.iterdir()] == ["c"]


def test_a_damaged_state_is_named(tiny: Request, at_step: Callable[..., None]) -> None:
    at_step(2, interrupt)
    with pytest.raises(Stopped), stop_signals():
        carry_out(tiny)
    path = tiny.output / TRAINING / STATE_TENSORS
    content = path.read_bytes()
    for damaged in (content[:100], content.replace(b"weight", b"Weight", 1)):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=STATE_TENSORS):
            carry_out(resumed(tiny.output))
    path.write_bytes(content)
    assert load_tensors(path)
    carry_out(resumed(tiny.output))


def test_the_data_are_known_by_their_bytes(
    tiny: Request,
    at_step: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Begun with relative paths, taken up in another folder where the files have other names."""
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(tiny.data, first / "reviews")
    monkeypatch.chdir(first)
    recipe = replace(tiny.recipe, self_training=True)
    unlabelled = Path("more.parquet")
    shutil.move(first / "reviews" / "unsup.parquet", unlabelled)
    request = replace(
        tiny, recipe=recipe, data="reviews", unlabelled=unlabelled, output=Path("out/c")
    )
    whole = replace(request, output=Path("out/whole"))
    carry_out(whole)
    at_step(STEPS, interrupt)
    with pytest.raises(Stopped), stop_signals():
        carry_out(request)
    second.mkdir()
    shutil.move(first / "reviews", second / "same")
    shutil.move(first / "more.parquet", second / "texts.parquet")
    shutil.move(first / "out" / "c", second / "moved")
    monkeypatch.chdir(second)
    with pytest.raises(InputError) as error:
        carry_out(resumed(Path("moved")))
    assert "--resume --data PATH" in error.value.__notes__[0]
    with pytest.raises(InputError) as error:
        carry_out(resumed(Path("moved"), {"data": "same"}))
    assert "--resume --unlabelled PATH" in error.value.__notes__[0]
    places = {"data": "same", "unlabelled": "texts.parquet"}
    table = pq.read_table("texts.parquet")
    pq.write_table(table.slice(0, 79), "texts.parquet")
    with pytest.raises(InputError, match="unlabelled texts' SHA-256"):
        carry_out(resumed(Path("moved"), places))
    shutil.copy(Path(tiny.data) / "unsup.parquet", "texts.parquet")
    record = carry_out(resumed(Path("moved"), places)).record
    assert weights(Path("moved")) == weights(first / "out" / "whole")
    assert (record.data.name, record.data.unlabelled) == ("same", "texts.parquet")


def test_a_run_may_become_longer_or_shorter(
    tiny: Request, at_step: Callable[..., None], said: Callable[[], list[str]]
) -> None:
    """A constant rate: what was begun with two epochs ends as what was begun with four."""
    recipe = replace(tiny.recipe, schedule="constant", learning_rate=0.01)
    request = replace(tiny, recipe=recipe)
    whole = replace(
        request, recipe=replace(recipe, epochs=4, patience=9), output=tiny.output.with_name("whole")
    )
    carry_out(whole)
    at_step(STEPS + 3, interrupt)
    with pytest.raises(Stopped), stop_signals():
        carry_out(request)
    at_step(2, interrupt)
    with pytest.raises(Stopped), stop_signals():
        carry_out(resumed(request.output, {"epochs": 4, "patience": 9}))
    again = resumed(request.output)
    assert (again.recipe.epochs, again.recipe.patience) == (4, 9)
    assert not [line for line in said() if "learning rate" in line and "jumps" in line]
    record = carry_out(again).record
    assert weights(request.output) == weights(whole.output)
    assert record.recipe["epochs"] == 4

    shutil.rmtree(request.output)
    at_step(STEPS + 3, interrupt)
    with pytest.raises(Stopped), stop_signals():
        carry_out(request)
    metrics = carry_out(resumed(request.output, {"epochs": 1})).metrics
    assert metrics["epoch"] == 1 and metrics["test"]["reviews"] == 60


def test_one_cycle_is_laid_over_the_new_length(
    tiny: Request, at_step: Callable[..., None], said: Callable[[], list[str]]
) -> None:
    at_step(STEPS, interrupt)
    with pytest.raises(Stopped), stop_signals():
        carry_out(tiny)
    carry_out(resumed(tiny.output, {"epochs": 4}))
    assert any("the run is of 4 epochs now, not 2" in line for line in said())
    history = np.genfromtxt(tiny.output / "history.csv", delimiter=",", names=True)
    rate = [epochs.rate_at(Recipe(**{**vars(tiny.recipe), "epochs": 4}), e, 13, 14) for e in (2, 3)]
    assert history["learning_rate"][1:3] == pytest.approx(rate, rel=1e-9)
    assert len(history) == 4


# Imports everything once, then kills children that train; says how each ended.
WORKER = """
import json, math, os, random, signal, sys, time
import gensim, matplotlib.pyplot, pyarrow.parquet, torch
import trainer.report.page, trainer.run.train
from trainer.cli import main

data, folder, options, kills = json.loads(sys.argv[1])
draw = random.Random(5)

def run(output, after=math.inf):
    begun = os.path.isdir(os.path.join(output, "training"))
    words = ["--resume"] if begun else [f"--data={data}", *options]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            main([*words, f"--output={output}", "--save-minutes=0", "--threads=1", "--device=cpu"])
        except SystemExit as end:
            code = end.code or 0
        finally:
            os._exit(code)
    began = time.monotonic()
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() - began > after:
            os.kill(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(ended[1])

began = time.monotonic()
ends = [run(folder + "-whole")]
seconds = time.monotonic() - began
while ends.count(-signal.SIGKILL) < kills:
    ends.append(run(folder, draw.uniform(0, 0.8 * seconds)))
print(json.dumps([*ends, run(folder)]))
"""


@pytest.mark.slow
def test_killed_at_random_moments(tiny: Request, data: Path) -> None:
    """SIGKILL to the command, twenty times; then it comes to its end, with the same bits."""
    recipe = replace(tiny.recipe, epochs=8, patience=8).to_json()
    options = [
        f"--{'' if value else 'no-'}{name}" if isinstance(value, bool) else f"--{name}={value}"
        for name, value in ((name.replace("_", "-"), value) for name, value in recipe.items())
    ]
    done = subprocess.run(
        [sys.executable, "-c", WORKER, json.dumps([str(data), str(tiny.output), options, 20])],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    ends = json.loads(done.stdout.splitlines()[-1])
    assert ends.count(-signal.SIGKILL) == 20 and ends[-1] == 0
    assert set(ends) == {0, -signal.SIGKILL}, done.stderr[-3_000:]
    whole = tiny.output.with_name("c-whole")
    assert weights(tiny.output) == weights(whole)
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (tiny.output, whole)]
    assert metrics[0] == metrics[1]
