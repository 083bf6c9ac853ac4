"""Training learns, repeats itself, survives interruption and says when it cannot go on."""

import math
import os
import re
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from infer.base.console import LOGGER, Stopped, stop_signals
from infer.base.errors import (
    DeviceError,
    InputError,
    ModelFileError,
    TrainingError,
    UsageError,
)
from infer.model.validated import Validated
from trainer.checkpoint.files import load_tensors, note_of, save_tensors
from trainer.checkpoint.folder import (
    TRAINING,
    WEIGHTS,
    Checkpoint,
    load_checkpoint,
)
from trainer.network.device import choose_device
from trainer.network.model import ModelConfig, SentimentLSTM
from trainer.network.replicas import ROWS_OF_A_SHARE
from trainer.run.epochs import take_step
from trainer.run.resume import check_asked, resumed
from trainer.run.state import STATE_TENSORS, learning_rate, start
from trainer.run.train import carry_out
from trainer.settings.recipe import RECIPES, Recipe
from trainer.settings.request import Request

Interrupt = Callable[[Request, str], Stopped]

# Everything that carries state from one epoch to the next.
AVERAGED = {
    "schedule": "one_cycle",
    "weight_average": 0.9,
    "embedding_dropout": 0.1,
    "pooling": "max_mean",
    "adversarial": 0.5,
}


def weights(folder: Path) -> bytes:
    return (folder / WEIGHTS).read_bytes()


CHINESE = ["这部电影很好看", "这部电影不好看", "演员非常好", "剧情非常差"]


