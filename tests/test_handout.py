"""A notebook as students get it: no solution, three exercises, marked cells, and it runs as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from handouts import answered, cell, code, put, source

from reglab import catalogue, handout
from reglab.exercise import WrongAnswerError
from reglab.site import execute
from reglab.site.worker import Task

every_paper = pytest.mark.parametrize("paper", catalogue.SLUGS)


@every_paper
def test_no_solution_is_left(paper: str) -> None:
    made = handout.for_students(source(paper), paper)
    text = "\n".join(one.source for one in made.cells)
    solved = [one.source for one in source(paper).cells if "solution" in one.metadata.get("tags", [])]
    lines = {line.strip() for one in solved for line in one.splitlines()}
    given = re.compile(r"def my_|import |</?details>|```|$")  # what the exercise itself says, too
    assert len(solved) == 3 and not [line for line in lines if not given.match(line) and line in text and " " in line]
    assert "<summary>Solution" not in text


@every_paper
def test_three_exercises_are_found_in_the_order_of_their_cells(paper: str) -> None:
    made = handout.for_students(source(paper), paper)
    nbformat.validate(made)
    assert made.metadata[handout.NAMED] == paper and "jupytext" not in made.metadata
    marked = [one for one in made.cells if "nbgrader" in one.metadata]
    assert [handout.exercise(one) for one in marked] == sorted(handout.exercise(one) for one in marked)
    for number in (1, 2, 3):
        own = [one for one in marked if handout.exercise(one) == number]
        checks = [one for one in own if handout.is_check(one)]
        assert handout.is_answer(own[0]) and checks == own[1:]
        assert all(one.source.startswith("notebook.check(") for one in checks)
        assert sum(one.metadata.nbgrader.points for one in checks) == 1
    ids = [one.id for one in made.cells]
    assert len(set(ids)) == len(ids) and all(handout.grade_id(one) == one.id for one in marked)
    page = [one.source for one in made.cells if one.cell_type == "code"]
    whole = [one.source for one in source(paper).cells if one.cell_type == "code"]
    assert re.sub(r"\s+", "", "".join(page)) == re.sub(r"\s+", "", "".join(whole)), "no line of code is lost"


def test_the_source_stays_as_it_is() -> None:
    given = source("noise/cutmix")
    before = nbformat.writes(given)
    handout.for_students(given, "noise/cutmix").cells[0].source = "changed"
    assert nbformat.writes(given) == before


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("a = 1\n\nnotebook.check(a, f)  # why", ("a = 1", "notebook.check(a, f)  # why")),
        ("notebook.check(\n    a, f\n)", ("", "notebook.check(\n    a, f\n)")),
        ("notebook.check(a, f)\na = 1", ("notebook.check(a, f)\na = 1", "")),
        ("%time a", ("%time a", "")),
        ("", ("", "")),
    ],
)
def test_a_check_is_split_from_the_answer(source: str, parts: tuple[str, str]) -> None:
    assert handout.split(source) == parts


def test_a_check_that_belongs_to_nothing_is_refused() -> None:
    check = nbformat.v4.new_code_cell("notebook.check(1, exercises.check_one)")
    with pytest.raises(ValueError, match="stands in no exercise"):
        handout.for_students(nbformat.v4.new_notebook(cells=[check]), "noise/cutmix")
    heading = nbformat.v4.new_markdown_cell("**1. Why?**")
    with pytest.raises(ValueError, match="exercise 1: no answer cell"):
        handout.for_students(nbformat.v4.new_notebook(cells=[heading, check]), "noise/cutmix")


def test_an_unanswered_handout_runs_from_top_to_bottom(tmp_path: Path) -> None:
    paper = "noise/cutmix"
    put(tmp_path / "cutmix.ipynb", answered(paper, {}))
    task = Task(
        paper, tmp_path / "cutmix.ipynb", tmp_path / "ran.ipynb", "", True, execute.task(paper, True).parameters
    )
    assert execute.execute([task], 1) == []
    ran = nbformat.read(tmp_path / "ran.ipynb", as_version=4)
    for number in (1, 2, 3):
        assert "Not answered yet." in cell(ran, f"cutmix-{number}-check").outputs[-1]["data"]["text/plain"]


def test_only_nbgrader_gets_an_error_for_an_answer_that_is_not_right(monkeypatch: pytest.MonkeyPatch) -> None:
    from reglab import notebook
    from reglab.papers.noise.cutmix import exercises

    assert notebook.check((0.25, 0.141), exercises.check_label).text.startswith("✗ Not yet. Hint: ")
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert notebook.check((0.75, 0.141), exercises.check_label).text.startswith("✓ Right. ")
    for answer in (None, (None, None), (0.25, 0.141)):
        with pytest.raises(WrongAnswerError):
            notebook.check(answer, exercises.check_label)


@every_paper
def test_a_solution_uses_no_name_that_its_page_lacks(paper: str) -> None:
    """A student who copies it gets no `NameError`."""
    page = [one.source for one in source(paper).cells if one.cell_type == "code"]
    whole = "\n\n".join([*page, *(code(paper, number) for number in (1, 2, 3))])
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", "-"]
    found = subprocess.run(command, input=whole, capture_output=True, text=True, encoding="utf-8")
    assert found.returncode == 0, found.stdout
