import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner, Result

from infer.base.console import LOGGER
from infer.base.errors import InputError

pytest.importorskip("transformers", reason="the extra 'teacher' is not installed")
from transformers import AutoTokenizer

from examples import fine_tuning
from examples.fine_tuning import Fold, Place, Settings, batch_of, encode
from examples.transformer_teacher import assign_folds, main, rows_to_train_on

pytestmark = pytest.mark.slow  # twenty seconds together, and an extra that few install

Teach = Callable[..., Path]
SETTINGS = ("--folds", "3", "--gap", "2", "--epochs", "1", "--batch-size", "8", "--device", "cpu")


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*SETTINGS, *map(str, arguments)])


@pytest.fixture
def teach(encoder: str, unlabelled: Path, tmp_path: Path) -> Teach:
    """Run the command on a labelled file: the folder of its results."""

    def run(path: Path, output: str = "out", *options: str) -> Path:
        folder = tmp_path / output
        result = invoke(encoder, path, "--unlabelled", unlabelled, "-o", folder, *options)
        assert result.exit_code == 0, result.output
        return folder

    return run


def scores_of(folder: Path, name: str = "train") -> npt.NDArray[np.float32]:
    column = pq.read_table(folder / f"{name}.parquet")["score"]
    assert column.type == pa.float32()
    return column.to_numpy()


def test_every_file_comes_back_with_its_rows_in_order_and_a_score_for_each_text(
    teach: Teach, labelled: Path, unlabelled: Path
) -> None:
    folder = teach(labelled)
    for path, missing in ((labelled, []), (unlabelled, [7])):
        found, before = pq.read_table(folder / path.name), pq.read_table(path)
        assert found.drop_columns(["score"]).equals(before)
        scores = scores_of(folder, path.stem)
        assert np.flatnonzero(np.isnan(scores)).tolist() == missing
        assert ((scores > 0) & (scores < 1))[~np.isnan(scores)].all()


def test_it_learns_what_tells_the_labels(teach: Teach, labelled: Path) -> None:
    folder = teach(labelled, "out", "--learning-rate", "0.01", "--epochs", "12")
    labels = pq.read_table(labelled)["label"].to_numpy()
    assert np.mean((scores_of(folder) > 0.5) == labels) > 0.9
    unseen = scores_of(folder, "unsup")
    assert unseen[1] > 0.5 > unseen[0]


@pytest.mark.parametrize("changed", [0, 20, 42])
def test_no_row_is_scored_by_a_network_that_saw_it_or_a_row_beside_it(
    teach: Teach, labelled: Path, changed: int
) -> None:
    # Another word in one text, of the same length: only networks that trained on it notice.
    before = scores_of(teach(labelled, "before"))
    table = pq.read_table(labelled)
    texts = table["text"].to_pylist()
    texts[changed] = texts[changed].replace("film", "plot")
    pq.write_table(table.set_column(1, "text", pa.array(texts)), labelled)
    same = scores_of(teach(labelled, "after")) == before
    labels = table["label"].to_numpy()
    blocks = assign_folds(labels, 3)
    for fold in range(3):
        rows = np.setdiff1d(np.flatnonzero(blocks == fold), [changed])
        trained_on = rows_to_train_on(labels, blocks, fold, gap=2)[changed]
        assert same[rows].all() == (not trained_on), fold


class Interrupted(Exception):  # noqa: N818 - as Stopped is none either
    """Stands for whatever ends a process."""


class StoppingAt(logging.Handler):
    """Ends the run when something is said in which the moment's words stand."""

    def __init__(self, moment: str) -> None:
        super().__init__()
        self.moment = moment

    def emit(self, record: logging.LogRecord) -> None:
        if self.moment in record.getMessage():
            raise Interrupted


