"""The Python API: a model that scores texts and tables, and whole files as `sent-score` does.

What is heavy is imported where it is first needed, so that a wrong request is told at once.
Legend: R rows.
"""

import os
import platform
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from functools import cached_property, lru_cache, partial
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import pyarrow as pa

from infer.base.console import default_signals, say
from infer.base.device import Device
from infer.base.errors import InputError, ModelFileError, UsageError
from infer.job.plan import ModelFacts, Plan, ScoreOptions, make_plan
from infer.job.shards import read_shard
from infer.model.shipped import find_model, name_of
from infer.table.columns import Columns, choose_columns, is_text, output_schema
from infer.table.delimiters import read_delimiter

if TYPE_CHECKING:
    from infer.job.complete import Completeness
    from infer.job.summary import Summary
    from infer.job.worker import WorkerSession
    from infer.model.explain import Explanation
    from infer.model.file import ModelFile
    from infer.model.results import Scores
    from infer.model.scorer import Scorer
    from infer.model.session import Session

Texts: TypeAlias = Sequence[str | bytes | None] | pa.Array | pa.ChunkedArray
TableOrBatch = TypeVar("TableOrBatch", pa.Table, pa.RecordBatch)
Name = str | PathLike[str]

_ROWS_AT_ONCE = 16_384
_BYTES_IN_ONE_ARRAY = 1 << 30
# By process: a thread of the parent may hold its lock at the moment of a fork.
_LOADING: dict[int, threading.Lock] = {}


