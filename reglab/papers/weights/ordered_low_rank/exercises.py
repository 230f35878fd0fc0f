"""Ordered low rank: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reglab.exercise import compare
from reglab.papers.weights.ordered_low_rank import method
from reglab.seeds import generator


# WRITE: a check for each exercise, with a hint for each mistake that you expect; this one checks a gradient
def check_gradient(answer: Callable[[Tensor], Tensor]) -> str:
    """Check a student's gradient of the regularizer in the logits [N, C] against automatic differentiation."""
    logits = torch.randn(5, 4, generator=generator(0, "exercise")).requires_grad_()
    (right,) = torch.autograd.grad(method.regularizer(logits), logits)
    hints = [(len(right) * right, "the regularizer is a mean over the batch: divide by its size.")]
    otherwise = "apply the chain rule, one logit at a time."
    compare(answer(logits.detach()), right, hints, otherwise, each="one number for each logit")
    return "It equals what automatic differentiation finds."
