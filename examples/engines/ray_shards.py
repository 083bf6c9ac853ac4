"""Score with Ray tasks, each a shard: `python ray_shards.py reviews/ scored/ --shards 16`.

Needs `pip install -c constraints.txt '.[ray]'`. Every promise of `sent-score --shard` holds:
started again after a kill it goes on where it was, with any number of shards.
"""

import argparse
import sys
from typing import Any

import ray

import infer


@ray.remote(max_retries=3)
def score_shard(shard: str, source: str, output: str, options: dict[str, Any]) -> None:
    """Score one share of the rows, as the command does.

    Args:
        shard: `I/N`.
        source: a file, folder, glob or URI that all machines see.
        output: a folder that all machines see.
        options: what `infer.score_files` takes.
    """
    infer.score_files(source, output, shard=shard, **options)


def score(source: str, output: str, shards: int, gpus: float = 0, **options: Any) -> None:
    """Score all shards, as many at once as the cluster has cores or GPUs for."""
    options = {"threads": 1, "device": "cuda" if gpus else "cpu", **options}
    task = score_shard.options(num_cpus=options["threads"], num_gpus=gpus)
    names = [f"{number}/{shards}" for number in range(1, shards + 1)]
    ray.get([task.remote(name, source, output, options) for name in names])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="a file, folder, glob or URI")
    parser.add_argument("output", help="a folder")
    parser.add_argument("--model", help="imdb, imdb-small or a model file")
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--gpus", type=float, default=0, help="of each task")
    given = parser.parse_args()
    score(given.source, given.output, given.shards, given.gpus, model=given.model)
    found = infer.check_complete(given.source, given.output, model=given.model)
    sys.exit("; ".join(problem.message for problem in found.problems) or None)
