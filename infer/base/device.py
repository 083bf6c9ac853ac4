"""The `--device` option, the same for the three commands."""

from dataclasses import dataclass

from infer.base.errors import UsageError


@dataclass(frozen=True)
class Device:
    """What `--device` asks for: `auto`, `cpu` or `cuda`, and which GPU."""

    kind: str
    index: int = 0
    named: str = ""

    def __str__(self) -> str:
        """Return the device as it was asked for."""
        return self.named or self.kind

    @classmethod
    def parse(cls, text: str) -> "Device":
        """Read `auto`, `cpu`, `cuda` or `cuda:N`.

        Raises:
            UsageError: anything else.
        """
        kind, colon, index = text.partition(":")
        if kind in ("auto", "cpu", "cuda") and not colon:
            return cls(kind)
        if kind == "cuda" and index.isdecimal():
            return cls(kind, int(index), text)
        raise UsageError(f"--device {text!r}, expected auto, cpu, cuda or cuda:N")
