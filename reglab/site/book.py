"""The website: one Jupyter Book build from generated pages and executed notebooks, then what the build leaves to do.

The site needs no other host, and no server either.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from filelock import FileLock

from reglab import catalogue, files
from reglab.pictures.page import EMBEDDED, unpacked
from reglab.site import execute, notebooks, replay
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
    quickly = [name for name in execute.names() if execute.ran_quickly(name)]
    if quickly and not preview:
        raise ValueError(f"run quickly, and so not to be published: {', '.join(quickly)}; run `reglab execute --stale`")
    site = PREVIEW if preview else SITE
    lock = BOOK / "_build" / "build.lock"
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):  # two builds take turns
        generate()
        _write_config()
        shown, former = _shown(), _built_of(site)
        changed = {path for path in shown | former if shown.get(path) != former.get(path)}
        _noted(site).unlink(missing_ok=True)  # whoever stops from here on leaves a site that is built again as a whole
        _sphinx(site, everything=not former or any(_unseen(path, site) for path in changed))
        _prune(site)
        notebooks.beside(site)
        _links(site)
        _pictures(site)
        _replays(site)
        _scripts(site)
        files.write(_noted(site), json.dumps(shown))
    return site / "index.html"


def _sphinx(site: Path, everything: bool) -> None:
    code = "from jupyter_book.cli.main import main; main(prog_name='jupyter-book')"
    arguments = [
        "build",
        str(BOOK),
        "--config",
        str(GENERATED / "_config.yml"),
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
    index = site / "index.html"
    if done.returncode or not index.is_file():
        index.unlink(missing_ok=True)
        raise RuntimeError(f"the website could not be built:\n{_tail(done.stdout)}")
    index.touch()


def _unseen(path: str, site: Path) -> bool:
    """Tell whether Sphinx would not see that a file has changed: it goes by time, and does not look at all of them."""
    source, index = catalogue.ROOT / path, site / "index.html"
    makers = (BOOK / "_static", catalogue.ROOT / "reglab" / "site")
    shared = source.name in ("_config.yml", "_toc.yml") or any(map(source.is_relative_to, makers))
    return shared or not source.is_file() or source.stat().st_mtime <= index.stat().st_mtime


def _noted(site: Path) -> Path:
    """Return the file that says what a finished site was built of; none is there while it is being built."""
    return site.parent / "built.json"


def _built_of(site: Path) -> dict[str, str]:
    """Return the digests of what a site was built of; nothing for one that is not there or not finished."""
    noted = _noted(site)
    return json.loads(noted.read_bytes()) if noted.is_file() and (site / "index.html").is_file() else {}


def _shown() -> dict[str, str]:
    """Return the digest of every file that the website shows, by its path."""
    root = catalogue.ROOT
    paths = [root / "CONTRIBUTING.md", *(root / "data" / "claims").rglob("*.json")]
    paths += [path for kind in ("py", "js") for path in (root / "reglab").rglob(f"*.{kind}")]
    paths += (root / "data" / "recorded").rglob("*.nc")
    paths += [path for path in BOOK.rglob("*") if "_build" not in path.relative_to(BOOK).parts]
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in sorted(paths)
        if path.is_file()
    }


def stale(preview: bool = False) -> bool:
    """Tell whether the website is missing, not finished, or built of other files than there are now."""
    return _built_of(PREVIEW if preview else SITE) != _shown()


def zipped(site: Path = SITE) -> Path:
    """Pack a built website into one archive that opens by a double click on `index.html`; returns its path."""
    target, content = site.parent / "reglab.zip", io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(site.rglob("*")):
            if path.is_file():
                archive.write(path, Path("reglab") / path.relative_to(site))
    files.write(target, content.getvalue())
    return target


def _write_config() -> None:
    import yaml

    config = _config(os.environ.get("REGLAB_REPOSITORY", ""))
    files.write(GENERATED / "_config.yml", yaml.safe_dump(config, allow_unicode=True))


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
    """Remove the builds of MathJax that no page loads, more than half of the site, and pieces of the theme.

    The executed notebooks go, too: what a page offers to take away is written beside it.
    """
    shutil.rmtree(site / "_sources" / "lab", ignore_errors=True)
    for bundle in (site / "_static" / "mathjax").glob("*.js"):
        if bundle.name != "tex-chtml.js":
            bundle.unlink()
    for piece in (site / "_static").glob("*webpack-macros.html"):
        piece.unlink()


def _links(site: Path) -> None:
    """Let links to notebooks in a cell's output lead to their pages; Sphinx does so only in what people wrote.

    What the theme opens in a tab of its own is a file to keep.
    """
    for page in (site / "lab").rglob("*.html"):

        def leads(found: re.Match[str], page: Path = page) -> str:
            target = f"{found[1]}.html"
            return f'href="{target}{found[2]}"' if (page.parent / target).is_file() else found[0]

        text = page.read_text(encoding="utf-8").replace('.ipynb" target="_blank"', '.ipynb" download')
        files.write(page, re.sub(r'href="([^":#?]+)\.ipynb(#[^"]*|)"', leads, text))


def _pictures(site: Path) -> None:
    """Move the pictures inside pages into files beside them, so that a screen loads only the form it shows."""
    for page in (*(site / "lab").rglob("*.html"), *(site / "parts").glob("*.html")):
        text = _without_pictures(page)
        files.write(page, text)
        for former in page.parent.glob(f"{page.stem}-*.*"):
            if former.suffix in (".svg", ".webp") and former.name not in text:
                former.unlink()


def _without_pictures(page: Path) -> str:
    """Write the pictures inside a page to files, named by what they hold, and return the page with their names."""

    def moved(found: re.Match[str]) -> str:
        kind, content = unpacked(found)
        name = f"{page.stem}-{hashlib.sha256(content).hexdigest()[:12]}.{kind}"
        files.write(page.with_name(name), content)
        return f'"{name}"'

    text = page.read_text(encoding="utf-8")
    return re.sub(EMBEDDED, moved, text)


def _replays(site: Path) -> None:
    """Write the recorded grids beside the pages that replay them, and the one script that draws them."""
    files.write(site / "_static" / "charts" / "vega.js", replay.bundle())
    for name in catalogue.SLUGS:
        for kind in catalogue.experiments(name):
            if kind.grid:
                files.write(site / "lab" / Path(name).parent / replay.file_name(kind), replay.script(kind))


def _scripts(site: Path) -> None:
    """Move the scripts inside pages into files, so that a server may forbid every script that is not one.

    Neighbors become one file, named by what it holds. The theme's button to print is known to `reglab.js`.
    """
    folder, names = site / "_static" / "inline", set()
    inside = r"<script(?![^>]*\b(?:src|type)=)[^>]*>(.*?)</script>"  # with a type it may be data
    for page in site.rglob("*.html"):
        root = "../" * (len(page.relative_to(site).parts) - 1)

        def moved(found: re.Match[str], root: str = root) -> str:
            content = "".join(f"{script.strip()}\n" for script in re.findall(inside, found[0], re.S))
            name = f"{hashlib.sha256(content.encode()).hexdigest()[:12]}.js"
            files.write(folder / name, content)
            return f'<script src="{root}_static/inline/{name}"></script>'

        text = page.read_text(encoding="utf-8").replace('<button onclick="window.print()"', "<button")
        text = re.sub(rf"{inside}(?:\s*{inside})*", moved, text, flags=re.S)
        files.write(page, text)
        names |= set(re.findall(r"_static/inline/(\w+\.js)", text))
    for former in folder.glob("*.js"):
        if former.name not in names:
            former.unlink()


def _tail(log: str) -> str:
    """Return the warnings and errors of a build log and its end."""
    kept = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", log).splitlines() if line.strip()]
    warnings = [line for line in kept[:-25] if re.search(r"WARNING|ERROR", line)]
    return "\n".join(warnings[-25:] + kept[-25:])
