"""Run notebooks, each in a worker process with a kernel of its own, and keep the executed copies for the website.

A worker is `python -m reglab.site.execute TASKS CORES SECONDS`, with the tasks as JSON. It writes each executed copy
at once or not at all, and prints a line for each that says what went wrong, if anything.

A notebook can also be run quickly: two seeds, every experiment at its `smoke` setting. That shows that the page runs,
and nothing else. Such a copy is marked, and the website is never published from it.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reglab import catalogue, processes

INDEX = "index"
"""The name of the lab's first page, `lab/index.py`."""

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
"""The kernel that every notebook asks for."""

OUTPUT_TIMEOUT = 60
"""Seconds that the last output of a cell may be late."""

NOT_SHOWN = ("__main__.py", "cli", "processes.py", "verify.py", "site/execute.py", "site/book.py")
"""Modules and folders of the core that no notebook uses: a change in them makes no executed copy stale."""


QUICK = "REGLAB_QUICK"
"""Set in the environment of a kernel that runs a notebook quickly; `notebook.run` obeys it."""

QUICK_SEEDS = 2
"""So many seeds a quick run has."""


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
    """Return what it takes to run one notebook of the lab, quickly or not; raises `KeyError` for an unknown name."""
    full = name if name == INDEX else catalogue.find(name)
    parameters: dict[str, Any] = {}
    if quick and full != INDEX:
        parameters = {"seeds": QUICK_SEEDS, **catalogue.experiment(full).smoke}
    return Task(full, _source(full), copy_of(full), digest(full), quick, parameters)


def copy_of(name: str) -> Path:
    """Return where the executed copy of a notebook is kept."""
    return catalogue.ROOT / "book" / "lab" / f"{name}.ipynb"


def digest(name: str) -> str:
    """Return the digest of all that a notebook shows: its cells, the modules behind it, what was measured for it."""
    root = catalogue.ROOT
    papers = catalogue.SLUGS if name == INDEX else (catalogue.find(name),)
    unused = {root / "reglab" / one for one in NOT_SHOWN}
    files = {path for path in catalogue.core() if not unused & {path, *path.parents}}
    files.add(_source(name if name == INDEX else papers[0]))
    for paper in papers:
        module = root / "reglab" / "papers" / f"{paper}.py"
        files |= {module, *module.parent.glob("_*.py"), *(root / "data").glob(f"*/{paper}.*")}
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
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


