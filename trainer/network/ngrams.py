"""The wide part beside the network: one weight for each hashed n-gram of token ids.

After Cheng et al., "Wide & Deep Learning" (2016); n-grams are hashed into one table as in fastText
(Joulin et al. 2016), by the multiply-mod-prime family of Carter and Wegman (1979). What a linear
model knows ("not worth", "10 / 10") reaches the logit without passing through the LSTM.

Legend: B batch, T tokens, N longest n-gram, W buckets, O logits of a row.
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


def buckets_of(tokens: Sequence[Ids], buckets: int) -> list[Ids]:
    """Return the buckets of the n-grams that end in each token, the single token first.

    Args:
        tokens: N arrays of ids of one shape, int64: the token, the one before it, and so on; 0
            (padding) before a text's first token.
        buckets: size W of the table.

    Returns:
        N arrays of that shape, int64 from 0 to W - 1.

    Example:
        >>> ids = np.array([7, 9])
        >>> [n.tolist() for n in buckets_of([ids, np.array([0, 7])], 1000)]
        [[73, 472], [953, 530]]
    """
    sums, found = tokens[0] * FACTORS[0], []
    for n, shift in enumerate(SHIFTS[: len(tokens)]):
        if n:
            sums = sums + tokens[n] * FACTORS[n]
        found.append((sums + shift) % PRIME % buckets)
    return found


def text_buckets(encoded: EncodedTexts, longest: int, buckets: int) -> list[npt.NDArray[np.int64]]:
    """Return the buckets of all texts' n-grams, text behind text.

    Args:
        encoded: texts of S tokens in all.
        longest: N.
        buckets: W.

    Returns:
        N arrays (S,) int64, see `buckets_of`.
    """
    ids = encoded.ids.astype(np.int64)
    starts = np.repeat(encoded.offsets[:-1], encoded.lengths)
    place = np.arange(len(ids)) - starts  # (S,) of a token in its text
    tokens = [np.where(place >= n, np.roll(ids, n), 0) for n in range(longest)]
    return buckets_of(tokens, buckets)


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
        weight: (W, O) float32, of each bucket.
        bias: (O,) float32.
        mix: (2,) what the network's logit and this one count in their sum; the two make 2.
    """

    def __init__(self, longest: int, buckets: int, labels: int = 2) -> None:
        """Make the table; all weights are zero."""
        super().__init__()
        self.longest, self.labels = longest, labels
        logits = math.prod(row_shape(labels))
        self.register_buffer("weight", torch.zeros(buckets, logits))
        self.register_buffer("bias", torch.zeros(logits))
        self.register_buffer("mix", torch.ones(2))
        self.weight: Tensor
        self.bias: Tensor
        self.mix: Tensor

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Token ids (B, T) integers, lengths (B,) integers → logits (B, O) float32.

        The sum over the tokens is taken in double precision: whatever their order and number, a
        text has one logit, whichever texts it shares a batch with.
        """
        longest = self.longest
        ids = input_ids.long()
        # Zeros before each row. `pad` would be ONNX's Pad, which has no way down to opset 17.
        padded = torch.cat([*[ids[:, :1] * PAD_ID] * (longest - 1), ids], dim=1)
        tokens = [padded[:, longest - 1 - n : -n or None] for n in range(longest)]  # N x (B, T)
        buckets = torch.stack(buckets_of(tokens, len(self.weight)))  # (N, B, T)
        inside = torch.arange(input_ids.shape[1], device=input_ids.device) < lengths[:, None]
        weights = nn.functional.embedding(buckets, self.weight)  # (N, B, T, O)
        own = torch.where(inside[:, :, None], weights, 0.0)
        return own.double().sum(dim=(0, 2)).to(own.dtype) + self.bias
