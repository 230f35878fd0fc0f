"""The website: complete, offline, readable on a phone and by a screen reader, and true to what was measured."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import processes
import pytest
import small_book
import yaml
from page_weight import weight

from reglab import catalogue, claims, measurements
from reglab.notebook import MARKS
from reglab.pictures.words import even
from reglab.pictures.words import number as number_text
from reglab.site import book, execute, hero, notebooks
from reglab.site.pages import BOOK

ROOT = catalogue.ROOT
TOC: dict[str, Any] = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [chapter for part in TOC["parts"] for chapter in part["chapters"]]
LISTED = [TOC["root"]]
for chapter in CHAPTERS:
    LISTED += [chapter["file"], *(section["file"] for section in chapter.get("sections", ()))]
PAPER_PAGES = [f"lab/{name}" for name in catalogue.SLUGS]
BUILD = [sys.executable, small_book.__file__]
ALONE = {**os.environ, "PYTHONPATH": str(ROOT)}
PAGES = [*LISTED, "search", "genindex", "py-modindex"]


# -------------------------------------------------------------------------------------------------- without a browser


def test_the_contents_list_every_paper_in_teaching_order() -> None:
    for key in catalogue.PARTS:
        sections = [c.get("sections", []) for c in CHAPTERS if c["file"] == f"parts/{key}"]
        assert len(sections) == 1, f"parts/{key} must stand once in book/_toc.yml"
        expected = [f"lab/{name}" for name in catalogue.SLUGS if name.startswith(f"{key}/")]
        assert [section["file"] for section in sections[0]] == expected
    assert [c["file"] for c in CHAPTERS if c["file"].startswith("parts/")] == [f"parts/{k}" for k in catalogue.PARTS]


def test_every_part_has_a_page_with_its_title() -> None:
    for key, part in catalogue.PARTS.items():
        assert (BOOK / "parts" / f"{key}.md").read_text(encoding="utf-8").startswith(f"# {part.title}\n")


def test_every_folder_of_the_core_has_a_page_of_its_own() -> None:
    folders = {path.parent.name for path in catalogue.core()} - {catalogue.PACKAGE.name}
    assert [name for name in LISTED if name.startswith("api/")] == [f"api/{folder}" for folder in sorted(folders)]
    assert all(f"](api/{folder}.md)" in (BOOK / "api.md").read_text(encoding="utf-8") for folder in folders)


@pytest.mark.parametrize("name", catalogue.SLUGS)
def test_every_paper_is_in_the_bibliography(name: str) -> None:
    references = (BOOK / "references.bib").read_text(encoding="utf-8")
    entry = re.search(rf"^@\w+{{{name.split('/')[1]},(.*?)^}}", references, re.M | re.S)
    assert entry, f"book/references.bib has no entry {name.split('/')[1]}"
    assert catalogue.paper(name).arxiv in entry[1]


def test_a_quick_copy_is_never_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "ran_quickly", lambda name: name == catalogue.SLUGS[0])
    with pytest.raises(ValueError, match=rf"not to be published: {catalogue.SLUGS[0]}; run `reglab execute --stale`"):
        book.build()


def test_a_failing_build_shows_the_warning_again_until_it_is_mended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site = small_book.plan(monkeypatch.setattr, tmp_path)
    page = tmp_path / "book" / "index.md"
    page.write_text("# Title\n\n{cite}`nobody`\n\n[lost](nowhere.md)\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"(?s)could not be built.*index\.md:5: WARNING.*nowhere\.md"):
            book.build()
        assert not (site / "index.html").exists() and book.stale()
    page.write_text(small_book.PAGES["index.md"], encoding="utf-8")
    assert book.build() == site / "index.html" and not book.stale()


def read(site: Path) -> dict[str, str]:
    """Return the pages of a site without what tells one build of a style sheet from another."""
    pages = [(path.relative_to(site).as_posix(), path.read_text(encoding="utf-8")) for path in site.rglob("*.html")]
    return {name: re.sub(r"\?v=\w+", "", text) for name, text in pages}


def test_what_has_changed_is_built_though_the_clock_was_set_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site, pages = small_book.plan(monkeypatch.setattr, tmp_path), tmp_path / "book"
    book.build()
    for name, shown in (("one.md", "one.html"), ("_static/look.css", "_static/look.css")):
        assert not book.stale()
        (pages / name).write_text(f"{small_book.PAGES[name]}\n/* newer */\n", encoding="utf-8")
        os.utime(pages / name, (0, 0))
        assert book.stale()
        book.build()
        assert "/* newer */" in (site / shown).read_text(encoding="utf-8")


def test_killed_at_any_moment_the_next_build_is_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site, page = small_book.plan(monkeypatch.setattr, tmp_path), tmp_path / "book" / "one.md"
    began = time.monotonic()
    book.build()
    took, whole, moments = time.monotonic() - began, read(site), random.Random(3)
    for everything in (False, True):
        if everything:
            shutil.rmtree(tmp_path / "book" / "_build")
        page.write_text("# One\n\nAnother text.\n", encoding="utf-8")
        with processes.start([*BUILD, str(tmp_path)], env=ALONE, start_new_session=True) as running:
            time.sleep(moments.uniform(0, took))
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
        page.write_text(small_book.PAGES["one.md"], encoding="utf-8")
        book.build()
        assert read(site) == whole and not book.stale()


def test_two_builds_take_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = small_book.plan(monkeypatch.setattr, tmp_path)
    for one in [processes.start([*BUILD, str(tmp_path)], env=ALONE) for _ in range(2)]:
        _, said = one.communicate(timeout=processes.GUARD)
        assert one.returncode == 0, said
    assert "The first text." in read(site)["one.html"] and not book.stale()


@pytest.mark.parametrize(
    "shown",
    ["CONTRIBUTING.md", "reglab/data.py", "reglab/pictures/curves.js", "data/claims/noise/one.json", "book/about.md"],
)
def test_the_site_is_stale_when_what_it_shows_is_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shown: str
) -> None:
    site = small_book.plan(monkeypatch.setattr, tmp_path)
    assert book.stale()
    for name in ("book/_build/html/index.html", shown, "reglab/notes.tmp", "CONTRIBUTING.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    assert book.stale(), "nothing says that it is finished"
    book._noted(site).write_text(json.dumps(book._shown()), encoding="utf-8")
    assert not book.stale()
    (tmp_path / "reglab" / "notes.tmp").write_text("y", encoding="utf-8")
    assert not book.stale()
    (tmp_path / shown).write_text("y", encoding="utf-8")
    assert book.stale()


def test_repository_buttons_only_where_there_is_a_repository() -> None:
    def options(repository: str) -> dict[str, Any]:
        return book._config(repository)["sphinx"]["config"]["html_theme_options"]

    assert "repository_url" not in options("") and not options("")["use_repository_button"]
    assert options("https://example.org/a/b/")["repository_url"] == "https://example.org/a/b"
    assert options("https://example.org/a/b")["use_issues_button"]


# ------------------------------------------------------------------------------------------------------- the built site


def test_the_website_is_built(site: Path) -> None:
    assert (site / "index.html").is_file() and not book.stale(preview=site == book.PREVIEW)


def test_a_page_that_was_run_quickly_says_so(site: Path) -> None:
    for name in execute.names():
        text = (site / "lab" / f"{name}.html").read_text(encoding="utf-8")
        assert ("must not be published" in text) == execute.ran_quickly(name), name


def test_no_page_mentions_an_error_or_another_host(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for bad in (
            "Traceback (most recent call last)",
            "output stderr",
            "interactive(children",
            "unpkg.com",
            "jsdelivr",
            "cdnjs",
        ):
            assert bad not in text, f"{path.relative_to(site)} contains {bad!r}"
        loads = re.findall(r'<(?:script|img|iframe|source)[^>]+src="(?:https?:)?//[^"]*"', text)
        loads += re.findall(r'<link[^>]+rel="(?:stylesheet|preload|icon)"[^>]+href="(?:https?:)?//[^"]*"', text)
        assert not loads, f"{path.relative_to(site)} loads {loads}"


class Links(HTMLParser):
    """What a page links to or loads, and what a link may lead to in it: elements, and states of its replays."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.places: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value for key, value in attrs if value}
        self.found += [values[key] for key in ("href", "src") if key in values]
        self.places |= {values[key] for key in ("id", "name", "data-replay") if key in values}


