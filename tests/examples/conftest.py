"""A tiny encoder of random weights with a tokenizer of a few words, and reviews for it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = ("good", "bad", "film", "plot", "the", "a", "long", "short")


@pytest.fixture(autouse=True)
def one_thread(one_torch_thread: None) -> None:
    """Every test here computes with one."""


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a BERT of one layer that reads up to 16 tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=16
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)


def review(number: int) -> str:
    """A text of three to seven words whose label, `number % 2`, one of them tells."""
    words = ["the", "film", ("bad", "good")[number % 2], *WORDS[2 + number % 4 : 6]]
    return " ".join(words)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """60 labelled reviews, with a column of their own."""
    path = tmp_path / "in" / "train.parquet"
    path.parent.mkdir()
    texts = [review(number) for number in range(60)]
    labels, stars = [number % 2 for number in range(60)], list(range(60))
    pq.write_table(pa.table({"stars": stars, "text": texts, "label": labels}), path)
    return path


@pytest.fixture
def unlabelled(tmp_path: Path, labelled: Path) -> Path:
    """40 reviews of which one is missing."""
    path = labelled.with_name("unsup.parquet")
    texts = [None if number == 7 else review(number) for number in range(40)]
    pq.write_table(pa.table({"id": [f"u{n}" for n in range(40)], "text": texts}), path)
    return path
