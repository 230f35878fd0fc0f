"""Which papers are verified, and that their checks run side by side, wait for each other and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import processes
import psutil
import pytest

from reglab import catalogue, verify
from reglab.verify import Job, Outcome

FIRST, SECOND, THIRD = catalogue.SLUGS[:3]


# ------------------------------------------------------------------------------------------------------ which papers


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a git repository with one commit from two days ago, which `verify` takes for the lab."""
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    (tmp_path / "lab").mkdir()
    monkeypatch.delenv("CI_BASE", raising=False)
    for key in [key for key in os.environ if key.startswith("GIT_")]:
        monkeypatch.delenv(key)
    git(tmp_path, "init", "-q")
    write(tmp_path, "reglab/data.py", "README.md", f"lab/{FIRST}.py")
    commit(tmp_path, "2 days ago")
    return tmp_path


def git(folder: Path, *arguments: str, **environment: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def write(folder: Path, *files: str) -> None:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.read_text() + "x" if path.exists() else "x")


def commit(folder: Path, when: str = "now") -> str:
    date = subprocess.check_output(["date", "-d", when, "+%s +0000"], text=True).strip()
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "m", GIT_COMMITTER_DATE=date, GIT_AUTHOR_DATE=date)
    return git(folder, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    "file",
    [
        f"reglab/papers/{SECOND}.py",
        f"reglab/papers/{SECOND}/method.py",
        f"lab/{SECOND}.ipynb",
        f"data/claims/{SECOND}.json",
        f"data/recorded/{SECOND}.nc",
        f"tests/papers/{SECOND.replace('/', '/test_')}.py",
    ],
)
def test_a_paper_is_changed_with_each_of_its_files(repository: Path, file: str) -> None:
    assert verify.changed() == []
    write(repository, file)
    assert verify.changed() == [SECOND], "not yet known to git"
    assert verify.changed(verify.MEASURED) == ([SECOND] if file.startswith("data/") else [])
    git(repository, "add", "-A")
    assert verify.changed() == [SECOND], "not yet committed"
    commit(repository)
    assert verify.changed() == [SECOND]


def test_the_core_is_no_paper_and_what_a_part_shares_is_all_of_its_papers(repository: Path) -> None:
    write(repository, "reglab/data.py", "README.md", "tests/test_data.py", "data/pretrained/tiny_lm_0.safetensors")
    commit(repository)
    assert verify.changed() == []
    part = THIRD.split("/")[0]
    write(repository, f"reglab/papers/{part}/_shared/losses.py")
    assert verify.changed() == [name for name in catalogue.SLUGS if name.startswith(part)]


def test_changes_count_since_a_day_ago_or_since_the_commit_that_is_named(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repository, f"lab/{FIRST}.py")
    yesterday = commit(repository, "25 hours ago")
    assert verify.base() == yesterday and verify.changed() == []
    write(repository, f"lab/{SECOND}.py")
    now = commit(repository)
    assert verify.base() == yesterday and verify.changed() == [SECOND]
    first = git(repository, "rev-list", "--max-parents=0", "HEAD")
    for named, expected in ((first, [FIRST, SECOND]), (now, []), ("0" * 40, [SECOND])):
        monkeypatch.setenv("CI_BASE", named)
        assert verify.changed() == expected, named


