"""Notebooks are written as text, `lab/**/*.py`, and paired with the .ipynb beside it."""

from __future__ import annotations

import os
from pathlib import Path

from reglab import catalogue

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
"""The kernel that every notebook asks for."""


def pair(folder: Path | None = None) -> list[Path]:
    """Write the .ipynb beside every notebook of the lab from its .py; returns those that changed."""
    changed = []
    for source in sources(folder):
        target, text = source.with_suffix(".ipynb"), paired(source.read_text(encoding="utf-8"))
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8", newline="\n")
            changed.append(target)
        # Jupytext in JupyterLab refuses to open an .ipynb that is newer than its .py
        os.utime(target, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    return changed


def sources(folder: Path | None = None) -> list[Path]:
    """Return all notebooks of the lab as the texts that people write, `lab/**/*.py`."""
    return sorted(
        path for path in (folder or catalogue.ROOT / "lab").rglob("*.py") if ".ipynb_checkpoints" not in path.parts
    )


def paired(text: str) -> str:
    """Return the .ipynb of a notebook written as text: no outputs, cells numbered, the same on every machine."""
    import jupytext
    import nbformat

    notebook = jupytext.reads(text, fmt="py:percent")
    header = notebook.metadata
    notebook.metadata = {"kernelspec": header.get("kernelspec", KERNEL), "language_info": {"name": "python"}}
    if "formats" in header.get("jupytext", {}):  # with it, JupyterLab writes both files
        notebook.metadata["jupytext"] = {"formats": header["jupytext"]["formats"]}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell["id"] = str(number)
    return nbformat.writes(nbformat.from_dict(notebook), version=4) + "\n"
