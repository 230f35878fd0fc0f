"""`reglab new` in a copy of the checkout: what it writes is right, and says what is missing; what it refuses, stays."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import processes
import pytest
from commands import Reglab

from reglab import catalogue, files
from reglab.catalogue import ROOT
from reglab.cli import new

SHORTEST, LONGEST = "weights/elf", "finetuning/a_name_with_just_thirty_letter"
"""Lines of code may break elsewhere with another name."""

LISTS = ("reglab/catalogue.py", "book/_toc.yml", "book/references.bib")


def copied(target: Path) -> Path:
    """Copy what a checkout holds, without what was built in it."""
    built = shutil.ignore_patterns("__pycache__", "_build", "generated", ".ipynb_checkpoints", "recorded")
    for name in ("reglab", "lab", "tests", "book", "data"):
        shutil.copytree(ROOT / name, target / name, ignore=built)
    shutil.rmtree(target / "book" / "lab", ignore_errors=True)
    shutil.copy(ROOT / "pyproject.toml", target)
    if (cache := ROOT / ".mypy_cache").is_dir():
        with contextlib.suppress(shutil.Error):  # what another process of mypy has just replaced
            shutil.copytree(cache, target / cache.name)
    return target


def here(checkout: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a module in a process of its own that imports the checkout's code."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * processes.GUARD,
    )


def content(folder: Path) -> dict[Path, bytes | None]:
    """Return everything in a folder: the bytes of files, None for folders."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def marked(name: str) -> list[str]:
    """Return what is to be written of a paper, as `file:line: what`, from the files of the template."""
    (part, slug), found = name.split("/"), []
    for target, kind in new.FILES.items():
        path = target.replace("<part>", part).replace("<slug>", slug)
        lines = (new.TEMPLATE / f"{kind}.txt").read_text(encoding="utf-8").splitlines()
        found += [f"{path}:{n}: {line.split(new.MARK)[1]}" for n, line in enumerate(lines, 1) if new.MARK in line]
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout in which two papers were begun."""
    copy = copied(tmp_path_factory.mktemp("checkout"))
    for name in (SHORTEST, LONGEST):
        done = here(copy, "reglab", "new", name)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        said = done.stderr.splitlines()
        assert len(said) == len(new.FILES) + 1 + len(LISTS) + 1
        assert all((copy / line.removeprefix("wrote ")).is_file() for line in said[:-1])
        assert f"tests/recordings/test_alarms.py -k {name.split('/')[1]}" in said[-1]
    return copy


# ---------------------------------------------------------------------------------------------------- what it writes


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "mypy"])
def test_what_it_writes_keeps_style_and_types(checkout: Path, command: str) -> None:
    checked = ["reglab/catalogue.py"]
    for name in (SHORTEST, LONGEST):
        checked += [f"reglab/papers/{name}", f"tests/papers/{name.replace('/', '/test_')}.py"]
        checked += [f"lab/{name}.py"] if "ruff" in command else []
    done = here(checkout, *command.split(), *checked)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_paper_stands_behind_the_last_of_its_part_in_every_list(checkout: Path) -> None:
    order = list(catalogue.PARTS)
    expected = sorted([*catalogue.SLUGS, SHORTEST, LONGEST], key=lambda name: order.index(name.split("/")[0]))
    texts = [(checkout / name).read_text(encoding="utf-8") for name in LISTS]
    assert re.findall(r'^    "([a-z]+/\w+)",$', texts[0], re.M) == expected
    assert re.findall(r"- file: lab/([a-z]+/\w+)$", texts[1], re.M) == expected
    keys = re.findall(r"^@\w+{(\w+),$", texts[2], re.M)
    assert keys[: len(expected)] == [name.split("/")[1] for name in expected], "papers first, then what else is cited"
    before = [(ROOT / name).read_text(encoding="utf-8").splitlines() for name in LISTS]
    for old, text in zip(before, texts, strict=True):
        kept = iter(text.splitlines())
        assert all(line in kept for line in old), "no line of another paper is changed"


def test_the_notebook_has_both_forms_and_jupyterlab_opens_them(checkout: Path) -> None:
    for name in (SHORTEST, LONGEST):
        source = checkout / "lab" / f"{name}.py"
        made = source.with_suffix(".ipynb")
        nbformat.validate(nbformat.read(made, as_version=4))
        assert made.stat().st_mtime_ns == source.stat().st_mtime_ns


FAILS = {
    "test_everything_of_a_paper_is_where_its_name_says": "claims",
    "test_the_card_is_filled": "",
    "test_nothing_is_left_to_write": "still to write",
    "test_what_the_page_explores_is_recorded": "reglab record",
    "test_measured_claims_are_those_of_the_code": "reglab check",
    "test_verdicts_follow_from_the_measured_numbers": "reglab check",
    "test_essential_claims_hold_and_failures_are_explained": "reglab check",
    "test_no_essential_claim_holds_for_an_arm_that_knows_nothing": "reglab check",
    "test_the_notebook_is_short": "words, and should have 400 to 900",
}
"""The parts of the contract that a paper breaks as long as it is only begun, and what they say."""


def test_a_begun_paper_works_and_the_contract_says_what_is_missing(checkout: Path) -> None:
    part, slug = LONGEST.split("/")
    own = f"tests/papers/{part}/test_{slug}.py"
    done = here(checkout, "pytest", "-n0", "-p", "no:cacheprovider", "tests/test_papers.py", own, "-k", slug)
    failed = set(re.findall(r"^FAILED tests/test_papers\.py::(\w+)\[", done.stdout, re.M))
    assert failed == set(FAILS), done.stdout
    assert done.stdout.count("\nFAILED ") == len(FAILS) and " passed" in done.stdout and "\nERROR" not in done.stdout
    for words in FAILS.values():
        assert words in done.stdout
    missing = marked(LONGEST)
    assert len(missing) > 30
    for line in missing:
        assert line in done.stdout
    assert re.search(r"book/references\.bib:\d+: Surname, First", done.stdout)


# --------------------------------------------------------------------------------------------------- what it refuses


FIRST = catalogue.SLUGS[0]
BAD = {
    "label_smoothing": "'label_smoothing': write it as PART/SLUG, for example labels/label_smoothing",
    "lables/smoothing": "there is no part 'lables'; did you mean 'labels'? (the parts are: labels, noise, ",
    "../escape": "there is no part '..'",
    "labels/../x": "'../x' cannot name files: take 3 to 30 small letters, digits and _",
    "labels/Label-Smoothing": "'Label-Smoothing' cannot name files",
    "labels/_shared": "'_shared' cannot name files",
    "labels/lambda": "'lambda' cannot name files",
    "labels/ab": "'ab' cannot name files",
    f"labels/{'a' * 31}": "cannot name files",
    "labels/": "'' cannot name files",
    "labels/index": "'index' already names another page of the lab",
    "labels/noise": "'noise' already names another page of the lab",
    f"noise/{FIRST.split('/')[1]}": f"there is already a paper '{FIRST}'; choose another slug",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_name_gets_one_clear_line(inside: Reglab, name: str) -> None:
    done = inside("new", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    assert BAD[name] in done.stderr


def refused(copy: Path, name: str, why: str) -> None:
    """Make sure that a paper is refused in one line, in a process of its own, and that nothing has changed."""
    before = content(copy)
    done = here(copy, "reglab", "new", name)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    assert why in done.stderr
    assert content(copy) == before


def test_all_or_nothing_is_written(tmp_path: Path) -> None:
    copy = copied(tmp_path)
    stray = copy / "tests" / "papers" / "labels" / "test_mine.py"
    stray.write_text("mine = 1\n", encoding="utf-8")
    refused(copy, "labels/mine", f"{stray} is already there; choose another slug, or remove it")
    (copy / "reglab" / "papers" / "labels" / "ours").mkdir()
    refused(copy, "labels/ours", "ours is already there")
    shutil.rmtree(copy / "lab" / "weights")
    (copy / "lab" / "weights").write_text("a file where a folder should be", encoding="utf-8")
    refused(copy, "weights/pruning", f"cannot write {copy / 'lab' / 'weights' / 'pruning.py'}: ")
    contents = copy / "book" / "_toc.yml"
    last = [name for name in catalogue.SLUGS if name.startswith("labels/")][-1]
    contents.write_text(contents.read_text(encoding="utf-8").replace(f"lab/{last}", "lab/other"), encoding="utf-8")
    refused(copy, "labels/smoothing", f"{contents} has 0 entries of {last}, behind which smoothing belongs, not 1")


def test_outside_a_checkout_it_says_what_it_needs(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "reglab", tmp_path / "reglab", ignore=shutil.ignore_patterns("__pycache__", "papers"))
    refused(tmp_path, "labels/smoothing", f"{tmp_path} is no checkout of the lab, it has no book/_toc.yml")


def test_files_are_written_all_or_none(tmp_path: Path) -> None:
    kept, fresh, blocked = tmp_path / "kept", tmp_path / "folder" / "inner" / "fresh", tmp_path / "kept" / "blocked"
    kept.write_text("before", encoding="utf-8")
    with pytest.raises(ValueError, match=f"cannot write {re.escape(str(blocked))}"):
        files.write_all({kept: "after", fresh: "new", blocked: "never"})
    assert content(tmp_path) == {kept: b"before"}
    files.write_all({kept: "after", fresh: "new"})
    assert kept.read_text() == "after" and fresh.read_text() == "new"
