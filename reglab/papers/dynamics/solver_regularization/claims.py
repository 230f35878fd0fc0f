"""Solver regularization: what is measured against the paper."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from reglab.claims import Claim
from reglab.effects import Effect, advantage, end
from reglab.papers.dynamics.solver_regularization.experiments import Digits, Spiral

if TYPE_CHECKING:
    import xarray as xr


def ratio(variable: str, arm: str, under: str = "vanilla") -> Effect:
    """Return a variable of an arm over that of another, after training."""
    return end(variable, arm) / end(variable, under)


def rank_correlation(results: xr.Dataset) -> float:
    """Return Spearman's correlation of the error in ten equal steps with the evaluations over all runs, or NaN."""
    from scipy.stats import spearmanr

    work = results.evaluations.isel(iteration=-1).transpose("arm", "seed").values.ravel()
    if not np.ptp(work):
        return math.nan
    return float(spearmanr(results.fixed.transpose("arm", "seed").values.ravel(), work).statistic)


DEAR = {"dear": {"strength": 100}}

EXAM = 0

# fmt: off
CLAIMS = (
    Claim("less work", Digits, "The error penalty lowers the evaluations for the test digits: ER over vanilla",
          "Prediction takes roughly half the time", ratio("evaluations", "ER"), below=0.8, essential=True,
          group="paper", source="pilot"),
    Claim("same accuracy", Digits, "The accuracy does not suffer: ER minus vanilla",
          "Changes of the accuracy are small", advantage("accuracy", "ER", over="vanilla"), above=-0.02, essential=True,
          group="paper", source="pilot"),
    Claim("stiffness falls", Digits, "The stiffness penalty lowers the stiffness: Σ S of SR over that of vanilla",
          "The regularizer acts on the solver's own estimates", ratio("stiff", "SR"), below=0.6, essential=True,
          robust=True, group="identity", source="pilot"),
    Claim("errors fall", Digits, "The error penalty lowers the errors: Σ E² of ER over that of vanilla",
          "The regularizer acts on the solver's own estimates", ratio("squared", "ER"), below=0.6, essential=True,
          group="identity", source="pilot"),
    Claim("errors are work", Digits, "Runs with small errors in ten equal steps need few evaluations: rank correlation "
          "over all runs", "Small estimates allow large steps", rank_correlation, above=0.5,
          rule="bootstrap", essential=True, group="identity", source="pilot"),
    Claim("detached does nothing", Digits,
          "Without its gradient the penalty changes nothing: largest difference of the cross-entropy from vanilla",
          "Not reported; a control of our own",
          lambda r: abs(r.loss.sel(arm="detached") - r.loss.sel(arm="vanilla")).max("iteration"), below=1e-9,
          rule="every seed", essential=True, group="identity", source="theory"),
    Claim("stiffness penalty saves work", Digits, "The stiffness penalty alone lowers the evaluations: SR over vanilla",
          "Both penalties accelerate predictions", ratio("evaluations", "SR"), below=1, group="paper", source="zero",
          why="The effect is small, and evaluations come in sixes: eight seeds do not tell it from none."),
    Claim("slowness is not it", Digits, "A penalty on speed at a tenth of the price saves less than the error penalty: "
          "ER over speed", "Not reported; a control of our own", ratio("evaluations", "ER", "speed"), below=1,
          group="control", source="zero"),
    Claim("too much destroys the fit", Digits, "A limit: at λ = 100 the accuracy is lower than without a penalty: loss",
          "Not reported; a limit we checked", advantage("accuracy", "vanilla", over="ER"), at=DEAR, above=0.05,
          essential=True, group="control", source="pilot"),
    Claim("the floor", Digits, "There the evaluations reach their floor of 19, three steps: evaluations",
          "Not reported; it follows from the first step and the largest growth", end("evaluations", "ER"), at=DEAR,
          within=(19, 20), essential=True, group="control", source="theory"),
    Claim("a loose tolerance needs no help", Digits,
          "A limit: at a tolerance of 0.0001 the penalty saves nothing: evaluations with λ = 1 over those without",
          "Not reported; a limit we checked", ratio("evaluations", "ER"), at={"loose": {"tolerance": 1e-4}},
          within=(0.9, 1.1), essential=True, group="control", source="pilot"),
    Claim("fewer noisy steps", Spiral,
          "In the stochastic equation the error penalty lowers the accepted steps: λ = 1 over λ = 0",
          "Neural SDEs, too, are solved in less time", ratio("accepted", "λ = 1", "λ = 0"), below=0.85, essential=True,
          group="paper", source="pilot"),
    Claim("the spiral still fits", Spiral, "Its loss is not worse by more than a fifth: mean loss, λ = 1 over λ = 0",
          "The fit does not suffer", lambda r: float(end("loss", "λ = 1")(r).mean() / end("loss", "λ = 0")(r).mean()),
          below=1.2, rule="bootstrap", group="paper", source="pilot",
          why="After so short a training the loss differs more between seeds than between arms."),
)
# fmt: on
