"""The model file's contract: what is read, and every way in which a hostile file is refused."""

import dataclasses
import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, ModelProto, TensorProto, helper

import infer.model.file
from infer.base.errors import ModelFileError
from infer.model.file import check_model, read_model_file, stamp
from infer.model.graph_rules import graph_summary
from infer.model.known_answers import KnownAnswer, in_blocks
from infer.model.session import Session

CANARY = "canary.bin"


def parse(path):
    return ModelProto.FromString(path.read_bytes())


def reseal(model):
    """Make the digest right again, as an attacker would."""
    entries = {entry.key: entry for entry in model.metadata_props}
    if "sent.digest" in entries:
        entries["sent.digest"].value = infer.model.file._digest(model)
    return model.SerializeToString()


def set_metadata(model, key, value):
    next(entry for entry in model.metadata_props if entry.key == key).value = value


def edit_card(model, **values):
    entry = next(entry for entry in model.metadata_props if entry.key == "sent.card")
    entry.value = json.dumps(json.loads(entry.value) | values)


def all_right(rows):
    return [{"confidence": 0.0, "rows": rows, "right": rows}]


def validation(**values):
    """What a card says of two validation reviews of five tokens each."""
    profile = {
        "statuses": {"ok": 2, "truncated": 0, "null": 0, "empty": 0, "invalid": 0},
        "labels": {"negative": 1, "positive": 1},
        "scores": [1, *[0] * 18, 1],
        "lengths": [0, 0, 2, *[0] * 10],
        "unknown": [2, *[0] * 7],
        "tokens": 10,
        "unknown_tokens": 0,
    }
    return {"profile": profile | values, "risk_coverage": all_right(2)}


def external(tensor):
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=CANARY)


def external_without_the_flag(model):
    model.graph.initializer[0].external_data.add(key="location", value=f"../{CANARY}")


def external_in_an_attribute(model):
    node = model.graph.node.add(op_type="Constant", output=["c"])
    attribute = node.attribute.add(name="value", type=AttributeProto.TENSOR)
    attribute.t.dims.append(1)
    attribute.t.data_type = TensorProto.FLOAT
    external(attribute.t)


def external_in_a_list_of_tensors(model):
    attribute = model.graph.node[0].attribute.add(name="x", type=AttributeProto.TENSORS)
    external(attribute.tensors.add(data_type=TensorProto.FLOAT))


def sparse_initializer(model):
    external(model.graph.sparse_initializer.add().values)


def sparse_attribute(model):
    attribute = model.graph.node[0].attribute.add(name="x", type=AttributeProto.SPARSE_TENSOR)
    external(attribute.sparse_tensor.values)


def sparse_attributes(model):
    attribute = model.graph.node[0].attribute.add(name="x", type=AttributeProto.SPARSE_TENSORS)
    external(attribute.sparse_tensors.add().values)


def subgraph(model):
    attribute = model.graph.node[0].attribute.add(name="body", type=AttributeProto.GRAPH)
    external(attribute.g.initializer.add())


def subgraphs(model):
    attribute = model.graph.node[0].attribute.add(name="body", type=AttributeProto.GRAPHS)
    external(attribute.graphs.add().initializer.add())


def reference(model):
    model.graph.node[0].attribute.add(name="x", ref_attr_name="y")


def function(model):
    model.functions.add(name="Gather", domain="")


def training(model):
    model.training_info.add()


def add_node(operator, domain=""):
    return lambda model: model.graph.node.add(op_type=operator, domain=domain, output=["o"])


def foreign_opset(model):
    model.opset_import.add(domain="evil.org", version=1)


def old_opset(model):
    model.opset_import[0].version = 9


def string_tensor(model):
    model.graph.initializer.add(name="s", data_type=TensorProto.STRING, string_data=[b"x"])


def wrong_size(model):
    model.graph.initializer[0].dims[0] += 1


def huge_shape(model):
    model.graph.initializer.add(name="h", data_type=TensorProto.FLOAT, dims=[1 << 62, 1 << 62])


def negative_shape(model):
    model.graph.initializer.add(name="n", data_type=TensorProto.FLOAT, dims=[-1, -1])


