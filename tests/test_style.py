"""The code's style and types, checked as `make test` checks them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reglab.catalogue import ROOT


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "mypy"])
def test_style_and_types(command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
