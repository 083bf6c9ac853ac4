"""Devices and precision: refused with a remedy, or right; on a GPU both directions at once."""

import copy
import warnings

import pytest
import torch

from infer.base.errors import DeviceError
from trainer.network.device import check_precision, set_precision
from trainer.network.model import ModelConfig, SentimentLSTM

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_tf32_needs_cuda():
    with pytest.raises(DeviceError, match=r"precision tf32: cpu has none.*--precision fp32"):
        check_precision("tf32", torch.device("cpu"))


def test_bf16_is_refused_on_cuda():
    """Before anything is computed there: a GPU need not be at hand."""
    with pytest.raises(DeviceError, match=r"half precision.*--precision tf32"):
        check_precision("bf16", torch.device("cuda"))


def step(model: SentimentLSTM, ids: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
    """Return the logits and each parameter's gradient, on the CPU."""
    device = model.classifier.weight.device
    model.zero_grad()
    logits = model(ids.to(device), lengths.to(device))
    logits.square().sum().backward()
    return [logits.detach().cpu(), *(p.grad.cpu() for p in model.parameters())]


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("pooling", ["last", "max_mean"])
def test_two_streams_give_the_gradients_of_the_cpu(pooling):
    set_precision("fp32")
    torch.manual_seed(0)
    model = SentimentLSTM(ModelConfig(50, 16, 32, 2, pooling, dropout=0.0)).train()
    on_gpu = copy.deepcopy(model).cuda()
    draw = torch.Generator().manual_seed(1)
    for turn in range(30):  # memory is handed from stream to stream
        rows, tokens = 1 + 7 * (turn % 5), 1 + 31 * (turn % 4)
        ids = torch.randint(1, 50, (rows, tokens), generator=draw)
        lengths = torch.randint(1, tokens + 1, (rows,), generator=draw, dtype=torch.int32)
        for expected, found in zip(
            step(model, ids, lengths), step(on_gpu, ids, lengths), strict=True
        ):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


@pytest.mark.gpu
@needs_gpu
def test_a_copied_network_lies_in_one_block():
    model = SentimentLSTM(ModelConfig(50, 16, 32, 2)).cuda()
    copied = copy.deepcopy(model)
    copied.flatten()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # PyTorch warns of weights that are not in one block
        copied(torch.ones(2, 3, dtype=torch.int64).cuda(), torch.tensor([3, 2]).int().cuda())
