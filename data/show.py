"""Show some scored reviews beside their texts, and what the commands have left here.

python data/show.py data/films.parquet scores.parquet
"""

import sys
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

SHOWN = 8
RESULTS = ("score", "prediction", "status")
LEFT = {
    "artifacts/checkpoint": "what training left: weights, vocabulary, metrics",
    "artifacts/model.onnx": "the model file: graph, vocabulary and certificate in one",
}


def main(reviews: Path, scores: Path) -> None:
    """Print the first rows of both files side by side."""
    texts = pq.read_table(reviews, columns=["text"])["text"].slice(0, SHOWN).to_pylist()
    rows = pq.read_table(scores).slice(0, SHOWN).to_pylist()
    table = Table("id", "review", *RESULTS, title=f"{scores}, the first {len(rows)}")
    for text, row in zip(texts, rows, strict=True):
        score = "" if row["score"] is None else f"{row['score']:.2f}"
        table.add_row(row["id"], text, score, row["prediction"], row["status"])
    console = Console()
    console.print(table)
    for path, what in (LEFT | {str(scores): "the scores of all reviews"}).items():
        if Path(path).exists():
            console.print(f"[bold]{path}[/bold]  {what}", highlight=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
