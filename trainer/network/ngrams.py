"""The wide part beside the network: one weight for each hashed n-gram of token ids.

After Cheng et al., "Wide & Deep Learning" (2016); n-grams are hashed into one table as in fastText
(Joulin et al. 2016), by the multiply-mod-prime family of Carter and Wegman (1979). What a linear
model knows ("not worth", "10 / 10") reaches the logit without passing through the LSTM.

Legend: B batch, T tokens, N longest n-gram, W buckets.
"""

import math
from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from infer.model.probability import row_shape
from infer.text.encoding import EncodedTexts
from infer.text.vocabulary import PAD_ID

LONGEST: Final = 5
# Weights of a table at most, 64 MB; of many labels, which have a column each, it has fewer rows.
MOST_WEIGHTS: Final = 1 << 24
# 2^31 - 1, a prime above every id. A factor is below 2^31, an id below 2^24: five products fit
# into 63 bits.
PRIME: Final = 2_147_483_647
# Drawn once. They are part of every model with n-grams: others would ask for other weights.
FACTORS: Final = (1_362_918_523, 794_210_017, 1_908_335_611, 355_046_389, 1_130_871_209)
# Added by the n-gram's length, so that a word at a text's beginning is not the pair of a text's
# beginning and that word.
SHIFTS: Final = (0, 1_640_531_527, 918_273_645, 1_203_948_571, 477_218_589)

Ids = TypeVar("Ids", Tensor, npt.NDArray[np.int64])


def sums_of(tokens: Sequence[Ids]) -> list[Ids]:
    """Return what is hashed of the n-grams that end in each token, the single token first.

    Args:
        tokens: N arrays of ids of one shape, int64: the token, the one before it, and so on; 0
            (padding) before a text's first token.

    Returns:
        N arrays of that shape, int64, for `bucket_of`.

    Example:
        >>> ids, before = np.array([7, 9]), np.array([0, 7])
        >>> [bucket_of(sums, 1000).tolist() for sums in sums_of([ids, before])]
        [[73, 472], [953, 530]]
    """
    sums = [tokens[0] * FACTORS[0]]
    for n, before in enumerate(tokens[1:], 1):
        sums.append(sums[-1] + before * FACTORS[n])
    return [total + shift for total, shift in zip(sums, SHIFTS, strict=False)]


def bucket_of(sums: Ids, buckets: int) -> Ids:
    """Hash sums of any shape, int64, to buckets from 0 to `buckets` - 1."""
    return sums % PRIME % buckets


def text_sums(encoded: EncodedTexts, longest: int) -> npt.NDArray[np.int64]:
    """Return what is hashed of all texts' n-grams, text behind text.

    Args:
        encoded: texts of S tokens in all.
        longest: N.

    Returns:
        (N, S) int64, for `bucket_of`.
    """
    ids = encoded.ids.astype(np.int64)
    starts = np.repeat(encoded.offsets[:-1], encoded.lengths)
    place = np.arange(len(ids)) - starts  # (S,) of a token in its text
    return np.stack(sums_of([np.where(place >= n, np.roll(ids, n), 0) for n in range(longest)]))


def room_for(buckets: int, labels: int) -> int:
    """Return how many buckets a table has for so many labels, at most as many as are asked for.

    Example:
        >>> room_for(2**20, 2) == 2**20, room_for(2**20, 40) == 2**18
        (True, True)
    """
    room = MOST_WEIGHTS // math.prod(row_shape(labels))
    return min(buckets, 1 << (room.bit_length() - 1))


class NGrams(nn.Module):
    """Sums the weights of a row's n-grams.

    Fitted by `trainer.teaching.linear`, never by a training step: its tensors are buffers.

    Attributes:
        labels: how many a text is told apart by.
        weight: (W,) float32 of two labels, else (W, K), of each bucket; numbers that half precision
            can hold.
        bias: (O,) float32.
        mix: (2,) what the network's logit and this one count in their sum; the two make 2.
    """

    def __init__(self, longest: int, buckets: int, labels: int = 2) -> None:
        """Make the table; all weights are zero."""
        super().__init__()
        self.longest, self.labels = longest, labels
        shape = row_shape(labels)
        self.register_buffer("weight", torch.zeros(buckets, *shape))
        self.register_buffer("bias", torch.zeros(math.prod(shape)))
        self.register_buffer("mix", torch.ones(2))
        self.weight: Tensor
        self.bias: Tensor
        self.mix: Tensor

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Token ids (B, T) integers, lengths (B,) integers → logits (B, O) float32.

        The sum is taken in double precision, in which up to 4,096 weights of half precision are
        added without rounding: in whatever order, beside whichever texts, a text has one logit.
        """
        longest = self.longest
        ids = input_ids.long()
        # Zeros before each row. `pad` would be ONNX's Pad, which has no way down to opset 17.
        padded = torch.cat([*[ids[:, :1] * PAD_ID] * (longest - 1), ids], dim=1)
        tokens = [padded[:, longest - 1 - n : -n or None] for n in range(longest)]  # N x (B, T)
        buckets = bucket_of(torch.cat(sums_of(tokens)), len(self.weight))  # (N x B, T)
        inside = torch.arange(input_ids.shape[1], device=input_ids.device) < lengths[:, None]
        weights = self._look_up(buckets).view(longest, *ids.shape, -1)  # (N, B, T, O)
        own = torch.where(inside[:, :, None], weights, 0.0)
        return own.double().sum(dim=(0, 2)).to(own.dtype) + self.bias

    def _look_up(self, buckets: Tensor) -> Tensor:
        """Return the weights of buckets (…), in their order: one each, or K."""
        if self.weight.ndim == 1:
            # As GatherElements it takes ONNX Runtime a fifth of the time of an `embedding`.
            return self.weight.gather(0, buckets.flatten())
        return nn.functional.embedding(buckets, self.weight)
