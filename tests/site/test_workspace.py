"""A person's copies of the pages: what the person changed is never overwritten, and the lab stays as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from processes import GUARD

from reglab import catalogue
from reglab.site import workspace

PAPER = catalogue.SLUGS[0]
PAGE = f"{PAPER}.ipynb"


def content(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def change(path: Path, source: str | None = None, output: str = "") -> None:
    """Write into the last cell of a notebook, and let its first cell of code have an output."""
    notebook: Any = nbformat.read(path, as_version=4)
    if source is not None:
        notebook.cells[-1].source = source
    if output:
        cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
        cell.outputs = [nbformat.v4.new_output("stream", text=output)]
    nbformat.write(notebook, path)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab of three pages that may get new versions; returns its folder `lab/`."""
    folder = tmp_path / "checkout" / "lab"
    for name in ("index", *catalogue.SLUGS[:2]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.ipynb").write_bytes((catalogue.ROOT / "lab" / f"{name}.ipynb").read_bytes())
    monkeypatch.setattr(catalogue, "ROOT", folder.parent)
    return folder


def test_a_folder_is_given_all_pages_once(lab: Path, tmp_path: Path) -> None:
    before, own = content(lab), tmp_path / "own"
    assert workspace.fill(own) == []
    given = content(own)
    assert set(given) == {*before, workspace.MEMORY}
    page: Any = nbformat.read(own / PAGE, as_version=4)
    nbformat.validate(page)
    assert "jupytext" not in page.metadata, "JupyterLab would write a second file"
    assert workspace.fill(own) == [] and content(own) == given and content(lab) == before


def test_an_unchanged_page_follows_the_lab_and_a_changed_one_gets_the_new_one_beside_it(
    lab: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    workspace.fill(own)
    change(own / "index.ipynb", output="run")
    change(own / PAGE, "my own words", output="run")
    kept = content(own)
    for name in ("index.ipynb", PAGE):
        change(lab / name, "a new version")
    beside = own / f"{PAPER}-new.ipynb"
    assert workspace.fill(own) == [beside]
    assert content(own)[PAGE] == kept[PAGE], "what the person changed stays as it is"
    for path in (beside, own / "index.ipynb"):
        assert nbformat.read(path, as_version=4).cells[-1].source == "a new version"
    assert workspace.fill(own) == [], "it is told once"
    change(lab / PAGE, "another version")
    assert workspace.fill(own) == [own / f"{PAPER}-new-2.ipynb"]
    assert content(own)[PAGE] == kept[PAGE]


def test_a_run_page_keeps_its_outputs_as_long_as_there_is_no_new_version(lab: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    workspace.fill(own)
    change(own / PAGE, output="run")
    kept = content(own)
    assert workspace.fill(own) == [] and content(own) == kept


@pytest.mark.parametrize("damage", ["", "[]", "no JSON", None])
def test_without_its_memory_a_folder_loses_nothing(lab: Path, tmp_path: Path, damage: str | None) -> None:
    own = tmp_path / "own"
    workspace.fill(own)
    change(own / PAGE, "my own words")
    (own / "index.ipynb").write_text("no notebook", encoding="utf-8")
    kept = content(own)
    if damage is None:
        (own / workspace.MEMORY).unlink()
    else:
        (own / workspace.MEMORY).write_text(damage, encoding="utf-8")
    assert set(workspace.fill(own)) == {own / "index-new.ipynb", own / f"{PAPER}-new.ipynb"}
    assert {name: content(own)[name] for name in kept if name != workspace.MEMORY} == {
        name: raw for name, raw in kept.items() if name != workspace.MEMORY
    }


def test_a_page_can_be_had_as_it_was(lab: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert workspace.reset(own, "index") is None
    given = content(own)
    for number, old in enumerate(("-old", "-old-2")):
        change(own / PAGE, f"my own words {number}")
        kept = (own / PAGE).read_bytes()
        path = workspace.reset(own, PAPER.split("/")[1])
        assert path == own / f"{PAPER}{old}.ipynb" and path.read_bytes() == kept
        assert (own / PAGE).read_bytes() == given[PAGE]
    with pytest.raises(KeyError, match="did you mean 'early_learning'"):
        workspace.reset(own, "early_lerning")


def test_where_there_is_no_lab_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="this needs a checkout of the lab"):
        workspace.fill(tmp_path / "own")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--edit", "here"], "--edit opens the sources themselves; a folder and --fresh are for copies of them"),
        (["here", "--fresh", "early_lerning"], "no paper named 'early_lerning'; did you mean 'early_learning'?"),
        (["/proc/no/folder"], "[Errno 2] No such file or directory: '/proc/no'"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "reglab", "lab", "--no-browser", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=GUARD)
    assert (done.returncode, done.stderr) == (2, f"Error: {said}\n")


def test_the_memory_is_plain(lab: Path, tmp_path: Path) -> None:
    workspace.fill(tmp_path / "own")
    memory = json.loads((tmp_path / "own" / workspace.MEMORY).read_text(encoding="utf-8"))
    assert set(memory) == {"index", *catalogue.SLUGS[:2]}
