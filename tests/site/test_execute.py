"""Running notebooks: real kernels, real limits, nothing left behind."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import nbformat
import processes
import psutil
import pytest

from reglab import catalogue
from reglab.results import settings_of
from reglab.site import execute
from reglab.site.execute import Failure
from reglab.site.pairs import KERNEL
from reglab.site.worker import Task

pytestmark = pytest.mark.notebook


def notebook(folder: Path, name: str, *cells: str) -> Task:
    """Write a small notebook and return the task of running it."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
    made.cells = [nbformat.v4.new_code_cell(textwrap.dedent(cell), id=str(i)) for i, cell in enumerate(cells)]
    source = folder / f"{name}.ipynb"
    nbformat.write(made, source)
    return Task(name, source, folder / "out" / f"{name}.ipynb", "abc")


def left_behind(marker: str) -> list[int]:
    """Return the processes with this `REGLAB_MARKER` that do not end; those that are about to end are waited for."""

    def found() -> list[psutil.Process]:
        return [one for one in psutil.process_iter() if one.pid != os.getpid() and marked(one, marker)]

    psutil.wait_procs(found(), timeout=processes.GUARD)
    return [one.pid for one in found()]


def marked(process: psutil.Process, marker: str) -> bool:
    try:
        return process.environ().get("REGLAB_MARKER") == marker
    except (psutil.AccessDenied, psutil.NoSuchProcess, OSError):
        return False


def test_a_notebook_runs_as_it_is_whatever_a_person_has_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "ipython_kernel_config.py": "c.InteractiveShellApp.exec_lines = ['mine = 1']",
        "startup/mine.py": "import numpy; numpy.seterr(all='raise'); from math import *",
    }.items():
        path = tmp_path / "ipython" / "profile_default" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    cells = (
        "import numpy\nassert numpy.geterr()['over'] == 'warn' and not {'mine', 'sin'} & set(dir())",
        "numpy.exp(1e9)",
    )
    assert execute.execute([notebook(tmp_path, "plain", *cells)]) == []


def test_a_notebook_runs_and_says_what_it_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    task = notebook(
        tmp_path,
        "good",
        "import ipywidgets, os\nipywidgets.IntSlider()",
        "import time\ntime.sleep(1)\nblock = b'x' * 300_000_000\nprint('here:', os.getcwd())",
        "print('threads:', os.environ.get('OMP_NUM_THREADS'))",
    )
    said: list[tuple[int, str]] = []
    begin = time.monotonic()
    assert execute.execute([task], progress=lambda done, name: said.append((done, name))) == []
    took = time.monotonic() - begin
    assert said == [(1, "good")]
    copy: Any = nbformat.read(task.target, as_version=4)
    nbformat.validate(copy)
    assert f"here: {tmp_path}" in copy.cells[1].outputs[0].text
    assert "widgets" not in copy.metadata and "papermill" not in copy.metadata
    assert "application/vnd.jupyter.widget-view+json" in copy.cells[0].outputs[0].data
    noted = copy.metadata["reglab"]
    assert set(noted) == {"seconds", "peak_memory_mb", "digest", "quick", "date"} and noted["quick"] is False
    assert noted["digest"] == "abc"
    assert 1 <= noted["seconds"] <= round(took, 1), "longer than its cells, shorter than the call that ran it"
    assert 330 < noted["peak_memory_mb"] < 1000, "the kernel's memory, with the 300 MB that a cell took"
    last = copy.cells[-1]
    assert last.cell_type == "markdown" and last.source.startswith("This page ran in ")
    assert f"{noted['peak_memory_mb']} MB of memory" in last.source
    assert sorted(path.name for path in task.target.parent.iterdir()) == ["good.ipynb"]
    assert json.loads(task.source.read_text())["cells"][0]["outputs"] == [], "the source stays without outputs"


def test_all_failures_are_listed_with_cell_and_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGLAB_MARKER", str(tmp_path))
    tasks = [
        notebook(tmp_path, "wrong", "x = 1", "# divide\nx / 0", "print('never')"),
        notebook(tmp_path, "good", "import os\nprint('threads:', os.environ['OMP_NUM_THREADS'])"),
        notebook(tmp_path, "dies", "import os\nos._exit(3)"),
    ]
    failures = execute.execute(tasks, jobs=2)
    assert [(failure.name, failure.cell) for failure in failures] == [("wrong", 2), ("dies", 1)]
    assert str(failures[0]) == "wrong, cell 2: ZeroDivisionError: division by zero [the cell begins: # divide]"
    assert "DeadKernelError" in failures[1].error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.ipynb"], "no copy of what failed"
    copy: Any = nbformat.read(tasks[1].target, as_version=4)
    assert "threads: 1" in copy.cells[0].outputs[0].text
    assert " on one core " in copy.cells[-1].source
    assert left_behind(str(tmp_path)) == []


