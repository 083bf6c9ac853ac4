"""Recipes: named, frozen configurations whose fields are the command's options.

Only the standard library is imported here, since `sent-train --help` reads this module.
"""

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final

from infer.base.errors import UsageError

# Fields that checkpoints of older versions have → what they hold where they were not in use.
RETIRED: Final = {"virtual_adversarial": 0.0, "entropy": 0.0}
LAST_WITH_RETIRED: Final = "36a46d3"
# Fields that checkpoints of older versions lack → what they hold where they are not in use.
ADDED: Final[Mapping[str, Any]] = {
    "language": "en",
    "steps": 0,
    "class_weight": "none",
    "select": "loss",
    "threshold": "0.5",
    "ngrams": 0,
    "ngram_buckets": 2**20,
}
BEST_F1: Final = "f1"
NO_THRESHOLD: Final = "0.5"


def option(default: object, help_text: str, **rules: object) -> Any:
    """Declare a field with its option's help text and rules (`minimum`, `maximum`, `choices`)."""
    return field(default=default, metadata={"help": help_text, **rules})


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what training computes; saved resolved in `config.json`.

    The defaults are the recipe `article`: the tutorial's model, with lengths honoured.

    Raises:
        UsageError: a value has another type than its field, or is out of bounds.
    """

    vectors: str = option(
        "none",
        "Word vectors to start from: none, glove.6B.100d (downloaded), corpus (word2vec fitted "
        "on the training and unlabelled texts), or the path of a GloVe or word2vec text file.",
    )
    self_training: bool = option(
        False,
        "Train on the unlabelled texts too, with the probabilities of a linear model (and of a "
        "--teacher) as their labels.",
    )
    pieces: int = option(
        1,
        "Self-training takes each unlabelled text once more, cut into so many pieces, labelled "
        "one by one (1: whole texts alone).",
        minimum=1,
    )
    language: str = option(
        "en",
        "spaCy's code of the texts' language, whose rules cut them into tokens: en, de, fr, zh, … "
        "(docs/languages.md).",
    )
    vocabulary: int = option(10_000, "Most frequent training tokens kept.", minimum=1)
    lower: bool = option(False, "Look tokens up in lower case.")
    html_breaks: bool = option(True, "Read <br> tags as spaces.")
    max_tokens: int = option(
        1000, "Longest sequence; a longer text keeps its head and its tail.", minimum=1
    )
    head_tokens: int = option(250, "Tokens of a longer text that come from its head.", minimum=0)
    training_tokens: int = option(
        1000,
        "Longest sequence in training: fewer than max_tokens save time. A longer text is cut in "
        "the same shares.",
        minimum=1,
    )
    embedding: int = option(100, "Size of a token's vector.", minimum=1)
    hidden: int = option(256, "Size of each direction's LSTM state.", minimum=1)
    layers: int = option(2, "Bidirectional LSTM layers.", minimum=1)
    pooling: str = option(
        "last",
        "What the linear layer reads: each direction's last state, or maximum and mean.",
        choices=("last", "max_mean"),
    )
    ngrams: int = option(
        0,
        "Longest n-gram of tokens that has a weight of its own in a linear model beside the LSTM, "
        "whose logit is added (0: none).",
        minimum=0,
        maximum=5,
    )
    ngram_buckets: int = option(
        2**20,
        "Size of the table that the n-grams are hashed into: 2 bytes each in the model file. Of "
        "K labels each has K weights, of which the table holds 2^24 at most: so it may be smaller.",
        minimum=1_000,
        maximum=2**24,
    )
    dropout: float = option(
        0.5, "Probability of dropping an activation.", minimum=0.0, maximum=0.95
    )
    embedding_dropout: float = option(
        0.0,
        "Probability of dropping a token's vector wherever it stands in a batch.",
        minimum=0.0,
        maximum=0.95,
    )
    adversarial: float = option(
        0.0,
        "Weight of the loss at the worst small change of the token vectors (0: off; else a "
        "second pass).",
        minimum=0.0,
    )
    perturbation: float = option(
        0.3,
        "Size of that change of a review's vectors, in norms of one token's vector.",
        minimum=1e-6,
    )
    learning_rate: float = option(1e-3, "Adam's learning rate, the highest one.", minimum=1e-9)
    schedule: str = option(
        "constant",
        "How the learning rate moves: constant, or one_cycle (up, then down to nothing).",
        choices=("constant", "one_cycle"),
    )
    weight_average: float = option(
        0.0,
        "Decay of the averaged weights that are validated and kept (0: the last weights).",
        minimum=0.0,
        maximum=0.99999,
    )
    batch_size: int = option(30, "Most reviews in a training batch.", minimum=1)
    batch_tokens: int = option(30_000, "Most padded tokens in a training batch.", minimum=1)
    epochs: int = option(10, "Passes over the training reviews, at most.", minimum=1)
    steps: int = option(
        0,
        "Fewest training batches of a run: of few reviews more epochs are made than the recipe "
        "has, 200 at most, with patience for half of them (0: no more; so it is where --epochs is "
        "given).",
        minimum=0,
    )
    patience: int = option(
        3,
        "Epochs that are no better on validation after which training stops (at least a third of "
        "them where --steps makes them more).",
        minimum=1,
    )
    clip: float = option(1.0, "Largest norm of the gradient (0: unbounded).", minimum=0.0)
    validation: float = option(
        0.1,
        "Share of the training reviews held out to choose the epoch, where the data folder has no "
        "validation file.",
        minimum=0.001,
        maximum=0.5,
    )
    class_weight: str = option(
        "none",
        "What a review weighs in the loss: none (all alike), or balanced (each label as much as "
        "the others, however few reviews it has; scores then are as if all were as frequent).",
        choices=("none", "balanced"),
    )
    select: str = option(
        "loss",
        "In what the kept epoch is the best on the validation reviews: loss (at its temperature), "
        "accuracy or f1 (macro F1).",
        choices=("loss", "accuracy", "f1"),
    )
    threshold: str = option(
        "0.5",
        "Score from which on the positive label is predicted, in sent-score too: a number, or f1 "
        "(the one with the highest macro F1 on the validation reviews).",
    )
    precision: str = option(
        "fp32",
        "Arithmetic of matrix products: fp32, tf32 (CUDA only) or bf16 (CPUs with AVX-512).",
        choices=("fp32", "tf32", "bf16"),
    )

    def __post_init__(self) -> None:
        """Check each field by its own rules, then those that hang together."""
        for spec in fields(self):
            _check(spec, getattr(self, spec.name))
        _check_threshold(self.threshold)
        if self.head_tokens > self.max_tokens:
            raise UsageError(
                f"head_tokens is {self.head_tokens}, expected at most max_tokens "
                f"({self.max_tokens})"
            )

    def to_json(self) -> dict[str, Any]:
        """Return every field, resolved."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Recipe":
        """Read `to_json` back, or what an older version wrote, where this one computes the same.

        Raises:
            UsageError: a field is missing, unknown or wrong, or asks for what is no longer there.
        """
        names = {spec.name for spec in fields(cls)}
        values = {**ADDED, **_without_retired(values)}
        if names != set(values):
            raise UsageError(
                f"recipe: missing or unknown fields {sorted(names ^ set(values))}, "
                f"expected {sorted(names)}"
            )
        return cls(**values)