def _noted(name: str) -> dict[str, Any]:
    """Return what the executed copy of a notebook says about its run; nothing where there is no readable copy."""
    try:
        return dict(json.loads(copy_of(name).read_text(encoding="utf-8"))["metadata"]["reglab"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def execute_stale(jobs: int | None = None, quick: bool = False) -> None:
    """Run the notebooks whose executed copy is stale; raises `RuntimeError` that lists those that fail."""
    failures = execute([task(name, quick) for name in names() if stale(name, quick)], jobs)
    if failures:
        raise RuntimeError("these notebooks do not run through:\n" + "\n".join(map(str, failures)))


def _source(name: str) -> Path:
    source = catalogue.ROOT / "lab" / f"{name}.ipynb"
    if not source.is_file():
        raise FileNotFoundError(f"{source} is missing; `reglab pair` makes it from the .py beside it")
    return source


# ---------------------------------------------------------------------------------------------------- many notebooks


@dataclass
class _Worker:
    """A running worker process: its tasks, its deadline, whether it is the second try, what it prints."""

    tasks: Sequence[Task]
    process: subprocess.Popen[bytes]
    deadline: float
    again: bool
    output: Path


def execute(
    tasks: Sequence[Task],
    jobs: int | None = None,
    *,
    cell_timeout: float = 600,
    notebook_timeout: float = 1800,
    progress: Callable[[int, str], None] | None = None,
) -> list[Failure]:
    """Run notebooks side by side, at most one for each core, and return those that failed, in the order of `tasks`.

    A lone job leaves all cores to its kernel; several get one thread each. Quick notebooks share a kernel, emptied in
    between. Only a kernel that does not start is tried a second time. `progress` is called with how many are done and
    which one was the last. However this function is left, no process that it started stays behind.
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
                    running.append(_start(*waiting.popleft(), jobs, cell_timeout, notebook_timeout, Path(scratch)))
                time.sleep(0.05)
                for worker in list(running):
                    ended, late = worker.process.poll() is not None, time.monotonic() > worker.deadline
                    if ended or late:
                        running.remove(worker)
                        _end([worker])
                    found = _outcomes(worker, ended, late, notebook_timeout)
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


def _start(
    tasks: Sequence[Task], again: bool, jobs: int, cell_timeout: float, notebook_timeout: float, scratch: Path
) -> _Worker:
    cores = 1 if jobs > 1 or os.environ.get("OMP_NUM_THREADS") == "1" else os.cpu_count() or 1
    settings = {"JUPYTER_PREFER_ENV_PATH": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONIOENCODING": "utf-8"}
    settings["JUPYTER_RUNTIME_DIR"] = str(scratch)
    if cores == 1:
        settings["OMP_NUM_THREADS"] = "1"
    if tasks[0].quick:
        settings[QUICK] = "1"
    paths = [{"source": str(task.source.resolve()), "target": str(task.target.resolve())} for task in tasks]
    told = [dataclasses.asdict(task) | path for task, path in zip(tasks, paths, strict=True)]
    command = [sys.executable, "-m", "reglab.site.execute", json.dumps(told), str(cores), str(cell_timeout)]
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
    return _Worker(tasks, process, time.monotonic() + notebook_timeout * len(tasks), again, log)


def _outcomes(
    worker: _Worker, ended: bool, late: bool, notebook_timeout: float
) -> dict[str, tuple[Failure | None, bool]]:
    """Return how a worker's notebooks ended so far: by name the failure, and whether only the kernel did not start."""
    lines = [line for line in worker.output.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    found: dict[str, tuple[Failure | None, bool]] = {}
    for report in [json.loads(line) for line in lines if line.startswith(REPORT) and line.endswith("}")]:
        name, error = report["notebook"], report["error"]
        found[name] = Failure(name, report["cell"], error) if error else None, bool(report["start"])
    if ended or late:
        said = f"its worker ended with {worker.process.returncode}: {lines[-1] if lines else 'it printed nothing'}"
        limit = f"took over {notebook_timeout * len(worker.tasks):g} s in all"
        for task in worker.tasks:
            found.setdefault(task.name, (Failure(task.name, 0, said if ended else limit), False))
    return found


def _end(workers: Sequence[_Worker]) -> None:
    """End workers with their kernels and all that those started, and remove what they had not finished writing."""
    processes.end([worker.process for worker in workers])
    for task in [task for worker in workers for task in worker.tasks]:
        _unfinished(task.target).unlink(missing_ok=True)


def _unfinished(target: Path) -> Path:
    return target.with_name(target.name + ".tmp")


# ---------------------------------------------------------------------------------------------------- the worker

REPORT = '{"notebook": '
"""So begins the line that a worker prints for each notebook."""


def work(tasks: Sequence[Task], cores: int, cell_timeout: float) -> None:
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
        problem = _run(task, cores, cell_timeout, shared)
        report = {"notebook": task.name, "error": "", "cell": 0, "start": False, **(problem or {})}
        sys.stdout.write("\n" + json.dumps(report) + "\n")
        sys.stdout.flush()
    if shared is not None:
        run_sync(shared.shutdown_kernel)(now=True)


def _run(task: Task, cores: int, cell_timeout: float, kernel: Any) -> dict[str, Any] | None:
    """Run one notebook, in a new kernel if none is given; returns None, or what went wrong and where."""
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    notebook = nbformat.read(task.source, as_version=4)
    numbers = {cell.get("id"): number for number, cell in enumerate(notebook.cells, 1)}
    reached: list[Any] = []

    def note(cell: Any, cell_index: int) -> None:
        reached.append(cell)

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
            execution_timeout=cell_timeout,
            iopub_timeout=OUTPUT_TIMEOUT,
            store_widget_state=False,
            on_cell_start=note,
            km=kernel,
        )
    except PapermillExecutionError as error:
        said = f"{error.ename}: {error.evalue}"
    except CellTimeoutError:
        said = f"the cell took over {cell_timeout:g} s"
    except (DeadKernelError, RuntimeError) as error:
        said = f"{type(error).__name__}: {error}"
    else:
        _keep(executed, task, cores, time.perf_counter() - begin)
        return None
    if not reached:
        return {"start": True, "cell": 0, "error": f"the kernel did not start ({_last_line(said)})"}
    lines = reached[-1].source.strip().splitlines()
    where = f" [the cell begins: {lines[0]}]" if lines else ""
    number = numbers.get(reached[-1].get("id"), 0)  # papermill's own cell of parameters has none
    return {"start": False, "cell": number, "error": _last_line(said) + where}


def _empty(kernel: Any, folder: Path) -> None:
    """Forget what earlier notebooks have left in a running kernel, and go to the folder of the next."""
    client = kernel.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=OUTPUT_TIMEOUT)
        client.execute(f"%reset -f\n%cd -q {folder}", reply=True, timeout=OUTPUT_TIMEOUT)
    finally:
        client.stop_channels()


QUICK_NOTE = (
    ":::{warning}\nA quick copy: two seeds, and every experiment at its smallest setting. It shows that this page "
    "runs; its numbers mean nothing, and it must not be published.\n:::"
)
"""Stands below the title of a page that was run quickly."""


def _last_line(text: str) -> str:
    return ([line.strip() for line in text.splitlines() if line.strip()] or [text])[-1]


def _keep(notebook: Any, task: Task, cores: int, seconds: float) -> None:
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
        "cores": cores,
        "date": datetime.date.today().isoformat(),
    }
    count = f"{seconds:.0f} seconds" if seconds >= 1.5 else "1 second"
    peak = f" and took {memory} MB of memory at most" if memory else ""
    text = f"This page ran in {count} on {cores} {'core' if cores == 1 else 'cores'}{peak}."
    if task.quick:
        text = "This page was run quickly, to test that it runs."
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(QUICK_NOTE, id="quick"))
    notebook.cells.append(nbformat.v4.new_markdown_cell(text, id="measured"))
    task.target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _unfinished(task.target)
    temporary.write_text(nbformat.writes(notebook, version=4) + "\n", encoding="utf-8")
    os.replace(temporary, task.target)


