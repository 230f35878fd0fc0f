"""SSL-CFM: the equations of the paper, for M models side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab.models import replicas

EMBEDDING = 8
"""Width of the embedding of one feature."""


# ----------------------------------------------------------------------------------------------------------- the losses


def similarity(u: Tensor, v: Tensor) -> Tensor:
    """Return s(u, v), the cosine of all pairs: [..., N, d], [..., K, d] -> [..., N, K] (Section 3.1)."""
    return F.normalize(u, dim=-1) @ F.normalize(v, dim=-1).mT


def contrast(u: Tensor, v: Tensor, temperature: float, items: Tensor | None = None) -> Tensor:
    """Return s(u_i, v_j)/τ, [..., N, d] twice -> [..., N, N]; -∞ where i and j are the same of some items [..., N]."""
    scores = similarity(u, v) / temperature
    if items is None:
        return scores
    same = items.unsqueeze(-1) == items.unsqueeze(-2)
    return scores.masked_fill(same & ~torch.eye(items.shape[-1], dtype=torch.bool), -torch.inf)


def batch_softmax(scores: Tensor) -> Tensor:
    """Return -(1/N) Σ_i log(exp(s_ii) / Σ_j exp(s_ij)): [..., N, N] -> [...].

    L_main for query and item (Eq. 6), L_self for two views of an item (Eq. 3).
    """
    return (scores.logsumexp(-1) - scores.diagonal(dim1=-2, dim2=-1)).mean(-1)


def matched(scores: Tensor) -> Tensor:
    """Return for which share of the rows the pair on the diagonal scores best: [..., N, N] -> [...]."""
    return (scores.argmax(-1) == torch.arange(scores.shape[-1])).to(scores.dtype).mean(-1)


# ------------------------------------------------------------------------------------------------------------ the views


def joint(one: Tensor, other: Tensor, vocabulary: int) -> Tensor:
    """Return how often two features have each pair of values: [..., N] twice -> [..., V, V], which sums to 1."""
    left, right = (F.one_hot(values, vocabulary).double() for values in (one, other))
    return left.mT @ right / one.shape[-1]


def mutual_information(features: Tensor, vocabulary: int) -> Tensor:
    """Return MI(V_i, V_j) in nats for all pairs of features: [..., N, k] -> [..., k, k] float64 (Eq. 4)."""
    several = features.movedim(-1, 0)
    p = torch.stack([torch.stack([joint(one, other, vocabulary) for other in several], -3) for one in several], -4)
    apart = p.sum(-1, keepdim=True) * p.sum(-2, keepdim=True)
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, apart)).sum((-2, -1))


def correlated_masks(information: Tensor) -> Tensor:
    """Return F_m for each seed feature, itself and the ⌊k/2⌋ that tell most of it: [..., k, k] -> bool [..., k, k]."""
    count = information.shape[-1]
    others = information.masked_fill(torch.eye(count, dtype=torch.bool), torch.inf)
    chosen = others.topk(count // 2 + 1, dim=-1).indices
    return torch.zeros(information.shape, dtype=torch.bool).scatter(-1, chosen, True)


def random_mask(noise: Tensor) -> Tensor:
    """Return F_m of random feature masking, the ⌊k/2⌋ features with the least noise: [..., k] -> bool [..., k]."""
    return noise.argsort(-1).argsort(-1) < noise.shape[-1] // 2


def tag_weights(keep: Tensor) -> Tensor:
    """Return what each tag counts in the mean over tags that are kept: bool [..., T] -> [..., T]; all 0 if none is."""
    return keep / keep.sum(-1, keepdim=True).clamp(min=1)


# ----------------------------------------------------------------------------------------------------------- the towers


class Tower(nn.Module):
    """M towers: an embedding for each feature, side by side, then a network 8k-48-24 with one hidden layer.

    There are k features with `vocabulary` values; the last one has `tags` values at once, whose embeddings are
    averaged. Beside its values each feature has a default embedding of its own, which stands for it where it is masked.
    """

    def __init__(
        self, features: int, tags: int, vocabulary: int, sources: Sequence[torch.Generator], copies: int
    ) -> None:
        super().__init__()
        self.tags, self.default = tags, vocabulary
        # which feature each of the k - 1 + tags columns belongs to
        self.column = torch.arange(features - 1 + tags).clamp(max=features - 1)
        rows = features * (vocabulary + 1)
        drawn = [0.3 * torch.randn(rows, EMBEDDING, generator=source) for source in sources]
        self.tables = nn.Parameter(torch.stack(drawn).repeat(copies, 1, 1))
        self.offset = torch.arange(len(self.tables))[:, None, None] * rows + self.column * (vocabulary + 1)
        widths = (features * EMBEDDING, 48), (48, 24)
        first, last = (replicas.linear(n, m, sources, copies, weights=(6 / n) ** 0.5) for n, m in widths)
        self.network = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, values: Tensor, mask: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
        """Return embeddings: values [M, N, k - 1 + tags] -> [M, N, 24].

        `mask` [M, N, k] says which features are masked, `keep` [M, N, tags] which tags stay; without them all is seen.
        """
        weights = torch.ones(*values.shape[:2], self.tags)
        if keep is not None:
            weights = tag_weights(keep)
        if mask is not None:
            values = values.masked_fill(mask[..., self.column], self.default)
            weights = torch.where(mask[..., -1:], 1 / self.tags, weights)
        parts = F.embedding(values + self.offset, self.tables.flatten(0, 1))
        single = parts.shape[-2] - self.tags
        average = (weights.unsqueeze(-1) * parts[..., single:, :]).sum(-2)
        return self.network(torch.cat([parts[..., :single, :].flatten(-2), average], -1))


# ------------------------------------------------------------------------------------------------------------ retrieval


def ranks(scores: Tensor, items: Tensor) -> Tensor:
    """Return the place of the right item among all, 1 the best: [..., Q, K], [..., Q] -> [..., Q].

    Items of equal score share the mean of their places, so that equal scores for all are worth no more than a guess.
    """
    own = scores.gather(-1, items.unsqueeze(-1))
    return ((scores > own).sum(-1) + (scores >= own).sum(-1) + 1) / 2


def average_precision(places: Tensor, k: int = 10) -> Tensor:
    """Return AP@k of queries with one right item, 1/place for the first k places, else 0: [..., Q] -> [..., Q]."""
    return torch.where(places <= k, 1 / places, 0)


def purity(embeddings: Tensor, groups: Tensor, neighbors: int = 5) -> Tensor:
    """Return which share of an item's nearest others is of its group: [..., K, d], [..., K] -> [..., K]."""
    scores = similarity(embeddings, embeddings)
    nearest = scores.masked_fill(torch.eye(groups.shape[-1], dtype=torch.bool), -torch.inf).topk(neighbors).indices
    found = groups.unsqueeze(-2).expand_as(scores).gather(-1, nearest)
    return (found == groups.unsqueeze(-1)).to(scores.dtype).mean(-1)


def mean_cosine(embeddings: Tensor) -> Tensor:
    """Return the mean cosine of two different items: [..., K, d] -> [...]."""
    count = embeddings.shape[-2]
    total = F.normalize(embeddings, dim=-1).sum(-2).square().sum(-1)
    return (total - count) / (count * (count - 1))
