"""A notebook as students get it: without the solutions, with answer cells and check cells that graders find.

The cells carry the metadata of nbgrader, which other tools leave alone. An answer cell holds what the student writes;
a check cell, `notebook.check(answer, exercises.checker)`, is an automatic test. Every check cell has its own name
(`grade_id`), which is the cell's id, too: `cutmix-2-answer`, `cutmix-2-check`, and `cutmix-2-check-2` for a second one.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import Any

from nbformat import NotebookNode, from_dict, v4

NAMED = "reglab_paper"
"""Where the notebook's metadata name the paper."""

HEADING = re.compile(r"^\*\*(\d+)\. ", re.M)
"""So begins the text of an exercise, with its number."""


def for_students(notebook: NotebookNode, paper: str) -> NotebookNode:
    """Return a paper's notebook without solutions and outputs, its answer and check cells marked; changes nothing.

    `paper` is its full name, as "noise/cutmix". Each exercise is worth one point, which its check cells share. Raises
    `ValueError` for a check that stands before every exercise, or that has no answer cell before it.
    """
    slug, number, cells = paper.rpartition("/")[2], 0, []
    for cell in notebook.cells:
        if "solution" in cell.metadata.get("tags", []):
            continue
        if cell.cell_type != "code":
            found = HEADING.findall(cell.source)
            number = int(found[-1]) if found else number
            cells.append(from_dict(cell))
            continue
        answer, check = split(cell.source)
        if check and not number:
            raise ValueError(f"{paper}: the check {check!r} stands in no exercise; begin the text before it with **1.")
        if not check:
            cells.append(v4.new_code_cell(cell.source, id=cell.id, metadata=from_dict(cell.metadata)))
            continue
        if answer:
            cells.append(_marked(answer, f"{slug}-{number}-answer", cells))
        cells.append(_marked(check, f"{slug}-{number}-check", cells))
    checks = Counter(exercise(cell) for cell in cells if is_check(cell))
    answered = {exercise(cell) for cell in cells if is_answer(cell)}
    if lacking := [one for one in checks if one not in answered]:
        raise ValueError(f"{paper}, exercise {lacking[0]}: no answer cell; name the answer in a line before the check")
    for cell in filter(is_check, cells):
        cell.metadata.nbgrader["points"] = 1 / checks[exercise(cell)]
    metadata = {key: notebook.metadata[key] for key in ("kernelspec", "language_info") if key in notebook.metadata}
    return v4.new_notebook(cells=cells, metadata={**metadata, NAMED: paper})


def split(source: str) -> tuple[str, str]:
    """Return what stands before the check at the end of a code cell, and that check; the source and "" without one."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a line for IPython
        return source, ""
    if not body or not ast.unparse(body[-1]).startswith("notebook.check("):
        return source, ""
    lines, first = source.splitlines(), body[-1].lineno - 1
    return "\n".join(lines[:first]).rstrip(), "\n".join(lines[first:])


def is_answer(cell: NotebookNode) -> bool:
    """Tell whether a student answers in a cell."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def is_check(cell: NotebookNode) -> bool:
    """Tell whether a cell checks an answer."""
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def grade_id(cell: NotebookNode) -> str:
    """Return the name by which graders find a cell; its id where a tool has taken the metadata away."""
    given = cell.metadata.get("nbgrader")
    return str(given.get("grade_id", "") if isinstance(given, dict) else cell.get("id", ""))


def exercise(cell: NotebookNode) -> int:
    """Return the number of the exercise to which an answer or check cell of `for_students` belongs."""
    return int(grade_id(cell).split("-")[1])


def _marked(source: str, name: str, before: list[NotebookNode]) -> NotebookNode:
    """Return an answer or check cell under its name, with a number behind it where cells before have that name."""
    taken = sum(re.sub(r"-\d+$", "", cell.id) == name for cell in before)
    full, check = f"{name}-{taken + 1}" if taken else name, name.endswith("check")
    marks: dict[str, Any] = {"grade": check, "solution": not check, "locked": check, "task": False}
    marks |= {"grade_id": full, "schema_version": 3}
    metadata = {"nbgrader": marks, "deletable": False} | ({"editable": False} if check else {})
    return v4.new_code_cell(source, id=full, metadata=metadata)
