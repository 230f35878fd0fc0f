"""Begin a paper: its folder, notebook and test, and its entries in the lists, with marks where words are missing."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Annotated

import typer

from reglab import catalogue, files
from reglab.cli.output import explained, say
from reglab.names import nearest

TEMPLATE = Path(__file__).parent / "template"
"""What a new paper's files begin as; `<part>`, `<slug>` and `<title>` stand for those of the paper."""

MARK = "WRITE: "
"""What stands in a new paper's files before what is to be written there, in the words that follow on the line."""

FILES = {
    "reglab/papers/<part>/<slug>/__init__.py": "card",
    "reglab/papers/<part>/<slug>/method.py": "method",
    "reglab/papers/<part>/<slug>/experiments.py": "experiments",
    "reglab/papers/<part>/<slug>/claims.py": "claims",
    "reglab/papers/<part>/<slug>/exercises.py": "exercises",
    "lab/<part>/<slug>.py": "notebook",
    "tests/papers/<part>/test_<slug>.py": "test",
}
"""The files of a paper, and which part of the template each begins as."""


def new(
    paper: Annotated[str, typer.Argument(metavar="PART/SLUG", help="The paper's part, and the name of its files.")],
) -> None:
    """Begin a paper: write its files from a template, and its name into the lists.

    What is left to write is marked "WRITE:" in the files. For example: reglab new labels/label_smoothing
    """
    with explained():
        part, slug = checked(paper)
        content = written(catalogue.ROOT, part, slug)
        files.write_all(content)
        from reglab.site import pairs

        pairs.pair(catalogue.ROOT / "lab" / part)
    for path in content:
        say(f"wrote {path.relative_to(catalogue.ROOT)}")
    tests = "tests/test_papers.py tests/recordings/test_alarms.py"
    say(f"Now follow CONTRIBUTING.md; `pytest {tests} -k {slug}` says what is left to write.")


def checked(name: str) -> tuple[str, str]:
    """Return part and slug of a new paper; raises `ValueError` that says what is wrong with the name."""
    part, slash, slug = name.partition("/")
    if not slash:
        raise ValueError(f"{name!r}: write it as PART/SLUG, for example labels/label_smoothing")
    if part not in catalogue.PARTS:
        hint = nearest(part, catalogue.PARTS, before="; ")
        raise ValueError(f"there is no part {part!r}{hint} (the parts are: {', '.join(catalogue.PARTS)})")
    if not re.fullmatch(r"[a-z][a-z0-9_]{2,29}", slug) or keyword.iskeyword(slug):
        raise ValueError(
            f"{slug!r} cannot name files: take 3 to 30 small letters, digits and _, a letter first and no word of "
            "Python, for example label_smoothing"
        )
    if slug == "index" or slug in catalogue.PARTS:
        raise ValueError(f"{slug!r} already names another page of the lab; choose another slug")
    for known in catalogue.SLUGS:
        if known.endswith(f"/{slug}"):
            raise ValueError(f"there is already a paper {known!r}; choose another slug, or change that paper")
    return part, slug


def written(root: Path, part: str, slug: str) -> dict[Path, str]:
    """Return what `new` writes into a checkout: the whole text of each file by its path.

    Raises `ValueError` when the folder is no checkout, for a file that is there, and for a list that is unlike others.
    """
    from reglab.site import pairs

    def filled(text: str) -> str:
        title = slug.replace("_", " ").capitalize()
        return text.replace("<part>", part).replace("<slug>", slug).replace("<title>", title)

    def template(kind: str) -> str:
        return filled((TEMPLATE / f"{kind}.txt").read_text(encoding="utf-8"))

    content = _listed(root, part, slug, template("reference"))
    made = {root / filled(name): template(kind) for name, kind in FILES.items()}
    notebook = root / "lab" / part / f"{slug}.py"
    made[notebook.with_suffix(".ipynb")] = pairs.paired(made[notebook])
    for path in (root / "reglab" / "papers" / part / slug, *made):
        if path.exists():
            raise ValueError(f"{path} is already there; choose another slug, or remove it")
    return made | content


def _listed(root: Path, part: str, slug: str, reference: str) -> dict[Path, str]:
    """Return the three lists with the new paper behind the last of its part."""
    previous = [name for name in catalogue.SLUGS if name.startswith(f"{part}/")][-1]
    last = previous.split("/")[1]
    after = {
        "reglab/catalogue.py": (rf'^    "{previous}",\n', f'    "{part}/{slug}",\n'),
        "book/_toc.yml": (rf"^ +- file: lab/{previous}\n", f"          - file: lab/{part}/{slug}\n"),
        "book/references.bib": (rf"^@\w+{{{last},.*?^}}\n", f"\n{reference}"),
    }
    found = {}
    for name, (pattern, addition) in after.items():
        path = root / name
        if not path.is_file():
            raise ValueError(f"{root} is no checkout of the lab, it has no {name}; `reglab new` needs one to write to")
        text = path.read_text(encoding="utf-8")
        places = list(re.finditer(pattern, text, re.M | re.S))
        if len(places) != 1:
            raise ValueError(f"{path} has {len(places)} entries of {previous}, behind which {slug} belongs, not 1")
        end = places[0].end()
        found[path] = text[:end] + addition + text[end:]
    return found
