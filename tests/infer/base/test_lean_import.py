"""spaCy without torch and without its command line, both of which come when they are asked for."""

import subprocess
import sys

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


def test_what_was_loaded_before_stays(monkeypatch):
    from infer.base.lean_import import lean_spacy

    loaded = object()
    monkeypatch.setitem(sys.modules, "mxnet", loaded)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with lean_spacy():
        assert sys.modules["mxnet"] is loaded
        assert sys.modules["cupy"] is None
    assert sys.modules["mxnet"] is loaded
    assert "cupy" not in sys.modules
