"""Draw rows to label: half of them unsure, half from everywhere.

- *Unsure*: those whose predicted label has the lowest probability.
- *Everywhere*: rows are parted by prediction, tenth of the score, length of the text and group; of
  one part after the other a row is drawn, until there are enough. Many predictions and groups are
  thrown together by chance, so that there are no more parts than memory holds.

No text is drawn twice. Where there are too few of one kind, the other kind fills up.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import Final

from reporter.figures.database import Database, drawn, key, position
from reporter.figures.labels import Labels
from reporter.rows.reading import Rows

# So many rows of one part are kept to draw from: a tenth of what is asked for, within these bounds.
_OF_A_PART: Final = (20, 1_000)
_KINDS: Final = 256
# Texts that stand more than once are passed over, so more rows are kept than asked for.
_SPARE: Final = 3
_LONG: Final = (100, 500, 2_000)  # characters


def draw(
    database: Database, rows: Rows, labels: Labels, number: int, seed: int
) -> tuple[list[int], list[int]]:
    """Return the positions of rows to label, the likeliest to be of use first.

    Rows without a score or a text are left out, and so are those that have a true label.

    Args:
        database: to look in.
        rows: the files.
        labels: of the predictions.
        number: how many rows are wanted.
        seed: of what is drawn.

    Returns:
        Of the unsure ones, and from everywhere; more than asked for where there are more.
    """
    asked = rows.asked
    columns = ["position", "score", "prediction", "text"]
    kinds, where = ["prediction"], "score IS NOT NULL AND NOT isnan(score) AND trim(text) <> ''"
    if asked.group is not None:
        columns.append("group")
        kinds.append('"group"')
    if asked.truth is not None:
        columns.append("truth")
        where += " AND (truth IS NULL OR trim(truth) = '')"
    doubt, chance = key(f"1 - ({labels.surety()})"), key(drawn(seed))
    part = f"floor(score::DOUBLE * 10), {_length_band()}, hash({', '.join(kinds)}) % {_KINDS}"
    ((unsure,),) = database.ask(
        f"SELECT max({doubt}, {_SPARE * number}) FROM stream WHERE {where}", rows, columns
    )
    kept = min(max(number // 10, _OF_A_PART[0]), _OF_A_PART[1])
    found = database.ask(
        f"SELECT {part}, max({chance}, {kept}) FROM stream WHERE {where} GROUP BY ALL ORDER BY ALL",
        rows,
        columns,
    )
    strata = [keys for *_, keys in found]
    random.Random(seed).shuffle(strata)
    return [*map(position, unsure or ())], [*map(position, _in_turn(strata))]


def choose(
    unsure: Sequence[int], everywhere: Sequence[int], texts: dict[int, str], number: int
) -> list[int]:
    """Choose rows of both kinds, none with the text of another, in the order of the rows.

    Args:
        unsure: positions, the most unsure first.
        everywhere: positions, in the order in which they are drawn.
        texts: of these positions.
        number: how many rows are wanted.
    """
    chosen: dict[str, int] = {}
    for positions, most in (
        (unsure, number - number // 2),
        (everywhere, number),
        (unsure, number),
    ):
        for place in positions:
            if len(chosen) >= most:
                break
            chosen.setdefault(texts[place], place)
    return sorted(chosen.values())


def _in_turn(parts: Iterable[Sequence[int]]) -> Iterator[int]:
    """Yield the first of each part, then the second of each."""
    turns = zip_longest(*parts)
    return (each for each in chain.from_iterable(turns) if each is not None)


def _length_band() -> str:
    return " + ".join(f"(length(text) >= {edge})::INT" for edge in _LONG)
