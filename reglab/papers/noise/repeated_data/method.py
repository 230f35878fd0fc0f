"""TokenCrisis: the source of tokens, what is known about it exactly, the language model and its layers."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reglab.models.dropout import dropout

Weights = Mapping[str, Tensor]
"""The weights of M models by name, [M, rows, columns] each."""

# ----------------------------------------------------------------------------------------------------------- the source


def stationary(chain: np.ndarray) -> np.ndarray:
    """Return the shares π = πP in which a chain of n states visits them: [n, n] -> [n]."""
    n = len(chain)
    equations = np.vstack([chain.T - np.eye(n), np.ones(n)])
    return np.linalg.lstsq(equations, np.append(np.zeros(n), 1.0), rcond=None)[0]


def pair_shares(table: np.ndarray) -> np.ndarray:
    """Return how often each pair of letters occurs under T[a, b, c], the probability of c after a, b: [V, V]."""
    V = len(table)
    chain = np.zeros((V, V, V, V))
    chain[:, np.arange(V), np.arange(V), :] = table  # from (a, b) to (b, c)
    return stationary(chain.reshape(V * V, V * V)).reshape(V, V)


def expected_loss(table: np.ndarray, model: np.ndarray) -> float:
    """Return -Σ π(ab) T(c|ab) log q(c|ab), the exact loss of a model in nats, both [V, V, V].

    For q = T it is the entropy rate ℋ of the source; the rest, the excess loss, is the mean KL divergence from T to q.
    """
    return -float((pair_shares(table)[..., None] * table * np.log(model)).sum())


def string(table: np.ndarray, uniforms: Sequence[float]) -> list[int]:
    """Return one letter for each uniform number in [0, 1), drawn from T given the two letters before; first 0, 0."""
    steps, drawn, a, b = table.cumsum(-1)[..., :-1].tolist(), [], 0, 0
    for uniform in uniforms:
        a, b = b, bisect(steps[a][b], uniform)
        drawn.append(b)
    return drawn


def counts(letters: np.ndarray, V: int, delta: float) -> np.ndarray:
    """Return q(c|ab) = (n_abc + δ)/(n_ab + Vδ) from how often each triple occurs in a string: [N] -> [V, V, V]."""
    found = np.full((V, V, V), delta)
    np.add.at(found, (letters[:-2], letters[1:-1], letters[2:]), 1)
    return found / found.sum(-1, keepdims=True)


def visits(uniforms: Tensor, steps: int, batch: int) -> Tensor:
    """Return which contexts each step sees, one pass after the other: [..., passes, U] -> [..., steps, batch].

    Every pass has the U unique contexts in the order of its uniform numbers, so that none is seen again before all
    were; a batch may end one pass and begin the next.
    """
    return uniforms.argsort(-1).flatten(-2)[..., : steps * batch].unflatten(-1, (steps, batch))


# ------------------------------------------------------------------------------------------------------------ the model


def gates(states: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return g = softmax(hW_g), and its largest entry g_e* in place, 0 elsewhere: [M, N, D], [M, D, E] -> [M, N, E]."""
    g = (states @ weights).softmax(-1)
    return g, g * F.one_hot(g.argmax(-1), g.shape[-1])


def load_balance(g: Tensor, chosen: Tensor) -> Tensor:
    """Return E Σ_e f_e ḡ_e: the share of tokens routed to e, without gradient, times its mean gate: [..., N, E]."""
    return g.shape[-1] * ((chosen > 0).to(g.dtype).mean(-2) * g.mean(-2)).sum(-1)


def feed_forward(weights: Weights, states: Tensor, chosen: Tensor, noise: Tensor, rate: Tensor) -> Tensor:
    """Return y = g_e* FFN_e*(h), the Switch layer: states [M, N, D], gates [M, N, E] with one that is not 0.

    The H hidden units are dealt out to the experts in equal blocks; with one expert it is the usual FFN. Dropout acts
    after the ReLU.
    """
    H, E = weights["up"].shape[-1], chosen.shape[-1]
    hidden = torch.baddbmm(weights["up_bias"], states, weights["up"]).relu()
    hidden = dropout(hidden, noise, rate)
    if E > 1:
        hidden = hidden * chosen[..., torch.arange(H) * E // H]
    return hidden @ weights["down"] + chosen @ weights["down_bias"]


def predict(weights: Weights, contexts: Tensor, noise: Sequence[Tensor], rate: Tensor) -> tuple[Tensor, Tensor]:
    """Return log q of the next letter and the load-balance value of M models: [M, N, 4] -> [M, N, V], [M].

    Embeddings, one after the other, to D numbers; LayerNorm and feed-forward layer on a residual branch; LayerNorm;
    scores. Dropout acts on the D numbers, inside the layer and on its branch: noise [M, N, D], [M, N, H], [M, N, D].
    """
    (M, V, _), D = weights["letters"].shape, weights["project"].shape[-1]
    codes = contexts + V * torch.arange(M)[:, None, None]
    embedded = F.embedding(codes, weights["letters"].flatten(0, 1)).flatten(2)
    x = dropout(torch.baddbmm(weights["project_bias"], embedded, weights["project"]), noise[0], rate)
    states = F.layer_norm(x, (D,))
    g, chosen = gates(states, weights["router"])
    x = x + dropout(feed_forward(weights, states, chosen, noise[1], rate), noise[2], rate)
    scores = torch.baddbmm(weights["scores_bias"], F.layer_norm(x, (D,)), weights["scores"])
    return scores.log_softmax(-1), load_balance(g, chosen)


def losses(log_q: Tensor, following: Tensor) -> Tensor:
    """Return L = -log q(x_t | context) of each example, in nats: [..., N, V], [..., N] -> [..., N]."""
    return -log_q.gather(-1, following.unsqueeze(-1)).squeeze(-1)


def smoothed(log_q: Tensor, following: Tensor, share: Tensor) -> Tensor:
    """Return the mean loss when a share ε of each target is spread over all letters: [..., N, V], ε [...] -> [...]."""
    return (1 - share) * losses(log_q, following).mean(-1) - share * log_q.mean((-2, -1))


def learning_rate(step: int, steps: int, peak: float = 3e-3, warmup: int = 50) -> float:
    """Return the rate of a step from 0 on: a linear rise over the warm-up, then a linear fall to 5 % of the peak."""
    left = (steps - 1 - step) / max(steps - 1 - warmup, 1)
    return peak * min((step + 1) / warmup, 0.05 + 0.95 * left)


@torch.no_grad()
def shrink(weights: Iterable[Tensor], rate: float, decay: Tensor) -> None:
    """Multiply all weights of model m by 1 - ηλ_m, the decoupled decay of AdamW: [M, ...] each, λ [M, 1, 1]."""
    for one in weights:
        one.mul_(1 - rate * decay)
