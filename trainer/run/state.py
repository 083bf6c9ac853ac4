"""What training carries from step to step, and how a run is taken up again.

Each epoch seeds the random number generators from (seed, epoch); where they are within it is kept
with the rest.
"""

import copy
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from infer.base.errors import ModelFileError
from trainer.checkpoint.files import (
    load_tensors,
    load_weights,
    note_of,
    read_json,
    save_tensors,
)
from trainer.network.model import SentimentLSTM
from trainer.settings.recipe import Recipe

STATE_TENSORS: Final = "state.safetensors"
STATE_JSON: Final = "state.json"  # of older versions; now it goes with the tensors
MOMENTS: Final = ("step", "exp_avg", "exp_avg_sq")
WARM_UP: Final = 0.3
FIRST_RATE: Final = 0.04


@dataclass
class Part:
    """How far an epoch has come.

    Attributes:
        epoch: its number.
        steps: batches that are done.
        loss: sum of the objective over their reviews, nats.
        weight: what these reviews count together.
        tokens: theirs, without padding.
        seconds: that it took.
    """

    epoch: int
    steps: int = 0
    loss: float = 0.0
    weight: float = 0.0
    tokens: int = 0
    seconds: float = 0.0


@dataclass
class State:
    """The moving parts of a run.

    Attributes:
        model: the network that takes the steps.
        average: its averaged weights, which are validated and kept; the network itself where the
            recipe averages nothing.
        optimizer: Adam over the network's parameters.
        steps: optimizer steps taken.
        epoch: epochs finished.
        best: the kept weights of the best epoch so far.
        history: a mapping for each finished epoch.
        part: the epoch that is under way.
        generators: what the shares of a batch draw from in this epoch (`trainer.network.replicas`).
        drawn: where the generators were when the state was saved that this one was filled with.
        select: what the best epoch is best in, see `best_of`.
    """

    model: SentimentLSTM
    average: SentimentLSTM
    optimizer: torch.optim.Adam
    steps: int = 0
    epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    part: Part = field(default_factory=lambda: Part(1))
    generators: list[torch.Generator] = field(default_factory=list)
    drawn: dict[str, Tensor] = field(default_factory=dict)
    select: str = "loss"

    @property
    def best_row(self) -> dict[str, Any]:
        """The history's best epoch."""
        return best_of(self.history, self.select)

    def out_of_patience(self, patience: int) -> bool:
        """Tell whether the last `patience` epochs brought no better one."""
        return bool(self.history) and self.epoch - int(self.best_row["epoch"]) >= patience


def best_of(history: Sequence[dict[str, Any]], select: str) -> dict[str, Any]:
    """Return the best epoch by its validation figures; the earlier one of two.

    Args:
        history: a mapping for each epoch, one at least.
        select: `loss`, or `accuracy` or `f1`, of which as many epochs are as good as reviews are
            few, so that the loss decides between them. It is the loss at the epoch's temperature,
            since that goes into the model: n-grams beside the network make sums of logits that are
            too sure of themselves.
    """

    def demerit(row: dict[str, Any]) -> tuple[float, float]:
        loss = float(row.get("calibrated_loss", row["validation_loss"]))
        return (loss if select == "loss" else -float(row[f"validation_{select}"]), loss)

    return min(history, key=demerit)


def start(model: SentimentLSTM, recipe: Recipe) -> State:
    """Begin a run with the model as it is."""
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, fused=True)
    average = copy.deepcopy(model) if recipe.weight_average else model
    average.flatten()
    return State(model=model, average=average, optimizer=optimizer, select=recipe.select)


def learning_rate(recipe: Recipe, progress: float) -> float:
    """Return the learning rate at a point of the run, a pure function of it.

    One cycle (Smith 2018): up from a 25th along a half cosine, then down to nothing.

    Args:
        recipe: its `schedule` and the highest rate.
        progress: share of all epochs that is done, 0 to 1.
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if progress < WARM_UP:
        rise = 0.5 - 0.5 * math.cos(math.pi * progress / WARM_UP)
        return recipe.learning_rate * (FIRST_RATE + (1 - FIRST_RATE) * rise)
    fall = 0.5 + 0.5 * math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))
    return recipe.learning_rate * fall


@torch.no_grad()
def update_average(state: State, decay: float) -> None:
    """Move the averaged weights towards the network's; young averages move faster."""
    if state.average is state.model:
        return
    slow = min(decay, (1 + state.steps) / (10 + state.steps))
    for kept, new in zip(state.average.parameters(), state.model.parameters(), strict=True):
        kept.lerp_(new, 1 - slow)


