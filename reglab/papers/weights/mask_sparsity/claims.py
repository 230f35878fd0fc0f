"""MaskSparsity: what is measured against the paper."""

from __future__ import annotations

import numpy as np
import xarray as xr

from reglab.claims import Claim
from reglab.effects import advantage, end
from reglab.papers.weights.mask_sparsity.experiments import LAMBDAS, Pruning

EXAM = 1000


def over(results: xr.Dataset, *arms: str) -> xr.DataArray:
    """Return by how much mask is better right after the cut than the best of some arms: [seed]."""
    found = results.accuracy_cut
    return found.sel(arm="mask") - found.sel(arm=list(arms)).max("arm")


def spared(results: xr.Dataset) -> np.ndarray:
    """Return the smaller margin of two statements about |γ| of units that stay: mask above global, mask near none."""
    kept = results.kept_gamma.isel(epoch=-1)
    mask, whole, none = (kept.sel(arm=arm).values for arm in ("mask", "global", "none"))
    return np.minimum(mask - whole, 0.2 - np.abs(mask / none - 1))


def changed(*runs: xr.Dataset) -> float:
    """Return the largest difference before the cut of mask and none, in |γ| of all units or in the training loss."""
    pairs = [(one[name].sel(arm="mask"), one[name].sel(arm="none")) for one in runs for name in ("gamma", "loss_b")]
    return max(float(abs(mask - none).max()) for mask, none in pairs)


def at_best(*runs: xr.Dataset) -> np.ndarray:
    """Return mask at its own λ, the first run, minus the best of global and random at any λ, seed by seed."""
    others = [one.accuracy_cut.sel(arm=["global", "random"]).max("arm").values for one in runs]
    return end("accuracy_cut", "mask")(runs[0]).values - np.max(others, 0)


# fmt: off
CLAIMS = (
    Claim("the mask and the masking", Pruning, "At ratio 0.75, right after the cut, mask is better than global and "
          "than random: smaller difference of the test accuracies", "Penalize only what will be pruned",
          lambda r: np.minimum(over(r, "global"), over(r, "random")), {"0.75": {"ratio": 0.75}}, above=0, seeds=16,
          group="paper", source="zero", essential=True),
    Claim("kept scales", Pruning, "|γ| of the units that stay is larger under mask than under global, and within 20 % "
          "of that without penalty: smaller margin", "Figure 1: global shrinks kept channels, MaskSparsity does not",
          spared, above=0, group="paper", source="pilot", robust=True),
    Claim("underfitting", Pruning, "Before the cut, mask fits the training digits better than global: difference of "
          "the losses, nats", "The global penalty makes it underfit", advantage("loss_b", "mask", over="global"),
          below=0, group="paper", source="zero"),
    Claim("a free cut", Pruning, "Cutting 60 % of the units costs mask little: test accuracy before minus after",
          "Pruned channels are already near zero", end("accuracy_b", "mask") - end("accuracy_cut", "mask"), below=0.015,
          group="paper", source="pilot"),
    Claim("in the end", Pruning, "Each fine-tuned at its own tuned rate, mask ends better than global: difference of "
          "the test accuracies", "ResNet-110 on CIFAR-10: 60 % of parameters removed, no loss",
          advantage("accuracy", "mask", over="global"), above=0, seeds=16, group="paper", source="zero",
          why="Fine-tuning closes the gap."),
    Claim("nothing to penalize", Pruning, "With λ = 0, or an empty mask, mask trains exactly as none: largest "
          "difference of |γ| and training loss before the cut", "Follows from the definition", changed,
          {"λ = 0": {"strength": 0.0}, "empty": {"ratio": 0.0}}, within=(0, 0), rule="exact", group="identity",
          source="theory", essential=True),
    Claim("which units", Pruning, "At ratio 0.6, right after the cut, mask is better than a random mask: difference of "
          "the test accuracies", "Not compared; our null", lambda r: over(r, "random"), above=0, seeds=16,
          group="control", source="zero", why="At this ratio nearly any mask will do."),
    Claim("small dense", Pruning, "In the end mask is better than a small network of the same size, trained from "
          "scratch as long: difference of the test accuracies", "Not compared",
          advantage("accuracy", "mask", over="small dense"), above=0, seeds=16, group="control", source="zero",
          why="Digits do not need more than the small network."),
    Claim("same fine-tuning", Pruning, "Fine-tuned alike, at the rate that suits mask, mask ends better than none: "
          "difference of the test accuracies", "Not compared", advantage("accuracy", "mask", over="none"), above=0,
          seeds=16, group="control", source="zero"),
    Claim("own fine-tuning", Pruning, "Each fine-tuned at its own tuned rate, mask ends better than a network that is "
          "cut at once: difference of the test accuracies", "Not compared", advantage("accuracy", "mask",
          over="cut at once"), above=0, seeds=16, group="control", source="zero",
          why="At a higher rate, fine-tuning repairs nearly any cut."),
    Claim("fading", Pruning, "At ratio 0.6, right after the cut, mask is better than scaling the same units down step "
          "by step: difference of the test accuracies", "Not compared", lambda r: over(r, "fade-out"), above=0,
          seeds=16, group="control", source="zero", why="Without any penalty, fading gets to nearly the same place."),
    Claim("everybody's best λ", Pruning, "At ratio 0.75, right after the cut, mask is better than global and random, "
          "each seed at its best λ: difference of the test accuracies", "Not compared", at_best,
          {f"{value:g}": {"ratio": 0.75, "strength": value} for value in (0.06, *LAMBDAS[:3], 0.1)}, above=0,
          group="control", source="zero", why="With a strong penalty a random mask comes close."),
)
# fmt: on
