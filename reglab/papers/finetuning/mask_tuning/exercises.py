"""Mask tuning: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reglab.exercise import WrongAnswerError
from reglab.papers.finetuning.mask_tuning import method
from reglab.seeds import generator


def check_mask(answer: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Check a student's masked weight W ⊙ mask of one layer, its values and its straight-through gradient."""
    weight = torch.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])
    scores = torch.tensor([[0.01, 0.002, 0.005], [0.006, -0.3, 0.7]]).requires_grad_()
    inputs = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    found = answer(weight, scores, 0.005)
    if found is None:
        raise NotImplementedError
    if not isinstance(found, Tensor) or found.shape != weight.shape:
        raise WrongAnswerError(f"return the masked weight, a tensor of shape {tuple(weight.shape)}.")
    mask = torch.tensor([[1.0, 0, 0], [1, 0, 1]])
    if torch.allclose(found, weight * torch.tensor([[1.0, 0, 1], [1, 0, 1]])):
        raise WrongAnswerError("a score equal to the threshold is off: use > and not >=.")
    if not torch.allclose(found, weight * mask, atol=1e-6):
        raise WrongAnswerError("a weight is kept as it is where its score is above the threshold, and 0 elsewhere.")
    if not found.requires_grad:
        raise WrongAnswerError("no gradient reaches the scores: the comparison has none. Let it pass straight through.")
    gradient = torch.autograd.grad((inputs @ found).sum(), scores)[0]
    expected = weight * inputs.sum(0).unsqueeze(1)
    if torch.allclose(gradient, expected * mask, atol=1e-6):
        raise WrongAnswerError("weights that are off must get a gradient too, else they can never come back.")
    if not torch.allclose(gradient, expected, atol=1e-6):
        raise WrongAnswerError("the gradient of a score is W times that of the masked weight, nothing more.")
    return "Values and gradients are right, also where the weight is off."


def check_dropout(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> str:
    """Check a student's gradient dropout on worked numbers and on random gradients."""
    a, b = (torch.randn(2000, generator=generator(i, "exercise")) for i in (0, 1))
    uniform = torch.rand(2000, generator=generator(2, "exercise"))
    found = answer(a, b, uniform, 1.0)
    if found is None:
        raise NotImplementedError
    if not isinstance(found, Tensor) or found.shape != a.shape:
        raise WrongAnswerError("return a tensor, one number for each element of a.")
    if torch.allclose(found, method.gradient_dropout(a, b, uniform, 1.0) + b, atol=1e-5) or torch.allclose(
        found, a + b
    ):
        raise WrongAnswerError("b is never added: it only decides which elements of a survive.")
    agree = a * b > 0
    if not torch.allclose(found[agree], a[agree], atol=1e-5):
        raise WrongAnswerError("where both signs agree, a is kept as it is.")
    if torch.allclose(found, torch.where(agree, a, 0)):
        raise WrongAnswerError("a conflict is not always dropped: keep it with probability |a|/(|a| + |b|).")
    if not torch.allclose(found, method.gradient_dropout(a, b, uniform, 1.0), atol=1e-5):
        raise WrongAnswerError(
            "at a = 2, b = -1 the probability to keep is 2/3; an element is kept where it exceeds its draw."
        )
    if not torch.allclose(answer(a, b, uniform, 0.3), method.gradient_dropout(a, b, uniform, 0.3), atol=1e-5):
        raise WrongAnswerError("with λ = 0.3 a dropped element loses 30 % of its size, not all of it.")
    zero = torch.zeros(2000)
    if not torch.allclose(answer(a, zero, uniform.clamp(max=0.999), 1.0), a, atol=1e-5):
        raise WrongAnswerError("where the old model has no opinion, b = 0, nothing is dropped.")
    return "It keeps, drops and shrinks the right elements."
