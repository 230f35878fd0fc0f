"""Check the answers in returned notebooks, each exercise in a process of its own, with the lab's own checks.

Of a returned notebook, only those cells run that an exercise needs: its answer cell, what that reads, and the lab's own
check, whatever the returned check cell says. Output goes nowhere; time, memory and the size of files have a limit, and
no process stays behind. So a mistake of one student harms nobody else. All of it runs with your rights: it may read
and remove your files, use the network, and deceive its own check on purpose. Use a container for code that you do not
trust.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nbformat import NotebookNode

from reglab import catalogue, handout, processes
from reglab.site import needs, workspace

LIMIT = 300.0
"""Seconds that an exercise may take."""

MEMORY = 4_000_000_000
"""Bytes of memory that an exercise may take, with all processes that it starts."""

LARGEST = 50_000_000
"""Bytes that a returned file may have."""

MARK = "REGLAB_ANSWER"
"""Set in the environment of all that a student's code starts, so that it is found and ended."""

WORST = ("time out", "error", "not yet", "unanswered", "right")
"""All verdicts; an exercise with several checks gets the first of these that one of them gives."""


class Grade(NamedTuple):
    """What one exercise of a returned notebook got; for a file that is none, `exercise` is 0."""

    student: str
    file: str
    paper: str
    exercise: int
    verdict: str
    message: str


@dataclass(frozen=True)
class _Job:
    """What it takes to check one exercise: the grade without its verdict, what its process is told, a note."""

    grade: Grade
    told: dict[str, Any]
    note: str


@dataclass
class _Running:
    number: int
    process: subprocess.Popen[bytes]
    output: Path
    begun: float


