"""SCL: what is measured against the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from reglab.claims import Claim
from reglab.effects import advantage, end
from reglab.papers.weights.sparse_connectivity.experiments import Connectivity, Reopening
from reglab.papers.weights.sparse_connectivity.method import descend

EXAM = 1000


def _sparse_at_no_loss(results: Any) -> Any:
    """Return the smaller of two margins: of the accuracy above dense - 0.005, and of the open share below 0.2."""
    accuracy = advantage("test_accuracy", "SCL", over="dense")(results) + 0.005
    return np.minimum(accuracy, 0.2 - end("macs_share", "SCL")(results))


def _turned(results: Any) -> float:
    """Return at which step one switch closes from 0.35, or opens from -0.35, whichever is later; 0 for never."""
    closing = np.array(descend(0.35, lambda b: 1.0, torch.ones_like, 0.01, 100))
    opening = np.array(descend(-0.35, lambda b: -1.0, torch.ones_like, 0.01, 100))
    return float(max(np.argmax(closing <= 0), np.argmax(opening > 0)))


def _largest_gap(results: Any) -> float:
    """Return by how much two arms differ from dense at most, in accuracy at any epoch and in the loss at the end."""
    arms = results[["test_accuracy", "train_loss"]].sel(arm=["SCL", "random mask"])
    return max(float(gap.max()) for gap in abs(arms - results.sel(arm="dense", drop=True)).data_vars.values())


# fmt: off
def _beats(key: str, over: str, whom: str, why: str, reported: str = "Not compared", **more: Any) -> Claim:
    """Return the claim that SCL is more accurate than another arm."""
    return Claim(key, Connectivity, f"SCL is more accurate than {whom}: difference of the accuracies", reported,
                 advantage("test_accuracy", "SCL", over=over), above=0, seeds=16, group="control", source="zero",
                 why=why, **more)


CLAIMS = (
    Claim("sparse at no loss", Connectivity, "Less than 20 % of all connections stay open, and SCL loses less than "
          "0.005 of accuracy against dense: smaller margin", "Sparser and more accurate than other ways to prune",
          _sparse_at_no_loss, above=0, seeds=16, group="paper", source="pilot", essential=True, robust=True),
    Claim("right inputs", Connectivity, "Of all open first-layer connections a larger part comes from pixels with SCL "
          "than with a random mask: difference of the shares", "Connections are learned, not set by hand",
          advantage("pixel_share", "SCL", over="random mask"), above=0, seeds=16, group="paper", source="zero",
          essential=True),
    Claim("proxies", Reopening, "Some closed connections open again with the identity, none with the relu: openings "
          "with the relu for each one with the identity", "Only proxies with a positive derivative everywhere are safe",
          end("reopened", "relu") / end("reopened", "identity"), within=(0, 0), rule="every seed", group="paper",
          source="theory", essential=True),
    Claim("fit", Reopening, "Training digits are fitted better with the identity than with the relu: difference of the "
          "losses in nats", "The identity is adopted", advantage("train_loss", "identity", over="relu"), below=0,
          seeds=16, group="paper", source="zero",
          why="The two stop at different numbers of open connections, which fit differently by themselves."),
    Claim("one switch", Reopening, "From 0.35 away from zero, with steps of 0.01, the identity turns a switch at step "
          "35 or 36, to close and to open it", "A positive proxy reaches the best state from everywhere", _turned,
          within=(35, 36), rule="exact", seeds=3, group="identity", source="theory", essential=True),
    Claim("nothing learned", Connectivity, "Without price, learned scores and more decay than dense has, SCL is dense, "
          "and so is a random mask as open: largest difference of accuracies and losses", "Follows from the definition",
          _largest_gap, {"off": {"price": 0, "lr_m": 0, "decay": 5e-4}}, below=1e-6,
          rule="exact", group="identity", source="theory", essential=True),
    _beats("random mask", "random mask", "a random mask with as many connections in each layer", "",
           "Not reported; our null", essential=True),
    _beats("magnitude", "magnitude", "gradual magnitude pruning to as many weights", "Pruned slowly, with a decay of "
           "its own, magnitude finds a mask as good as learned scores do.", "Better than pruning baselines"),
    _beats("decay", "tuned decay", "a dense network with its own tuned decay",
           "Decay weakens what leads from noise, too, if it closes nothing."),
    _beats("filter", "F-test", "a dense network on the 48 inputs of largest F statistic",
           "Noise inputs are useless one by one, and that is all that an F-test has to see."),
    _beats("small dense", "small dense", "a small dense network with as many weights",
           "A narrow network spends half of its first weights on noise."),
    Claim("planted", Connectivity, "Without noise inputs SCL is less accurate than dense: difference of the accuracies",
          "Better accuracy than without sparsity", advantage("test_accuracy", "SCL", over="dense"),
          {"no noise": {"noise_inputs": 0}}, below=0, seeds=16, group="control", source="zero",
          why="At this price too many useful connections may close where none is useless."),
)
# fmt: on
