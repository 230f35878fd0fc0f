"""The expensive checks of a paper: which papers need them, and all of them side by side, each a command of its own.

A paper is *changed* when one of its files has changed since a commit; a change of the core alone changes no paper. Of
one whose measured files are as they were only what it shows is checked: had its numbers changed, `reglab check --stale`
or `reglab record --check` would refuse these files.
Some unchanged papers are verified too, in rotation, chosen by the newest commit.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reglab import catalogue, processes

MEASURED = "data/"
"""Below this folder lie the claims and recordings of papers."""

# ------------------------------------------------------------------------------------------------------ which papers


def base() -> str:
    """Return the commit since which changes count: `$CI_BASE`, or else the newest commit older than 24 hours.

    "" where there is none: outside a git checkout, or in one that is younger or cut short.
    """
    named = os.environ.get("CI_BASE", "")
    if named and _git("cat-file", "-t", named).strip() != "commit":
        named = ""  # a first push names no commit that exists
    return named or _git("rev-list", "-1", "--before=24 hours ago", "HEAD").strip()


def changed(below: str = "") -> list[str]:
    """Return the papers of which a file `below` a folder has changed since `base`; all where there is no such commit.

    Uncommitted changes count, too. What was measured lies below `MEASURED`.
    """
    since = base()
    if not since:
        return list(catalogue.SLUGS)
    files = (_git("diff", "--name-only", since) + _git("ls-files", "--others", "--exclude-standard")).splitlines()
    files = [file for file in files if file.startswith(below)]
    return [name for name in catalogue.SLUGS if any(_belongs(file, name) for file in files)]


def _belongs(file: str, name: str) -> bool:
    """Tell whether a file is one of a paper's, or of what its part shares."""
    part, slug = name.split("/")
    return bool(re.search(rf"(^|/){part}/((test_)?{slug}(\.|/)|_)", file))


def rotation(count: int, beside: Iterable[str] = ()) -> list[str]:
    """Return so many papers beside some others, chosen by the newest commit, in teaching order."""
    rest = [name for name in catalogue.SLUGS if name not in set(beside)]
    commit = newest()
    chosen = sorted(rest, key=lambda name: hashlib.sha256(f"{commit}/{name}".encode()).digest())[:count]
    return [name for name in rest if name in chosen]


def newest() -> str:
    """Return the newest commit, "" outside a git checkout."""
    return _git("rev-parse", "HEAD").strip()


def _git(*arguments: str) -> str:
    """Return what git says, "" when it fails or is not there."""
    try:
        return subprocess.run(["git", *arguments], cwd=catalogue.ROOT, capture_output=True, text=True).stdout
    except OSError:
        return ""


# ------------------------------------------------------------------------------------------------------- what is run


@dataclass(frozen=True)
class Job:
    """One check of a paper ("" for the website of all): the command that makes it, and which checks it waits for."""

    paper: str
    check: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()

    @property
    def alone(self) -> str:
        """The command that repeats this check alone, as a person types it."""
        return shlex.join(self.command)

    @property
    def name(self) -> str:
        """The paper and the check, in words."""
        return f"{self.paper}: {self.check}" if self.paper else self.check


@dataclass(frozen=True)
class Outcome:
    """How a job ended: whether all is well, its seconds, what it said at the end."""

    job: Job
    well: bool
    seconds: float
    said: str


def jobs(papers: Sequence[str], everything: bool = False, shown: Iterable[str] = ()) -> list[Job]:
    """Return the checks of some papers, notebooks first.

    With `everything` all claims are measured, not only robust ones, and the ends of all knobs are tried. Of the papers
    in `shown`, notebook and page are all that is checked.
    """
    if not papers:
        return []
    notebooks = [Job(name, "notebook", ("reglab", "execute", _slug(name))) for name in papers]
    website = Job("", "website", ("reglab", "book", "--preview"), ("notebook",))
    commit, others = newest() or "no commit", list[Job]()
    for name in papers:
        tests = ("pytest", "--deep", f"--papers={_slug(name)}")
        claims = "--compare" if everything else "--robust"
        numbers = [
            Job(name, "recorded point", ("reglab", "record", _slug(name), "--spot", commit)),
            Job(name, "claims", ("reglab", "check", _slug(name), claims)),
            Job(name, "arms and seeds", (*tests, "tests/test_papers.py")),
        ]
        others += [
            *(numbers if name not in shown else []),
            Job(name, "page in a browser", (*tests, "tests/site/test_book.py", "tests/test_replay.py"), ("website",)),
            *([Job(name, "ends of knobs", (*tests, "tests/test_settings.py"))] if everything else []),
        ]
    return [*notebooks, website, *others]


def _slug(name: str) -> str:
    return name.split("/")[1]


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    began: float
    log: Path


def run(todo: Sequence[Job], report: Callable[[Outcome, int], None], width: int | None = None) -> list[Outcome]:
    """Run jobs side by side, one for each core and with one thread each; returns how each ended, in the given order.

    A job starts when all jobs of the checks that it waits for have ended. `report` is told of each outcome, and how
    many jobs are left. However this function is left, no process that it started stays behind.
    """
    width = width or os.cpu_count() or 1
    waiting, running, ended = list(todo), list[_Running](), dict[Job, Outcome]()
    with tempfile.TemporaryDirectory(prefix="reglab-") as scratch:
        try:
            while waiting or running:
                busy = {one.job.check for one in running} | {job.check for job in waiting}
                ready = [job for job in waiting if not busy.intersection(job.after)]
                for job in ready[: width - len(running)]:
                    waiting.remove(job)
                    running.append(_start(job, Path(scratch) / f"{len(waiting)}.log"))
                time.sleep(0.05)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    said = one.log.read_text(encoding="utf-8", errors="replace").strip()
                    well = one.process.returncode == 0
                    ended[one.job] = Outcome(one.job, well, time.monotonic() - one.began, said)
                    report(ended[one.job], len(waiting) + len(running))
        finally:
            processes.end([one.process for one in running], patience=10)
    return [ended[job] for job in todo]


def _start(job: Job, log: Path) -> _Running:
    module, *arguments = job.command
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "160", "PYTHONIOENCODING": "utf-8"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=catalogue.ROOT,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the others
        )
    return _Running(job, process, time.monotonic(), log)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a table in Markdown of what was checked: what differs from what is stored, or else what was said last."""
    rows = ["| Paper | Check | | Seconds | It said |", "|---|---|---|---|---|"]
    for one in outcomes:
        lines = one.said.splitlines() or [""]
        differs = [line for line in lines if line.startswith("Differs: ")]
        said = "<br>".join(differs or lines[-1:]).replace("|", "\\|")
        rows.append(f"| {one.job.paper} | {one.job.check} | {'✓' if one.well else '✗'} | {one.seconds:.0f} | {said} |")
    return "\n".join(rows) + "\n"
