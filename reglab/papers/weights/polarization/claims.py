"""Polarization: what is measured against the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reglab.claims import Claim
from reglab.effects import Effect, advantage, end
from reglab.papers.weights.polarization.experiments import Conversion, Gates, Sizes

if TYPE_CHECKING:
    import xarray as xr


def agreement(arm: str) -> Effect:
    """Return the effect: by how much the share of ambiguous gates falls from epoch 1 to the end."""
    return end("ambiguous", arm, epoch=1) - end("ambiguous", arm)


def converted(results: xr.Dataset) -> xr.DataArray:
    """Return polar's share of ambiguous gates after epoch 1, 0 for a seed whose accuracy conversion changes by 0.01."""
    gap = abs(end("static", "polar")(results) - end("dynamic", "polar")(results))
    return end("ambiguous", "polar", epoch=1)(results) * (gap < 0.01)


def missed(results: xr.Dataset) -> xr.DataArray:
    """Return how far the share that polar keeps is from the wanted one, 0.15."""
    return abs(end("kept", "polar")(results) - 0.15)


CONSTANT = "Constant gates pass it, too."

EXAM = 1000

# fmt: off
CLAIMS = (
    Claim("gates polarize", Conversion, "Gates come to agree in training: fall of the ambiguous share from epoch 1 to "
          "the end, polar minus activ", "The regularizer makes the gates of all inputs agree",
          agreement("polar") - agreement("activ"), above=0.3, seeds=16, group="paper", source="pilot", essential=True),
    Claim("free conversion", Conversion, "Gates that differed are frozen for free: ambiguous share after epoch 1, 0 for "
          "a seed whose accuracy conversion changes by 0.01", "One pass of training, no pruning or fine-tuning after it",
          converted, above=0.5, seeds=16, group="paper", source="pilot", essential=True),
    Claim("dose", Conversion, "Without the penalty conversion costs more accuracy: converted minus own gates, polar "
          "minus activ", "Ablation not read", (end("static", "polar") - end("dynamic", "polar"))
          - (end("static", "activ") - end("dynamic", "activ")), above=0, seeds=16, group="paper", source="zero",
          robust=True),
    Claim("wanted size", Conversion, "At τ = 0.15 the share of units kept is near τ: mean distance",
          "The sparsity is chosen by the user", missed, below=0.05, seeds=16, group="paper", source="pilot",
          why=f"{CONSTANT} The balance of the two penalties sets the size more than τ does."),
    Claim("half for a point", Conversion, "With about half of the units (τ = 0.5, λ_polar = 20) it loses less than a "
          "point: converted accuracy minus dense", "About 50 % of the connections for less than 1 point, CIFAR",
          advantage("static", "polar", over="dense"), {"half": {"target": 0.5, "polar": 20}}, above=-0.01, seeds=16,
          group="paper", source="paper", why="The loss lies near the bound here; a random sub-network of this size "
          "loses about as little."),
    Claim("variance", Gates, "R_polar is the variance of the gates over a batch, and 0 for a batch of one: largest "
          "distance, all moments", "R_polar, as we know it",
          lambda r: max(float(r.variance_gap.max()), float(r.single.max())), below=1e-6, rule="exact", seeds=4,
          group="identity", source="theory", essential=True, robust=True),
    Claim("deletion", Gates, "Deleting closed units changes no logit, and all gates open give the dense network: largest "
          "relative distance", "Gates and what they switch off are removed",
          lambda r: max(float(r.cut_gap.max()), float(r.open_gap.max())), below=1e-5, rule="exact", seeds=4,
          group="identity", source="theory", essential=True),
    Claim("better than random", Conversion, "Its sub-network is better than a random one of its size, trained from "
          "scratch: converted accuracy", "Not compared in what we read", advantage("static", "polar", over="random"),
          above=0, seeds=16, group="control", source="zero",
          why="Which units are kept does not matter here, and training with gates costs accuracy."),
    Claim("better than fine-tuning", Conversion, "It is better than to convert activ to this size and fine-tune it: "
          "converted accuracy", "Not compared in what we read", advantage("static", "polar", over="activ + fine-tune"),
          above=0, seeds=16, group="control", source="zero", why=CONSTANT),
    Claim("better than L1", Conversion, "It is better than an L1 penalty on unit factors, a cut to this size and a short "
          "fine-tuning: converted accuracy", "Not compared in what we read",
          advantage("static", "polar", over="L1 + fine-tune"), above=0, seeds=16, group="control", source="zero",
          why="A cut and a seventh of the epochs of fine-tuning are enough."),
    Claim("units matter", Sizes, "The task needs its units: dense accuracy with 12 units of a block minus that with 3",
          "Not reported; our check of the task", end("accuracy", units=12) - end("accuracy", units=3), above=0.01,
          seeds=16, group="control", source="pilot", essential=True),
    Claim("blocks matter", Conversion, "A linear model cannot do it: accuracy of the dense network minus that without "
          "any units", "Not reported; our check of the task", advantage("static", "dense", over="linear"), above=0.3,
          group="control", source="pilot", essential=True),
)
# fmt: on
