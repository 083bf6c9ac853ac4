"""The main path: a model file that agrees, or nothing, whatever fault is planted."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import numpy_helper

from exporter import pipeline
from exporter.parity.reviews import read_reviews
from exporter.pipeline import check_model_file, export_model
from exporter.request import ExportRequest, ParityFailedError
from infer.base.errors import DeviceError, InputError, OutputError
from infer.model.cuda import cuda_problem
from infer.model.file import read_model_file, stamp
from infer.model.scorer import Scorer
from infer.model.session import Session
from trainer.checkpoint.folder import save_checkpoint

GATES = (0, 2, 1, 3)


def weights(graph, name, change):
    """Change one weight of a graph in place."""
    tensor = next(t for t in graph.graph.initializer if t.name == name)
    values = np.ascontiguousarray(change(numpy_helper.to_array(tensor).copy()))
    tensor.CopyFrom(numpy_helper.from_array(values, name))


def gates_in_the_wrong_order(graph):
    def swap(values):
        return np.concatenate([np.split(values, 4, axis=1)[i] for i in GATES], axis=1)

    weights(graph, "layer.0.W", swap)


def swapped_directions(graph):
    for name in ("layer.1.W", "layer.1.R", "layer.1.B"):
        weights(graph, name, lambda values: values[::-1])


def lengths_ignored(graph):
    for node in graph.graph.node:
        if node.op_type == "LSTM":
            node.input[4] = ""


def one_bias_dropped(graph):
    def drop(values):
        values[0, : values.shape[1] // 2] = 0
        return values

    weights(graph, "layer.1.B", drop)


def a_baked_batch(graph):
    weights(graph, "pooling.reshape.shape", lambda values: np.array([3, values[1]]))


def a_weight_that_is_no_number(graph):
    weights(graph, "classifier.weight", lambda values: np.full_like(values, np.nan))


def an_infinite_weight(graph):
    weights(graph, "classifier.bias", lambda values: np.full_like(values, np.inf))


def an_embedding_row_moved(graph):
    weights(graph, "embedding.weight", lambda values: np.roll(values, 1, axis=0))


def a_foreign_operator(graph):
    next(n for n in graph.graph.node if n.op_type == "Squeeze").op_type = "NonZero"


def a_fixed_axis(graph):
    graph.graph.input[1].type.tensor_type.shape.dim[0].dim_value = 3


# What is wrong with the graph → the first stage that differs, where it can be run at all.
FAULTS = {
    gates_in_the_wrong_order: "layer 1 forward",
    swapped_directions: "layer 2 forward",
    lengths_ignored: "layer 1 backward",
    one_bias_dropped: "layer 2 forward",
    an_infinite_weight: "logits",
    an_embedding_row_moved: "embedding",
    a_baked_batch: None,
    a_weight_that_is_no_number: None,
    a_foreign_operator: None,
    a_fixed_axis: None,
}


@pytest.fixture
def plant(monkeypatch, graph):
    """Let the exporter build the session's graph, with a fault when one is given."""

    def planted(fault=None):
        def build(model, opset):
            copy = onnx.ModelProto()
            copy.CopyFrom(graph)
            if fault is not None:
                fault(copy)
            return copy

        monkeypatch.setattr(pipeline, "build_graph", build)

    return planted


@pytest.fixture
def request_(folder, tmp_path):
    return ExportRequest(folder, tmp_path / "out" / "model.onnx", device="cpu", threads=1)


@pytest.fixture
def done(plant, request_):
    """A finished export."""
    plant()
    return export_model(request_)


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_model_file_that_agrees_is_left_alone_in_its_folder(done, request_):
    assert left_in(request_.output.parent) == ["model.onnx"]
    model_file = read_model_file(request_.output)
    assert model_file.sha256 == done.model_file.sha256
    assert model_file.card.labels == ("negative", "positive")
    assert model_file.card.validated.profile.rows == 60
    assert model_file.card.metrics["validation"] == {"accuracy": 0.5}


