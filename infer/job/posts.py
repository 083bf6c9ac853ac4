"""How many processes score a job, each on which device with how many threads."""

from dataclasses import dataclass
from typing import Final

from infer.base.cores import cores, memory
from infer.base.device import Device
from infer.base.errors import UsageError
from infer.model.cuda import cuda_problem, device_count

# One process encodes 5,000 to 7,500 new reviews a second, 20,000 to 60,000 of known words, and a
# core runs some 2,000 through the smaller shipped model.
CORES_A_PROCESS: Final = 4
# What one takes at most on the CPU, whatever stands in a table (tests/faults/test_heavy.py).
MEMORY_A_PROCESS: Final = 1 << 30
# A process takes a second to start, and has to learn the words by itself.
ROWS_A_PROCESS: Final = 50_000


@dataclass(frozen=True)
class Post:
    """Where one process works.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU cores that its model runs on, 0 = all.
        sharing: how many processes share the device.
    """

    device: str
    threads: int = 0
    sharing: int = 1


def find_posts(
    device: str, threads: int, processes: int, rows: int, precision: str
) -> tuple[Post, ...]:
    """Return where the processes of a job work: a single post is this process itself.

    Args:
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `cuda:N,M,…`.
        threads: CPU cores that the model runs on in all processes together, 0 = all.
        processes: how many, 0 = what fills the machine.
        rows: of the job.
        precision: the model card's; `int8` has no CUDA kernels.

    Raises:
        UsageError: there are more cards than processes.
    """
    named = Device.several(device)
    if 0 < processes < len(named):
        raise UsageError(
            f"processes: {processes}, expected at least {len(named)}: one for each card of "
            f"--device {device}. Use 0 for what fills the machine"
        )
    cards = [str(d) for d in named] if len(named) > 1 else _cards(named[0], processes, precision)
    most = len(cards) or _on_cpu(threads)
    worth = most if len(named) > 1 else max(1, rows // ROWS_A_PROCESS)
    count = processes or min(most, worth)
    if count == 1:
        return (Post(device, threads),)
    if not cards:
        shares = [max(1, ((threads or cores()) + number) // count) for number in range(count)]
        return tuple(Post(device, share, count) for share in shares)
    used = [cards[number % len(cards)] for number in range(count)]
    return tuple(Post(card, threads, used.count(card)) for card in used)


def _on_cpu(threads: int) -> int:
    """Return how many processes the cores are worth, as far as there is memory for them."""
    return min(-(-(threads or cores()) // CORES_A_PROCESS), max(1, memory() // MEMORY_A_PROCESS))


def _cards(wanted: Device, processes: int, precision: str) -> list[str]:
    """Return the cards to work on where not several are named; none where that is the CPU."""
    if wanted.kind == "cpu" or (wanted.kind == "auto" and precision == "int8"):
        return []
    if wanted.named or processes == 1:
        return [str(wanted)]
    if cuda_problem() is not None:
        return [] if wanted.kind == "auto" else [str(wanted)]
    count = device_count()
    return [f"cuda:{number}" for number in range(count)] if count > 1 else [str(wanted)]
