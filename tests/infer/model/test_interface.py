"""What a model file says of itself in words and fields is what it does."""

import json
from dataclasses import replace

import onnxruntime

from infer.text.settings import TextSettings


def test_the_words_are_the_models_own(model):
    text = TextSettings(spacy_version="3.8.7", lower=True, max_tokens=40, head_tokens=10)
    words = replace(model.card, temperature=1.5, threshold=0.25, text=text).in_words()
    for part in ("(-logit / 1.5)", "positive where the score is at least 0.25, else negative",
                 "spaCy 3.8.7 for the language 'en'", "HTML", "in lower case, by", "U+200D",
                 "more than 40 ids keep the first 10 and the last 30"):  # fmt: skip
        assert part in words


def test_steps_that_are_not_taken_are_not_told(model):
    text = TextSettings(html_breaks=False)
    words = replace(model.card, labels=("a", "b", "c"), text=text).in_words()
    assert "HTML" not in words and "in lower case, by" not in words
    assert "softmax(logits / 1.0)" in words and "(batch, 3)" in words


def test_the_fields_are_the_graphs(model):
    interface = json.loads(model.card.to_json())["interface"]
    session = onnxruntime.InferenceSession(model.data, providers=["CPUExecutionProvider"])
    told = interface["inputs"] | interface["outputs"]
    for end in (*session.get_inputs(), *session.get_outputs()):
        kind, shape = told[end.name]["type"], told[end.name]["shape"]
        assert (end.type, end.shape) == (f"tensor({kind.replace('float32', 'float')})", shape)


def test_viewers_show_the_words(model):
    session = onnxruntime.InferenceSession(model.data, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta()
    assert about.description == about.graph_description == model.card.in_words()
