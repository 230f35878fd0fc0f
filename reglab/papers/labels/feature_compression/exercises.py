"""Feature compression: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reglab.effects import end
from reglab.exercise import WrongAnswerError, compare, read_off
from reglab.papers.labels.feature_compression import experiments, method
from reglab.recordings import store
from reglab.seeds import generator


# fmt: off
def check_reach(answer: float) -> str:
    """Check how often the last of three features is trained when η = 2.5."""
    p = method.prefix_probabilities(torch.tensor(2.5, dtype=torch.float64), 3).tolist()
    hints = ((p[0] + p[1], "this is how often it is not there."), (1 / 3, "the k are not equally likely."))
    compare(answer, p[2], hints, "it is there for k = 3 only: P(3), of weights that sum to 1.", tolerance=1e-2)
    return "The first feature is there in every step, the last one in one step of seven."


def check_optimum(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Check a student's minimizer of the expected nested loss, for orthonormal and for correlated features."""
    h, targets = (torch.randn(9, *size, generator=generator(0, "exercise")) for size in ((4,), ()))
    for features in (torch.linalg.qr(h).Q, h):
        p, plain = method.prefix_probabilities(2.5, 4), torch.linalg.lstsq(features, targets[:, None]).solution[:, 0]
        compare(answer(features, targets, p), method.nested_optimum(features, targets, p),
                ((plain, "this is least squares, which is right for orthonormal features only."),),
                "set the gradient of Σ P(k)·loss_k to zero.", each="one weight for each feature", tolerance=1e-3)
    return "For orthonormal features it is least squares, for correlated ones it is not."


def check_sweep(answer: Sequence[float | None]) -> str:
    """Check the final accuracies of CE and Nested that a student reads off at η = 6, without and with wrong labels."""
    if not isinstance(answer, tuple | list) or len(answer) != 4:
        raise WrongAnswerError("give four numbers: CE and Nested at r = 0, then both at r = 0.4.")
    for noise, arm, found in zip((0.0, 0.0, 0.4, 0.4), ("CE", "Nested") * 2, answer, strict=True):
        recorded = store.at(experiments.Compression(noise=noise, std=6.0))
        assert recorded is not None
        hint = f"at r = {noise:g} the widget shows another accuracy of {arm} in the end."
        read_off(found, end("accuracy", arm)(recorded).values, hint, reading=0.02)
    return "Where all labels are right, strong compression costs accuracy; where many are wrong, it gains some."