class Model:
    """A trained model on a device; made by `load`.

    It may be used by several threads at once. Pickled, it is its name and its options: whoever
    unpickles it loads the model, once a process.

    Attributes:
        name: the shipped model's name, or the model file's path.
        labels: their names; of two, the negative and the positive one.
        provider: ONNX Runtime's name of what the model runs on.
    """

    def __init__(
        self,
        name: Name | None,
        device: str,
        threads: int,
        tf32: bool,
        file: "ModelFile | None" = None,
    ) -> None:
        """Read the model file, unless that was done before, and make a session; see `load`."""
        path, remark = find_model(None if name is None else str(name))
        if remark:
            say(remark)
        self.name = name_of(path)
        self.path = path
        self._options = (device, threads, tf32)
        self._file, self._session = _open(path, file, *self._options)
        self.labels = self._file.card.labels
        self.provider = self._session.provider
        self._scorers: dict[int, Scorer] = {}

    def score(
        self, texts: Texts, *, probabilities: bool = False, abstain_below: float | None = None
    ) -> pa.Table:
        """Score texts, each as if it stood alone.

        Args:
            texts: (R,) strings, bytes that should be UTF-8, or None: a list, a pandas Series, or
                an Arrow array or chunked array of strings, binary, or a dictionary of these.
            probabilities: whether to tell the probability of each label too.
            abstain_below: the accuracy that labels marked as confident had in validation, at the
                least, from 0.5 to 1 (None: none are marked).

        Returns:
            R rows of `score` (float32, the probability of the positive label, or of the predicted
            one where there are more than two; null where there is nothing to score), `prediction`
            (string, a label) and `status` (string: `ok`, `truncated`, `null`, `empty` or
            `invalid`); of ordered labels `expected`, and for each label `probability_LABEL` where
            these are asked for (float32); with `abstain_below` `confident` (bool; null without a
            score).

        Raises:
            InputError: these are no texts.
            UsageError: the model was never right so often, or its file does not say.

        Example:
            >>> import infer
            >>> model = infer.load("imdb-small", device="cpu")
            >>> model.score(["A wonderful film.", "", None])["status"].to_pylist()
            ['ok', 'empty', 'null']
        """
        from infer.job.output import result_columns

        further = facts_of(self._file, probabilities, abstain_below).further
        point = self._file.card.point(abstain_below)
        scored = self._scored(texts, probabilities)
        parts = [result_columns(part, self.labels, point) for part in scored]
        schema = output_schema(pa.schema([]), (), "", {}, further)
        return pa.Table.from_batches([pa.record_batch(part, schema) for part in parts], schema)

    def __call__(
        self,
        table: TableOrBatch,
        text_column: str | None = None,
        prefix: str = "",
        *,
        columns: Sequence[str] | None = None,
        probabilities: bool = False,
        abstain_below: float | None = None,
    ) -> TableOrBatch:
        """Score a table's texts and put the new columns behind its own.

        Args:
            table: R rows; a Table or a RecordBatch, and the same comes back.
            text_column: the column to score (None: the one that the model was trained on, else
                `text`, else `review`, else the only one of strings).
            prefix: put before the names of the new columns (`score`, `prediction`, `status`, …).
            columns: the columns to carry over (None: all, the text too).
            probabilities: see `score`.
            abstain_below: see `score`.

        Raises:
            InputError: this is no Arrow table, there is no such column, it holds no text, or a
                name is taken.

        Example:
            >>> import infer, pyarrow as pa
            >>> model = infer.load("imdb-small", device="cpu")
            >>> model(pa.table({"id": [7], "text": ["A wonderful film."]})).column_names
            ['id', 'text', 'score', 'prediction', 'status']
        """
        if not isinstance(table, pa.Table | pa.RecordBatch):
            raise InputError(
                f"the table: of type {type(table).__name__}, expected an Arrow Table or "
                "RecordBatch. Use pyarrow.table(…)"
            )
        facts = facts_of(self._file, probabilities, abstain_below)
        chosen, schema = scored_columns(table.schema, facts, text_column, columns, prefix)
        scores = self.score(
            table[chosen.text], probabilities=probabilities, abstain_below=abstain_below
        )
        carried: list[Any] = [table[column] for column in chosen.carried]
        behind: list[Any] = list(scores.columns)
        if isinstance(table, pa.RecordBatch):
            behind = [column.combine_chunks() for column in behind]
            return cast(TableOrBatch, pa.record_batch([*carried, *behind], schema))
        return cast(TableOrBatch, pa.table([*carried, *behind], schema=schema))

    def explain(self, text: str | bytes | None) -> "Explanation | None":
        """Tell which words of a text move its score, by leaving each out.

        Returns:
            The text as it is read, and its words with their places and with what each does to the
            log-odds and to the probability of a label: the positive one of two, the predicted one
            of more. None where the text has no score.

        Raises:
            InputError: this is no text.

        Example:
            >>> import infer
            >>> model = infer.load("imdb-small", device="cpu")
            >>> model.explain("A film that is truly wonderful.").strongest(1)[0].word
            'wonderful'
        """
        from infer.model.explain import explain

        (array,) = _arrays([text])
        return explain(self._scorer, array.cast(pa.large_binary())[0].as_py())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the name, the options, and the hash of the file that they stand for."""
        return shared_model, (self.name, *self._options, self._file.sha256)

    @property
    def _scorer(self) -> "Scorer":
        """The scorer that all threads of a process share: a fork has none of the parent's."""
        process = os.getpid()
        return self._scorers.get(process) or self._scorers.setdefault(process, self.new_scorer())

    def new_scorer(self, batch_tokens: int | None = None) -> "Scorer":
        """Return a scorer of this model that can be stopped by itself."""
        from infer.model.scorer import Scorer

        return Scorer(self._file, self._session, batch_tokens)

    def _scored(self, texts: Texts, probabilities: bool) -> Iterator["Scores"]:
        for array in _arrays(texts):
            for start in range(0, len(array), _ROWS_AT_ONCE):
                encoded = self._scorer.encode(array.slice(start, _ROWS_AT_ONCE))
                yield self._scorer.score(encoded, probabilities=probabilities)


