"""SCL: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reglab.exercise import WrongAnswerError, compare, read_off
from reglab.papers.weights.sparse_connectivity import experiments
from reglab.recordings import store
from reglab.statistics import mean_interval


def check_steps(answer: Sequence[float | None]) -> str:
    """Check after how many steps of 0.01 a switch at -0.35 with c = -1 opens: with identity and leaky ReLU."""
    for found, right in zip(answer, (35, 350), strict=True):
        # one step more if it lands on zero: it is open above zero only
        compare(found, right, [], "divide the way to zero by the length of a step, η·|c|·μ'.", tolerance=0.03)
    return "With the relu it would take forever: μ' = 0 there, and the first decision is the last."


def check_share(answer: Callable[[float, Tensor], Tensor]) -> str:
    """Check to which share of open steps a switch tends in 0.5(w·H(m) - y)², for a weight w > 0 and targets y [K]."""
    weight, targets = 2.0, torch.tensor([-1.0, 0.5, 1.2, 3.0])
    soft = targets / weight
    hints = [
        (soft, "a share lies between 0 and 1: what happens at y < 0 and at y > w?"),
        ((weight / targets).clamp(0, 1), "w and y are exchanged."),
        ((1 - soft).clamp(0, 1), "this is the share of closed steps."),
    ]
    otherwise = "in the long run the moves up, (y - w)w·(-1) while open, and down must cancel."
    compare(answer(weight, targets), soft.clamp(0, 1), hints, otherwise, each="one share for each target")
    return "Over time the hard switch acts like the soft weight y."


def check_prices(answer: Sequence[float | None]) -> str:
    """Check the largest recorded price at which SCL is as accurate as dense, and SCL - dense without noise at 0.3."""
    (price, change), grid = answer, store.read(experiments.Connectivity)
    if price is None:
        raise NotImplementedError
    if grid is None or price not in grid.price:
        raise WrongAnswerError("take one of the prices that the website has recorded.")
    last = grid.test_accuracy.isel(epoch=-1)
    gain = (last.sel(arm="SCL") - last.sel(arm="dense")).transpose("seed", ...)
    _, low, high = mean_interval(gain.sel(noise_inputs=64).transpose("seed", "price").values, axis=0)
    place = grid.price.values.tolist().index(price)
    if high[place] < 0 or (place + 1 < len(low) and low[place + 1] > 0):
        raise WrongAnswerError("here SCL is less accurate than dense, or at the next price it still is more accurate.")
    read_off(change, gain.sel(noise_inputs=0, price=0.3).values, "without noise inputs it is another.", reading=0.005)
    return "Where no input is useless, the same price costs accuracy."
