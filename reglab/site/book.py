"""The website: one Jupyter Book build from generated pages and executed notebooks, then what the build leaves to do.

The site needs no other host, and no server either.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from reglab import catalogue, files
from reglab.site import execute, replay
from reglab.site.pages import BOOK, GENERATED, generate

SITE = BOOK / "_build" / "html"
PREVIEW = BOOK / "_build" / "preview" / "_build" / "html"
"""The website as tests look at it; notebooks that were run quickly may stand in it, so it is never published."""


def build(preview: bool = False) -> Path:
    """Build the website from the executed notebooks and return its first page.

    Only a preview may show notebooks that were run quickly. Raises `ValueError` that names such a notebook otherwise,
    `FileNotFoundError` when one has not been executed, `RuntimeError` with the end of the log when the build gives an
    error or a warning.
    """
    import yaml

    quickly = [name for name in execute.names() if execute.ran_quickly(name)]
    if quickly and not preview:
        raise ValueError(f"run quickly, and so not to be published: {', '.join(quickly)}; run `reglab execute --stale`")
    site = PREVIEW if preview else SITE
    generate()
    config = GENERATED / "_config.yml"
    changed = files.write(config, yaml.safe_dump(_config(os.environ.get("REGLAB_REPOSITORY", "")), allow_unicode=True))
    index = site / "index.html"
    # Sphinx looks at pages only to see what is out of date
    shared = [BOOK / "_toc.yml", *(BOOK / "_static").rglob("*")]
    everything = changed or not index.is_file() or any(_newer(path, index) for path in shared)
    code = "from jupyter_book.cli.main import main; main(prog_name='jupyter-book')"
    arguments = [
        "build",
        str(BOOK),
        "--config",
        str(config),
        "--path-output",
        str(site.parent.parent),
        "-q",
        "-W",
        "--keep-going",
        *(["--all"] if everything else []),
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    if done.returncode or not index.is_file():
        # Sphinx remembers pages that it has read and would not warn about them again
        shutil.rmtree(site.parent / ".doctrees", ignore_errors=True)
        index.unlink(missing_ok=True)
        raise RuntimeError(f"the website could not be built:\n{_tail(done.stdout)}")
    _prune(site)
    _links(site)
    _pictures(site)
    _replays(site)
    index.touch()
    return index


def _newer(path: Path, other: Path) -> bool:
    return path.is_file() and path.stat().st_mtime > other.stat().st_mtime


def zipped(site: Path = SITE) -> Path:
    """Pack a built website into one archive that opens by a double click on `index.html`; returns its path."""
    target, content = site.parent / "reglab.zip", io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(site.rglob("*")):
            if path.is_file():
                archive.write(path, Path("reglab") / path.relative_to(site))
    files.write(target, content.getvalue())
    return target


def stale(preview: bool = False) -> bool:
    """Tell whether the website is missing or older than something that it shows."""
    index = (PREVIEW if preview else SITE) / "index.html"
    if not index.is_file():
        return True
    root = catalogue.ROOT
    code = [path for kind in ("py", "js") for path in (root / "reglab").rglob(f"*.{kind}")]
    inputs = [root / "CONTRIBUTING.md", *code, *(root / "data" / "claims").rglob("*.json")]
    inputs += (root / "data" / "recorded").rglob("*.nc")
    inputs += [path for path in BOOK.rglob("*") if not {"_build", "generated"} & set(path.relative_to(BOOK).parts)]
    return any(_newer(path, index) for path in inputs)


def _config(repository: str) -> dict[str, Any]:
    """Return the configuration of the book, with buttons that lead to the repository when its address is given."""
    import yaml

    config: dict[str, Any] = yaml.safe_load((BOOK / "_config.yml").read_text(encoding="utf-8"))
    if repository:
        config["sphinx"]["config"]["html_theme_options"].update(
            repository_url=repository.rstrip("/"),
            repository_branch="main",
            path_to_docs="book",
            use_repository_button=True,
            use_edit_page_button=True,
            use_issues_button=True,
        )
    return config


def _prune(site: Path) -> None:
    """Remove the builds of MathJax that no page loads, more than half of the site, and pieces of the theme."""
    for bundle in (site / "_static" / "mathjax").glob("*.js"):
        if bundle.name != "tex-chtml.js":
            bundle.unlink()
    for piece in (site / "_static").glob("*webpack-macros.html"):
        piece.unlink()


def _links(site: Path) -> None:
    """Let links to notebooks in a cell's output lead to their pages; Sphinx does so only in what people wrote."""
    for page in (site / "lab").rglob("*.html"):

        def leads(found: re.Match[str], page: Path = page) -> str:
            target = f"{found[1]}.html"
            return f'href="{target}{found[2]}"' if (page.parent / target).is_file() else found[0]

        files.write(page, re.sub(r'href="([^":#?]+)\.ipynb(#[^"]*|)"', leads, page.read_text(encoding="utf-8")))


def _pictures(site: Path) -> None:
    """Move the pictures of notebooks into files beside their pages, so that a screen loads only the form it shows."""
    for page in (site / "lab").rglob("*.html"):
        text = _without_pictures(page)
        files.write(page, text)
        for former in page.parent.glob(f"{page.stem}-*.*"):
            if former.suffix in (".svg", ".webp") and former.name not in text:
                former.unlink()


def _without_pictures(page: Path) -> str:
    """Write the pictures inside a page to files, named by what they hold, and return the page with their names."""

    def moved(found: re.Match[str]) -> str:
        content = base64.b64decode(found[2])
        name = f"{page.stem}-{hashlib.sha256(content).hexdigest()[:12]}.{found[1]}"
        files.write(page.with_name(name), content)
        return f'"{name}"'

    text = page.read_text(encoding="utf-8")
    return re.sub(r'"data:image/(svg|webp)(?:\+xml)?;base64,([A-Za-z0-9+/=]+)"', moved, text)


def _replays(site: Path) -> None:
    """Write the recorded grids beside the pages that replay them, and the one script that draws them."""
    files.write(site / "_static" / "charts" / "vega.js", replay.bundle())
    for name in catalogue.SLUGS:
        for kind in catalogue.experiments(name):
            if kind.grid:
                files.write(site / "lab" / Path(name).parent / replay.file_name(kind), replay.script(kind))


def _tail(log: str) -> str:
    """Return the warnings and errors of a build log and its end."""
    kept = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", log).splitlines() if line.strip()]
    warnings = [line for line in kept[:-25] if re.search(r"WARNING|ERROR", line)]
    return "\n".join(warnings[-25:] + kept[-25:])
