"""What may be asked about labels: names in place of those of the file, an order, a positive one.

Nothing large is imported here, since wrong options show at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from infer.base.errors import UsageError
from infer.model.labels import fold

# (as the file writes it, name) of labels; '' as a name leaves the rows out.
Renamed = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class LabelRules:
    """What was asked for about the labels of a file.

    Attributes:
        positive: which of two is the positive one; None: what the usual rules say.
        renamed: what labels are called in place of how the file writes them, '' for those whose
            rows are left out; the same name for several joins them.
        ordinal: whether the labels are numbers in an order, such as stars.
    """

    positive: str | None = None
    renamed: Renamed = ()
    ordinal: bool = False


def renamings(value: str | Mapping[str, str] | Iterable[tuple[str, str]] | None) -> Renamed:
    """Read what labels are to be called: `neg=negative,pos=positive,unsure=`, or a mapping.

    Raises:
        UsageError: it is no such list, or names a label twice.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        pairs = _pairs(value)
    else:
        items = value.items() if isinstance(value, Mapping) else value
        pairs = [(str(old), str(new)) for old, new in items]
    called: dict[str, str] = {}
    for _, new in pairs:
        called.setdefault(fold(new), new.strip())  # names that are one label are spelt alike
    renamed = tuple((old.strip(), called[fold(new)]) for old, new in pairs)
    olds = [fold(old) for old, _ in renamed]
    if twice := [old for old in olds if olds.count(old) > 1]:
        raise UsageError(f"--labels names {twice[0]!r} twice, expected each label once")
    return renamed


def _pairs(listed: str) -> list[tuple[str, str]]:
    from infer.table.columns import split_names

    pairs = []
    for entry in split_names(listed, "--labels"):
        old, sign, new = entry.partition("=")
        if not sign or not old.strip():
            raise UsageError(
                f"--labels {listed}: {entry!r}, expected LABEL=NAME, or LABEL= to leave its rows "
                "out. Put an entry with a comma in double quotes"
            )
        pairs.append((old, new))
    return pairs
