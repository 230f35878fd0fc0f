"""What a second process computes: the same numbers, told while it goes on, and nothing that stays behind."""

from __future__ import annotations

import gc
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import commands
import nbformat
import processes
import psutil
import pytest
from nbclient import NotebookClient

from reglab import catalogue, notebook
from reglab.beside import Started
from reglab.experiment import Experiment

SEEDS = (0, 3)
KIND = catalogue.experiment(commands.PAPER)


@pytest.fixture
def experiment() -> Experiment:
    return KIND.make({**KIND().settings(), **KIND.smoke})


@contextmanager
def one_more() -> Iterator[list[psutil.Process]]:
    """Give a list that holds at the end the processes that have been started inside to compute."""
    before, found = {one.pid for one in multiprocessing.active_children()}, list[psutil.Process]()
    yield found
    found += [psutil.Process(one.pid) for one in multiprocessing.active_children() if one.pid not in before]


def test_it_computes_the_same_and_ends(experiment: Experiment) -> None:
    told: list[float] = []
    with one_more() as new:
        started = Started(experiment, SEEDS, alone=False)
    found = started.results(told.append)
    assert found.identical(experiment.run(SEEDS))
    assert told == sorted(told) and told[-1] == 1 and len(told) > 2
    (process,) = new
    process.wait(processes.GUARD)
    assert started.results(told.append) is found, "who asks again does not wait again"


def test_what_a_killed_process_did_not_compute_is_computed_here(experiment: Experiment) -> None:
    with one_more() as new:
        started = Started(experiment, SEEDS, alone=False)
    new[0].kill()
    assert started.results(lambda fraction: None).identical(experiment.run(SEEDS))


@pytest.mark.parametrize("alone", [True, False])
def test_an_error_is_raised_as_often_as_results_are_asked_for(experiment: Experiment, alone: bool) -> None:
    started = Started(experiment, (), alone)
    for _ in range(2):
        with pytest.raises(ValueError, match="give how many"):
            started.results(lambda fraction: None)


def test_it_ends_with_the_object_that_stands_for_it() -> None:
    with one_more() as new:
        started = Started(KIND(), tuple(range(100)), alone=False)
    del started
    gc.collect()
    new[0].wait(processes.GUARD)


def test_it_ends_with_a_process_that_is_killed() -> None:
    code = (
        "import multiprocessing; from reglab import catalogue; from reglab.beside import Started; "
        f"one = Started(catalogue.experiment({commands.PAPER!r})(), tuple(range(100)), alone=False); "
        "print(multiprocessing.active_children()[0].pid, flush=True); input()"
    )
    process = processes.start([sys.executable, "-c", code], stdin=subprocess.PIPE, cwd=catalogue.ROOT)
    assert process.stdout is not None
    other = psutil.Process(int(process.stdout.readline()))
    process.kill()
    other.wait(processes.GUARD)
    process.communicate()


@pytest.mark.parametrize("name", ["LOKY_MAX_CPU_COUNT", notebook.QUICK])
def test_with_one_core_and_where_a_page_runs_quickly_nothing_is_started(
    name: str, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with one_more() as new:
        started = notebook.start(experiment, SEEDS)
    assert not new and started.alone
    assert notebook.run(started).identical(experiment.run(SEEDS))


def test_a_quick_page_runs_less_than_it_asks_for(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(notebook.QUICK, "1")
    started = notebook.start(KIND(), 8)
    assert (started.experiment, started.seeds) == (experiment, (0, 1))


def test_the_cells_of_a_notebook_share_a_second_process(tmp_path: Path) -> None:
    cells = (
        f"from reglab import catalogue, notebook; kind = catalogue.experiment({commands.PAPER!r})",
        "one = kind(**kind.smoke)",
        "later = notebook.start(one, [5])",
        "found = notebook.run(later)",
        "assert found.identical(one.run([5]))",
    )
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    NotebookClient(page, resources={"metadata": {"path": str(tmp_path)}}).execute()
    (output,) = page.cells[3].outputs
    assert output["data"]["text/plain"] == f"{KIND.__name__}: 1 seed × {len(KIND.arms)} arms in a second process"
