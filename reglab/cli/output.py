"""What all commands say: sentences and errors on stderr, progress bars, tables, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from rich.progress import Progress


class CommandError(Exception):
    """Something that the person at the command line can put right; shown as one line, exit status 2."""

    status = 2


class FailedError(CommandError):
    """The work itself failed (a save, a build); exit status 1."""

    status = 1


def say(text: str) -> None:
    """Print a sentence on stderr."""
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(text)


def say_error(message: str) -> None:
    """Print an error on stderr."""
    say(f"Error: {message}")


@contextmanager
def explained(kind: type[CommandError] = CommandError) -> Iterator[None]:
    """Turn what the core raises for bad input into a `CommandError` with the same words."""
    try:
        yield
    except KeyError as error:
        raise kind(str(error.args[0])) from error
    except (ValueError, OSError, RuntimeError) as error:
        raise kind(str(error)) from error


def progress(period: float = 30) -> Progress:
    """Return a progress bar with the time left, on stderr; nothing where stderr is not a terminal.

    The time left follows from what was done in the last `period` seconds.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    off = not console.is_terminal
    return Progress(*columns, console=console, transient=True, disable=off, speed_estimate_period=period)


def print_table(table: Table) -> None:
    """Print a table on stdout."""
    Console(highlight=False).print(table)


def print_json(rows: Sequence[dict[str, Any]]) -> None:
    """Print a JSON list on stdout, in ASCII where the terminal knows no more."""
    escaped = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    print(json.dumps(rows, ensure_ascii=escaped, indent=1))  # noqa: T201
