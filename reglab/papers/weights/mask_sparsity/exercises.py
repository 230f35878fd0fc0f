"""MaskSparsity: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reglab.effects import end
from reglab.exercise import WrongAnswerError, compare, read_off
from reglab.papers.weights.mask_sparsity import experiments, method
from reglab.recordings import store
from reglab.seeds import generator


def check_undo(answer: float | None) -> str:
    """Check the c that is best when γ = 1 becomes c, and weights with Σw² = 2 are divided by c: λ 0.06, decay 5e-4."""
    right = (5e-4 * 2 / 0.06) ** (1 / 3)
    hints: list[tuple[float, str]] = [
        (right**3, "this is c³: take the cube root."),
        ((5e-4 * 2 / 0.12) ** (1 / 3), "the derivative of 1/c² is −2/c³, and the 2 meets the ½ of the decay."),
        ((5e-4 / 0.12) ** 0.5, "weights are squared in the decay: divide Σw² by c²."),
    ]
    compare(answer, right, hints, "set the derivative of λc + ½μΣw²/c² in c to 0.", tolerance=2e-3)
    return "All scales can shrink to a quarter and the network computes the same: the global penalty can be dodged."


def check_absorb(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Check what a student lets dead units send: β and mask [M, 1, D], next weights [M, D, E] -> [M, 1, E]."""
    draws = generator(0, "exercise")
    beta, weight = torch.randn(2, 1, 6, generator=draws), torch.randn(2, 6, 3, generator=draws)
    mask = torch.tensor([[[True, False, True, True, False, False]], [[False, True, True, False, True, False]]])
    right = method.constant(beta, mask, weight)
    hints = [
        ((beta * mask) @ weight, "a unit sends relu(β): what is negative stays behind."),
        (method.constant(beta, ~mask, weight), "the mask marks the dead units, not those that stay."),
        (beta.relu() @ weight, "only dead units send a constant."),
        (-right, "return what is sent; its sign changes only in the running mean."),
    ]
    compare(answer(beta, mask, weight), right, hints, "relu(β)·M goes through the weights.", each="one row for a model")
    return "With it, cutting units whose γ is exactly 0 changes no logit."


def check_levels(answer: Sequence[float | None]) -> str:
    """Check test accuracies at ratio 0.75: global, random and mask after the cut, then the same after fine-tuning."""
    recorded = store.at(experiments.Pruning(ratio=0.75))
    if recorded is None:
        raise WrongAnswerError("this setting is not recorded here; take it from the website.")
    places = [(name, arm) for name in ("accuracy_cut", "accuracy") for arm in ("global", "random", "mask")]
    for found, (name, arm) in zip(answer, places, strict=True):
        when = "after the cut" if name == "accuracy_cut" else "after fine-tuning"
        read_off(found, end(name, arm)(recorded).values, f"{arm} {when}: the picture says otherwise.", reading=0.02)
    return "The cut tells them apart, fine-tuning brings them together: report both."
