"""The website: pages generated from catalogue, notebooks and measured claims, then one Jupyter Book build.

Nothing on the site is typed twice: cards, thumbnails, lists and the table of claims come from what the lab declares
and measures. The site needs no other host, and no server either.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reglab import catalogue, claims, files
from reglab.notebook import MARKS
from reglab.pictures import words
from reglab.site import execute, replay

BOOK = catalogue.ROOT / "book"
SITE = BOOK / "_build" / "html"
PREVIEW = BOOK / "_build" / "preview" / "_build" / "html"
"""The website as tests look at it; notebooks that were run quickly may stand in it, so it is never published."""
GENERATED = BOOK / "generated"


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
    changed = _write(config, yaml.safe_dump(_config(os.environ.get("REGLAB_REPOSITORY", "")), allow_unicode=True))
    index = site / "index.html"
    # Sphinx looks at pages only to see what is out of date
    shared = [BOOK / "_toc.yml", *(BOOK / "_static").rglob("*")]
    afresh = changed or not index.is_file() or any(_newer(path, index) for path in shared)
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
        *(["--all"] if afresh else []),
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
    _pictures(site)
    _replays(site)
    index.touch()
    return index


def _newer(path: Path, other: Path) -> bool:
    return path.is_file() and path.stat().st_mtime > other.stat().st_mtime


def zipped(site: Path = SITE) -> Path:
    """Pack a built website into one archive that opens by a double click on `index.html`; returns its path."""
    target = site.parent / "reglab.zip"
    with files.at_once(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(site.rglob("*")):
            if path.is_file():
                archive.write(path, Path("reglab") / path.relative_to(site))
    return target


def stale(preview: bool = False) -> bool:
    """Tell whether the website is missing or older than something that it shows."""
    index = (PREVIEW if preview else SITE) / "index.html"
    if not index.is_file():
        return True
    root = catalogue.ROOT
    inputs = [root / "CONTRIBUTING.md", *(root / "reglab").rglob("*.py"), *(root / "reglab" / "pictures").glob("*.js")]
    inputs += (root / "data" / "claims").rglob("*.json")
    inputs += (root / "data" / "recorded").rglob("*.nc")
    inputs += [path for path in BOOK.rglob("*") if not {"_build", "generated"} & set(path.relative_to(BOOK).parts)]
    return any(_newer(path, index) for path in inputs)


def generate() -> None:
    """Write everything generated to `book/generated/`: cards, lists, thumbnails, claims, the list of modules.

    Raises `FileNotFoundError` when a notebook has not been executed yet.
    """
    missing = [name for name in ("index", *catalogue.SLUGS) if not (BOOK / "lab" / f"{name}.ipynb").is_file()]
    if missing:
        raise FileNotFoundError(f"not executed yet: {', '.join(missing)}; run `reglab execute` first")
    alts = {name: _thumbnail(name) for name in catalogue.SLUGS}
    papers = catalogue.papers()
    gallery = []
    for key, part in catalogue.PARTS.items():
        cards = "\n".join(_card(paper, alts[paper.name]) for paper in papers if paper.part == key)
        if cards:
            grid = f":::::{{grid}} 1 2 2 3\n:gutter: 3\n:class-container: gallery\n\n{cards}\n:::::\n"
            gallery.append(f"### {part.title}\n\n{grid}")
        else:
            grid = "The papers of this part are still being added.\n"
        _write(GENERATED / f"part-{key}.md", grid)
    _write(GENERATED / "gallery.md", "\n".join(gallery))
    _write(GENERATED / "parts.md", _parts(papers))
    measured = {name: content for name in catalogue.SLUGS if (content := claims.read(name)) is not None}
    _write(GENERATED / "summary.md", _summary(measured))
    _write(GENERATED / "claims.md", claims_page(measured))
    _write(GENERATED / "api.md", "\n".join(_modules()))


def claims_page(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page of claims as Markdown, given what `claims.read` returned for each paper by name."""
    pieces = [_summary(measured), *_overview(measured)]
    for name, content in measured.items():
        paper = catalogue.paper(name)
        scaled = {claim["experiment"]: claim["scaled"] for claim in content["claims"] if claim["scaled"]}
        last = ", the last" if " to " in content["date"] else ""
        versions = ", ".join(f"{package} {version}" for package, version in content["versions"].items())
        pieces.append(
            f"(claims-{paper.slug})=\n## {_plain(paper.short)}: {_plain(paper.title)}\n\n"
            f"[To the page of this paper](/lab/{name}) · {paper.venue} {paper.year} · {_counts(content['claims'])}\n\n"
            "```{list-table}\n:header-rows: 1\n:class: claims\n:widths: 24 24 17 14 21\n\n"
            "* - The paper says\n  - We claim\n  - We measured\n  - Verdict\n  - How\n"
            + "".join(_row(claim) for claim in content["claims"])
            + "```\n\n"
            + "".join(f"What was scaled down in {kind}: {_plain(text)}.\n\n" for kind, text in scaled.items())
            + f"Measured on {content['date']}{last} with {_plain(versions)}.\n"
        )
        if content["stale"]:
            pieces.append(
                ":::{attention}\nThe code of this paper has changed since these claims were measured. "
                f"`reglab check --stale {name.split('/')[1]}` measures again what it changes.\n:::\n"
            )
    missing = [_plain(catalogue.paper(name).short) for name in catalogue.SLUGS if name not in measured]
    if measured and missing:
        pieces.append(f"Not measured yet: {', '.join(missing)}.\n")
    return "\n".join(pieces)


