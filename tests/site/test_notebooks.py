"""What the website makes of a notebook."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from reglab import catalogue
from reglab.site import execute, notebooks


def paired(name: str) -> str:
    return (catalogue.ROOT / "lab" / f"{name}.ipynb").read_text(encoding="utf-8")


def cells(text: str) -> list[dict[str, Any]]:
    return list(json.loads(text)["cells"])


@pytest.mark.parametrize("name", catalogue.SLUGS)
def test_code_is_folded_but_not_the_method_and_the_answers(name: str) -> None:
    before, after = cells(paired(name)), cells(notebooks.folded(paired(name)))
    kinds = set()
    for old, new in zip(before, after, strict=True):
        code = "".join(old["source"])
        opened = "notebook.source(" in code or "notebook.check(" in code
        tags = old["metadata"].get("tags", [])
        hidden = old["cell_type"] == "code" and not opened
        assert new == old if not hidden else new["metadata"]["tags"] == [*tags, "hide-input"]
        kinds |= {hidden, *tags} if old["cell_type"] == "code" else set()
    assert kinds == {True, False, "parameters", "thumbnail"}


@pytest.mark.parametrize("name", catalogue.SLUGS)
def test_students_get_the_whole_page_without_solutions(name: str) -> None:
    students, solutions = (notebooks.taken(paired(name), solutions=kind) for kind in (False, True))
    assert cells(solutions) == cells(paired(name))
    assert "<summary>Solution" in solutions and "<summary>Solution" not in students
    assert cells(students) == [cell for cell in cells(solutions) if "solution" not in cell["metadata"].get("tags", [])]
    assert set(json.loads(students)["metadata"]) == {"kernelspec", "language_info"}


def test_the_notebook_for_students_runs_and_is_unanswered(tmp_path: Path) -> None:
    name = "weights/weight_compander"
    source, target = tmp_path / "students.ipynb", tmp_path / "executed.ipynb"
    source.write_text(notebooks.taken(paired(name), solutions=False), encoding="utf-8")
    task = dataclasses.replace(execute.task(name, quick=True), source=source, target=target)
    assert execute.execute([task]) == []
    checked = [cell for cell in cells(target.read_text(encoding="utf-8")) if "check(" in "".join(cell["source"])]
    said = ["".join(output["data"]["text/plain"]) for cell in checked for output in cell["outputs"]]
    assert len(said) == len(checked) >= 3 and all("answer" in text and "✓" not in text for text in said), said
