"""Which words moved the scores of the examples, by the model that made them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from infer.base.errors import InputError

if TYPE_CHECKING:
    from infer.model.file import ModelFile

# Of a text, the words that move its score most.
MOST_WORDS: Final = 8


def explain_examples(
    examples: Mapping[str, Any], file: "ModelFile | None", name: str
) -> dict[str, Any]:
    """Tell of each example which words move its score, by leaving each of them out.

    Args:
        examples: as `find_examples` returns them.
        file: the model that scored them; None where it is not here.
        name: the files, for messages.

    Returns:
        The same, each row with `explained`: `text` (as the model reads it), `label` (that the words
        speak for or against) and its strongest `words`, as `infer.model.explain` has them; None
        where a text has no score.

    Raises:
        InputError: the model is not here.
    """
    if file is None:
        raise InputError(
            f"{name}: the model that scored it is neither artifacts/model.onnx nor a shipped one, "
            "so nothing can be explained. Name it with --model"
        )
    import infer

    model = infer.load(file.path)

    def explained(row: Mapping[str, Any]) -> dict[str, Any]:
        why = model.explain(row["text"])
        if why is None:
            return {**row, "explained": None}
        words = sorted(why.strongest(MOST_WORDS), key=lambda word: word.start)
        told = {"text": why.text, "label": why.label, "words": [asdict(word) for word in words]}
        return {**row, "explained": told}

    sure = {label: [*map(explained, rows)] for label, rows in examples["sure"].items()}
    rest = {kind: [*map(explained, rows)] for kind, rows in examples.items() if kind != "sure"}
    return {"sure": sure, **rest}
