"""What all benchmarks are made with: what they are given and give, timing, material, pages."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
RESULTS: Final = ROOT / "benchmarks" / "results"
SEED: Final = 123
# In the order in which they run and are told.
BENCHMARKS: Final = (
    "encoding", "kinds", "batching", "overlap", "precision", "peers", "startup", "growth",
    "repeats", "processes", "scale", "training", "stages", "reports",
)  # fmt: skip
