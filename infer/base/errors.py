"""Everything the toolkit raises on purpose, free of Click.

::

    SentError                 exit code 1
    ├── UsageError            exit code 2: the request itself cannot be right
    │   ├── InputError        a file, column or type that cannot be scored or trained on
    │   ├── OutputError       a destination that must not be written
    │   ├── MissingExtraError a package of an extra that is not installed
    │   └── MissingModelError a model file or checkpoint that is not there (a ModelFileError too)
    ├── ModelFileError        a model file or checkpoint that is not one of ours, or is damaged
    ├── DeviceError           a device that was asked for and cannot be had
    ├── TrainingError         training that cannot go on (a full disk)
    │   └── DivergedError     a loss that is not a number
    ├── ParityError           an exported graph that does not agree with PyTorch
    ├── JobError              a scoring job that stopped midway (disk full, input damaged)
    └── IncompleteError       outputs that do not hold all rows of their inputs, once each

A message names the object, the value seen, the value expected and the remedy, in one line.
"""

from collections.abc import Sequence
from typing import Any

from infer.base.shown import without_secrets


class SentError(Exception):
    """The root of the toolkit's own errors; `exit_code` is what a command ends with."""

    exit_code = 1

    def __str__(self) -> str:
        """Return the message without the secrets of the URIs in it."""
        return without_secrets(super().__str__())


class UsageError(SentError):
    """The request cannot be carried out as it stands; nothing was started."""

    exit_code = 2


class InputError(UsageError):
    """An input file, column or type is missing or wrong."""


class OutputError(UsageError):
    """The output may not be written: it exists, is an input, a symlink or a folder."""


class MissingExtraError(UsageError):
    """A package is missing that an extra of the distribution installs."""

    def __init__(self, package: str, extra: str) -> None:
        """Name the missing `package` and the `extra` that brings it."""
        super().__init__(
            f"the package '{package}' is not installed. Install the extra from the toolkit's "
            f"folder: pip install -c constraints.txt '.[{extra}]'"
        )
        self._names = package, extra

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the names, so that a worker process can hand it back."""
        return type(self), self._names


class ModelFileError(SentError):
    """A model file or checkpoint is damaged, foreign or breaks the contract."""


class MissingModelError(ModelFileError, UsageError):
    """No model file or checkpoint can be read where one was named."""


class DeviceError(SentError):
    """The device that was asked for cannot be used here."""


class TrainingError(SentError):
    """Training cannot go on."""


class DivergedError(TrainingError):
    """The settings make a loss or a logit that is not a number."""


class ParityError(SentError):
    """The exported graph differs from PyTorch; there is no model file."""


class JobError(SentError):
    """A scoring job stopped midway; what can be resumed is named in the message."""


class IncompleteError(SentError):
    """Rows of a job's inputs are missing in its outputs, doubled, damaged or of another job."""


def all_at_once(errors: Sequence[UsageError], of: int, what: str) -> None:
    """Raise what was found wrong with several things of a kind, so that one run tells all of it.

    Messages that differ in nothing but the name before the first colon are told once.

    Args:
        errors: what was raised about each.
        of: how many things were looked at.
        what: what they are called, in the plural.

    Raises:
        UsageError: the only error, or one of its type that tells all.
    """
    if len(errors) <= 1:
        for error in errors:
            raise error
        return
    names: dict[str, list[str]] = {}
    for error in errors:
        name, _, reason = str(error).partition(": ")
        names.setdefault(reason, []).append(name)
    reasons = (f"{', '.join(those)}: {reason}" for reason, those in names.items())
    raise type(errors[0])(f"{len(errors)} of {of} {what} cannot be used. {'; '.join(reasons)}")
