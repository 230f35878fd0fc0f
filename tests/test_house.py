"""The house: every module of the core has its layer, its purpose and a limit, and imports point down, in no circle."""

from __future__ import annotations

import ast
import graphlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from code_lines import code_lines

from reglab import catalogue
from reglab.site import modules

CORE = catalogue.core()
LONGEST = 350

every_file = pytest.mark.parametrize("path", CORE, ids=lambda path: modules.name(path) or "reglab")


def imports(tree: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """Yield what each import of a module names, also inside functions, but not for type checking alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "the core imports by full names"
            yield node.module or "", [alias.name for alias in node.names]
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from imports(ast.Module(node.orelse, []))
        else:
            yield from imports(node)


def graph(texts: dict[str, str]) -> dict[str, set[str]]:
    """Return which modules each module imports, given their texts by full name."""
    found: dict[str, set[str]] = {}
    for name, text in texts.items():
        found[name] = set()
        for source, members in imports(ast.parse(text)):
            inner = [f"{source}.{member}" for member in members]
            found[name] |= {one for one in inner if one in texts}
            if source in texts and not (inner and all(one in texts for one in inner)):
                found[name].add(source)
    return found


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Return a circle of imports, from a module back to itself; nothing where there is none."""
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    return graph({modules.full(path): path.read_text(encoding="utf-8") for path in CORE})


def test_imports_of_the_core_form_no_circle(arrows: dict[str, set[str]]) -> None:
    assert not (found := circle(arrows)), " -> ".join(found)


def test_imports_point_down(arrows: dict[str, set[str]]) -> None:
    height = {modules.full(path): modules.LAYERS.index(modules.layer(path)) for path in CORE}
    up = [f"{one} -> {other}" for one, others in arrows.items() for other in others if height[other] > height[one]]
    assert not up, "these imports point up: " + ", ".join(sorted(up))


def test_the_graph_sees_what_it_should() -> None:
    lazy = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from p import c\n\ndef f():\n    import p.b\n"
    arrows = graph({"p": "", "p.a": lazy, "p.b": "from p.c import x\nfrom p import y", "p.c": "from p import a as b"})
    assert arrows == {"p": set(), "p.a": {"p.b"}, "p.b": {"p.c", "p"}, "p.c": {"p.a"}}
    found = circle(arrows)
    assert found[0] == found[-1] and set(found) == {"p.a", "p.b", "p.c"}
    assert all(after in arrows[before] for before, after in itertools.pairwise(found))
    assert circle(arrows | {"p.c": set()}) == []


def test_layers_name_what_there_is() -> None:
    known = {modules.name(path) for path in CORE}
    known |= {name.rpartition(".")[0] for name in known}
    assert [name for layer in modules.LAYERS for name in layer.modules if name not in known] == []


@every_file
def test_a_file_of_the_core_has_a_layer_and_says_what_it_is_for(path: Path) -> None:
    assert modules.layer(path) in modules.LAYERS
    assert len(modules.purpose(path).split()) >= 3 and modules.purpose(path).endswith("."), path


@every_file
def test_a_file_of_the_core_is_short(path: Path) -> None:
    length = code_lines(path.read_text(encoding="utf-8"))
    assert length <= LONGEST, f"{path.name} has more than one job: split it"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", 0),
        ('"""Doc.\n\nMore.\n"""\n\n# why\nx = 1  # one\n"""What x is."""\n', 1),
        ('def f():\n    """Doc."""\n    return """a\nb"""\n', 3),
        ("x = (\n    1,\n\n    # two\n    2,\n)\n", 4),
    ],
)
def test_lines_of_code_are_counted(text: str, lines: int) -> None:
    assert code_lines(text) == lines


def test_the_map_names_every_module_once_from_the_top_down() -> None:
    lines = "\n".join(modules.listed()).splitlines()
    listed = [line.split("`")[1] for line in lines if line.startswith("- ")]
    assert sorted(listed) == sorted(map(modules.full, CORE))
    assert [line.removeprefix("### ") for line in lines if line.startswith("### ")] == [
        layer.title for layer in reversed(modules.LAYERS)
    ]


def layers_of(names: Iterable[str]) -> list[str]:
    return [modules.layer(catalogue.ROOT / "reglab" / name).title for name in names]


def test_a_module_belongs_to_the_nearest_name_that_a_layer_has() -> None:
    assert layers_of(["site/replay.py", "site/book.py", "cli/papers.py"]) == ["Notebooks"] + 2 * [modules.TOP.title]
    with pytest.raises(KeyError, match=r"nowhere\.py stands in no layer; name it in LAYERS"):
        layers_of(["nowhere.py"])