def keep_if_best(state: State, row: dict[str, Any]) -> bool:
    """Add a finished epoch to the history; keep a copy of its weights if it is the best one.

    A signal in between leaves the state as it was, or as it is to be: the history comes last.

    Returns:
        Whether it is the best so far.
    """
    is_best = best_of([*state.history, row], state.select) is row
    if is_best:
        weights = state.average.state_dict()
        state.best = {name: t.detach().cpu().clone() for name, t in weights.items()}
    state.history.append(row)
    state.epoch = int(row["epoch"])
    state.part = Part(state.epoch + 1)
    return is_best


def save_state(path: Path, state: State) -> None:
    """Write everything that the next step depends on, between two steps."""
    tensors = {f"model.{name}": t for name, t in state.model.state_dict().items()}
    if state.average is not state.model:
        tensors |= {f"average.{name}": t for name, t in state.average.state_dict().items()}
    for name, parameter in state.model.named_parameters():
        moments = state.optimizer.state.get(parameter, {})  # none before the first step
        tensors |= {f"adam.{moment}.{name}": t for moment, t in moments.items()}
    tensors |= {f"drawn.{name}": t for name, t in _drawn(state).items()}
    values = {
        "epoch": state.epoch,
        "steps": state.steps,
        "history": state.history,
        "part": asdict(state.part),
    }
    save_tensors(path, tensors, json.dumps(values))


def load_state(folder: Path, state: State) -> None:
    """Fill a fresh state with what `save_state` wrote; the best epoch's weights stand elsewhere.

    Args:
        folder: the checkpoint's `training` folder.
        state: a state of the same recipe, just started.

    Raises:
        ModelFileError: a file is missing, damaged or of another model.
    """
    path = folder / STATE_TENSORS
    tensors = load_tensors(path)
    load_weights(state.model, _under("model.", tensors), path)
    if state.average is not state.model:
        load_weights(state.average, _under("average.", tensors), path)
    state.epoch, state.steps, state.history, state.part = place_of(folder)
    if state.steps:
        _load_moments(state, _under("adam.", tensors), path)
    state.drawn = _under("drawn.", tensors)


def place_of(folder: Path) -> tuple[int, int, list[dict[str, Any]], Part]:
    """Read how far a run has come: epochs, steps, history, and the epoch under way."""
    try:
        note = note_of(folder / STATE_TENSORS)
        values = read_json(folder / STATE_JSON) if note is None else json.loads(note)
        epoch = int(values["epoch"])
        part = Part(**values.get("part", {"epoch": epoch + 1}))
        return epoch, int(values["steps"]), list(values["history"]), part
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{folder / STATE_TENSORS}: damaged ({error!r})") from error


def _drawn(state: State) -> dict[str, Tensor]:
    """Return where the generators are that a step draws from; an epoch's start seeds them."""
    if state.part.steps == 0:
        return {}
    device = state.model.classifier.weight.device
    found = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(device)
    return found | {f"share.{i}": own.get_state() for i, own in enumerate(state.generators)}


def draw_on(state: State) -> None:
    """Put the generators where they were when the state was saved within this epoch.

    A generator that had no number drawn from it then, as on another device or with another number
    of threads, begins as it does at the start of an epoch.
    """
    device = state.model.classifier.weight.device
    if (drawn := state.drawn.get("cpu")) is not None:
        torch.set_rng_state(drawn)
    if device.type == "cuda" and (drawn := state.drawn.get("cuda")) is not None:
        torch.cuda.set_rng_state(drawn, device)
    for i, own in enumerate(state.generators):
        if (drawn := state.drawn.get(f"share.{i}")) is not None:
            own.set_state(drawn)
    state.drawn = {}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _load_moments(state: State, moments: Mapping[str, Tensor], path: Path) -> None:
    names = [name for name, _ in state.model.named_parameters()]
    expected = {f"{moment}.{name}" for moment in MOMENTS for name in names}
    if expected != moments.keys():
        raise ModelFileError(f"{path}: Adam's moments are missing {expected - moments.keys()}")
    per_parameter = {
        i: {moment: moments[f"{moment}.{name}"] for moment in MOMENTS}
        for i, name in enumerate(names)
    }
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": per_parameter, "param_groups": groups})
