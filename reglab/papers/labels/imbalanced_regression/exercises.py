"""ConR: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from reglab.effects import end
from reglab.exercise import Mistake, WrongAnswerError, compare, read_off
from reglab.papers.labels.imbalanced_regression import experiments, method
from reglab.recordings import store
from reglab.seeds import generator

LABELS, PREDICTIONS, WINDOW = (20.0, 24.0, 60.0, 80.0, 90.0), (30.0, 40.0, 33.0, 26.0, 70.0), 5.0
"""Five rows; the first is the anchor of the first exercise."""

Answer = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def check_pairs(answer: Iterable[float]) -> str:
    """Check which labels belong to the hard negatives of the first row."""
    labels = torch.tensor(LABELS)
    positive, negative = method.pairs(labels, torch.tensor(PREDICTIONS), WINDOW)
    found, near, pushed = (set(map(float, some)) for some in (answer, labels[positive[0]], labels[negative[0]]))
    if found & near:
        raise WrongAnswerError("a label within ω of 20 is a positive.")
    if found == {*LABELS[1:]} - near:
        raise WrongAnswerError("these are all far labels. Which of them does the model confuse with 20?")
    if found != pushed:
        raise WrongAnswerError("its label is more than ω from 20, but its prediction at most ω from 30.")
    return "Only the confused ones are pushed. A far label that is predicted far away needs no push."


def check_push(answer: tuple[Answer, Answer]) -> str:
    """Check a student's loss of (s, positive, negative, S, η) without extra ones, and its gradient in hard negatives.

    The gradient is [R, R], and 0 for other pairs.
    """
    source = generator(0, "exercise")
    labels, predictions, weights = (torch.rand(4, generator=source).repeat(2) for _ in range(3))
    s = method.similarities(torch.randn(8, 3, generator=source), 0.5).requires_grad_()
    positive, negative = method.pairs(20 * labels, 20 * predictions, WINDOW)
    rows = (s, positive, negative, method.pushes(20 * labels, weights, 0.1), weights)
    full = torch.autograd.grad(method.contrast(*rows, "paper"), s)[0]
    rows, pushed = (s.detach(), *rows[1:]), full * negative
    right = float(method.contrast(*rows, "paper"))
    loss_hints: list[tuple[Mistake, str]] = [
        (method.contrast(*rows), "this is the authors' code, with 1 for every other column; leave that out."),
        (method.contrast(*rows[:4], torch.ones(8), "paper"), "the weight η_j of the anchor is missing."),
        (right * 8, "the loss is a mean over all rows, not a sum."),
    ]
    otherwise = "the loss: one anchor at a time, 0 without hard negatives, else the average of −log over its positives."
    compare(answer[0](*rows), right, loss_hints, otherwise)
    hints: list[tuple[Mistake, str]] = [
        (full, "the gradient is 0 where a pair is no hard negative."),
        (pushed * 8, "the loss is a mean over all rows: divide its gradient by their number."),
        (-pushed, "a hard negative is pushed away: its similarity raises the loss."),
    ]
    otherwise = "the gradient: only the logarithm holds s_jq; its derivative is S_jq exp(s_jq) over the denominator."
    compare(answer[1](*rows), pushed, hints, otherwise, each="one number for each pair")
    return "Every hard negative is pushed, the harder the more similar, the farther and the rarer the anchor."


def check_sweep(answer: Sequence[float | None]) -> str:
    """Check label distances, then errors of rare labels, of ConR that a student reads off for β = 0, 20 and 80."""
    places = [(name, beta) for name in ("neighbor_distance", "few") for beta in (0, 20, 80)]
    for (name, beta), found in zip(places, answer, strict=True):
        recorded = store.at(experiments.Regression(beta=beta))
        assert recorded is not None
        shown = end(name, "ConR")(recorded)
        read_off(found, shown.values, f"at β = {beta} the picture “Neighbors” shows another number.", reading=0.2)
    return "The features become much purer. The errors of rare labels move far less."