def _overview(measured: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield, for more than one paper, a list that leads to the table of each."""
    if len(measured) > 1:
        for name, content in measured.items():
            paper = catalogue.paper(name)
            yield f"- [{_plain(paper.short)}](#claims-{paper.slug}): {_counts(content['claims'])}"
        yield ""


def _row(claim: Mapping[str, Any]) -> str:
    verdict, rule = claim["verdict"], claim["rule"]
    spread = {"every seed": "seeds from", "exact": ""}.get(rule, "95 % interval")
    interval = ""
    if spread and claim["low"] is not None:
        interval = f"<br>{spread} {_number(claim['low'])} to {_number(claim['high'])}"
    count = f"{claim['experiment']}, {words.seeds(claim['seeds'])}"
    how = [_plain(count), *(_linked(claim, label, knobs) for label, knobs in claim["settings"].items())]
    cells = [
        _plain(claim["reported"]),
        _plain(claim["claim"]) + ("<br>[essential]{.essential}" if claim["essential"] else ""),
        f"**{_number(claim['effect'])}**{interval}<br>must be {_plain(claim['bound'].replace('-', '−'))}",
        f"[{MARKS[verdict]}]{{.verdict .{verdict.replace(' ', '-')}}}"
        + (f"<br>{_plain(claim['why'])}" if claim["why"] else ""),
        "<br>".join(how),
    ]
    return "".join(f"{'* -' if i == 0 else '  -'} {cell}\n" for i, cell in enumerate(cells))


def _linked(claim: Mapping[str, Any], label: str, knobs: Mapping[str, Any]) -> str:
    """Return a setting of a claim as a link to where its page shows it: the replay there, or the table of claims."""
    kind = catalogue.experiment(claim["paper"], claim["experiment"])
    place = replay.address(kind.make(knobs)) or "does-it-hold"
    text = f"{label}: " + (", ".join(f"{knob} = {_setting(value)}" for knob, value in knobs.items()) or "defaults")
    return f'<a href="lab/{claim["paper"]}.html#{html.escape(place)}">{html.escape(text)}</a>'


def _number(value: float | None) -> str:
    return "not known" if value is None else words.number(value)


def _setting(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _counts(records: list[dict[str, Any]]) -> str:
    count = Counter(record["verdict"] for record in records)
    return " · ".join(f"{mark}: {count[verdict]}" for verdict, mark in MARKS.items() if count[verdict])


def _summary(measured: Mapping[str, Mapping[str, Any]]) -> str:
    records = [record for content in measured.values() for record in content["claims"]]
    if not records:
        return "No claim has been measured yet.\n"
    papers = "1 paper" if len(measured) == 1 else f"{len(measured)} papers"
    total = "1 claim" if len(records) == 1 else f"{len(records)} claims"
    return f"**{total} of {papers} measured:** {_counts(records)}\n"


def _card(paper: catalogue.Paper, alt: str) -> str:
    return (
        f"::::{{grid-item-card}} {_plain(paper.short)}\n"
        f":link: /lab/{paper.name}\n:link-type: doc\n:link-alt: {_line(f'{paper.short}: {paper.title}')}\n"
        f":img-top: /generated/thumbnails/{paper.part}-{paper.slug}.png\n:img-alt: {_line(alt)}\n\n"
        f"**{_plain(paper.title)}**\n\n{_plain(paper.idea)}\n\n"
        f":::{{div}} card-note\n{_plain(paper.venue)} {paper.year} · {paper.minutes} minutes\n:::\n::::\n"
    )


def _parts(papers: list[catalogue.Paper]) -> str:
    cards = []
    for key, part in catalogue.PARTS.items():
        count = sum(paper.part == key for paper in papers)
        state = "papers are being added" if not count else "1 paper" if count == 1 else f"{count} papers"
        cards.append(
            f"::::{{grid-item-card}} {part.title}\n:link: /parts/{key}\n:link-type: doc\n:link-alt: {part.title}\n\n"
            f"{_plain(part.idea)}\n\n:::{{div}} card-note\n{state}\n:::\n::::\n"
        )
    return ":::::{grid} 1 2 3 4\n:gutter: 3\n\n" + "\n".join(cards) + ":::::\n"


def _modules() -> Iterator[str]:
    """Yield one section for each module of the core, in alphabetical order."""
    for source in catalogue.core():
        if source.stem == "__main__":
            continue
        name = ".".join(source.relative_to(catalogue.ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield f"## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n```\n"


def _thumbnail(name: str) -> str:
    """Write the picture of a paper's card and return its alt text; raises `ValueError` where there is no picture."""
    from PIL import Image

    source = BOOK / "lab" / f"{name}.ipynb"
    for cell in json.loads(source.read_text(encoding="utf-8"))["cells"]:
        if "thumbnail" not in cell["metadata"].get("tags", ()):
            continue
        for output in cell.get("outputs", ()):
            bundle = output.get("data", {})
            if "image/png" not in bundle:
                continue
            markup = "".join(bundle.get("text/html", ""))
            alt = re.search(r'<img[^>]*?\balt="([^"]+)"', markup)
            with Image.open(io.BytesIO(base64.b64decode("".join(bundle["image/png"])))) as picture:
                small = picture.convert("RGBA")
                small.thumbnail((720, 540))
                flat = Image.new("RGB", small.size, "white")
                flat.paste(small, mask=small.getchannel("A"))
            buffer = io.BytesIO()
            flat.save(buffer, "PNG", optimize=True)
            _write(GENERATED / "thumbnails" / f"{name.replace('/', '-')}.png", buffer.getvalue())
            return html.unescape(alt[1]) if alt else f"The main picture of {catalogue.paper(name).short}"
    raise ValueError(f"{source}: no cell tagged 'thumbnail' has an image/png output; tag the one with the main picture")


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
    """Remove the builds of MathJax that no page loads; they are more than half of the site."""
    for bundle in (site / "_static" / "mathjax").glob("*.js"):
        if bundle.name != "tex-chtml.js":
            bundle.unlink()


def _pictures(site: Path) -> None:
    """Move the pictures of notebooks into files beside their pages, so that a screen loads only the form it shows."""
    for page in (site / "lab").rglob("*.html"):
        text = _without_pictures(page)
        _write(page, text)
        for former in page.parent.glob(f"{page.stem}-*.*"):
            if former.suffix in (".svg", ".webp") and former.name not in text:
                former.unlink()


def _without_pictures(page: Path) -> str:
    """Write the pictures inside a page to files, named by what they hold, and return the page with their names."""

    def moved(found: re.Match[str]) -> str:
        content = base64.b64decode(found[2])
        name = f"{page.stem}-{hashlib.sha256(content).hexdigest()[:12]}.{found[1]}"
        _write(page.with_name(name), content)
        return f'"{name}"'

    text = page.read_text(encoding="utf-8")
    return re.sub(r'"data:image/(svg|webp)(?:\+xml)?;base64,([A-Za-z0-9+/=]+)"', moved, text)


def _replays(site: Path) -> None:
    """Write the recorded grids beside the pages that replay them, and the one script that draws them."""
    _write(site / "_static" / "charts" / "vega.js", replay.bundle())
    for name in catalogue.SLUGS:
        for kind in catalogue.module(name).EXPERIMENTS:
            if kind.grid:
                _write(site / "lab" / Path(name).parent / replay.file_name(kind), replay.script(kind))


def _plain(text: str) -> str:
    """Return Markdown that shows a text exactly as it is."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", _line(text))


def _line(text: str) -> str:
    return " ".join(text.split())


def _tail(log: str, lines: int = 25) -> str:
    """Return the warnings and errors of a build log and its end."""
    kept = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", log).splitlines() if line.strip()]
    warnings = [line for line in kept[:-lines] if re.search(r"WARNING|ERROR", line)]
    return "\n".join(warnings[-lines:] + kept[-lines:])


def _write(path: Path, content: str | bytes) -> bool:
    """Write a file at once or not at all, and only when its content is new; tells whether it was."""
    raw = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == raw:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.at_once(path) as temporary:
        temporary.write_bytes(raw)
    return True


def setup(app: Any) -> dict[str, Any]:
    """Serve as a small Sphinx extension: docstrings are Markdown, and notebooks are edited where they are written."""
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    app.connect("html-page-context", _edit_source, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn code spans into literals and show every other sign as it is."""
    pieces = re.split(r"`([^`]+)`", "\n".join(lines))
    shown = [f"``{piece}``\\ " if i % 2 else re.sub(r"([*|_\\])", r"\\\1", piece) for i, piece in enumerate(pieces)]
    lines[:] = "".join(shown).split("\n")


def _signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Write the default of a field that is made anew for each object as `...`, which Sphinx can read."""
    return signature and re.sub(r"<[^<>]*>", "...", signature), returns


def _edit_source(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let the edit button of a notebook lead to its source under `lab/`, which is not a part of the book's folder."""
    if page.startswith("lab/"):
        context["page_source_suffix"] = ".py"
        context["theme_path_to_docs"] = context["doc_path"] = ""
