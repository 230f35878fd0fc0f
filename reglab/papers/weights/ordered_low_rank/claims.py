"""Maestro: what is measured against the paper."""

from __future__ import annotations

from reglab.claims import Claim
from reglab.effects import advantage, end
from reglab.papers.weights.ordered_low_rank.experiments import Components, Digits, Linear

EXAM = 1000

# fmt: off
CLAIMS = (
    Claim("prefixes", Linear, "LoD's first b columns give the SVD of C, cut at rank b: largest relative distance",
          "LoD finds the SVD of a linear map", end("largest_error", "LoD"), below=0.05, seeds=24, group="paper",
          source="pilot", essential=True, robust=True),
    Claim("order", Linear, "For each b < 6 they are nearer to it than plain training: largest difference",
          "Not reported", lambda r: (r.prefix_error.sel(arm="LoD") - r.prefix_error.sel(arm="full"))[:, :5].max("b"),
          below=0, seeds=24, group="paper", source="zero", essential=True),
    Claim("importance", Linear, "The importance of LoD's first three columns is their singular value: largest "
          "distance of the ratio from 1", "The importance is the singular value",
          lambda r: abs(r.importance.sel(arm="LoD") / r.singular_value - 1)[:, :3].max("b"), below=0.1, seeds=24,
          group="paper", source="pilot", essential=True),
    Claim("components", Components, "LoD's first k factors explain as much variance as PCA: largest excess of all k",
          "LoD finds PCA for a linear autoencoder", lambda r: r.excess.sel(arm="LoD").max("k"), below=0.03,
          group="paper", source="pilot", essential=True),
    Claim("what sampling does", Digits, "Accuracy at half rank: LoD keeps more than factors that training never cut",
          "Sampling orders the columns", advantage("half_accuracy", "LoD", over="factors"), above=0, group="paper",
          source="zero", essential=True),
    Claim("no price", Digits, "Accuracy with all ranks: LoD is as accurate as the dense network; 0.01 is tolerated",
          "ResNet-50 on ImageNet: 76.04 %; Pufferfish 75.99 %", advantage("accuracy", "LoD", over="dense", share=1),
          above=-0.01, seeds=16, group="paper", source="pilot"),
    Claim("worked example", Linear, "For C = diag(3, 2, 1), F is 2 at the SVD, with gradient 0, 22/3 in reverse: "
          "largest gap", "Proved for linear maps", lambda r: float(r.gap.max()), below=1e-10, rule="exact",
          seeds=24, group="identity", source="theory", essential=True),
    Claim("one SVD", Digits, "Accuracy at half rank: LoD keeps more than an SVD of factors with more decay",
          "Better than an SVD of such a model", advantage("half_accuracy", "LoD", over="factors, decay, SVD"), above=0,
          seeds=16, group="control", source="zero", why="Decay lowers the rank of a product, and one SVD orders it."),
    Claim("data-aware SVD", Digits, "Accuracy at half rank: LoD keeps more than a whitened SVD of a dense network",
          "Not compared in what we read", advantage("half_accuracy", "LoD", over="whitened SVD"), above=0, seeds=16,
          group="control", source="zero", why="One SVD that knows the inputs puts a network in order, too."),
    Claim("one network for one cost", Digits, "Accuracy at half rank: LoD is as accurate as the better of that rank "
          "alone and small dense; 0.01 is tolerated", "Not compared", lambda r: r.half_accuracy.sel(arm="LoD")
          - r.half_accuracy.sel(arm=["that rank alone", "small dense"]).max("arm"), above=-0.01, seeds=16,
          group="control", source="zero", why="They are trained for one cost only, LoD for all."),
    Claim("which columns", Digits, "Accuracy at half rank: LoD's first columns keep more than random ones",
          "Not reported; our null", advantage("half_accuracy", "LoD", over="random columns"), above=0, seeds=16,
          group="control", source="zero", essential=True),
    Claim("the head is the limit", Digits, "Accuracy at a quarter of the ranks: LoD gains if the last layer is not cut",
          "Not reported", lambda cut, whole: (whole - cut).accuracy.sel(arm="LoD", share=0.25),
          {"cut": {}, "whole": {"whole_head": True}}, above=0.2, group="control", source="pilot"),
)
# fmt: on
