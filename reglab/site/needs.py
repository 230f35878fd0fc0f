"""Which cells of a notebook some code needs: found by the names that cells define and read, without running them."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """The code of a cell with the names that it defines, changes (as in `a.append(1)`, `a[0] = 1`) and reads."""

    source: str
    defines: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()


def cell(source: str) -> Cell:
    """Return a cell with its names; what IPython cannot read as Python defines none."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        python = TransformerManager().transform_cell(source)
        tree, table = ast.parse(python), symtable.symtable(python, "cell", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Cell(source)
    top = table.get_symbols()
    imported = {symbol.get_name() for symbol in top if symbol.is_imported()}
    defines = imported | {symbol.get_name() for symbol in top if symbol.is_assigned()}
    reads = {symbol.get_name() for symbol in top if symbol.is_referenced()} | _globals(table)
    # the table does not count `a += 1` as reading
    grown = [node.target for node in ast.walk(tree) if isinstance(node, ast.AugAssign)]
    reads |= {target.id for target in grown if isinstance(target, ast.Name)}
    return Cell(source, frozenset(defines), frozenset(_changes(tree) - imported), frozenset(reads))


def needed(cells: Sequence[Cell], names: Collection[str], always: Collection[int] = ()) -> list[Cell]:
    """Return the cells that define or change some names, with those that they need themselves, in their order.

    `always` holds the numbers of cells that are taken anyway. Errs on the side of too many.
    """
    wanted, chosen = set(names), []
    modules = {"notebook", "exercises", "experiments", "method"}
    for number, one in reversed(list(enumerate(cells))):
        if number in always or wanted & one.defines or wanted & (one.changes - modules):
            wanted = (wanted - one.defines) | one.reads
            chosen.append(one)
    return chosen[::-1]


def _globals(table: symtable.SymbolTable) -> set[str]:
    """Return the names of the notebook that functions and classes in a cell read."""
    found: set[str] = set()
    for child in table.get_children():
        found |= {symbol.get_name() for symbol in child.get_symbols() if symbol.is_global()} | _globals(child)
    return found


def _changes(tree: ast.Module) -> set[str]:
    """Return the names of things that are changed, not defined, by the statements of a cell."""
    places: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            places.append(node.value)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            places.append(node.value.func)
    found = set()
    for place in places:
        while isinstance(place, ast.Attribute | ast.Subscript):
            place = place.value
        if isinstance(place, ast.Name):
            found.add(place.id)
    return found