def other_input(model):
    model.graph.input[0].name = "text"


def third_input(model):
    model.graph.input.add().CopyFrom(model.graph.input[0])


def fixed_axis(model):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def extra_metadata(model):
    model.metadata_props.add(key="sent.extra", value="x")


def doubled_metadata(model):
    model.metadata_props.add(key="sent.format", value="1")


def long_chain(model):
    """ONNX Runtime takes 17 seconds to load 16,000 of them."""
    for number in range(16_000):
        model.graph.node.add(op_type="Add", input=[f"a{number}", "b"], output=[f"a{number + 1}"])


def large_card(model):
    """Read into Python objects it took more than a gigabyte."""
    words = "\n".join(f"word{number}" for number in range(4_000_000))
    set_metadata(model, "sent.vocabulary", f"<pad>\n<unk>\n{words}")


def many_tensors(model):
    for _ in range(100_000):
        model.graph.initializer.add(data_type=TensorProto.FLOAT)


def unknown_field(model):
    model.MergeFromString(bytes([0xFA, 0x7F, 0x01]) + b"x")  # field 2047: of no ONNX version


def unknown_field_deep_inside(model):
    model.graph.initializer[0].MergeFromString(bytes([0xFA, 0x7F, 0x01]) + b"x")


HOSTILE = [
    (lambda m: external(m.graph.initializer[0]), "lies in another file"),  # CVE-2022-25882
    (external_without_the_flag, "lies in another file"),  # CVE-2024-27318
    (external_in_an_attribute, "lies in another file"),  # CVE-2026-27489
    (external_in_a_list_of_tensors, "lies in another file"),
    (sparse_initializer, "sparse tensors inside"),  # ONNX Runtime 1.26
    (sparse_attribute, "a sparse tensor in"),
    (sparse_attributes, "a sparse tensor in"),
    (subgraph, "a subgraph in"),
    (subgraphs, "a subgraph in"),
    (reference, "a reference in"),
    (function, "1 model-local functions"),
    (training, "training information"),
    (add_node("If"), "operator 'If' is not on the list"),
    (add_node("PyOp", "pyopmulti"), "operator 'pyopmulti.PyOp' is not on the list"),
    (add_node("LSTM", "com.microsoft"), "operator 'com.microsoft.LSTM' is not on the list"),
    (foreign_opset, "operator domain 'evil.org'"),
    (old_opset, "opset 9, expected 17 to"),
    (string_tensor, "element type 8, expected a plain number"),
    (wrong_size, "bytes, its shape"),
    (huge_shape, "holds 0 bytes, its shape"),
    (negative_shape, "has shape [-1, -1]"),
    (other_input, "inputs and outputs"),
    (third_input, "inputs and outputs"),
    (fixed_axis, "fixed axis of 1"),
    (long_chain, "nodes in its graph, expected at most 2,000"),
    (many_tensors, "tensors in its graph, expected at most 2,000"),
    (large_card, "bytes beside the weights, expected at most 16,777,216"),
    (lambda m: setattr(m, "doc_string", "x" * (20 << 20)), "bytes beside the weights"),
    (lambda m: setattr(m, "doc_string", "logits are scores"), "doc_string is not the graph's"),
    (lambda m: edit_card(m, test_vectors=7), "model card is damaged"),
    (lambda m: edit_card(m, test_vectors=[{"text": "good"}]), "model card is damaged"),
    (lambda m: edit_card(m, text_column=7), "model card is damaged"),
    (lambda m: edit_card(m, text_column="\ud800"), "model card is damaged"),
    (lambda m: edit_card(m, validation=7), "model card is damaged"),
    (lambda m: edit_card(m, validation={"profile": {}}), "model card is damaged"),
    (lambda m: edit_card(m, validation=validation(tokens=float("nan"))), "model card is damaged"),
    (lambda m: edit_card(m, validation=validation(tokens=-1)), "model card is damaged"),
    (lambda m: edit_card(m, validation=validation(labels={"1": 2, "2": 0})), "model card is"),
    (lambda m: edit_card(m, validation=validation() | {"risk_coverage": []}), "model card is"),
    (lambda m: edit_card(m, validation=validation() | {"risk_coverage": all_right(3)}), "curve of"),
    (unknown_field, "fields inside that ONNX does not define"),
    (unknown_field_deep_inside, "fields inside that ONNX does not define"),
    (extra_metadata, "metadata keys"),
    (doubled_metadata, "metadata keys"),
    (lambda m: m.metadata_props.pop(), "metadata keys"),
    (lambda m: m.ClearField("metadata_props"), "not a model file of this toolkit"),
    (lambda m: set_metadata(m, "sent.format", "3"), "format '3', this version reads 1 and 2"),
    (
        lambda m: set_metadata(m, "sent.format", "2"),
        "format '2' with 2 labels, expected format '1'",
    ),
    (lambda m: set_metadata(m, "sent.vocabulary", "<pad>\n<unk>\n"), "vocabulary has 2 tokens"),
    (lambda m: set_metadata(m, "sent.vocabulary", "a\nb\n"), "vocabulary starts with"),
    (lambda m: set_metadata(m, "sent.card", "{"), "model card is damaged"),
    (lambda m: set_metadata(m, "sent.card", "[" * 100_000), "model card is damaged"),
    (lambda m: set_metadata(m, "sent.card", "[]"), "model card is damaged"),
    (lambda m: edit_card(m, temperature=float("inf")), "temperature inf, expected > 0"),
    (lambda m: edit_card(m, temperature=float("nan")), "temperature nan, expected > 0"),
    (lambda m: edit_card(m, labels=["same", "same"]), "expected two different names"),
    (lambda m: edit_card(m, labels=["one"]), "model card is damaged"),
    (lambda m: edit_card(m, labels=["negative", "\ud800"]), "model card is damaged"),
    (lambda m: edit_card(m, temperature=10**400), "model card is damaged"),
    (lambda m: edit_card(m, precision="fp8"), "precision 'fp8', expected one of"),
    (lambda m: edit_card(m, text={"language": "en"}), "text settings"),
]


