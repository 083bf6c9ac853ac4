"""Results as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness import SEED
from benchmarks.harness.contract import Result, Settings
from benchmarks.harness.machine import commit, versions


def write_result(
    result: Result, name: str, settings: Settings, folder: Path, about: Mapping[str, Any]
) -> Path:
    """Write one benchmark's JSON under its fixed name; `about` is what only the caller knows."""
    body = {
        "benchmark": name,
        "mode": settings.mode,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "seed": SEED,
        "trained_models": sorted(settings.models),
        "sizes_changed": dict(settings.overrides),
        "device": settings.device,
        "versions": versions(),
        **about,
        **asdict(result),
    }
    return write_json(folder / f"{name}.json", body)


def write_json(path: Path, body: Mapping[str, Any]) -> Path:
    """Write JSON with rounded numbers, beside its place and then by rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    text = json.dumps(_rounded(body), indent=1, ensure_ascii=False)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def _rounded(value: Any) -> Any:
    """Copy with floats of five significant digits: more than any timing has."""
    if isinstance(value, Mapping):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
