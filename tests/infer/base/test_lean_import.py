"""spaCy without torch and without its command line, both of which come when they are asked for."""

import importlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from infer.base.lean_import import lean_spacy

PROGRAM = """
import sys
from infer.base.lean_import import lean_spacy

with lean_spacy():
    import spacy
print(sorted({"torch", "spacy.cli", "weasel"} & set(sys.modules)))
print([token.text for token in spacy.blank("en")("Not bad, isn't it?")])
import spacy.cli
print(callable(spacy.cli.info), "weasel" in sys.modules)
"""


def test_what_was_left_out_can_be_imported_afterwards():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    without, tokens, command_line = done.stdout.splitlines()
    assert without == "[]"
    assert tokens == "['Not', 'bad', ',', 'is', \"n't\", 'it', '?']"
    assert command_line == "True True"


def test_only_the_thread_that_imports_spacy_does_without(monkeypatch, tmp_path):
    for name in ("mxnet", "cupy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    loaded = importlib.import_module("mxnet")
    with lean_spacy():
        assert importlib.import_module("mxnet") is loaded  # what was loaded before stays
        with pytest.raises(ModuleNotFoundError, match="cupy"):
            importlib.import_module("cupy")
        with ThreadPoolExecutor(1) as other:
            assert other.submit(importlib.import_module, "cupy").result().__name__ == "cupy"
    monkeypatch.delitem(sys.modules, "cupy")
    assert importlib.import_module("cupy")
    monkeypatch.delitem(sys.modules, "cupy")
    monkeypatch.delitem(sys.modules, "mxnet")