def _peak_memory() -> int | None:
    """Return the largest memory of the kernel, which has ended, in MB; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e6)


# ---------------------------------------------------------------------------------------------------------- pairs


def pair(folder: Path | None = None) -> list[Path]:
    """Write the .ipynb beside every notebook of the lab from its .py; returns those that changed."""
    changed = []
    for source in sources(folder):
        target, text = source.with_suffix(".ipynb"), paired(source)
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8", newline="\n")
            changed.append(target)
        # Jupytext in JupyterLab refuses to open an .ipynb that is newer than its .py
        os.utime(target, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    return changed


def sources(folder: Path | None = None) -> list[Path]:
    """Return all notebooks of the lab as the texts that people write, `lab/**/*.py`."""
    return sorted(
        path for path in (folder or catalogue.ROOT / "lab").rglob("*.py") if ".ipynb_checkpoints" not in path.parts
    )


def paired(source: Path) -> str:
    """Return the .ipynb of a notebook written as text: no outputs, cells numbered, the same on every machine."""
    import jupytext
    import nbformat

    notebook = jupytext.read(source, fmt="py:percent")
    header = notebook.metadata
    notebook.metadata = {"kernelspec": header.get("kernelspec", KERNEL), "language_info": {"name": "python"}}
    if "formats" in header.get("jupytext", {}):  # with it, JupyterLab writes both files
        notebook.metadata["jupytext"] = {"formats": header["jupytext"]["formats"]}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell["id"] = str(number)
    return nbformat.writes(nbformat.from_dict(notebook), version=4) + "\n"


if __name__ == "__main__":
    told = [one | {"source": Path(one["source"]), "target": Path(one["target"])} for one in json.loads(sys.argv[1])]
    work([Task(**one) for one in told], int(sys.argv[2]), float(sys.argv[3]))
