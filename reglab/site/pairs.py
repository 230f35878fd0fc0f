"""Notebooks are written as text, `lab/**/*.py`, and paired with the .ipynb beside it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reglab import catalogue, files

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
"""The kernel that every notebook asks for."""

NOTE = "reglab_paired"
"""Where an .ipynb notes the version that it was given, so that one that was changed is not overwritten."""


def pair(folder: Path | None = None) -> list[Path]:
    """Write the .ipynb beside every notebook of the lab from its .py; returns those that changed.

    Raises `ValueError`, before anything is written, that names those .ipynb which hold what neither their .py nor an
    earlier version of it did: somebody wrote there without Jupytext.
    """
    texts = {source.with_suffix(".ipynb"): paired(source.read_text(encoding="utf-8")) for source in sources(folder)}
    edited = [str(target) for target, text in texts.items() if _edited(target, text)]
    if edited:
        raise ValueError(
            f"{', '.join(edited)}: changed without the .py beside it, which would be lost; write the change into the "
            ".py, and remove the .ipynb"
        )
    changed = []
    for target, text in texts.items():
        source = target.with_suffix(".py")
        if files.write(target, text):
            changed.append(target)
        # Jupytext in JupyterLab refuses to open an .ipynb that is newer than its .py
        os.utime(target, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    return changed


def _edited(target: Path, text: str) -> bool:
    """Tell whether a file has other cells than the text to be written, and than it was given before."""
    if not target.is_file():
        return False
    try:
        notebook = json.loads(target.read_text(encoding="utf-8"))
        return version(notebook) not in (notebook["metadata"].get(NOTE), version(json.loads(text)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return True


def version(notebook: Mapping[str, Any]) -> str:
    """Return the digest of a notebook's cells without their outputs; 16 hex digits."""
    cells = [[cell["cell_type"], "".join(cell["source"])] for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def sources(folder: Path | None = None) -> list[Path]:
    """Return all notebooks of the lab as the texts that people write, `lab/**/*.py`."""
    if folder is None:
        catalogue.need_checkout()
        folder = catalogue.ROOT / "lab"
    return sorted(path for path in folder.rglob("*.py") if ".ipynb_checkpoints" not in path.parts)


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
    notebook.metadata[NOTE] = version(notebook)
    return nbformat.writes(nbformat.from_dict(notebook), version=4) + "\n"