@pytest.mark.parametrize(
    ("moment", "following"),
    [("fold 2: step 3 ", "fold 2: step 4 "), ("fold 2: 25 rows", "fold 2: 17 rows")],
)
def test_a_stopped_run_goes_on_and_gives_the_same_scores(
    teach: Teach,
    encoder: str,
    labelled: Path,
    unlabelled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    following: str,
) -> None:
    monkeypatch.setattr(fine_tuning, "REPORT_SECONDS", 0.0)
    options = ("--checkpoint-minutes", "0", "--batch-tokens", "16")
    whole = teach(labelled, "whole", *options)
    stopped = tmp_path / "stopped"
    arguments = (encoder, labelled, "--unlabelled", unlabelled, "-o", stopped, *options)
    with monkeypatch.context() as patch:
        patch.setattr(LOGGER, "handlers", [StoppingAt(moment)])
        assert isinstance(invoke(*arguments).exception, Interrupted)
    again = invoke(*arguments)
    assert again.exit_code == 0
    assert again.stderr.startswith(following)
    for name in ("train", "unsup"):
        np.testing.assert_array_equal(scores_of(stopped, name), scores_of(whole, name))
    assert not list(stopped.glob("work/fold-*"))


def test_without_time_there_are_rows_without_scores(teach: Teach, labelled: Path) -> None:
    assert np.isnan(scores_of(teach(labelled, "out", "--minutes", "0"))).all()


def test_the_work_of_other_settings_is_not_taken_up(
    teach: Teach, labelled: Path, encoder: str
) -> None:
    folder = teach(labelled)
    result = invoke(encoder, labelled, "-o", folder, "--seed", "5")
    assert result.exit_code == 2
    assert "differs in seed, sha256" in result.output


def test_an_input_is_never_replaced(encoder: str, labelled: Path) -> None:
    before = labelled.read_bytes()
    result = invoke(encoder, labelled, "-o", labelled.parent)
    assert result.exit_code == 2
    assert "is the input" in result.output
    assert labelled.read_bytes() == before


def test_two_files_of_one_name_are_refused(encoder: str, labelled: Path, tmp_path: Path) -> None:
    twin = tmp_path / "train.parquet"
    twin.write_bytes(labelled.read_bytes())
    result = invoke(encoder, labelled, "--unlabelled", twin, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "have one name" in result.output


def test_blocks_are_neighbours_within_each_class() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 0, 0, 1, 1], np.int8)
    assert assign_folds(labels, 2).tolist() == [0, 0, 0, 1, 0, 0, 1, 1, 1, 1]


def test_rows_beside_a_block_are_not_trained_on() -> None:
    labels = np.zeros(18, np.int8)
    labels[9:] = 1
    allowed = rows_to_train_on(labels, assign_folds(labels, 3), fold=1, gap=1)
    assert np.flatnonzero(allowed).tolist() == [0, 1, 7, 8, 9, 10, 16, 17]


def test_too_few_rows_for_the_gap_are_refused() -> None:
    labels = np.array([0, 0, 1, 1], np.int8)
    with pytest.raises(InputError, match="2 rows of a class are too few"):
        rows_to_train_on(labels, assign_folds(labels, 2), fold=0, gap=1)


def test_head_and_tail_of_a_long_text_are_read(encoder: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    texts = pa.array(["good " * 5 + "film<br />" * 9 + "bad " * 5, None, "a film"])
    found = encode(texts, tokenizer, 8)
    words = [tokenizer.convert_ids_to_tokens(i) for i in np.split(found.ids, found.offsets[1:-1])]
    assert words[0] == ["[CLS]", "good", "bad", "bad", "bad", "bad", "bad", "[SEP]"]
    assert words[1:] == [[], ["[CLS]", "a", "film", "[SEP]"]]


def test_padding_does_not_change_a_score(encoder: str) -> None:
    settings = Settings(encoder)
    place = Place(Path("nowhere"), torch.device("cpu"))
    network = Fold(0, settings, place).network.eval()
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tokens = encode(pa.array(["good", "the film the plot the film a plot bad"]), tokenizer, 16)
    with torch.inference_mode():
        both = network(*batch_of(tokens, np.array([0, 1]), place.device))
        alone = network(*batch_of(tokens, np.array([0]), place.device))
    torch.testing.assert_close(both[:1], alone)
