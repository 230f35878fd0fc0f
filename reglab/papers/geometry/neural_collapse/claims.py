"""Neural collapse: what is measured against the paper."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from reglab.claims import Claim
from reglab.effects import advantage, end
from reglab.papers.geometry.neural_collapse.experiments import LEVERS, ExactModel, LayerWise, WeightDecay

if TYPE_CHECKING:
    import xarray as xr

identity = partial(Claim, essential=True, group="identity", source="theory")
theorem = partial(Claim, essential=True, group="paper", source="theory")
paper, control = (partial(Claim, group=group, source="zero") for group in ("paper", "control"))


def largest_step(values: xr.DataArray, axis: str) -> xr.DataArray:
    """Return the largest step of the decimal logarithm of some values along an axis."""
    return values.copy(data=np.log10(values)).diff(axis).max(axis)


def depth(results: xr.Dataset) -> xr.DataArray:
    """Return the largest step of log10 NC1~ with depth, or by which a trained layer is above the untrained one."""
    trained, untrained = (results.variability.sel(arm=arm) for arm in ("trained", "untrained"))
    above = np.log10(trained / untrained).isel(depth=slice(1, None)).max("depth")
    return np.maximum(largest_step(trained, "depth"), above)


def one_layer(results: xr.Dataset) -> xr.DataArray:
    """Return how much farther the weakest single hidden layer's decay moves log10 NC1~ than the last layer's."""
    moved = abs(results["shift"])
    return moved.sel(arm=list(LEVERS[1:4])).min("arm") - moved.sel(arm=LAST)


def noise(results: xr.Dataset) -> xr.DataArray:
    """Return what training on shuffled labels adds to log10 NC1~, 0 for a seed that does not learn them all."""
    one = results.sel(arm="shuffled labels")
    change = np.log10(one.variability.isel(epoch=-1) / one.variability.isel(epoch=0))
    return change.where(one.train_error.isel(epoch=-1) == 0, 0)


def vanished(results: xr.Dataset) -> xr.DataArray:
    """Return what is left of the distance of class means, 1 for a seed whose variability does not fall."""
    first, last = (results.sel(arm="λ_H").isel(time=time) for time in (0, -1))
    return ((last.between / first.between) ** 0.5).where(last.variability < first.variability, 1)


LAST, HIDDEN = "last layer", "hidden layers"
FIG3 = "ResNet-18, CIFAR-10: the last layer's decay matters less than that of the feature layers (Fig. 3)"
NOTHING, DERIVED = "Not reported", "Not reported; derived from Equation 2"

EXAM = 2000

# fmt: off
CLAIMS = (
    theorem("always less variable", ExactModel, "Along the flow NC1~ falls all the time, in all arms: largest step of "
            "its logarithm in 0.4 time units", "NC1~ strictly decreases along the flow (Theorem 3.1)",
            lambda r: largest_step(r.variability, "time").max("arm"), below=0, rule="every seed"),
    theorem("within never grows", ExactModel, "Without the common decay the scatter within classes never grows: "
            "largest step of log exp(2λ_H t) Tr Σ_W", "exp(2λ_H t) Tr Σ_W decreases (Theorem 3.1)",
            lambda r: largest_step(r.within_rescaled, "time").max("arm"), below=1e-9, rule="every seed"),
    theorem("tied is less variable", ExactModel, "At β = 10 the tied features vary less than H₀: difference of the "
            "logarithms of NC1~", "NC1~ of the minimizer is below that of H₀ for β large enough (Corollary 3.2)",
            lambda r: np.log10(r.tied.sel(tie=10) / r.given), below=0),
    theorem("λ_H contracts, λ_W does not", ExactModel, "Near collapse doubling λ_H leaves less scatter within classes "
            "than doubling λ_W: log ratio", "λ_H contracts deviations, λ_W does not (Theorem 4.2)",
            lambda r: np.log10(r.left.sel(arm="2 λ_H") / r.left.sel(arm="2 λ_W")), below=0, robust=True),
    paper("three layers against one", WeightDecay, "Doubling the decay of all three hidden layers lowers NC1~ more "
          "than doubling that of the last layer: log10 NC1~, last layer minus hidden layers", FIG3,
          advantage("shift", LAST, HIDDEN), above=0, essential=True),
    paper("depth", LayerWise, "Every added layer lowers NC1~, and so does its training: largest step of log10 NC1~, or "
          "excess over the untrained layer", "CIFAR-10: NC1~ falls with depth (Fig. 2)", depth, below=0,
          rule="every seed", essential=True),
    identity("first order", ExactModel, "At ε = 0.01 the matrix F predicts the measured change: largest relative error "
             "over the arms", "δH ≈ F δH₀ for small changes (Theorem 4.1)",
             lambda r: r.error.sel(epsilon=1e-2).max("arm"), below=0.01, source="pilot"),
    identity("error shrinks", ExactModel, "The relative error is proportional to ε: exponent from ε = 0.001 to 0.1",
             "First order, so the rest is of second order (Theorem 4.1)", lambda r: np.log10(
                 r.error.sel(epsilon=0.1, drop=True) / r.error.sel(epsilon=1e-3, drop=True)).mean("arm") / 2,
             within=(0.9, 1.1)),
    identity("smallest singular value", ExactModel, "At β = 100 the smallest singular value of F_kk is that of the "
             "theorem: relative distance of 1 − σ from √(λ_H/λ_W)/β", "σ_min = 1 − √(λ_H/λ_W)/β for large β "
             "(Theorem 4.2)", lambda r: abs((1 - r.spectrum.sel(arm="λ_H", index=100)) * 100 / math.sqrt(0.1) - 1),
             {"figure": {"beta": 100, "lambda_H": 0.05, "lambda_W": 0.5}}, below=0.02, rule="every seed"),
    identity("bound", ExactModel, "For every β the scatter left within classes obeys the bound: largest excess over "
             "(β/(β + λ_H))²", DERIVED, lambda r: r.excess.max("tie"), below=1e-9, rule="every seed"),
    identity("bound, real layer", LayerWise, "The same where a trained layer of digits is H₀: largest excess",
             DERIVED, lambda r: r.excess.max("tie"), below=1e-9, rule="every seed"),
    control("one layer against one", WeightDecay, "Doubling the decay of one hidden layer moves log10 NC1~ more than "
            "doubling that of the last: smallest of the three minus the last, without sign", FIG3, one_layer, above=0),
    control("same penalty", WeightDecay, "With the same added penalty, doubling hidden layers lowers NC1~ more than "
            "raising the last one: log10 NC1~, the latter minus the former", NOTHING,
            advantage("shift", LEVERS[-1], HIDDEN), above=0,
            why="The last layer has a twentieth of the weights; for the same penalty its decay grows 48-fold."),
    control("against the theory", WeightDecay, "A dearer classifier leaves features less collapsed: shift of log10 "
            "NC1~ when the last layer's decay is doubled", "Follows from Theorem 4.2 if this decay is λ_W",
            end("shift", LAST), above=0, source="theory",
            why="Weight decay is not λ_W: it stands for it by analogy only, and the hidden layers change, too."),
    control("training longer", WeightDecay, "Four times as many epochs lower NC1~ more than doubled decay of the "
            "hidden layers: log10 NC1~, the former minus the latter", NOTHING, advantage("shift", "4 × epochs", HIDDEN),
            below=0),
    control("noise collapses, too", WeightDecay, "A network that has learned labels without meaning is more collapsed, "
            "by these labels, than before: change of log10 NC1~, 0 for a seed that has not learned them all", NOTHING,
            noise, below=0),
    control("nothing is left", ExactModel, "A limit: for λ_H λ_W > 1 NC1~ falls while all features vanish: distance of "
            "class means, end over start", "For λ_H λ_W > 1 the minimizer is zero (Theorem 2.1)", vanished,
            {"too strong": {"lambda_H": 1, "lambda_W": 2}}, below=0.01, essential=True, source="theory"),
    control("too much decay", WeightDecay, "A limit: with decay 0.01, doubling that of the hidden layers raises NC1: "
            "log10 NC1, hidden layers minus base", NOTHING,
            lambda r: np.log10(r.nc1.sel(arm=HIDDEN) / r.nc1.sel(arm="base")).isel(epoch=-1),
            {"too much": {"decay": 1e-2}}, above=0),
)
# fmt: on
