"""GG priors: what is measured against the papers."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
import xarray as xr

from reglab.claims import Claim
from reglab.effects import advantage, end
from reglab.papers.weights.generalized_gaussian import method
from reglab.papers.weights.generalized_gaussian.experiments import Compression, Formats

EXAM = 1000

paper, control = (partial(Claim, group=group) for group in ("paper", "control"))


def identities(_: xr.Dataset) -> float:
    """Return the largest distance from what (2) is for ν = 2 and 1 without ε, and from Q(8w) = 8Q(w)."""
    w = torch.linspace(-3, 3, 1000, dtype=torch.float64)  # without 0
    two, one = (method.penalized(w, torch.tensor(nu).double(), 0.1, 0) for nu in (2.0, 1.0))
    formats = method.residual_float(8 * w) - 8 * method.residual_float(w)
    return float(torch.stack([two - 0.8 * w, one - w + 0.1 * w.sign(), formats]).abs().max())


def ahead(values: xr.DataArray, *others: str) -> xr.DataArray:
    """Return by how much BackSlash is above the best of some other arms."""
    return values.sel(arm="BackSlash") - values.sel(arm=[*others]).max("arm")


# fmt: off
CLAIMS = (
    paper("training moves the shape", Compression, "BackSlash ends with a smaller shape: ν̂ at the end minus at first",
          "Shapes of trained weights are below 2", end("nu", "BackSlash") - end("nu", "BackSlash", epoch=0),
          below=-0.5, source="pilot", essential=True, robust=True),
    paper("fewer bits at equal accuracy", Compression, "BackSlash saves half a bit a weight against plain rounding and "
          "loses less than 0.02 accuracy: smaller margin", "LLMs: 60 to 90 % fewer bits, no loss", lambda r:
          np.minimum(ahead(-r.bits, "plain") - 0.5, ahead(r.accuracy_change, "plain") + 0.02), above=0, source="pilot",
          essential=True),
    paper("little cost", Compression, "Without rounding BackSlash loses less than 0.01 accuracy: difference",
          "No loss of accuracy", lambda r: ahead(r.test_accuracy, "plain"), above=-0.01, seeds=16, source="pilot",
          why="The strength was chosen for few bits; a smaller one loses less."),
    paper("start", Compression, "A start of shape 1 ends more accurate than one of shape 2: difference of accuracy",
          "Faster and better training", advantage("test_accuracy", "GG start", over="plain"), above=0, seeds=16,
          source="zero", why="Both starts have the same variance, and a small network learns well from both."),
    paper("RF8", Formats, "RF8 loses less than 0.01 accuracy, without and with BackSlash: smaller change",
          "Inference matches full precision", lambda r: r.change.sel(arm="RF8").min("network"), above=-0.01,
          source="pilot", robust=True),
    paper("error of RF8", Formats, "RF8's mean relative error is that of weights spread evenly over their logarithms",
          "Not reported", lambda r: r.error.sel(arm="RF8").mean("network"), within=(0.031, 0.032), source="theory"),
    Claim("identities", Formats, "(2) is ridge for ν = 2 and a step of the sign for ν = 1, both with ε = 0, and "
          "Q(8w) = 8Q(w): largest distance", "Follows from the definitions", identities, below=1e-12, rule="exact",
          group="identity", source="theory", essential=True),
    Claim("scale is not compression", Compression, "Weights × 0.6: less than 0.01 bits change at a step that follows "
          "the scale, and they fall at a fixed one: smaller margin", "Not reported", lambda r: np.minimum(
              0.01 - abs(advantage("bits", "scale", "plain")(r)), -advantage("bits_fixed", "scale", "plain")(r)),
          above=0, group="identity", source="theory", essential=True),
    control("rounded rivals", Compression, "L1 and a small network need more bits, as rounded here: smaller difference",
            "Not compared", lambda r: ahead(-r.bits, "L1", "small dense"), above=0, seeds=16, source="zero",
            why="Roundings are half octaves apart."),
    control("rivals at equal bits", Compression, "With 1.75 to 2.5 bits a weight both have fewer digits right: smaller "
            "difference of accuracy", "Not compared", lambda r: ahead(r.accuracy_at.sel(rate=slice(1.75, 2.5)).mean(
                "rate"), "L1", "small dense"), above=0, seeds=16, source="zero",
            why="With ε = 1 the penalty is nearly L1, and a smaller network has fewer weights to begin with."),
    control("weaker rivals", Compression, "L2 and pruning need more bits, as rounded here: smaller difference",
            "Not compared", lambda r: ahead(-r.bits, "L2", "pruned"), above=0, source="zero", robust=True),
    control("RF8 against INT8", Formats, "RF8 and INT8 with a scale for each unit differ by less than 0.005 accuracy, "
            "without and with BackSlash: larger distance", "Not compared in what we read", lambda r: abs(
                r.change.sel(arm="RF8") - r.change.sel(arm="INT8 per unit")).max("network"), below=0.005,
            seeds=16, source="pilot", why="Three of 597 digits are 0.005."),
)
# fmt: on