@pytest.mark.parametrize(("damage", "message"), HOSTILE)
def test_hostile_files_are_refused_with_a_reason(model_path, tmp_path, damage, message):
    (tmp_path / CANARY).write_bytes(bytes(1000))
    model = parse(model_path)
    damage(model)
    path = tmp_path / "hostile.onnx"
    path.write_bytes(reseal(model))
    with pytest.raises(ModelFileError) as caught:
        read_model_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_vocabulary_line_changed_without_the_digest(model_path, tmp_path):
    model = parse(model_path)
    entry = next(entry for entry in model.metadata_props if entry.key == "sent.vocabulary")
    entry.value = entry.value.replace("good", "evil")
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="does not match its own digest"):
        read_model_file(tmp_path / "x.onnx")


def test_what_was_stamped_is_read_back(model_path, model):
    again = stamp(parse(model_path), model.card)
    assert again == model_path.read_bytes() == model.data
    assert model.card.vocabulary.tokens[:3] == ("<pad>", "<unk>", "good")
    assert model.card == check_model(parse(model_path), model_path.stat().st_size)
    assert graph_summary(parse(model_path))["LSTM"] == 1


def test_the_text_column_rides_along_where_it_is_known(model_path, model):
    assert model.card.text_column is None
    card = dataclasses.replace(model.card, text_column="body")
    data = stamp(parse(model_path), card)
    assert check_model(ModelProto.FromString(data), len(data)).text_column == "body"


def test_known_answers_ride_along(model_path, model):
    answers = (
        KnownAnswer("a run", (("good ", 9),), in_blocks([2] * 9 + [7, 7, 3]), (0.25,), 0.5, "x"),
        KnownAnswer("none", ((" ", 1),), (), (), None, None),
    )
    assert answers[0].ids == (((2,), 9), ((7, 7, 3), 1))
    data = stamp(parse(model_path), dataclasses.replace(model.card, answers=answers))
    assert check_model(ModelProto.FromString(data), len(data)).answers == answers


