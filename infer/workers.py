"""What engines call in their worker processes: Ray, Spark, Polars, or a pool of your own."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from infer.api import (
    Name,
    TableOrBatch,
    check_place,
    facts_of,
    read_expected,
    scored_columns,
    shared_model,
)
from infer.base.errors import UsageError
from infer.model.shipped import find_model, name_of

if TYPE_CHECKING:
    from infer.model.file import ModelFile


class Scorer:
    """Scores one Arrow table or record batch after the other, as a function of an engine.

    Made, it only looks at the model file; the model is loaded with the first table. All scorers
    of a process share it, and may be called from several threads. Pickled, a scorer is a few
    hundred bytes: whoever unpickles it expects the very same model file.

    Attributes:
        options: what makes the same scorer in another process: `Scorer(**options)`.
    """

    def __init__(
        self,
        model: Name | None = None,
        *,
        text_column: str | None = None,
        columns: Sequence[str] | None = None,
        prefix: str = "",
        probabilities: bool = False,
        abstain_below: float | None = None,
        device: str = "auto",
        threads: int = 1,
        tf32: bool = True,
        sha256: str | None = None,
    ) -> None:
        """Choose a model and say what to make of a table.

        Args:
            model: what `load` takes. A file of your own has to lie at the same path everywhere.
            text_column: the column to score (None: the one that the model was trained on, else
                `text`, else `review`, else the only one of strings).
            columns: the columns to carry over (None: all, the text too).
            prefix: put before the names of the new columns (`score`, `prediction`, `status`, …).
            probabilities: whether to tell the probability of each label too.
            abstain_below: see `Model.score`.
            device: see `load`; it is taken in the process that scores.
            threads: CPU cores that the model runs on in one process: the engine starts many.
            tf32: see `load`.
            sha256: hash of the model file that is expected (None: of the one that is there now).

        Raises:
            ModelFileError: the file is missing, damaged, foreign, or not the one expected.
            UsageError: there is no such device, threads are negative, columns are one string, or
                the model cannot tell which labels are right so often.

        Example:
            >>> import infer, pyarrow as pa
            >>> scorer = infer.Scorer("imdb-small", device="cpu", columns=["id"])
            >>> scorer(pa.table({"id": [7], "text": ["A wonderful film."]})).column_names
            ['id', 'score', 'prediction', 'status']
        """
        check_place(device, threads)
        if isinstance(columns, str):
            raise UsageError(f"columns: a single string, expected a list. Use [{columns!r}]")
        path, _ = find_model(None if model is None else str(model))
        self.options: dict[str, Any] = {
            "model": name_of(path),
            "text_column": text_column,
            "columns": None if columns is None else list(columns),
            "prefix": prefix,
            "probabilities": probabilities,
            "abstain_below": abstain_below,
            "device": device,
            "threads": threads,
            "tf32": tf32,
            "sha256": sha256,
        }
        if sha256 is None:
            facts_of(self._file, probabilities, abstain_below)
            self.options["sha256"] = self._file.sha256

    def __call__(self, table: TableOrBatch) -> TableOrBatch:
        """Score a table: the same rows in the same order, the new columns behind those carried.

        Args:
            table: R rows; a Table or a RecordBatch, and the same comes back.

        Raises:
            InputError: this is no Arrow table, there is no such column, it holds no text, or a
                name is taken.
            ModelFileError: on this machine the file is missing, damaged or another one.
            DeviceError: the device cannot be had in this process.
        """
        place = {name: self.options[name] for name in ("device", "threads", "tf32", "sha256")}
        model = shared_model(self.options["model"], **place)
        asked = ("text_column", "columns", "prefix", "probabilities", "abstain_below")
        return model(table, **{name: self.options[name] for name in asked})

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema of a scored table, for engines that want it beforehand.

        Args:
            schema: that of the table to be scored.

        Raises:
            InputError: there is no such column, it holds no text, or a name is taken.
        """
        asked = (self.options[name] for name in ("probabilities", "abstain_below"))
        named = (self.options[name] for name in ("text_column", "columns", "prefix"))
        return scored_columns(schema, facts_of(self._file, *asked), *named)[1]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the options: nothing is read where it is unpickled."""
        return _again, (type(self), self.options)

    @cached_property
    def _file(self) -> "ModelFile":
        return read_expected(self.options["model"], self.options["sha256"])


def _again(kind: type[Scorer], options: dict[str, Any]) -> Scorer:
    return kind(**options)