def test_every_link_leads_to_something(site: Path) -> None:
    pages = {page: Links(page) for page in site.rglob("*.html")}
    wrong = []
    for page, links in pages.items():
        for link in links.found:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            place = unquote(parts.fragment).split(":")[0]  # behind the colon stand the settings of a replay
            if not target.exists() or (place and target in pages and place not in pages[target].places):
                wrong.append(f"{page.relative_to(site)} -> {link}")
    assert not wrong, "\n".join(wrong)


def test_the_map_of_the_lab_leads_to_every_page(site: Path) -> None:
    found = Links(site / "lab" / "index.html").found
    assert {f"{name}.html" for name in catalogue.SLUGS} <= set(found)


def test_repository_buttons_of_the_site(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    assert ("source-repository-button" in text) == bool(os.environ.get("REGLAB_REPOSITORY"))


def test_every_paper_says_how_to_run_it(site: Path) -> None:
    for name in catalogue.SLUGS:
        text = (site / "lab" / f"{name}.html").read_text(encoding="utf-8")
        assert f'<a href="../../install.html">Run this page yourself</a>: <code>{name}.ipynb</code>' in text
    said = re.sub(r"<[^>]*>", "", (site / "install.html").read_text(encoding="utf-8"))
    assert all(command in said for command in ("make lab", "conda env create -f environment.yml", "ipykernel install"))
    assert "{include}" not in said


def test_every_paper_has_a_card_with_a_picture_and_what_it_takes(site: Path) -> None:
    from bs4 import BeautifulSoup

    page = BeautifulSoup((site / "index.html").read_text(encoding="utf-8"), "html.parser")
    cards = page.select(".gallery .sd-card")
    papers = catalogue.papers()
    links = [link["href"] for card in cards for link in card.select("a")]
    assert links == [f"lab/{name}.html" for name in catalogue.SLUGS]
    for card, paper in zip(cards, papers, strict=True):
        (source,) = (str(image["src"]) for image in card.select("img"))
        folder, _, kind = source.partition(f"/{paper.part}-{paper.slug}.")
        content = (site / source).read_bytes()
        assert folder == "_images" and kind in ("svg", "webp")
        assert kind == "webp" or b"prefers-color-scheme: dark" in content, "it has colours by night"
        said = " ".join(card.get_text(" ").split())
        part = catalogue.PARTS[paper.part].title
        assert said.startswith(f"{paper.short} {paper.idea} {part} {paper.level} · {paper.minutes} minutes")
    assert all(text in " ".join(page.get_text().split()) for text in catalogue.LEVELS.values())


@pytest.mark.deep
@pytest.mark.parametrize("page", PAPER_PAGES)
def test_a_page_with_all_its_pictures_and_grids_is_light(site: Path, page: str) -> None:
    path = site / f"{page}.html"
    text = path.read_text(encoding="utf-8")
    pictures = {file.name for file in path.parent.glob(f"{path.stem}-*.*") if file.suffix in (".svg", ".webp")}
    assert pictures == set(re.findall(r'(?:src|srcset)="([^"/]+\.(?:svg|webp))"', text))
    assert len(pictures) >= 4 and "data:image" not in text
    assert weight(path) < 400_000


def test_pictures_move_beside_their_page_and_old_ones_go(tmp_path: Path) -> None:
    page = tmp_path / "lab" / "noise" / "one.html"
    page.parent.mkdir(parents=True)
    for former in ("one-0.svg", "one-0.webp", "one-grid.js", "other-0.svg"):
        (page.parent / former).write_text("x", encoding="utf-8")
    inside = base64.b64encode(b"<svg/>").decode()
    shown = f'<img src="data:image/svg+xml;base64,{inside}"><source srcset="data:image/webp;base64,{inside}">'
    page.write_text(shown * 2, encoding="utf-8")
    for _ in range(2):
        book._pictures(tmp_path)
        text = page.read_text(encoding="utf-8")
        vector, pixels = sorted({*re.findall(r'"(one-[0-9a-f]{12}\.\w+)"', text)})
        assert (vector[-4:], pixels[-5:]) == (".svg", ".webp")
        assert text == f'<img src="{vector}"><source srcset="{pixels}">' * 2
        assert (page.parent / vector).read_bytes() == (page.parent / pixels).read_bytes() == b"<svg/>"
        assert {file.name for file in page.parent.iterdir()} == {
            "one.html", vector, pixels, "one-grid.js", "other-0.svg"
        }  # fmt: skip


def test_scripts_move_out_of_pages_in_their_order_and_old_ones_go(tmp_path: Path) -> None:
    data = '<script type="application/json">{"a": 1}</script>'
    inside = "<script>let a = 1;</script>\n  <script data-x='y'>\nlet b = 2;\n</script>"
    button = '<button onclick="window.print()" class="b">'
    former = tmp_path / "_static" / "inline" / "0123456789ab.js"
    for name in ("index.html", "lab/noise/one.html"):
        page = tmp_path / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f'{inside}{data}<script src="x.js"></script><script>b += a;</script>{button}', encoding="utf-8")
    former.parent.mkdir(parents=True)
    former.write_text("x", encoding="utf-8")
    for _ in range(2):
        book._scripts(tmp_path)
        for name, root in (("index.html", ""), ("lab/noise/one.html", "../../")):
            text = (tmp_path / name).read_text(encoding="utf-8")
            first, second = re.findall(r'src="([./]*_static/inline/\w{12}\.js)"', text)
            moved = f'<script src="{first}"></script>{data}<script src="x.js"></script><script src="{second}"></script>'
            assert text == f'{moved}<button class="b">' and first.startswith(f"{root}_static")
            scripts = [((tmp_path / name).parent / script).read_text("utf-8") for script in (first, second)]
            assert scripts == ["let a = 1;\nlet b = 2;\n", "b += a;\n"]
        assert not former.exists() and len(list(former.parent.iterdir())) == 2


