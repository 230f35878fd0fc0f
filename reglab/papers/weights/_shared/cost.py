"""What a network costs beside the dense one of its page, by the same names on every page of this part."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from reglab.results import Var


def count(widths: Sequence[int]) -> int:
    """Return how many weights a dense network has, from its inputs to its logits; biases are not counted.

    As many multiply-adds take one example through it, since each weight is used once.
    """
    return sum(inputs * outputs for inputs, outputs in itertools.pairwise(widths))


def factored(inputs: int, outputs: int, rank: int) -> int:
    """Return how many weights a layer of some rank has: k(in + out) for two factors, or in · out where that is less."""
    return min(rank * (inputs + outputs), inputs * outputs)


def width_for(weights: float, inputs: int = 64, hidden: int = 2, classes: int = 10) -> int:
    """Return the least h for which a network with h units in each hidden layer has at least so many weights."""
    return next(h for h in itertools.count(1) if count((inputs, *[h] * hidden, classes)) >= weights)


def outputs(axes: str = "arm seed") -> dict[str, Var]:
    """Return the outputs that place every page of the part on one map, along its own axes."""
    return {
        # without ends, which the axes of pictures would keep to: changes are hundredths
        "accuracy_change": Var(axes, "change of accuracy", "test accuracy minus that of the dense network"),
        "weights_share": Var(axes, "weights", "stored weights that are not zero, of those of the dense network", low=0),
        "macs_share": Var(axes, "multiply-adds", "multiply-adds of an example, of those of the dense network", low=0),
        "bits_share": Var(axes, "bits", "stored bits, of those of the dense network in 32 bits", low=0),
    }
