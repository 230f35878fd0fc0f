"""Run notebooks side by side in worker processes, and keep the executed copies for the website.

A notebook can also be run quickly: two seeds, every experiment at its `smoke` setting. That shows that the page runs,
and nothing else. Such a copy is marked, and the website is never published from it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reglab import catalogue, files, processes
from reglab.site import modules
from reglab.site.worker import BEGUN, REPORT, Task

STALL = 300.0
"""After so many seconds in which nothing moved, a notebook is stopped."""

LEAST = 0.01
"""Who computes gets at least this share of a processor, however busy the computer is."""

INDEX = "index"
"""The name of the lab's first page, `lab/index.py`."""


@dataclass(frozen=True)
class Failure:
    """A notebook that did not run through: its name, the number of the cell (from 1; 0 for none) and what happened."""

    name: str
    cell: int
    error: str

    def __str__(self) -> str:
        return f"{self.name}, cell {self.cell}: {self.error}" if self.cell else f"{self.name}: {self.error}"


def names() -> tuple[str, ...]:
    """Return the names of all notebooks of the lab, the first page first."""
    return (INDEX, *catalogue.SLUGS)


def task(name: str, quick: bool = False) -> Task:
    """Return what it takes to run one notebook of the lab, quickly or not.

    Raises `KeyError` for an unknown name and `ValueError` where there is no checkout.
    """
    catalogue.need_checkout()
    full = name if name == INDEX else catalogue.find(name)
    parameters: dict[str, Any] = {}
    if quick and full != INDEX:
        from reglab.notebook import QUICK_SEEDS  # loads what the notebooks load, which else only their kernels need

        parameters = {"seeds": QUICK_SEEDS, **catalogue.experiment(full).smoke}
    return Task(full, _source(full), copy_of(full), digest(full), quick, parameters)


def copy_of(name: str) -> Path:
    """Return where the executed copy of a notebook is kept."""
    return catalogue.ROOT / "book" / "lab" / f"{name}.ipynb"


def digest(name: str) -> str:
    """Return the digest of all that a notebook shows: its cells, the modules behind it, what was measured for it."""
    root = catalogue.ROOT
    papers = catalogue.SLUGS if name == INDEX else (catalogue.find(name),)
    shown = {path for path in catalogue.core() if modules.layer(path) is not modules.TOP}
    shown.add(_source(name if name == INDEX else papers[0]))
    for paper in papers:
        folder = catalogue.PACKAGE / "papers" / paper
        shown |= {*folder.rglob("*.py"), *(folder.parent / "_shared").rglob("*.py")}
        shown |= set((root / "data").glob(f"*/{paper}.*"))
    total = hashlib.sha256()
    for path in sorted(shown):
        total.update(Path(os.path.relpath(path, root)).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def stale(name: str, quick: bool = False) -> bool:
    """Tell whether a notebook has no executed copy, or one of something that has changed since.

    A copy that was run quickly counts as none, unless `quick` is asked for.
    """
    noted = _noted(name)
    return noted.get("digest") != digest(name) or (ran_quickly(name) and not quick)


def ran_quickly(name: str) -> bool:
    """Tell whether the executed copy of a notebook shows quick runs, which must not be published."""
    return bool(_noted(name).get("quick"))


def keep_failed(failure: Failure) -> None:
    """Write a copy without results for a notebook that failed, which says so below its title."""
    import nbformat

    notebook = nbformat.read(_source(failure.name), as_version=4)
    note = f":::{{error}}\nThis page did not run:\n\n```text\n{failure}\n```\n:::"
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell(note, id="failed"))
    notebook.metadata["reglab"] = {"failed": True}
    files.write(copy_of(failure.name), nbformat.writes(notebook, version=4) + "\n")


def failed(name: str) -> bool:
    """Tell whether the copy of a notebook only says that it did not run."""
    return bool(_noted(name).get("failed"))


