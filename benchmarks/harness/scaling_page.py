"""docs/scaling.md: what limits a machine with 8 GPUs, computed from the measured stages."""

import math
from typing import Any, Final

from benchmarks.harness.formats import NOTICE, Body, markdown, number

GPUS: Final = 8
GOAL_PER_GPU: Final = 20_000  # reviews/s end to end on one H200, the goal of the CUDA evidence
SHARE: Final = 0.7  # of it in session.run, the same goal


def scaling_document(bodies: dict[str, Body]) -> str:
    """Return docs/scaling.md."""
    parts = [NOTICE, f"# A machine with {GPUS} GPUs, on paper"]
    stages = bodies.get("stages")
    if stages is None:
        return "\n\n".join([*parts, "The stages have not been measured yet.\n"])
    rates = stages["raw"]["reviews_per_second"]
    per_gpu, source = gpu_rate(bodies.get("cuda"))
    need = GPUS * per_gpu
    parts += [
        f"- Scored: reviews of {number(stages['raw']['tokens_a_review'])} tokens on average "
        f"({stages['data']}).\n"
        f"- Stage rates: one core of {stages['machine']['cpu']}, measured "
        f"{stages['date'][:10]} (`python -m benchmarks.run {stages['mode']} --only stages`).\n"
        f"- Rate of a GPU: {source}.",
        f"{GPUS} GPUs at {per_gpu:,} reviews/s need {need:,} reviews/s from each stage:",
        markdown(
            ("stage", "reviews/s, one core", f"cores for {GPUS} GPUs"), core_rows(rates, need)
        ),
        conclusion(rates, per_gpu),
        plan(rates, need, stages["raw"]["file_bytes_a_review"]),
    ]
    return "\n\n".join(parts) + "\n"


def gpu_rate(cuda: Body | None) -> tuple[int, str]:
    """Return what one GPU asks for while it computes, in reviews/s, and where that is from."""
    parts = (cuda or {}).get("parts", {})
    goals = parts.get("sweep", {}).get("result", {}).get("goals", ())
    if cuda is not None and cuda["device"] != "cpu" and goals:
        card = parts.get("host", {}).get("result", {}).get("name", "the GPU")
        return round(goals[0]["measured"]), (
            f"measured on {card}, the model alone with padding, {goals[0]['note']} "
            "([cuda.md](cuda.md#budget-and-batches-at-once))"
        )
    rate = round(GOAL_PER_GPU / SHARE, -3)
    return int(rate), (
        f"not measured; the goal of {GOAL_PER_GPU:,} reviews/s end to end with {SHARE:.0%} of the "
        "time in `session.run`, which is this rate while the GPU computes"
    )


def core_rows(rates: dict[str, float], need: int) -> list[tuple[Any, ...]]:
    """Return the rows of the table."""
    rows: list[tuple[Any, ...]] = [
        (stage, float(rate), math.ceil(need / rate)) for stage, rate in rates.items()
    ]
    total = sum(need / rate for rate in rates.values())
    return [*rows, ("all", None, math.ceil(total))]


def conclusion(rates: dict[str, float], per_gpu: int) -> str:
    """Say what limits one process with one GPU as the scorer is built now."""
    slowest = min(rates, key=lambda stage: rates[stage])
    pace = min(per_gpu, rates[slowest])
    return "\n".join(
        [
            "One process drives one GPU:",
            "",
            "- Reading, encoding, and the model with its padding run beside one another, each in a "
            "thread of its own or two; writing follows each file.",
            f"- So at best {'the GPU' if pace == per_gpu else slowest} sets the pace: "
            f"{number(pace)} reviews/s a GPU, {pace / per_gpu:.0%} of what the GPU could take.",
        ]
    )


def plan(rates: dict[str, float], need: int, file_bytes: float) -> str:
    """Say what to do, in the order of what it brings."""
    encode = math.ceil(need / rates["encode"])
    return "\n".join(
        [
            "What follows from it:",
            "",
            f"1. {GPUS} processes, one a GPU (`--device cuda:N`), each with its own files of the "
            "folder: nothing is shared, so nothing waits. It works today.",
            f"2. Encoding is spread over {encode} or more threads in all, each with a cache of its "
            "own: Arrow and numpy let the interpreter's lock go but the look-up of chunks "
            "does not. `encoding.json` has how threads scale.",
            "3. Writing overlaps with the next file.",
            f"4. A disk that gives {number(need * file_bytes / 1e6)} MB/s: a review takes "
            f"{number(file_bytes)} bytes in the Parquet file.",
        ]
    )
