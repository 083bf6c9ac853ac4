"""Carried rows on their way into one row group of the output."""

import pyarrow as pa
import pyarrow.compute as pc


class RowGroup:
    """Collects batches; a dictionary that they share is kept once, one that is too large is cut.

    A reader hands the whole dictionary of a column out with every batch. Written as they come, a
    million different values were written once for each 16,384 rows.

    Attributes:
        rows: rows so far.
        size: bytes in memory so far.
    """

    def __init__(self) -> None:
        """Begin without rows."""
        self.rows = self.size = 0
        self._batches: list[pa.RecordBatch] = []
        self._dictionaries: dict[int, pa.Array] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Take a batch."""
        columns = [self._slim(number, column) for number, column in enumerate(batch.columns)]
        # Without columns there are still rows.
        slim = pa.RecordBatch.from_arrays(columns, schema=batch.schema) if columns else batch
        self._batches.append(slim)
        self.rows += batch.num_rows

    def table(self) -> pa.Table:
        """Return the rows as a table whose chunks share their dictionaries."""
        table = pa.Table.from_batches(self._batches)
        unlike = any(
            pa.types.is_dictionary(field.type) and not field.type.ordered for field in table.schema
        )
        return table.unify_dictionaries() if unlike else table

    def _slim(self, number: int, column: pa.Array) -> pa.Array:
        if not pa.types.is_dictionary(column.type):
            self.size += column.nbytes
            return column
        self.size += column.indices.nbytes
        # The order of an ordered dictionary is a part of the meaning: that one stays whole.
        if len(column.dictionary) > len(column) and not column.type.ordered:
            column = _cut(column)
            self.size += column.dictionary.nbytes
            return column
        kept = self._dictionaries.get(number)
        if kept is None or not kept.equals(column.dictionary):
            self._dictionaries[number] = column.dictionary
            self.size += column.dictionary.nbytes
            return column
        return _with_dictionary(column, column.indices, kept)


def _cut(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return the column with those entries of its dictionary that it uses."""
    used = pc.unique(column.indices).drop_null()
    used = used.take(pc.sort_indices(used))
    indices = pc.index_in(column.indices, value_set=used).cast(column.type.index_type)
    return _with_dictionary(column, indices, column.dictionary.take(used))


def _with_dictionary(
    column: pa.DictionaryArray, indices: pa.Array, dictionary: pa.Array
) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(
        indices, dictionary, ordered=column.type.ordered, safe=False
    )
