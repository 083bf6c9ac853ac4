"""The vocabulary: which token has which id."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from infer.base.errors import ModelFileError

PAD, UNK = "<pad>", "<unk>"
PAD_ID, UNK_ID = 0, 1


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their ids: `<pad>` is 0, `<unk>` is 1.

    Raises:
        ModelFileError: the two special tokens are not first, a token is doubled, or a token
            holds white space (so that no text could ever produce it) but single spaces between
            words, as special cases of some languages do ("EE. UU.").
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check what every reader of a vocabulary relies on."""
        if self.tokens[:2] != (PAD, UNK):
            raise ModelFileError(f"vocabulary starts with {self.tokens[:2]}, expected {(PAD, UNK)}")
        if len(set(self.tokens)) != len(self.tokens):
            raise ModelFileError("vocabulary holds a token twice")
        bad = [token for token in self.tokens if not token or token != " ".join(token.split())]
        if bad:
            raise ModelFileError(f"vocabulary holds the token {bad[0]!r} with white space in it")

    def __len__(self) -> int:
        """Return the number of ids, the two special ones included."""
        return len(self.tokens)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], size: int) -> "Vocabulary":
        """Keep the `size` most frequent tokens, ties in alphabetical order.

        Args:
            counts: token → occurrences in the training texts.
            size: number of tokens kept besides `<pad>` and `<unk>`.
        """
        kept = [token for token in counts if token not in (PAD, UNK)]
        kept.sort(key=lambda token: (-counts[token], token))
        return cls((PAD, UNK, *kept[:size]))

    def to_text(self) -> str:
        """Return one token a line, the form that is stored."""
        return "\n".join(self.tokens) + "\n"

    @classmethod
    def from_text(cls, text: str) -> "Vocabulary":
        """Read `to_text` back."""
        return cls(tuple(text.removesuffix("\n").split("\n")))

    def sha256(self) -> str:
        """Return the hash of the stored form, as hexadecimal digits."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()
