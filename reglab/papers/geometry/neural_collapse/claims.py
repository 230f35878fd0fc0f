"""Neural collapse: what is measured against the paper."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from reglab.claims import Claim
from reglab.papers.geometry.neural_collapse.experiments import Flow, LayerWise, Response, TiedFeatures, WeightDecay
from reglab.results import settings_of

if TYPE_CHECKING:
    import xarray as xr


def log10(values: xr.DataArray) -> xr.DataArray:
    """Return the decimal logarithm of some results with their names."""
    return values.copy(data=np.log10(values.values))


def ratio(values: xr.DataArray, arm: str, base: str) -> xr.DataArray:
    """Return the logarithm of one arm's values over those of another."""
    return log10(values.sel(arm=arm) / values.sel(arm=base))


def steps(values: xr.DataArray, axis: str) -> xr.DataArray:
    """Return the steps of the logarithm of some values along an axis."""
    return log10(values).diff(axis)


def shift(results: xr.Dataset, arm: str, variable: str = "variability") -> xr.DataArray:
    """Return how far an arm of `WeightDecay` ends from base in log10: one number per seed."""
    return ratio(results[variable].isel(epoch=-1), arm, "base")


def features_minus_last(results: xr.Dataset, change: str) -> xr.DataArray:
    """Return how much more the feature layers' weight decay moves NC1~ than the last layer's: one number per seed."""
    return abs(shift(results, f"features {change}")) - abs(shift(results, f"last layer {change}"))


def slope(results: xr.Dataset) -> xr.DataArray:
    """Return the exponent with which the relative error grows with ε, from 0.001 to 0.1: one number per seed."""
    error = log10(results.error.mean("arm"))
    return (error.sel(epsilon=0.1) - error.sel(epsilon=1e-3)) / 2


def theorem_4_2(results: xr.Dataset) -> xr.DataArray:
    """Return the relative distance of 1 - σ_min(F_kk) from √(λ_H/λ_W)/β: one number per seed."""
    knobs = settings_of(results)
    expected = math.sqrt(knobs["lambda_H"] / knobs["lambda_W"]) / knobs["beta"]
    return abs((1 - results.spectrum.sel(arm="λ_H").isel(index=-1)) / expected - 1)


FIGURE = {"figure": {"beta": 100}}
TOO_MUCH = {"too much": {"feature_decay": 1e-2, "last_decay": 1e-2}}

EXAM = 0

