"""The temperature makes scores mean what they say, and changes no label."""

from pathlib import Path

import numpy as np
import pytest

from exporter.card import make_card
from infer.model.probability import sigmoid
from trainer.checkpoint.folder import Checkpoint
from trainer.network.calibration import (
    calibration_error,
    describe_temperature,
    fit_mix,
    fit_temperature,
)
from trainer.network.evaluate import measure


@pytest.fixture
def honest() -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn with just the probabilities that they stand for."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, 50_000).astype(np.float32)
    return logits, (random.random(len(logits)) < sigmoid(logits)).astype(np.int8)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_a_known_temperature_is_found(
    honest: tuple[np.ndarray, np.ndarray], temperature: float
) -> None:
    logits, labels = honest
    distorted = (logits * temperature).astype(np.float32)
    found = fit_temperature(distorted, labels)
    assert found == pytest.approx(temperature, rel=0.03)
    assert calibration_error(sigmoid(distorted / found), labels) < 0.01


def test_it_has_the_lowest_loss_there_is(honest: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = honest

    def loss(temperature: float) -> float:
        p = sigmoid(logits / temperature)
        return -np.log(np.where(labels == 1, p, 1 - p)).mean()

    found = fit_temperature(logits, labels)
    assert loss(found) < min(loss(found * 1.05), loss(found / 1.05))


def test_texts_without_a_token_are_left_out(honest: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = honest
    with_gaps, more = np.append(logits, np.float32(np.nan)), np.append(labels, np.int8(1))
    assert fit_temperature(with_gaps, more) == fit_temperature(logits, labels)
    assert calibration_error(sigmoid(with_gaps), more) == calibration_error(sigmoid(logits), labels)
    nothing = np.full(3, np.nan, np.float32), np.zeros(3, np.int8)
    assert fit_temperature(*nothing) == 1.0
    assert np.isnan(calibration_error(*nothing))


def test_a_few_faultless_reviews_do_not_make_it_certain() -> None:
    logits = np.array([1.0] * 12 + [-1.0] * 12, np.float32)
    score = sigmoid(logits[:1] / fit_temperature(logits, (logits > 0).astype(np.int8)))[0]
    assert score == pytest.approx(13 / 14, abs=1e-6)


def test_worse_than_guessing_ends_at_the_bound() -> None:
    logits = np.array([2.0, -2.0] * 10, np.float32)
    assert fit_temperature(logits, np.array([0, 1] * 10, np.int8)) == pytest.approx(20.0)


@pytest.mark.parametrize("rows", [1, 2, 3, 20, 200])
def test_what_knows_nothing_stays_as_it_is(rows: int) -> None:
    random = np.random.default_rng(rows)
    logits = random.normal(0, 0.02, rows).astype(np.float32)  # an untrained network's
    assert fit_temperature(logits, random.integers(2, size=rows).astype(np.int8)) == 1.0
    assert "none clearly" in describe_temperature(1.0) and "1.30" in describe_temperature(1.3)


def test_it_is_kept_where_rows_held_out_gain_clearly_and_only_there() -> None:
    kept, losses = [], []
    for seed in range(40):
        random = np.random.default_rng(seed)
        logits = random.normal(0, 2, 1_060)
        labels = (random.random(1_060) < sigmoid(logits)).astype(np.int8)
        found = fit_temperature(logits[:60].astype(np.float32), labels[:60])
        losses.append(measure((logits[60:] / found).astype(np.float32), labels[60:])["loss"])
        losses[-1] -= measure(logits[60:].astype(np.float32), labels[60:])["loss"]
        kept.append(found != 1.0)
    assert sum(kept) <= 3  # nothing is wrong with these logits
    assert max(losses) < 0.05
    too_sure = (logits[:60] * 5).astype(np.float32)
    assert fit_temperature(too_sure, labels[:60]) > 2


def test_two_opinions_are_weighed_by_what_they_know() -> None:
    """Two noisy views of the truth: the optimum weighs them by the inverse of their variances."""
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 40_000).astype(np.int8)
    views = [
        (2 * (2.0 * labels - 1 + random.normal(0, noise, len(labels))) / noise**2)
        for noise in (1.0, 2.0)
    ]
    for deep, wide in (views, views[::-1], [3 * views[0], views[1]]):
        mix = fit_mix(deep.astype(np.float32), wide.astype(np.float32), labels)
        assert sum(mix) == pytest.approx(2)
        scale = 3 if deep is not views[0] and deep is not views[1] else 1
        assert mix[0] * scale / mix[1] == pytest.approx(1, rel=0.1)


def test_an_opinion_that_is_noise_counts_next_to_nothing() -> None:
    random = np.random.default_rng(4)
    labels = random.integers(0, 2, 5_000).astype(np.int8)
    good = (labels * 4.0 - 2 + random.normal(0, 1, len(labels))).astype(np.float32)
    noise = random.normal(0, 3, len(labels)).astype(np.float32)
    assert fit_mix(good, noise, labels)[1] < 0.1
    assert fit_mix(noise, good, labels)[0] < 0.1
    nothing = np.full(3, np.nan, np.float32)
    assert fit_mix(nothing, nothing, labels[:3]) == (1.0, 1.0)


def test_calibration_error_by_hand() -> None:
    scores = np.array([0.9, 0.9, 0.9, 0.9, 0.2, 0.2])
    labels = np.array([1, 1, 1, 0, 0, 0], np.int8)
    expected = (4 * abs(0.9 - 0.75) + 2 * abs(0.2 - 0.0)) / 6
    assert calibration_error(scores, labels) == pytest.approx(expected)
    assert calibration_error(np.array([1.0, 0.0]), np.array([1, 0], np.int8)) == 0.0


def test_training_notes_it_and_the_model_card_carries_it(
    trained: tuple[Path, Checkpoint],
) -> None:
    folder, checkpoint = trained
    errors = checkpoint.metrics["test"]["calibration_error"]
    assert errors.keys() == {"before", "after"} and all(0 <= e <= 1 for e in errors.values())
    assert make_card(checkpoint, "fp32").temperature == checkpoint.temperature > 0
    best = (folder / "history.csv").read_text().splitlines()[checkpoint.metrics["epoch"]]
    assert str(checkpoint.temperature) in best.split(",")


def test_a_dozen_rows_do_not_silence_an_opinion() -> None:
    """Two views are equally good; which of them happens to be right more often is chance."""
    random = np.random.default_rng(5)
    labels = np.tile(np.array([0, 1], np.int8), 6)
    for _ in range(50):
        views = random.normal(3.0 * labels - 1.5, 1.5, (2, 12)).astype(np.float32)
        assert 1.3 < fit_mix(*views, labels)[1] < 1.8
