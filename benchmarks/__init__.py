"""Benchmarks: each goal of the toolkit's speed as a ratio within one run on one machine.

`python -m benchmarks.run quick|full` measures, `python -m benchmarks.report` writes the documents
from the JSON, `python -m benchmarks.cuda` gathers what only a GPU can show.
"""
