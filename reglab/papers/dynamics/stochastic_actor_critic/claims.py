"""STAC: what is measured against the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.claims import Claim
from reglab.papers.dynamics.stochastic_actor_critic import experiments, method
from reglab.papers.dynamics.stochastic_actor_critic.experiments import Actors, Pessimism, PointMass

if TYPE_CHECKING:
    import xarray as xr


NOISY = {"variant": "noisy", "reward_noise": 1.0, "buffer": 200, "steps": 900}
"""Little data, noisy rewards everywhere, noisy moves on the right."""

STILL = {"variant": "still", "buffer": 2000}
"""No noise, much data."""


def late(results: xr.Dataset, name: str, arm: str) -> xr.DataArray:
    """Return a quantity of one arm, mean of the checkpoints in the last two thirds of training: one for each seed.

    The agents change their habits until the end, so one checkpoint says less than the mean of several.
    """
    trace = results[name].sel(arm=arm)
    return trace.where(trace.step >= int(trace.step[-1]) / 3).mean("step")


def more(results: xr.Dataset, name: str, arm: str, other: str) -> xr.DataArray:
    """Return by how much a quantity of one arm exceeds that of another late in training."""
    return late(results, name, arm) - late(results, name, other)


def falling(results: xr.Dataset) -> float:
    """Return in how many seeds the least-squares slope of overestimation over β = 0, 0.25, 0.5 is negative."""
    arms = ["β = 0", "β = 0.25", "β = 0.5"]
    bias = np.stack([late(results, "overestimation", arm).values for arm in arms])
    slopes = np.polyfit([experiments.BETAS[arm] for arm in arms], bias, 1)[0]
    return float((slopes < 0).sum())


def beside_min(results: xr.Dataset) -> float:
    """Return the smallest |overestimation| of the four β minus that of the smaller of two critics, means of seeds."""
    size = {arm: abs(float(late(results, "overestimation", arm).mean())) for arm in Pessimism.arms}
    return min(size[arm] for arm in experiments.BETAS) - size["min of two"]


def step_up(results: xr.Dataset) -> xr.DataArray:
    """Return the critic's mean σ right of s = 0.2 minus left of it, for STAC."""
    sigma = results.sigma_at.sel(arm="STAC")
    return sigma.where(sigma.state > method.BORDER).mean("state") - sigma.where(sigma.state < method.BORDER).mean(
        "state"
    )


def agreement(results: xr.Dataset) -> np.ndarray:
    """Return the correlation over the grid of the critic's σ with the exact one, for STAC: one for each seed."""
    both = [results[name].sel(arm="STAC").transpose("seed", "state").values for name in ("sigma_at", "sigma_star_at")]
    return np.array([np.corrcoef(one, two)[0, 1] for one, two in zip(*both, strict=True)])


def steadier(without: xr.Dataset, dropped: xr.Dataset) -> float:
    """Return by how much dropout changes the standard deviation over seeds of the policy value at β = 0.25."""
    before, after = (float(late(one, "value", "β = 0.25").std("seed", ddof=1)) for one in (without, dropped))
    return after - before


DROPOUT = "Dropout 0.01 against none: Hopper 3364 to 1005, Humanoid 8278 to 8301, Hardcore 119 to 103"

NOT_STEADIER = (
    "Policies with dropout differ more here, not less; but a standard deviation of eight seeds is uncertain itself."
)

