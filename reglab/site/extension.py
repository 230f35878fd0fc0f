"""A small Sphinx extension: docstrings are Markdown, notebooks are folded, and edited where they are written."""

from __future__ import annotations

import re
from typing import Any

from reglab.site import notebooks

MARKUP = re.compile(r"`(?P<span>[^`]+)`|(?P<block>(?:^ {4}.*\n)+)|(?P<sign>[*|_\\])", re.MULTILINE)
"""What docstrings have that is code, and signs that reStructuredText would take for its own."""


def setup(app: Any) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    app.connect("source-read", _fold)
    app.connect("html-page-context", _name_folds)
    app.connect("html-page-context", _edit_source, priority=400)
    app.connect("html-page-context", _run_yourself)
    app.connect("html-page-context", _download, priority=502)  # the theme makes its buttons at 501
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn code spans and indented lines into literals and show every other sign as it is."""

    def written(found: re.Match[str]) -> str:
        if found["span"]:
            return f"``{found['span']}``\\ "
        return f"::\n\n{found['block']}" if found["block"] else f"\\{found['sign']}"

    lines[:] = MARKUP.sub(written, "\n".join(lines)).split("\n")


def _signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Write the default of a field that is made for each object as `...`, which Sphinx can read."""
    return signature and re.sub(r"<[^<>]*>", "...", signature), returns


def _fold(app: Any, page: str, source: list[str]) -> None:
    """Fold the code of a notebook where its page is read, so that the notebook itself stays as it was written."""
    if page.startswith("lab/"):
        source[0] = notebooks.folded(source[0])


def _name_folds(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let what opens folded code be called what it shows; MyST-NB gives it another name for screen readers."""
    if "body" in context:
        context["body"] = context["body"].replace('<summary aria-label="Toggle hidden content">', "<summary>")


def _edit_source(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let the edit button of a notebook lead to its source under `lab/`, which is not a part of the book's folder."""
    if page.startswith("lab/"):
        context["page_source_suffix"] = ".py"
        context["theme_path_to_docs"] = context["doc_path"] = ""


def _run_yourself(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Say on the page of a paper, above its first section, how to run it."""
    first, notebook = '<section id="the-idea">', page.removeprefix("lab/")
    if page.startswith("lab/") and first in context.get("body", ""):
        where, stem = context["pathto"]("install"), page.rsplit("/", 1)[1]
        take = " · ".join(
            f'<a href="{stem}-{kind}.ipynb" download>{said}</a>' for kind, said in notebooks.TAKEN.items()
        )
        said = (
            f'<p class="run-yourself"><a href="{where}">Run this page yourself</a>: <code>{notebook}.ipynb</code>'
            f"<br>Take the notebook with you: {take}</p>"
        )
        context["body"] = context["body"].replace(first, f"{said}\n{first}", 1)


def _download(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Offer the two notebooks of a paper where the theme offers the file that the page was built from."""
    if not page.startswith("lab/"):
        return
    stem = page.rsplit("/", 1)[1]
    taken = [
        {
            "type": "link",
            "url": f"{stem}-{kind}.ipynb",
            "text": f"{said} (.ipynb)",
            "icon": "fas fa-file",
            "tooltip": f"Download the notebook {said}",
            "label": f"download-{kind}-button",
        }
        for kind, said in notebooks.TAKEN.items()
    ]
    for group in context["header_buttons"]:
        if group["label"] == "download-buttons":
            others = [button for button in group["buttons"] if button["label"] != "download-source-button"]
            group["buttons"] = [*(taken if page.count("/") > 1 else ()), *others]
