"""MSD: what is measured against the paper."""

from __future__ import annotations

from functools import partial

from reglab.claims import Claim
from reglab.effects import Effect, advantage, end
from reglab.papers.noise.multi_sample_dropout.experiments import AcrossCopies, Few, GradientNoise, MultiSample

EXAM = 1000

paper, control = (partial(Claim, group=group, source="zero") for group in ("paper", "control"))
identity = partial(Claim, group="identity", source="theory", essential=True)
ERROR, UNKNOWN = "difference of the test errors, in points", "Not compared, as far as we read"
TWICE, LONG = {"twice": {"lr": 2e-3}}, {"steps": 1380}


def against(arm: str, variable: str = "test_error") -> Effect:
    """Return by how much a number of multi-sample is above that of another arm, in the end."""
    return advantage(variable, "multi-sample", arm)


# fmt: off
CLAIMS = (
    paper("faster", MultiSample,
          "At equal settings eight masks fit training digits sooner than one: difference of the mean training losses",
          "Fewer iterations to convergence and a lower training loss (abstract)", against("dropout", "trace"), below=0),
    paper("less noise, with a floor", GradientNoise,
          "With batches redrawn, the gradient's variance for 16 masks, divided by that for one",
          "Not given; it follows from averaging the losses",
          end("total_variance", copies=16) / end("total_variance", copies=1), within=(0.3, 0.8),
          source="pilot", essential=True),
    paper("fewer errors", Few, f"At equal settings eight masks read fewer new digits wrong than one: {ERROR}",
          "Lower errors on ImageNet, CIFAR-10 and CIFAR-100 (abstract)", against("dropout"), below=0, seeds=32),
    paper("diminishing returns", AcrossCopies,
          "The mean training loss falls more from 1 to 4 masks than from 4 to 16: difference of the two falls",
          "More masks help, with diminishing returns (we read this elsewhere only)",
          lambda r: (r.trace.sel(copies=[1, 16]).sum("copies") - 2 * r.trace.sel(copies=4)).sel(arm="multi-sample"),
          above=0),
    identity("1/M law", GradientNoise,
             "With the batch fixed, 16 masks divide the gradient's variance by 16: its ratio to that share",
             "Losses of independent masks are averaged",
             end("mask_variance", copies=16) / end("law", copies=16), within=(0.8, 1.25), robust=True),
    identity("equal gradients", GradientNoise,
             "Gradients agree: 16 copies of one mask or of none and one; 16 masks and every row repeated 16 times: "
             "largest difference", "Repeated rows gain alike at a higher price (we read this elsewhere only)",
             lambda r: r.gap.max("pair"), below=1e-10, rule="every seed"),
    control("against twice the rate", MultiSample,
            "Eight masks fit training digits sooner than one with twice the rate: difference of mean training losses",
            UNKNOWN, against("dropout, faster", "trace"), below=0, why="Larger steps are the cheaper way to be fast."),
    control("both at twice the rate", Few,
            f"With twice the learning rate for both, eight masks read fewer new digits wrong than one: {ERROR}",
            UNKNOWN, against("dropout"), TWICE, below=0, seeds=32, why="One mask is less slow here."),
    control("against no dropout", Few, f"Eight masks read fewer new digits wrong than no dropout at all: {ERROR}",
            UNKNOWN, against("no dropout"), below=0, seeds=32, why="300 steps hardly overfit."),
    control("against no dropout, twice the rate", Few,
            f"With twice the learning rate for both, eight masks read fewer digits wrong than no dropout: {ERROR}",
            UNKNOWN, against("no dropout"), TWICE, below=0, seeds=32, why="Two seeds differ by more than such a gain."),
    control("equal arithmetic", Few,
            f"Eight masks read fewer digits wrong than one mask with 4.6 times the steps, at equal cost: {ERROR}",
            "Little additional time, since convolutions dominate (abstract)",
            lambda short, long: end("test_error", "multi-sample")(short) - end("test_error", "dropout")(long),
            {"short": {}, "long": LONG}, below=0, seeds=32, why="Here the head, which runs eight times, is not small."),
    control("a longer run", Few, f"After 1380 steps one mask or eight make less than half a point: {ERROR}", UNKNOWN,
            against("dropout"), {"long": LONG}, within=(-0.5, 0.5), source="pilot", seeds=32,
            why="What is minimized is the same, but not where noisy steps lead."),
)
# fmt: on
