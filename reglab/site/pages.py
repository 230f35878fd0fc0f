"""Pages generated from the catalogue, the executed notebooks and the measured claims.

Nothing on the site is typed twice: cards, thumbnails, lists, the table of claims and the map of the modules come from
what the lab declares and measures.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from reglab import catalogue, claims, files, measurements
from reglab.notebook import MARKS, history, marks, of_nulls
from reglab.pictures import words
from reglab.pictures.page import EMBEDDED, unpacked
from reglab.site import compared, costs, execute, hero, modules, replay
from reglab.site.markdown import line, plain

BOOK = catalogue.ROOT / "book"
GENERATED = BOOK / "generated"


def generate() -> None:
    """Write everything generated to `book/generated/`: cards, lists, thumbnails, claims, the list of modules.

    Raises `FileNotFoundError` when a notebook has not been executed yet.
    """
    missing = [name for name in ("index", *catalogue.SLUGS) if not (BOOK / "lab" / f"{name}.ipynb").is_file()]
    if missing:
        raise FileNotFoundError(f"not executed yet: {', '.join(missing)}; run `reglab execute` first")
    thumbnails = {name: _thumbnail(name) for name in catalogue.SLUGS}
    papers = catalogue.papers()
    for key in catalogue.PARTS:
        cards = "\n".join(
            _card(
                paper,
                thumbnails[paper.name],
                f"**{plain(paper.title)}**\n\n{plain(paper.idea)}",
                f"{plain(paper.venue)} {paper.year} · {paper.level} · {paper.minutes} minutes",
            )
            for paper in papers
            if paper.part == key
        )
        if cards:
            grid = f":::::{{grid}} 1 2 2 3\n:gutter: 3\n:class-container: gallery\n\n{cards}\n:::::\n"
        else:
            grid = "The papers of this part are still being added.\n"
        files.write(GENERATED / f"part-{key}.md", f"{grid}\n{costs.written(key)}\n{compared.tables(key)}")
    files.write(GENERATED / "hero.md", hero.written())
    files.write(GENERATED / "gallery.md", _gallery(papers, thumbnails))
    files.write(GENERATED / "parts.md", _parts(papers))
    measured = {name: content for name in catalogue.SLUGS if (content := measurements.read(name)) is not None}
    files.write(GENERATED / "summary.md", summary(measured))
    files.write(GENERATED / "claims.md", claims_page(measured))
    for folder, sections in _modules().items():
        files.write(GENERATED / f"api-{folder}.md", "\n".join(sections))
    files.write(GENERATED / "repository.md", repository(os.environ.get("REGLAB_REPOSITORY", "")))
    files.write(GENERATED / "map.md", "\n".join(modules.listed()))


def repository(address: str) -> str:
    """Return what the page on installing says about the repository; what runs it elsewhere, where that can be known."""
    if not address:
        return "This site was built without the address of a repository: ask whoever gave it to you for a copy.\n"
    address = address.rstrip("/")
    text = f"```sh\ngit clone {address} reglab\ncd reglab\n```\n"
    hosted = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", address)
    if hosted:
        binder = f"https://mybinder.org/v2/gh/{hosted[1]}/main?urlpath=lab/tree/lab/index.ipynb"
        colab = f"https://colab.research.google.com/github/{hosted[1]}/blob/main/lab/index.ipynb"
        text += (
            f"\n- [Open the lab on Binder]({binder}): a computer elsewhere installs it, which takes minutes, "
            "and forgets what you did.\n"
            f"- [Open the map in Colab]({colab}). First run `!git clone {address} reglab && pip install -e ./reglab`"
            " in a cell of its own, and restart the session.\n"
        )
    return text


def claims_page(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page of claims as Markdown, given what `measurements.read` returned for each paper by name."""
    pieces = [_filters(measured), *_overview(measured)]
    for name, content in measured.items():
        paper = catalogue.paper(name)
        scaled = {claim["experiment"]: claim["scaled"] for claim in content["claims"] if claim["scaled"]}
        last = ", the last" if " to " in content["date"] else ""
        versions = ", ".join(f"{package} {version}" for package, version in content["versions"].items())
        blocks = words.blocks(claim["block"] for claim in content["claims"])
        pieces.append(
            f"(claims-{paper.slug})=\n## {plain(paper.short)}: {plain(paper.title)}\n\n"
            f"[To the page of this paper](/lab/{name}) · {paper.venue} {paper.year} · {marks(content['claims'])}\n\n"
            "```{list-table}\n:header-rows: 1\n:class: claims\n:widths: 24 24 17 14 21\n\n"
            "* - The paper says\n  - We claim\n  - We measured\n  - Verdict\n  - How\n"
            + "".join(_row(claim) for claim in content["claims"])
            + "```\n\n"
            + "".join(f"What was scaled down in {kind}: {plain(text)}.\n\n" for kind, text in scaled.items())
            + f"Measured on {blocks}: {content['date']}{last} with {plain(versions)}.\n"
        )
        if before := history(content["history"]):
            pieces.append(f"{before}\n")
        if content["stale"]:
            pieces.append(
                ":::{attention}\nThe code of this paper has changed since these claims were measured. "
                f"`reglab check --stale {name.split('/')[1]}` measures again what it changes.\n:::\n"
            )
    missing = [plain(catalogue.paper(name).short) for name in catalogue.SLUGS if name not in measured]
    if measured and missing:
        pieces.append(f"Not measured yet: {', '.join(missing)}.\n")
    return "\n".join(pieces)


