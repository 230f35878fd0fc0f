"""Polarization: what is measured against the paper."""

from __future__ import annotations

from reglab.claims import Claim
from reglab.effects import Effect, advantage, end
from reglab.papers.weights.polarization.experiments import Conversion, Gates


def agreement(arm: str) -> Effect:
    """Return the effect: by how much the share of ambiguous gates falls from epoch 1 to the end."""
    return end("ambiguous", arm, epoch=1) - end("ambiguous", arm)


def gap(arm: str) -> Effect:
    """Return the effect: accuracy after conversion minus that with own gates."""
    return end("static", arm) - end("dynamic", arm)


CONSTANT, UNKNOWN = "Constant gates pass it, too.", "Not compared in what we read"

EXAM = 1000

# fmt: off
CLAIMS = (
    Claim("gates polarize", Conversion, "Gates come to agree in training: fall of the ambiguous share from epoch 1 to "
          "the end, polar minus activ", "The regularizer lets all inputs use one sub-network",
          agreement("polar") - agreement("activ"), above=0.3, seeds=32, group="paper", source="pilot", essential=True),
    Claim("free conversion", Conversion, "Gates that differed are fixed for free: ambiguous share after epoch 1, 0 for "
          "a seed whose accuracy changes by 0.01 or more", "One pass of training, nothing to prune or tune after it",
          lambda r: end("ambiguous", "polar", epoch=1)(r) * (abs(gap("polar")(r)) < 0.01), above=0.5, seeds=32,
          group="paper", source="pilot", essential=True),
    Claim("dose", Conversion, "Without the penalty conversion costs more accuracy: converted minus own gates, polar "
          "minus activ", "Ablation not read", gap("polar") - gap("activ"), above=0, seeds=32, group="paper",
          source="zero", why=CONSTANT),
    Claim("wanted size", Conversion, "At τ = 0.15 the share of units kept is near τ: mean distance",
          "The user chooses the sparsity", lambda r: abs(end("kept", "polar")(r) - 0.15), below=0.05, seeds=32,
          group="paper", source="pilot", why=CONSTANT + " The balance of both penalties sets the size more than τ."),
    Claim("half for a point", Conversion, "With about half of the units (τ = 0.5, λ_polar = 20) it loses less than a "
          "point: converted accuracy minus dense", "About 50 % of the connections for less than 1 point, CIFAR",
          advantage("static", "polar", over="dense"), {"half": {"target": 0.5, "polar": 20}}, above=-0.01, seeds=16,
          group="paper", source="paper", why="The loss here is about one point."),
    Claim("variance", Gates, "R_polar is the variance of the gates over a batch, so 0 for a batch of one: largest "
          "distance, all moments", "R_polar as we know it", lambda r: float(r.variance_gap.max()), below=1e-6,
          rule="exact", seeds=4, group="identity", source="theory", essential=True, robust=True),
    Claim("deletion", Gates, "Deleting closed units changes no logit, and all gates open is the dense network: largest "
          "relative distance", "They are deleted", lambda r: float(r.deletion_gap.max()), below=1e-5, rule="exact",
          seeds=4, group="identity", source="theory", essential=True),
    Claim("better than random", Conversion, "Its sub-network is better than a random one of its size, trained from "
          "scratch: converted accuracy", UNKNOWN, advantage("static", "polar", over="random"), above=0, seeds=32,
          group="control", source="zero", why="Which units are kept matters little here; how many does."),
    Claim("better than fine-tuning", Conversion, "It is better than activ, converted to this size and fine-tuned: "
          "converted accuracy", UNKNOWN, advantage("static", "polar", over="activ + fine-tune"), above=0, seeds=32,
          group="control", source="zero", why=CONSTANT),
    Claim("better than L1", Conversion, "It is better than L1 on unit factors, a cut to its size and a short "
          "fine-tuning: converted accuracy", UNKNOWN, advantage("static", "polar", over="L1 + fine-tune"), above=0,
          seeds=32, group="control", source="zero", why="A seventh of the epochs is enough to repair the cut."),
    Claim("units matter", Conversion, "Dense networks with 12 units in each block are better than with 3: accuracy",
          "Our check of the task", lambda many, few: end("static", "dense")(many) - end("static", "dense")(few),
          {"12": {"units": 12, "dense_rate": 0.005}, "3": {"units": 3, "dense_rate": 0.02}}, above=0.01, seeds=16,
          group="control", source="pilot", essential=True),
    Claim("blocks matter", Conversion, "A linear model cannot do it: dense accuracy minus that without units",
          "Our check of the task", advantage("static", "dense", over="linear"), above=0.3, seeds=32, group="control",
          source="pilot", essential=True),
)
# fmt: on
