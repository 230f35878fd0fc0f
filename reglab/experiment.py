"""An experiment: its knobs, what it measures, and the generator that computes it frame by frame.

A subclass of `Experiment` is a frozen dataclass. From its one declaration come the sliders, the papermill
parameters, the command line, the tables of claims and the checks of bad input.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

import reglab
from reglab import digests
from reglab.knobs import Arm, Knob, unaffected
from reglab.names import nearest
from reglab.results import Axis, Frame, Snapshot, Tick, Var
from reglab.seeds import Seeds, as_seeds
from reglab.training import Lanes

if TYPE_CHECKING:
    import xarray as xr

    from reglab.pictures import View

DTYPE = torch.float32
"""Runs compute in this type, whichever the program around them has chosen; tests ask for twice the digits."""

THREADS = 1
"""Runs compute on one core: the networks are too small to share out, and threads that wait for a core that is busy with
something else make a run many times as long."""


@dataclass(frozen=True)
class Experiment:
    """A setting of an experiment. Making one checks every knob; `run` computes it.

    Subclasses declare `arms` (label -> `Arm`; a plain text is an arm of that role without settings), `outputs`,
    `views`, `headline` (the output that one sentence reports), `scaled` (what was scaled down from the paper), `smoke`
    (a setting that runs in under a second), `grid` (what the website replays), `spot_tolerance` (by what share of
    its span over the grid a variable's mean over seeds may differ, beyond luck, when a recorded point is computed
    again), `equals_baseline` (settings and arms that must equal the baseline exactly) and `may_be_nan` (outputs that
    may be NaN where all is computed, in part or at some settings; never the headline). They implement `frames`, and
    `axes` where results have some beside arm and seed.
    `unaffected` (a knob of the grid -> arms that do not depend on it, which a recording computes once for all its
    values) follows from the settings of arms; it is declared only where arms are plain texts.
    """

    arms: ClassVar[Mapping[str, Any]] = {}
    outputs: ClassVar[Mapping[str, Var]] = {}
    views: ClassVar[tuple[View, ...]] = ()
    headline: ClassVar[str] = ""
    scaled: ClassVar[str] = ""
    smoke: ClassVar[Mapping[str, Any]] = {}
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {}
    unaffected: ClassVar[Mapping[str, Sequence[str]]] = {}
    spot_tolerance: ClassVar[float] = 0.005
    equals_baseline: ClassVar[Sequence[tuple[Mapping[str, Any], str]]] = ()
    may_be_nan: ClassVar[Sequence[str]] = ()

    def __init_subclass__(cls) -> None:
        cls.arms = {name: arm if isinstance(arm, Arm) else Arm(arm) for name, arm in cls.arms.items()}
        if any(arm.settings for arm in cls.arms.values()):
            cls.unaffected = unaffected(cls.arms, cls.grid)

    def __post_init__(self) -> None:
        for name, declared in self.knobs().items():
            object.__setattr__(self, name, declared.check(name, getattr(self, name)))

    @classmethod
    def knobs(cls) -> dict[str, Knob]:
        """Return all knobs by name, in the order of their declaration."""
        return {f.name: f.metadata["knob"] for f in dataclasses.fields(cls)}

    @classmethod
    def make(cls, settings: Mapping[str, Any]) -> Self:
        """Return the experiment at some settings; raises `KeyError` for an unknown knob, `ValueError` for its value.

        Texts are read as the command line writes them.
        """
        known = cls.knobs()
        for name in settings:
            if name not in known:
                hint = nearest(name, known, before="; ")
                raise KeyError(f"{cls.__name__} has no knob {name!r}{hint} (its knobs: {', '.join(known)})")
        return cls(**{k: known[k].parse(k, v) if isinstance(v, str) else v for k, v in settings.items()})

    @classmethod
    def paper(cls) -> str:
        """Return the name of the paper, `part/slug`, that this experiment belongs to."""
        return "/".join(cls.__module__.split(".")[2:4])

    def settings(self) -> dict[str, Any]:
        """Return the value of every knob."""
        return {name: getattr(self, name) for name in self.knobs()}

    def only(self, arms: Iterable[str]) -> Self:
        """Return this setting with some of its arms, which is all that `frames` then computes.

        Their results are those of the whole run, up to rounding. It still compares equal to the whole.
        Raises `KeyError` for an arm that the experiment does not have.
        """
        wanted = set(arms)
        if unknown := wanted - set(self.arms):
            raise KeyError(f"{type(self).__name__} has no arm {sorted(unknown)[0]!r}; it has: {', '.join(self.arms)}")
        chosen = dataclasses.replace(self)
        object.__setattr__(chosen, "arms", {arm: role for arm, role in self.arms.items() if arm in wanted})
        return chosen

    def lanes(self, seeds: Seeds) -> Lanes:
        """Return all arms and seeds of this setting as one batch of models."""
        return Lanes(self.arms, seeds, self.settings())

    def axes(self) -> dict[str, Axis]:
        """Return all axes of the results but `arm` and `seed`, whose positions the base class knows."""
        return {}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Compute: yield a `Frame` for each slice of results and a `Tick` at least every 50 ms."""
        raise NotImplementedError

    def stream(self, seeds: int | Iterable[int] = 8) -> Iterator[Snapshot]:
        """Compute and yield the growing data set (always the same object) at every frame and tick."""
        chosen = as_seeds(seeds)
        data = self._empty(chosen)
        fraction = 0.0
        for event in _undisturbed(self.frames(chosen)):
            if isinstance(event, Tick):
                fraction = event.fraction
            else:
                self._fill(data, event)
            yield Snapshot(data, fraction, isinstance(event, Frame))
        yield Snapshot(data, 1.0, True)

    def run(self, seeds: int | Iterable[int] = 8, progress: Callable[[float], None] | None = None) -> xr.Dataset:
        """Compute and return the results: a data set with named axes, units, descriptions and provenance.

        `progress` is called with the fraction done (0 to 1). Raises `ValueError` for seeds that make no sense.
        """
        for snapshot in self.stream(seeds):
            if progress is not None:
                progress(snapshot.fraction)
        return snapshot.data

    def _empty(self, seeds: Seeds) -> xr.Dataset:
        import xarray as xr

        axes = self.axes()
        coordinates: dict[str, Any] = {"seed": ("seed", np.array(seeds), {"long_name": "seed"})}
        if self.arms:
            coordinates["arm"] = ("arm", np.array(list(self.arms), dtype=object), {"long_name": "arm"})
        for name, axis in axes.items():
            values = np.array(axis.values)
            values = values.astype(object) if values.dtype.kind == "U" else values
            coordinates[name] = (name, values, axis.attributes(name))
        sizes = {name: len(coordinate[1]) for name, coordinate in coordinates.items()}
        variables = {}
        for name, var in self.outputs.items():
            variables[name] = (var.dims, np.full([sizes[dim] for dim in var.dims], np.nan), var.attributes)
        versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}
        provenance = {
            "paper": self.paper(),
            "experiment": type(self).__name__,
            "knobs": json.dumps(self.settings()),
            "reglab": reglab.__version__,
            "versions": json.dumps(versions),
            "digest": digests.of_experiment(type(self)),
            "threads": THREADS,
        }
        return xr.Dataset(variables, coordinates, provenance)

    def _fill(self, data: xr.Dataset, frame: Frame) -> None:
        arms = list(self.arms)
        at = dict(frame.at)
        unknown = [name for name in at if name not in data.dims]
        if unknown:
            raise KeyError(f"a frame of {type(self).__name__} names the axis {unknown[0]!r}; known: {tuple(data.dims)}")
        if isinstance(at.get("arm"), str):
            at["arm"] = arms.index(at["arm"])
        elif "arm" in at:
            at["arm"] = [arms.index(arm) for arm in at["arm"]]
        for name, values in frame.values.items():
            target = data[name]
            target[{dim: at[dim] for dim in target.dims if dim in at}] = np.asarray(values, dtype=float)


def _undisturbed(events: Iterator[Frame | Tick]) -> Iterator[Frame | Tick]:
    """Yield events that are computed with the numerical settings that PyTorch and NumPy start with."""
    while True:
        before, threads = torch.get_default_dtype(), torch.get_num_threads()
        torch.set_default_dtype(DTYPE)
        torch.set_num_threads(THREADS)
        try:
            with torch.enable_grad(), np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
                event = next(events, None)
        finally:
            torch.set_default_dtype(before)
            torch.set_num_threads(threads)
        if event is None:
            return
        yield event
