"""Build the website."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from reglab import catalogue
from reglab.cli.notebooks import STALL, execute_tasks
from reglab.cli.output import FailedError, explained


def book(
    archive: Annotated[
        bool, typer.Option("--zip", help="Pack the website into one archive, which opens without a server.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="For tests: notebooks that changed are only run quickly.")
    ] = False,
    stall: STALL = 300,
) -> None:
    """Build the website from the notebooks; runs those that changed first, and prints where the first page is.

    A notebook that does not run through has a page that says so, and the exit status is 1.
    """
    from reglab.site import book as website
    from reglab.site import execute as engine

    with explained():
        if archive and preview:
            raise ValueError("--zip packs what can be published, and a preview cannot")
        catalogue.need_checkout()
        tasks = [engine.task(name, preview) for name in engine.names() if engine.stale(name, preview)]
    failures = execute_tasks(tasks, None, stall)
    for failure in failures:
        engine.keep_failed(failure)
    with explained(FailedError), Console(stderr=True).status("Building the website"):
        path = website.build(preview)
        path = website.zipped() if archive else path
    print(path)  # noqa: T201
    if failures:
        raise FailedError("these notebooks do not run through:\n" + "\n".join(map(str, failures)))