def test_the_certificate_rides_in_the_file(done):
    certificate = done.model_file.card.parity
    assert certificate["passed"] is True
    assert certificate["providers"] == ["CPUExecutionProvider"]
    assert certificate["shapes"][:2] == [[1, 1], [2, 1]]
    assert certificate["reviews"]["compared"] == certificate["reviews"]["labelled"] == 60
    assert certificate["max_logit_difference"] < 1e-5
    assert certificate["flipped_labels"] == {"CPUExecutionProvider": 0}
    assert certificate["accuracy"]["CPUExecutionProvider"].keys() == {"before", "after"}
    assert certificate["atol_override"] is None
    assert certificate["tolerance"]["CPUExecutionProvider"]["absolute"] == 1e-5
    assert certificate["versions"].keys() >= {"torch", "onnxruntime", "onnx"}
    assert certificate["date"].endswith("+00:00")


def test_nothing_of_this_machine_is_inside(done, request_):
    data = request_.output.read_bytes()
    for place in {Path.home(), Path.cwd(), request_.output.parent, request_.checkpoint}:
        assert len(str(place)) < 3 or str(place).encode() not in data


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_leaves_nothing_but_the_report(fault, plant, request_):
    plant(fault)
    with pytest.raises(ParityFailedError) as failure:
        export_model(request_)
    assert failure.value.exit_code == 1
    assert failure.value.report.get("first_stage") == FAULTS[fault]
    assert left_in(request_.output.parent) == ["model.onnx.parity-failure.json"]
    report = json.loads((request_.output.parent / "model.onnx.parity-failure.json").read_text())
    assert report["passed"] is False
    assert report["problems"]
    assert report == failure.value.report


def test_a_stale_vocabulary_leaves_nothing(plant, request_, monkeypatch, with_other_words):
    plant()
    make_card = pipeline.make_card
    monkeypatch.setattr(
        pipeline, "make_card", lambda checkpoint, precision: make_card(with_other_words, precision)
    )
    with pytest.raises(ParityFailedError) as failure:
        export_model(request_)
    assert failure.value.report["first_stage"] == "text settings and vocabulary"
    assert not request_.output.exists()


def test_the_report_of_a_failure_is_complete(plant, request_):
    plant(gates_in_the_wrong_order)
    with pytest.raises(ParityFailedError) as failure:
        export_model(request_)
    report = failure.value.report
    assert report["first_stage"] == "layer 1 forward"
    assert report["stages"][0]["name"] == "embedding"
    texts = next(c for c in report["comparisons"] if c["check"] == "texts")
    assert texts["difference"]["worst"]["text"].startswith("word")
    assert texts["difference"]["logit_absolute"].keys() == {"maximum", "mean", "p999"}
    assert texts["difference"]["flips"] > 1
    assert texts["tolerance"]["source"].startswith("fp32 on the CPU")


def test_an_older_model_file_does_not_outlive_a_failure(done, plant, request_):
    plant(swapped_directions)
    with pytest.raises(
        ParityFailedError, match=r"older .*model\.onnx, of the same checkpoint, was"
    ):
        export_model(request_)
    assert left_in(request_.output.parent) == ["model.onnx.parity-failure.json"]


def test_an_older_model_of_another_checkpoint_outlives_a_failure(
    done, plant, request_, checkpoint, tmp_path
):
    before = request_.output.read_bytes()
    other = replace(checkpoint, temperature=1.25)
    save_checkpoint(tmp_path / "other", other, [])
    plant(swapped_directions)
    with pytest.raises(ParityFailedError, match=r"older .*model\.onnx stays as it was"):
        export_model(replace(request_, checkpoint=tmp_path / "other"))
    assert request_.output.read_bytes() == before
    assert left_in(request_.output.parent) == ["model.onnx", "model.onnx.parity-failure.json"]


def test_labels_of_another_task_certify_nothing(folder, tmp_path):
    table = pa.table({"text": ["word1", "word2"], "label": ["ham", "spam"]})
    pq.write_table(table, tmp_path / "d.parquet")
    request = ExportRequest(folder, tmp_path / "m.onnx", parity_data=tmp_path / "d.parquet")
    with pytest.raises(InputError, match=r"labels .*ham.*spam.*, expected the model's"):
        export_model(request)


def test_success_replaces_the_older_file_and_removes_the_old_report(plant, request_):
    plant(swapped_directions)
    with pytest.raises(ParityFailedError):
        export_model(request_)
    plant()
    export_model(request_)
    export_model(request_)
    assert left_in(request_.output.parent) == ["model.onnx"]