def load(
    name: Name | None = None, *, device: str = "auto", threads: int = 0, tf32: bool = True
) -> Model:
    """Load a model to score with.

    Args:
        name: a model that comes with the package (`imdb`, `imdb-small`), or a model file's path;
            None for `artifacts/model.onnx` where it is there, else `imdb`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`; what is asked for is used, or it is an error.
        threads: CPU cores that the model runs on, a batch on each; 0 is all that it may use.
        tf32: on CUDA, let matrix products round their inputs to TF32.

    Raises:
        ModelFileError: the file is missing, damaged or foreign.
        DeviceError: the device cannot be had; the message says why.
        UsageError: there is no such device, or threads are negative.

    Example:
        >>> import infer
        >>> infer.load("imdb-small", device="cpu").labels
        ('negative', 'positive')
    """
    check_place(device, threads)
    return Model(name, device, threads, tf32)


def score_files(
    inputs: Name | Sequence[Name],
    output: Name,
    *,
    model: Name | Model | None = None,
    text_column: str | None = None,
    columns: Sequence[str] | None = None,
    prefix: str = "",
    delimiter: str | None = None,
    device: str = "auto",
    threads: int = 0,
    processes: int = 1,
    tf32: bool = True,
    batch_tokens: int | None = None,
    part_rows: int | None = None,
    shard: str | None = None,
    piece_rows: int | None = None,
    probabilities: bool = False,
    abstain_below: float | None = None,
    explain: int | None = None,
    parts: Name | None = None,
    overwrite: bool = False,
    resume: bool = True,
) -> "Summary":
    """Score files as the command `sent-score` does: every promise of it holds.

    The same call again goes on where it was stopped, and finds done what is done.

    Args:
        inputs: a file (Parquet, CSV, TSV, JSON Lines), a folder, a glob or a URI, or several of
            them; `-` is stdin.
        output: file for the scores of one file, in the format that its name ends with; folder for
            those of several; a path or a URI.
        model: what `load` takes, or a loaded model, which then decides on the device.
        text_column: the column to score (None: the one that the model was trained on, else `text`,
            else `review`, else the only one of strings).
        columns: the columns to carry over (None: all but the text).
        prefix: put before the names of the new columns (`score`, `prediction`, `status`, …).
        delimiter: what parts the fields of CSV (None: what a file's name and its looks say).
        device: see `load`; also several GPUs, `cuda:N,M,…`, with a process or more for each.
        threads: see `load`; of all processes together.
        processes: how many score side by side, 0 for what fills the machine. More than one are new
            processes, so that a script is a file and guards its own work
            (`if __name__ == "__main__":`).
        tf32: see `load`.
        batch_tokens: padded tokens in a batch (None: the provider's default).
        part_rows: rows between two saved parts (None: the provider's default).
        shard: which share of the rows to score, `I/N` with I from 1 to N, or `auto` for what Slurm
            or Kubernetes say in the environment (None: all). The output is a folder.
        piece_rows: rows of a file that go into one output at most; the output is a folder
            (None: all rows, with `shard` 1,048,576).
        probabilities: whether to write the probability of each label too.
        abstain_below: the accuracy that labels marked as `confident` had in validation, at the
            least (None: no such column).
        explain: of how many rows, the first that have a score, to tell in the summary which words
            moved it (None: of none).
        parts: a folder of this machine for saved parts (None: beside or within the output; where
            that is a URI, the folder of this user's caches).
        overwrite: replace existing outputs.
        resume: go on from saved parts instead of starting over.

    Returns:
        What was done: rows, statuses, predictions, seconds, files.

    Raises:
        UsageError: a number or device that cannot be.
        InputError: an input, column or type is wrong; nothing was begun.
        OutputError: an output may not be written; nothing was begun.
        ModelFileError: the model file is missing, damaged or foreign.
        DeviceError: the device cannot be had.
        JobError: the job stopped midway; its notes say what is kept.

    Example:
        >>> import infer
        >>> summary = infer.score_files("in.parquet", "out.parquet")  # doctest: +SKIP
        >>> summary.rows, summary.statuses["ok"]  # doctest: +SKIP
        (1000, 998)
    """
    Device.several(device)
    _check_number("threads", threads)
    _check_number("processes", processes)
    options = _options(
        text_column=text_column,
        columns=columns,
        prefix=prefix,
        delimiter=delimiter,
        batch_tokens=batch_tokens,
        part_rows=part_rows,
        shard=shard,
        piece_rows=piece_rows,
        probabilities=probabilities,
        abstain_below=abstain_below,
        explain=explain,
        parts=parts,
        overwrite=overwrite,
        resume=resume,
    )
    chosen, sources = _Chosen(model, (device, threads, tf32)), _sources(inputs)
    with default_signals():
        facts = partial(chosen.facts, options)
        plan = make_plan(sources, str(output), options, chosen.path, facts)
    return _carry_out(plan, chosen, processes)


