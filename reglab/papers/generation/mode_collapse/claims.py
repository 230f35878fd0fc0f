"""Mode collapse: what is measured against the paper."""

from __future__ import annotations

from functools import partial

import xarray as xr

from reglab.claims import Claim
from reglab.effects import advantage
from reglab.papers.generation.mode_collapse.experiments import Estimators, ModeCollapse

paper, control = (partial(Claim, seeds=16, group=group, source="zero") for group in ("paper", "control"))
identity = partial(Claim, seeds=16, group="identity", essential=True)

BALANCED = {"balanced": {"rate_ratio": 1}}

FID = "FID on CelebA falls from 12.43 to 9.13"
PARTS, KEPT, NOTHING = "All three parts are said to help", "Without sacrificing quality (abstract)", "Not spoken of"
PLANE = "In the plane distances of samples mean something as they are; the regularizers are made for images."
FUZZY = "After 1200 steps no arm counts one of the 25 modes on average: too few steps for clouds so small."

EXAM = 3000


def loses_some(results: xr.Dataset) -> xr.DataArray:
    """Return 1 for each seed in which MEE has less HQ than the GAN, but no more than 0.2 less, else 0."""
    change = advantage("quality", "MEE", "GAN")(results)
    return ((change < 0) & (change > -0.2)).astype(float)


# fmt: off
CLAIMS = (
    paper("more modes", ModeCollapse,
          "With a slow discriminator MEE covers more of the 8 modes than the plain GAN: modes more",
          FID, advantage("covered", "MEE", "GAN"), above=2, essential=True, source="pilot"),
    paper("more quality", ModeCollapse, "There a larger share of its samples lies near a center: share more",
          FID, advantage("quality", "MEE", "GAN"), above=0, essential=True),
    paper("entropy is the active part", ModeCollapse,
          "The embedding without the entropy does not do it: modes that MEE covers more",
          "The entropy of codes is what combats collapse (abstract)",
          advantage("covered", "MEE", "GAN + embedding"), above=0, essential=True),
    paper("the nearest matters", ModeCollapse,
          "The nearest of Q codes works better than the published code's partner, one of the batch before: modes more",
          "The description says nearest; the code compares with one row once its memory has shrunk",
          advantage("covered", "MEE", "official buffer"), above=0,
          why="A random partner rewards spread, too; two clouds far apart please it as much as eight."),
    paper("quality is kept", ModeCollapse,
          "With a discriminator as fast as the generator MEE does not lower the share near a center: change",
          KEPT, advantage("quality", "MEE", "GAN"), BALANCED, above=-0.05, source="pilot",
          why="On average nothing is lost; but single runs differ by a tenth, and sixteen are few."),
    paper("discriminator side: modes", ModeCollapse,
          "The regularizers of the discriminator help: modes that MEE covers more than the entropy alone",
          PARTS, advantage("covered", "MEE", "entropy only"), above=0, why=PLANE),
    paper("discriminator side: quality", ModeCollapse,
          "They help: share of samples near a center that MEE has more than the entropy alone",
          PARTS, advantage("quality", "MEE", "entropy only"), above=0, why=PLANE),
    identity("estimator", Estimators,
             "The nearest-neighbor estimate is right: largest error of its mean, four distributions, 1000 points, nats",
             "Nearest-neighbor entropy estimation is consistent (Kozachenko and Leonenko)",
             lambda r: abs(r.error.sel(arm="nearest neighbor", examples=1000).mean("seed")).max(),
             below=0.1, rule="exact", robust=True, source="pilot"),
    identity("log of mean is too high", Estimators,
             "The logarithm of the mean, as MEE takes it, is too high (Jensen): smallest error, 1000 points, in nats",
             "The code takes the logarithm of the mean distance",
             lambda r: r.error.sel(arm="log of mean", examples=1000).min("distribution"),
             above=0, rule="every seed", source="theory"),
    control("noise covers nothing", ModeCollapse,
            "Points that know nothing, in a uniform square and a blurred annulus, cover no mode: the better of both",
            NOTHING, lambda r: r.covered.sel(arm=["uniform square", "blurred annulus"]).isel(step=-1).max("arm"),
            within=(0, 0), rule="every seed", essential=True, source="theory"),
    control("tuned rates: modes", ModeCollapse,
            "A plain GAN with tuned rates covers more than MEE with a discriminator four times too slow: modes more",
            NOTHING, advantage("covered", "tuned GAN", "MEE"), {"fast": {"rate_ratio": 0.25, "steps": 800}}, above=0),
    control("tuned rates: quality", ModeCollapse,
            "It has more samples near a center than MEE with a discriminator half as fast as its generator: share more",
            NOTHING, advantage("quality", "tuned GAN", "MEE"), above=0),
    control("R1: quality", ModeCollapse,
            "With that same discriminator the penalty R1 brings more samples near a center than MEE: share more",
            NOTHING, advantage("quality", "GAN + R1", "MEE"), above=0),
    control("no collapse, no gain", ModeCollapse,
            "With a discriminator as fast as the generator both cover about as many modes: modes that MEE covers more",
            NOTHING, advantage("covered", "MEE", "GAN"), BALANCED, within=(-1, 1), essential=True, source="pilot"),
    control("one mode: precision is lost", ModeCollapse,
            "With one Gaussian there is nothing to cover, and entropy costs precision: share of runs in which it does, "
            "by up to 0.2 of HQ", NOTHING, loses_some, {"one": {"target": "one"}}, above=0.5, seeds=48, essential=True,
            source="pilot"),
    control("grid: better than noise", ModeCollapse,
            "On the grid of 25 more of MEE's samples lie near a center than of uniform noise: share more",
            NOTHING, advantage("quality", "MEE", "uniform square"), {"grid": {"target": "grid"}}, above=0, why=FUZZY),
    control("grid: nearer than noise", ModeCollapse,
            "There its samples lie nearer to a center than uniform noise does: mean distance less",
            NOTHING, advantage("distance", "uniform square", "MEE"), {"grid": {"target": "grid"}}, above=0, why=FUZZY),
)
# fmt: on
