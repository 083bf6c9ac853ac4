"""docs/model-file.md is enough: its rules, onnxruntime and spaCy reproduce a file's test vectors.

Nothing of the toolkit computes here. It only exports the file, and says where the shipped ones are.
"""

import hashlib
import json
import math
import re

import numpy as np
import onnxruntime
import pytest
import spacy

import exporter
from infer.model.shipped import SHIPPED

UNSEEN = [0x00AD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2065),
          *range(0x2066, 0x206A), 0xFEFF]  # fmt: skip
JOINERS = [0x200C, 0x200D]
# What "differ by rounding" means, for logits up to 40.
ROUNDING = {"fp32": 4e-4, "fp16": 4e-4, "w8": 4e-4, "int8": 0.05}


class ByThePage:
    """Reads a model file as the page says."""

    def __init__(self, path):
        self.data = path.read_bytes()
        self.session = onnxruntime.InferenceSession(self.data, providers=["CPUExecutionProvider"])
        self.about = self.session.get_modelmeta()
        self.metadata = self.about.custom_metadata_map
        self.card = json.loads(self.metadata["sent.card"])
        lines = self.metadata["sent.vocabulary"].split("\n")
        assert lines.pop() == ""
        self.ids = {token: number for number, token in enumerate(lines)}
        self.tokenizer = spacy.blank(self.card["text"]["language"]).tokenizer

    def encode(self, text):
        how = self.card["text"]
        unseen = UNSEEN + (JOINERS if how["language"] == "en" else [])
        text = text.translate(dict.fromkeys(unseen))
        if how["html_breaks"]:
            text = re.sub(r"<br[\t\n\f\r ]*/?>", " ", text, flags=re.IGNORECASE)
        tokens = [token.text for token in self.tokenizer(text) if not token.text.isspace()]
        if how["lower"]:
            tokens = [token.lower() for token in tokens]
        ids = [self.ids.get(token, 1) for token in tokens]
        longest, head = how["max_tokens"], how["head_tokens"]
        if len(ids) > longest:
            ids = ids[:head] + ids[len(ids) - (longest - head) :]
        return ids

    def run(self, rows):
        input_ids = np.zeros((len(rows), max(map(len, rows)) + 3), np.int64)
        for i, ids in enumerate(rows):
            input_ids[i, : len(ids)] = ids
        lengths = np.array([len(ids) for ids in rows], np.int32)
        (logits,) = self.session.run(["logits"], {"input_ids": input_ids, "lengths": lengths})
        return logits.reshape(len(rows), -1).tolist()

    def answer(self, logits):
        labels, temperature = self.card["labels"], self.card["temperature"]
        if len(labels) == 2:
            score = np.float32(1 / (1 + math.exp(-logits[0] / temperature)))
            threshold = np.float32(self.card.get("threshold", 0.5))
            return score, labels[1] if score >= threshold else labels[0]
        powers = [math.exp((logit - max(logits)) / temperature) for logit in logits]
        shares = [np.float32(power / sum(powers)) for power in powers]
        return max(shares), labels[shares.index(max(shares))]

    def digest(self):
        content = hashlib.sha256()
        for key in sorted(self.metadata.keys() - {"sent.digest"}):
            value = self.metadata[key]
            content.update(f"{key}\0{len(value)}\0{value}".encode())
        content.update(field(self.data, 7))
        return content.hexdigest()


def field(message, number):
    """Return the bytes of a field of a protocol buffer's message."""

    def varint(place):
        value = shift = 0
        while True:
            byte = message[place]
            value |= (byte & 0x7F) << shift
            place, shift = place + 1, shift + 7
            if byte < 0x80:
                return value, place

    place = 0
    while place < len(message):
        tag, place = varint(place)
        size, place = varint(place)
        if tag & 7 == 2:
            if tag >> 3 == number:
                return message[place : place + size]
            place += size
    raise AssertionError(f"no field {number}")


def joined(parts, start):
    return sum((part * times for part, times in parts), start=start)


def check(path):
    """Hold a file's test vectors against what the page says."""
    page = ByThePage(path)
    assert page.metadata["sent.digest"] == page.digest()
    assert page.about.description == page.about.graph_description
    vectors = page.card["test_vectors"]
    assert len(vectors) == len({vector["shows"] for vector in vectors}) == 20
    rows, expected = [], []
    for vector in vectors:
        text = "".join(part * times for part, times in vector["text"])
        ids = joined(vector["ids"], [])
        assert page.encode(text) == ids, vector["shows"]
        if ids:
            rows.append(ids)
            expected.append(vector)
        else:
            assert (vector["logits"], vector["score"], vector["prediction"]) == ([], None, None)
    assert len(rows) == 19
    close = ROUNDING[page.card["precision"]]
    for vector, logits in zip(expected, page.run(rows), strict=True):
        assert logits == pytest.approx(vector["logits"], abs=close), vector["shows"]
        score, prediction = page.answer(vector["logits"])
        assert score == pytest.approx(vector["score"], rel=1e-5)
        assert prediction == vector["prediction"]
    return page


@pytest.mark.parametrize(
    ("precision", "labels", "settings"),
    [
        ("fp32", 2, {}),
        pytest.param(
            "fp16",
            2,
            {"lower": True, "html_breaks": False, "head_tokens": 0},
            marks=pytest.mark.slow,
        ),
        pytest.param("w8", 3, {"max_tokens": 5, "head_tokens": 5}, marks=pytest.mark.slow),
        ("int8", 2, {"lower": True}),
        pytest.param("fp32", 2, {"language": "de", "lower": True}, marks=pytest.mark.slow),
        pytest.param("fp32", 3, {"language": "fr"}, marks=pytest.mark.slow),
        pytest.param("fp32", 2, {"language": "zh"}, marks=pytest.mark.slow),
    ],
)
def test_the_page_is_enough_for_a_new_file(precision, labels, settings, speaking, tmp_path):
    path = tmp_path / "model.onnx"
    exporter.export(speaking(labels, settings), path, precision=precision, device="cpu", threads=1)
    page = check(path)
    known = {number for vector in page.card["test_vectors"] for number in joined(vector["ids"], [])}
    assert 1 in known and len(known) > 9


@pytest.mark.parametrize("name", SHIPPED)
def test_the_page_is_enough_for_a_shipped_file(name):
    if b'"test_vectors"' not in SHIPPED[name].read_bytes():
        pytest.skip("it was exported before model files had test vectors")
    check(SHIPPED[name])