def _check_threshold(value: str) -> None:
    try:
        is_one = value == BEST_F1 or 0 < float(value) < 1
    except ValueError:
        is_one = False
    if not is_one:
        raise UsageError(
            f"threshold is {value!r}, expected {BEST_F1} or a number between 0 and 1, such as 0.5"
        )


def _without_retired(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the fields of older versions, none of which may be in use."""
    for name, off in RETIRED.items():
        if (value := values.get(name, off)) != off:
            raise UsageError(
                f"recipe: {name} is {value!r}, which no version after commit {LAST_WITH_RETIRED} "
                "computes. Train with that one, or anew without it"
            )
    return {name: value for name, value in values.items() if name not in RETIRED}


def _check(spec: Field[Any], value: object) -> None:
    """Hold a value against the type and the rules of its field."""
    rules = spec.metadata
    right_type = type(value) is spec.type or (spec.type is float and type(value) is int)
    if not right_type:
        expected = getattr(spec.type, "__name__", spec.type)
        raise UsageError(f"{spec.name} is {value!r}, expected a value of type {expected}")
    if "choices" in rules and value not in rules["choices"]:
        raise UsageError(f"{spec.name} is {value!r}, expected one of {', '.join(rules['choices'])}")
    low, high = rules.get("minimum"), rules.get("maximum")
    if isinstance(value, int | float) and not (
        (low is None or value >= low) and (high is None or value <= high)
    ):
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        raise UsageError(f"{spec.name} is {value}, expected {bounds}")


# What both recipes for real data share; the sizes of the model tell them apart.
_REAL_DATA: Final[Mapping[str, Any]] = {
    "vectors": "corpus",
    "self_training": True,
    "pieces": 2,
    "vocabulary": 30_000,
    "lower": True,
    "html_breaks": True,
    "max_tokens": 400,
    "head_tokens": 100,
    "pooling": "max_mean",
    "ngrams": 3,
    "embedding_dropout": 0.1,
    "learning_rate": 2e-3,
    "schedule": "one_cycle",
    "weight_average": 0.998,
    "batch_size": 64,
    "batch_tokens": 16_384,
    "epochs": 4,
    "steps": 600,
    "patience": 3,
}

RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        "article": Recipe(),
        "small": Recipe(**_REAL_DATA, layers=1, hidden=64),
        "strong": Recipe(**_REAL_DATA, layers=2, hidden=256),
    }
)

# What a recipe was called before → what it is called.
OLD_NAMES: Final = MappingProxyType({"seed": "article"})


def named_recipe(name: str) -> Recipe:
    """Return a recipe by its name, or by one that it had before.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        return RECIPES[OLD_NAMES.get(name, name)]
    except KeyError:
        known = ", ".join(RECIPES)
        raise UsageError(f"recipe is {name!r}, expected one of {known}") from None


def default_recipe(data: str) -> str:
    """Return the name of the recipe for what `--data` names: the sample is a toy, all else is not.

    On the sample the article's model shows all there is to see, within minutes.
    """
    return "article" if data == "sample" else "strong"
