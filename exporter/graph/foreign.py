"""A network that somebody brings: any module from padded token ids and lengths to logits.

Legend: B batch, T tokens, K labels.
"""

import copy
from typing import Final

import torch
from torch import Tensor, nn

from infer.base.errors import UsageError
from infer.model.probability import row_shape

TRIED_SHAPE: Final = (3, 5)


class Foreign(nn.Module):
    """A copy of the network, in evaluation mode on the CPU.

    Attributes:
        network: the copy.
        labels: how many the texts are told apart by.
    """

    def __init__(self, network: nn.Module, labels: int) -> None:
        """Copy the network and try it once.

        Raises:
            UsageError: it does not run on token ids and lengths, or gives other logits.
        """
        super().__init__()
        self.network, self.labels = copy.deepcopy(network).cpu().eval(), labels
        self._check()

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Token ids (B, T) int64, lengths (B,) int32 → logits (B,) or (B, K) float32."""
        logits: Tensor = self.network(input_ids, lengths)
        return logits

    @torch.inference_mode()
    def _check(self) -> None:
        rows, tokens = TRIED_SHAPE
        name, expected = type(self.network).__name__, (rows, *row_shape(self.labels))
        shape = "(batch,)" if self.labels == 2 else f"(batch, {self.labels})"
        ids, lengths = torch.ones(TRIED_SHAPE, dtype=torch.int64), torch.full((rows,), tokens).int()
        try:
            logits = self(ids, lengths)
        except Exception as error:
            raise UsageError(
                f"{name} fails on input_ids {TRIED_SHAPE} int64 and lengths ({rows},) int32 "
                f"({type(error).__name__}: {error}). Expected a module from these to logits"
            ) from error
        found = (tuple(logits.shape), logits.dtype) if isinstance(logits, Tensor) else type(logits)
        if found != (expected, torch.float32):
            raise UsageError(
                f"{name} gives {found} for {rows} texts, expected logits {shape} float32 of "
                f"{self.labels} labels"
            )
