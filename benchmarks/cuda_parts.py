"""The parts of the CUDA evidence: which there are, in which order, and what each may take."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any, Final

from benchmarks.harness.contract import Goal, Settings, Table

Found = dict[str, Any]


@dataclass(frozen=True)
class Context(Settings):
    """Settings on a GPU, or on the CPU for a rehearsal."""

    device: str = field(default="cuda", kw_only=True)

    @property
    def is_cuda(self) -> bool:
        """Whether this runs on a GPU."""
        return self.device != "cpu"

    def pick(self, tiny: int, full: int) -> int:
        """Return a size for the mode."""
        return tiny if self.mode == "tiny" else full


@dataclass(frozen=True)
class Part:
    """A part: its heading, the function that measures it, and the seconds it may take."""

    heading: str
    where: str
    seconds: float

    def measure(self, context: Context) -> Found:
        """Run it; its module is imported here, so that one that fails takes no other along."""
        module, _, name = self.where.partition(":")
        function: Callable[[Context], Found] = getattr(import_module(module), name)
        return function(context)


def found(*given: Goal | Table, failed: list[str] | None = None, **raw: Any) -> Found:
    """Return what a part found, JSON-ready; `failed` says what must not be."""
    return {
        "goals": [asdict(one) for one in given if isinstance(one, Goal)],
        "tables": [asdict(one) for one in given if isinstance(one, Table)],
        "failed": failed or [],
        **raw,
    }


# What matters most comes first: what is lost when time runs out is lost at the end.
PARTS: Final = {
    "host": Part("Host", "benchmarks.cuda_scoring:host", 30),
    "score": Part("One file from start to exit", "benchmarks.cuda_scoring:score", 60),
    "parity": Part("The shipped model against the CPU", "benchmarks.cuda_scoring:parity", 120),
    "sweep": Part("Budget and batches at once", "benchmarks.cuda_scoring:sweep", 90),
    "scale": Part("Distinct reviews, cold and warm", "benchmarks.cuda_scoring:scale", 75),
    "tests": Part("The tests that need a GPU", "benchmarks.cuda_scoring:tests", 120),
    "out-of-memory": Part("Out of memory, for real", "benchmarks.cuda_scoring:out_of_memory", 45),
    "refusals": Part("CUDA that cannot be had", "benchmarks.cuda_scoring:refusals", 45),
    "training": Part("Training", "benchmarks.cuda_networks:training", 60),
    "pytorch": Part("Against PyTorch on the same card", "benchmarks.cuda_networks:pytorch", 60),
    "opsets": Part("Opsets and providers", "benchmarks.cuda_networks:opsets", 60),
}  # fmt: skip
