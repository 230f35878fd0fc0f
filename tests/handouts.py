"""Handed-out notebooks for tests, with answers in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from reglab import catalogue, handout


def source(paper: str) -> NotebookNode:
    """Return the lab's notebook of a paper, given by its full name."""
    return nbformat.read(catalogue.ROOT / "lab" / f"{paper}.ipynb", as_version=4)


def solution(paper: str, number: int) -> str:
    """Return the text of the solution of an exercise."""
    solved = 0
    for cell in source(paper).cells:
        if "solution" in cell.metadata.get("tags", []):
            solved += 1
            if solved == number:
                return str(cell.source)
    raise KeyError(f"{paper} has no solution {number}")


def code(paper: str, number: int) -> str:
    """Return the code in the solution of an exercise."""
    return "\n\n".join(re.findall(r"```python\n(.*?)```", solution(paper, number), re.S))


def cell(notebook: NotebookNode, name: str) -> NotebookNode:
    """Return the cell with an id."""
    return next(one for one in notebook.cells if one.id == name)


def answered(paper: str, answers: Mapping[int, str]) -> NotebookNode:
    """Return a paper's handout in which a student wrote these answers, by the number of the exercise."""
    made = handout.for_students(source(paper), paper)
    for number, text in answers.items():
        cell(made, f"{paper.partition('/')[2]}-{number}-answer").source = text
    return made


def put(path: Path, notebook: NotebookNode) -> None:
    """Write a notebook as a student returns it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(notebook), encoding="utf-8")