def test_a_notebook_in_which_nothing_moves_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGLAB_MARKER", str(tmp_path))
    waits = "# wait\nimport time\nwhile True:\n    time.sleep(1)"
    tasks = [notebook(tmp_path, name, "x = 1", waits, "print('never')") for name in ("first", "second")]
    failures = execute.execute(tasks, jobs=2, stall=5)
    assert [(failure.name, failure.cell) for failure in failures] == [("first", 2), ("second", 2)]
    said = "stopped, since nothing moved for 5 s (--stall SECONDS waits longer) [the cell begins: # wait]"
    assert all(failure.error == said for failure in failures)
    assert not (tmp_path / "out").exists(), "no copy of what failed"
    assert left_behind(str(tmp_path)) == []


def test_a_notebook_may_compute_as_long_as_it_likes(tmp_path: Path) -> None:
    works = "import time\nwhile time.process_time() < 8:\n    pass"
    task = notebook(tmp_path, "slow", works)
    assert execute.execute([task], stall=2) == []
    assert task.target.is_file()


def test_an_older_copy_survives_a_failure(tmp_path: Path) -> None:
    task = notebook(tmp_path, "wrong", "raise ValueError('no\\nlast line')")
    task.target.parent.mkdir()
    task.target.write_text("old")
    assert "last line" in execute.execute([task])[0].error
    assert task.target.read_text() == "old"


def test_a_notebook_that_failed_has_a_copy_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = catalogue.SLUGS[0]
    monkeypatch.setattr(execute, "copy_of", lambda name: tmp_path / f"{name}.ipynb")
    execute.keep_failed(Failure(name, 3, "ValueError: <no> `number`"))
    copy: Any = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    nbformat.validate(copy)
    assert "This page did not run" in copy.cells[1].source
    assert f"\n{name}, cell 3: ValueError: <no> `number`\n" in copy.cells[1].source
    assert execute.failed(name) and execute.stale(name) and execute.stale(name, quick=True)
    assert not execute.ran_quickly(name), "it may be published, and says what it is"


