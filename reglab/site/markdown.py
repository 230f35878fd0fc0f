"""Texts of the lab inside Markdown."""

from __future__ import annotations

import re

from reglab.pictures import words


def plain(text: str) -> str:
    """Return Markdown that shows a text exactly as it is, in one line, but for subscripts: λ_H, Tr Σ_W."""
    return words.lowered(re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line(text)))


def line(text: str) -> str:
    """Return a text in one line."""
    return " ".join(text.split())
