"""What a program in any language needs to know to use a model file: in fields, and in words.

The fields ride in the card, the words are the ONNX model's `doc_string`. `docs/model-file.md` is
the whole specification.
"""

from typing import Any, Final

from infer.model.probability import row_shape
from infer.text.settings import TextSettings
from infer.text.vocabulary import PAD_ID, UNK_ID

INPUT_IDS, LENGTHS, LOGITS = "input_ids", "lengths", "logits"
SPECIFICATION: Final = "docs/model-file.md"
# In words what `infer.text.chunks` leaves out: the test vectors hold the one against the other.
INVISIBLE: Final = (
    "U+00AD, U+200B, U+200E, U+200F, U+202A to U+202E, U+2060 to U+2064, U+2066 to U+2069, U+FEFF"
)
JOINERS: Final = "U+200C, U+200D"


def interface(labels: int) -> dict[str, Any]:
    """Return the fields that are the same for all models of so many labels."""
    two = labels == 2
    return {
        "specification": SPECIFICATION,
        "inputs": {
            INPUT_IDS: {"type": "int64", "shape": ["batch", "sequence"]},
            LENGTHS: {"type": "int32", "shape": ["batch"]},
        },
        "outputs": {LOGITS: {"type": "float32", "shape": ["batch", *row_shape(labels)]}},
        "padding_id": PAD_ID,
        "unknown_id": UNK_ID,
        "score": "sigmoid(logit / temperature)" if two else "max(softmax(logits / temperature))",
        "prediction": "labels[1] if score >= threshold else labels[0]" if two
                      else "labels[argmax(softmax(logits / temperature))]",
    }  # fmt: skip


def in_words(
    labels: tuple[str, ...], temperature: float, threshold: float, text: TextSettings
) -> str:
    """Return the `doc_string` of a model file: its inputs, its output, and how texts become ids."""
    shown = ", ".join(labels[:20]) + (f" … ({len(labels)} in all)" if len(labels) > 20 else "")
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(_steps(text), 1))
    return f"""Text classifier. Labels, in the order of the logits: {shown}.

Inputs: {INPUT_IDS} int64 (batch, sequence), each row padded at its end with {PAD_ID}; {LENGTHS} int32 (batch), the tokens of each row, at least 1.
{_outcome(labels, temperature, threshold)}

From a text to ids:
{steps}

Metadata: sent.vocabulary has one token a line, the first of id 0. sent.card is JSON: the above as fields, and test_vectors, texts of which ids and logits are known. Specification: {SPECIFICATION} of sent-toolkit.
"""  # noqa: E501 - lines that a viewer wraps


def _outcome(labels: tuple[str, ...], temperature: float, threshold: float) -> str:
    """Return what the output is and what is made of it."""
    if len(labels) == 2:
        negative, positive = labels
        return (
            f"Output: {LOGITS} float32 (batch). The score, the probability of {positive}, is "
            f"1 / (1 + exp(-logit / {temperature!r})). The prediction is {positive} where the "
            f"score is at least {threshold!r}, else {negative}."
        )
    return (
        f"Output: {LOGITS} float32 (batch, {len(labels)}). The probabilities of the labels are "
        f"softmax(logits / {temperature!r}). The prediction is the label of the largest logit, the "
        "score its probability."
    )


def _steps(text: TextSettings) -> list[str]:
    """Return the steps from a text to ids."""
    joiners = f", {JOINERS}" if text.language == "en" else ""
    version = text.spacy_version or "3"
    tail = text.max_tokens - text.head_tokens
    return [
        f"Leave out characters that nobody sees: {INVISIBLE}{joiners}.",
        *(
            ["Replace HTML breaks (<br>, <br/>, <br />, in upper or lower case) by a space each."]
            if text.html_breaks
            else []
        ),
        f"Cut the text into tokens as the tokenizer of spaCy {version} for the language "
        f"'{text.language}' does. Leave out tokens of white space.",
        *(["Put each token in lower case, by Unicode's rules."] if text.lower else []),
        f"Look each token up in the vocabulary; one that is not there has id {UNK_ID}.",
        f"Of more than {text.max_tokens} ids keep the first {text.head_tokens} and the last "
        f"{tail}.",
        "A text without a token is not run, and has no score.",
    ]
