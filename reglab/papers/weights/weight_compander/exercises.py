"""WC: the checks of the exercises."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from reglab.exercise import WrongAnswerError, compare, read_off
from reglab.papers.weights.weight_compander import experiments, method
from reglab.recordings import store


def check_decay(answer: Sequence[float | None]) -> str:
    """Check by which share w = Ψ(v) shrinks, in units of λ, when v shrinks by λv: at v = b and at v = 10b."""
    for found, x in zip(answer, (1.0, 10.0), strict=True):
        lost = x / (1 + x**2)
        hints = [
            (1.0, "that is the share of v that is lost; w moves by Ψ'(v) times as much."),
            (lost, "that is how far w moves for a = 1; divide by w itself."),
        ]
        compare(found, lost / math.atan(x), hints, "divide vΨ'(v) by Ψ(v).", tolerance=2e-3)
    return "Decay hardly pulls at a large weight of WC; the bound holds it."


def check_half(answer: Callable[[float], float]) -> str:
    """Check a student's w > 0 at which WC with a = b moves half as fast as a plain weight, against autograd."""
    for a in (0.3, 1.0, 2.0):
        found = answer(a)
        hints = [
            (a * math.pi / 4, "there Ψ'(v) is one half; w moves by its square."),
            (a * math.tan(math.acos(0.5**0.25)), "that is the stored v; the question is about w."),
        ]
        otherwise = "solve cos⁴(w/a) = 1/2 for w."
        compare(found, a * math.acos(0.5**0.25), hints, otherwise, tolerance=1e-6)
        v = method.psi_inverse(torch.tensor(float(found), dtype=torch.float64), a, a).requires_grad_()
        (slope,) = torch.autograd.grad(method.psi(v, a, a), v)
        compare(slope**2, torch.tensor(0.5, dtype=torch.float64), [], otherwise, tolerance=1e-5)
    return "Beyond 0.36 of the bound a weight moves at less than half the speed."


def check_best(answer: Sequence[float | None]) -> str:
    """Check the κ of WC's best test accuracy at 40 % wrong labels, and WC's gain there at κ = 0.45 without any."""
    best, gain = answer
    grid = store.read(experiments.WrongLabels)
    if grid is None:
        raise WrongAnswerError("nothing is recorded here; take it from the website.")
    change = grid.accuracy_change.sel(arm="WC")
    means = change.sel(label_noise=0.4).mean("seed")
    compare(best, float(means.kappa[int(means.values.argmax())]), [], "another κ ends higher at label noise 0.4.")
    values = change.sel(label_noise=0, kappa=0.45).values
    read_off(gain, values, "set the label noise to 0 and κ to 0.45; take WC's change of accuracy.", reading=0.004)
    return "The bound that keeps wrong labels out costs a little where all labels are right."
