"""Benchmarks: each goal of the toolkit's speed as a ratio within one run on one machine.

Commands: `python -m benchmarks.run quick|full` measures, `python -m benchmarks.report` writes the
documents from the JSON in results/, `python -m benchmarks.accuracy` prints a table of accuracies,
`python -m benchmarks.cuda` gathers what only a GPU can show (cuda_*.py).

Every other module here is a benchmark: `run` measures them one by one. `rivals` holds what they
are measured against, `harness` the machinery: settings and results, timing, processes, reviews,
models, pages.
"""
