"""Maestro: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reglab.effects import end
from reglab.exercise import WrongAnswerError, compare, read_off
from reglab.papers.weights._shared import cost
from reglab.papers.weights.ordered_low_rank import experiments, method
from reglab.recordings import store
from reglab.seeds import generator


def check_mixed(answer: Callable[[Tensor, Tensor], tuple[Tensor, Tensor] | None]) -> str:
    """Check other factors with the same product, but not that of their first columns: from U [6, 3], V [9, 3]."""
    u, v = (torch.randn(size, 3, generator=generator(size, "exercise")) for size in (6, 9))
    if (found := answer(u, v)) is None:
        raise NotImplementedError
    compare(found[0] @ found[1].mT, u @ v.mT, [], "the product changed: undo on V what you do to U.", tolerance=1e-3)
    if torch.allclose(found[0][:, :1] @ found[1][:, :1].mT, u[:, :1] @ v[:, :1].mT, atol=1e-3):
        raise WrongAnswerError("the first columns give what they gave before: mix columns, do not only scale them.")
    return "The full loss cannot tell these factors apart; a loss with cuts can."


def check_prefix(answer: Callable[[Tensor, Tensor, int], Tensor | None]) -> str:
    """Check a student's best product of b columns for a map C and the covariance of x."""
    target, mixed = (torch.randn(5, 5, generator=generator(k, "exercise")).double() for k in (0, 1))
    covariance = mixed @ mixed.mT + torch.eye(5)
    hints = [(method.best_rank(target, 2), "this is the SVD of C, which is right where Σ is a multiple of I only.")]
    otherwise = "cut the SVD of C·Σ^{1/2} at rank b, then apply Σ^{-1/2}."
    compare(answer(target, covariance, 2), method.best_prefix(target, covariance, 2), hints, otherwise)
    return "All ranks are best at once, so the order is no compromise."


def check_half(answer: Sequence[float | None]) -> str:
    """Check accuracies at half rank of factors, dense and LoD, and the multiply-adds of each layer there."""
    recorded = store.at(experiments.Digits())
    assert recorded is not None, "the default setting is recorded"
    for found, arm in zip(answer[:3], ("factors", "dense", "LoD"), strict=True):
        read_off(found, end("half_accuracy", arm)(recorded).values, f"{arm} has another accuracy there.", reading=0.02)
    for found, *layer in zip(answer[3:], experiments.WIDTHS[:3], experiments.WIDTHS[1:], (24, 24, 5), strict=True):
        compare(found, cost.factored(*layer), [], "k(in + out), but not more than in · out.", tolerance=1e-3)
    return "The square layer saves nothing at half of its ranks."
