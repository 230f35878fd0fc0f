"""GG priors: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reglab.effects import end
from reglab.exercise import WrongAnswerError, compare, read_off
from reglab.papers.weights.generalized_gaussian import method
from reglab.papers.weights.generalized_gaussian.experiments import Compression
from reglab.recordings import store
from reglab.seeds import generator


def check_steps(answer: Sequence[float | None]) -> str:
    """Check by which factor the step at |θ| = 0.01 exceeds that at 0.1, for ν = 0.5, with ε = 0 and with ε = 1."""
    for found, epsilon in zip(answer, (0.0, 1.0), strict=True):
        right = ((0.01 + epsilon) / (0.1 + epsilon)) ** -0.5
        compare(found, right, [], "divide (|θ| + ε)^(ν - 1) at 0.01 by that at 0.1.", tolerance=0.01)
    return "Without ε small weights are pushed hardest; with ε = 1 all are pushed nearly alike, which is L1."


def check_shape(answer: Callable[[Tensor], float]) -> str:
    """Check a student's estimate of the shape of some weights [n], to 0.02."""
    for k, shape in enumerate((0.6, 1.0, 1.7)):
        draws = torch.randn(1, 20_000, generator=generator(k, "exercise"), dtype=torch.float64)
        theta = method.from_normal(draws, torch.tensor(shape), torch.tensor(0.3))
        right = float(method.estimate(theta, theta.shape[1]))
        compare(answer(theta[0]), right, [], "look up nΣθ²/(Σ|θ|)² among all ρ(ν).", tolerance=0.01)
    return "It finds the shape whatever the scale."


def check_strengths(answer: Sequence[float | None]) -> str:
    """Check the accuracy of BackSlash at 2 bits a weight that a student reads off at λ = 0.1, 1 and 3, ν₀ = 2."""
    for found, strength in zip(answer, (0.1, 1, 3), strict=True):
        recorded = store.at(Compression(strength=strength))
        if recorded is None:
            raise WrongAnswerError("this setting is not recorded here; take it from the website.")
        hint = f"at λ = {strength:g} it is another accuracy; look at 2 bits a weight, in the left picture of Bits."
        read_off(found, end("accuracy_at", "BackSlash", rate=2.0)(recorded).values, hint, reading=0.005)
    return "A weak penalty leaves weights that few bits do not hold, a strong one takes what the network needs."
