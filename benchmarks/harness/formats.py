"""How figures read: goals in words, numbers with as many digits as they deserve, tables."""

from collections.abc import Sequence
from typing import Any, Final

NOTICE: Final = (
    "<!-- Written by `python -m benchmarks.report` from benchmarks/results/. Do not edit. -->"
)
SIGNS: Final = {"higher": "≥", "lower": "≤"}
Body = dict[str, Any]


def is_met(goal: Body) -> bool | None:
    """Whether a goal is met; None where it was not measured."""
    if goal["measured"] is None:
        return None
    if goal["better"] == "higher":
        return bool(goal["measured"] >= goal["goal"])
    return bool(goal["measured"] <= goal["goal"])


def verdict(goal: Body) -> str:
    """Say how far from the goal the measurement is."""
    met = is_met(goal)
    if met is None:
        return "not measured"
    apart = goal["measured"] - goal["goal"]
    if goal["unit"] != "%" and goal["goal"]:
        percent = 100 * apart / goal["goal"]
        distance = f"{percent:+.1f} %" if abs(percent) < 1 else f"{percent:+.0f} %"
    else:
        distance = f"{apart:+.2f}{goal['unit']}"
    return f"met ({distance})" if met else f"**missed** ({distance})"


def goal_line(goal: Body) -> str:
    """Return a goal in one line."""
    measured = shown(goal["measured"], goal["unit"])
    note = f" ({goal['note']})" if goal["note"] else ""
    return f"{goal['name']}: {measured}, goal {wanted(goal)}, {verdict(goal)}{note}"


def wanted(goal: Body) -> str:
    """Return the goal with its sign."""
    return f"{SIGNS[goal['better']]} {shown(goal['goal'], goal['unit'])}"


def title(name: str) -> str:
    """Return a name with a capital."""
    return name[:1].upper() + name[1:]


def shown(value: float | None, unit: str = "") -> str:
    """Return a number as people read it."""
    if value is None:
        return "—"
    if unit == "%":
        return f"{value:.2f} %"
    return f"{number(value)}{unit}"


def number(value: float) -> str:
    """Return a number with as many digits as a timing deserves."""
    if isinstance(value, int):
        return f"{value:,}"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 20 else f"{value:.2f}"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table; numbers stand right."""
    numeric = [all(not isinstance(row[i], str) for row in rows) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(columns) + " |",
        "|" + "|".join("---:" if right else "---" for right in numeric) + "|",
    ]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def cell(value: Any) -> str:
    """Return a cell's text."""
    if value is None:
        return "—"
    if isinstance(value, str | bool):
        return str(value).replace("|", "\\|").replace("\n", " ")
    return number(value)
