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
    for name, part in body["parts"].items():
        parts += section(name, part)
    return "\n\n".join([*parts, REHEARSED])


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


def section(name: str, part: dict[str, Any]) -> list[str]:
    """Return one part's section."""
    parts = [f"## {PARTS[name].heading}"]
    if "error" in part:
        error = part["error"].strip()
        return [*parts, f"Failed after {part['seconds']:.0f} s:", f"```\n{error}\n```"]
    for table in part["result"]["tables"]:
        parts += [f"**{table['title']}**", markdown(table["columns"], table["rows"])]
    lines = [f"- **Failed**: {problem}" for problem in problems(part)]
    missed = [goal for goal in part["result"]["goals"] if is_met(goal) is False]
    lines += [f"- **Missed**: {goal_line(goal)}" for goal in missed]
    return [*parts, *(["\n".join(lines)] if lines else []), f"Took {part['seconds']:.0f} s."]