def _noted(name: str) -> dict[str, Any]:
    """Return what the executed copy of a notebook says about its run; nothing where there is no readable copy."""
    try:
        return dict(json.loads(copy_of(name).read_text(encoding="utf-8"))["metadata"]["reglab"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _source(name: str) -> Path:
    source = catalogue.ROOT / "lab" / f"{name}.ipynb"
    if not source.is_file():
        raise FileNotFoundError(f"{source} is missing; `reglab pair` makes it from the .py beside it")
    return source


# ---------------------------------------------------------------------------------------------------- many notebooks


@dataclass
class _Worker:
    """A running worker process: its tasks, whether it is the second try, what it prints, when it last moved.

    It moves when it computes, with its kernels: `spent` is how many seconds of a processor it had taken by then,
    `looks` when to ask again.
    """

    tasks: Sequence[Task]
    process: subprocess.Popen[bytes]
    again: bool
    output: Path
    moved: float
    spent: float = 0
    looks: float = 0

    def stalled(self, stall: float) -> bool:
        """Tell whether it has hardly computed for so many seconds; a kernel that waits takes a tenth of `LEAST`.

        It looks ten times in these seconds, since to ask all processes costs time that notebooks need.
        """
        now = time.monotonic()
        if now < self.looks:
            return False
        self.looks, spent = now + stall / 10, processes.spent(self.process)
        if spent - self.spent >= LEAST * stall:
            self.moved, self.spent = now, spent
        return now - self.moved > stall


def execute(
    tasks: Sequence[Task],
    jobs: int | None = None,
    *,
    stall: float = STALL,
    progress: Callable[[int, str], None] | None = None,
) -> list[Failure]:
    """Run notebooks side by side, at most one for each core, and return those that failed, in the order of `tasks`.

    Each kernel computes on one core. Quick notebooks share a kernel, emptied in between. Only a kernel that does not
    start is tried a second time. A notebook may take as long as it computes; it is stopped when for `stall` seconds
    nothing moves. `progress` is called with how many are done and which one was the
    last. However this function is left, no process that it started stays behind.
    """
    cores = os.cpu_count() or 1
    jobs = max(1, min(jobs or cores, cores, len(tasks)))
    quick = [task for task in tasks if task.quick]
    piles = [[task] for task in tasks if not task.quick] + [quick[i::jobs] for i in range(jobs) if quick[i::jobs]]
    waiting = deque((pile, False) for pile in piles)
    failures: dict[str, Failure] = {}
    running: list[_Worker] = []
    done: list[str] = []
    with tempfile.TemporaryDirectory(prefix="reglab-") as scratch:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    running.append(_start(*waiting.popleft(), Path(scratch)))
                time.sleep(0.05)
                for worker in list(running):
                    ended = worker.process.poll() is not None
                    stalled = not ended and worker.stalled(stall)
                    if ended or stalled:
                        running.remove(worker)
                        _end([worker])
                    found = _outcomes(worker, ended, stall if stalled else 0)
                    unstarted = [task for task in worker.tasks if task.name in found and found[task.name][1]]
                    if unstarted and not worker.again:
                        found = {name: outcome for name, outcome in found.items() if not outcome[1]}
                        if ended:
                            waiting.appendleft((unstarted, True))
                    for name in [name for name in found if name not in done]:
                        failure, _ = found[name]
                        failures |= {name: failure} if failure else {}
                        done.append(name)
                        if progress is not None:
                            progress(len(done), name)
        finally:
            _end(running)
    return [failures[task.name] for task in tasks if task.name in failures]


def _start(tasks: Sequence[Task], again: bool, scratch: Path) -> _Worker:
    settings = {"JUPYTER_PREFER_ENV_PATH": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONIOENCODING": "utf-8"}
    # not what a person has set for other work
    settings |= {"JUPYTER_RUNTIME_DIR": str(scratch), "IPYTHONDIR": str(scratch), "PYTHONWARNINGS": ""}
    settings |= processes.ONE_CORE
    if tasks[0].quick:
        from reglab.notebook import QUICK

        settings[QUICK] = "1"
    paths = [{"source": str(task.source.resolve()), "target": str(task.target.resolve())} for task in tasks]
    told = [dataclasses.asdict(task) | path for task, path in zip(tasks, paths, strict=True)]
    command = [sys.executable, "-m", "reglab.site.worker", json.dumps(told)]
    log = scratch / f"{tasks[0].name.replace('/', '-')}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **settings},
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the worker and its kernel
        )
    return _Worker(tasks, process, again, log, time.monotonic())


def _outcomes(worker: _Worker, ended: bool, stalled: float) -> dict[str, tuple[Failure | None, bool]]:
    """Return how a worker's notebooks ended so far: by name the failure, and whether only the kernel did not start.

    `stalled` is for how many seconds nothing moved, when the worker was stopped for it.
    """
    lines = [line for line in worker.output.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    reports = [json.loads(line) for line in lines if line.startswith((REPORT, BEGUN)) and line.endswith("}")]
    found: dict[str, tuple[Failure | None, bool]] = {}
    begun: dict[str, Any] = {}
    for report in reports:
        if "begun" in report:
            begun = report
        else:
            name, error = report["notebook"], report["error"]
            found[name] = Failure(name, report["cell"], error) if error else None, bool(report["start"])
    left = [task.name for task in worker.tasks if task.name not in found]
    if left and stalled:
        at: dict[str, Any] = begun if begun.get("begun") == left[0] else {"cell": 0, "line": ""}
        said = f"stopped, since nothing moved for {stalled:g} s (--stall SECONDS waits longer){at['line']}"
        found[left[0]] = Failure(left[0], at["cell"], said), False
        left = left[1:]
    if ended or stalled:
        said = f"its worker ended with {worker.process.returncode}: {lines[-1] if lines else 'it printed nothing'}"
        found |= {name: (Failure(name, 0, said), False) for name in left}
    return found


def _end(workers: Sequence[_Worker]) -> None:
    """End workers with their kernels and all that those started, and remove what they had not finished writing."""
    processes.end([worker.process for worker in workers])
    for worker in workers:
        for task in worker.tasks:
            files.forget(task.target, worker.process.pid)
