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
    if isinstance(answer, int | float | str):
        raise WrongAnswerError("give a list of labels.")
    found = {float(one) for one in answer}
    if found & set(labels[positive[0]].tolist()):
        raise WrongAnswerError("a label within ω of 20 is a positive.")
    if found == set(labels[1:].tolist()) - set(labels[positive[0]].tolist()):
        raise WrongAnswerError("these are all far labels. Which of them does the model confuse with 20?")
    if found != set(labels[negative[0]].tolist()):
        raise WrongAnswerError("its label is more than ω from 20, but its prediction at most ω from 30.")
    return "Only the confused ones are pushed. A far label that is predicted far away needs no push."


def _rows() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return similarities, positives, hard negatives, pushes and weights of eight rows, some confused."""
    source = generator(0, "exercise")
    labels, predictions = (20 * torch.rand(4, generator=source).repeat(2) for _ in range(2))
    weights = 0.5 + torch.rand(4, generator=source).repeat(2)
    s = method.similarities(torch.randn(8, 3, generator=source), 0.5)
    return s, *method.pairs(labels, predictions, WINDOW), method.pushes(labels, weights, 0.1), weights


def check_loss(answer: Answer) -> str:
    """Check a student's loss, with the paper's denominator, of (s, positive, negative, S, η)."""
    rows = _rows()
    right = float(method.contrast(*rows, "paper"))
    hints: list[tuple[Mistake, str]] = [
        (method.contrast(*rows), "this is the authors' code, with 1 for every other column; leave that out."),
        (method.contrast(*rows[:4], torch.ones(8), "paper"), "the weight η_j of the anchor is missing."),
        (right * len(rows[0]), "take the mean over all rows, not the sum."),
        (-right, "the size is right, the sign is not."),
    ]
    otherwise = "one anchor at a time: skip it without hard negatives, else average −log over its positives."
    compare(answer(*rows), right, hints, otherwise)
    return "It is the loss that trains the networks of this page."


def check_gradient(answer: Answer) -> str:
    """Check a student's gradient of that loss in the similarities of hard negatives, 0 elsewhere: [R, R]."""
    s, positive, negative, push, weights = _rows()
    leaf = s.clone().requires_grad_()
    (full,) = torch.autograd.grad(method.contrast(leaf, positive, negative, push, weights, "paper"), leaf)
    right = full * negative
    hints: list[tuple[Mistake, str]] = [
        (full, "give 0 where a pair is no hard negative."),
        (right * len(s), "the loss is a mean over all rows: divide by their number."),
        (right / weights.unsqueeze(-1), "the weight η_j also stands before ℓ_j."),
        (-right, "a hard negative is pushed away: its similarity raises the loss."),
    ]
    otherwise = "only the logarithm of the denominator holds s_jq: its derivative is S_jq exp(s_jq) over all of it."
    found = answer(s, positive, negative, push, weights)
    compare(found, right, hints, otherwise, each="one number for each pair")
    return "Every hard negative is pushed, the harder the more similar, the farther and the rarer the anchor."


def check_sweep(answer: Sequence[float | None]) -> str:
    """Check label distances, then errors of rare labels, of ConR that a student reads off for β = 0, 20 and 80."""
    if len(answer) != 6:
        raise WrongAnswerError("give six numbers: three label distances, then three errors.")
    places = [(name, beta) for name in ("neighbor_distance", "few") for beta in (0, 20, 80)]
    for (name, beta), found in zip(places, answer, strict=True):
        recorded = store.at(experiments.Regression(beta=beta))
        assert recorded is not None
        shown = end(name, "ConR")(recorded)
        read_off(found, shown.values, f"at β = {beta} the picture “Features” shows another number.", reading=0.2)
    return "The features become much purer. The errors of rare labels move far less."