def test_no_page_has_a_script_inside_it(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"<script(?![^>]*\b(?:src|type)=)|<[a-z][^<>]*\son[a-z]+=|href=\"javascript:", text), path


def test_the_table_of_claims_shows_exactly_what_was_measured(site: Path) -> None:
    from bs4 import BeautifulSoup

    page = BeautifulSoup((site / "claims.html").read_text(encoding="utf-8"), "html.parser")
    for sub in page.select("table.claims sub"):
        sub.replace_with(f"_{sub.text}")
    page.smooth()
    rows = [row.find_all("td") for row in page.select("table.claims tbody tr")]
    records = [r for name in catalogue.SLUGS for r in (measurements.read(name) or {"claims": []})["claims"]]
    assert len(rows) == len(records)

    def words(text: str) -> str:
        return " ".join(text.split())

    for cells, record in zip(rows, records, strict=True):
        reported, claim, effect, verdict, how = (words(cell.get_text(" ")) for cell in cells)
        assert reported == words(record["reported"])
        kind = claims.GROUPS[record["group"]] + (" · essential" if record["essential"] else "")
        assert claim == f"{words(record['claim'])} {kind}"
        ends = [] if record["rule"] == "exact" or record["low"] is None else [record["low"], record["high"]]
        if record["effect"] is None:
            number, below, above = "not known", "", ""
        elif ends:
            number, below, above = even(record["effect"], *ends)
        else:
            number, below, above = number_text(record["effect"]), "", ""
        assert effect.split()[: len(number.split())] == number.split()
        bound = f"must be {record['bound'].replace('-', '−')} ({claims.SOURCES[record['source']]})"
        assert effect.endswith(bound)
        assert not ends or f"{below} to {above}" in effect
        said = [record["why"], *(f"the null arm “{arm}” in the method's place: {null['verdict']}"
                                 for arm, null in record["nulls"].items())]  # fmt: skip
        assert verdict == words(f"{MARKS[record['verdict']]} {' '.join(said)}")
        assert record["experiment"] in how and f"{record['seeds']} seed" in how


