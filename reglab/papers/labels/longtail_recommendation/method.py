"""SSL-CFM: the equations of the paper, for M models side by side."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab.models import replicas

# ----------------------------------------------------------------------------------------------------------- the losses


def similarity(u: Tensor, v: Tensor) -> Tensor:
    """Return s(u, v), the cosine of all pairs: [..., N, d], [..., K, d] -> [..., N, K] (Section 3.1)."""
    return F.normalize(u, dim=-1) @ F.normalize(v, dim=-1).mT


def contrast(u: Tensor, v: Tensor, temperature: float, items: Tensor) -> Tensor:
    """Return s(u_i, v_j)/τ, but -∞ where i ≠ j are one item twice: [..., N, d] twice, items [..., N] -> [..., N, N]."""
    twice = (items.unsqueeze(-1) == items.unsqueeze(-2)) & ~torch.eye(items.shape[-1], dtype=torch.bool)
    return (similarity(u, v) / temperature).masked_fill(twice, -torch.inf)


def batch_softmax(scores: Tensor) -> Tensor:
    """Return -(1/N) Σ_i log(exp(s_ii) / Σ_j exp(s_ij)): [..., N, N] -> [...].

    L_main for query and item (Eq. 6), L_self for two views of an item (Eq. 3).
    """
    return (scores.logsumexp(-1) - scores.diagonal(dim1=-2, dim2=-1)).mean(-1)


# ------------------------------------------------------------------------------------------------------------ the views


def mutual_information(features: Tensor, vocabulary: int) -> Tensor:
    """Return MI(V_i, V_j) in nats for all pairs of features: [..., N, k] -> [..., k, k] float64 (Eq. 4)."""
    seen = F.one_hot(features, vocabulary).double()
    p = torch.einsum("...niv,...njw->...ijvw", seen, seen) / features.shape[-2]
    apart = p.sum(-1, keepdim=True) * p.sum(-2, keepdim=True)
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, apart)).sum((-2, -1))


def correlated_masks(information: Tensor) -> Tensor:
    """Return F_m for each seed feature, itself and the ⌊k/2⌋ that tell most of it: [..., k, k] -> bool [..., k, k]."""
    count = information.shape[-1]
    ranked = information.masked_fill(torch.eye(count, dtype=torch.bool), torch.inf)
    chosen = ranked.topk(count // 2 + 1, dim=-1).indices
    return torch.zeros(information.shape, dtype=torch.bool).scatter(-1, chosen, True)


def random_mask(noise: Tensor) -> Tensor:
    """Return F_m of random feature masking, the ⌊k/2⌋ features with the least noise: [..., k] -> bool [..., k]."""
    return noise.argsort(-1).argsort(-1) < noise.shape[-1] // 2


def tag_weights(keep: Tensor) -> Tensor:
    """Return what each tag counts in the mean over tags that are kept: bool [..., T] -> [..., T]; all 0 if none is."""
    return keep / keep.sum(-1, keepdim=True).clamp(min=1)


class Tower(nn.Module):
    """M towers: an embedding of width 8 for each of k features, side by side, then a ReLU network 8k-48-24.

    The last feature has `tags` values at once, whose embeddings are averaged. Beside its `vocabulary` of values each
    feature has a default embedding of its own, which stands for it where it is masked.
    """

    def __init__(self, features: int, tags: int, vocabulary: int, sources: list[torch.Generator], copies: int) -> None:
        super().__init__()
        self.single, self.tags, self.default, rows = features - 1, tags, vocabulary, features * (vocabulary + 1)
        # which feature each of the k - 1 + tags columns of values belongs to
        self.column = torch.arange(features - 1 + tags).clamp(max=features - 1)
        drawn = torch.stack([0.3 * torch.randn(rows, 8, generator=source) for source in sources])
        self.tables = nn.Parameter(drawn.repeat(copies, 1, 1))
        self.offset = torch.arange(len(self.tables))[:, None, None] * rows + self.column * (vocabulary + 1)
        self.network = replicas.mlp((8 * features, 48, 24), sources, copies)

    def forward(self, values: Tensor, mask: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
        """Return embeddings: values [M, N, k - 1 + tags] -> [M, N, 24].

        `mask` [M, N, k] says which features are masked, `keep` [M, N, tags] which tags stay; without them all is seen.
        """
        weights = tag_weights(torch.ones(*values.shape[:2], self.tags) if keep is None else keep)
        if mask is not None:
            values = values.masked_fill(mask[..., self.column], self.default)
            weights = torch.where(mask[..., -1:], 1 / self.tags, weights)
        single, several = F.embedding(values + self.offset, self.tables.flatten(0, 1)).tensor_split([self.single], -2)
        return self.network(torch.cat([single.flatten(-2), (weights.unsqueeze(-1) * several).sum(-2)], -1))


# ------------------------------------------------------------------------------------------------------------ retrieval


def ranks(scores: Tensor, items: Tensor) -> Tensor:
    """Return the place of the right item among all, 1 the best: [..., Q, K], [..., Q] -> [..., Q].

    Items of equal score share the mean of their places, so that equal scores for all are worth no more than a guess.
    """
    own = scores.gather(-1, items.unsqueeze(-1))
    return ((scores > own).sum(-1) + (scores >= own).sum(-1) + 1) / 2


def purity(embeddings: Tensor, groups: Tensor, neighbors: int = 5) -> Tensor:
    """Return which share of an item's nearest others is of its group: [..., K, d], [..., K] -> [..., K]."""
    apart = similarity(embeddings, embeddings).masked_fill(torch.eye(groups.shape[-1], dtype=torch.bool), -torch.inf)
    found = groups.unsqueeze(-2).expand(apart.shape).gather(-1, apart.topk(neighbors).indices)
    return (found == groups.unsqueeze(-1)).to(apart.dtype).mean(-1)
