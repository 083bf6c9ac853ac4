"""docs/cuda.md: what was found on a real GPU, or what waits for one."""

from typing import Any

from benchmarks.formats import (
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
    "less than 8 minutes, writes `benchmarks/results/cuda.json`, and `python -m benchmarks.report` "
    "then writes this page. `python -m benchmarks.cuda --device cpu --quick` runs the same code "
    "without a GPU, as the tests do. The CUDA tolerances in `exporter/parity/tolerance.py` and the "
    "default token budget for CUDA in `infer/model/session.py` are assumptions until then."
)
HEADINGS = {
    "host": "Host",
    "opsets": "Opsets and providers",
    "rows": "Mixed, one-token and zero-length rows",
    "parity": "Parity",
    "parity-no-tf32": "Parity with NVIDIA_TF32_OVERRIDE=0",
    "training": "Training",
    "encoding": "Encoding",
    "pytorch": "Against PyTorch on the same card",
    "sweep": "End to end, by token budget",
    "out-of-memory": "Out of memory, for real",
    "hidden-libraries": "CUDA asked for and not to be had",
}


def cuda_document(body: Body | None) -> str:
    """Return docs/cuda.md."""
    parts = [NOTICE, "# On a real GPU"]
    if body is None:
        return "\n\n".join([*parts, WAITING]) + "\n"
    parts += [about(body), "## Goals", goal_table(body["parts"])]
    for name, part in body["parts"].items():
        parts += section(name, part)
    return "\n\n".join(parts) + "\n"


def about(body: Body) -> str:
    """Say where, when and with what."""
    facts = body["machine"]
    rehearsal = "**A rehearsal without a GPU**: figures mean nothing. " if is_cpu(body) else ""
    weights = "trained weights" if body["trained"] else "random weights"
    versions = ", ".join(f"{name} {version}" for name, version in body["versions"].items())
    seconds = sum(part["seconds"] for part in body["parts"].values())
    return (
        f"{rehearsal}`python -m benchmarks.cuda{' --quick' if body['quick'] else ''}`, "
        f"{body['date'][:10]}, commit {body['commit']}, {seconds:.0f} s; {facts['cpu']}, "
        f"{facts['cores']} cores, {facts['memory_gib']} GiB; {versions}; {body['data']}; "
        f"{weights}, seed {body['seed']}."
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
        (HEADINGS[name], "", "", "**failed**", part["error"].strip().splitlines()[-1])
        for name, part in parts.items()
        if "error" in part
    ]
    return markdown(("what", "goal", "measured", "", "note"), rows)


def section(name: str, part: dict[str, Any]) -> list[str]:
    """Return one part's section."""
    parts = [f"## {HEADINGS[name]}"]
    if "error" in part:
        return [
            *parts,
            f"Failed after {part['seconds']:.0f} s:",
            f"```\n{part['error'].strip()}\n```",
        ]
    for table in part["result"]["tables"]:
        parts += [f"**{table['title']}**", markdown(table["columns"], table["rows"])]
    missed = [goal for goal in part["result"]["goals"] if is_met(goal) is False]
    parts += ["\n".join(f"- **Missed**: {goal_line(goal)}" for goal in missed)] if missed else []
    return [*parts, f"Took {part['seconds']:.0f} s."]
