"""What was probably meant by a name that nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], before: str = "") -> str:
    """Return `did you mean 'x'?`, after `before`, with the known name nearest to a wrong one; "" where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"{before}did you mean {near[0]!r}?" if near else ""
