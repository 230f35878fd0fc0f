"""Mask tuning: what is measured against the paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reglab.claims import Claim
from reglab.effects import advantage, end
from reglab.papers.finetuning.mask_tuning.experiments import LearningRates, Masks

if TYPE_CHECKING:
    import xarray as xr


def gain(variable: str, arm: str = "R-AMT", over: str = "zero-shot") -> Callable[..., xr.DataArray]:
    """Return the effect: how much larger a variable of one arm is than that of another after training."""
    return advantage(variable, arm, over)


def least(effect: Callable[..., xr.DataArray]) -> Callable[..., xr.DataArray]:
    """Return the effect of several runs that is the one with the smallest mean: one number per seed."""
    return lambda *runs: min((effect(one) for one in runs), key=lambda found: float(found.mean()))


def first_eighth(results: xr.Dataset) -> xr.DataArray:
    """Return the share of dropped elements in the first eighth of the steps: one number per seed."""
    return results.dropped.isel(step=slice(0, results.sizes["step"] // 8)).mean("step")


def last_eighth(results: xr.Dataset) -> xr.DataArray:
    """Return the share of dropped elements in the last eighth of the steps: one number per seed."""
    return results.dropped.isel(step=slice(-(results.sizes["step"] // 8), None)).mean("step")


def forgetting(results: xr.Dataset) -> float:
    """Return Spearman's correlation of the share switched off with the accuracy on glyphs, over all rates and seeds."""
    from scipy.stats import spearmanr

    tuned = results.sel(arm="R-AMT").transpose("seed", "rate")
    return float(spearmanr(tuned.masked.values.ravel(), tuned.glyphs.values.ravel()).statistic)


THREE = {f"checkpoint {i}": {"checkpoint": i} for i in range(3)}

FEW = {"few switches": {"learning_rate": 1.4e-4}}

EVEN = (
    "With and without gradient dropout nearly the same weights end up off. Dropping never turns a gradient around, and "
    "Adam, which rescales it, makes up for much of what is lost."
)

EXAM = 0

# fmt: off
CLAIMS = (
    Claim("masking adapts", Masks,
          "Switching weights off adapts the model: accuracy on rotated digits, R-AMT minus zero-shot, 16 shots",
          "+18.73 % accuracy over zero-shot CLIP, mean of eleven data sets", gain("rotated"), above=0.1, essential=True,
          group="paper", source="pilot"),
    Claim("masking alone adapts", Masks, "So does mask tuning without gradient dropout: MT minus zero-shot",
          "The abstract gives a number with the regularity only; the tables were not read", gain("rotated", "MT"),
          above=0.1, essential=True, group="paper", source="pilot"),
    Claim("few switches: gain", Masks, "At the learning rate 1.4e-4 R-AMT already gains: minus zero-shot",
          "+18.73 % while 2.56 % of the parameters are masked", gain("rotated"), at=FEW, above=0.08, essential=True,
          group="paper", source="pilot"),
    Claim("few switches: share", Masks, "There few of the maskable weights are off: share", "2.56 % of the parameters",
          end("masked", "R-AMT"), at=FEW, below=0.05, essential=True, group="paper", source="pilot"),
    Claim("selection", Masks,
          "It matters which weights are off: R-AMT minus a random mask with the same number off in each matrix",
          "The knowledge is in the weights already, and the masks uncover it", gain("rotated", over="random mask"),
          above=0.05, essential=True, group="control", source="pilot"),
    Claim("kept by chance P", Masks, "Elements in conflict are kept as often as P says: deviation of their number, in "
          "standard deviations", "P = ½(1 + sign(a)(a + b)/(|a| + |b|)), in the official code", end("draws"),
          within=(-2, 2), essential=True, group="identity", source="theory"),
    Claim("agreement is kept", Masks, "Elements whose two gradients have one sign are kept: share",
          "P = 1 where the signs agree", end("agreeing"), above=0.999, rule="every seed", essential=True,
          group="identity", source="theory"),
    Claim("nothing to drop at first", Masks, "In the first eighth of the steps, near the zero-shot model, little is "
          "dropped: share of elements", "Not reported; it follows from b = 0 there", first_eighth, below=0.02,
          essential=True, group="identity", source="pilot"),
    Claim("conflicts come later", Masks,
          "In the last eighth of the steps the old model contradicts, and more is dropped: share of elements",
          "Gradients that conflict with general knowledge are dropped", last_eighth, above=0.1, essential=True,
          robust=True, group="identity", source="pilot"),
    Claim("dropout helps", Masks, "Gradient dropout makes the result better: accuracy on rotated digits, R-AMT minus "
          "MT", "Said to help; the table of this ablation was not read", gain("rotated", over="MT"), above=0,
          group="paper", source="zero", why=EVEN),
    Claim("dropout helps with few shots", Masks, "Also with four examples of each class: R-AMT minus MT",
          "Not reported in what we read", gain("rotated", over="MT"), at={"four shots": {"shots": 4}}, above=0,
          group="paper", source="zero", why=EVEN),
    Claim("dropout protects", Masks, "Gradient dropout protects what the model knew: accuracy on glyphs, R-AMT minus "
          "MT", "The regularity is meant to prevent forgetting", gain("glyphs", over="MT"), above=0,
          group="paper", source="zero", why="The old model is asked about rotated digits only, so that its gradient "
          "says nothing about glyphs."),
    Claim("adding protects more", Masks, "The old model's gradient protects more when it is added: accuracy on plain "
          "digits, KL-sum minus R-AMT", "Not reported in what we read; a control of our own",
          gain("plain", "KL-sum", over="R-AMT"), above=0, group="control", source="zero"),
    Claim("novel classes suffer", Masks, "A limit: after learning rotated 0-4, rotated 5-9 are told apart worse than "
          "zero-shot: R-AMT minus zero-shot", "A table of base and new classes, not read; a limit we checked",
          gain("novel"), at={"digits 0-4": {"classes": "digits 0-4", "learning_rate": 1.4e-4}}, below=0,
          group="control", source="zero"),
    Claim("forgetting grows with the mask", LearningRates, "The more weights are off, the less glyphs are known: rank "
          "correlation over all learning rates and seeds", "Not reported in what we read; a limit we checked",
          forgetting, below=-0.5, rule="bootstrap", group="control", source="pilot"),
    Claim("every checkpoint adapts", Masks,
          "R-AMT beats zero-shot from each of three pretrained models: smallest mean gain", "Three seeds, one CLIP",
          least(gain("rotated")), at=THREE, above=0, essential=True, group="paper", source="zero"),
    Claim("every checkpoint selects", Masks, "It beats the random mask from each of them: smallest mean difference",
          "Not reported; three pretrained models of our own", least(gain("rotated", over="random mask")), at=THREE,
          above=0, essential=True, group="control", source="zero"),
    Claim("every checkpoint gains by dropout", Masks, "R-AMT beats MT from each of them: smallest mean difference",
          "Not reported; three pretrained models of our own", least(gain("rotated", over="MT")), at=THREE, above=0,
          group="paper", source="zero", why="From two of them the difference may be chance, from the third R-AMT is a "
          "little worse: nearly the same weights end up off."),
)
# fmt: on
