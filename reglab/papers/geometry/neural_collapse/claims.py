"""Neural collapse: what is measured against the paper."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from reglab.claims import Claim
from reglab.papers.geometry.neural_collapse.experiments import (
    Bridge,
    Flow,
    LayerWise,
    Response,
    Strengths,
    TiedFeatures,
    WeightDecay,
)
from reglab.results import settings_of

if TYPE_CHECKING:
    import xarray as xr


def log10(values: xr.DataArray) -> xr.DataArray:
    """Return the decimal logarithm of some results with their names."""
    return values.copy(data=np.log10(values.values))


def shift(results: xr.Dataset, arm: str, variable: str = "variability", log: bool = True) -> xr.DataArray:
    """Return how far an arm of `WeightDecay` ends from base, in log10 or as it is: one number per seed."""
    ends = [results[variable].isel(epoch=-1).sel(arm=name) for name in (arm, "base")]
    return log10(ends[0] / ends[1]) if log else ends[0] - ends[1]


def features_minus_last(
    results: xr.Dataset, change: str, variable: str = "variability", log: bool = True
) -> xr.DataArray:
    """Return how much more the feature layers' weight decay moves a variable than the last layer's: one per seed."""
    moved = [abs(shift(results, f"{layers} {change}", variable, log)) for layers in ("features", "last layer")]
    return moved[0] - moved[1]


def increments(values: xr.DataArray, axis: str) -> xr.DataArray:
    """Return the steps of the logarithm of some values along an axis."""
    return log10(values).diff(axis)


def doubled(results: xr.Dataset, arm: str) -> xr.DataArray:
    """Return the log ratio of the remaining scatter when one strength is doubled: one number per seed."""
    left = log10(results.contraction.sel(arm=arm))
    return left.sel(factor=2) - left.sel(factor=1)


def slope(results: xr.Dataset) -> xr.DataArray:
    """Return the exponent with which the relative error grows with ε, from 0.001 to 0.1: one number per seed."""
    error = log10(results.error.mean("arm"))
    return (error.sel(epsilon=0.1) - error.sel(epsilon=1e-3)) / 2


def theorem_4_2(results: xr.Dataset) -> xr.DataArray:
    """Return the relative distance of 1 - σ_min(F_kk) from √(λ_H/λ_W)/β: one number per seed."""
    knobs = settings_of(results)
    expected = math.sqrt(knobs["lambda_H"] / knobs["lambda_W"]) / knobs["beta"]
    return abs((1 - results.spectrum.sel(arm="λ_H").isel(index=-1)) / expected - 1)


TOO_MUCH = {"feature_decay": 1e-2, "last_decay": 1e-2}

NO_CLASSIFIER = {"lambda_H": 1.0, "lambda_W": 2.0}

# fmt: off
CLAIMS = (
    Claim("always less variable", Flow,
          "Along the flow NC1~ falls all the time, in all arms: largest step of its logarithm in 0.4 time units",
          "NC1~ strictly decreases along the flow (Theorem 3.1)",
          lambda r: increments(r.variability, "time").max(["arm", "time"]), below=0, rule="every seed", essential=True),
    Claim("within never grows", Flow,
          "Without the common decay the scatter within classes never grows: largest step of the logarithm of "
          "exp(2λ_H t) Tr Σ_W",
          "exp(2λ_H t) Tr Σ_W decreases (Theorem 3.1)",
          lambda r: increments(r.within_rescaled, "time").max(["arm", "time"]), below=1e-9, rule="every seed",
          essential=True),
    Claim("between always grows", Flow,
          "Without the common decay the class means move apart all the time: smallest step of the logarithm of "
          "exp(2λ_H t) Tr Σ_B",
          "exp(2λ_H t) Tr Σ_B strictly increases (Theorem 3.1)",
          lambda r: increments(r.between_rescaled, "time").min(["arm", "time"]), above=0, rule="every seed",
          essential=True),
    Claim("closed form", Flow,
          "From right angles the flow follows its closed form: largest distance of the logarithms of NC1~",
          "Not reported; derived from Equation 4",
          lambda r: abs(log10(r.variability) - log10(r.expected)).sel(arm="λ_H, right angles").max("time"),
          below=1e-6, rule="every seed", essential=True),
    Claim("tied is less variable", TiedFeatures,
          "At β = 10 the tied features vary less than H₀: difference of the logarithms of NC1~",
          "NC1~ of the minimizer is below that of H₀ for β large enough (Corollary 3.2)",
          lambda r: log10(r.variability.sel(arm="tied") / r.variability.sel(arm="H₀ (β → ∞)")).sel(tie=10),
          below=0, essential=True),
    Claim("bound", TiedFeatures,
          "For every β the scatter left within classes obeys the bound: largest excess over (β/(β + λ_H))²",
          "Not reported; derived from Equation 2",
          lambda r: (r.contraction.sel(arm="tied") / r.bound - 1).max("tie"), below=1e-9, rule="every seed",
          essential=True),
    Claim("first order", Response,
          "At ε = 0.01 the response matrix F predicts the measured change: largest relative error over the arms",
          "δH ≈ F δH₀ for small changes (Theorem 4.1)",
          lambda r: r.error.sel(epsilon=1e-2).max("arm"), below=0.01, essential=True),
    Claim("error shrinks", Response,
          "The relative error is proportional to ε: exponent from ε = 0.001 to 0.1",
          "First order, so the rest is of second order (Theorem 4.1)",
          slope, within=(0.9, 1.1), essential=True),
    Claim("own class dominates", Response,
          "At β = 100 a class answers its own changes far more than those of others: largest of F_kl over smallest of "
          "F_kk, over all arms",
          "Blocks within a class dominate those between classes (Theorem 4.2)",
          lambda r: r.dominance.max("arm"), at={"figure": {"beta": 100}}, below=0.02, rule="every seed",
          essential=True),
    Claim("smallest singular value", Response,
          "At β = 100 the smallest singular value of F_kk is that of the theorem: relative distance of 1 − σ from "
          "√(λ_H/λ_W)/β",
          "σ_min = 1 − √(λ_H/λ_W)/β for large β (Theorem 4.2)",
          theorem_4_2, at={"figure": {"beta": 100}}, below=0.02, rule="every seed", essential=True),
    Claim("staircase sinks", Response,
          "Doubling λ_H lowers the staircase: change of the mean singular value of F_kk",
          "The spectrum sinks as λ_H grows (Fig. 1, β = 100)",
          lambda r: (r.spectrum.sel(arm="2 λ_H") - r.spectrum.sel(arm="λ_H")).mean("index"), below=0,
          rule="every seed", essential=True),
    Claim("doubling λ_H", Strengths,
          "Near collapse, doubling λ_H leaves less scatter within classes: log ratio",
          "λ_H contracts the deviations within classes (Theorem 4.2)",
          lambda r: doubled(r, "vary λ_H"), below=0, essential=True),
    Claim("doubling λ_W", Strengths,
          "Near collapse, doubling λ_W leaves more scatter within classes: log ratio",
          "λ_W does not contract them; √(λ_H/λ_W) falls (Theorem 4.2)",
          lambda r: doubled(r, "vary λ_W"), above=0, essential=True, robust=True),
    Claim("closed form near collapse", Strengths,
          "The scatter left is K/d a² + (d − K)/d b²: largest relative distance over arms and factors",
          "Not reported; derived from Equation 2",
          lambda r: abs(r.contraction / r.closed_form - 1).max(["arm", "factor"]), below=0.02, essential=True),
    Claim("features matter more, doubled", WeightDecay,
          "Doubling the weight decay of the feature layers moves NC1~ more than doubling that of the last layer: "
          "difference of the two shifts of log10 NC1~",
          "ResNet-18, CIFAR-10: the last layer's decay matters less than that of the feature layers (Fig. 3)",
          lambda r: features_minus_last(r, "× 2"), above=0, essential=True),
    Claim("features matter more, zero", WeightDecay,
          "Taking the weight decay off the feature layers moves NC1~ more than taking it off the last layer: "
          "difference of the two shifts of log10 NC1~",
          "ResNet-18, CIFAR-10: the same without decay (Fig. 3)",
          lambda r: features_minus_last(r, "0"), above=0, essential=True),
    Claim("more decay, more collapse", WeightDecay,
          "Doubled weight decay of the feature layers lowers NC1~: shift of log10 NC1~",
          "Doubling lowers it (Fig. 3)",
          lambda r: shift(r, "features × 2"), below=0, essential=True),
    Claim("no decay, less collapse", WeightDecay,
          "Without weight decay of the feature layers NC1~ is higher: shift of log10 NC1~",
          "Zeroing raises it (Fig. 3)",
          lambda r: shift(r, "features 0"), above=0, essential=True),
    Claim("NC1 agrees", WeightDecay,
          "NC1 moves more with the feature layers' weight decay too: difference of the shifts of log10 NC1, mean of "
          "doubling and zeroing",
          "Fig. 3 shows NC1",
          lambda r: (features_minus_last(r, "× 2", "nc1") + features_minus_last(r, "0", "nc1")) / 2, above=0),
    Claim("NC2 agrees", WeightDecay,
          "NC2 moves more with the feature layers' weight decay too: difference of its shifts, mean of doubling and "
          "zeroing",
          "Fig. 3 shows NC2",
          lambda r: sum(features_minus_last(r, change, "nc2", log=False) for change in ("× 2", "0")) / 2, above=0),
    Claim("digits are learned", WeightDecay,
          "The base network has learned its training digits: final training error",
          "Zero training error from about epoch 40 on (Section 5)",
          lambda r: r.train_error.sel(arm="base").isel(epoch=-1), below=0.01),
    Claim("every layer", LayerWise,
          "Every added layer lowers NC1~ in every seed: largest step of log10 NC1~",
          "CIFAR-10: NC1~ falls with depth (Fig. 2)",
          lambda r: increments(r.variability.sel(arm="trained"), "depth").max("depth"), below=0, rule="every seed",
          essential=True),
    Claim("training does it", LayerWise,
          "Training a layer lowers its NC1~: largest log10 ratio of trained over untrained, over the layers",
          "Not reported; a check of our own",
          lambda r: log10(r.variability.sel(arm="trained") / r.variability.sel(arm="untrained")).isel(
              depth=slice(1, None)).max("depth"), below=0, rule="every seed", essential=True),
    Claim("NC1 falls with depth", LayerWise,
          "Every added layer lowers NC1 too, in every seed: largest step of log10 NC1",
          "CIFAR-10: NC1 falls with depth (Fig. 2)",
          lambda r: increments(r.nc1.sel(arm="trained"), "depth").max("depth"), below=0, rule="every seed"),
    Claim("bound in a real network", Bridge,
          "With a real hidden layer as H₀ the bound holds too: largest excess over (β/(β + λ_H))²",
          "Not reported; derived from Equation 2",
          lambda r: (r.contraction / r.bound - 1).max(["arm", "beta"]), below=1e-9, rule="every seed"),
    Claim("looser and dearer", Bridge,
          "At β = 0.003 a ten times larger λ_H brings a real layer closer to collapse: log10 ratio of NC1~",
          "Not reported; a check of our own",
          lambda r: log10(r.variability.sel(arm="10 λ_H") / r.variability.sel(arm="λ_H")).sel(beta=0.003), below=0),
    Claim("too much decay", WeightDecay,
          "A limit: with weight decay 0.01 everywhere, doubling that of the feature layers raises NC1: shift of log10 "
          "NC1",
          "Not reported; a limit we checked",
          lambda r: shift(r, "features × 2", "nc1"), at={"too much": TOO_MUCH}, above=0),
    Claim("collapse without a classifier", Flow,
          "A limit: for λ_H λ_W > 1 NC1~ still falls all the time: largest step of its logarithm",
          "Theorem 3.1 holds for all strengths; for λ_H λ_W > 1 the minimizer is zero (Theorem 2.1)",
          lambda r: increments(r.variability.sel(arm="λ_H"), "time").max("time"), at={"c > 1": NO_CLASSIFIER}, below=0,
          rule="every seed"),
    Claim("and without features", Flow,
          "Meanwhile the features vanish: length of H at the end over that at the start",
          "For λ_H λ_W > 1 the minimizer is zero (Theorem 2.1)",
          lambda r: r["size"].sel(arm="λ_H").isel(time=-1) / r["size"].sel(arm="λ_H").isel(time=0),
          at={"c > 1": NO_CLASSIFIER}, below=0.01, rule="every seed"),
)
# fmt: on
