"""Execute the notebooks, pair them with their sources, and open them in JupyterLab."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from reglab import catalogue, files
from reglab.cli.output import explained, progress, say, say_error

STALL = Annotated[
    float, typer.Option("--stall", min=1, metavar="SECONDS", help="Stop a notebook in which nothing moves for so long.")
]


def execute(
    papers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PAPER]...", help="Which notebooks (or 'index'); all if none is named."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="How many at once; one for each core if not given.")] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="Only notebooks that changed since they were executed.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Two seeds and the smallest settings; such copies are never published.")
    ] = False,
    stall: STALL = 300,
) -> None:
    """Run the notebooks from top to bottom; the executed copies go to book/lab/.

    A notebook may take as long as it computes; it is stopped when for --stall seconds nothing moves.

    The exit status is 1 when a notebook fails.
    """
    from reglab.site import execute as engine

    with explained():
        names = [name if name == engine.INDEX else catalogue.find(name) for name in papers or engine.names()]
        tasks = [engine.task(name, quick) for name in dict.fromkeys(names) if not stale or engine.stale(name, quick)]
    if not tasks:
        say("No notebook is stale: nothing that they show has changed since they were executed.")
    failures = execute_tasks(tasks, jobs, stall)
    for failure in failures:
        say_error(str(failure))
    if tasks:
        say(f"{len(tasks) - len(failures)} of {len(tasks)} notebooks ran through.")
    if failures:
        raise typer.Exit(1)


def execute_tasks(tasks: Sequence[Any], jobs: int | None, stall: float) -> list[Any]:
    """Run notebooks and return the failures; shows a progress bar, or a line for each where there is no terminal."""
    from reglab.site import execute as engine

    with progress() as bar:
        task = bar.add_task("notebooks", total=len(tasks))

        def report(done: int, name: str) -> None:
            bar.update(task, completed=done, description=name)
            if bar.disable:
                say(f"{done} of {len(tasks)} notebooks: {name}")

        return engine.execute(tasks, jobs, stall=stall, progress=report)


def pair() -> None:
    """Rebuild the .ipynb of every notebook from its .py."""
    from reglab.site import pairs

    with explained():
        changed = pairs.pair()
    for path in changed:
        say(f"wrote {path.relative_to(catalogue.ROOT)}")


def lab(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Where your own copies of the pages lie; work/ if not given."),
    ] = None,
    fresh: Annotated[
        list[str] | None,
        typer.Option("--fresh", metavar="PAGE", help="Have this page as it was; yours gets another name."),
    ] = None,
    edit: Annotated[bool, typer.Option("--edit", help="Open the sources in lab/, to change the lab itself.")] = False,
    port: Annotated[
        int | None,
        typer.Option(envvar="JUPYTER_PORT", min=1, max=65535, help="Where to listen; a free port from 8888 on."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open the lab in JupyterLab, on this computer only (127.0.0.1, with a secret token in the address).

    You work in copies of the pages. What you changed is never overwritten: the new version of such a page lies beside
    it, as page-new.ipynb.
    """
    from reglab.site import workspace

    with explained():
        if edit and (folder or fresh):
            raise ValueError("--edit opens the sources themselves; a folder and --fresh are for copies of them")
        root, first = (folder or workspace.FOLDER).absolute(), "index.ipynb"
        if edit:
            root, first = catalogue.ROOT, "lab/index.ipynb"
            workspace.pages()
        else:
            for page in fresh or ():
                kept = workspace.reset(root, page)
                say(f"{page} is as it was" + (f"; what you had is {kept}" if kept else ""))
            for path in workspace.fill(root):
                say(f"There is a new version of a page that you changed; it lies beside yours: {path}")
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={root}"]
    command += [f"--LabApp.default_url=/lab/tree/{first}"]
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    if port is not None:
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # in a container there is often no other user
    _find_home()
    if os.name == "nt":
        raise typer.Exit(subprocess.call(command))
    os.execv(sys.executable, command)


def _find_home() -> None:
    """Let JupyterLab keep its settings elsewhere, where the home folder cannot be written, as in some containers."""
    try:
        files.check_writable(Path.home() / ".jupyter")
    except ValueError as error:
        os.environ["HOME"] = tempfile.mkdtemp(prefix="reglab-")
        say(f"JupyterLab keeps its settings in {os.environ['HOME']}, since it {error}.")
