"""The cells that some code needs."""

from __future__ import annotations

import pytest

from reglab.site.needs import cell, needed


@pytest.mark.parametrize(
    ("source", "defines", "changes", "reads"),
    [
        ("a, b = c", "a b", "", "c"),
        ("import numpy as np\nnp.random.seed(1)", "np", "", "np"),
        ("def f(x):\n    y = x\n    return y + z", "f", "", "z"),
        ("class A:\n    b = c\n    def d(self):\n        return e", "A", "", "c e"),
        ("a[0].b = 1\nc.append(2)\nd.e(3)", "", "a c d", "a c d"),
        ("[x for x in y]", "", "", "y"),
        ("a = 1  # a comment\nfor i in range(3):\n    a += i", "a i", "", "a i range"),
        ("this is no Python", "", "", ""),
    ],
)
def test_names_of_a_cell(source: str, defines: str, changes: str, reads: str) -> None:
    found = cell(source)
    assert [found.defines, found.changes, found.reads] == [set(names.split()) for names in (defines, changes, reads)]


def test_a_line_for_ipython_is_read() -> None:
    assert "a" in cell("%matplotlib inline\na = 1").defines


def test_what_is_needed_comes_in_its_order() -> None:
    sources = ["import os", "a = 1", "b = a", "slow()", "c = []", "c.append(b)", "b = 2", "print(a)"]
    cells = [cell(one) for one in sources]

    def found(*names: str, always: tuple[int, ...] = ()) -> list[str]:
        return [one.source for one in needed(cells, names, always)]

    assert found("c") == ["a = 1", "b = a", "c = []", "c.append(b)"]
    assert found("b") == ["b = 2"], "an older value is not needed"
    assert found("nothing") == []
    assert found("os", always=(7,)) == ["import os", "a = 1", "print(a)"]
