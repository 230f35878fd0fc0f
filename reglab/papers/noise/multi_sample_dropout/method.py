"""MSD: the equations of the paper, and what they do to the noise of a gradient."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from reglab.models import replicas
from reglab.models.dropout import dropout

PIXELS, HIDDEN, CLASSES = 64, 64, 10

# ----------------------------------------------------------------------------------------------------------- the method


def he_normal(inputs: int, outputs: int, sources: Iterable[torch.Generator]) -> replicas.Linear:
    """Return a linear layer for every generator: weights normal with variance 2/inputs, biases zero."""
    weights = [torch.randn(inputs, outputs, generator=source) * (2 / inputs) ** 0.5 for source in sources]
    return replicas.Linear(torch.stack(weights), torch.zeros(len(weights), 1, outputs))


class Network(nn.Module):
    """Networks of S seeds: the features f (a linear layer and ReLU), dropout, and the head g (two linear layers)."""

    def __init__(self, width: int, sources: Iterable[torch.Generator]) -> None:
        super().__init__()
        sources = list(sources)
        self.trunk = he_normal(PIXELS, width, sources)
        self.hidden = he_normal(width, HIDDEN, sources)
        self.logits = he_normal(HIDDEN, CLASSES, sources)

    def features(self, inputs: Tensor) -> Tensor:
        """Return h = f(x): [S, N, 64] -> [S, N, D]."""
        return self.trunk(inputs).relu()

    def head(self, features: Tensor) -> Tensor:
        """Return z = g(h): [S, N, D] -> [S, N, C]."""
        return self.logits(self.hidden(features).relu())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits of a test pass, without any mask: [S, N, 64] -> [S, N, C]."""
        return self.head(self.features(inputs))


def multi_sample_logits(network: Network, inputs: Tensor, noise: Tensor, rate: float) -> Tensor:
    """Return z_j = g(m_j ⊙ h/(1-p)) for M masks, h computed once: [S, N, 64], noise [S, M, N, D] -> [S, M, N, C]."""
    h = network.features(inputs)
    dropped = dropout(h.unsqueeze(1), noise, rate)  # [S, M, N, D]
    return network.head(dropped.flatten(1, 2)).unflatten(1, noise.shape[1:3])


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy over the batch: [..., N, C] and labels that broadcast to [..., N] -> [...]."""
    index = labels.expand(logits.shape[:-1]).unsqueeze(-1)
    return -logits.log_softmax(-1).gather(-1, index).squeeze(-1).mean(-1)


def multi_sample_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return L_M, the mean of the M losses: [S, M, N, C], [S, N] -> [S]."""
    return cross_entropy(logits, labels.unsqueeze(1)).mean(1)


def mean_logits_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the one loss of the M logits' mean, a common mistake: [S, M, N, C], [S, N] -> [S]."""
    return cross_entropy(logits.mean(1), labels)


def arithmetic(width: int, copies: int) -> int:
    """Return how many multiply-adds the forward pass of one example takes: f once, g for each of the M copies."""
    return PIXELS * width + copies * (width * HIDDEN + HIDDEN * CLASSES)


# ------------------------------------------------------------------------------------------------ the gradient's noise


def gradients(network: nn.Module, losses: Tensor) -> Tensor:
    """Return the gradient of each seed's loss in all weights: [S] -> [S, P]."""
    found = torch.autograd.grad(losses.sum(), list(network.parameters()))
    return torch.cat([gradient.flatten(1) for gradient in found], 1)


def trace_of_covariance(draws: Tensor) -> Tensor:
    """Return tr Cov of K drawn vectors, unbiased: [K, ..., P] -> [...]."""
    return draws.var(0).sum(-1)


def split_variance(draws: Tensor) -> tuple[Tensor, Tensor]:
    """Return V_batch and V_mask of the gradients of B batches, each with K masks, unbiased: [B, K, P] -> two numbers.

    V_mask is the mean over batches of tr Cov over masks. The means over K masks still hold V_mask/K of its noise, so
    V_batch is tr Cov of these means less that.
    """
    mask = trace_of_covariance(draws.transpose(0, 1)).mean()
    return trace_of_covariance(draws.mean(1)) - mask / draws.shape[1], mask
