"""What tests of the command line share: the paper that they use, and what is stored of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from reglab import measurements

Reglab = Callable[..., "subprocess.CompletedProcess[str]"]
PAPER = "early_learning"
NAME = f"labels/{PAPER}"
QUICK = ("--set", "epochs=2", "--seeds", "2")


def stored() -> bytes | None:
    """Return the lab's own file of measured claims, which these tests never change."""
    path = measurements.path(NAME)
    return path.read_bytes() if path.exists() else None
