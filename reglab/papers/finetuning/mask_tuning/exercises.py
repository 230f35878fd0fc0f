"""Mask tuning: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reglab.exercise import WrongAnswerError, compare
from reglab.papers.finetuning.mask_tuning import method
from reglab.seeds import generator

FARTHER, EARLY = (10.0, 30.0), (0.3, 0.7)
"""Between these lie the answers that are read off: what seeds of the recorded and the shown runs give."""


def check_farther(answer: float) -> str:
    """Check how many times farther masks move the weights than fine-tuning that is as accurate."""
    return _read_off(answer, FARTHER, "find the two points in the left panel that are equally high, and divide their "
                     "lengths in the right panel.")  # fmt: skip


def check_early(answer: float) -> str:
    """Check which part of the largest gain is there at the small learning rate."""
    return _read_off(answer, EARLY, "subtract zero-shot from both, then divide the smaller gain by the larger.")


def _read_off(answer: float, ends: tuple[float, float], hint: str) -> str:
    if not ends[0] <= answer <= ends[1]:
        raise WrongAnswerError(hint)
    return f"We read off numbers from {ends[0]:g} to {ends[1]:g}."


# fmt: off
def check_mask(answer: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Check a student's masked weight W ⊙ mask of one layer, its values and its straight-through gradient."""
    weight = torch.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])
    scores = torch.tensor([[0.01, 0.002, 0.005], [0.006, -0.3, 0.7]]).requires_grad_()
    inputs = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    mask, equal = torch.tensor([[1.0, 0, 0], [1, 0, 1]]), torch.tensor([[1.0, 0, 1], [1, 0, 1]])
    found, wrong = answer(weight, scores, 0.005), "a score equal to the threshold is off: use > and not >=."
    kept = "a weight is kept as it is where its score is above the threshold, and 0 elsewhere."
    compare(found, weight * mask, [(weight * equal, wrong)], kept, each="the masked weight")
    if not found.requires_grad:
        raise WrongAnswerError("no gradient reaches the scores: the comparison has none. Let it pass straight through.")
    gradient, expected = torch.autograd.grad((inputs @ found).sum(), scores)[0], weight * inputs.sum(0).unsqueeze(1)
    lost = (expected * mask, "weights that are off must get a gradient too, else they can never come back.")
    compare(gradient, expected, [lost], "the gradient of a score is W times that of the masked weight, nothing more.")
    return "Values and gradients are right, also where the weight is off."


def check_dropout(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> str:
    """Check a student's gradient dropout on random gradients."""
    a, b = (torch.randn(2000, generator=generator(i, "exercise")) for i in (0, 1))
    uniform, keep = torch.rand(2000, generator=generator(2, "exercise")), method.keep_probability(a, b)
    right, some = (method.gradient_dropout(a, keep, uniform, strength) for strength in (1.0, 0.3))
    agree, added = a * b > 0, "b is never added: it only decides which elements of a survive."
    changed = (lambda found: not torch.allclose(found[agree], a[agree], atol=1e-5),
               "where both signs agree, a is kept as it is.")
    always = (torch.where(agree, a, 0), "a conflict is not always dropped: keep it with probability |a|/(|a| + |b|).")
    worked = "at a = 2, b = -1 the probability to keep is 2/3; an element is kept where it exceeds its draw."
    each = "one number for each element of a"
    compare(answer(a, b, uniform, 1.0), right, ((right + b, added), (a + b, added), changed, always), worked, each=each)
    part = "with λ = 0.3 a dropped element loses 30 % of its size, not all of it."
    compare(answer(a, b, uniform, 0.3), some, (), part)
    silent = answer(a, torch.zeros(2000), uniform.clamp(max=0.999), 1.0)
    compare(silent, a, (), "where the old model has no opinion, b = 0, nothing is dropped.")
    return "It keeps, drops and shrinks the right elements."
