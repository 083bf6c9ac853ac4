"""docs/scaling.md: what fills a machine of many cores or GPUs, computed from measured stages."""

import math
from typing import Any, Final

from benchmarks.harness.formats import NOTICE, Body, markdown, number
from infer.job.posts import CORES_A_PROCESS

CORES: Final = (16, 64)
GPUS: Final = 8
GOAL_PER_GPU: Final = 20_000  # reviews/s end to end on one H200, the goal of the CUDA evidence
SHARE: Final = 0.7  # of it in session.run, the same goal
# What runs in the process that was started, and what in each worker.
READING: Final = ("read", "write")
# Of benchmarks/precision.py: a model's size and precision, and which shipped model is like it.
MODELS: Final = (("small", "int8", "imdb-small"), ("article", "fp32", "imdb"))

Rates = dict[str, float]


def scaling_document(bodies: dict[str, Body]) -> str:
    """Return docs/scaling.md."""
    parts = [NOTICE, "# What fills a machine, on paper"]
    if not {"stages", "encoding"} <= bodies.keys():
        return "\n\n".join([*parts, "The stages have not been measured yet.\n"])
    rates = stage_rates(bodies)
    models = model_rates(bodies.get("precision"))
    parts += [about(bodies), "## Rates of one core", rate_table(rates, models)]
    if models:
        parts += ["## 16 and 64 cores", core_table(rates, models), FILLING]
    per_gpu, source = gpu_rate(bodies.get("cuda"))
    file_bytes = bodies["stages"]["raw"]["file_bytes_a_review"]
    parts += [f"## {GPUS} GPUs", gpu_text(rates, per_gpu, source, file_bytes)]
    return "\n\n".join(parts) + "\n"


def stage_rates(bodies: dict[str, Body]) -> Rates:
    """Return the reviews/s of each stage on one core, encoding cold and warm."""
    rates = dict(bodies["stages"]["raw"]["reviews_per_second"])
    warm = rates.pop("encode")
    one_thread = bodies["encoding"]["tables"][0]["rows"]
    cold = next(rate for what, rate in one_thread if what == "ours, cold")
    # Where both were measured, the lower one: the two are of different hours.
    return {**rates, "encode, cold": min(cold, warm), "encode, warm": warm}


def model_rates(precision: Body | None) -> Rates:
    """Return the reviews/s of `session.run` on one core, by the shipped model that is alike."""
    found: Rates = {}
    for size, kind, name in MODELS if precision is not None else ():
        table = next(t for t in precision["tables"] if t["title"].startswith(f"{size} model"))
        place = table["columns"].index("reviews/s, session.run")
        row = next(row for row in table["rows"] if row[0] == kind)
        found[f"{name} ({kind})"] = row[place] / precision["machine"]["cores"]
    return found


def about(bodies: dict[str, Body]) -> str:
    """Say what the figures are of."""
    stages = bodies["stages"]
    return (
        f"- Scored: reviews of {number(stages['raw']['tokens_a_review'])} tokens on average "
        f"({stages['data']}).\n"
        f"- Stages: one core of {stages['machine']['cpu']}, measured {stages['date'][:10]} "
        f"(`python -m benchmarks.run {stages['mode']} --only stages encoding precision`).\n"
        "- Cold: no word was seen before. Warm: all of them. A job begins cold and is warm after "
        "some 100,000 reviews; each process learns by itself."
    )


def rate_table(rates: Rates, models: Rates) -> str:
    """Show what one core does in a second."""
    rows = [(stage, "the first" if stage in READING else "each worker", float(rate))
            for stage, rate in rates.items()]  # fmt: skip
    rows += [(f"model, {name}", "each worker", float(rate)) for name, rate in models.items()]
    return markdown(("stage", "process", "reviews/s"), rows)


FILLING: Final = f"""\
- One process encodes in one thread; its model takes the other cores. That fills {CORES_A_PROCESS}
  cores with the smaller model, and any machine with the larger one.
- `sent-score` starts a process for every {CORES_A_PROCESS} cores. The first one reads, keeps parts
  and writes outputs; the workers encode and run the model.
- Where the first one sets the pace, two commands with a share of the files each go further."""


def core_table(rates: Rates, models: Rates) -> str:
    """Show what machines of many cores reach with one process and with several."""
    rows: list[tuple[Any, ...]] = []
    reading = together([rates[stage] for stage in READING])
    for cores in CORES:
        for name, model in models.items():
            for state in ("cold", "warm"):
                encode = rates[f"encode, {state}"]
                work = cores * together([encode, rates["pad"], model])
                alone = min(encode, (cores - 1) * model)
                pace = "the cores" if work <= reading else "reading and writing"
                rows.append(
                    (cores, f"{name}, {state}", round(alone), math.ceil(cores / CORES_A_PROCESS),
                     round(min(work, reading)), pace)
                )  # fmt: skip
    header = ("cores", "model", "one process, reviews/s", "processes", "reviews/s", "what sets it")
    return markdown(header, rows)


def together(rates: list[float]) -> float:
    """Return the rate of stages that one core goes through one after another."""
    return 1 / sum(1 / rate for rate in rates)


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


def gpu_text(rates: Rates, per_gpu: int, source: str, file_bytes: float) -> str:
    """Say what several GPUs need of the machine around them."""
    need = GPUS * per_gpu
    warm = rates["encode, warm"]
    processes = math.ceil(per_gpu / warm)
    rows: list[tuple[Any, ...]] = [
        (stage, float(rate), math.ceil(need / rate)) for stage, rate in rates.items()
    ]
    reading = rates["read"]
    pace = min(per_gpu, warm)
    lines = [
        f"Rate of a GPU: {source}. {GPUS} at {per_gpu:,} reviews/s need {need:,} from each stage:",
        "",
        markdown(("stage", "reviews/s, one core", f"cores for {GPUS} GPUs"), rows),
        "",
        f"- A process encodes {number(pace)} reviews/s once it is warm, {pace / per_gpu:.0%} of "
        "what its GPU could take, and more by as much as its second line encodes beside the first.",
        f"- So {processes} processes a GPU fill it: `--device cuda:0,1,…,{GPUS - 1} --processes "
        f"{processes * GPUS}`, on as many cores and some for reading. One process a GPU is the "
        "default.",
    ]
    if need > reading:
        lines.append(
            f"- One process reads {number(reading)} reviews/s, {reading / need:.0%} of what "
            f"{GPUS} GPUs could take. Two commands with a share of the files and of the GPUs each "
            "read twice that."
        )
    lines.append(
        f"- A disk that gives {number(need * file_bytes / 1e6)} MB/s: a review takes "
        f"{number(file_bytes)} bytes in the Parquet file."
    )
    return "\n".join(lines)