def test_without_an_older_commit_everything_counts_as_changed(repository: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").rename(tmp_path / "no-git")
    assert verify.base() == "" and verify.changed() == verify.changed(verify.MEASURED) == list(catalogue.SLUGS)
    git(tmp_path, "init", "-q")
    commit(tmp_path, "1 hour ago")
    assert verify.base() == "" and verify.changed() == list(catalogue.SLUGS)


def test_rotation_follows_the_commit_and_reaches_every_paper(repository: Path) -> None:
    chosen = verify.rotation(2, [FIRST])
    assert len(chosen) == 2 and FIRST not in chosen and verify.rotation(2, [FIRST]) == chosen
    assert verify.rotation(100) == list(catalogue.SLUGS) and verify.rotation(0) == []
    # Half of the papers at a time: that forty commits miss one of them happens once in 2^40 / 43 runs.
    half, seen = len(catalogue.SLUGS) // 2, set[str]()
    for number in range(40):
        git(repository, "commit", "-q", "--amend", "--allow-empty", "-m", str(number))
        seen |= set(verify.rotation(half))
    assert seen == set(catalogue.SLUGS)


# ------------------------------------------------------------------------------------------------------------- the jobs


def test_each_check_is_a_command_that_a_person_can_repeat() -> None:
    jobs = verify.jobs([FIRST, SECOND])
    kept = [job for job in jobs if job.paper != FIRST or job.check in ("notebook", "page in a browser")]
    assert verify.jobs([FIRST, SECOND], shown=[FIRST]) == kept != jobs
    assert verify.jobs([]) == []
    slug = FIRST.split("/")[1]
    alone = {job.check: job.alone for job in jobs if job.paper in ("", FIRST)}
    assert alone["notebook"] == f"reglab execute {slug}"
    assert alone["claims"] == f"reglab check {slug} --robust"
    assert alone["recorded point"].startswith(f"reglab record {slug} --spot ")
    assert alone["arms and seeds"] == f"pytest --deep --papers={slug} tests/test_papers.py"
    assert alone["website"] == "reglab book --preview"
    whole = {job.check: job.alone for job in verify.jobs([FIRST], everything=True)}
    assert whole["claims"] == f"reglab check {slug} --compare" and set(whole) - set(alone) == {"ends of knobs"}
    assert whole["ends of knobs"] == f"pytest --deep --papers={slug} tests/test_settings.py"
    assert {job.paper for job in jobs} == {"", FIRST, SECOND} and len({job.name for job in jobs}) == len(jobs)


TOOL = """
import subprocess, sys, time
from pathlib import Path

name, how = sys.argv[1:]

def note(word):
    with (Path(__file__).parent / "notes").open("a") as notes:
        notes.write(f"{name} {word}\\n")

note("begins")
if how == "sleeps":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note("sleeps")
    time.sleep(600)
note("ends")
print("said by", name)
sys.exit(how == "fails")
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Offer the module `tool`: it notes its beginning and its end, and fails or sleeps where it is told to."""
    (tmp_path / "tool.py").write_text(TOOL)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return tmp_path / "notes"


def job(name: str, how: str = "works", check: str = "", after: tuple[str, ...] = ()) -> Job:
    return Job("", check or name, ("tool", name, how), after)


@pytest.mark.parametrize("width", [1, 3])
def test_jobs_wait_for_what_they_need_and_failures_stop_nothing(tool: Path, width: int) -> None:
    jobs = [job("late", after=("early",)), job("one", "fails", "early"), job("two", check="early"), job("three")]
    told: list[tuple[str, int]] = []
    outcomes = verify.run(jobs, lambda one, left: told.append((one.said, left)), width)
    assert [(one.job, one.well) for one in outcomes] == [(job, job is not jobs[1]) for job in jobs]
    assert [one.said for one in outcomes] == [f"said by {job.command[1]}" for job in jobs]
    assert sorted(left for _, left in told) == [0, 1, 2, 3]
    notes = tool.read_text().splitlines()
    assert notes.index("late begins") > max(notes.index("one ends"), notes.index("two ends"))


def test_a_stop_ends_every_process(tool: Path) -> None:
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
        "from reglab.verify import Job, run\n"
        "run([Job('', name, ('tool', name, 'sleeps')) for name in 'ab'], lambda *_: None, 2)\n"
    )
    process = processes.start([sys.executable, "-c", code])
    processes.wait_for(lambda: tool.exists() and tool.read_text().count("sleeps") == 2, process)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) == 4
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=processes.GUARD)
    assert process.returncode == 3
    assert not psutil.wait_procs(family, timeout=processes.GUARD)[1]


def test_the_command_says_what_failed_and_how_to_repeat_it(
    tool: Path, inside: Callable[..., subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen: list[object] = []

    def jobs(papers: list[str], everything: bool, shown: set[str]) -> list[Job]:
        chosen.append((papers, everything, shown))
        return [job("good"), job("bad", "fails")] if not everything else []

    monkeypatch.setattr(verify, "jobs", jobs)
    monkeypatch.setattr(verify, "changed", lambda below="": [THIRD] if below else [FIRST, SECOND, THIRD])
    monkeypatch.setenv("COLUMNS", "200")
    report = tmp_path / "report.md"
    done = inside("verify", "--changed", FIRST, "--report", report)
    assert done.returncode == 1 and chosen == [([FIRST, SECOND, THIRD], False, {SECOND})]
    assert "✓ good: " in done.stderr and "✗ bad: " in done.stderr and "0 of 2 left" in done.stderr
    assert "bad failed:\nsaid by bad" in done.stderr
    assert done.stderr.endswith("Error: bad failed; alone: tool bad fails\n")
    assert report.read_text(encoding="utf-8").count("\n") == 4
    assert inside("verify", "--all").returncode == 0 and chosen[-1] == (list(catalogue.SLUGS), True, set())


def test_the_report_is_a_table(tmp_path: Path) -> None:
    outcomes = [
        Outcome(verify.jobs([FIRST])[0], True, 12.3, "first line\n9 | 9"),
        Outcome(verify.jobs([FIRST])[1], False, 0.4, ""),
        Outcome(verify.jobs([FIRST])[2], True, 1, "Differs: a\nsame\nDiffers: b\nend"),
    ]
    rows = verify.table(outcomes).splitlines()
    assert rows[2] == f"| {FIRST} | notebook | ✓ | 12 | 9 \\| 9 |" and rows[3].endswith("✗ | 0 |  |")
    assert rows[4].endswith("| ✓ | 1 | Differs: a<br>Differs: b |")
