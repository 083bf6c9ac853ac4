"""What the commands share: talk and progress on stderr, errors as one line, exit codes.

stdout is for data. Nothing heavy is imported before a command runs, so `--help` answers at once.
"""

import contextlib
import importlib.util
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any, Final, NoReturn

import click

from infer.base.errors import MissingExtraError, SentError
from infer.base.shown import shown


class Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM arrived; `signum` says which. The exit code is 128 + signum."""

    def __init__(self, signum: int) -> None:
        """Keep the signal's number."""
        super().__init__(signum)
        self.signum = signum


LOGGER: Final = logging.getLogger("sent_toolkit")
LINE_SECONDS: Final = 60.0  # between two lines on how far something has come
_shows_bars = False  # whether a command talks in this process


def say(message: str) -> None:
    """Tell a person something, in one line, through the logger `sent_toolkit`.

    Within `talking`, as the commands are, that is a line on stderr. Elsewhere nothing is shown
    unless whoever uses the library asks `logging` for it.

    Example:
        >>> logging.getLogger("sent_toolkit").setLevel(logging.INFO)
    """
    LOGGER.info(message)


def one_list(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> str | None:
    """Join what an option that takes a list was given, once or several times; None where never."""
    return ",".join(given) if given else None


@contextmanager
def talking(quiet: bool = False) -> Iterator[None]:
    """Let what is said within the block reach stderr, and progress bars be shown.

    Args:
        quiet: stay as silent as a library.
    """
    global _shows_bars
    if quiet:
        yield
        return
    handler, level, shown = _StderrHandler(), LOGGER.level, _shows_bars
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    _shows_bars = True
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
        _shows_bars = shown


class _StderrHandler(logging.Handler):
    """Writes lines as they are; a full disk or a closed pipe behind stderr costs no job."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            click.echo("\n".join(map(shown, record.getMessage().split("\n"))), err=True)


@contextmanager
def progress(
    title: str, total: int, unit: str = "", done: int = 0
) -> Iterator[Callable[..., object]]:
    """Show how far something has come on stderr, where a command talks.

    That is a bar where stderr is a terminal, and elsewhere a line a minute.

    Args:
        title: what is going on.
        total: how many steps there are.
        unit: what a step is, for the rate; no rate without it.
        done: how many steps were done before.

    Yields:
        A function to be called, in any thread, with how many steps more are done, and perhaps with
        words to show beside the rate.
    """
    if not _shows_bars:
        yield lambda steps, words="": None
    elif _is_terminal():
        with _bar(title, total, unit, done) as advance:
            yield advance
    else:
        yield _Lines(title, total, unit, done).advance


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except ValueError:  # closed
        return False


@contextmanager
def _bar(title: str, total: int, unit: str, done: int) -> Iterator[Callable[..., object]]:
    from rich.console import Console as RichConsole
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}"),
        console=RichConsole(stderr=True),
    ) as bar:
        task = bar.add_task(title, total=total, completed=done, rate="")

        def advance(steps: int, words: str = "") -> None:
            speed = f"{bar.tasks[0].speed or 0:,.0f} {unit}/s" if unit else ""
            bar.update(task, advance=steps, rate=", ".join(filter(None, (words, speed))))

        yield advance


class _Lines:
    """What a bar shows, as a line every so often: for a log, which keeps all that is said."""

    def __init__(self, title: str, total: int, unit: str, done: int) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done = self.before = done
        self.began = self.said = time.monotonic()
        self.lock = threading.Lock()

    def advance(self, steps: int, words: str = "") -> None:
        """Count steps; the thread that finds a minute over says where all of them are."""
        with self.lock:
            self.done += steps
            now = time.monotonic()
            if now - self.said < LINE_SECONDS:
                return
            self.said, done = now, self.done
        rate = (done - self.before) / (now - self.began)
        left = timedelta(seconds=round((self.total - done) / rate)) if rate else None
        parts = (
            f"{self.title}: {done:,} of {self.total:,} ({done / max(self.total, 1):.0%})",
            words,
            f"{rate:,.0f} {self.unit}/s" if self.unit else "",
            f"about {left} left" if left is not None and done <= self.total else "",
        )
        say(", ".join(filter(None, parts)))


def say_table(title: str, rows: list[tuple[str, ...]], header: tuple[str, ...]) -> None:
    """Write a table to stderr, where a command talks."""
    if not _shows_bars:
        return
    from rich.console import Console as RichConsole
    from rich.markup import escape
    from rich.table import Table

    table = Table(*header, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(escape(shown(cell)) for cell in row))
    RichConsole(stderr=True).print(table)


def shows_bars() -> bool:
    """Return whether a command talks in this process, so that bars may be shown."""
    return _shows_bars


@contextmanager
def stop_signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `Stopped`, so that clean-up code runs and the reason is known.

    Only the first signal counts; a further one would interrupt the clean-up.
    """

    def stop(signum: int, frame: FrameType | None) -> NoReturn:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise Stopped(signum)

    stop.is_ours = True  # type: ignore[attr-defined]
    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_signals() -> Iterator[Callable[[], None]]:
    """Let SIGINT and SIGTERM wait within the block, so that nothing in it is left half done.

    Signals without a Python handler, and all of them in other threads than the main one, are left
    as they are.

    Yields:
        A function that lets a signal through which has arrived: it calls the handler of before,
        which raises. The end of the block does so too.
    """
    arrived: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {n: h for n in numbers if callable(h := signal.getsignal(n))}

    def let_through() -> None:
        if arrived:
            signum = arrived.pop(0)
            before[signal.Signals(signum)](signum, None)

    try:
        for number in before:
            signal.signal(number, lambda signum, frame: arrived.append(signum))
        yield let_through
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    let_through()


@contextmanager
def default_signals() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the process at once, where nothing has to be cleaned up.

    A Python handler would wait for the library call that is under way, which may wait for a server.
    Outside a command, and in other threads than the main one, signals are left as they are.
    """
    ours = [
        n for n in (signal.SIGINT, signal.SIGTERM) if getattr(signal.getsignal(n), "is_ours", 0)
    ]
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def given_options(context: click.Context) -> set[str]:
    """Return the names of the options that were given rather than defaulted."""
    default = click.core.ParameterSource.DEFAULT
    return {name for name in context.params if context.get_parameter_source(name) is not default}


def run_command(work: Callable[[], Any]) -> NoReturn:
    """Run a command's one library call and leave with the exit code of the contract.

    0 done, 1 failed, 2 wrong usage or a missing extra, 130/143 stopped by a signal.
    """
    # Before PyTorch is imported: its idle threads spin by default, and beside another job training
    # on two threads then took 5 to 12 times as long as on one (1.5 times when they sleep).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with stop_signals():
            work()
    except SentError as error:
        click.echo(shown(f"Error: {error}{_notes(error)}"), err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        extra = EXTRA_OF.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        missing = MissingExtraError(str(error.name), extra)
        click.echo(f"Error: {missing}", err=True)
        sys.exit(missing.exit_code)
    except Stopped as stopped:
        name = signal.Signals(stopped.signum).name
        click.echo(shown(f"Stopped by {name}{_notes(stopped)}"), err=True)
        sys.exit(128 + stopped.signum)
    sys.exit(0)


def _notes(error: BaseException) -> str:
    return "".join(f". {note}" for note in getattr(error, "__notes__", []))


# The packages that only an extra installs.
EXTRA_OF = {
    **dict.fromkeys(
        (
            "torch",
            "safetensors",
            "onnxscript",
            "pooch",
            "gensim",
            "scipy",
            "sklearn",
            "jinja2",
            "matplotlib",
        ),
        "train",
    ),
    "duckdb": "report",
    "optuna": "search",
    "tensorboardX": "tensorboard",
}


def require_packages(names: Iterable[str], extra: str | None = None) -> None:
    """Look for packages of an extra, without loading them, before anything is begun.

    Args:
        names: the packages.
        extra: the one to name, where several bring a package; None: the usual one.

    Raises:
        MissingExtraError: naming the first that is missing, and the extra.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(name, extra or EXTRA_OF[name])
