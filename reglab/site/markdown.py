"""Texts of the lab inside Markdown."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Return Markdown that shows a text exactly as it is, in one line."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line(text))


def line(text: str) -> str:
    """Return a text in one line."""
    return " ".join(text.split())