def returned(folder: Path) -> list[Path]:
    """Return the notebooks in a folder, also in folders inside it; raises `ValueError` where there are none."""
    found = sorted(path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    if not found:
        raise ValueError(f"{folder}: no notebook (*.ipynb) there; give the folder with the returned notebooks")
    return found


def grade(
    folder: Path, limit: float = LIMIT, jobs: int | None = None, progress: Callable[[int, int], None] | None = None
) -> list[Grade]:
    """Check all notebooks returned in a folder; `jobs` exercises at once, one for each core if not given.

    `progress` is called with how many exercises are checked, of how many. An exercise may take `limit` seconds. Raises
    `ValueError` where there is no notebook, or no checkout of the lab. However this function is left, no process that
    it started stays behind.
    """
    work = [one for path in returned(folder) for one in _read(path, folder)]
    grades = [one.grade if isinstance(one, _Job) else one for one in work]
    waiting = deque((number, one) for number, one in enumerate(work) if isinstance(one, _Job))
    total, running = len(waiting), list[_Running]()
    jobs = max(1, min(jobs or os.cpu_count() or 1, total))
    with tempfile.TemporaryDirectory(prefix="reglab-", ignore_cleanup_errors=True) as scratch:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    number, job = waiting.popleft()
                    running.append(_start(number, job, Path(scratch)))
                time.sleep(0.05)
                for one in list(running):
                    stopped = ""
                    if one.process.poll() is None and not (stopped := _over(one, limit)):
                        continue
                    running.remove(one)
                    _end(one)
                    grades[one.number] = _judged(work[one.number], one, stopped)
                    if progress is not None:
                        progress(total - len(waiting) - len(running), total)
        finally:
            for one in running:
                _end(one)
    return grades


def table(grades: Iterable[Grade]) -> bytes:
    """Return grades as CSV in UTF-8, with a line of names; no cell begins like a formula of a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Grade._fields)
    for one in grades:
        cells = [" ".join(str(cell or "").split()) for cell in one]
        writer.writerow([f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell for cell in cells])
    return text.getvalue().encode("utf-8", "replace")


# --------------------------------------------------------------------------------------------- what there is to check


def _read(path: Path, folder: Path) -> list[_Job | Grade]:
    """Return a job for each exercise of a returned notebook, or the grade of what cannot be checked."""
    import nbformat

    place = path.relative_to(folder)
    student = place.parts[0] if len(place.parts) > 1 else path.stem
    failed = Grade(student, place.as_posix(), "", 0, "error", "")
    try:
        if path.stat().st_size > LARGEST:
            return [
                failed._replace(message=f"larger than {LARGEST // 1_000_000} MB: let the student clear all outputs")
            ]
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        paper = notebook.metadata.get(handout.NAMED)
        if paper not in catalogue.SLUGS:
            paper = catalogue.find(path.stem)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and isinstance(cell.metadata, dict)]
    except KeyError as error:
        return [failed._replace(message=f"its metadata and its name tell no paper: {error.args[0]}")]
    except Exception as error:  # noqa: BLE001 - whatever was returned, the others are graded
        return [failed._replace(message=f"cannot be read as a notebook ({type(error).__name__})")]
    handed = handout.for_students(nbformat.read(workspace.pages()[paper], as_version=4), paper)
    numbers = sorted({handout.exercise(cell) for cell in handed.cells if handout.is_check(cell)})
    return [_job(failed._replace(paper=paper, exercise=number), cells, handed) for number in numbers]


def _job(grade: Grade, cells: Sequence[NotebookNode], handed: NotebookNode) -> _Job | Grade:
    """Return what it takes to check an exercise, given the code cells that were returned and the whole handout."""
    answers = {cell.id: handout.exercise(cell) for cell in handed.cells if handout.is_answer(cell)}
    checks = {cell.id: cell.source for cell in handed.cells if handout.is_check(cell)}
    page = {
        cell.id: cell.source for cell in handed.cells if cell.cell_type == "code" and "nbgrader" not in cell.metadata
    }
    there = [handout.grade_id(cell) for cell in cells]
    own = {name for name in (*answers, *checks) if name.split("-")[1] == str(grade.exercise)}
    if missing := [name for name in own & answers.keys() if name not in there]:
        return grade._replace(message=f"the answer cell {missing[0]} is missing")
    last = max(number for number, name in enumerate(there) if name in own)
    sources, always = [source for name, source in page.items() if name not in there], []
    for number, (name, cell) in enumerate(zip(there[: last + 1], cells, strict=False)):
        if name in answers and name in own and name not in there[:number]:
            always.append(len(sources))
        if name not in checks and cell.source != page.get(name):
            sources.append(cell.source)
        if name in page:
            sources.append(page[name])
    tests = [_parts(checks[name]) for name in checks if name in own]
    read = set().union(*(needs.cell(answer).reads for answer, _ in tests))
    lab = [needs.cell(source) for source in page.values()]
    given = read & set().union(*(one.defines for one in lab))
    told = {
        "module": f"reglab.papers.{grade.paper.replace('/', '.')}.exercises",
        "cells": [one.source for one in needs.needed([needs.cell(one) for one in sources], read - given, always)],
        "page": [one.source for one in needs.needed(lab, given)],
        "checks": tests,
    }
    texts = dict(zip(there, (cell.source for cell in cells), strict=True))
    changed = any(texts.get(name) != source for name, source in checks.items() if name in own)
    return _Job(grade, told, " (The check cell was changed; the lab's own was used.)" if changed else "")


def _parts(check: str) -> tuple[str, str]:
    """Return the expression of the answer and the name of the checker: `notebook.check(ANSWER, exercises.CHECKER)`."""
    call: Any = ast.parse(check).body[0]
    return ast.unparse(call.value.args[0]), ast.unparse(call.value.args[1]).removeprefix("exercises.")


# ------------------------------------------------------------------------------------------------------ the processes


def _start(number: int, job: _Job, scratch: Path) -> _Running:
    folder, output, file = scratch / str(number), scratch / f"{number}.out", scratch / f"{number}.json"
    folder.mkdir()
    job.told["secret"] = secrets.token_hex(16)
    file.write_text(json.dumps(job.told), encoding="utf-8")
    settings = {**processes.ONE_CORE, "MPLBACKEND": "agg", "IPYTHONDIR": str(folder), "PYTHONWARNINGS": ""}
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "reglab.site.answers", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=folder,
            env={**os.environ, **settings, MARK: _mark(number)},
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends all others
        )
    return _Running(number, process, output, time.monotonic())


def _mark(number: int) -> str:
    return f"{os.getpid()}-{number}"


def _over(one: _Running, limit: float) -> str:
    """Return for which limit a process must be stopped; nothing while it keeps all."""
    if time.monotonic() - one.begun > limit:
        return f"stopped after {limit:g} seconds (--limit SECONDS waits longer)"
    if processes.memory(one.process) > MEMORY:
        return f"stopped, since it took more than {MEMORY // 1_000_000_000} GB of memory"
    return ""


def _end(one: _Running) -> None:
    processes.end([one.process])
    processes.end_marked(MARK, _mark(one.number))


def _judged(job: Any, one: _Running, stopped: str) -> Grade:
    """Return the grade of an exercise whose process has ended, or was stopped."""
    grade: Grade = job.grade
    if stopped:
        verdict = "time out" if "seconds" in stopped else "error"
        return grade._replace(verdict=verdict, message=stopped + job.note)
    with one.output.open("rb") as stream:
        stream.seek(max(0, one.output.stat().st_size - 100_000))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    reports = [line for line in lines if job.told["secret"] in line]
    if not reports:
        said = f"the process ended with {one.process.returncode} before the answer was checked"
        return grade._replace(verdict="error", message=said + job.note)
    verdicts = json.loads(reports[-1])["verdicts"]
    worst = min((kind for kind, _ in verdicts), key=WORST.index)
    texts = list(dict.fromkeys(text for kind, text in verdicts if kind == worst))
    return grade._replace(verdict=worst, message=" ".join(texts) + job.note)
