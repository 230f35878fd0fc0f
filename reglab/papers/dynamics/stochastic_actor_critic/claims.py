"""STAC: what is measured against the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.claims import Claim
from reglab.effects import Effect, late
from reglab.papers.dynamics.stochastic_actor_critic import method
from reglab.papers.dynamics.stochastic_actor_critic.experiments import Actors, Pessimism, PointMass

if TYPE_CHECKING:
    import xarray as xr

NOISY = {"variant": "noisy", "reward_noise": 1.0, "buffer": 200, "steps": 900}
"""Little data, noisy rewards everywhere, noisy moves on the right."""

STILL = {"variant": "still", "buffer": 2000}
"""No noise, much data."""


def falling(results: xr.Dataset) -> float:
    """Return in how many seeds the least-squares slope of overestimation over β = 0, 0.25, 0.5 is negative."""
    betas = (0, 0.25, 0.5)
    bias = np.stack([late("overestimation", f"β = {beta:g}")(results).values for beta in betas])
    return float((np.polyfit(betas, bias, 1)[0] < 0).sum())


def beside_min(results: xr.Dataset) -> float:
    """Return the smallest |overestimation| of the four β minus that of the smaller of two critics, means of seeds."""
    size = {arm: abs(float(late("overestimation", arm)(results).mean())) for arm in Pessimism.arms}
    return min(bias for arm, bias in size.items() if arm != "min of two") - size["min of two"]


def step_up(results: xr.Dataset) -> xr.DataArray:
    """Return the critic's mean σ right of s = 0.2 minus left of it, for STAC."""
    sigma, s = results.sigma_at.sel(arm="STAC"), results.state
    return sigma.where(s > method.BORDER).mean("state") - sigma.where(s < method.BORDER).mean("state")


def agreement(results: xr.Dataset) -> np.ndarray:
    """Return the correlation over the grid of the critic's σ with the exact one, for STAC: one for each seed."""
    both = [results[name].sel(arm="STAC").transpose("seed", "state").values for name in ("sigma_at", "sigma_star_at")]
    return np.array([np.corrcoef(one, two)[0, 1] for one, two in zip(*both, strict=True)])


def steadier(without: xr.Dataset, dropped: xr.Dataset) -> float:
    """Return by how much dropout changes the standard deviation over seeds of the policy value at β = 0.25."""
    before, after = (float(late("value", "β = 0.25")(one).std("seed", ddof=1)) for one in (without, dropped))
    return after - before


def more(variable: str, arm: str, over: str) -> Effect:
    """Return by how much an arm is above another late in training: single checkpoints scatter too much."""
    return late(variable, arm) - late(variable, over)


EXAM = 0

# fmt: off
CLAIMS = (
    Claim("overestimation", Pessimism,
          "Without pessimism the critic promises too much where data are scarce and noisy: overestimation late in "
          "training",
          "Off-policy actor-critics overestimate (abstract)", late("overestimation", "β = 0"), {"noisy": NOISY},
          above=0, essential=True, group="paper", source="zero"),
    Claim("falls with β", Pessimism,
          "Overestimation falls with β: number of seeds out of eight with a negative slope over β = 0, 0.25, 0.5",
          "Subtracting β standard deviations mitigates overestimation (abstract)", falling, {"noisy": NOISY}, above=6.5,
          rule="exact", essential=True, group="identity", source="theory"),
    Claim("σ is higher right", Actors,
          "The critic of STAC knows where rewards are noisy: mean σ right of s = 0.2 minus left of it",
          "The critic models temporal aleatoric uncertainty (abstract)", step_up, above=1, essential=True,
          group="control", source="pilot"),
    Claim("σ follows the exact one", Actors,
          "The σ of the critic of STAC follows the exact one of its target: correlation over the line",
          "The critic models temporal aleatoric uncertainty (abstract)", agreement, above=0.8, essential=True,
          robust=True, group="control", source="pilot"),
    Claim("risk aversion", Pessimism,
          "The agent avoids the noisy hill as β grows: share of time there late in training, β = 0.5 minus β = 0",
          "On RiskyPointMass the agent avoids the danger more and more from β = 0 to 0.5 (occupancy maps)",
          more("right", "β = 0.5", "β = 0"), below=0, essential=True, group="paper", source="zero"),
    Claim("one critic suffices", Pessimism,
          "Some β has no larger bias than the smaller of two critics, which has twice the weights: difference of "
          "absolute mean overestimations late in training",
          "One critic mitigates overestimation without an ensemble (abstract)", beside_min, {"noisy": NOISY}, below=0,
          rule="bootstrap", group="paper", source="zero",
          why="In the mean β = 0.125 is nearer to zero than the smaller of two critics, but the seeds differ so much "
              "that this may be luck."),
    Claim("too much pessimism", Pessimism,
          "At β = 0.5 values are underestimated where all is noisy: overestimation late in training",
          "LunarLander 266 at β = 0, −78 at β = 0.5", late("overestimation", "β = 0.5"), {"noisy": NOISY}, below=-1,
          essential=True, group="control", source="pilot"),
    Claim("no noise, no bias", Pessimism,
          "Without noise β hardly matters: overestimation late in training at β = 0.5 minus that at β = 0",
          "Follows from the method: σ is that of the target", more("overestimation", "β = 0.5", "β = 0"),
          {"still": STILL}, within=(-0.3, 0.3), essential=True, group="control", source="pilot"),
    *(Claim(f"dropout {rate} steadies", Pessimism,
            f"Dropout of {rate} lowers the spread of the policy value over seeds at β = 0.25: change of its standard "
            "deviation late in training", "Dropout 0.01 against none: Hopper 3364 to 1005, Humanoid 8278 to 8301, "
            "Hardcore 119 to 103", steadier, {"none": NOISY, "dropout": {**NOISY, "dropout": rate}}, below=0,
            rule="bootstrap", group="paper", source="zero", why="Policies with dropout differ more here, not less; but "
            "a standard deviation of eight seeds is uncertain itself.")
      for rate in (0.01, 0.05)),
    Claim("the target lowers values", Actors,
          "Pessimism in the actor alone leaves the bias: overestimation late in training, STAC minus actor only",
          "β stands in the target and in the actor (official code; no ablation)",
          more("overestimation", "STAC", "actor only"), below=0, group="control", source="zero"),
    Claim("the actor avoids", Actors,
          "Pessimism in the target alone takes more risk: share of time right late in training, STAC minus target only",
          "β stands in the target and in the actor (official code; no ablation)", more("right", "STAC", "target only"),
          below=0, group="control", source="zero",
          why="Pessimism in the target alone avoids the hill as well: the values of states on the way there hold the "
              "pessimism of all later steps, so the actor turns away in time."),
    Claim("danger avoided", PointMass,
          "In the plane the agent spends less time in danger: steps of an episode inside late in training at β = 0.5 "
          "minus at β = 0",
          "Occupancy maps avoid the danger disc more and more as β grows (one seed)",
          more("inside", "β = 0.5", "β = 0"), below=0, group="paper", source="zero"),
)
# fmt: on
