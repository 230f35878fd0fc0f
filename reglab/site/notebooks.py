"""What the website makes of a notebook: a page whose code is folded, and two files to take away."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat

from reglab import catalogue, files, handout
from reglab.site import pairs

TAKEN = {"students": "for students", "solutions": "with solutions"}
"""The two files of a page, by the last word of their names."""


def folded(text: str) -> str:
    """Fold the code of a page; what shows the method and where a reader answers stay open.

    Takes and returns an .ipynb as text.
    """
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and not re.search(r"\b(source|check)\(", "".join(cell["source"])):
            cell["metadata"].setdefault("tags", []).append("hide-input")
    return json.dumps(notebook)


def taken(name: str) -> dict[str, str]:
    """Return the two files of a page as text, by the last word of their names; neither is tied to the .py any more."""
    notebook = nbformat.read(catalogue.ROOT / "lab" / f"{name}.ipynb", as_version=4)
    students = handout.for_students(notebook, name)
    for key in ("jupytext", pairs.NOTE):
        notebook.metadata.pop(key, None)
    return {"students": nbformat.writes(students) + "\n", "solutions": nbformat.writes(notebook) + "\n"}


def beside(site: Path) -> None:
    """Write beside every paper's page its notebook for students and the one with solutions."""
    for name in catalogue.SLUGS:
        for kind, text in taken(name).items():
            files.write(site / "lab" / f"{name}-{kind}.ipynb", text)
