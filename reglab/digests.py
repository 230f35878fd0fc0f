"""Digests by meaning: what an experiment computes and how a claim is measured, without the words and pictures around.

What an experiment computes is its methods and all of its paper that they name, directly or through others: functions,
classes and constants, each as a syntax tree without comments, docstrings, annotations and imports. In which file of
the paper a definition lies does not count. Names of the core and of libraries stay names, so that a change there makes
nothing stale by itself. A digest is 16 hexadecimal digits, the same in every process and version of Python.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import hashlib
import importlib.util
import symtable
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from reglab.claims import Claim
    from reglab.experiment import Experiment

PAPERS = "reglab.papers."
"""Definitions of these modules are followed by name."""

WORDS = ("help", "symbol", "unit", "label")
"""Arguments of `Knob` and `Axis` that only say something."""

Definition = tuple[str, str]
"""A module of the papers and a name in it; "" for the module itself."""

_PARSING = threading.RLock()
"""Python 3.11 parses in one thread at a time, or fails."""


def of_experiment(kind: type[Experiment]) -> str:
    """Return the digest of what an experiment computes, "" for one outside the papers.

    Beside the code these count: knobs with their defaults, arms with their settings but not their roles, names and
    axes of outputs, and what a class is given beside its bases. Ranges, labels, units, helps, views and all else
    that an experiment declares do not. The code is that of this process: it is read once and remembered.
    """
    return _computed(kind.__module__, kind.__name__) if kind.__module__.startswith(PAPERS) else ""


def of_claim(claim: Claim) -> str:
    """Return the digest of how a claim is measured: experiment, settings, seeds, effect, bound and rule, no words.

    Roles of arms count where null arms are put in the method's place.
    """
    nulls = (claim.exchanges,) if claim.exchanges else ()
    with _PARSING:
        return _digest((of_experiment(claim.of), *_asked(claim), *nulls))


def of_question(claim: Claim) -> str:
    """Return the digest of what a claim asks, as `of_claim`, but of its experiment the name only."""
    with _PARSING:
        return _digest((claim.of.__name__, *_asked(claim)))


def _asked(claim: Claim) -> tuple[Any, ...]:
    settings = [sorted(values.items()) for values in claim.at.values()]
    bounds = (claim.above, claim.below, claim.within)
    return settings, claim.seeds, _meaning(claim.effect), bounds, claim.rule


def of_code(text: str) -> str:
    """Return the digest of some code: of its syntax tree without comments, docstrings, annotations and imports."""
    with _PARSING:
        return _digest(_canonical(_Plain().visit(ast.parse(text))))


@functools.cache
def _computed(module: str, name: str) -> str:
    with _PARSING:
        return _digest(_closure([(module, name)]))


def _digest(content: Any) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


# ---------------------------------------------------------------------------------------------------- what is named


class _Module(NamedTuple):
    """A module's functions by their first line, statements by the names they define, and what its imports mean."""

    functions: dict[int, list[ast.Lambda | ast.FunctionDef]]
    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, Definition]