def test_another_language_is_trained_and_a_foreign_script_is_mentioned(
    request_: Request, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", LOGGER.name)
    path = tmp_path / "chinese.parquet"
    pq.write_table(pa.table({"text": CHINESE * 20, "label": [1, 0, 1, 0] * 20}), path)
    recipe = replace(request_.recipe, language="zh", epochs=1)
    found = carry_out(replace(request_, data=str(path), recipe=recipe))
    assert load_checkpoint(request_.output).text.language == "zh"
    assert set(found.vocabulary.tokens[2:]) == set("".join(CHINESE))
    assert "of the letters" not in caplog.text
    carry_out(replace(request_, data=str(path), recipe=replace(recipe, language="en")))
    warned = re.findall(r"Warning: .*chinese.parquet: 100% of the letters are CJK.*", caplog.text)
    assert len(warned) == 1 and "--language" in warned[0]


def test_an_unknown_language_is_refused_before_data_are_read(request_: Request) -> None:
    recipe = replace(request_.recipe, language="klingon")
    with pytest.raises(UsageError, match="'klingon', which spaCy has no tokenizer for"):
        carry_out(replace(request_, data="nowhere.csv", recipe=recipe))


def test_it_learns(request_: Request) -> None:
    recipe = replace(request_.recipe, epochs=12, patience=12, hidden=16)
    checkpoint = carry_out(replace(request_, recipe=recipe))
    metrics = checkpoint.metrics
    assert metrics["test"]["accuracy"] > 0.9
    validated = Validated.from_json(metrics["validation"], checkpoint.labels)
    assert validated.profile.rows == metrics["validation"]["reviews"]
    assert validated.risk.points[0].accuracy == metrics["validation"]["accuracy"]
    assert metrics["test"]["reviews"] == 60


def test_one_thread_and_one_seed_give_the_same_bits(
    trained: tuple[Path, Checkpoint], request_: Request
) -> None:
    carry_out(request_)
    assert weights(request_.output) == weights(trained[0])
    other = replace(request_, seed=124)
    carry_out(other)
    assert weights(request_.output) != weights(trained[0])


def test_the_split_has_a_seed_of_its_own(
    trained: tuple[Path, Checkpoint], request_: Request, interrupt: Interrupt
) -> None:
    request = replace(request_, seed=7, split_seed=123)
    interrupt(request, "epoch 1/")
    held_out = trained[1].validation.to_pylist()
    assert load_checkpoint(request.output).validation.to_pylist() == held_out
    again = resumed(request.output)
    assert (again.seed, again.split_seed) == (7, 123)
    record = carry_out(again).record
    assert (record.seed, record.split_seed) == (7, 123)
    assert weights(request.output) != weights(trained[0])


@pytest.fixture(
    scope="module",
    params=[{}, AVERAGED, {"self_training": True}],
    ids=["plain", "averaged", "self-training"],
)
def whole(
    request: pytest.FixtureRequest,
    trained: tuple[Path, Checkpoint],
    data: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Request, Checkpoint]:
    """A run without an interruption."""
    recipe = replace(Recipe.from_json(trained[1].record.recipe), **request.param)
    output = tmp_path_factory.mktemp("whole") / "c"
    asked = Request(recipe, data=str(data), output=output, device="cpu", threads=1)
    return asked, carry_out(asked)


@pytest.mark.parametrize("epoch", [1, 2])
def test_resuming_gives_the_same_bits(
    interrupt: Interrupt,
    whole: tuple[Request, Checkpoint],
    tmp_path: Path,
    epoch: int,
) -> None:
    request, expected = replace(whole[0], output=tmp_path / "c"), whole[1]
    stopped = interrupt(request, f"epoch {epoch}/")
    assert "keeps the best so far, epoch" in stopped.__notes__[0]
    assert (request.output / TRAINING).is_dir()
    metrics = carry_out(resumed(request.output)).metrics
    assert weights(request.output) == weights(whole[0].output)
    assert metrics == expected.metrics
    assert load_checkpoint(request.output).temperature == expected.temperature
    assert not (request.output / TRAINING).exists()


def test_shares_of_a_batch_give_the_same_bits_when_resumed(
    interrupt: Interrupt, request_: Request
) -> None:
    """Two threads with a share of each batch: what they draw hangs on seed, epoch and share."""
    recipe = replace(request_.recipe, **AVERAGED, batch_size=2 * ROWS_OF_A_SHARE, epochs=2)
    request = replace(request_, recipe=recipe, threads=2)
    whole = replace(request, output=request.output.with_name("whole"))
    carry_out(whole)
    interrupt(request, "epoch 1/")
    carry_out(resumed(request.output))
    assert weights(request.output) == weights(whole.output)


def test_an_interrupted_folder_is_a_checkpoint_without_test_figures(
    interrupt: Interrupt, request_: Request
) -> None:
    interrupt(request_, "epoch 1/")
    assert load_checkpoint(request_.output).metrics["test"] is None


def test_stopped_before_an_epoch_keeps_nothing(interrupt: Interrupt, request_: Request) -> None:
    interrupt(request_, "216 reviews to train on")
    assert not request_.output.exists()


def test_sigterm_in_the_middle_of_an_epoch(request_: Request) -> None:
    """The signal comes from outside while steps are taken."""
    recipe = replace(request_.recipe, epochs=10_000, patience=10_000)

    def stop_once_something_is_kept() -> None:
        while not (request_.output / WEIGHTS).exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    killer = threading.Thread(target=stop_once_something_is_kept, daemon=True)
    with pytest.raises(Stopped) as stopped, stop_signals():
        killer.start()
        carry_out(replace(request_, recipe=recipe))
    killer.join()
    assert stopped.value.signum == signal.SIGTERM
    assert load_checkpoint(request_.output)
    beside = {p.name for p in request_.output.parent.iterdir()}
    assert beside == {"c"}


def test_the_same_command_with_resume_goes_on(request_: Request) -> None:
    """`--recipe small --epochs 2` begins a run without the recipe's fewest steps."""
    recipe = replace(RECIPES["small"], epochs=2, steps=0)
    check_asked(replace(request_, recipe=recipe), {"recipe": "small"})
    with pytest.raises(UsageError, match=r"steps is 600, the run in .* has 0"):
        check_asked(replace(request_, recipe=recipe), {"steps": 600})
    check_asked(replace(request_, delimiter="\t"), {"delimiter": "tab"})


def test_only_an_unfinished_run_of_the_same_kind_is_resumed(
    interrupt: Interrupt,
    trained: tuple[Path, Checkpoint],
    request_: Request,
    data: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match="is finished"):
        resumed(trained[0])
    interrupt(request_, "epoch 1/")
    folder = request_.output
    with pytest.raises(UsageError, match=r"hidden is 7, the run in .* has 6"):
        resumed(folder, asked={"hidden": 7})
    with pytest.raises(UsageError, match=r"batch_size is 30, the run in .* has 16"):
        resumed(folder, asked={"recipe": "article"})
    with pytest.raises(UsageError, match="no setting 'hiden'"):
        resumed(folder, asked={"hiden": 6})
    assert resumed(folder, asked={"hidden": 6, "data": str(data)}) == replace(request_, resume=True)
    run = resumed(folder, {"device": "auto", "threads": 2})
    assert (run.threads, run.device) == (2, "auto")

    moved = tmp_path / "data"
    shutil.copytree(data, moved)
    shutil.copy(moved / "test.parquet", moved / "train.parquet")
    with pytest.raises(InputError, match="the data's SHA-256"):
        carry_out(resumed(folder, {"data": str(moved)}))


def test_an_epoch_that_leaves_no_numbers_is_not_kept(request_: Request) -> None:
    """One step an epoch: its loss is a number, the weights behind it are none."""
    recipe = replace(
        request_.recipe, learning_rate=1e38, clip=0.0, batch_size=999, pooling="max_mean"
    )
    with pytest.raises(TrainingError, match="after epoch 1"):
        carry_out(replace(request_, recipe=recipe))
    with pytest.raises(ModelFileError, match="not come so far"):
        load_checkpoint(request_.output)


def test_a_gradient_that_is_no_number_changes_no_weight(request_: Request) -> None:
    torch.manual_seed(0)
    state = start(SentimentLSTM(ModelConfig(9, 4, 3, 1)).train(), request_.recipe)
    before = {name: t.clone() for name, t in state.model.state_dict().items()}

    def gradients(recipe: Recipe, *batch: torch.Tensor) -> float:
        for parameter in state.model.parameters():
            parameter.grad = torch.full_like(parameter, torch.inf)
        return 0.5

    batch = torch.tensor([[2, 3]]), torch.tensor([2]), torch.ones(1), torch.ones(1)
    assert math.isnan(take_step(state, gradients, request_.recipe, *batch, 0.1))
    assert all(torch.equal(t, before[name]) for name, t in state.model.state_dict().items())


def test_texts_without_a_token_are_refused(request_: Request, tmp_path: Path) -> None:
    table = pa.table({"text": ["<br />"] * 20, "label": [0, 1] * 10})
    pq.write_table(table, tmp_path / "d.parquet")
    with pytest.raises(InputError, match="trained on"):
        carry_out(replace(request_, data=str(tmp_path / "d.parquet")))
    folder = Path(shutil.copytree(request_.data, tmp_path / "data"))
    pq.write_table(table, folder / "test.parquet")
    with pytest.raises(InputError, match=r"20 reviews .* to test on"):
        carry_out(replace(request_, data=str(folder)))


def test_validation_texts_that_are_trained_on_are_counted(
    request_: Request, tmp_path: Path, said: Callable[[], list[str]]
) -> None:
    texts = [f"The film was {'great' if i % 2 else 'awful'}, number {i // 4}." for i in range(200)]
    table = pa.table({"text": texts, "label": [i % 2 for i in range(200)]})
    pq.write_table(table, tmp_path / "d.parquet")
    carry_out(replace(request_, data=str(tmp_path / "d.parquet")))
    (warning,) = [line for line in said() if "are trained on too" in line]
    assert re.match(r"Warning: \d+ of the 16 validation texts", warning)


def test_a_loss_that_is_no_number_names_step_and_rate(request_: Request) -> None:
    recipe = replace(request_.recipe, learning_rate=1e38, clip=0.0, pooling="max_mean")
    with pytest.raises(TrainingError) as error:
        carry_out(replace(request_, recipe=recipe))
    for words in ("in epoch 1, step", "learning rate 1e+38"):
        assert words in str(error.value)
    folder = request_.output
    assert error.value.__notes__ == [
        f"{folder} keeps the run as it was after the preparation; "
        f"sent-train --resume --output {folder} goes on"
    ]


def test_a_run_gone_wrong_keeps_the_best_so_far(interrupt: Interrupt, request_: Request) -> None:
    interrupt(request_, "epoch 1/")
    path = request_.output / TRAINING / STATE_TENSORS
    tensors = load_tensors(path)
    tensors["adam.exp_avg.classifier.weight"][:] = torch.nan
    save_tensors(path, tensors, note_of(path))
    with pytest.raises(TrainingError, match=r"in epoch 2, step 2 of ") as error:
        carry_out(resumed(request_.output))
    assert (
        "keeps the best so far, epoch 1, and the run as it was after epoch 1; sent-"
        in error.value.__notes__[0]
    )
    assert load_checkpoint(request_.output).metrics["epoch"] == 1


def test_a_full_disk_loses_no_finished_epoch(
    trained: tuple[Path, Checkpoint], interrupt: Interrupt, request_: Request
) -> None:
    """A limit on a file's size stands for the disk: writing fails in the same places."""
    interrupt(request_, "epoch 1/")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(TrainingError, match=r"c: cannot be written \(.*too large") as error:
            carry_out(resumed(request_.output))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (
        "keeps the best so far, epoch 1, and the run as it was after epoch 1; sent-"
        in error.value.__notes__[0]
    )
    assert [p.name for p in request_.output.parent.iterdir()] == ["c"]
    carry_out(resumed(request_.output))
    assert weights(request_.output) == weights(trained[0])


def test_patience_ends_the_run_early(request_: Request) -> None:
    recipe = replace(request_.recipe, epochs=50, patience=2, learning_rate=0.3)
    checkpoint = carry_out(replace(request_, recipe=recipe))
    history = (request_.output / "history.csv").read_text().splitlines()[1:]
    assert len(history) == checkpoint.metrics["epoch"] + 2 < 50


def test_the_validation_part_is_neither_trained_on_nor_in_the_vocabulary(
    request_: Request, data: Path
) -> None:
    """Each review of the data ends in a number of its own."""
    checkpoint = carry_out(replace(request_, recipe=replace(request_.recipe, vocabulary=9_999)))
    assert checkpoint.record.data.training_reviews == 216
    held_out = checkpoint.validation["text"].to_pylist()
    assert len(held_out) == checkpoint.metrics["validation"]["reviews"] == 24
    for text in pq.read_table(data / "train.parquet")["text"].to_pylist():
        number = text.split("№ ")[1].removesuffix(".")
        assert (number in checkpoint.vocabulary.tokens) == (text not in held_out), text


def test_vectors_from_a_file_and_from_the_corpus(request_: Request) -> None:
    path = request_.output.with_name("vectors.txt")
    path.write_text("".join(f"{word}{' 0.25' * 8}\n" for word in ("was", "not", "great")))
    recipe = replace(request_.recipe, vectors=str(path), epochs=1)
    found = carry_out(replace(request_, recipe=recipe)).record.vectors
    assert found.source == str(path) and 0 < found.coverage < 1
    pytest.importorskip("gensim")
    recipe = replace(recipe, vectors="corpus")
    assert carry_out(replace(request_, recipe=recipe)).record.vectors.coverage == 1


@pytest.mark.usefixtures("needs_bf16")
def test_bf16_trains(request_: Request) -> None:
    recipe = replace(request_.recipe, precision="bf16", epochs=1)
    assert carry_out(replace(request_, recipe=recipe)).metrics["test"]["reviews"] == 60


def test_bf16_is_refused_where_it_cannot_be(request_: Request, has_bf16: bool) -> None:
    if has_bf16:
        pytest.skip("this processor computes LSTMs in bf16")
    recipe = replace(request_.recipe, precision="bf16", epochs=1)
    with pytest.raises(DeviceError, match=r"bf16: cpu .* --precision fp32"):
        carry_out(replace(request_, recipe=recipe))
    assert not request_.output.exists()


def test_tf32_is_refused_on_the_cpu(request_: Request) -> None:
    with pytest.raises(DeviceError, match=r"tf32: cpu .* --precision fp32"):
        carry_out(replace(request_, recipe=replace(request_.recipe, precision="tf32")))


def test_a_device_is_honoured_or_an_error() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UsageError):
        choose_device("gpu")
    with pytest.raises(DeviceError):
        choose_device("cuda:99")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_it_learns_on_cuda(request_: Request, precision: str) -> None:
    recipe = replace(request_.recipe, epochs=12, patience=12, hidden=16, precision=precision)
    checkpoint = carry_out(replace(request_, recipe=recipe, device="cuda"))
    assert checkpoint.metrics["test"]["accuracy"] > 0.9
    assert checkpoint.record.device.startswith("cuda")


def test_one_cycle_rises_and_falls() -> None:
    recipe = Recipe(schedule="one_cycle", learning_rate=1.0)
    rates = [learning_rate(recipe, i / 100) for i in range(101)]
    assert rates[0] == pytest.approx(0.04) and rates[30] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)
    assert rates[:31] == sorted(rates[:31]) and rates[30:] == sorted(rates[30:], reverse=True)
    assert learning_rate(Recipe(learning_rate=0.5), 0.9) == 0.5
