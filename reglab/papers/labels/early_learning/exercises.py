"""ELR: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reglab.exercise import WrongAnswerError
from reglab.papers.labels.early_learning import method
from reglab.seeds import generator


def check_gradient(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Check a student's gradient of log(1 - ⟨p, t⟩) in the logits against automatic differentiation."""
    logits = torch.randn(5, 4, generator=generator(0, "exercise")).requires_grad_()
    targets = 0.7 * torch.randn(5, 4, generator=generator(1, "exercise")).softmax(-1)
    found = answer(logits.detach(), targets)
    if found is None:
        raise NotImplementedError
    if not isinstance(found, Tensor) or found.shape != logits.shape:
        raise WrongAnswerError(f"return a tensor of shape {tuple(logits.shape)}, one number for each logit.")
    torch.log(1 - (logits.softmax(-1) * targets).sum(-1)).sum().backward()
    assert logits.grad is not None
    if torch.allclose(found, logits.grad, atol=1e-5):
        return "It equals what automatic differentiation finds, and each row sums to zero."
    if torch.allclose(found, -logits.grad, atol=1e-5):
        raise WrongAnswerError("the size is right, the sign is not: this is the way down, the gradient points up.")
    if torch.allclose(found / len(logits), logits.grad, atol=1e-5) or torch.allclose(
        found * len(logits), logits.grad, atol=1e-5
    ):
        raise WrongAnswerError("do not average over the batch: each row is the gradient of its own example.")
    if not torch.allclose(found.sum(-1), torch.zeros(5), atol=1e-5):
        raise WrongAnswerError(
            "each row must sum to zero, since the softmax does not feel a constant added to all logits."
        )
    raise WrongAnswerError("apply the chain rule: first log(1 - s), then s = ⟨p, t⟩, then the softmax.")


def check_strength(answer: Callable[[float], float]) -> str:
    """Check a student's strength at which push and pull cancel for two classes with t = p = (q, 1 - q)."""
    for q in (0.6, 0.75, 0.9, 0.99):
        found = answer(q)
        if found is None:
            raise NotImplementedError
        p = torch.tensor([[q, 1 - q]], dtype=torch.float64)
        total = float((p[0, 0] + found * method.elr_gradient(p.log(), p)[0, 0]).abs())
        if total > 1e-6:
            raise WrongAnswerError(
                f"at q = {q} the sum of push and pull is {total:.3f}, not 0. The push is q; what is g₁ in terms of q?"
            )
    return "Push and pull cancel at every q we tried."
