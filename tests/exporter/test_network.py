"""Networks that are not the trainer's own are exported with the same check, or refused with why."""

import numpy as np
import pytest
import torch
from torch import nn

import exporter
import infer
from infer.base.errors import SentError
from infer.text.settings import TextSettings

WORDS = ("good", "bad", "film", "the", "a", "not", ".", "!")
TEXTS = [" ".join(np.random.default_rng(n).choice(WORDS, n % 30 + 1)) for n in range(60)]


class GRU(nn.Module):
    """The last state of a one-way GRU."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS) + 2, 6)
        self.gru = nn.GRU(6, 8, batch_first=True)
        self.out = nn.Linear(8, 1)

    def forward(self, input_ids, lengths):
        states, _ = self.gru(self.embedding(input_ids))  # (B, T, H)
        last = (lengths.long() - 1)[:, None, None].expand(-1, 1, states.shape[2])
        return self.out(states.gather(1, last)[:, 0])[:, 0]


class CNN(nn.Module):
    """The maximum of a convolution over each row's own tokens."""

    def __init__(self, labels=3):
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS) + 2, 6)
        self.convolution = nn.Conv1d(6, 8, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Linear(8, labels)

    def forward(self, input_ids, lengths):
        own = torch.arange(input_ids.shape[1]) < lengths[:, None]  # (B, T)
        vectors = (self.embedding(input_ids) * own[:, :, None]).transpose(1, 2)
        found = torch.relu(self.convolution(vectors)) * own[:, None]
        return self.out(self.dropout(found.amax(2)))


class Unheeding(CNN):
    """A CNN that reads the padding."""

    def forward(self, input_ids, lengths):
        found = torch.relu(self.convolution(self.embedding(input_ids).transpose(1, 2)))
        return self.out(found.mean(2)) + 0.0 * lengths[:, None]


class Sorting(CNN):
    """A CNN that takes the two largest of its numbers."""

    def forward(self, input_ids, lengths):
        return super().forward(input_ids, lengths).topk(2).values.mean(1, keepdim=True).tile(1, 3)


class Branching(CNN):
    """A CNN that looks at a value."""

    def forward(self, input_ids, lengths):
        logits = super().forward(input_ids, lengths)
        return logits if lengths.sum() > 10 else 2 * logits


def network(module, **values):
    torch.manual_seed(1)
    model = module()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
    given = {
        "vocabulary": ("<pad>", "<unk>", *WORDS),
        "labels": ("negative", "positive") if module is GRU else ("a", "b", "c"),
        "texts": TEXTS,
        "text": TextSettings(lower=True, max_tokens=25, head_tokens=5),
    }
    return exporter.Network(model, **given | values)


def export(network, path, **options):
    return exporter.export(network, path, device="cpu", threads=1, **options)


def own_logits(network, rows):
    """Return what the module itself gives for rows of ids, each alone."""
    model = network.model.eval()
    with torch.inference_mode():
        return [
            model(torch.tensor([ids]), torch.tensor([len(ids)], dtype=torch.int32)).numpy().ravel()
            for ids in rows
        ]


@pytest.mark.parametrize(
    ("module", "precision"),
    [pytest.param(GRU, "fp32", marks=pytest.mark.slow), (CNN, "fp16")],
)
def test_a_network_of_ones_own_scores_what_it_scores_in_pytorch(module, precision, tmp_path, capfd):
    mine = network(module, temperature=1.5)
    exported = export(mine, tmp_path / "m.onnx", precision=precision)
    assert exported.report.passed and exported.model_file.card.parity["passed"] is True
    assert mine.model.training  # what was given is left as it was
    model = infer.load(tmp_path / "m.onnx", threads=1)
    (score,) = model.score(["A good film!"])["score"].to_pylist()
    (logits,) = own_logits(mine, [[6, 2, 4, 9]])
    if module is GRU:
        expected = 1 / (1 + np.exp(-logits[0] / 1.5))
    else:
        expected = (np.exp(logits / 1.5) / np.exp(logits / 1.5).sum()).max()
    assert score == pytest.approx(expected, abs=1e-5 if precision == "fp32" else 1e-2)
    assert exporter.check(tmp_path / "m.onnx", mine, device="cpu", threads=1).report.passed
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_second_gru_is_exported_as_the_first(tmp_path):
    for name in ("one.onnx", "two.onnx"):
        assert export(network(GRU), tmp_path / name).report.passed


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Unheeding, "a text's logit changes by up to .* with its batch-mates"),
        (Sorting, "Sorting needs the operator 'TopK', which a model file must not hold"),
        (Branching, "PyTorch cannot export Branching"),
    ],
)
def test_what_cannot_be_vouched_for_is_refused_with_why(module, message, tmp_path, capfd):
    with pytest.raises(exporter.ParityFailedError, match=message):
        export(network(module), tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx.parity-failure.json"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ({}, {"precision": "int8"}, "'int8'.* not those of CNN. Use fp32 or fp16"),
        ({}, {"precision": "w8"}, "'w8'"),
        ({}, {"parity_data": "x.parquet"}, "beside the texts of CNN itself"),
        ({"labels": ("a", "b")}, {}, r"CNN gives .*\(3, 3\).*expected logits \(batch,\) float32"),
        ({"labels": tuple("abcd")}, {}, r"expected logits \(batch, 4\) float32 of 4 labels"),
        ({"texts": ["", ""]}, {}, "2 texts without any text"),
        ({"vocabulary": ("good", "bad")}, {}, "vocabulary starts with"),
        ({"model": nn.Linear(3, 3)}, {}, "Linear fails on input_ids"),
        ({"model": CNN().forward}, {}, "model is of type method, expected a Module"),
        ({"texts": "a good film"}, {}, "texts is one string, expected several"),
        ({"text": TextSettings(language="qq")}, {}, "language is 'qq'"),
    ],
)
def test_what_makes_no_model_is_refused_before_work(values, options, message, tmp_path):
    given = network(CNN)
    with pytest.raises(SentError, match=message):
        export(exporter.Network(**vars(given) | values), tmp_path / "m.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_a_vocabulary_of_another_size_is_refused(tmp_path):
    given = network(CNN, vocabulary=("<pad>", "<unk>", *WORDS, "more"))
    with pytest.raises(exporter.ParityFailedError, match="vocabulary has 11 tokens"):
        export(given, tmp_path / "m.onnx")
