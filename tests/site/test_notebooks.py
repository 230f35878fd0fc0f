"""What the website makes of a notebook."""

from __future__ import annotations

import json
from typing import Any

import nbformat
import pytest

from reglab import catalogue, handout
from reglab.site import notebooks


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
def test_a_page_offers_a_notebook_for_students_and_one_with_solutions(name: str) -> None:
    found = notebooks.taken(name)
    assert set(found) == set(notebooks.TAKEN)
    assert cells(found["solutions"]) == cells(paired(name)) and "<summary>Solution" in found["solutions"]
    assert set(json.loads(found["solutions"])["metadata"]) == {"kernelspec", "language_info"}
    handed = handout.for_students(nbformat.reads(paired(name), as_version=4), name)
    assert nbformat.reads(found["students"], as_version=4) == handed
