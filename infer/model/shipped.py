"""The trained models that come with the package, by name.

`infer/model/weights/README.md` is their card: data, recipe, measurements and limits.
"""

from pathlib import Path
from typing import Final

DEFAULT_MODEL: Final = Path("artifacts/model.onnx")
FOLDER: Final = Path(__file__).parent / "weights"
SHIPPED: Final = {name: FOLDER / f"{name}.onnx" for name in ("imdb", "imdb-small")}
FALLBACK: Final = "imdb"
COST_OF_DRIFT: Final = (
    "The shipped models are right for 93 % of film reviews, but were for 74 to 79 % of single "
    "sentences and for 69 % of customer reviews."
)


def is_shipped(path: Path) -> bool:
    """Tell whether a model file is one that comes with the package."""
    return path.absolute() in SHIPPED.values()


def find_model(asked: str | None) -> tuple[Path, str | None]:
    """Return the model file to score with.

    Args:
        asked: a shipped model's name, a path, or None for what `sent-export` has left, else the
            shipped model. A file that is called like a shipped model is reached as `./imdb`.

    Returns:
        The path, which need not exist, and a remark where the choice was not the caller's.
    """
    if asked is not None:
        return SHIPPED.get(asked, Path(asked)), None
    if DEFAULT_MODEL.exists():
        return DEFAULT_MODEL, None
    return SHIPPED[FALLBACK], (
        f"No {DEFAULT_MODEL} here, so the shipped model {FALLBACK} is used, which learned from "
        "English film reviews. Name another one with --model."
    )


def name_of(path: Path) -> str:
    """Return what finds a model file from elsewhere: a shipped model's name or the whole path."""
    names = (name for name, shipped in SHIPPED.items() if shipped == path)
    return next(names, str(path.absolute()))