def test_an_accident_leaves_what_stood_there(done, request_, monkeypatch):
    def fail(model, opset):
        raise ZeroDivisionError

    monkeypatch.setattr(pipeline, "build_graph", fail)
    with pytest.raises(ZeroDivisionError) as accident:
        export_model(request_)
    assert "stays as it was" in accident.value.__notes__[0]
    assert read_model_file(request_.output).sha256 == done.model_file.sha256


def test_an_override_of_the_tolerance_is_recorded(plant, folder, tmp_path):
    plant(one_bias_dropped)
    lax = ExportRequest(folder, tmp_path / "m.onnx", device="cpu", threads=1, atol=100)
    with pytest.raises(ParityFailedError, match="labels changed"):  # other bounds still hold
        export_model(lax)
    plant()
    strict = ExportRequest(folder, tmp_path / "m.onnx", device="cpu", threads=1, atol=1e-12)
    with pytest.raises(ParityFailedError, match="allowed: 1e-12"):
        export_model(strict)
    some = ExportRequest(folder, tmp_path / "m.onnx", device="cpu", threads=1, atol=1e-3)
    certificate = export_model(some).model_file.card.parity
    assert certificate["atol_override"] == 1e-3
    assert "--atol 0.001 in place of 1e-05" in str(certificate["tolerance"])


@pytest.mark.parametrize("precision", ["fp16", "w8", "int8"])
def test_precisions_are_exported_and_named(precision, plant, folder, tmp_path):
    plant()
    request = ExportRequest(
        folder, tmp_path / "m.onnx", precision=precision, device="cpu", threads=1
    )
    card = export_model(request).model_file.card
    assert card.precision == card.parity["precision"] == precision


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_file_cut_into_parts_has_the_scores_of_the_whole(precision, plant, folder, tmp_path):
    plant()
    output = tmp_path / "m.onnx"
    export_model(ExportRequest(folder, output, precision=precision, device="cpu", threads=1))
    file = read_model_file(output)
    session = Session(file.data, "cpu", 1, precision)
    texts = make_texts(60)
    whole = Scorer(file, session, batch_tokens=2_048)
    expected = whole.score(whole.encode(texts)).score
    for parts, budget in ((6, 2_048), (6, 200), (60, 1)):
        scorer = Scorer(file, session, budget)
        step = len(texts) // parts
        pieces = (texts.slice(start, step) for start in range(0, len(texts), step))
        found = [scorer.score(scorer.encode(piece)).score for piece in pieces]
        assert np.array_equal(np.concatenate(found), expected)


def make_texts(rows):
    """Return reviews of 1 to 90 words."""
    random = np.random.default_rng(4)
    return pa.array([" ".join(f"word{i}" for i in random.integers(0, 60, n))
                     for n in random.integers(1, 90, rows)])  # fmt: skip


def test_parity_data_replaces_the_validation_reviews(plant, folder, tmp_path):
    plant()
    table = pa.table({"text": ["word1 word2", "", None, "word3"], "label": ["neg", "pos"] * 2})
    pq.write_table(table, tmp_path / "real.parquet")
    request = ExportRequest(
        folder, tmp_path / "m.onnx", parity_data=tmp_path / "real.parquet", device="cpu", threads=1
    )
    reviews = export_model(request).model_file.card.parity["reviews"]
    assert (reviews["source"], reviews["rows"], reviews["compared"]) == ("real.parquet", 4, 2)


