"""A small Sphinx extension: docstrings are Markdown, and notebooks are edited where they are written."""

from __future__ import annotations

import re
from typing import Any


def setup(app: Any) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    app.connect("html-page-context", _edit_source, priority=400)
    app.connect("html-page-context", _run_yourself)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn code spans into literals and show every other sign as it is."""
    pieces = re.split(r"`([^`]+)`", "\n".join(lines))
    shown = [f"``{piece}``\\ " if i % 2 else re.sub(r"([*|_\\])", r"\\\1", piece) for i, piece in enumerate(pieces)]
    lines[:] = "".join(shown).split("\n")


def _signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Write the default of a field that is made for each object as `...`, which Sphinx can read."""
    return signature and re.sub(r"<[^<>]*>", "...", signature), returns


def _edit_source(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let the edit button of a notebook lead to its source under `lab/`, which is not a part of the book's folder."""
    if page.startswith("lab/"):
        context["page_source_suffix"] = ".py"
        context["theme_path_to_docs"] = context["doc_path"] = ""


def _run_yourself(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Say on the page of a paper, above its first section, how to run it."""
    first, notebook = '<section id="the-idea">', page.removeprefix("lab/")
    if page.startswith("lab/") and first in context.get("body", ""):
        where = context["pathto"]("install")
        said = (
            f'<p class="run-yourself"><a href="{where}">Run this page yourself</a>: <code>{notebook}.ipynb</code></p>'
        )
        context["body"] = context["body"].replace(first, f"{said}\n{first}", 1)
