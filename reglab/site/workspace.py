"""A person's own copies of the notebooks, outside version control: using the lab never changes its source.

What a person changed is never overwritten. The folder remembers in `.reglab.json` which version of each page it was
given; a page counts as changed when its cells are others, whatever their outputs are.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reglab import catalogue, files
from reglab.site.pairs import NOTE, version

FOLDER = catalogue.ROOT / "work"
"""Where the copies lie if the person names no other folder; git ignores it."""

MEMORY = ".reglab.json"


def pages() -> dict[str, Path]:
    """Return the notebooks of the lab by their names, as "labels/early_learning"; `ValueError` without a checkout."""
    catalogue.need_checkout()
    source = catalogue.ROOT / "lab"
    return {
        path.relative_to(source).with_suffix("").as_posix(): path
        for path in sorted(source.rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts
    }


def fill(folder: Path) -> list[Path]:
    """Give a folder every page that it lacks, and the new version of those that the person has not changed.

    Where the person has changed an older version, the new one lies beside it; returns those. Raises `ValueError` when
    nothing can be written there.
    """
    sources = pages()
    folder.mkdir(parents=True, exist_ok=True)
    memory, beside = _memory(folder), []
    for page, source in sources.items():
        given, target = _given(source), folder / f"{page}.ipynb"
        newest, own = version(given), _version_of(target)
        if own is None or own == memory.get(page) != newest:
            _write(target, given)
        elif own != newest != memory.get(page):
            beside.append(_free(target, "new"))
            _write(beside[-1], given)
        memory[page] = newest
    files.write(folder / MEMORY, json.dumps(memory, indent=1) + "\n")
    return beside


def reset(folder: Path, page: str) -> Path | None:
    """Let a folder have a page again as the lab has it; what it had gets another name, which is returned.

    The page is "index" or named as its paper. Raises `KeyError` for a name that no page has.
    """
    target, kept = folder / f"{page if page == 'index' else catalogue.find(page)}.ipynb", None
    if target.exists():
        kept = _free(target, "old")
        target.rename(kept)
    fill(folder)
    return kept


def _given(source: Path) -> dict[str, Any]:
    """Return a notebook as a folder gets it: without the pairing that would let JupyterLab write a second file."""
    notebook: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    for unwanted in ("jupytext", NOTE):
        notebook["metadata"].pop(unwanted, None)
    return notebook


def _version_of(path: Path) -> str | None:
    """Return the digest of a page that the folder has, "" for one that cannot be read, None where there is none."""
    if not path.exists():
        return None
    try:
        return version(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _memory(folder: Path) -> dict[str, str]:
    """Return which version of each page a folder was given; of a page that is not named here, none is known."""
    try:
        return {str(page): str(version) for page, version in json.loads((folder / MEMORY).read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _free(target: Path, word: str) -> Path:
    """Return a name beside a page that no file has: `page-new`, `page-new-2`, …"""
    names = (f"{target.stem}-{word}{f'-{number}' if number > 1 else ''}.ipynb" for number in itertools.count(1))
    return next(path for path in map(target.with_name, names) if not path.exists())


def _write(target: Path, notebook: Mapping[str, Any]) -> None:
    files.write(target, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