@functools.cache
def _module(name: str) -> _Module | None:
    """Return a module of the papers; None for every other name."""
    try:
        spec = importlib.util.find_spec(name) if name.startswith(PAPERS) else None
    except ModuleNotFoundError:  # a name in a module that is no package
        return None
    if spec is None or not spec.origin:
        return None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    found = _Module({}, {}, {})
    for statement in tree.body:
        for defined in _defined(statement):
            found.definitions.setdefault(defined, []).append(statement)
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda | ast.FunctionDef):
            first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
            found.functions.setdefault(first, []).append(node)
        elif isinstance(node, ast.Import):
            found.imports.update({alias.asname: (alias.name, "") for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name("." * node.level + (node.module or ""), spec.parent)
            found.imports.update({alias.asname or alias.name: (source, alias.name) for alias in node.names})
    return found


def _defined(statement: ast.stmt) -> set[str]:
    """Return the names that a statement defines or changes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    nodes = list(ast.walk(statement))
    inner = {name for one in nodes if isinstance(one, ast.comprehension) for name in ast.walk(one.target)}
    changed = [one for one in nodes if isinstance(getattr(one, "ctx", None), ast.Store) and one not in inner]
    return {name.id for one in changed for name in ast.walk(one) if isinstance(name, ast.Name)}


def _find(module: str, name: str) -> Definition | None:
    """Return where in the papers it is defined what a name means in a module; None for the core and for libraries."""
    here = _module(module)
    if here is None:
        return None
    if name in here.definitions:
        return module, name
    source, original = here.imports.get(name, ("", ""))
    return _member(source, original) if original else (source, "") if _module(source) else None


def _member(module: str, name: str) -> Definition | None:
    """Return what an attribute of a module is: a module in it or a definition."""
    return (f"{module}.{name}", "") if _module(f"{module}.{name}") else _find(module, name)


def _closure(starts: Iterable[Definition]) -> list[tuple[str, str]]:
    """Return some definitions and all that they name in the papers, each as its name and its canonical form."""
    found, seen, todo = set(), set(), list(starts)
    while todo:
        definition = todo.pop()
        if definition not in seen:
            seen.add(definition)
            forms, named = _read(*definition)
            found |= forms
            todo += named
    return sorted(found)


@functools.cache
def _read(module: str, name: str) -> tuple[set[tuple[str, str]], set[Definition]]:
    """Return the forms of a definition and what it names."""
    here, kind = _module(module), getattr(sys.modules.get(module), name, None)
    assert here is not None
    forms: set[tuple[str, str]] = set()
    named: set[Definition] = set()
    for statement in here.definitions[name]:
        parts: Iterable[tuple[str, ast.AST]] = [(name, statement)]
        if isinstance(statement, ast.ClassDef) and kind is not None and hasattr(kind, "knobs"):  # an experiment
            forms.add((name, _values(kind)))
            parts = _counted(kind, statement)
        for label, part in parts:
            form, others = _form(module, part)
            forms.add((label, form))
            named |= others
    return forms, named


def _values(kind: type[Experiment]) -> str:
    """Return what counts of the declarations of an experiment by its value."""
    knobs = sorted((name, repr(knob.default)) for name, knob in kind.knobs().items())
    arms = [(name, sorted(arm.settings.items())) if arm.settings else name for name, arm in kind.arms.items()]
    return repr((knobs, arms, sorted((name, var.dims) for name, var in kind.outputs.items())))


def _counted(kind: type[Experiment], declared: ast.ClassDef) -> Iterator[tuple[str, ast.AST]]:
    """Yield the parts of an experiment that count as code: bases, methods, constants of its own (private if used)."""
    core = {name for base in kind.__mro__ if not base.__module__.startswith(PAPERS) for name in vars(base)}
    methods = [part for part in declared.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
    used = {node.attr for method in methods for node in ast.walk(method) if isinstance(node, ast.Attribute)}
    yield kind.__name__, ast.Tuple([*declared.bases, *(given.value for given in declared.keywords)], ast.Load())
    for method in methods:
        yield f"{kind.__name__}.{method.name}", method
    for part in [part for part in declared.body if part not in methods]:
        for name in _defined(part) - {*core, *kind.knobs()}:
            if not name.startswith("_") or name in used:
                yield f"{kind.__name__}.{name}", part


# ------------------------------------------------------------------------------------------------ functions as values


def _meaning(value: Any) -> Any:
    """Return what a value means: of a function its code, what that names, and the values that it was made with.

    A dataclass means its name and its fields.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, [
            (one.name, _meaning(getattr(value, one.name))) for one in dataclasses.fields(value)
        ]
    if not isinstance(value, FunctionType):
        return repr(value)
    module, code = value.__module__, value.__code__
    if _find(module, value.__qualname__):
        return _closure([(module, value.__qualname__)])
    node = _node(value)
    if node is None:
        return f"{module}.{value.__qualname__}"
    form, named = _form(module, node, code.co_freevars)
    made_with = [cell.cell_contents for cell in value.__closure__ or ()]
    made_with += [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    return form, _closure(named), [_meaning(one) for one in made_with]


def _node(function: FunctionType) -> ast.AST | None:
    """Return the tree of a function or lambda that is no definition of its module; None if it is not of the papers."""
    here, code = _module(function.__module__), function.__code__
    found = here.functions.get(code.co_firstlineno, []) if here else []
    # several in one line: the last one that begins before the code does
    begin = min(((line, column) for line, _, column, end in code.co_positions() if line and column and end), default=())
    before = [node for node in found if (node.lineno, node.col_offset) < begin]
    return max(before or found, key=lambda node: node.col_offset, default=None)


# ---------------------------------------------------------------------------------------------------- canonical forms


def _form(module: str, part: ast.AST, own: Iterable[str] = ()) -> tuple[str, set[Definition]]:
    """Return the canonical form of a part of a module and what it names in the papers, except for names of its own."""
    plain = _Plain().visit(copy.deepcopy(part))
    names = _Names(module, _globals(plain) - set(own))
    return repr(_canonical(names.visit(plain))), names.found


class _Plain(ast.NodeTransformer):
    """Leaves away what computes nothing: docstrings, annotations (but fields of classes), imports, words of knobs."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if text else self.generic_visit(node)

    def visit_Import(self, node: ast.AST) -> ast.AST:
        return ast.Pass()

    visit_ImportFrom = visit_Import

    def visit_FunctionDef(self, node: Any) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return self.visit(ast.Assign([node.target], node.value, lineno=node.lineno)) if node.value else ast.Pass()

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [child if isinstance(child, ast.AnnAssign) else self.visit(child) for child in node.body]
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in ("Knob", "Axis"):
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in WORDS]
        return self.generic_visit(node)


class _Names(ast.NodeTransformer):
    """Collects the definitions of the papers that are meant, and writes `f` and `module.f` alike, by their own name."""

    def __init__(self, module: str, names: set[str]) -> None:
        self.module, self.names = module, names
        self.found: set[Definition] = set()

    def visit_Name(self, node: Any) -> ast.AST:
        meant = self._meant(node)
        if meant is None or not meant[1]:
            return self.generic_visit(node)
        self.found.add(meant)
        return ast.Name(meant[1], node.ctx)

    visit_Attribute = visit_Name

    def _meant(self, node: ast.AST) -> Definition | None:
        if isinstance(node, ast.Name) and node.id in self.names:
            return _find(self.module, node.id)
        if isinstance(node, ast.Attribute):
            holder = self._meant(node.value)
            return _member(holder[0], node.attr) if holder and not holder[1] else None
        return None


def _globals(tree: ast.AST) -> set[str]:
    """Return the names in a piece of code that come from its module, from builtins or from imports."""
    whole = symtable.symtable(ast.unparse(tree), "", "exec")
    found, tables = set(whole.get_identifiers()), [whole]
    for table in tables:
        tables += table.get_children()
        found |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
    return found


def _canonical(node: ast.AST) -> tuple[Any, ...]:
    """Return a syntax tree as plain values that do not depend on the Python version (empty fields are left out)."""
    found: list[Any] = [type(node).__name__]
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                if not isinstance(child, ast.Pass):
                    found.append((field, _canonical(child)))
            elif child is not None or isinstance(value, list):
                found.append((field, repr(child)))
    return tuple(found)
