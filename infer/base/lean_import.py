"""Importing spaCy without what scoring has no use for: a quarter of its time, and torch.

Its dependency thinc loads every deep-learning package that is installed (torch alone: 1.2 s and
200 MB), and spaCy itself loads its command line, with a web client and a project manager.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any, Final

# What thinc loads where it is installed, and does without where it is not.
BACKENDS: Final = ("torch", "tensorflow", "cupy", "mxnet")
# What spaCy loads everywhere, to offer `spacy.info`.
COMMAND_LINE: Final = ("spacy.cli", "spacy.cli.info")


@contextmanager
def lean_spacy() -> Iterator[None]:
    """Import spaCy within the block without deep-learning packages and without its command line.

    Behind the block all of them can be imported as ever, and deep-learning packages meanwhile in
    other threads. What was loaded before stays in use.
    """
    stand_ins = {name: ModuleType(name) for name in COMMAND_LINE}
    for module in stand_ins.values():
        setattr(module, "info", None)  # noqa: B010 - unknown to type checkers
    absent = [name for name in stand_ins if name not in sys.modules]
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    sys.modules.update((name, stand_ins[name]) for name in absent)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)
        for name in absent:
            sys.modules.pop(name, None)


class _Hidden(MetaPathFinder):
    """Says that there are no deep-learning packages, to the thread that made it alone.

    `None` in `sys.modules` would say so to all: a thread that imported torch meanwhile failed.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname in BACKENDS and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
