"""The article's way with batches of like length, as its training has them."""

from functools import partial

from benchmarks.rivals.article import score
from benchmarks.rivals.command import run

if __name__ == "__main__":
    run(partial(score, by_length=True), __doc__ or "")
