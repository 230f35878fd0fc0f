"""ELR: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reglab.effects import end
from reglab.exercise import Mistake, WrongAnswerError, compare, read_off
from reglab.papers.labels.early_learning import experiments, method
from reglab.recordings import store
from reglab.seeds import generator


def check_pulls(answer: tuple[float, float]) -> str:
    """Check the first logit's gradients of log(1 - ⟨p, t⟩) and of -⟨p, t⟩ for two classes with p = t = (0.99, 0.01)."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise WrongAnswerError("give two numbers: with the logarithm and without.")
    p = torch.tensor([[0.99, 0.01]], dtype=torch.float64)
    agreement = (p * p).sum()
    pulled = float(method.elr_gradient(p.log(), p)[0, 0])
    for found, right, which in ((answer[0], pulled, "with the logarithm"),
                                (answer[1], pulled * float(1 - agreement), "without the logarithm")):  # fmt: skip
        hints: list[tuple[Mistake, str]] = [(-right, f"{which} the size is right, the sign is not.")]
        compare(found, right, hints, f"{which} it is another number; start from p₁(⟨p, t⟩ − t₁).", tolerance=1e-3)
    return "Fifty times weaker without the logarithm, just when the network is sure."


def check_gradient(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Check a student's gradient of log(1 - ⟨p, t⟩) in the logits against automatic differentiation."""
    logits = torch.randn(5, 4, generator=generator(0, "exercise")).requires_grad_()
    targets = 0.7 * torch.randn(5, 4, generator=generator(1, "exercise")).softmax(-1)
    torch.log(1 - (logits.softmax(-1) * targets).sum(-1)).sum().backward()
    assert logits.grad is not None
    right, zero = logits.grad, torch.zeros(5)
    average = "do not average over the batch: each row is the gradient of its own example."
    hints: list[tuple[Mistake, str]] = [
        (-right, "the size is right, the sign is not: this is the way down, the gradient points up."),
        (right * len(right), average),
        (right / len(right), average),
        (lambda found: not torch.allclose(found.sum(-1), zero, atol=1e-5), "each row must sum to zero, since the "
         "softmax does not feel a constant added to all logits."),
    ]  # fmt: skip
    compare(answer(logits.detach(), targets), right, hints, "apply the chain rule: first log(1 - s), then s = ⟨p, t⟩, "
            "then the softmax.", each="one number for each logit")  # fmt: skip
    return "It equals what automatic differentiation finds, and each row sums to zero."


def check_strength(answer: Callable[[float], float]) -> str:
    """Check a student's strength at which push and pull cancel for two classes with t = p = (q, 1 - q)."""
    for q in (0.6, 0.75, 0.9, 0.99):
        p = torch.tensor([[q, 1 - q]], dtype=torch.float64)
        right = -q / float(method.elr_gradient(p.log(), p)[0, 0])
        wrong = f"at q = {q} push and pull do not cancel. The push is q; what is g₁ in terms of q?"
        compare(answer(q), right, [], wrong)
    return "Push and pull cancel at every q we tried."


def check_sweep(answer: Sequence[float | None]) -> str:
    """Check the final test accuracies of ELR that a student reads off for λ = 1, 3 and 15."""
    if len(answer) != 3:
        raise WrongAnswerError("give three numbers, for λ = 1, 3 and 15.")
    for strength, found in zip((1, 3, 15), answer, strict=True):
        recorded = store.at(experiments.Memorization(strength=strength))
        assert recorded is not None
        shown = end("test_accuracy", "ELR")(recorded)
        read_off(found, shown.values, f"at λ = {strength} the widget shows another accuracy in the end.", reading=0.02)
    return "Too little lets it memorize, too much keeps it from learning: the best λ lies between."
