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

    @classmethod
    def several(cls, text: str) -> tuple["Device", ...]:
        """Read what `parse` does, or several GPUs: `cuda:N,M,…`.

        Raises:
            UsageError: anything else, or a GPU that is named twice.
        """
        first, *more = text.split(",")
        devices = [cls.parse(first)]
        for index in more:
            if not (devices[0].named and index.isdecimal()):
                raise UsageError(
                    f"--device {text!r}, expected auto, cpu, cuda, cuda:N or cuda:N,M,…"
                )
            devices.append(cls.parse(f"cuda:{index}"))
        if len({device.index for device in devices}) < len(devices):
            raise UsageError(f"--device {text!r}, expected each GPU once")
        return tuple(devices)
