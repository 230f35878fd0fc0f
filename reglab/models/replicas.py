"""Many seeds trained as one: every parameter carries a leading axis of M models.

All updates of torch's SGD and Adam act on each number separately, so the sum of the M losses trains the M models
exactly as if each were alone. What is not elementwise (norms, clipping, a learning rate per model) is here.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state


class Replicas(nn.Module):
    """Any module, once for each of M models, run side by side through `vmap`.

    `Replicas([make(seed) for seed in seeds])` copies the weights of M modules of one structure. Its parameters and
    buffers are stacked to [M, ...] and train with any torch optimizer whose update is elementwise; what is frozen in
    the modules stays frozen. Random layers (dropout) raise an error: draw their noise outside, from the generators of
    the seeds, and pass it in.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        if not modules:
            raise ValueError("Replicas needs at least one module")
        parameters, buffers = stack_module_state(list(modules))
        self._names = {name: f"stacked_{i}" for i, name in enumerate([*parameters, *buffers])}
        for name, value in parameters.items():
            self.register_parameter(self._names[name], nn.Parameter(value.detach().clone(), value.requires_grad))
        for name, value in buffers.items():
            self.register_buffer(self._names[name], value.detach().clone())
        # in a list, so that its own weights are not registered beside the stacked ones
        self._template = [copy.deepcopy(modules[0])]

    def stacked(self) -> dict[str, Tensor]:
        """Return all parameters and buffers by their name in the module, each [M, ...]."""
        return {name: getattr(self, attribute) for name, attribute in self._names.items()}

    def forward(self, *inputs: Tensor) -> Tensor:
        """Run model m on its own slice of each input: [M, N, ...] -> [M, N, ...]."""
        module = self._template[0]
        module.train(self.training)

        def single(state: dict[str, Tensor], *slices: Tensor) -> Tensor:
            return functional_call(module, state, slices)

        return torch.vmap(single)(self.stacked(), *inputs)


class Linear(nn.Module):
    """M linear layers as one batched matrix product: weight [M, in, out], bias [M, 1, out] or None."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """[M, N, in] -> [M, N, out]."""
        if self.bias is None:
            return torch.bmm(inputs, self.weight)
        return torch.baddbmm(self.bias, inputs, self.weight)


def linear(
    inputs: int,
    outputs: int,
    generators: Iterable[torch.Generator],
    copies: int = 1,
    *,
    weights: float,
    biases: float | None = 0.0,
) -> Linear:
    """Return a linear layer for every generator, `copies` times over; model m = copy · S + seed.

    Weights are uniform in ±`weights`, biases in ±`biases` (None: the layer has none); copies of one seed are equal.
    """
    drawn, shifts = [], []
    for source in generators:
        drawn.append(torch.empty(inputs, outputs).uniform_(-weights, weights, generator=source))
        if biases is not None:
            shift = torch.zeros(1, outputs)
            shifts.append(shift.uniform_(-biases, biases, generator=source) if biases else shift)
    bias = torch.stack(shifts).repeat(copies, 1, 1) if shifts else None
    return Linear(torch.stack(drawn).repeat(copies, 1, 1), bias)


def mlp(widths: Sequence[int], generators: Iterable[torch.Generator], copies: int = 1) -> nn.Sequential:
    """Return a ReLU network for every generator, `copies` times over, as batched matrix products.

    `widths` runs from the inputs to the logits. Weights are uniform with variance 1/(inputs of the layer), biases
    start at zero. Model m = copy · S + seed: copies of one seed start from the same weights.
    """
    sources, modules = list(generators), []
    for inputs, outputs in itertools.pairwise(widths):
        layer = linear(inputs, outputs, sources, copies, weights=(3 / inputs) ** 0.5)
        modules += [layer, nn.ReLU(inplace=True)]
    return nn.Sequential(*modules[:-1])


def norms(tensors: Iterable[Tensor]) -> Tensor:
    """Return the Euclidean norm of each model's share of all tensors together: [M, ...] each -> [M]."""
    return torch.stack([tensor.flatten(1).square().sum(1) for tensor in tensors]).sum(0).sqrt()


def clip_gradients(parameters: Iterable[Tensor], largest: float) -> Tensor:
    """Scale down each model's gradients to a norm of at most `largest`; returns the norms [M] from before."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    before = norms(gradients)
    scale = (largest / (before + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(_along(scale, gradient))
    return before


def step(optimizer: torch.optim.Optimizer, rates: Tensor) -> None:
    """Take one optimizer step with a learning rate of its own for each model: rates [M].

    The optimizer must have been made with `lr=1`; its update must be proportional to the learning rate, as it is
    for SGD (momentum and weight decay included), Adam and AdamW.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if any(group["lr"] != 1 for group in optimizer.param_groups):
        raise ValueError("a step with one rate per model needs an optimizer that was made with lr=1")
    before = [p.detach().clone() for p in parameters]
    optimizer.step()
    with torch.no_grad():
        for p, old in zip(parameters, before, strict=True):
            p.copy_(torch.lerp(old, p, _along(rates, p)))


def _along(scale: Tensor, like: Tensor) -> Tensor:
    """Shape a number per model [M] so that it multiplies [M, ...]."""
    return scale.reshape(-1, *[1] * (like.dim() - 1))
