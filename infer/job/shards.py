"""Which share of a job this run does: `--shard 3/8`, or what a cluster's scheduler says."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from infer.base.errors import UsageError
from infer.table.folders import PARTS_SUFFIX

AUTO: Final = "auto"
_SHARD: Final = re.compile(r"(\d{1,9})/(\d{1,9})")
_SLURM: Final = tuple(f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "COUNT", "MIN", "MAX"))
_KUBERNETES: Final = ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS")


@dataclass(frozen=True)
class Shard:
    """One of several shares of a job.

    Attributes:
        number: which one, from 1.
        count: how many there are.
    """

    number: int
    count: int

    def __str__(self) -> str:
        """Return it as `--shard` takes it."""
        return f"{self.number}/{self.count}"

    @property
    def parts_name(self) -> str:
        """What its folder of part files is called: no two shards share one."""
        return f".{self.number}-of-{self.count}{PARTS_SUFFIX}"


def read_shard(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """Return the shard that an option names.

    Args:
        text: `3/8`, or `auto` for what Slurm or Kubernetes say in the environment.
        environment: the process's.

    Raises:
        UsageError: it names none.
    """
    if text == AUTO:
        return _from_environment(environment)
    found = _SHARD.fullmatch(text)
    shard = Shard(int(found[1]), int(found[2])) if found else Shard(0, 0)
    if not 1 <= shard.number <= shard.count:
        raise UsageError(
            f"shard: {text!r}, expected I/N with I from 1 to N, such as 1/8 for the first of "
            f"eight, or {AUTO}"
        )
    return shard


def _from_environment(environment: Mapping[str, str]) -> Shard:
    if _SLURM[0] in environment:
        return _slurm(*_numbers(_SLURM, environment))
    if _KUBERNETES[0] in environment:
        index, count = _numbers(_KUBERNETES, environment)
        if index >= count:
            raise UsageError(
                f"shard: {_KUBERNETES[0]} is {index} and {_KUBERNETES[1]} is {count}, expected an "
                "index below it. Give the container the number that the job's completions has"
            )
        return Shard(index + 1, count)
    raise UsageError(
        f"shard: {AUTO} found neither {_SLURM[0]} (of a Slurm array) nor {_KUBERNETES[0]} (of an "
        "indexed Kubernetes job) in the environment. Name the shard, such as 1/8"
    )


def _numbers(names: tuple[str, ...], environment: Mapping[str, str]) -> list[int]:
    """Return whole numbers from the environment; what Kubernetes is not told it does not tell."""
    for name in names:
        if not environment.get(name, "").isdecimal():
            raise UsageError(
                f"shard: {name} is {environment.get(name)!r} in the environment, expected a whole "
                f"number beside {names[0]}"
            )
    return [int(environment[name]) for name in names]


def _slurm(task: int, count: int, least: int, most: int) -> Shard:
    """Number the tasks of an array from 1, whatever it begins with and however far they lie."""
    step, rest = divmod(most - least, count - 1) if count > 1 else (1, most - least)
    if count < 1 or rest or step < 1 or (task - least) % step or not least <= task <= most:
        raise UsageError(
            f"shard: task {task} of {count} Slurm tasks from {least} to {most}, expected numbers "
            "at equal distances, such as --array=0-7"
        )
    return Shard((task - least) // step + 1, count)
