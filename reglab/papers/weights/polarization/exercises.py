"""Polarization: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reglab.effects import end
from reglab.exercise import WrongAnswerError, compare, read_off
from reglab.papers.weights.polarization import experiments, method
from reglab.recordings import store


def check_batch(answer: Sequence[float | None]) -> str:
    """Check R_polar of one unit whose gates are (1, 1, 1, 0), and the mean of g(1 - g) over the single gates."""
    gates = torch.tensor([[1.0], [1.0], [1.0], [0.0]])
    polar, single = float(method.polarization(gates)), float((gates * (1 - gates)).mean())
    early, late = "take the mean over the batch before the parabola.", "here the parabola is of each single gate."
    compare(answer[0], polar, [(single, early)], "put ḡ = ¾ into ḡ(1 − ḡ).")
    compare(answer[1], single, [(polar, late)], "0·1 and 1·0 are the same.")
    return "A single binary gate is always at an end of the parabola; only the mean tells that inputs disagree."


def check_pull(answer: Callable[[Tensor], Tensor]) -> str:
    """Check a student's gradient of R_polar in each gate, [B, N] -> [B, N], against automatic differentiation."""
    gates = torch.ones(6, 3, dtype=torch.float64).tril().requires_grad_()
    (right,) = torch.autograd.grad(method.polarization(gates), gates)
    each, alone = (1 - 2 * gates.detach()) / gates.numel(), "ḡ is the mean over the batch, not the single gate."
    hints = [(3 * right, "R_polar is a mean over units, too: divide by N."), (-right, "mind the sign."), (each, alone)]
    compare(answer(gates.detach()), right, hints, "apply the chain rule to ḡ.", each="one number for each gate")
    return "The same for all inputs of a batch: the majority pulls the rest."


def check_conversion(answer: Sequence[float | None]) -> str:
    """Check converted accuracies that a student reads off: polar at λ_polar = 0 and 30, random at 30, with τ = 0.15."""
    for found, (arm, strength) in zip(answer, (("polar", 0), ("polar", 30), ("random", 30)), strict=True):
        recorded = store.at(experiments.Conversion(polar=strength))
        if recorded is None:
            raise WrongAnswerError("this setting is not recorded here; take it from the website.")
        hint = f"{arm} at λ_polar = {strength} is another number; take the last value, after conversion, at τ = 0.15."
        read_off(found, end("static", arm)(recorded).values, hint, reading=0.02)
    return "Polarization makes the conversion free; the sub-network is about as good as one drawn at random."