def _overview(measured: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield, for more than one paper, a list that leads to the table of each."""
    if len(measured) > 1:
        for name, content in measured.items():
            paper = catalogue.paper(name)
            yield f"- [{plain(paper.short)}](#claims-{paper.slug}): {marks(content['claims'])}"
        yield ""


def _row(claim: Mapping[str, Any]) -> str:
    verdict, rule = claim["verdict"], claim["rule"]
    spread = {"every seed": "seeds from", "exact": ""}.get(rule, "95 % interval")
    effect, interval = _number(claim["effect"]), ""
    if spread and claim["low"] is not None:
        effect, low, high = words.even(claim["effect"], claim["low"], claim["high"])
        interval = f"<br>{spread} {low} to {high}"
    count = f"{claim['experiment']}, {words.seeds(claim['seeds'])}"
    how = [plain(count), *(_linked(claim, label, knobs) for label, knobs in claim["settings"].items())]
    cells = [
        plain(claim["reported"]),
        plain(claim["claim"])
        + f"<br>[{claims.GROUPS[claim['group']]}]{{.claim-group .{claim['group']}}}"
        + (" · [essential]{.essential}" if claim["essential"] else ""),
        f"**{effect}**{interval}<br>must be {plain(claim['bound'].replace('-', '−'))}"
        f" ({claims.SOURCES[claim['source']]})",
        f"[{MARKS[verdict]}]{{.verdict .{verdict.replace(' ', '-')}}}"
        + "".join(f"<br>{plain(text)}" for text in (claim["why"], *of_nulls(claim)) if text),
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


def summary(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the first sentence about all measured claims: how many hold, are unclear, do not hold."""
    records = [record for content in measured.values() for record in content["claims"]]
    if not records:
        return "No claim has been measured yet.\n"
    papers = "1 paper" if len(measured) == 1 else f"{len(measured)} papers"
    return f"**{words.tally([record['verdict'] for record in records], f' of {papers}')}**\n"


def _filters(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the controls that choose rows of the page of claims: hidden until the script shows that it works."""
    if not measured:
        return ""

    def boxes(name: str, title: str, choices: Mapping[Any, str]) -> str:
        inputs = "".join(
            f'<label><input type="checkbox" name="{name}" value="{value}" checked> {label}</label>'
            for value, label in choices.items()
        )
        return f"<fieldset><legend>{title}</legend>{inputs}</fieldset>"

    def select(name: str, title: str, choices: Mapping[str, str]) -> str:
        options = "".join(f'<option value="{value}">{html.escape(label)}</option>' for value, label in choices.items())
        return f'<label>{title} <select name="{name}">{options}</select></label>'

    parts = {key: part.title for key, part in catalogue.PARTS.items() if any(name.startswith(key) for name in measured)}
    papers = {name: catalogue.paper(name).short for name in measured}
    return (
        '<form class="claims-filter" aria-label="Which claims are shown" autocomplete="off" hidden>'
        + boxes("verdict", "Verdict", {verdict.replace(" ", "-"): mark for verdict, mark in MARKS.items()})
        + boxes("group", "Group", claims.GROUPS)
        + select("part", "Part", {"": "all parts", **parts})
        + select("paper", "Paper", {"": "all papers", **papers})
        + '<button type="reset">Show all</button><output aria-live="polite"></output></form>\n'
    )


def _card(paper: catalogue.Paper, thumbnail: Thumbnail | None, text: str, note: str) -> str:
    """Return the card of a paper, with its picture where there is one."""
    picture = ""
    if thumbnail:
        picture = f":img-top: /generated/thumbnails/{thumbnail.file}\n:img-alt: {line(thumbnail.alt)}\n"
    return (
        f"::::{{grid-item-card}} {plain(paper.short)}\n"
        f":link: /lab/{paper.name}\n:link-type: doc\n:link-alt: {line(f'{paper.short}: {paper.title}')}\n"
        f"{picture}\n{text}\n\n:::{{div}} card-note\n{note}\n:::\n::::\n"
    )


def _gallery(papers: list[catalogue.Paper], thumbnails: Mapping[str, Thumbnail | None]) -> str:
    """Return all papers as one grid of small cards, and what their levels mean."""
    cards = "\n".join(
        _card(
            paper,
            thumbnails[paper.name],
            plain(paper.idea),
            f"{catalogue.PARTS[paper.part].title}  \n{paper.level} · {paper.minutes} minutes",
        )
        for paper in papers
    )
    levels = "Level: " + "; ".join(f"*{level}*, {said}" for level, said in catalogue.LEVELS.items())
    return f"{levels}.\n\n:::::{{grid}} 1 2 3 4\n:gutter: 2\n:class-container: gallery dense\n\n{cards}\n:::::\n"


def _parts(papers: list[catalogue.Paper]) -> str:
    cards = []
    for key, part in catalogue.PARTS.items():
        count = sum(paper.part == key for paper in papers)
        state = "papers are being added" if not count else "1 paper" if count == 1 else f"{count} papers"
        cards.append(
            f"::::{{grid-item-card}} {part.title}\n:link: /parts/{key}\n:link-type: doc\n:link-alt: {part.title}\n\n"
            f"{plain(part.idea)}\n\n:::{{div}} card-note\n{state}\n:::\n::::\n"
        )
    return ":::::{grid} 1 2 3 4\n:gutter: 3\n\n" + "\n".join(cards) + ":::::\n"


def _modules() -> dict[str, list[str]]:
    """Return the sections of all modules by the folder of the core that they are in; "core" for those in none."""
    sections: dict[str, list[str]] = {}
    for source in catalogue.core():
        if source.stem == "__main__":
            continue
        folder = "core" if source.parent == catalogue.PACKAGE else source.parent.name
        title = modules.full(source)
        sections.setdefault(folder, []).append(f"## `{title}`\n\n```{{eval-rst}}\n.. automodule:: {title}\n```\n")
    return sections


class Thumbnail(NamedTuple):
    """The picture of a paper's card: a file in the folder `thumbnails`, and its alternative text."""

    file: str
    alt: str


SHOWN = re.compile(f'<img alt="(?P<alt>[^"]+)" src={EMBEDDED}')
"""How a cell shows a picture: its alternative text, and what it shows."""


def _thumbnail(name: str) -> Thumbnail | None:
    """Write the picture of a paper's card; None for a notebook that did not run through.

    Raises `ValueError` where there is no picture.
    """
    if execute.failed(name):
        return None
    source = BOOK / "lab" / f"{name}.ipynb"
    for cell in json.loads(source.read_text(encoding="utf-8"))["cells"]:
        if "thumbnail" not in cell["metadata"].get("tags", ()):
            continue
        for output in cell.get("outputs", ()):
            if found := SHOWN.search("".join(output.get("data", {}).get("text/html", ""))):
                kind, content = unpacked(found)
                file = f"{name.replace('/', '-')}.{kind}"
                files.write(GENERATED / "thumbnails" / file, content)
                return Thumbnail(file, html.unescape(found["alt"]))
    raise ValueError(f"{source}: no cell tagged 'thumbnail' shows a picture; tag the one with the main picture")