# fmt: off
CLAIMS = (
    Claim("overestimation", Pessimism,
          "Without pessimism the critic promises too much where data are scarce and noisy: overestimation late in "
          "training",
          "Off-policy actor-critics overestimate (abstract)",
          lambda r: late(r, "overestimation", "β = 0"), {"noisy": NOISY}, above=0, essential=True),
    Claim("falls with β", Pessimism,
          "Overestimation late in training falls with β: number of seeds out of eight with a negative slope over "
          "β = 0, 0.25, 0.5",
          "Subtracting β standard deviations mitigates overestimation (abstract)",
          falling, {"noisy": NOISY}, above=6.5, rule="exact", essential=True),
    Claim("σ is higher right", Actors,
          "The critic of STAC knows where rewards are noisy: mean σ right of s = 0.2 minus left of it",
          "The critic models temporal aleatoric uncertainty (abstract)",
          step_up, above=1, essential=True),
    Claim("σ follows the exact one", Actors,
          "The σ of the critic of STAC follows the exact one of its target: correlation over the line",
          "The critic models temporal aleatoric uncertainty (abstract)",
          agreement, above=0.8, essential=True, robust=True),
    Claim("risk aversion", Pessimism,
          "The agent avoids the noisy hill as β grows: share of time there late in training at β = 0.5 minus that at "
          "β = 0",
          "On RiskyPointMass the agent avoids the danger more and more from β = 0 to 0.5 (occupancy maps)",
          lambda r: more(r, "right", "β = 0.5", "β = 0"), below=0, essential=True),
    Claim("one critic suffices", Pessimism,
          "Some β has no larger bias than the smaller of two critics, which has twice the weights: difference of "
          "absolute mean overestimations late in training",
          "One critic mitigates overestimation without an ensemble (abstract)",
          beside_min, {"noisy": NOISY}, below=0, rule="bootstrap",
          why="In the mean β = 0.125 is nearer to zero than the smaller of two critics, but the seeds differ so much "
              "that this may be chance."),
    Claim("too much pessimism", Pessimism,
          "At β = 0.5 values are underestimated where all is noisy: overestimation late in training",
          "LunarLander 266 at β = 0, −78 at β = 0.5",
          lambda r: late(r, "overestimation", "β = 0.5"), {"noisy": NOISY}, below=-1, essential=True),
    Claim("no noise, no bias", Pessimism,
          "Without noise β hardly matters: overestimation late in training at β = 0.5 minus that at β = 0",
          "Follows from the method: σ is that of the target",
          lambda r: more(r, "overestimation", "β = 0.5", "β = 0"), {"still": STILL}, within=(-0.3, 0.3),
          essential=True),
    Claim("no noise, same behavior", Pessimism,
          "Without noise the agent goes where it would go anyway: share of time right late in training at β = 0.5 "
          "minus that at β = 0",
          "Follows from the method: σ is that of the target",
          lambda r: more(r, "right", "β = 0.5", "β = 0"), {"still": STILL}, within=(-0.1, 0.1)),
    Claim("dropout 0.01 steadies", Pessimism,
          "Dropout of 0.01 lowers the spread of the policy value over seeds at β = 0.25: change of its standard "
          "deviation late in training",
          DROPOUT,
          steadier, {"none": NOISY, "dropout": {**NOISY, "dropout": 0.01}}, below=0, rule="bootstrap",
          why=NOT_STEADIER),
    Claim("dropout 0.05 steadies", Pessimism,
          "Dropout of 0.05 lowers the spread of the policy value over seeds at β = 0.25: change of its standard "
          "deviation late in training",
          DROPOUT,
          steadier, {"none": NOISY, "dropout": {**NOISY, "dropout": 0.05}}, below=0, rule="bootstrap",
          why=NOT_STEADIER),
    Claim("the target lowers values", Actors,
          "Pessimism in the actor alone leaves the bias: overestimation of STAC late in training minus that of "
          "actor only",
          "β stands in the target and in the actor (official code; no ablation)",
          lambda r: more(r, "overestimation", "STAC", "actor only"), below=0,
          why="The mean points the right way, but the seeds differ so much that this may be chance."),
    Claim("the actor avoids", Actors,
          "Pessimism in the target alone takes more risk: share of time right of STAC late in training minus that of "
          "target only",
          "β stands in the target and in the actor (official code; no ablation)",
          lambda r: more(r, "right", "STAC", "target only"), below=0,
          why="Pessimism in the target alone avoids the hill as well: the values of states on the way there hold the "
              "pessimism of all later steps, so the actor turns away in time."),
    Claim("danger avoided", PointMass,
          "In the plane the agent spends less time in danger: steps of an episode inside late in training at β = 0.5 "
          "minus at β = 0",
          "Occupancy maps avoid the danger disc more and more as β grows (one seed)",
          lambda r: more(r, "inside", "β = 0.5", "β = 0"), below=0,
          why="The mean points the right way, but a detour costs about as much as the danger, and after 3000 steps a "
              "small critic knows only a blurred map of the noise."),
)
# fmt: on
