"""Digits and dense networks of hand-made layers, many models at once: what is trained on the pages of this part."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from reglab import data
from reglab.seeds import Seeds
from reglab.training import Lanes


class Digits(NamedTuple):
    """Handwritten digits of every seed, images [S, n, 64] and labels [S, n]: for training, choosing and testing."""

    train: Tensor
    train_labels: Tensor
    valid: Tensor
    valid_labels: Tensor
    test: Tensor
    test_labels: Tensor


def digits(seeds: Seeds, count: int) -> Digits:
    """Return `count` ≤ 1000 digits for training, 200 for validation and 597 for testing, for every seed.

    They are the first and the last of 1200, by whose pixels all are standardized.
    """
    split = data.digits(seeds, train=1200)
    images, labels = split.train_inputs, split.train_labels
    chosen = (images[:, :count], labels[:, :count], images[:, 1000:], labels[:, 1000:])
    return Digits(*chosen, split.test_inputs, split.test_labels)


class Dense(nn.Module):
    """M dense ReLU networks: weights [M, in, out] and biases [M, 1, out] of each layer; model m = arm · S + seed.

    Weights are normal with variance 2/(inputs of the layer), also in the last one (He et al. 2015), and drawn for each
    seed and layer, so that arms of one seed start equal; biases start at 0. An arm with the setting `width` = h > 0 is
    a network with h units in each hidden layer: the weights from and to its other units start at 0, get no gradient
    and stay there; `narrow` [M] gives h for each model where it differs between seeds. With `normalized`, hidden layers
    have batch normalization in the place of biases.
    """

    def __init__(
        self, widths: Sequence[int], lanes: Lanes, normalized: bool = False, narrow: Tensor | None = None
    ) -> None:
        super().__init__()
        narrow, layers = lanes.each("width", 0) if narrow is None else narrow, len(widths) - 1
        units = [torch.full_like(narrow, width) for width in widths]
        units[1:-1] = [torch.where(narrow > 0, narrow, full) for full in units[1:-1]]
        self.weights, self.biases, self.norms = nn.ParameterList(), nn.ParameterList(), nn.ModuleList()
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            drawn = [torch.randn(inputs, outputs, generator=g) for g in lanes.generators(f"weights of layer {layer}")]
            weight = lanes.repeat(torch.stack(drawn)) * (2 / units[layer]).sqrt()[:, None, None]
            rows, columns = (torch.arange(size) < used[:, None] for size, used in (
                (inputs, units[layer]), (outputs, units[layer + 1])))  # fmt: skip
            self.weights.append(weight * rows.unsqueeze(2) * columns.unsqueeze(1))
            if normalized and layer < layers - 1:
                self.norms.append(BatchNorm(len(lanes), outputs))
            else:
                self.biases.append(torch.zeros(len(lanes), 1, outputs))

    def effective(self, layer: int) -> Tensor:
        """Return the weights that a layer acts with, [M, in, out]: the stored ones, unless a page says otherwise."""
        return self.weights[layer]

    def activations(self, inputs: Tensor) -> list[Tensor]:
        """Return what goes into each layer, then the logits: [M, N, D] -> [M, N, ...] each."""
        found = [inputs]
        last = len(self.weights) - 1
        for layer in range(last + 1):
            values = found[-1] @ self.effective(layer)
            if self.norms and layer < last:
                values = self.norms[layer](values)
            else:
                values = values + self.biases[layer - len(self.norms)]
            found.append(values.relu() if layer < last else values)
        return found

    def forward(self, inputs: Tensor) -> Tensor:
        """[M, N, D] -> [M, N, C]."""
        return self.activations(inputs)[-1]

    @torch.no_grad()
    def cut(self, keep: Sequence[Tensor]) -> Dense:
        """Return networks without the units that are not kept: indices [M, k] for each hidden layer.

        Columns of the layer before, its bias or its normalization, and rows of the layer behind go.
        """
        smaller, normalized = copy.deepcopy(self), len(self.norms)
        weights = [weight if i == 0 else weight.gather(1, keep[i - 1].unsqueeze(2).expand(-1, -1, weight.shape[2]))
                   for i, weight in enumerate(self.weights)]  # fmt: skip
        parts = [*zip(weights, keep, strict=False)]
        smaller.weights = nn.ParameterList([*(_columns(*part) for part in parts), weights[-1]])
        norms = [norm for norm in self.norms if isinstance(norm, BatchNorm)]
        smaller.norms = nn.ModuleList(norm.cut(kept) for norm, kept in zip(norms, keep, strict=False))
        biases = [*map(_columns, self.biases, keep[normalized:]), self.biases[-1]]
        smaller.biases = nn.ParameterList(bias.clone() for bias in biases)
        return smaller


class BatchNorm(nn.Module):
    """Batch normalization of M models, [M, N, D] -> [M, N, D], with γ (first 1), β (first 0) and running statistics.

    Training takes mean and biased variance of the batch, and moves the running mean and unbiased variance towards them
    by a tenth; evaluation takes the running ones. ε = 1e-5 (Ioffe and Szegedy 2015, Algorithms 1 and 2).
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, models: int, units: int) -> None:
        super().__init__()
        self.gamma, self.beta = (nn.Parameter(make(models, 1, units)) for make in (torch.ones, torch.zeros))
        self.register_buffer("mean", torch.zeros(models, 1, units))
        self.register_buffer("variance", torch.ones(models, 1, units))

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalize every unit of every model on its own."""
        mean, variance = self.mean, self.variance
        if self.training:
            mean, variance = inputs.mean(1, keepdim=True), inputs.var(1, correction=0, keepdim=True)
            self.mean.lerp_(mean.detach(), 0.1)
            self.variance.lerp_(inputs.detach().var(1, keepdim=True), 0.1)
        return self.gamma * (inputs - mean) / (variance + 1e-5).sqrt() + self.beta

    @torch.no_grad()
    def cut(self, keep: Tensor) -> BatchNorm:
        """Return what is left with the units that are kept: indices [M, k]."""
        smaller = BatchNorm(*keep.shape)
        for name, values in self.state_dict().items():
            getattr(smaller, name).copy_(_columns(values, keep))
        return smaller.train(self.training)


def _columns(values: Tensor, keep: Tensor) -> Tensor:
    """Return the kept columns of each model: [M, n, D], [M, k] -> [M, n, k]."""
    return values.gather(2, keep.unsqueeze(1).expand(-1, values.shape[1], -1))


class Step(torch.autograd.Function):
    """The unit step H(x) = 1[x > 0] with a straight-through derivative: `Step.apply(x, slope)`.

    Backward multiplies what comes by `slope`, the proxy derivative μ'(x) that is passed in, in the shape of x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        """Return exactly 0 or 1."""
        ctx.save_for_backward(slope)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        """Return the proxy gradient."""
        return outer[0] * ctx.saved_tensors[0], None


