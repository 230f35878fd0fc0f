"""Texts of the lab inside Markdown."""

from __future__ import annotations

import re

from reglab.pictures import words

BELOW = re.compile(words.SUBSCRIPT.pattern.replace("_(", r"\\_("))
"""A letter with what stands below it, where Markdown has its underscore with a backslash."""


def plain(text: str) -> str:
    """Return Markdown that shows a text exactly as it is, in one line, but for subscripts: λ_H, Tr Σ_W."""
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line(text))
    return BELOW.sub(r"\1<sub>\2</sub>", escaped)


def line(text: str) -> str:
    """Return a text in one line."""
    return " ".join(text.split())
