"""A book of two pages in a folder of its own, built by the lab's own code; as a program, it builds it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from reglab import catalogue
from reglab.site import book, execute

PAGES = {
    "_config.yml": "title: t\nsphinx: {config: {html_theme_options: {}}}\n",
    "_toc.yml": "format: jb-book\nroot: index\nchapters: [{file: one}]\n",
    "index.md": "# Title\n\n[Here](one.md) more.\n",
    "one.md": "# One\n\nThe first text.\n",
    "_static/look.css": "p { color: black }\n",
}


def plan(patch: Callable[..., None], root: Path) -> Path:
    """Let the lab build the book in a folder, which gets the pages that it has not; returns where the site will be."""
    for name, text in PAGES.items():
        path = root / "book" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            path.write_text(text, encoding="utf-8")
    patch(catalogue, "ROOT", root)
    patch(catalogue, "SLUGS", [])
    patch(book, "BOOK", root / "book")
    patch(book, "GENERATED", root / "book" / "generated")
    patch(book, "SITE", root / "book" / "_build" / "html")
    patch(book, "generate", lambda: None)
    patch(execute, "names", lambda: [])
    return root / "book" / "_build" / "html"


if __name__ == "__main__":
    plan(setattr, Path(sys.argv[1]))
    book.build()