def check_complete(
    inputs: Name | Sequence[Name],
    output: Name,
    *,
    model: Name | Model | None = None,
    **options: Any,
) -> "Completeness":
    """Look whether all rows of all inputs are in the output, once each, in whatever pieces.

    A folder that is complete gets a manifest, `_sent-manifest.json`, with the rows and the SHA-256
    of each file.

    Args:
        inputs: what `score_files` was given.
        output: the same.
        model: the same.
        options: the same. What says nothing of the output (`device`, `threads`, `shard`, …) is not
            looked at.

    Returns:
        Rows, inputs, files, and what is wrong.

    Raises:
        InputError: an input is not there or cannot be read.
        OutputError: a folder is named where a file is due, or the other way round.
        ModelFileError: the model file is missing, damaged or foreign.

    Example:
        >>> import infer
        >>> found = infer.check_complete("reviews/", "scored/")  # doctest: +SKIP
        >>> found.is_complete, [problem.message for problem in found.problems]  # doctest: +SKIP
        (True, [])
    """
    if unknown := options.keys() - signature(score_files).parameters.keys():
        raise UsageError(f"{', '.join(sorted(unknown))}: expected options of score_files")
    names = {field.name for field in fields(ScoreOptions)} - {"shard"}
    asked = _options(**{name: value for name, value in options.items() if name in names})
    from infer.job.complete import check_complete

    chosen = _Chosen(model)
    facts = chosen.facts(asked)
    chosen.say_why()
    with default_signals():
        return check_complete(_sources(inputs), str(output), asked, chosen.file, facts)


def _options(
    columns: Sequence[str] | None = None,
    delimiter: str | None = None,
    shard: str | None = None,
    parts: Name | None = None,
    **others: Any,
) -> ScoreOptions:
    """Return what a job is asked to do.

    Raises:
        UsageError: something of it cannot be.
    """
    if isinstance(columns, str):
        raise UsageError(f"columns: a single string, expected a list. Use [{columns!r}]")
    return ScoreOptions(
        columns=None if columns is None else tuple(columns),
        delimiter=read_delimiter(delimiter),
        shard=None if shard is None else read_shard(shard),
        parts=None if parts is None else Path(parts),
        **others,
    )


def _sources(inputs: Name | Sequence[Name]) -> list[str]:
    """Return the names of inputs.

    Raises:
        InputError: there is none.
    """
    sources = [str(one) for one in ([inputs] if isinstance(inputs, str | PathLike) else inputs)]
    if not sources:
        raise InputError("inputs: an empty list, expected at least one file, folder, glob or URI")
    return sources


Place = tuple[str, int, bool]  # device, threads, and whether TF32 is used


class _Chosen:
    """The model of a job: one that is loaded, or one whose file is read when it is first needed."""

    def __init__(self, model: Name | Model | None, place: Place = ("auto", 0, True)) -> None:
        """Take what was asked for, and where it is to run unless it is loaded."""
        self._loaded = model if isinstance(model, Model) else None
        self._asked = model.path if isinstance(model, Model) else model
        self.place = self._loaded._options if self._loaded else place
        self.path, self._remark = find_model(None if self._asked is None else str(self._asked))

    @cached_property
    def file(self) -> "ModelFile":
        """The model's file."""
        from infer.model.file import read_model_file

        return self._loaded._file if self._loaded else read_model_file(self.path)

    def facts(self, options: ScoreOptions) -> ModelFacts:
        """Return what a plan needs to know of it."""
        return facts_of(self.file, options.probabilities, options.abstain_below)

    def load(self) -> Model:
        """Return it loaded in this process, which says why it was chosen."""
        return self._loaded or Model(self._asked, *self.place, self.file)

    def say_why(self) -> None:
        """Say why it was chosen, where that was not the caller's choice."""
        if self._remark:
            say(self._remark)


