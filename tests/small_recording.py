"""The real command `reglab` with a small plan: `python small_recording.py FOLDER HOW ARGUMENT...`.

It records two by three settings of `LinearTheory`, few steps each, in a folder of its own. HOW is `through`, or `many`
for a grid that takes far longer than any test, or `halt` to halt (SIGSTOP) once, when the first point is kept, or
`later` to halt when the third is.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import processes
import xarray as xr

from reglab import catalogue, cli
from reglab.experiment import Experiment
from reglab.recordings import store, sweep

PAPER = "early_learning"
GRID = {"spread": (0.1, 0.2), "ratio": (0.3, 0.5, 0.9)}
MANY = {"spread": tuple(i / 1000 for i in range(101, 201)), "ratio": (0.3, 0.5, 0.9)}
SETTINGS = {"steps": 500}
SEEDS = 3


def kind() -> type[Experiment]:
    """Return the experiment."""
    return catalogue.experiment(PAPER, "LinearTheory")


def plan(patch: Any, folder: Path, cls: type[Experiment] | None = None, grid: Any = None, settings: Any = None) -> None:
    """Let `patch(object, name, value)` make small what is planned, and keep it all in a folder."""
    cls = cls or kind()
    patch(cls, "grid", grid or GRID)
    patch(store, "FOLDER", folder / "recorded")
    patch(sweep, "CACHE", folder / "cache")
    patch(sweep, "planned", lambda name: [sweep.Sweep(cls, settings or SETTINGS, SEEDS)])


def start(folder: Path, *arguments: str, how: str = "through") -> subprocess.Popen[str]:
    """Start the command `reglab ARGUMENT...` with the small plan in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return processes.start([sys.executable, __file__, str(folder), how, *arguments], env=environment)


def halt_once(patch: Any, point: int) -> None:
    """Let `patch(object, name, value)` make this process halt, all its threads, when so many points have been kept."""
    keep, count = sweep._keep, itertools.count(1)

    def halting(*arguments: Any) -> None:
        keep(*arguments)
        if next(count) == point:
            os.kill(os.getpid(), signal.SIGSTOP)

    patch(sweep, "_keep", halting)


SMALL: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "curves": ("early_learning", "LinearTheory", GRID, SETTINGS),
    "a cloud": ("neural_collapse", "ExactModel", {"beta": (0.1, 1), "lambda_H": (0.05, 0.4)}, {"duration": 2}),
    "films": ("mode_collapse", "ModeCollapse", {"strength": (0, 0.02), "rate_ratio": (0.5, 1)}, {"steps": 100}),
    "no arms": ("early_learning", "EarlyAccuracy", {"noise": (0.2, 0.4), "ratio": (0.5, 0.9)}, {"learning_rate": 0.1}),
}
"""Small recordings: paper, experiment, grid, other knobs."""


class Small:
    """A small recording in a folder of its own, and the runs it was made of."""

    def __init__(self, label: str, folder: Path, patch: Any, content: bytes = b"") -> None:
        self.paper, name, grid, self.settings = SMALL[label]
        self.kind: type[Experiment] = catalogue.experiment(self.paper, name)
        plan(patch, folder, self.kind, grid, self.settings)
        (self.sweep,) = sweep.planned(self.paper)
        self.path = store.path(self.paper)
        if content:
            self.path.parent.mkdir(parents=True)
            self.path.write_bytes(content)
        else:
            sweep.record(self.paper, jobs=1)

    def at(self, place: tuple[int, ...]) -> Experiment:
        """Return the setting at a place of the grid, with all its arms."""
        chosen = {knob: self.kind.grid[knob][i] for knob, i in zip(self.kind.grid, place, strict=True)}
        return self.kind.make({**self.settings, **chosen})


def accuracy(values: xr.DataArray) -> tuple[bool, float]:
    """Return whether logarithms of a recorded variable were rounded, and by how much at most."""
    log = "accuracy_log10" in values.attrs
    return log, values.attrs["accuracy_log10" if log else "accuracy"]


if __name__ == "__main__":
    plan(setattr, Path(sys.argv[1]), grid=MANY if sys.argv[2] == "many" else None)
    if point := {"halt": 1, "later": 3}.get(sys.argv[2]):
        halt_once(setattr, point)
    sys.argv = ["reglab", *sys.argv[3:]]
    cli.main()
