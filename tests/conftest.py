"""What all tests share: one thread for each process, so that results and times do not depend on the computer's load."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is imported, here and in every process that a test starts

ROOT = Path(__file__).resolve().parent.parent
Reglab = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def reglab() -> Reglab:
    """Return a function that runs the real command `reglab` in a process of its own, on a wide terminal."""

    def run(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "reglab", *map(str, arguments)]
        environment = {**os.environ, "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}
        return subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", env=environment, cwd=ROOT, timeout=timeout
        )

    return run