@pytest.mark.skipif(os.name == "nt", reason="the fake kernel is a shell script")
@pytest.mark.parametrize("starts_at", [2, 3])
def test_only_a_kernel_that_does_not_start_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starts_at: int
) -> None:
    spec = tmp_path / "share" / "kernels" / "python3"
    spec.mkdir(parents=True)
    tries, script = tmp_path / "tries", tmp_path / "kernel.sh"
    script.write_text(
        f'echo try >> "{tries}"\n'
        f'test "$(wc -l < "{tries}")" -ge {starts_at} || exit 1\n'
        f'exec "{sys.executable}" -m ipykernel_launcher -f "$1"\n'
    )
    argv = ["/bin/sh", str(script), "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "flaky", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    failures = execute.execute([notebook(tmp_path, "good", "1 + 1")])
    assert tries.read_text().count("try") == 2
    if starts_at == 2:
        assert failures == []
    else:
        assert len(failures) == 1 and "the kernel did not start" in failures[0].error


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT and SIGTERM to send")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_leaves_no_process_and_no_half_file(tmp_path: Path, number: signal.Signals, status: int) -> None:
    shutil.copytree(catalogue.ROOT / "reglab", tmp_path / "reglab")  # a lab of its own, with slow notebooks
    slow = "import time\nopen('started', 'a').write('x')\ntime.sleep(3600)"
    for name in (execute.INDEX, *catalogue.SLUGS):
        (tmp_path / "lab" / name).parent.mkdir(parents=True, exist_ok=True)
        notebook(tmp_path / "lab", name, slow.replace("started", str(tmp_path / "started")))
    environment = {**os.environ, "REGLAB_MARKER": str(tmp_path)}
    command = [sys.executable, "-m", "reglab", "execute", "index", catalogue.SLUGS[0]]
    process = processes.start(command, cwd=tmp_path, env=environment)
    started, expected = tmp_path / "started", min(2, os.cpu_count() or 1)
    processes.wait_for(lambda: started.exists() and len(started.read_text()) == expected, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=processes.GUARD)
    assert process.returncode == status
    assert "Traceback" not in errors
    assert left_behind(str(tmp_path)) == []
    assert [path for path in (tmp_path / "book").rglob("*") if path.is_file()] == []


# ---------------------------------------------------------------------------------------------------------- quickly


def quickly(task: Task, **parameters: Any) -> Task:
    """Return the same task, to be run quickly."""
    return dataclasses.replace(task, quick=True, parameters=parameters)


def test_quick_notebooks_take_parameters_and_share_a_kernel_that_is_emptied(tmp_path: Path) -> None:
    told = "import os\nprint(os.getpid(), os.getcwd(), 'kept' in dir())\nkept = 1"
    tasks = [
        quickly(notebook(tmp_path, name, "# a title", "seeds = 8", told, "print(seeds)"), seeds=2) for name in "ab"
    ]
    for task in tasks:
        made: Any = nbformat.read(task.source, as_version=4)
        made.cells[1].metadata["tags"] = ["parameters"]
        nbformat.write(made, task.source)
    assert execute.execute(tasks, jobs=1) == []
    copies: list[Any] = [nbformat.read(task.target, as_version=4) for task in tasks]
    said = [cell.outputs[0].text.strip() for copy in copies for cell in copy.cells if cell.get("outputs")]
    assert said[1] == said[3] == "2" and said[0] == said[2], "the same process, and nothing kept"
    assert said[0].split(maxsplit=1)[1] == f"{tmp_path} False"
    for copy in copies:
        assert copy.metadata["reglab"]["quick"] is True
        assert "must not be published" in copy.cells[1].source and "run quickly" in copy.cells[-1].source


def test_a_quick_notebook_that_fails_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGLAB_MARKER", str(tmp_path))
    wrong, dies = (
        notebook(tmp_path, "wrong", "seeds = 8", "1 / 0"),
        notebook(tmp_path, "dies", "import os; os._exit(3)"),
    )
    made: Any = nbformat.read(wrong.source, as_version=4)
    made.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(made, wrong.source)
    tasks = [quickly(wrong, seeds=2), quickly(dies), quickly(notebook(tmp_path, "good", "1"))]
    said: list[tuple[int, str]] = []
    failures = execute.execute(tasks, jobs=1, progress=lambda done, name: said.append((done, name)))
    assert said == [(1, "wrong"), (2, "dies"), (3, "good")]
    assert [(one.name, one.cell) for one in failures] == [("wrong", 2), ("dies", 1)], "cells of the source are counted"
    assert "ZeroDivisionError" in failures[0].error and "DeadKernelError" in failures[1].error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.ipynb"]
    assert left_behind(str(tmp_path)) == []


def test_the_smallest_setting_is_what_a_quick_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from reglab import notebook as page

    found = execute.task("early_learning", quick=True)
    kind = catalogue.experiment("early_learning")
    assert found.quick and found.parameters == {"seeds": page.QUICK_SEEDS, **kind.smoke}
    assert execute.task(execute.INDEX, quick=True).parameters == {} and not execute.task("early_learning").quick
    stopping = catalogue.experiment("early_learning", "StoppingTime")
    whole = page.run(stopping.make({**stopping.smoke, "noise": 0.3}), 3)
    monkeypatch.setenv(page.QUICK, "1")
    small = page.run(stopping.make({"noise": 0.3}), 3)
    assert small.seed.values.tolist() == [0, 1] and settings_of(small) == settings_of(whole)


def test_a_quick_copy_counts_only_where_quick_ones_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.ipynb"
    monkeypatch.setattr(execute, "copy_of", lambda name: copy)
    digest = execute.digest(execute.INDEX)
    for noted, stale, stale_quick in (
        ({"digest": digest, "quick": True}, True, False),
        ({"digest": digest, "quick": False}, False, False),
        ({"digest": "0" * 16, "quick": True}, True, True),
    ):
        copy.write_text(json.dumps({"metadata": {"reglab": noted}}))
        assert (execute.stale(execute.INDEX), execute.stale(execute.INDEX, quick=True)) == (stale, stale_quick)


# ------------------------------------------------------------------------------------------------ pairs and digests


def test_unknown_notebooks_are_refused() -> None:
    with pytest.raises(KeyError, match="did you mean 'early_learning'"):
        execute.task("early_lerning")


def test_a_copy_is_stale_when_what_it_shows_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "labels/early_learning"
    files = ["lab/index.ipynb", f"lab/{name}.ipynb", f"reglab/papers/{name}/method.py", f"data/claims/{name}.json"]
    files += ["reglab/data.py", "reglab/cli/papers.py", "reglab/site/book.py"]
    for file in files:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    monkeypatch.setattr(catalogue, "PACKAGE", tmp_path / "reglab")
    monkeypatch.setattr(catalogue, "SLUGS", (name,))

    def keep() -> None:
        for task in map(execute.task, execute.names()):
            task.target.parent.mkdir(parents=True, exist_ok=True)
            task.target.write_text(json.dumps({"metadata": {"reglab": {"digest": task.digest}}}))

    def stale() -> list[str]:
        return [name for name in execute.names() if execute.stale(name)]

    assert stale() == ["index", name]
    keep()
    assert stale() == []
    changes = {
        "reglab/cli/papers.py": [],
        "reglab/site/book.py": [],
        f"lab/{name}.ipynb": [name],
        "lab/index.ipynb": ["index"],
        f"data/claims/{name}.json": ["index", name],
        f"reglab/papers/{name}/method.py": ["index", name],
        "reglab/data.py": ["index", name],
    }
    for file, expected in changes.items():
        (tmp_path / file).write_text("changed")
        assert stale() == expected, file
        keep()
    execute.task(name).target.write_text("{")
    assert stale() == [name]


def test_all_notebooks_of_the_lab_run_through(site: Path) -> None:
    assert [name for name in execute.names() if execute.stale(name, quick=True)] == []
