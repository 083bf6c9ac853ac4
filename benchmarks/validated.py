"""Note in a checkpoint what its validation reviews were like: `python -m benchmarks.validated`.

Training does so itself since the model card says it. This is for checkpoints from before, such as
those of the shipped models, which keep 2,000 of their validation reviews: the others are drawn from
the data anew. `sent-export` then writes it into the model file; `--model` writes it into one that
is there, whose graph, certificate and known answers stay what they are.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from onnx import ModelProto

from exporter.card import make_card
from exporter.pipeline import is_same_model
from infer.base.commit import atomic_file
from infer.base.errors import InputError
from infer.model.file import read_model_file, stamp
from infer.model.probability import probabilities
from infer.model.results import plain_scores
from infer.model.validated import Validated
from infer.text.encoding import Encoder
from trainer.checkpoint.files import write_json
from trainer.checkpoint.folder import METRICS, Checkpoint, load_checkpoint
from trainer.data.datasets import load_dataset
from trainer.data.epoch_batches import encode_with_bar
from trainer.data.splits import OLD_NEAR, USUAL_NEAR, split_rows
from trainer.network.device import set_threads
from trainer.network.evaluate import predict


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the reviews, run the network, write `metrics.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="what sent-train wrote")
    parser.add_argument("--data", required=True, help="what it was trained on")
    parser.add_argument("--model", type=Path, help="model file of the checkpoint to write it into")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    set_threads(given.threads)
    checkpoint = load_checkpoint(given.checkpoint)
    validated = validate(checkpoint, validation_of(checkpoint, given.data))
    checkpoint.metrics["validation"] |= validated.to_json()
    write_json(given.checkpoint / METRICS, checkpoint.metrics)
    if given.model is not None:
        write_into(given.model, checkpoint, validated)
    whole = validated.risk.points[0]
    print(f"{whole.right:,} of {whole.rows:,} validation reviews are right: {whole.accuracy:.2%}")


def write_into(path: Path, checkpoint: Checkpoint, validated: Validated) -> None:
    """Write what validation was like into a model file, and change nothing else of it.

    Raises:
        InputError: it is of another checkpoint.
    """
    file = read_model_file(path)
    if not is_same_model(file.card, make_card(checkpoint, file.card.precision)):
        raise InputError(f"{path}: is not of this checkpoint")
    data = stamp(ModelProto.FromString(file.data), replace(file.card, validated=validated))
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def validation_of(checkpoint: Checkpoint, data: str) -> pa.Table:
    """Return all validation reviews of a checkpoint.

    Raises:
        InputError: those that it keeps are not the first of them.
    """
    record = checkpoint.record
    near = USUAL_NEAR if "select" in record.recipe else OLD_NEAR
    seed = record.seed if record.split_seed is None else record.split_seed
    dataset = load_dataset(data, seed, near=near)
    _, drawn = split_rows(dataset.train, record.recipe["validation"], seed, dataset.labels, near)
    kept = checkpoint.validation
    first = drawn["text"].slice(0, kept.num_rows).to_pylist()
    counted = checkpoint.metrics["validation"]["reviews"]
    if drawn.num_rows != counted or first != kept["text"].to_pylist():
        raise InputError(f"{data}: other validation reviews than those of the checkpoint")
    return drawn


def validate(checkpoint: Checkpoint, reviews: pa.Table) -> Validated:
    """Count what the reviews are like, and how often the surest labels are right."""
    encoder = Encoder(checkpoint.text, checkpoint.vocabulary)
    encoded = encode_with_bar(encoder, reviews["text"].combine_chunks(), "encoding validation")
    logits = predict(checkpoint.model, encoded, "validating")
    found = plain_scores(
        probabilities(logits, checkpoint.temperature), encoded.statuses, checkpoint.threshold
    )
    truth = reviews["label"].to_numpy().astype(np.int16)
    validated = Validated.of(encoded, found, truth, checkpoint.labels)
    if validated is None:
        raise InputError("no validation review has a score")
    return validated


if __name__ == "__main__":
    main()