@pytest.mark.parametrize(
    ("columns", "labelled"),
    [
        ({"text": ["a"], "label": ["positive"]}, [1]),
        ({"text": ["a"], "label": [1]}, [1]),
        ({"text": ["a"], "label": [False]}, [0]),
        ({"text": ["a"], "label": pa.nulls(1, pa.int8())}, None),
        ({"body": ["a"], "title": ["b"], "solved": [1]}, [1]),
    ],
)
def test_parity_data_is_read_as_the_training_data_were(columns, labelled, checkpoint, tmp_path):
    asked = replace(checkpoint.record.data, text_column="body", label_column="solved")
    trained = replace(checkpoint, record=replace(checkpoint.record, data=asked))
    pq.write_table(pa.table(columns), tmp_path / "d.parquet")
    reviews = read_reviews(tmp_path / "d.parquet", trained)
    assert reviews.texts.to_pylist() == ["a"]
    assert (None if reviews.labels is None else reviews.labels.tolist()) == labelled


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"text": [None, ""]}, "without any text"),
        ({"text": ["a", "b"], "label": ["good", "good"]}, "labels 'good', expected the model's"),
        ({"text": ["a", "b"], "label": [2, 2]}, "labels '2', expected the model's"),
        ({"number": [1]}, r"number \(int64\)"),
    ],
)
def test_parity_data_that_cannot_be_used_is_refused(table, message, folder, tmp_path):
    pq.write_table(pa.table(table), tmp_path / "d.parquet")
    with pytest.raises(InputError, match=message):
        export_model(ExportRequest(folder, tmp_path / "m.onnx", parity_data=tmp_path / "d.parquet"))


def test_parity_data_that_is_missing_or_no_parquet_is_refused(folder, tmp_path):
    (tmp_path / "a.parquet").write_text("text\n")
    for name, message in (("none.parquet", "no such file"), ("a.parquet", "not a readable")):
        request = ExportRequest(folder, tmp_path / "m.onnx", parity_data=tmp_path / name)
        with pytest.raises(InputError, match=message):
            export_model(request)


def test_destinations_that_must_not_be_written_are_refused_before_work(folder, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "foreign").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name, message in (
        ("folder", "not a regular file"),
        ("foreign", "exists and is not a model file that may be replaced"),
        ("link", "symbolic link"),
        ("foreign/model.onnx", "not a folder|cannot be written"),
    ):
        with pytest.raises(OutputError, match=message):
            export_model(ExportRequest(folder, tmp_path / name))
    assert (tmp_path / "foreign").read_bytes() == b"mine"


def test_a_destination_without_room_is_refused_before_work(folder):
    for path in ("/proc/model.onnx", "/proc/no/model.onnx"):
        with pytest.raises(OutputError):
            export_model(ExportRequest(folder, Path(path)))


def test_a_device_that_cannot_be_had_is_refused_before_work(done, folder, request_):
    with pytest.raises(DeviceError, match="int8 models have no CUDA kernels"):
        pipeline.check_device("cuda", "int8")
    if cuda_problem() is not None:
        with pytest.raises(DeviceError):
            export_model(ExportRequest(folder, request_.output, device="cuda:0"))
    assert request_.output.exists()


def test_checking_an_existing_file_leaves_it_as_it_is(done, request_):
    before = request_.output.read_bytes()
    checked = check_model_file(request_)
    assert checked.report.passed
    assert request_.output.read_bytes() == before


def test_checking_finds_another_temperature(done, request_):
    card = replace(done.model_file.card, temperature=7.5)
    graph = onnx.ModelProto.FromString(request_.output.read_bytes())
    request_.output.write_bytes(stamp(graph, card))
    with pytest.raises(ParityFailedError, match=r"7\.5") as failure:
        check_model_file(request_)
    assert len(failure.value.report["findings"]) == 1


def test_checking_finds_another_models_file(done, request_):
    graph = onnx.ModelProto.FromString(request_.output.read_bytes())
    swapped_directions(graph)
    request_.output.write_bytes(stamp(graph, done.model_file.card))
    with pytest.raises(ParityFailedError) as failure:
        check_model_file(request_)
    assert failure.value.report["first_stage"] == "layer 2 forward"
    assert left_in(request_.output.parent) == ["model.onnx"]


@pytest.mark.gpu
@pytest.mark.skipif(cuda_problem() is not None, reason="no CUDA here")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_cuda_is_compared_too(precision, plant, folder, tmp_path):
    plant()
    request = ExportRequest(folder, tmp_path / "m.onnx", precision=precision, device="cuda")
    certificate = export_model(request).model_file.card.parity
    assert certificate["providers"] == [
        "CPUExecutionProvider", "CUDAExecutionProvider, TF32", "CUDAExecutionProvider",
    ]  # fmt: skip


def test_a_failure_comes_back_from_another_process() -> None:
    failure = pickle.loads(pickle.dumps(ParityFailedError("not good enough", {"passed": False})))
    assert (str(failure), failure.report) == ("not good enough", {"passed": False})