def _carry_out(plan: Plan, chosen: _Chosen, processes: int) -> "Summary":
    """Score what is planned, in this process or in several.

    Args:
        plan: what `make_plan` returned.
        chosen: the model.
        processes: how many were asked for, 0 for what fills the machine.
    """
    # Only now what takes a second to import: everything is in order.
    from infer.job.crew import open_crew
    from infer.job.explaining import explain_first
    from infer.job.posts import find_posts
    from infer.job.scoring import score_plan
    from infer.model.scorer import Scorer
    from infer.model.session import Session

    file, options, (device, threads, tf32) = chosen.file, plan.options, chosen.place
    posts = find_posts(device, threads, processes, plan.rows, file.card.precision)
    if len(posts) == 1:
        scorer = chosen.load().new_scorer(options.batch_tokens)
        summary = score_plan(plan, scorer)
    else:
        chosen.say_why()
        with open_crew(file, posts, tf32, options.batch_tokens, options.probabilities) as crew:
            _say_what(file, crew.session, f", {len(posts)} processes")
            summary = score_plan(plan, crew)
        if options.explain is not None:
            post = posts[0]
            session = Session(file.data, post.device, post.threads, file.card.precision, tf32)
            scorer = Scorer(file, session, options.batch_tokens)
    if options.explain is not None:
        summary.explained = explain_first(plan, scorer, options.explain)
    return summary


def facts_of(
    file: "ModelFile", probabilities: bool, abstain_below: float | None = None
) -> ModelFacts:
    """Return what a plan needs to know of a model file.

    Raises:
        UsageError: it cannot tell which labels are right so often.
    """
    from infer.model.results import CONFIDENT, further_columns

    further = further_columns(file.card, probabilities)
    if file.card.point(abstain_below) is not None:
        further = (*further, CONFIDENT)
    return ModelFacts(file.card.text_column, further)


def check_place(device: str, threads: int) -> None:
    """Refuse at once a device or threads that no machine has; see `load`.

    Raises:
        UsageError: there is no such device, or threads are negative.
    """
    Device.parse(device)
    _check_number("threads", threads)


def _check_number(name: str, number: int) -> None:
    """Refuse at once what no machine has."""
    if number < 0:
        raise UsageError(f"{name}: {number}, expected 0 (all) or more")


def _open(
    path: Path, file: "ModelFile | None", device: str, threads: int, tf32: bool
) -> tuple["ModelFile", "Session"]:
    """Read a model file and load it onto the device, and say which."""
    from infer.model.file import read_model_file

    file = file or read_model_file(path)
    # Only now what takes a second to import: the model file is in order.
    from infer.model.session import Session

    session = Session(file.data, device, threads, file.card.precision, tf32)
    _say_what(file, session)
    return file, session


def _say_what(file: "ModelFile", session: "Session | WorkerSession", more: str = "") -> None:
    """Say what scores, and on what."""
    from infer.model.cuda import wheel_conflict

    if conflict := wheel_conflict():
        say(f"Warning: {conflict}")
    say(f"Model: {file.path} ({file.card.precision})")
    say(f"Device: {session.provider} ({session.reason}){more}")


