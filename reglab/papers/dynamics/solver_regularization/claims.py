"""Solver regularization: what is measured against the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.claims import Claim
from reglab.effects import advantage, end
from reglab.papers.dynamics.solver_regularization.experiments import Fronts, Prices, Spiral

if TYPE_CHECKING:
    import xarray as xr


def share(results: xr.Dataset, variable: str, arm: str) -> xr.DataArray:
    """Return a variable of an arm over that of vanilla, 1 for a seed of which it tells fewer than 95 % right."""
    over = end(variable, arm) / end(variable, "vanilla")
    return over(results).where(end("accuracy", arm)(results) >= 0.95, 1.0)


def chosen(results: xr.Dataset, variable: str, arm: str) -> xr.DataArray:
    """Return a variable of an arm at the strength that validation points choose for each seed."""
    one = results.sel(arm=arm)
    return one[variable].isel(strength=one.validation.fillna(-np.inf).argmax("strength"))


def compared(results: xr.Dataset, arm: str, over: str, variable: str = "evaluations") -> xr.DataArray:
    """Return a variable of an arm minus that of another, each at its chosen strength."""
    return chosen(results, variable, arm) - chosen(results, variable, over)


def rank_correlation(results: xr.Dataset) -> float:
    """Return Spearman's correlation of the error in ten equal steps with the evaluations, over runs that have one."""
    from scipy.stats import spearmanr

    work, errors = (results[name].transpose("arm", "seed", "strength").values for name in ("evaluations", "fixed"))
    moves = errors > 1e-12
    return float(spearmanr(errors[moves], work[moves]).statistic) if np.ptp(work[moves]) else np.nan


def steps(results: xr.Dataset) -> xr.DataArray:
    """Return the accepted steps of ER over those of vanilla in the spiral, 1 for a seed whose loss is above 1."""
    after = results.isel(iteration=-1)
    return (after.accepted.sel(arm="ER") / after.accepted.sel(arm="vanilla")).where(after.loss.sel(arm="ER") < 1, 1.0)


DIGITS, UNREAD = {"digits": {"task": "digits", "iterations": 100}}, "Not reported in what we read"

EXAM = 3000

# fmt: off
CLAIMS = (
    Claim("less work", Prices, "Rings: the error penalty lowers the evaluations, and answers stay right: ER/vanilla",
          "Prediction takes roughly half the time", lambda r: share(r, "evaluations", "ER"), below=0.8, essential=True,
          seeds=32, group="paper", source="pilot"),
    Claim("less work on digits", Fronts, "Digits: it lowers the evaluations: ER/vanilla", "Roughly half the time",
          lambda r: chosen(r, "evaluations", "ER") / chosen(r, "evaluations", "vanilla"), DIGITS, below=0.8,
          group="paper", source="pilot"),
    Claim("same accuracy on digits", Fronts, "Digits: the accuracy does not suffer: ER minus vanilla", "Small changes",
          lambda r: compared(r, "ER", "vanilla", "accuracy"), DIGITS, above=-0.02, group="paper",
          source="pilot"),
    Claim("stiffness saves work", Prices, "Rings: the stiffness penalty alone saves work, too: SR/vanilla",
          "Both penalties accelerate predictions", lambda r: share(r, "evaluations", "SR"), below=1, seeds=32,
          group="paper", source="zero"),
    Claim("fewer noisy steps", Spiral, "Spiral: it lowers the accepted steps, and the fit stays: ER/vanilla",
          "Less time", steps, below=0.85, essential=True, seeds=16, group="paper", source="pilot"),
    Claim("the spiral still fits", Spiral, "Spiral: the mean loss is at most a fifth larger: ER/vanilla", "It fits",
          lambda r: float(end("loss", "ER")(r).mean() / end("loss", "vanilla")(r).mean()), below=1.2,
          rule="bootstrap", group="paper", source="pilot", why="At λ = 0.3 it fits like vanilla."),
    Claim("detached does nothing", Prices, "Rings: without its gradient it does nothing: change of Σ S", UNREAD,
          lambda r: abs(r.stiff.sel(arm="detached") - r.stiff.sel(arm="vanilla")).max("iteration"), below=1e-4,
          rule="every seed", essential=True, group="identity", source="theory"),
    Claim("it acts on what it names", Prices, "Rings: SR lowers Σ S, ER lowers Σ E²: over vanilla, the larger ratio",
          "The solver's own estimates are regularized", lambda r: np.maximum(share(r, "stiff", "SR"),
          share(r, "squared", "ER")), below=0.6, essential=True, seeds=32, group="identity", source="pilot"),
    Claim("errors are work", Fronts, "Rings: runs with small errors in equal steps need little work: rank correlation",
          "Small estimates allow large steps", rank_correlation, above=0.5, rule="bootstrap", essential=True,
          group="identity", source="pilot"),
    Claim("cheaper than slowness", Fronts, "Rings: ER saves more than a penalty on speed: evaluations, ER minus speed",
          UNREAD, lambda r: compared(r, "ER", "speed"), below=0, group="control", source="zero"),
    Claim("the same on digits", Fronts, "Digits: ER saves more than a penalty on speed: ER minus speed", UNREAD,
          lambda r: compared(r, "ER", "speed"), DIGITS, below=0, group="control", source="zero", why="Both reach 19."),
    Claim("cheaper than decay", Fronts, "Rings: ER saves more than weight decay on f: evaluations, ER minus decay",
          UNREAD, lambda r: compared(r, "ER", "decay"), below=0, group="control", source="zero"),
    Claim("cheaper than STEER", Fronts, "Rings: ER saves more than random end times: evaluations, minus STEER",
          UNREAD, lambda r: compared(r, "ER", "STEER"), below=0, group="control", source="zero"),
    Claim("rings need the equation", Prices, "Rings: without it answers are wrong: vanilla minus f = 0", UNREAD,
          advantage("accuracy", "vanilla", "f = 0"), above=0.3, essential=True, robust=True, group="control",
          source="theory"),
    Claim("digits need the equation", Fronts, "Digits: without it answers are worse: accuracy, vanilla minus f = 0",
          UNREAD, lambda r: compared(r, "vanilla", "f = 0", "accuracy"), DIGITS, above=0, group="control",
          source="zero", why="Two linear maps, from pixels to classes, read these digits as well."),
    Claim("too much destroys the fit", Prices, "A limit, digits: at λ = 100 ER needs the fewest evaluations, 19, and "
          "reads worse: loss against vanilla, 0 for a seed with more", UNREAD,
          lambda r: advantage("accuracy", "vanilla", "ER")(r) * (end("evaluations", "ER")(r) == 19),
          {"dear": {**DIGITS["digits"], "strength": 100}}, above=0.05, essential=True, group="control", source="pilot"),
    Claim("cheaper than a slow spiral", Spiral, "Spiral: ER saves more than a penalty on speed: steps, ER minus speed",
          UNREAD, advantage("accepted", "ER", over="speed"), below=0, group="control", source="zero"),
)
# fmt: on
