"""docs/performance.md: every goal with its measurement, every table, from the JSON."""

import json
from typing import Final

from benchmarks.harness import BENCHMARKS
from benchmarks.harness.contract import MODEL_OPTIONS
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

ORDER: Final = (*BENCHMARKS, "batching-cuda")


def performance_document(bodies: dict[str, Body]) -> str:
    """Return docs/performance.md."""
    found = [bodies[name] for name in ORDER if name in bodies]
    parts = [
        NOTICE,
        "# Performance",
        "Each goal is a ratio within one run on one machine: against a peer, or against what the "
        "machine allows at best (the floor). Absolute figures are the machine's.",
        "```sh\nmake bench        # small sizes, some minutes\n"
        "make bench-full   # measures everything again and writes this page\n```",
    ]
    if not found:
        return "\n\n".join([*parts, "Nothing has been measured yet.\n"])
    parts += [about(found), "## Goals", goal_table(found), "## Where we lose", losses(found)]
    for body in found:
        parts += section(body)
    return "\n\n".join(parts) + "\n"


def about(bodies: list[Body]) -> str:
    """Say on what machine, with what versions, when and on what."""
    machines = {json.dumps(shown_machine(body), sort_keys=True): body for body in bodies}
    parts = []
    for body in machines.values():
        facts = body["machine"]
        names = [b["benchmark"] for b in bodies if shown_machine(b) == shown_machine(body)]
        rows = [
            ("machine", f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB"),
            ("system", facts["system"]),
            ("instruction sets", ", ".join(facts["flags"]) or "none of those looked for"),
            ("versions", ", ".join(f"{name} {v}" for name, v in body["versions"].items())),
        ]
        parts.append(markdown(("measured here", ", ".join(names)), rows))
    first = bodies[0]
    modes = ", ".join(sorted({f"`{body['mode']}`" for body in bodies}))
    parts.append(f"Data: {first['data']}; seed {first['seed']}; mode {modes}.")
    return "\n\n".join(parts)


def shown_machine(body: Body) -> Body:
    """Return what tells machines apart."""
    return {name: value for name, value in body["machine"].items() if name != "load_before"}


def goal_table(bodies: list[Body]) -> str:
    """Show every goal: measured, floor, how far off."""
    rows = [
        (title(goal["name"]), wanted(goal), shown(goal["measured"], goal["unit"]),
         shown(goal["floor"], goal["unit"]), verdict(goal), goal["note"])
        for body in bodies
        for goal in body["goals"]
    ]  # fmt: skip
    return markdown(("what", "goal", "measured", "floor", "", "note"), rows)


def losses(bodies: list[Body]) -> str:
    """List the goals that were missed, those that could not be measured, and faster peers."""
    lines = []
    for body in bodies:
        for goal in body["goals"]:
            if is_met(goal) is False:
                lines.append(f"- **Missed**: {goal_line(goal)}")
            elif goal["measured"] is None:
                lines.append(f"- Not measured: {goal['name']} ({goal['note']})")
        lines += [f"- {line}" for line in faster_peers(body)]
    return "\n".join(lines) or "Every goal is met, and no peer is faster."


def faster_peers(body: Body) -> list[str]:
    """Say which peers are faster than which of our models, from the peers' table."""
    lines = []
    for table in body["tables"] if body["benchmark"] == "peers" else ():
        mine = [c for c in table["columns"] if c.endswith(" is … times")]
        for row in table["rows"]:
            values = dict(zip(table["columns"], row, strict=True))
            behind = [
                f"{name.removesuffix(' is … times')} ({1 / values[name]:.1f} times)"
                for name in mine
                if values[name] is not None and values[name] < 1
            ]
            if behind and not any(row[0] == name.removesuffix(" is … times") for name in mine):
                lines.append(f"{row[0]} is faster than {', '.join(behind)}")
    return lines


def section(body: Body) -> list[str]:
    """Return one benchmark's section."""
    parts = [f"## {body['title']}", body["explanation"]]
    for table in body["tables"]:
        parts += [f"**{table['title']}**", markdown(table["columns"], table["rows"])]
        parts += [table["note"]] if table["note"] else []
    parts += single_runs(body["goals"])
    name = body["benchmark"]
    parts.append(
        f"Measured {body['date'][:10]} at commit {body['commit']} in {body['seconds']:,.0f} s, "
        f"load {body['machine']['load_before']} before: `{command_of(body)}` → "
        f"`benchmarks/results/{name}.json`"
    )
    return parts


def single_runs(goals: list[Body]) -> list[str]:
    """Return each run of the goals that were measured several times, to unfold."""
    rows = [
        (title(goal["name"]), ", ".join(shown(run, goal["unit"]) for run in goal["runs"]))
        for goal in goals
        if len(goal["runs"]) > 1
    ]
    if not rows:
        return []
    return ["<details><summary>Single runs</summary>", markdown(("what", "runs"), rows),
            "</details>"]  # fmt: skip


def command_of(body: Body) -> str:
    """Return the command that measures a benchmark again."""
    command = f"python -m benchmarks.run {body['mode']} --only {body['benchmark'].split('-')[0]}"
    if body["device"] != "cpu":
        command += f" --device {body['device']}"
    for name in body["trained_models"]:
        command += f" --{MODEL_OPTIONS[name]} FILE"
    if body["sizes_changed"]:
        command += " --set " + " ".join(f"{k}={v}" for k, v in body["sizes_changed"].items())
    return command
