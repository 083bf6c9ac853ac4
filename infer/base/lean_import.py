"""Importing spaCy without what scoring has no use for: a quarter of its time, and torch.

Its dependency thinc loads every deep-learning package that is installed (torch alone: 1.2 s and
200 MB), and spaCy itself loads its command line, with a web client and a project manager.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

# What thinc loads where it is installed, and does without where it is not.
BACKENDS: Final = ("torch", "tensorflow", "cupy", "mxnet")
# What spaCy loads everywhere, to offer `spacy.info`.
COMMAND_LINE: Final = ("spacy.cli", "spacy.cli.info")


@contextmanager
def lean_spacy() -> Iterator[None]:
    """Import spaCy within the block without deep-learning packages and without its command line.

    Behind the block all of them can be imported as ever. What was loaded before stays in use.
    """
    stand_ins: dict[str, ModuleType | None] = dict.fromkeys(BACKENDS)  # None: not to be found
    for name in COMMAND_LINE:
        stand_ins[name] = ModuleType(name)
        setattr(stand_ins[name], "info", None)  # noqa: B010 - unknown to type checkers
    absent = [name for name in stand_ins if name not in sys.modules]
    sys.modules.update((name, stand_ins[name]) for name in absent)  # type: ignore[misc]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
