"""The process that runs notebooks, each with a kernel of its own: `python -m reglab.site.worker TASKS`.

TASKS is JSON. The worker writes each executed copy at once or not at all, and prints a line for each cell that begins,
and one for each notebook that says what went wrong, if anything. It has no limit of time.
"""

from __future__ import annotations

import datetime
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reglab import files
from reglab.site.pairs import KERNEL

PATIENCE = 600
"""Seconds that a kernel may take to start, or the last output of a cell to come, on a busy computer."""

REPORT, BEGUN = '{"notebook": ', '{"begun": '
"""So begin the lines that a worker prints: for each notebook that ended, and for each cell that began."""

QUICK_NOTE = (
    ":::{warning}\nA quick copy: two seeds, and every experiment at its smallest setting. It shows that this page "
    "runs; its numbers mean nothing, and it must not be published.\n:::"
)
"""Stands below the title of a page that was run quickly."""


@dataclass(frozen=True)
class Task:
    """One notebook to run: its name, where it lies, where its executed copy goes, the digest to note there.

    With `quick` it runs at the smallest settings; `parameters` replace those of its `parameters` cell.
    """

    name: str
    source: Path
    target: Path
    digest: str = ""
    quick: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)


def work(tasks: Sequence[Task]) -> None:
    """Run notebooks one after another, write the executed copies, and print a line of JSON for each.

    Each has a kernel of its own; but all that run quickly share one, which is emptied in between.
    """
    from jupyter_client.manager import AsyncKernelManager  # with the other one, nobody notices that a kernel has died
    from jupyter_core.utils import run_sync

    shared: Any = None
    for task in tasks:
        if task.quick and (shared is None or not run_sync(shared.is_alive)()):
            shared = AsyncKernelManager(kernel_name=KERNEL["name"])
            run_sync(shared.start_kernel)(cwd=str(task.source.parent))
        problem = _run(task, shared)
        _report({"notebook": task.name, "error": "", "cell": 0, "start": False, **(problem or {})})
    if shared is not None:
        run_sync(shared.shutdown_kernel)(now=True)


def _report(what: Mapping[str, Any]) -> None:
    sys.stdout.write("\n" + json.dumps(what) + "\n")
    sys.stdout.flush()


def _run(task: Task, kernel: Any) -> dict[str, Any] | None:
    """Run one notebook, in a new kernel if none is given; returns None, or what went wrong and where."""
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    notebook = nbformat.read(task.source, as_version=4)
    numbers = {cell.get("id"): number for number, cell in enumerate(notebook.cells, 1)}
    reached: list[Any] = []

    def place() -> dict[str, Any]:
        """Return the number of the cell that was reached, and how it begins."""
        lines = reached[-1].source.strip().splitlines()
        number = numbers.get(reached[-1].get("id"), 0)  # papermill's own cell of parameters has none
        return {"cell": number, "line": f" [the cell begins: {lines[0]}]" if lines else ""}

    def note(cell: Any, cell_index: int) -> None:
        reached.append(cell)
        _report({"begun": task.name, **place()})

    begin = time.perf_counter()
    try:
        if kernel is not None:
            _empty(kernel, task.source.parent)
        executed = papermill.execute_notebook(
            notebook,
            None,
            parameters=dict(task.parameters),
            kernel_name=KERNEL["name"],
            progress_bar=False,
            cwd=task.source.parent,
            start_timeout=PATIENCE,
            execution_timeout=None,
            iopub_timeout=PATIENCE,
            store_widget_state=False,
            on_cell_start=note,
            km=kernel,
        )
    except PapermillExecutionError as error:
        said = f"{error.ename}: {error.evalue}"
    except (DeadKernelError, RuntimeError) as error:
        said = f"{type(error).__name__}: {error}"
    else:
        _keep(executed, task, time.perf_counter() - begin)
        return None
    if not reached:
        return {"start": True, "cell": 0, "error": f"the kernel did not start ({_last_line(said)})"}
    at = place()
    return {"start": False, "cell": at["cell"], "error": _last_line(said) + at["line"]}


def _empty(kernel: Any, folder: Path) -> None:
    """Forget what earlier notebooks have left in a running kernel, and go to the folder of the next."""
    client = kernel.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        client.execute(f"%reset -f\n%cd -q {folder}", reply=True, timeout=PATIENCE)
    finally:
        client.stop_channels()


def _last_line(text: str) -> str:
    return ([line.strip() for line in text.splitlines() if line.strip()] or [text])[-1]


def _keep(notebook: Any, task: Task, seconds: float) -> None:
    """Write an executed notebook with what the run took, in its metadata and in words at its end."""
    import nbformat

    memory = None if task.quick else _peak_memory()  # a kernel that several share has not ended
    for part in (notebook, *notebook.cells):
        part.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)
    notebook.metadata["reglab"] = {
        "seconds": round(seconds, 1),
        "peak_memory_mb": memory,
        "digest": task.digest,
        "quick": task.quick,
        "date": datetime.date.today().isoformat(),
    }
    count = f"{seconds:.0f} seconds" if seconds >= 1.5 else "1 second"
    peak = f" and took {memory} MB of memory at most" if memory else ""
    text = f"This page ran in {count} on one core{peak}."
    if task.quick:
        text = "This page was run quickly, to test that it runs."
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(QUICK_NOTE, id="quick"))
    notebook.cells.append(nbformat.v4.new_markdown_cell(text, id="measured"))
    files.write(task.target, nbformat.writes(notebook, version=4) + "\n")


def _peak_memory() -> int | None:
    """Return the largest memory of the kernel, which has ended, in MB; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e6)


if __name__ == "__main__":
    told = [one | {"source": Path(one["source"]), "target": Path(one["target"])} for one in json.loads(sys.argv[1])]
    work([Task(**one) for one in told])
