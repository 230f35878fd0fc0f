"""What the website makes of a notebook: a page whose code is folded, and two files to take away."""

from __future__ import annotations

import json
import re
from pathlib import Path

from reglab import catalogue, files
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


def taken(text: str, solutions: bool) -> str:
    """Return a notebook to take away, with or without the cells tagged as solutions.

    Takes and returns an .ipynb as text. It is no longer tied to the .py of a checkout.
    """
    notebook = json.loads(text)
    notebook["metadata"] = {
        key: value for key, value in notebook["metadata"].items() if key not in ("jupytext", pairs.NOTE)
    }
    if not solutions:
        notebook["cells"] = [cell for cell in notebook["cells"] if "solution" not in cell["metadata"].get("tags", ())]
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def beside(site: Path) -> None:
    """Write beside every paper's page its notebook for students and the one with solutions."""
    for name in catalogue.SLUGS:
        text = (catalogue.ROOT / "lab" / f"{name}.ipynb").read_text(encoding="utf-8")
        for kind in TAKEN:
            files.write(site / "lab" / f"{name}-{kind}.ipynb", taken(text, solutions=kind == "solutions"))
