"""An experiment small enough to compute by hand: a random walk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from reglab.experiment import Experiment
from reglab.knobs import Knob, knob
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator

SCALE = Knob(2.0, 0.5, 8.0, stops=(0.5, 1, 2, 8), help="factor of the second arm")


@dataclass(frozen=True)
class Walk(Experiment):
    """A random walk, and the same walk scaled."""

    drift: float = knob(0.5, low=-1, high=1, step=0.1, symbol="μ", help="added at each step")
    scale: float = knob(SCALE)
    steps: int = knob(4, low=1, high=50, step=1, help="how many steps")
    mirrored: bool = knob(False, help="walk the other way")
    law: str = knob("normal", choices=("normal", "uniform"), help="distribution of a step")

    arms = {"plain": "baseline", "scaled": "method"}
    outputs = {
        "place": Var("arm seed time", "place", "where the walk is", unit="m"),
        "end": share("seed", "end", "share of steps to the right"),
    }
    smoke = {"steps": 2}

    def axes(self) -> dict[str, Axis]:
        return {"time": Axis(range(self.steps + 1), unit="s", label="time"), "kind": Axis(["a", "b"])}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        draw = torch.randn if self.law == "normal" else torch.rand
        moves = torch.stack([draw(self.steps, generator=generator(seed, "walk")) for seed in seeds]) + self.drift
        place = torch.zeros(len(seeds))
        for t in range(self.steps + 1):
            yield Frame({"time": t, "arm": "plain"}, {"place": place})
            yield Frame({"time": t, "arm": ["scaled"]}, {"place": self.scale * place[None]})
            if t < self.steps:
                place = place + (-moves if self.mirrored else moves)[:, t]
            yield Tick((t + 1) / (self.steps + 1))
        yield Frame({}, {"end": (moves > 0).float().mean(1)})