def too_large(path):
    path.touch()
    os.truncate(path, 2 << 30)


def a_pickle(path):
    path.write_bytes(pickle.dumps({"weights": [1.0]}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be read (No such file"),
        (Path.mkdir, "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.touch(), "not a model file of this toolkit"),
        (a_pickle, "not an ONNX file"),
        (too_large, "a model file has at most"),
    ],
)
def test_what_is_no_model_file(tmp_path, make, message):
    path = tmp_path / "model.onnx"
    make(path)
    with pytest.raises(ModelFileError) as caught:
        read_model_file(path)
    assert message in str(caught.value)


def test_a_file_cut_short_anywhere(model_path, tmp_path):
    content = model_path.read_bytes()
    path = tmp_path / "cut.onnx"
    for end in range(0, len(content), 97):
        path.write_bytes(content[:end])
        with pytest.raises(ModelFileError):
            read_model_file(path)


def test_flipped_bits_are_refused_or_change_nothing(model_path, tmp_path, model):
    """Whatever is read is exactly what was written: the digest covers graph and card."""
    draw = random.Random(0)
    path = tmp_path / "flipped.onnx"
    for _ in range(500):
        content = bytearray(model_path.read_bytes())
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        try:
            found = read_model_file(path)
        except ModelFileError:
            continue
        assert found.card == model.card
        assert parse(path).graph == parse(model_path).graph


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=300))
def test_random_bytes_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "random.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        read_model_file(path)


OPENED = """
import sys
import infer.model.file, infer.base.errors
from pathlib import Path
opened = []
unsafe = ("pickle.find_class", "exec", "compile", "import", "subprocess.Popen", "os.system")
def audit(event, arguments):
    if event == "open" and not isinstance(arguments[0], int):
        opened.append(str(arguments[0]))
    if event in unsafe:
        opened.append(event)
sys.addaudithook(audit)
try:
    infer.model.file.read_model_file(Path(sys.argv[1]))
except infer.base.errors.ModelFileError:
    pass
sys.stdout.write("\\n".join(opened))
"""


@pytest.mark.parametrize("damage", [None, external_without_the_flag, sparse_initializer])
def test_exactly_one_file_is_opened_and_no_code_is_run(model_path, tmp_path, damage):
    (tmp_path / CANARY).write_bytes(bytes(1000))
    model = parse(model_path)
    if damage:
        damage(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(reseal(model))
    command = [sys.executable, "-c", OPENED, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split("\n") == [str(path)]


def test_a_graph_that_the_contract_allows_and_onnx_runtime_refuses(model_path, model):
    faulty = parse(model_path)
    faulty.graph.node[0].input[0] = "nothing"
    with pytest.raises(ModelFileError):
        check_model(faulty, faulty.ByteSize())
    faulty = parse(model_path)
    faulty.graph.node.append(helper.make_node("Add", ["nothing", "nothing"], ["x"]))
    with pytest.raises(ModelFileError, match="ONNX Runtime refuses the graph"):
        Session(stamp(faulty, model.card))


def test_nothing_in_the_toolkit_unpickles():
    for package in ("infer", "trainer", "exporter"):
        for source in (Path(infer.__file__).parents[1] / package).rglob("*.py"):
            for word in ("import pickle", "torch.load(", "allow_pickle=True", "joblib"):
                assert word not in source.read_text(), source


def test_the_protocol_buffers_cover_every_field_that_is_checked():
    """A version of the onnx package without these fields would not see what hides in them."""
    assert {"functions", "training_info", "configuration"} <= set(
        ModelProto.DESCRIPTOR.fields_by_name
    ), onnx.__version__


def test_what_validation_was_like_rides_along(model_path):
    """A file that says it is read as it was written; the others are as they were."""
    opened = parse(model_path)
    assert check_model(opened, model_path.stat().st_size).validated is None
    edit_card(opened, validation=validation())
    data = reseal(opened)
    card = check_model(ModelProto.FromString(data), len(data))
    assert card.validated.profile.scored == 2
    assert card.validated.to_json() == validation()
    assert json.loads(card.to_json())["validation"] == validation()
