"""The process that checks one student's answer to one exercise: `python -m reglab.site.answers JOB`.

JOB is a file of JSON, which it removes. It runs the student's cells, whose output goes nowhere, and then the lab's own
check; the verdict is one line of JSON on stdout. The check is taken before the student's code runs, and all modules of
the lab are as they were when it judges; but what runs in this process could still deceive it on purpose.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

LARGEST_FILE = 100_000_000
"""Bytes that any file may have that a student's code writes."""


def work(job: dict[str, Any]) -> None:
    """Run the cells of a job, judge its answers, and report: a list of verdicts, and the first error of a cell.

    A job names the module of the checks, the `cells`, the lab's own `page` cells that a check reads, and for each check
    the expression of the answer and the name of the checker.
    """
    report, own = os.fdopen(os.dup(1), "w", encoding="utf-8"), os.getpid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    _limit_files()
    module = importlib.import_module(job["module"])
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    from reglab.exercise import judge

    checkers = [getattr(module, name) for _, name in job["checks"]]
    finish, dumps, process = os._exit, json.dumps, os.getpid
    kept = {name: dict(vars(one)) for name, one in sys.modules.items() if name.partition(".")[0] == "reglab"}
    modules = {name: sys.modules[name] for name in kept}

    def restore() -> None:
        for name, one in modules.items():
            vars(one).update(kept[name])

    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    problem = ""
    for source in job["cells"]:
        try:
            done = shell.run_cell(source)
            error = done.error_before_exec or done.error_in_exec
        except BaseException as other:  # noqa: BLE001 - a student's code may raise anything
            error = other
        problem = problem or (f"{type(error).__name__}: {_text(error)}" if error else "")
        if process() != own:  # the student's code has forked
            finish(0)
    found = []
    restore()
    for source in job["page"]:
        shell.run_cell(source)
    for (answer, _), checker in zip(job["checks"], checkers, strict=True):
        restore()
        try:
            kind, text = judge(eval(answer, shell.user_ns), checker)
        except BaseException as error:  # noqa: BLE001 - SystemExit, or an error whose text cannot be made
            kind, text = "error", f"Your code stopped with {problem or f'{type(error).__name__}: {_text(error)}'}"
        if process() != own:
            finish(0)
        found.append([kind, text[:500]])
    report.write("\n" + dumps({"secret": job["secret"], "verdicts": found}) + "\n")
    report.flush()
    finish(0)


def _text(error: BaseException) -> str:
    try:
        return str(error)[:500]
    except BaseException:  # noqa: BLE001 - a student's own kind of error
        return ""


def _limit_files() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    file = Path(sys.argv[1])
    told = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    work(told)
