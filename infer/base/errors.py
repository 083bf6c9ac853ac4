"""Everything the toolkit raises on purpose, free of Click.

::

    SentError                 exit code 1
    ├── UsageError            exit code 2: the request itself cannot be right
    │   ├── InputError        a file, column or type that cannot be scored or trained on
    │   ├── OutputError       a destination that must not be written
    │   └── MissingExtraError a package of an extra that is not installed
    ├── ModelFileError        a model file or checkpoint that is not one of ours, or is damaged
    ├── DeviceError           a device that was asked for and cannot be had
    ├── TrainingError         training that cannot go on (a loss that is not a number, a full disk)
    ├── ParityError           an exported graph that does not agree with PyTorch
    └── JobError              a scoring job that stopped midway (disk full, input damaged)

A message names the object, the value seen, the value expected and the remedy, in one line.
"""


class SentError(Exception):
    """The root of the toolkit's own errors; `exit_code` is what a command ends with."""

    exit_code = 1


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


class ModelFileError(SentError):
    """A model file or checkpoint is damaged, foreign or breaks the contract."""


class DeviceError(SentError):
    """The device that was asked for cannot be used here."""


class TrainingError(SentError):
    """Training cannot go on."""


class ParityError(SentError):
    """The exported graph differs from PyTorch; there is no model file."""


class JobError(SentError):
    """A scoring job stopped midway; what can be resumed is named in the message."""
