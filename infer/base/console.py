"""What the three commands share: talk and progress on stderr, errors as one line, exit codes.

stdout is for data. Nothing heavy is imported before a command runs, so `--help` answers at once.
"""

import contextlib
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from infer.base.errors import MissingExtraError, SentError
from infer.base.shown import shown

if TYPE_CHECKING:
    from rich.progress import Progress


class Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM arrived; `signum` says which. The exit code is 128 + signum."""

    def __init__(self, signum: int) -> None:
        """Keep the signal's number."""
        super().__init__(signum)
        self.signum = signum


class Console:
    """Says things on stderr, or nothing at all when quiet."""

    def __init__(self, quiet: bool = False) -> None:
        """Say nothing but errors when `quiet`."""
        self.quiet = quiet

    def say(self, message: str = "") -> None:
        """Write lines to stderr; a full disk or a closed pipe behind it costs no job."""
        if not self.quiet:
            with contextlib.suppress(OSError):
                click.echo("\n".join(map(shown, message.split("\n"))), err=True)

    def table(self, title: str, rows: list[tuple[str, ...]], header: tuple[str, ...]) -> None:
        """Write a table to stderr."""
        if self.quiet:
            return
        from rich.console import Console as RichConsole
        from rich.markup import escape
        from rich.table import Table

        table = Table(*header, title=title, title_justify="left")
        for row in rows:
            table.add_row(*(escape(shown(cell)) for cell in row))
        RichConsole(stderr=True).print(table)

    @contextmanager
    def progress(self, *columns: str) -> Iterator["Progress"]:
        """Show a progress bar on stderr, silent when quiet or when stderr is no terminal.

        Args:
            columns: further rich text columns, shown after the time left.
        """
        from rich.console import Console as RichConsole
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        terminal = RichConsole(stderr=True)
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            *columns,
            console=terminal,
            disable=self.quiet or not terminal.is_terminal,
        ) as progress:
            yield progress


@contextmanager
def stop_signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `Stopped`, so that clean-up code runs and the reason is known.

    Only the first signal counts; a further one would interrupt the clean-up.
    """

    def stop(signum: int, frame: FrameType | None) -> NoReturn:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise Stopped(signum)

    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def default_signals() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the process at once, where nothing has to be cleaned up.

    A Python handler would wait for the library call that is under way, which may wait for a server.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
EXTRA_OF = dict.fromkeys(
    (
        "torch",
        "safetensors",
        "onnxscript",
        "pooch",
        "gensim",
        "sklearn",
        "jinja2",
        "matplotlib",
    ),
    "train",
)


def require_packages(names: Iterable[str]) -> None:
    """Look for packages of an extra, without loading them, before anything is begun.

    Raises:
        MissingExtraError: naming the first that is missing, and the extra.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(name, EXTRA_OF[name])
