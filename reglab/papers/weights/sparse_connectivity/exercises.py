"""SCL: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reglab.effects import advantage
from reglab.exercise import WrongAnswerError, compare, read_off
from reglab.papers.weights.sparse_connectivity import experiments
from reglab.recordings import store
from reglab.statistics import mean_interval

PRICES = experiments.Connectivity.grid["price"]


def check_steps(answer: Sequence[float | None]) -> str:
    """Check after how many steps of 0.01 a switch at -0.35 with c = -1 opens: with identity and leaky ReLU."""
    for found, right in zip(answer, (35, 350), strict=True):
        if found is not None and found == right + 1:
            continue  # it is open above zero only
        hint = "the leaky ReLU moves a closed switch by a tenth of the identity's step."
        compare(found, right, [(35 * 10 / right, hint)], "divide the way to zero by the length of a step, η·|c|·μ'.")
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
    price, change = answer
    if price is None:
        raise NotImplementedError
    recorded = [store.at(experiments.Connectivity(price=one)) for one in PRICES]
    plain = store.at(experiments.Connectivity(noise_inputs=0))
    if plain is None or any(one is None for one in recorded):
        raise WrongAnswerError("these settings are not recorded here; take them from the website.")
    if price not in PRICES:
        raise WrongAnswerError(f"take one of the recorded prices: {', '.join(map(str, PRICES))}.")
    gain = advantage("test_accuracy", "SCL", over="dense")
    ends = [mean_interval(gain(one).values)[1:] for one in recorded if one is not None]
    place = PRICES.index(price)
    if ends[place][1] < 0:
        raise WrongAnswerError("at this price SCL is less accurate than dense.")
    if place + 1 < len(PRICES) and ends[place + 1][0] > 0:
        raise WrongAnswerError("at the next higher price SCL is still more accurate than dense.")
    read_off(
        change, gain(plain).values, "move the noise inputs to 0 and take SCL minus dense at price 0.3.", reading=0.005
    )
    return "Where no input is useless, the same price costs accuracy."
