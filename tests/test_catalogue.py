"""The list of papers: finding one, suggesting the nearest, and the digest of what a paper computes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from reglab import catalogue

NAME = catalogue.SLUGS[0]
SLUG = NAME.split("/")[1]

SOURCE = '''
"""A module."""
# a comment
X = 3

def f(a, *, b=None):
    """Say something."""
    return {"k": a, **b}[0:1]

class C:
    """A class."""
    name: str = "n"
'''


def canonical(source: str) -> list[object]:
    return list(catalogue._canonical(ast.parse(source)))


def test_a_paper_is_found_by_slug_and_by_full_name() -> None:
    assert catalogue.find(SLUG) == catalogue.find(NAME) == NAME
    assert catalogue.module(SLUG).PAPER is catalogue.paper(NAME)
    assert [paper.name for paper in catalogue.papers()] == list(catalogue.SLUGS)


@pytest.mark.parametrize("wrong", ["early_lerning", "labels/early_lerning", "noise/early_learning_"])
def test_a_misspelled_paper_suggests_the_nearest(wrong: str) -> None:
    with pytest.raises(KeyError, match=f"no paper named '{wrong}'; did you mean 'early_learning'"):
        catalogue.find(wrong)


def test_an_unknown_paper_lists_the_known() -> None:
    with pytest.raises(KeyError, match=f"known papers: .*{SLUG}"):
        catalogue.find("qqqq")


def test_experiments_are_found_by_name_whatever_its_case() -> None:
    first, second = catalogue.module(NAME).EXPERIMENTS[:2]
    assert catalogue.experiment(NAME) is first
    assert catalogue.experiment(SLUG, second.__name__.upper()) is second
    with pytest.raises(KeyError, match=f"no experiment '{second.__name__}x'; did you mean '{second.__name__}'"):
        catalogue.experiment(NAME, second.__name__ + "x")


def test_slugs_are_unique_across_parts_and_their_parts_exist() -> None:
    parts, slugs = zip(*(name.split("/") for name in catalogue.SLUGS), strict=True)
    assert len(set(slugs)) == len(slugs)
    assert set(parts) <= set(catalogue.PARTS)
    order = list(catalogue.PARTS)
    assert list(parts) == sorted(parts, key=order.index)


def test_parts_say_what_unites_them() -> None:
    for part in catalogue.PARTS.values():
        assert 2 <= len(part.title.split()) <= 8 and 8 <= len(part.idea.split()) <= 40 and part.idea.endswith(".")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another one"),
        ('"""A module."""', '"""Another text."""'),
        ('"""Say something."""', ""),
        ('    """A class."""\n', ""),
        ("X = 3", "X   =   (3)"),
        ('{"k": a, **b}', "{\n  'k': a,\n  **b,\n}"),
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(old: str, new: str) -> None:
    assert old in SOURCE
    assert canonical(SOURCE.replace(old, new)) == canonical(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X = 3", "X = 3.0"),
        ("X = 3", "X = '3'"),
        ("X = 3", "Y = 3"),
        ("b=None", "b"),
        ("*, b", "b"),
        ("[0:1]", "[0::1]"),
        ('"k"', '"l"'),
        ("def f", "async def f"),
        ("name: str =", "name ="),
        ("return", "yield"),
    ],
)
def test_code_counts(old: str, new: str) -> None:
    assert old in SOURCE
    assert canonical(SOURCE.replace(old, new)) != canonical(SOURCE)


def test_which_argument_has_a_default_counts() -> None:
    assert canonical("def f(*, a, b=1): pass") != canonical("def f(*, a=1, b): pass")


def test_the_digest_is_the_same_in_every_process() -> None:
    found = catalogue.digest(NAME)
    assert re.fullmatch("[0-9a-f]{16}", found) and catalogue.digest(SLUG) == found
    code = f"from reglab import catalogue; print(catalogue.digest({NAME!r}))"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert again.stdout.strip() == found


def test_papers_are_selected_by_name_or_part() -> None:
    slug = catalogue.SLUGS[0].split("/")[1]
    assert catalogue.select([slug, catalogue.SLUGS[1]]) == list(catalogue.SLUGS[:2])
    for part in catalogue.PARTS:
        assert catalogue.select([part]) == [name for name in catalogue.SLUGS if name.startswith(f"{part}/")]
    with pytest.raises(KeyError, match="did you mean"):
        catalogue.select(["early_lerning"])
