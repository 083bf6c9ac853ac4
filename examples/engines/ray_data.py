"""Score with Ray Data: `python ray_data.py reviews/ scored/`.

Needs `pip install -c constraints.txt '.[ray]'`. Started again after a kill it begins anew;
ray_shards.py goes on where it was.
"""

import argparse
import shutil
from pathlib import Path

import ray

import infer


def score(source: str, output: str, scorer: infer.Scorer, actors: int, gpus: float) -> None:
    """Score a folder of Parquet files into another, whose files sort into the input's order.

    Args:
        source: the folder, which all machines see.
        output: a folder that is not there yet; it appears when all is done.
        scorer: of which each actor has its like.
        actors: processes that score, at most; reading and writing need a core beside them.
        gpus: what each of them takes of a GPU, 0 for none.
    """
    if Path(output).exists():  # told now, and not when all is scored
        raise FileExistsError(f"{output}: exists already, expected a folder that is not there yet")
    unfinished = Path(output).with_name(Path(output).name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    ray.data.read_parquet(source).map_batches(
        infer.Scorer,
        fn_constructor_kwargs=scorer.options,
        batch_format="pyarrow",
        batch_size=4_096,
        concurrency=(1, actors),
        num_gpus=gpus,
    ).write_parquet(str(unfinished))
    unfinished.rename(output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="a folder of Parquet files")
    parser.add_argument("output", help="a folder that is not there yet")
    parser.add_argument("--model", help="imdb, imdb-small or a model file")
    parser.add_argument("--actors", type=int, default=1, help="fewer than there are cores")
    parser.add_argument("--gpus", type=float, default=0, help="of each actor")
    given = parser.parse_args()
    device = "cuda" if given.gpus else "cpu"
    scorer = infer.Scorer(given.model, device=device)
    score(given.source, given.output, scorer, given.actors, given.gpus)
