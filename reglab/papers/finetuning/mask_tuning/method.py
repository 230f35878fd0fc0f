"""Mask tuning: the equations of the paper."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from reglab.models.transformer import Weights

START, EPSILON, NORM_WEIGHT = 1e-2, 1e-8, 1e-4
"""First value of every score, the small number in P, and the weight w of the norms of the scores, as in the code."""

Scores = dict[str, Tensor]
"""One score tensor [M, in, out] for each masked matrix of M models."""


# ----------------------------------------------------------------------------------------------------------- the method


def binary_mask(scores: Tensor, threshold: float) -> Tensor:
    """Return 1 where a score is above τ and 0 elsewhere; backwards the step counts as the identity, everywhere."""
    hard = (scores > threshold).to(scores.dtype)
    return hard + (scores - scores.detach())


def masked(weights: Weights, scores: Scores, threshold: float) -> Weights:
    """Return the weights with W ⊙ mask in place of every matrix W that has scores; all others stay as they are."""
    masks = {f"{name}.weight": binary_mask(score, threshold) for name, score in scores.items()}
    return {**weights, **{name: weights[name] * mask for name, mask in masks.items()}}


def task_loss(logits: Tensor, labels: Tensor, scores: Scores, norm_weight: Tensor | float) -> Tensor:
    """Return L_a, cross-entropy + w Σ_m ‖M_m‖₂, for each model: logits [M, B, C], labels [M, B], w [M] -> [M]."""
    cross_entropy = F.cross_entropy(logits.mT, labels, reduction="none").mean(-1)
    return cross_entropy + norm_weight * sum(score.flatten(1).norm(dim=1) for score in scores.values())


def teacher_loss(logits: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Return L_b = -(T²/B) Σ softmax(t/T) log softmax(s/T) for each model: [M, B, C] twice -> [M].

    Its gradient is that of the Kullback-Leibler divergence; it is not 0 where both agree, its gradient is.
    """
    wanted, log_p = (teacher / temperature).softmax(-1), (logits / temperature).log_softmax(-1)
    return -(temperature**2) * (wanted * log_p).sum(-1).mean(-1)


def keep_probability(a: Tensor, b: Tensor) -> Tensor:
    """Return P = ½(1 + sign(a)(a + b)/(|a| + |b| + ε)), element by element.

    P is 1 where both gradients have one sign and |a|/(|a| + |b|) where they have two, up to ε.
    """
    return (1 + a.sign() * (a + b) / (a.abs() + b.abs() + EPSILON)) / 2


def gradient_dropout(a: Tensor, keep: Tensor, uniform: Tensor, strength: float | Tensor) -> Tensor:
    """Return ((1 - λ) + λ·1[P > U]) a: what is left of the task's gradient a, kept with probability P = `keep`.

    `uniform` is a fresh draw from (0, 1) for each element and step; what survives is not rescaled.
    """
    kept = (keep > uniform).to(a.dtype)
    return ((1 - strength) + strength * kept) * a


def cosine_rate(step: int, steps: int) -> float:
    """Return the factor of the learning rate, from 1 at step 0 towards 0 at the end: its sum is (steps + 1)/2."""
    return (1 + math.cos(math.pi * step / steps)) / 2


def random_scores(scores: Scores, threshold: float, rankings: Mapping[str, Tensor]) -> Scores:
    """Return scores that switch off as many weights per matrix and model as `scores`, but by a random ranking.

    `rankings` [S, in·out] holds the place of each weight in a random order.
    """
    found = {}
    for name, score in scores.items():
        off = (score <= threshold).flatten(1).sum(1, keepdim=True)
        found[name] = torch.where(rankings[name] < off, 0.0, START).reshape(score.shape)
    return found
