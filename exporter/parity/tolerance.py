"""How much an exported graph may differ from PyTorch, for each precision and provider, and why."""

import math
from dataclasses import dataclass, replace
from typing import Final

from infer.model.cuda import CUDA
from infer.model.session import CPU


@dataclass(frozen=True)
class Tolerance:
    """Bounds on one comparison with fp32 PyTorch on the CPU.

    Attributes:
        absolute: bound on a logit's difference, to which `relative` × |logit| is added (of several
            the row's largest).
        relative: see `absolute`.
        mean: bound on the mean absolute difference of the real reviews' logits.
        stage: bound on any value inside the graph, by which the first wrong stage is found.
        flips: share of real reviews whose label may change; one review always may.
        accuracy: accuracy that may be lost on labelled reviews; one review always may.
        source: where the figures come from.
        outliers: share of real reviews, rounded down, that may differ by more than `absolute`.
        outlier: bound on the difference of those.
        mates: by how much, times the larger of 1 and |logit|, a row's logit may differ alone and
            among others: 0 for not a bit, None for as much as from PyTorch.
        override: whether `absolute` was set by `--atol`.
    """

    absolute: float
    relative: float
    mean: float
    stage: float
    flips: float
    accuracy: float
    source: str
    outliers: float = 0.0
    outlier: float = 0.0
    mates: float | None = None
    override: bool = False

    def flips_allowed(self, rows: int) -> int:
        """Return how many of `rows` labels may change."""
        return max(1, int(self.flips * rows))

    def outliers_allowed(self, rows: int) -> int:
        """Return how many of `rows` logits may differ by more than `absolute`."""
        return int(self.outliers * rows)

    def losses_allowed(self, rows: int) -> int:
        """Return how many more of `rows` labelled reviews may be wrong than before."""
        return max(1, int(self.accuracy * rows))


# Measured on IMDB, 2,000 validation reviews of up to 1,000 tokens, BiLSTM 2 x 256 after two epochs:
# fp32 3e-7 in the mean, 1e-6 for all but one review, 2.0e-5 for that one, of which PyTorch's own
# rounding (against float64) is 2e-6 and ONNX Runtime's 1.7e-5: a recurrent net can amplify the
# rounding of a single row. Hence the outlier, one in a thousand, bounded too.
# Measured on IMDB, 2,500 test reviews, BiLSTM 1 x 64 with max and mean pooling, AVX-512 with VNNI,
# logits up to 12 (largest / mean difference): fp32 5e-6 / 6e-7, fp16 1.1e-2 / 4e-4,
# int8 0.66 / 2.5e-2 with 6 labels changed and 2 reviews of accuracy lost, when its scales hung on
# the batch; on fixed scales 0.072 / 6.6e-3 for another such network. w8 3.4e-2 / 4.1e-3.
_FP32 = Tolerance(
    1e-5, 1e-5, 1e-5, 1e-5, 0.001, 0.001,
    "fp32 on the CPU: rounding alone; 1e-5, and 1e-4 for one review in a thousand",
    outliers=0.001, outlier=1e-4, mates=0.0,
)  # fmt: skip
_FP16 = Tolerance(
    5e-2, 0.0, 5e-3, 2e-2, 0.002, 0.001,
    "fp16: weights rounded to 11 bits, computed in float32; 5e-2, five times what was measured",
)  # fmt: skip
_W8 = Tolerance(
    0.25, 0.0, 2e-2, 0.1, 0.004, 0.001,
    "w8: weights rounded to 8 bits, computed in float32; within five times what was measured",
)  # fmt: skip
_INT8 = Tolerance(
    2.0, 0.0, 0.1, 0.25, 0.005, 0.001,
    "int8: 7-bit weights, 8-bit activations; labels agree on 99.5 % and accuracy to 0.1 points, "
    "logits within three times what was measured",
    mates=0.0,
)  # fmt: skip
# ONNX Runtime 1.31 hands `use_tf32` to cuDNN's LSTM too: with 0 it asks for plain float32
# (CUDNN_FMA_MATH), so which bounds hold hangs on the session's own setting. They come from the
# formats' rounding; an H200 kept to them over 8,000 reviews (benchmarks/results/cuda.json).
_FP32_TF32 = Tolerance(
    1e-2, 1e-3, 1e-3, 5e-3, 0.001, 0.001,
    "fp32 on CUDA with TF32: products of 11-bit inputs; an H200 was 3.0e-4 apart",
)  # fmt: skip
_FP32_STRICT = Tolerance(
    1e-4, 1e-4, 2e-5, 1e-4, 0.001, 0.001,
    "fp32 on CUDA without TF32: sums in another order; an H200 was 4.6e-6 apart",
)  # fmt: skip
# Of a network that somebody brought nobody knows which kernels it is made of: ONNX Runtime's
# convolutions round by the shape of a batch, by 1.2e-7 for logits up to 1.
FOREIGN_MATES: Final = 1e-5

TOLERANCES: Final = {
    ("fp32", CPU, False): _FP32,
    ("fp32", CUDA, False): _FP32_STRICT,
    ("fp32", CUDA, True): _FP32_TF32,
    ("fp16", CPU, False): replace(_FP16, mates=0.0),
    ("fp16", CUDA, False): _FP16,
    ("fp16", CUDA, True): _FP16,
    ("w8", CPU, False): replace(_W8, mates=0.0),
    ("w8", CUDA, False): _W8,
    ("w8", CUDA, True): _W8,
    ("int8", CPU, False): _INT8,
}


def for_foreign(tolerance: Tolerance) -> Tolerance:
    """Return the bounds for a network that somebody brought: rounding, where it was not a bit."""
    return replace(tolerance, mates=FOREIGN_MATES) if tolerance.mates == 0 else tolerance


def tolerance_for(
    precision: str,
    provider: str,
    tf32: bool = False,
    atol: float | None = None,
    labels: int = 2,
) -> Tolerance:
    """Return the bounds for a precision on a provider.

    Args:
        precision: `fp32`, `fp16`, `w8` or `int8`.
        provider: ONNX Runtime's name of it.
        tf32: whether the session rounds to TF32.
        atol: replaces `absolute`, which is then recorded as an override; `relative` becomes 0, and
            a row alone may differ by as much from the same row among others.
        labels: how many the model tells texts apart by.
    """
    tolerance = _of_several(TOLERANCES[precision, provider, tf32], labels)
    if atol is None:
        return tolerance
    source = f"--atol {atol:g} in place of {tolerance.absolute:g} ({tolerance.source})"
    mean = max(tolerance.mean, atol)
    return replace(
        tolerance,
        absolute=atol,
        relative=0.0,
        mean=mean,
        source=source,
        outliers=0.0,
        mates=None,
        override=True,
    )


def _of_several(tolerance: Tolerance, labels: int) -> Tolerance:
    """Widen bounds that were measured on one logit a row to the largest error of K logits.

    The largest of K errors, normally distributed, is about sqrt(2 ln K) of their deviations: 1.5
    for three labels, 3.4 for 300.
    """
    if labels == 2:
        return tolerance
    wider = math.sqrt(2 * math.log(labels))
    return replace(
        tolerance,
        absolute=wider * tolerance.absolute,
        outlier=wider * tolerance.outlier,
        source=f"{tolerance.source}; {wider:.2g} times as much for the largest of {labels} logits",
    )
