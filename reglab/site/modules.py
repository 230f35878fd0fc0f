"""The map of the core: its layers, what each module is for, and which layer may import which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reglab import catalogue


@dataclass(frozen=True)
class Layer:
    """Modules and folders, named from `reglab` on, that import one another and layers below, never one above."""

    title: str
    idea: str
    modules: tuple[str, ...]


LAYERS = (
    Layer(
        "Ground",
        "Numbers, names and declarations; none of these knows what an experiment is.",
        ("", "catalogue", "data", "digests", "exercise", "files", "knobs", "metrics", "names", "processes", "results",
         "seeds", "statistics"),
    ),
    Layer("Models and pictures", "Networks trained side by side, and what results look like.", ("models", "pictures")),
    Layer(
        "Experiments",
        "What a paper is written with, beside the ground.",
        ("experiment", "training", "across", "effects", "claims", "measurements"),
    ),
    Layer("Recordings", "Experiments computed over a grid of settings, kept and checked.", ("recordings",)),
    Layer("Notebooks", "What the cells of a notebook call.", ("beside", "bet", "explore", "notebook", "site.replay")),
    Layer(
        "Website and command line",
        "What people start; no notebook uses it.",
        ("site", "cli", "__main__", "verify", "handout"),
    ),
)  # fmt: skip
"""The layers of the core from the ground up."""

TOP = LAYERS[-1]


def name(path: Path) -> str:
    """Return the dotted name of a module of the core from `reglab` on, "" for `reglab` itself."""
    parts = path.relative_to(catalogue.PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def full(path: Path) -> str:
    """Return the name by which a module of the core is imported."""
    return f"reglab.{name(path)}".strip(".")


def layer(path: Path) -> Layer:
    """Return the layer of a module of the core; raises `KeyError` for one that stands in none."""
    named = name(path)
    holders = {one: layer for layer in LAYERS for one in layer.modules}
    while named not in holders:
        if "." not in named:
            raise KeyError(f"{path.name} stands in no layer; name it in LAYERS of reglab/site/modules.py")
        named = named.rpartition(".")[0]
    return holders[named]


def purpose(path: Path) -> str:
    """Return the first line of a module's docstring, "" where it has none."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def listed() -> Iterator[str]:
    """Yield the map as Markdown: from the top down, one section for each layer and one line for each module."""
    for one in reversed(LAYERS):
        yield f"### {one.title}\n\n{one.idea}\n"
        for path in catalogue.core():
            if layer(path) is one:
                yield f"- `{full(path)}`: {purpose(path)}"
        yield ""
