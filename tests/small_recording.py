"""The real command `reglab` with a small plan: `python small_recording.py FOLDER ARGUMENT...`.

It records two by three settings of `LinearTheory`, few steps each, in a folder of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from reglab import catalogue, cli, recorded, sweep
from reglab.experiment import Experiment

PAPER = "early_learning"
GRID = {"spread": (0.1, 0.2), "ratio": (0.3, 0.5, 0.9)}
SETTINGS = {"steps": 500}
SEEDS = 3


def kind() -> type[Experiment]:
    """Return the experiment."""
    return catalogue.experiment(PAPER, "LinearTheory")


def plan(patch: Any, folder: Path, cls: type[Experiment] | None = None, grid: Any = None, settings: Any = None) -> None:
    """Let `patch(object, name, value)` make small what is planned, and keep it all in a folder."""
    cls = cls or kind()
    patch(cls, "grid", grid or GRID)
    patch(recorded, "FOLDER", folder / "recorded")
    patch(sweep, "CACHE", folder / "cache")
    patch(sweep, "planned", lambda name: [sweep.Sweep(cls, settings or SETTINGS, SEEDS)])


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command `reglab ARGUMENT...` with the small plan in a process of its own, and of its own group."""
    command = [sys.executable, __file__, str(folder), *arguments]
    pipe, environment = (
        subprocess.PIPE,
        {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


if __name__ == "__main__":
    plan(setattr, Path(sys.argv[1]))
    sys.argv = ["reglab", *sys.argv[2:]]
    cli.main()
