"""How text becomes tokens: the settings that training fixes and the model file carries."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from infer.base.errors import ModelFileError


@dataclass(frozen=True)
class TextSettings:
    """What the tokenizer does, the same in training and in scoring.

    Attributes:
        language: spaCy language code whose tokenizer rules are used.
        spacy_version: version of spaCy that made the vocabulary ('' = the installed one).
        lower: look tokens up in lower case.
        html_breaks: read `<br>` tags as spaces.
        max_tokens: longest sequence the model is given; longer texts keep head and tail.
        head_tokens: how many of `max_tokens` come from the head of a longer text.
    """

    language: str = "en"
    spacy_version: str = ""
    lower: bool = False
    html_breaks: bool = True
    max_tokens: int = 1000
    head_tokens: int = 250

    def __post_init__(self) -> None:
        """Refuse settings under which no text could be encoded."""
        if not re.fullmatch("[a-z]{2,3}", self.language):
            raise ModelFileError(
                f"text settings: language is {self.language!r}, expected a code of spaCy's such "
                "as 'en'"
            )
        if self.max_tokens < 1 or not 0 <= self.head_tokens <= self.max_tokens:
            raise ModelFileError(
                f"text settings: max_tokens {self.max_tokens} and head_tokens "
                f"{self.head_tokens}; expected max_tokens >= 1 and 0 <= head_tokens <= max_tokens"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a JSON-ready mapping."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: object) -> "TextSettings":
        """Read settings back.

        Raises:
            ModelFileError: a field is missing, unknown or of another type.
        """
        if not isinstance(values, dict):
            raise ModelFileError(f"text settings: {type(values).__name__}, expected an object")
        values = {"language": "en", **values}
        expected = cls().to_json()
        wrong = [
            name
            for name in expected.keys() | values.keys()
            if name not in expected or type(values.get(name)) is not type(expected[name])
        ]
        if wrong:
            raise ModelFileError(
                f"text settings: missing, unknown or mistyped {sorted(wrong)}; "
                f"expected {sorted(expected)}"
            )
        return cls(**values)
