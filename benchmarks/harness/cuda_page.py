"""docs/cuda.md: what was found on a real GPU, or what waits for one."""

from typing import Any

from benchmarks.cuda_parts import PARTS
from benchmarks.harness.formats import (
    NOTICE,
    Body,
    goal_line,
    is_met,
    markdown,
    shown,
    title,
    verdict,
    wanted,
)

WAITING = (
    "Not yet run on a GPU: none was at hand. On a host with one, `python -m benchmarks.cuda` takes "
    "4 minutes at most, writes `benchmarks/results/cuda.json` after each of its parts, and `python "
    "-m benchmarks.report` then writes this page. `python -m benchmarks.cuda --device cpu --quick` "
    "runs the same code without a GPU, as the tests do. Until then the CUDA tolerances in "
    "`exporter/parity/tolerance.py` and the budget and batches at once in "
    "`infer/model/session.py` are assumptions."
)
SINCE = """## What was mended after that run

None of it has been measured on a GPU again. The model was 0.1.0's `imdb`, which reads 1,000 tokens
of a review; the one that comes along now reads 400.

- **Training** failed for a method that the packed network lacked: it has it, and a test takes both
  networks' steps on the CPU.
- **End to end** one process encodes 18,700 reviews/s, and reading took another 0.9 s of 7.5 in the
  same thread: reading has a thread of its own. Encoding in several processes is not built, so the
  goal stays missed.
- **Out of memory**, with 1,024 MiB left, the budget went down to 8,000 tokens: a batch that failed
  alone is now tried again with the memory that others had held. On the stub libraries the budget
  ends at 8,000 tokens where it ended at 392 to 8,000 (600 MiB), and no lower at other sizes.
- **Memory**: 19,333 MiB were in use with two batches of 262,144 tokens, 39 kB a token. The default
  budget reckons with 40 kB instead of 20, which halves it where less than 21 GB are free.

Left as it is: padding is 19 % over 25,000 reviews and 7.9 % over 100,000, because the first windows
are small. By planning alone, a first window of 16,384 rows would pad by 8.9 % and 4.8 %; but the
device waits for the encoder, and a larger first window makes it wait longer.

ONNX Runtime's CUDA library was carried to that machine with its kernels for sm_90 only, and was
otherwise as published.

Trained on the same card in the same hour, three networks side by side in threads of one process
(`trainer.run.epochs`, 72,500 texts of 16.8 million tokens an epoch; recorded by hand):

| network | texts a batch | seconds an epoch |
|---|---:|---:|
| 1 × 64 | 64 | 16.2 to 18.5 |
| 2 × 256 | 128 | 29.8 to 35.7 |
| 2 × 256, another seed | 128 | 49.6 to 56.8 |

A transformer as teacher (mpnet-base, 3 folds, 2 epochs of 16,700 reviews each) took 80 s from start
to exit, the scores of 100,000 reviews included."""
REHEARSED = """## What is known without a GPU

Seen on stub CUDA libraries, which log every call and compute nothing, under ONNX Runtime 1.31's own
CUDA provider (`tests/infer/model/test_cuda.py` and `tests/infer/job/test_cuda.py` repeat it):

- **Nodes**: both LSTMs, the embedding's gather and the linear layer run on CUDA at opset 17, and
  at 21 to 23 too.
- **Batches at once**: each batch that runs beside another on one session has a stream, a cuBLAS
  and a cuDNN handle of its own; nothing waits for the device as a whole.
- **TF32**: `--no-tf32` reaches cuDNN's LSTM (it asks for plain float32 products).
- **Memory**: with the arena's own way of growing, IMDB's 25,000 reviews take 2,433 MiB at 131,072
  tokens a batch (8 allocations); blocks of exactly what is asked for took 4,713 MiB (29). Where it
  does not suffice the budget is halved and the job goes on.
- **What is missing is named**: wheel, driver, driver's age, each library and where it was looked
  for, cuDNN, no card, a card's number that is not there, a card without room: one line each, with
  what to do.
"""


def cuda_document(body: Body | None) -> str:
    """Return docs/cuda.md."""
    parts = [NOTICE, "# On a real GPU"]
    if body is None:
        return "\n\n".join([*parts, WAITING, REHEARSED])
    parts += [about(body), "## Goals", goal_table(body["parts"])]
    parts += ["## Where we lose", losses(body["parts"])]
    for name, part in body["parts"].items():
        parts += section(name, part)
    return "\n\n".join([*parts, *([] if is_cpu(body) else [SINCE]), REHEARSED])


def about(body: Body) -> str:
    """Say where, when and with what."""
    facts = body["machine"]
    rehearsal = "**A rehearsal without a GPU**: figures mean nothing. " if is_cpu(body) else ""
    versions = ", ".join(f"{name} {version}" for name, version in body["versions"].items())
    seconds = sum(part["seconds"] for part in body["parts"].values())
    return (
        f"{rehearsal}`python -m benchmarks.cuda{' --quick' if body['quick'] else ''}`, "
        f"{body['date'][:10]}, commit {body['commit']}, {seconds:.0f} s; {facts['cpu']}, "
        f"{facts['cores']} cores, {facts['memory_gib']} GiB; {versions}; {body['data']}; "
        f"seed {body['seed']}."
    )


def is_cpu(body: Body) -> bool:
    """Whether this was a rehearsal."""
    return bool(body["device"] == "cpu")


def goal_table(parts: dict[str, Any]) -> str:
    """Show the goals of all parts, and the parts that failed."""
    rows = [
        (title(goal["name"]), wanted(goal), shown(goal["measured"], goal["unit"]), verdict(goal),
         goal["note"])
        for part in parts.values()
        for goal in part.get("result", {}).get("goals", ())
    ]  # fmt: skip
    rows += [
        (PARTS[name].heading, "", "", "**failed**", problem)
        for name, part in parts.items()
        for problem in problems(part)
    ]
    return markdown(("what", "goal", "measured", "", "note"), rows)


def problems(part: dict[str, Any]) -> list[str]:
    """Return why a part failed, line by line."""
    if "error" in part:
        return [part["error"].strip().splitlines()[-1]]
    return list(part["result"]["failed"])


def losses(parts: dict[str, Any]) -> str:
    """List the goals that were missed."""
    goals = [goal for part in parts.values() for goal in part.get("result", {}).get("goals", ())]
    lines = [f"- **Missed**: {goal_line(goal)}" for goal in goals if is_met(goal) is False]
    return "\n".join(lines) or "Every goal that was measured is met."


def section(name: str, part: dict[str, Any]) -> list[str]:
    """Return one part's section."""
    parts = [f"## {PARTS[name].heading}"]
    if "error" in part:
        error = part["error"].strip()
        return [*parts, f"Failed after {part['seconds']:.0f} s:", f"```\n{error}\n```"]
    for table in part["result"]["tables"]:
        parts += [f"**{table['title']}**", markdown(table["columns"], table["rows"])]
    lines = [f"- **Failed**: {problem}" for problem in problems(part)]
    return [*parts, *(["\n".join(lines)] if lines else []), f"Took {part['seconds']:.0f} s."]