# fmt: off
CLAIMS = (
    Claim("always less variable", Flow, "Along the flow NC1~ falls all the time, in all arms: largest step of its "
          "logarithm in 0.4 time units", "NC1~ strictly decreases along the flow (Theorem 3.1)",
          lambda r: steps(r.variability, "time").max(["arm", "time"]), below=0, rule="every seed", essential=True,
          group="paper", source="theory"),
    Claim("within never grows", Flow,
          "Without the common decay the scatter within classes never grows: largest step of log exp(2λ_H t) Tr Σ_W",
          "exp(2λ_H t) Tr Σ_W decreases (Theorem 3.1)", lambda r: steps(r.within_rescaled, "time").max(["arm", "time"]),
          below=1e-9, rule="every seed", essential=True, group="paper", source="theory"),
    Claim("between always grows", Flow, "Without the common decay the class means always move apart: smallest step of "
          "log exp(2λ_H t) Tr Σ_B", "exp(2λ_H t) Tr Σ_B strictly increases (Theorem 3.1)",
          lambda r: steps(r.between_rescaled, "time").min(["arm", "time"]), above=0, rule="every seed", essential=True,
          group="paper", source="theory"),
    Claim("tied is less variable", TiedFeatures, "At β = 10 the tied features vary less than H₀: difference of the "
          "logarithms of NC1~", "NC1~ of the minimizer is below that of H₀ for β large enough (Corollary 3.2)",
          lambda r: ratio(r.variability, "tied", "H₀ (β → ∞)").sel(tie=10), below=0, essential=True,
          group="paper", source="theory"),
    Claim("bound", TiedFeatures,
          "For every β the scatter left within classes obeys the bound: largest excess over (β/(β + λ_H))²",
          "Not reported; derived from Equation 2", lambda r: (r.contraction.sel(arm="tied") / r.bound - 1).max("tie"),
          below=1e-9, rule="every seed", essential=True, group="identity", source="theory"),
    Claim("first order", Response,
          "At ε = 0.01 the response matrix F predicts the measured change: largest relative error over the arms",
          "δH ≈ F δH₀ for small changes (Theorem 4.1)", lambda r: r.error.sel(epsilon=1e-2).max("arm"), below=0.01,
          essential=True, group="identity", source="pilot"),
    Claim("error shrinks", Response, "The relative error is proportional to ε: exponent from ε = 0.001 to 0.1",
          "First order, so the rest is of second order (Theorem 4.1)", slope, within=(0.9, 1.1), essential=True,
          group="identity", source="theory"),
    Claim("own class dominates", Response,
          "At β = 100 a class answers its own changes far more than those of others: largest of F_kl over smallest of "
          "F_kk, over all arms",
          "Blocks within a class dominate those between classes (Theorem 4.2)", lambda r: r.dominance.max("arm"),
          at=FIGURE, below=0.02, rule="every seed", essential=True, group="paper", source="pilot"),
    Claim("smallest singular value", Response,
          "At β = 100 the smallest singular value of F_kk is that of the theorem: relative distance of 1 − σ from "
          "√(λ_H/λ_W)/β",
          "σ_min = 1 − √(λ_H/λ_W)/β for large β (Theorem 4.2)", theorem_4_2, at=FIGURE, below=0.02, rule="every seed",
          essential=True, group="identity", source="theory"),
    Claim("doubling λ_H", Response,
          "Near collapse, doubling λ_H leaves less scatter within classes: log ratio",
          "λ_H contracts the deviations within classes (Theorem 4.2)", lambda r: ratio(r.left, "2 λ_H", "λ_H"), below=0,
          essential=True, group="paper", source="theory"),
    Claim("doubling λ_W", Response,
          "Near collapse, doubling λ_W leaves more scatter within classes: log ratio",
          "λ_W does not contract them; √(λ_H/λ_W) falls (Theorem 4.2)", lambda r: ratio(r.left, "2 λ_W", "λ_H"),
          above=0, essential=True, robust=True, group="paper", source="theory"),
    Claim("features matter more, doubled", WeightDecay,
          "Doubling the weight decay of the feature layers moves NC1~ more than doubling that of the last layer: "
          "difference of the two shifts of log10 NC1~",
          "ResNet-18, CIFAR-10: the last layer's decay matters less than that of the feature layers (Fig. 3)",
          lambda r: features_minus_last(r, "× 2"), above=0, essential=True, group="paper", source="zero"),
    Claim("features matter more, zero", WeightDecay,
          "Taking the weight decay off the feature layers moves NC1~ more than taking it off the last layer: "
          "difference of the two shifts of log10 NC1~",
          "ResNet-18, CIFAR-10: the same without decay (Fig. 3)", lambda r: features_minus_last(r, "0"), above=0,
          essential=True, group="paper", source="zero"),
    Claim("more decay, more collapse", WeightDecay,
          "Doubled weight decay of the feature layers lowers NC1~: shift of log10 NC1~", "Doubling lowers it (Fig. 3)",
          lambda r: shift(r, "features × 2"), below=0, essential=True, group="paper", source="zero"),
    Claim("no decay, less collapse", WeightDecay,
          "Without decay of the feature layers NC1~ is higher: shift of log10 NC1~", "Zeroing raises it (Fig. 3)",
          lambda r: shift(r, "features 0"), above=0, essential=True, group="paper", source="zero"),
    Claim("too much decay", WeightDecay, "A limit: with weight decay 0.01 everywhere, doubling that of the feature "
          "layers raises NC1: shift of log10 NC1", "Not reported; a limit we checked",
          lambda r: shift(r, "features × 2", "nc1"), at=TOO_MUCH, above=0, group="control", source="zero"),
    Claim("every layer", LayerWise,
          "Every added layer lowers NC1~ in every seed: largest step of log10 NC1~",
          "CIFAR-10: NC1~ falls with depth (Fig. 2)",
          lambda r: steps(r.variability.sel(arm="trained"), "depth").max("depth"), below=0, rule="every seed",
          essential=True, group="paper", source="zero"),
    Claim("training does it", LayerWise,
          "Training a layer lowers its NC1~: largest log10 ratio of trained over untrained, over the layers",
          "Not reported; a check of our own",
          lambda r: ratio(r.variability, "trained", "untrained").isel(depth=slice(1, None)).max("depth"), below=0,
          rule="every seed", essential=True, group="control", source="zero"),
)
# fmt: on