# -------------------------------------------------------------------------------------------------------- in a browser


CUT = """async (ahead) => {
  await MathJax.startup.promise;
  return [...document.querySelectorAll("div.math")].filter((place) => {
    const ends = place.getBoundingClientRect(), parts = [...place.querySelectorAll("mjx-math, mjx-math *")];
    return parts.map((part) => part.getBoundingClientRect()).some((part) =>
      part.width && (part.left < ends.left - 1 || part.right > ends.right + ahead + 1));
  }).map((place) => place.previousElementSibling?.textContent.slice(-60));
}"""
"""A script that finds formulas of which something is not seen, by the text before them.

`ahead` is how far one may have to scroll on.
"""


@pytest.mark.sampled
@pytest.mark.browser
@pytest.mark.parametrize("page", PAGES)
def test_page_in_a_browser(site: Path, view: Any, page: str) -> None:
    """One visit: no error, alt texts, no sideways scroll, formulas that fit, accessible in light and dark."""
    from axe_playwright_python.sync_playwright import Axe

    view.goto((site / f"{page}.html").as_uri(), wait_until="load")
    if page in PAPER_PAGES:
        view.wait_for_selector("mjx-container")
        view.evaluate("Promise.all(reglabReplays.map((replay) => replay.open()))")
    assert not view.evaluate("[...document.images].filter(i => !(i.alt || '').trim()).map(i => i.src.slice(0, 80))")
    view.set_viewport_size({"width": 1280, "height": 900})
    assert page not in PAPER_PAGES or not view.evaluate(CUT, 0), "formulas are cut off"
    for scheme, width in (("light", 1280), ("dark", 390)):
        view.set_viewport_size({"width": width, "height": 900})
        view.emulate_media(color_scheme=scheme)
        view.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)
        assert view.evaluate("document.documentElement.scrollWidth") <= width, f"scrolls sideways at {width}, {scheme}"
        view.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        assert page not in PAPER_PAGES or not view.evaluate(CUT, 2 * width), "formulas begin out of sight"
        # style sheets are not fetched for axe: a page opened from a file may not read its own
        found = Axe().run(view, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
        severe = [
            f"{scheme}, {width}: {rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]
        assert not severe, "\n".join(severe)
    assert not view.problems


@pytest.mark.sampled
@pytest.mark.browser
@pytest.mark.parametrize("page", PAPER_PAGES)
def test_a_screen_loads_only_the_form_of_a_picture_that_it_shows(site: Path, view: Any, page: str) -> None:
    loaded, shapes = [], []
    for width in (1280, 390):
        asked: list[str] = []
        view.goto("about:blank")
        view.set_viewport_size({"width": width, "height": 900})
        view.on("request", lambda request, asked=asked: asked.append(request.url.rsplit("/", 1)[1]))
        view.goto((site / f"{page}.html").as_uri(), wait_until="load")
        pictures = "[...document.querySelectorAll('.reglab-picture img')]"
        assert view.evaluate(f"{pictures}.every(image => image.complete && image.naturalWidth > 0)")
        assert set(view.evaluate(f"{pictures}.map(image => image.currentSrc.split('/').pop())")) <= set(asked)
        shapes.append(view.evaluate(f"{pictures}.map(image => Math.round(image.height / image.width * 100))"))
        loaded.append(set(asked))
    narrow = set(view.evaluate("[...document.querySelectorAll('.reglab-picture source')].map(source => source.srcset)"))
    wide = set(
        view.evaluate("[...document.querySelectorAll('.reglab-picture img')].map(image => image.src.split('/').pop())")
    )
    assert wide <= loaded[0] and not narrow & loaded[0]
    assert narrow <= loaded[1] and shapes[0] != shapes[1]
    assert not view.problems


@pytest.mark.browser
def test_search_needs_no_server(site: Path, view: Any) -> None:
    view.goto((site / "search.html").as_uri() + "?q=memorization")
    view.wait_for_selector("#search-results ul.search li a")
    assert not view.problems


@pytest.mark.sampled
@pytest.mark.browser
@pytest.mark.parametrize("page", PAPER_PAGES)
def test_solutions_are_folded_and_open_by_click(site: Path, view: Any, page: str) -> None:
    view.goto((site / f"{page}.html").as_uri(), wait_until="load")
    folded = view.locator("details", has_text="Solution")
    assert folded.count() >= 3, "a paper has three exercises, each with a folded solution"
    answer = folded.first.locator("p").first
    assert not answer.is_visible()
    folded.first.locator("summary").click()
    assert answer.is_visible()
    assert not view.problems


@pytest.mark.sampled
@pytest.mark.browser
@pytest.mark.parametrize("page", PAPER_PAGES)
def test_code_is_folded_but_not_the_method_and_the_answers(site: Path, view: Any, page: str) -> None:
    view.goto((site / f"{page}.html").as_uri(), wait_until="load")
    folded = view.locator("details.hide > .cell_input")
    inputs = view.locator("div.cell > .cell_input")
    texts = inputs.all_inner_texts()
    assert all("source(" in text or "check(" in text for text in texts) and any("source(" in text for text in texts)
    assert folded.count() + inputs.count() == len(
        [
            cell
            for cell in json.loads(execute.copy_of(page[4:]).read_text("utf-8"))["cells"]
            if cell["cell_type"] == "code"
        ]
    )
    first = view.get_by_role("group").filter(has_text="Show code").first.locator("summary")
    assert first.get_attribute("aria-label") is None and first.inner_text().strip() == "Show code"
    assert not folded.first.is_visible()
    first.press("Enter")
    assert folded.first.is_visible() and first.inner_text().strip() == "Hide code"
    assert not view.problems


@pytest.mark.browser
def test_a_page_gives_its_notebook_for_students_and_with_solutions(served: str, view: Any) -> None:
    view.goto(f"{served}/{PAPER_PAGES[0]}.html", wait_until="load")
    stem = PAPER_PAGES[0].split("/")[-1]
    for menu in (False, True):
        place = view.locator(".dropdown-menu" if menu else ".run-yourself")
        for kind, name in notebooks.TAKEN.items():
            if menu:
                view.get_by_role("button", name="Download this page").click()
            with view.expect_download() as waiting:
                place.get_by_role("link", name=name).click()
            taken = waiting.value
            assert taken.suggested_filename == f"{stem}-{kind}.ipynb"
            assert ("Solution</summary>" in Path(taken.path()).read_text("utf-8")) == (kind == "solutions")
    assert not view.problems


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_landing_page_moves_its_curve_by_keyboard(served: str, view: Any, width: int) -> None:
    from playwright.sync_api import expect

    view.set_viewport_size({"width": width, "height": 900})
    view.goto(f"{served}/index.html")
    found = hero.fits()
    best = min(range(len(found)), key=lambda i: found[i].new_error)
    slider, said = view.get_by_role("slider", name="Move λ"), view.locator(".hero-said")
    curve, height = view.locator(".hero-fit"), view.locator(".reglab-hero").bounding_box()["height"]
    expect(slider).to_have_value(str(best))
    expect(said).to_have_attribute("aria-live", "polite")
    expect(view.locator(".hero-still")).to_be_hidden()
    curves = set()
    for key, i in (("ArrowRight", best + 1), ("Home", 0), ("End", len(found) - 1)):
        slider.press(key)
        expect(slider).to_have_attribute("aria-valuetext", f"λ = {hero.label(found[i].penalty)}")
        expect(said).to_have_text(hero.said(found, i))
        curves.add(curve.get_attribute("d"))
        assert view.locator(".reglab-hero").bounding_box()["height"] == height, "the page jumps"
    assert len(curves) == 3
    assert not view.problems


@pytest.mark.browser
def test_without_scripts_the_landing_page_shows_the_best_curve(site: Path, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((site / "index.html").as_uri())
    found = hero.fits()
    best = min(range(len(found)), key=lambda i: found[i].new_error)
    assert not tab.locator(".reglab-hero input").is_visible() and tab.locator(".hero-fit").is_visible()
    assert tab.locator(".hero-said").inner_text() == hero.said(found, best)
    assert f"here λ = {hero.label(found[best].penalty)}" in tab.locator(".reglab-hero figcaption").inner_text()
    context.close()


CLAIMS_SHOWN = "table.claims tbody tr:not([hidden]):visible"


def rows_of(**wanted: set[str]) -> int:
    """Count the measured claims whose verdict and group are among some, of all papers or of those named."""
    found = 0
    for name in catalogue.SLUGS:
        for record in (measurements.read(name) or {"claims": []})["claims"]:
            facts = {"verdict": record["verdict"], "group": record["group"], "part": name.split("/")[0], "paper": name}
            found += all(facts[key] in values for key, values in wanted.items())
    return found


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_table_of_claims_shows_what_is_asked_for(site: Path, view: Any, width: int) -> None:
    from playwright.sync_api import expect

    def shown(count: int) -> None:
        expect(view.locator(CLAIMS_SHOWN)).to_have_count(count)
        expect(form.locator("output")).to_have_text(f"{count} of {rows_of()} claims shown")
        for paper in catalogue.SLUGS:
            heading = view.locator("section", has=view.locator(f'table.claims a[href^="lab/{paper}.html"]')).last
            some = heading.locator(CLAIMS_SHOWN).count() > 0
            link = view.locator(f'.bd-article li a[href="#claims-{paper.split("/")[1].replace("_", "-")}"]')
            assert heading.locator("h2").is_visible() == link.is_visible() == some, paper
        assert view.evaluate("document.documentElement.scrollWidth") <= width

    view.set_viewport_size({"width": width, "height": 900})
    view.goto((site / "claims.html").as_uri())
    form = view.get_by_role("form", name="Which claims are shown")
    expect(form).to_be_visible()
    expect(form.locator("output")).to_have_attribute("aria-live", "polite")
    shown(rows_of())
    form.get_by_label("✓ holds").uncheck()
    shown(rows_of(verdict={"unclear", "does not hold"}))
    form.get_by_label("our controls").focus()
    view.keyboard.press("Space")
    shown(rows_of(verdict={"unclear", "does not hold"}, group={"paper", "identity"}))
    form.get_by_role("button", name="Show all").press("Enter")
    shown(rows_of())
    first = catalogue.SLUGS[0]
    form.get_by_role("combobox", name="Paper").press("ArrowDown")
    expect(form.get_by_role("combobox", name="Paper")).to_have_value(first)
    shown(rows_of(paper={first}))
    form.get_by_label("exact identities").uncheck()
    shown(rows_of(paper={first}, group={"paper", "control"}))
    other = next(name.split("/")[0] for name in catalogue.SLUGS if name.split("/")[0] != first.split("/")[0])
    form.get_by_role("combobox", name="Part").select_option(other)
    expect(form.get_by_role("combobox", name="Paper")).to_have_value("")
    shown(rows_of(part={other}, group={"paper", "control"}))
    for box in ("✓ holds", "? unclear", "✗ does not hold"):
        form.get_by_label(box).uncheck()
    shown(0)
    assert not view.problems


@pytest.mark.browser
def test_without_scripts_all_claims_are_shown_and_no_control_that_does_nothing(site: Path, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((site / "claims.html").as_uri())
    assert tab.locator("table.claims tbody tr:visible").count() == rows_of()
    assert not tab.locator("form.claims-filter").is_visible()
    context.close()
