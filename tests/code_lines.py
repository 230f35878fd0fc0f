"""How long a file is: lines of code, without docstrings, comments and blank lines."""

from __future__ import annotations

import ast
import io
import tokenize

SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(text: str) -> int:
    """Return how many lines of a Python text hold code; a text that stands as a statement is a docstring."""
    counted: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SILENT:
            counted |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            counted -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(counted)
