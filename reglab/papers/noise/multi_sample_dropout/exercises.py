"""MSD: the checks of the exercises."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reglab.effects import end
from reglab.exercise import WrongAnswerError, compare, read_off
from reglab.papers.noise.multi_sample_dropout import experiments, method
from reglab.papers.noise.multi_sample_dropout.experiments import BEFORE, DROPOUT, MULTI, STOPS, MultiSample
from reglab.recordings import store


def check_mean(answer: Sequence[float | None]) -> str:
    """Check the mean output and the mean squared loss over the four masks of h = (1, 2), with w = (1, -1) and y = 0."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise WrongAnswerError("give two numbers: the mean output and the mean loss.")
    doubled = [(-0.5, "this is half of it: kept features are doubled, by 1/(1 − p).")]
    compare(answer[0], -1, doubled, "average the four outputs, from h̃ = (0, 0), (2, 0), (0, 4) and (2, 4).")
    compare(answer[1], 6, [(1, "this is the loss of the mean output.")], "average the squares of the four outputs.")
    return "The mean output is that of the test pass; the mean loss is larger, by the variance of the output."


def per_mask_gradients(seed: int, batches: int, copies: int) -> Tensor:
    """Return gradients after 60 steps of dropout, for several batches of 32 digits with the same number of masks each.

    [batches, copies, P]
    """
    start, examples = MultiSample().only([DROPOUT]), experiments.digits((seed,), 300)[0]
    (network,), _ = next(itertools.islice(experiments.train(start.lanes((seed,)), examples), BEFORE - 1, None))
    source, found = torch.Generator().manual_seed(seed), []
    for noise in itertools.islice(experiments.masks((seed,), "masks of exercise", copies, start.width), batches):
        batch = experiments.pick(examples, torch.randint(start.train, (1, experiments.BATCH), generator=source))
        found.append(torch.cat([experiments.gradient(network, batch, one) for one in noise.split(1, 1)]))
    return torch.stack(found)


def check_split(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Check a student's total variances, predicted for some M [5] from gradients [B, K, P] of B batches and K masks."""
    draws, copies = per_mask_gradients(0, 48, 12), torch.tensor(STOPS)
    batch, mask = method.split_variance(draws)
    left = "means over K masks still hold V_mask/K of the masks' noise: subtract it."
    alone = "this is the part of the masks alone; what the batches differ by does not shrink."
    hints = ((batch + mask / 12 + mask / copies, left), (mask / copies, alone))
    wrong = "V_mask is the unbiased variance over axis 1, summed over weights; V_batch comes from means over axis 1."
    compare(answer(draws, copies), batch + mask / copies, hints, wrong, each="one for each M", tolerance=0.02)
    return f"V_batch is {batch:.2f} and V_mask {mask:.2f}; sixteen masks leave {batch + mask / 16:.2f}."


def check_price(answer: Sequence[float | None]) -> str:
    """Check test errors read off for p = 0.7: one mask, sixteen after as many steps, sixteen for as much arithmetic."""
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        raise WrongAnswerError("give three numbers.")
    recorded = store.at(MultiSample(copies=16, drop=0.7))
    assert recorded is not None
    lines = (("first", "test_error", DROPOUT), ("second", "test_error", MULTI), ("third", "priced_error", MULTI))
    for found, (which, variable, arm) in zip(answer, lines, strict=True):
        shown, hint = end(variable, arm)(recorded).values, f"the {which} ends elsewhere; are M = 16 and p = 0.7 set?"
        read_off(found, shown, hint, reading=0.5)
    return "The lead per step does not survive its price here."
