"""SSL-CFM: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reglab.effects import advantage
from reglab.exercise import WrongAnswerError, compare, read_off
from reglab.papers.labels.longtail_recommendation import experiments, method
from reglab.recordings import store


def check_visits(answer: Sequence[float | None]) -> str:
    """Check how often an item is drawn in an epoch: uniformly, and from the log with 0 and with 200 clicks."""
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        raise WrongAnswerError("give three numbers: uniformly, and from the log with 0 and with 200 clicks.")
    for found, right in zip(answer, (2000 / 600, 0.0, 200.0), strict=True):
        compare(found, right, [], "how likely is the item in each of the 20 · 100 draws?", tolerance=5e-3)
    return "Drawn from the log, the second task sees what the main task sees: popular items, and never an unseen one."


def check_masks(answer: Callable[[Tensor, int], Tensor]) -> str:
    """Check a student's masks of CFM from features [N, k] and the number of values: bool [k, k]."""
    for k, seed in ((7, 0), (6, 1), (5, 2)):
        features = experiments.shop((seed,), 1.1).features[0, :, 7 - k : 7]
        information = method.mutual_information(features, experiments.VALUES)
        found, right = answer(features, experiments.VALUES), method.correlated_masks(information)
        hint = f"mask {k // 2 + 1} of {k}, the seed feature and those that tell most of it; MI(V, V) is its entropy."
        itself = (right & ~torch.eye(k, dtype=torch.bool), "the seed feature itself belongs to its mask.")
        compare(found, right, [itself], hint, each="true where masked")
    return "The twin is masked wherever its publisher is, so neither view gives the other away."


def check_gains(answer: Sequence[float | None]) -> str:
    """Check the gains in Recall@50 of the tail, CFM over base, that a student reads off at 500, 2000, 8000 clicks."""
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        raise WrongAnswerError("give three numbers, for 500, 2000 and 8000 clicks.")
    for pairs, found in zip((500, 2000, 8000), answer, strict=True):
        recorded = store.at(experiments.Shopping(pairs=pairs))
        assert recorded is not None
        shown = advantage("recall_tail", "CFM", over="base")(recorded)
        read_off(found, shown.values, f"at {pairs} clicks the two rows lie another distance apart.", reading=0.015)
    return "Few clicks tie features to no query; many clicks teach base what the second task teaches."
