"""MSD: what is measured against the paper."""

from __future__ import annotations

from functools import partial

import numpy as np

from reglab.claims import Claim
from reglab.effects import advantage, end
from reglab.papers.noise.multi_sample_dropout.experiments import AcrossCopies, Few, GradientNoise, MultiSample

paper, identity, control = (partial(Claim, group=group) for group in ("paper", "identity", "control"))

EXAM = 1000

NOT_COMPARED, TWICE, LONG = "Not compared, as far as we could read", {"lr": 2e-3}, {"steps": 1380}

# fmt: off
CLAIMS = (
    paper("faster", MultiSample,
          "At equal settings eight masks fit the training digits in fewer steps: difference of the mean training losses",
          "Fewer iterations to convergence and lower training losses (abstract)",
          end("trace", "multi-sample") - end("trace", "dropout"), below=0, source="zero"),
    paper("less noise, with a floor", GradientNoise,
          "With batches redrawn, 16 masks remove part of the gradient's variance and leave the part of the batches: "
          "variance for M = 16 over that for M = 1",
          "Not a number of the paper; it follows from averaging the losses",
          end("total_variance", copies=16) / end("total_variance", copies=1), within=(0.3, 0.8), source="pilot",
          essential=True),
    paper("fewer errors", Few,
          "At equal settings eight masks read fewer new digits wrong: difference of the test errors, in points",
          "Lower errors on ImageNet, CIFAR-10 and CIFAR-100 (abstract)",
          advantage("test_error", "multi-sample", "dropout"), below=0, source="zero", seeds=32),
    paper("diminishing returns", AcrossCopies,
          "From 1 to 4 masks the mean training loss falls more than from 4 to 16: difference of the two falls",
          "More masks are better, with diminishing returns (not read by us in the paper itself)",
          lambda r: r.trace.sel(arm="multi-sample", copies=1) + r.trace.sel(arm="multi-sample", copies=16)
          - 2 * r.trace.sel(arm="multi-sample", copies=4), above=0, source="zero"),
    identity("1/M law", GradientNoise,
             "With the batch fixed, M masks divide the gradient's variance by M: 16 times that for M = 16 over that "
             "for M = 1",
             "Independent masks, averaged",
             end("mask_variance", copies=16) / (end("mask_variance", copies=1) / 16), within=(0.8, 1.25),
             source="theory", essential=True, robust=True),
    identity("one mask, no mask", GradientNoise,
             "Sixteen copies of one mask, or of none (p = 0), give the gradient of one copy: largest difference",
             "Follows from the definition", lambda r: np.maximum(r.same_gap, r.plain_gap), below=1e-10,
             rule="every seed", source="theory", essential=True),
    identity("rows repeated", GradientNoise,
             "A batch with every row 16 times, each with its own mask, gives the gradient of 16 masks: largest "
             "difference",
             "Duplicating the mini-batch does the same at a higher price (not read by us in the paper itself)",
             end("rows_gap"), below=1e-10, rule="every seed", source="theory", essential=True),
    control("against twice the rate", MultiSample,
            "Eight masks fit the training digits in fewer steps than one mask with twice the learning rate: difference "
            "of the mean training losses",
            NOT_COMPARED, end("trace", "multi-sample") - end("trace", "dropout, faster"), below=0, source="zero",
            why="Adam takes steps of a size that the learning rate sets; with small steps the noise averages out."),
    control("both at twice the rate", Few,
            "With twice the learning rate for both, eight masks read fewer new digits wrong: difference of the test "
            "errors, in points",
            NOT_COMPARED, advantage("test_error", "multi-sample", "dropout"), {"twice": TWICE}, below=0,
            source="zero", seeds=32, why="At this rate one mask has trained as long as it needs to."),
    control("against no dropout", Few,
            "Eight masks read fewer new digits wrong than no dropout at all: difference of the test errors, in points",
            NOT_COMPARED, advantage("test_error", "multi-sample", "no dropout"), below=0, source="zero", seeds=32,
            why="In 300 steps the network hardly overfits, so there is little that dropout can prevent."),
    control("equal arithmetic", Few,
            "Eight masks read fewer new digits wrong than one mask with 4.6 times the steps, which costs the same: "
            "difference of the test errors, in points",
            "Little additional time, since convolutions dominate (abstract)",
            lambda short, long: end("test_error", "multi-sample")(short) - end("test_error", "dropout")(long),
            {"short": {}, "long": LONG}, below=0, source="zero", seeds=32,
            why="The head, which runs eight times, is larger here than the layer in front of it."),
    control("a longer run", Few,
            "After 1380 steps it makes less than half a point whether one mask is drawn or eight: difference of the "
            "test errors",
            "Not compared: the paper stops both at convergence", advantage("test_error", "multi-sample", "dropout"),
            {"long": LONG}, within=(-0.5, 0.5), source="pilot", seeds=32,
            why="The objective is the same, but where noisy steps lead is not."),
)
# fmt: on
