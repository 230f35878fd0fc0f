"""The command `reglab`: list, run, check, record, begin papers, pretrain, execute notebooks, build the site, grade."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import typer

from reglab.cli import claims, handouts, models, new, notebooks, papers, recordings, site, verify
from reglab.cli.output import CommandError, say, say_error

app = typer.Typer(
    help="RegLab: the lab in which people learn what regularization does to deep networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: dict[str, Callable[..., None]] = {
    "list": papers.list_papers,
    "run": papers.run,
    "check": claims.check,
    "record": recordings.record,
    "pretrain": models.pretrain,
    "verify": verify.verify,
    "execute": notebooks.execute,
    "new": new.new,
    "pair": notebooks.pair,
    "book": site.book,
    "lab": notebooks.lab,
    "handout": handouts.handout,
    "grade": handouts.grade,
}
"""All commands, in the order in which the help lists them."""

for name, command in COMMANDS.items():
    app.command(name)(command)

UsageError: Any = typer.BadParameter.__bases__[0]
"""What is raised for a wrong command line, by Click or by the copy of it that a newer Typer carries."""

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells expect it."""


def main() -> None:
    """Run the command line; every expected error is one line on stderr, and Ctrl-C leaves nothing half-done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no λ shows a question mark
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that cleaning up happens
    # for all that this process starts: a student's `random.py` is no module of Python, nor their `python3` the kernel
    os.environ["PYTHONSAFEPATH"] = os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    sys.unraisablehook = _stop_again
    try:
        status = app(standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except CommandError as problem:
        say_error(str(problem))
        status = problem.status
    except UsageError as error:
        if error.format_message():  # none when there was no command at all, and the help has been shown
            say_error(error.format_message())
        status = 2
    if status == INTERRUPTED:
        say("Stopped.")
    sys.exit(status)


def _stop_again(lost: sys.UnraisableHookArgs) -> None:
    """Send a stop again that came while Python ran a finalizer, where no exception can get out; tell of all else."""
    number = {KeyboardInterrupt: signal.SIGINT, SystemExit: signal.SIGTERM}.get(lost.exc_type)
    if number is None:
        sys.__unraisablehook__(lost)
    else:  # a little later, when the finalizer is over
        threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
