"""Whether what was scored is like what the model learned from, by the counts that both carry."""

from typing import TYPE_CHECKING, Any

from infer.model.drift import differences, drift
from infer.model.profile import PROFILE_KEY, Profile
from infer.model.shipped import COST_OF_DRIFT, is_shipped
from reporter.rows.reading import Rows

if TYPE_CHECKING:
    from infer.model.file import ModelFile


def against_training(rows: Rows, file: "ModelFile | None") -> dict[str, Any] | None:
    """Hold what was scored against the reviews that validated the model.

    Args:
        rows: the files, whose metadata may have the counts of what was scored.
        file: the model that scored them; None where it is not known.

    Returns:
        `seen` and `learned` (counts, as `Profile.to_json` has them; None where the model does not
        say), `drift` (see `infer.model.drift`), `differences` (phrases) and `cost` (what is known
        of it for a shipped model). None where a file does not say, or has other rows now.
    """
    seen = _seen(rows)
    if seen is None:
        return None
    learned = None
    if file is not None and file.card.validated is not None:
        learned = file.card.validated.profile
    found: dict[str, Any] = {"seen": seen.to_json(), "learned": None, "drift": None}
    found |= {"differences": [], "cost": None}
    if learned is None or tuple(learned.labels) != tuple(seen.labels):
        return found
    moved, phrases = drift(learned, seen), differences(learned, seen)
    return found | {
        "learned": learned.to_json(),
        "drift": None if moved is None else moved.to_json(),
        "differences": phrases,
        "cost": COST_OF_DRIFT if phrases and file is not None and is_shipped(file.path) else None,
    }


def _seen(rows: Rows) -> Profile | None:
    """Return the counts of all files; None where one has none, or none of the rows that it has."""
    profiles = []
    for file in rows.files:
        try:
            profile = Profile.from_text(file.metadata.get(PROFILE_KEY, ""))
        except ValueError:
            return None
        if profile.rows != file.rows:  # whoever took rows away has kept the rest of the metadata
            return None
        profiles.append(profile)
    whole = profiles[0]
    for profile in profiles[1:]:
        if tuple(profile.labels) != tuple(whole.labels):
            return None
        whole += profile
    return whole
