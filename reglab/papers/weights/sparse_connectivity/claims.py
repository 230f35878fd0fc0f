"""SCL: what is measured against the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.claims import Claim
from reglab.effects import advantage, end
from reglab.papers.weights.sparse_connectivity.experiments import Connectivity, Reopening, Switch

if TYPE_CHECKING:
    import xarray as xr

EXAM = 1000


def _sparse_at_no_loss(results: xr.Dataset) -> xr.DataArray:
    """Return the smaller of two margins: of the accuracy above dense - 0.005, and of the open share below 0.2."""
    accuracy = advantage("test_accuracy", "SCL", over="dense")(results) + 0.005
    return np.minimum(accuracy, 0.2 - end("open_share", "SCL")(results))


def _reopening(results: xr.Dataset) -> xr.DataArray:
    """Return how often connections open again with the identity, less a large number if any does with the relu."""
    identity, relu = (end("reopened", arm)(results) for arm in ("identity", "relu"))
    return identity.where(relu == 0, -1.0)


def _hitting(closing: xr.Dataset, opening: xr.Dataset) -> float:
    """Return at which step the identity closes or opens the switch, whichever is later; NaN where the relu opens it."""
    moved = [closing.opened == 0, opening.opened == 1]
    if moved[1].sel(arm="relu").any():
        return float("nan")
    first = [one.sel(arm="identity").argmax("step") if one.sel(arm="identity").any() else 10**6 for one in moved]
    return float(max(int(one) for one in first))


def _largest_gap(results: xr.Dataset) -> float:
    """Return by how much two arms differ from dense at most, in accuracy at any epoch and in the loss at the end."""
    arms = results[["test_accuracy", "train_loss"]].sel(arm=["SCL", "random mask"])
    return max(float(gap.max()) for gap in abs(arms - results.sel(arm="dense", drop=True)).data_vars.values())


# fmt: off
CLAIMS = (
    Claim("sparse at no loss", Connectivity, "Less than 20 % of all connections stay open, and SCL loses less than "
          "0.005 of accuracy against dense: smaller margin", "Sparser and more accurate than other ways to prune",
          _sparse_at_no_loss, above=0, seeds=16, group="paper", source="pilot", essential=True, robust=True),
    Claim("right inputs", Connectivity, "Of all open first-layer connections a larger part comes from pixels with SCL "
          "than with a random mask: difference of the shares", "Not reported; connections are learned, not set by hand",
          advantage("pixel_share", "SCL", over="random mask"), above=0, seeds=16, group="paper", source="zero",
          essential=True),
    Claim("proxies", Reopening, "With the relu as proxy no closed connection opens again, with the identity some do: "
          "how many times, -1 where the relu opens one", "Only proxies with a positive derivative everywhere are safe",
          _reopening, above=0, rule="every seed", group="paper", source="theory", essential=True),
    Claim("fit", Reopening, "Training digits are fitted better with the identity than with the relu: difference of the "
          "losses in nats", "The identity is adopted", advantage("train_loss", "identity", over="relu"), below=0,
          seeds=16, group="paper", source="zero",
          why="The two stop at different numbers of open connections, which fit differently by themselves."),
    Claim("one switch", Switch, "From 0.35 away from zero, with steps of 0.01, the identity turns the switch at step "
          "35 or 36 both ways; the relu never opens it", "A positive proxy reaches the best state from everywhere",
          _hitting, {"closing": {"cost": 1, "start": 0.35}, "opening": {"cost": -1, "start": -0.35}}, within=(35, 36),
          rule="exact", seeds=3, group="identity", source="theory", essential=True),
    Claim("nothing learned", Connectivity, "Without a price and a learning rate of scores SCL is dense, and so is a "
          "random mask with as many connections: largest difference of accuracies and losses",
          "Follows from the definition", _largest_gap, {"off": {"price": 0, "lr_m": 0}}, below=1e-6, rule="exact",
          group="identity", source="theory", essential=True),
    Claim("random mask", Connectivity, "SCL is more accurate than a random mask with as many connections in each "
          "layer: difference of accuracies", "Not reported; our null",
          advantage("test_accuracy", "SCL", over="random mask"), above=0, seeds=16, group="control", source="zero", essential=True),
    Claim("magnitude", Connectivity, "SCL is more accurate than gradual magnitude pruning to as many weights: "
          "difference of accuracies", "Better than pruning baselines",
          advantage("test_accuracy", "SCL", over="magnitude"), above=0, seeds=16, group="control", source="zero",
          why="Pruned slowly and with a decay of its own, magnitude finds a mask as good as learned scores do."),
    Claim("decay", Connectivity, "SCL is more accurate than a dense network with its own tuned decay: "
          "difference of accuracies", "Not compared", advantage("test_accuracy", "SCL", over="tuned decay"), above=0,
          seeds=16, group="control", source="zero", why="Decay weakens what leads from noise, too, if it closes nothing."),
    Claim("filter", Connectivity, "SCL is more accurate than dense on the 48 inputs of largest F statistic: "
          "difference of accuracies", "Not compared", advantage("test_accuracy", "SCL", over="F-test"), above=0,
          seeds=16, group="control", source="zero",
          why="Noise inputs are useless one by one, and that is all that an F-test has to see."),
    Claim("small dense", Connectivity, "SCL is more accurate than a small dense network with as many weights: "
          "difference of accuracies", "Not compared", advantage("test_accuracy", "SCL", over="small dense"), above=0,
          seeds=16, group="control", source="zero", why="A narrow network spends half of its first weights on noise."),
    Claim("planted", Connectivity, "Without noise inputs SCL is less accurate than dense: difference of the accuracies",
          "Better accuracy than without sparsity", advantage("test_accuracy", "SCL", over="dense"),
          {"no noise": {"noise_inputs": 0}}, below=0, seeds=16, group="control", source="zero",
          why="At this price too many useful connections may close where none is useless."),
)
# fmt: on
