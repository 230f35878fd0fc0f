"""PS-KD: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from reglab.effects import advantage
from reglab.exercise import WrongAnswerError, compare, read_off
from reglab.papers.labels.self_distillation import experiments, method
from reglab.recordings import store
from reglab.seeds import generator


def check_start(answer: Sequence[float | None]) -> str:
    """Check the true class's target in epoch 2 of 60 after a uniform prediction: constant α = 0.8, or growing to it."""
    label, uniform = torch.tensor([1.0] + [0.0] * 9), torch.full((10,), 0.1)
    for found, alpha in zip(answer, (0.8, float(method.growing(0.8, 2, 60))), strict=True):
        right = float(method.soft_targets(label, uniform, alpha)[0])
        hint = "the old prediction gives the true class a part, too: α·P."
        compare(found, right, [(1 - alpha, hint)], "put α of this epoch, y = 1 and P = 0.1 into ỹ.", tolerance=1e-3)
    return "A large α so early is strong smoothing with a prediction that knows nothing."


def check_rho(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> str:
    """Check a student's ρ for predictions of now and before and one-hot labels, [N, C] each, and a weight α."""
    now, before = (torch.randn(8, 5, generator=generator(k, "exercise")).softmax(-1) for k in (0, 1))
    labels, alpha = F.one_hot(torch.arange(8) % 5, 5), 0.4
    doubts = method.doubt(now, labels), method.doubt(before, labels)
    hints = [
        (method.rescaling(doubts[1], doubts[0], alpha), "γ of now and of before are exchanged."),
        (method.rescaling(1 - doubts[0], 1 - doubts[1], alpha), "γ is one minus the probability of the true class."),
    ]
    otherwise = "γ of now divides, α times γ of before is divided; take it from 1."
    right = method.rescaling(*doubts, alpha)
    compare(answer(now, before, labels, alpha), right, hints, otherwise, each="one number for each example")
    return "A point that became easier gets a smaller factor than one that stands still."


def check_gains(answer: Sequence[float | None]) -> str:
    """Check the ECE of PS-KD minus that of CE, in %, that a student reads off at decay 0.002 and 0.02, α_T = 0.8."""
    for found, decay in zip(answer, (0.002, 0.02), strict=True):
        recorded = store.at(experiments.Distillation(decay=decay))
        if recorded is None:
            raise WrongAnswerError("this setting is not recorded here; take it from the website.")
        hint = f"at decay {decay} it is another difference; take PS-KD minus CE, in %."
        read_off(found, advantage("ece", "PS-KD", over="CE")(recorded).values, hint, reading=1)
    return "The gain is large where CE is overconfident; where it is not, the same softness is a loss."