def scored_columns(
    schema: pa.Schema,
    facts: ModelFacts,
    text_column: str | None,
    columns: Sequence[str] | None,
    prefix: str,
) -> tuple[Columns, pa.Schema]:
    """Return which columns of a table are read, and the schema of the scored table.

    Args:
        schema: the table's.
        facts: of the model file.
        text_column: see `Model.__call__`.
        columns: see `Model.__call__`.
        prefix: see `Model.__call__`.

    Raises:
        InputError: there is no such column, it holds no text, or a name is taken.
    """
    carry = schema.names if columns is None else columns
    chosen = choose_columns(
        schema, "the table", text_column, carry, prefix, facts.text_column, facts.further
    )
    return chosen, output_schema(schema, chosen.carried, prefix, {}, facts.further)


def shared_model(name: str, device: str, threads: int, tf32: bool, sha256: str) -> Model:
    """Return the model that all who ask for it in this process share, loaded by the first.

    Args:
        name: what `load` takes.
        device: see `load`.
        threads: see `load`.
        tf32: see `load`.
        sha256: hash of the file that is expected there, hexadecimal.

    Raises:
        ModelFileError: on this machine the file is missing, damaged or another one.
        DeviceError: the device cannot be had.
    """
    with _LOADING.setdefault(os.getpid(), threading.Lock()):
        return _loaded(name, device, threads, tf32, sha256)


@lru_cache(maxsize=8)
def _loaded(name: str, device: str, threads: int, tf32: bool, sha256: str) -> Model:
    return Model(name, device, threads, tf32, read_expected(name, sha256))


def read_expected(name: str, sha256: str | None) -> "ModelFile":
    """Read a model file that was chosen in another process, maybe on another machine.

    Raises:
        ModelFileError: it is missing, damaged or another one; the message says on which machine.
    """
    from infer.model.file import read_model_file

    path, _ = find_model(name)
    try:
        file = read_model_file(path)
    except ModelFileError as error:
        raise ModelFileError(
            f"{error}. Looked for on {platform.node()}: a model of your own has to lie at the same "
            "path on every machine"
        ) from error
    if sha256 not in (None, file.sha256):
        raise ModelFileError(
            f"{path} on {platform.node()}: SHA-256 {file.sha256}, expected {sha256}, that of the "
            "file that was there when the model was chosen. Put the same file on every machine, or "
            "start anew"
        )
    return file


def _arrays(texts: Texts) -> list[pa.Array]:
    """Return texts as Arrow arrays of a type that can be encoded.

    Raises:
        InputError: they are of another type.
    """
    if isinstance(texts, str | bytes):
        raise InputError("texts: a single string, expected a list. Use [text]")
    if not isinstance(texts, pa.Array | pa.ChunkedArray):
        texts = _from_python(texts)
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    if not is_text(texts.type):
        raise InputError(f"texts: of type {texts.type}, expected strings or binary (UTF-8)")
    if pa.types.is_dictionary(texts.type):
        chunks = [_decoded(chunk) for chunk in chunks]
    if len(chunks) > 1 and sum(chunk.nbytes for chunk in chunks) <= _BYTES_IN_ONE_ARRAY:
        return [pa.concat_arrays(chunks)]
    return list(chunks)


def _decoded(texts: pa.DictionaryArray) -> pa.Array:
    values = texts.dictionary
    if pa.types.is_string_view(values.type) or pa.types.is_binary_view(values.type):
        # Arrow cannot take from views.
        texts = pa.DictionaryArray.from_arrays(texts.indices, values.cast(pa.large_binary()))
    return texts.dictionary_decode()


def _from_python(texts: Any) -> pa.Array | pa.ChunkedArray:
    if not isinstance(texts, Iterable) or getattr(texts, "ndim", 1) != 1:
        raise InputError(f"texts: of type {type(texts).__name__}, expected one list of strings")
    values = texts if hasattr(texts, "__array__") else list(texts)
    try:
        return pa.array(values, from_pandas=True)
    except UnicodeError:  # half of a surrogate pair: a row that is not valid, no error
        encoded = [v.encode("utf-8", "surrogatepass") if isinstance(v, str) else v for v in values]
        return pa.array(encoded, pa.binary(), from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        kinds = sorted({type(value).__name__ for value in values})
        raise InputError(f"texts: values of {', '.join(kinds)}, expected str and None") from error
