"""What was measured on: the machine, the versions, the commit."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import ROOT
from infer.base.cores import cores

# Instruction sets that decide how fast float32 and int8 products are.
FLAGS: Final = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "avx512_bf16")
PACKAGES: Final = (
    "onnxruntime-gpu", "onnxruntime", "torch", "spacy", "pyarrow", "numpy", "onnx", "onnxscript",
    "scikit-learn", "fasttext-numpy2-wheel", "click", "ray", "pyspark", "duckdb", "polars",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """Describe the machine, and how busy it was."""
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "flags": [flag for flag in FLAGS if flag in _cpu_flags()],
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }  # fmt: skip


def _cpu_info(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _cpu_model() -> str:
    family = "/".join(filter(None, (_cpu_info("cpu family"), _cpu_info("model\t"))))
    name = _cpu_info("model name") or platform.processor() or "unknown"
    return f"{name} (family/model {family})" if family else name


def _cpu_flags() -> frozenset[str]:
    return frozenset(_cpu_info("flags").split())


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Return the commit that was measured, with `+` where files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        )  # fmt: skip
        return done.stdout.strip()

    try:
        code = ("infer", "trainer", "exporter", "benchmarks/*.py")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *code)
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