def sgd(network: Dense, decay: Tensor, *, rate: float, steps: int = 0) -> torch.optim.SGD:
    """Return SGD with momentum 0.9 on all parameters, and weight decay of each model [M, 1, 1] on its stored weights.

    The decay is coupled: λw is added to the gradient. The rate is constant, or with `steps` falls along half a cosine
    to 0 in so many steps.
    """
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)

    def decayed(*_: Any) -> None:
        for weight in network.weights:
            if weight.grad is not None:
                weight.grad.add_(decay * weight.detach())

    optimizer.register_step_pre_hook(decayed)
    if steps:
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        optimizer.register_step_post_hook(lambda *_: falling.step())
    return optimizer


def largest(weights: Sequence[Tensor], share: Tensor) -> list[Tensor]:
    """Return masks that keep each model's weights of largest magnitude in all layers together: [M, in, out] each.

    `share` [M] of all weights is kept, rounded to whole weights; of ties some are kept, some not.
    """
    flat = torch.cat([weight.detach().abs().flatten(1) for weight in weights], 1)
    rank = flat.argsort(dim=1, descending=True, stable=True).argsort(1)
    kept = rank < (share * flat.shape[1]).round().unsqueeze(1)
    parts = kept.split([weight[0].numel() for weight in weights], 1)
    return [part.reshape(weight.shape) for part, weight in zip(parts, weights, strict=True)]


def flat(layers: Iterable[Tensor]) -> Tensor:
    """Return what belongs to the layers as one row for each model: [M, ...] each -> [M, n]."""
    return torch.cat([one.flatten(1) for one in layers], 1)


def unflat(rows: Tensor, layers: Iterable[Tensor]) -> list[Tensor]:
    """Return rows as `flat` makes them in the shapes of the layers: [M, n] -> [M, ...] each."""
    shapes = [one.shape for one in layers]
    parts = rows.split([math.prod(shape[1:]) for shape in shapes], 1)
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
