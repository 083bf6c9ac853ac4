"""A transformer with one logit: its fine-tuning, which can be stopped and taken up, and scoring.

Legend: R rows, B rows of a batch, T tokens of its longest row, E width of the encoder.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor, nn
from transformers import AutoModel

from infer.base.commit import atomic_file
from infer.base.console import say
from infer.text.batching import plan_batches
from infer.text.encoding import EncodedTexts, ranges
from trainer.checkpoint.files import load_tensors, save_tensors
from trainer.data.epoch_batches import epoch_batches
from trainer.network.device import seed_everything, seed_of
from trainer.teaching.self_training import plain

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

HEAD_SHARE: Final = 0.25  # of a long text; the rest are its last tokens (Sun et al. 2019)
WARM_UP: Final = 0.1  # of the steps
WEIGHT_DECAY: Final = 0.01
LARGEST_GRADIENT: Final = 1.0
SCORING_BATCHES: Final = 4  # batches of training that fit at once without gradients
ENCODED_AT_ONCE: Final = 1_000
REPORT_SECONDS: Final = 60.0
WIDTH_STEP: Final = 8  # matrix units like lengths that are a multiple of it


def option(default: float, kind: click.ParamType[Any], text: str) -> Any:
    """Return a field of `Settings` that is an option of the command too."""
    return field(default=default, metadata={"type": kind, "help": text})


@dataclass(frozen=True)
class Settings:
    """What the scores depend on; a stopped run goes on with the same only."""

    encoder: str
    folds: int = option(3, click.IntRange(2), "Blocks of labelled rows, and networks.")
    gap: int = option(30, click.IntRange(0), "Rows beside a block that its network skips too.")
    epochs: int = option(2, click.IntRange(1), "Times that a network sees its rows.")
    batch_size: int = option(32, click.IntRange(1), "Most rows in a batch.")
    batch_tokens: int = option(16_384, click.IntRange(1), "Most rows x longest row in a batch.")
    max_tokens: int = option(512, click.IntRange(8), "Of longer texts, head and tail are read.")
    learning_rate: float = option(3e-5, click.FloatRange(0), "The highest, after the warm-up.")
    smoothing: float = option(0.0, click.FloatRange(0, 1), "Share of one half in every label.")
    seed: int = option(123, click.IntRange(0, 2**32 - 1), "Seed of all that is drawn.")


@dataclass(frozen=True)
class Place:
    """Where unfinished work is kept, what computes, and for how long at most."""

    work: Path
    device: torch.device
    checkpoint_minutes: float = 10.0
    minutes: float = float("inf")


class Timer:
    """Tells how much of some seconds is over."""

    def __init__(self, seconds: float) -> None:
        """Start now."""
        self.seconds, self.start = seconds, time.monotonic()

    def share(self) -> float:
        """Return how much of the time is over; 1 and more: all of it."""
        return (time.monotonic() - self.start) / self.seconds if self.seconds > 0 else 1.0

    def rings(self) -> bool:
        """Say whether the time is over; if so, it starts anew."""
        over = self.share() >= 1
        if over:
            self.start = time.monotonic()
        return over


class Classifier(nn.Module):
    """An encoder, the mean of its last layer over each row's own tokens, and one linear unit."""

    def __init__(self, encoder: nn.Module, width: int) -> None:
        """Put a new head of `width` weights on the encoder."""
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(width, 1)

    def forward(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Turn (B, T) ids and their mask of 0 and 1 into (B,) float32 logits."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
        own = mask[:, :, None].to(hidden.dtype)  # (B, T, 1)
        mean = (hidden * own).sum(1) / own.sum(1)  # (B, E)
        # Not by a matrix product: it would be one of bf16, with two digits.
        logits: Tensor = (mean.float() * self.head.weight).sum(1) + self.head.bias
        return logits


class Fold:
    """A network in training, which a stopped run takes up again from its file."""

    def __init__(self, number: int, settings: Settings, place: Place) -> None:
        """Load the encoder and draw its head, or load what was saved of both."""
        self.name, self.settings, self.place = f"fold {number + 1}", settings, place
        self.path = place.work / f"fold-{number}.safetensors"
        self.seed = seed_of(settings.seed, number)
        encoder = AutoModel.from_pretrained(settings.encoder, dtype=torch.float32)
        seed_everything(self.seed, 0)
        self.network = Classifier(encoder, encoder.config.hidden_size).to(place.device)
        self.optimizer = make_optimizer(self.network)
        self.steps = self._load() if self.path.exists() else 0

    def train(self, tokens: EncodedTexts, targets: Floats, allowed: Mask, seconds: float) -> None:
        """Train on the allowed ones of R rows, for so many seconds at most.

        Where they are short, the learning rate has come down to 0 when they end.
        """
        batches = plan_training(np.where(allowed, tokens.lengths, 0), self.settings, self.seed)
        clock, first = Timer(seconds), self.steps
        save, report = Timer(60 * self.place.checkpoint_minutes), Timer(REPORT_SECONDS)
        self.network.train()
        for rows in batches[first:]:
            progress = max((self.steps + 0.5) / len(batches), clock.share())
            if progress >= 1:
                break
            loss = self._step(tokens, targets, rows, rate_at(progress))
            if save.rings():
                self._save()
            if report.rings():
                done = f"step {self.steps:,} of {len(batches):,}, loss {float(loss):.3f}"
                pace = (time.monotonic() - clock.start) / (self.steps - first)
                left = pace * (len(batches) - self.steps) / 60
                say(f"{self.name}: {done}, {left:,.0f} min to go")
        if first < len(batches):
            self.steps = len(batches)
            self._save()

    def _step(self, tokens: EncodedTexts, targets: Floats, rows: Integers, rate: float) -> Tensor:
        """Learn from one batch; return its loss, a scalar that is still on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * self.settings.learning_rate
        seed_everything(self.seed, self.steps)  # the same dropout after a stop
        device = self.place.device
        with precision(device):
            logits = self.network(*batch_of(tokens, rows, device))
        wanted = torch.from_numpy(targets[rows]).to(device)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.steps += 1
        return loss.detach()

    @torch.inference_mode()
    def score(
        self,
        tokens: EncodedTexts,
        lengths: Integers,
        scores: Floats,
        clock: Timer,
        keep: Callable[[], None],
    ) -> None:
        """Fill in the scores of those of R rows that have a length, until the time is over.

        Args:
            tokens: of all R texts.
            lengths: (R,) their lengths, 0 where no score is wanted.
            scores: (R,) filled in.
            clock: says when the time is over.
            keep: saves the scores, now and then and at the end.
        """
        save, report = Timer(60 * self.place.checkpoint_minutes), Timer(REPORT_SECONDS)
        device, left = self.place.device, np.count_nonzero(lengths)
        self.network.eval()
        for rows in plan_batches(lengths, SCORING_BATCHES * self.settings.batch_tokens):
            if clock.share() >= 1:
                break
            with precision(device):
                logits = self.network(*batch_of(tokens, rows, device))
            scores[rows] = logits.sigmoid().cpu().numpy()
            left -= len(rows)
            if save.rings():
                keep()
            if report.rings():
                say(f"{self.name}: {left:,} rows to score")
        keep()

    def forget(self) -> None:
        """Remove the file; the scores are there."""
        self.path.unlink()

    def _save(self) -> None:
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for number, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"{number}.{name}": value for name, value in values.items()}
        with atomic_file(self.path) as temporary:
            save_tensors(temporary, tensors | {"steps": torch.tensor(self.steps)})

    def _load(self) -> int:
        found = load_tensors(self.path)
        steps = int(found.pop("steps"))
        groups: dict[str, dict[str, Tensor]] = {}
        for name, value in found.items():
            group, _, key = name.partition(".")
            groups.setdefault(group, {})[key] = value
        self.network.load_state_dict(groups.pop("network"))
        state = {int(number): values for number, values in groups.items()}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        return steps


def encode(texts: pa.Array, tokenizer: Any, max_tokens: int) -> EncodedTexts:
    """Turn (R,) strings into token ids, none of a text without one; longer ones keep both ends."""
    head = round(HEAD_SHARE * max_tokens)
    rows: list[list[int]] = []
    for start in range(0, len(texts), ENCODED_AT_ONCE):
        block = plain(texts.slice(start, ENCODED_AT_ONCE))
        found = tokenizer(block, verbose=False)["input_ids"]
        for text, ids in zip(block, found, strict=True):
            kept = ids if len(ids) <= max_tokens else ids[:head] + ids[head - max_tokens :]
            rows.append(kept if text.strip() else [])
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    flat = np.fromiter((i for row in rows for i in row), np.int32, int(offsets[-1]))
    return EncodedTexts(flat, offsets, np.zeros(len(rows), np.uint8))


def batch_of(tokens: EncodedTexts, rows: Integers, device: torch.device) -> tuple[Tensor, Tensor]:
    """Lay rows side by side: ids and mask, each (B, T) int64; padding is 0 in both."""
    lengths = tokens.lengths[rows]
    width = -(-int(lengths.max()) // WIDTH_STEP) * WIDTH_STEP
    mask = np.arange(width) < lengths[:, None]
    input_ids = np.zeros(mask.shape, np.int64)
    input_ids[mask] = tokens.ids[ranges(tokens.offsets[rows], lengths)]
    return torch.from_numpy(input_ids).to(device), torch.from_numpy(mask).to(device).long()


def plan_training(lengths: Integers, settings: Settings, seed: int) -> list[Integers]:
    """Return the row numbers of every batch of all epochs, of rows with a length."""
    size, budget = settings.batch_size, settings.batch_tokens
    plans = [epoch_batches(lengths, size, budget, seed, e) for e in range(settings.epochs)]
    return [rows for plan in plans for rows in plan]


def rate_at(progress: float) -> float:
    """Return the share of the learning rate: up from 0, then down to 0 in a line."""
    return min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP))


def precision(device: torch.device) -> AbstractContextManager[Any]:
    """Compute in bf16 where there are units for it."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def make_optimizer(network: Classifier) -> torch.optim.AdamW:
    """Return AdamW that decays matrices alone."""
    weights = list(network.parameters())
    matrices = {"params": [w for w in weights if w.dim() > 1], "weight_decay": WEIGHT_DECAY}
    vectors = {"params": [w for w in weights if w.dim() <= 1], "weight_decay": 0.0}
    return torch.optim.AdamW([matrices, vectors], fused=weights[0].is_cuda)
