"""Models trained as one equal models trained one by one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab.models import replicas
from reglab.seeds import generator

STEPS, BATCH = 6, 8
Optimizer = Callable[..., torch.optim.Optimizer]

OPTIMIZERS: dict[str, tuple[Optimizer, dict[str, Any]]] = {
    "SGD": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.01}),
    "Nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "Adam": (torch.optim.Adam, {"weight_decay": 0.01}),
    "AdamW": (torch.optim.AdamW, {"weight_decay": 0.1}),
}


def convolution() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(27, 4)
    )


def normalized() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.LayerNorm(6), nn.GELU(), nn.Linear(6, 4))


MODELS = {"convolution and batch norm": convolution, "layer norm": normalized}


def build(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return a module in double precision whose weights depend on the seed only."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().double()


def batch(seed: int, step: int) -> tuple[Tensor, Tensor]:
    draws = generator(seed, f"batch {step}")
    inputs = torch.randn(BATCH, 1, 8, 8, generator=draws, dtype=torch.float64)
    return inputs, torch.randint(4, (BATCH,), generator=draws)


def train_alone(module: nn.Module, seed: int, optimizer: torch.optim.Optimizer, largest: float = 0) -> None:
    for step in range(STEPS):
        inputs, labels = batch(seed, step)
        optimizer.zero_grad()
        F.cross_entropy(module(inputs), labels).backward()
        if largest:
            nn.utils.clip_grad_norm_(module.parameters(), largest)
        optimizer.step()


def train_stacked(
    model: nn.Module,
    seeds: Sequence[int],
    optimizer: torch.optim.Optimizer,
    rates: Tensor | None = None,
    largest: float = 0,
) -> None:
    for step in range(STEPS):
        inputs, labels = (torch.stack(parts) for parts in zip(*(batch(seed, step) for seed in seeds), strict=True))
        optimizer.zero_grad()
        logits = model(inputs)
        F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum").div(BATCH).backward()
        if largest:
            replicas.clip_gradients(model.parameters(), largest)
        if rates is None:
            optimizer.step()
        else:
            replicas.step(optimizer, rates)


def same(stacked: replicas.Replicas, alone: Sequence[nn.Module]) -> None:
    """Assert that model m of the stack has the parameters and buffers of the m-th module."""
    for m, module in enumerate(alone):
        state = module.state_dict()
        assert set(state) == set(stacked.stacked())
        for name, value in state.items():
            torch.testing.assert_close(stacked.stacked()[name][m], value, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("model", MODELS)
def test_models_trained_as_one_equal_models_trained_alone(model: str, optimizer: str) -> None:
    seeds, (make, options) = (0, 4, 2), OPTIMIZERS[optimizer]
    modules = [build(MODELS[model], seed) for seed in seeds]
    stacked = replicas.Replicas(modules)
    start = copy.deepcopy(modules)
    train_stacked(stacked, seeds, make(stacked.parameters(), lr=0.05, **options))
    same(replicas.Replicas(modules), start)  # the modules themselves stay as they were
    for module, seed in zip(modules, seeds, strict=True):
        train_alone(module, seed, make(module.parameters(), lr=0.05, **options))
    same(stacked, modules)
    inputs, _ = batch(9, 9)
    stacked.eval()
    for m, output in enumerate(stacked(inputs.expand(3, -1, -1, -1, -1))):
        torch.testing.assert_close(output, modules[m].eval()(inputs))


@pytest.mark.parametrize("model", MODELS)
def test_order_and_number_of_seeds_do_not_matter(model: str) -> None:
    found = {}
    for seeds in ((0, 1, 2, 3), (3, 1), (1,)):
        stacked = replicas.Replicas([build(MODELS[model], seed) for seed in seeds])
        train_stacked(stacked, seeds, torch.optim.Adam(stacked.parameters(), lr=0.05))
        found[seeds] = {name: value[seeds.index(1)] for name, value in stacked.stacked().items()}
    for other in ((3, 1), (1,)):
        torch.testing.assert_close(found[other], found[0, 1, 2, 3], atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("shared", ["module", "weight"])
def test_several_inputs_and_shared_weights(shared: str) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(5, 5, bias=False)
            self.second: nn.Linear = self.first if shared == "module" else nn.Linear(5, 5, bias=False)
            self.second.weight = self.first.weight

        def forward(self, inputs: Tensor, noise: Tensor) -> Tensor:
            return self.second(self.first(inputs).relu() + noise)

    modules = [build(Tied, seed) for seed in range(3)]
    stacked = replicas.Replicas(modules)
    assert len(list(stacked.parameters())) == 1
    inputs, noise = torch.randn(2, 3, 7, 5, generator=generator(0, "x"), dtype=torch.float64)
    stacked(inputs, noise).square().sum().backward()
    for m, module in enumerate(modules):
        module(inputs[m], noise[m]).square().sum().backward()
        expected = next(module.parameters()).grad
        torch.testing.assert_close(next(stacked.parameters()).grad[m], expected)  # type: ignore[index]


def test_frozen_weights_stay_frozen() -> None:
    modules = [build(normalized, seed) for seed in range(2)]
    for module in modules:
        next(module.parameters()).requires_grad_(False)
    stacked = replicas.Replicas(modules)
    assert [p.requires_grad for p in stacked.parameters()] == [p.requires_grad for p in modules[0].parameters()]


def test_random_layers_are_refused_in_training_only() -> None:
    stacked = replicas.Replicas([nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)) for _ in range(2)])
    with pytest.raises(RuntimeError, match="random"):
        stacked(torch.ones(2, 4, 3))
    assert stacked.eval()(torch.ones(2, 4, 3)).shape == (2, 4, 3)


def test_no_module_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        replicas.Replicas([])


# ------------------------------------------------------------------------------------------------ batched products


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_a_batched_network_equals_plain_layers(optimizer: str) -> None:
    seeds, (make, options) = (0, 1, 5), OPTIMIZERS[optimizer]
    stacked = nn.Sequential(nn.Flatten(2), *replicas.mlp((64, 7, 5, 4), [generator(s, "w") for s in seeds])).double()
    modules = []
    for m in range(3):
        layers: list[nn.Module] = [nn.Flatten()]
        for layer in stacked:
            if isinstance(layer, replicas.Linear):
                plain = nn.Linear(*layer.weight.shape[1:]).double()
                with torch.no_grad():
                    plain.weight.copy_(layer.weight[m].T)
                    assert layer.bias is not None
                    plain.bias.copy_(layer.bias[m, 0])
                layers += [plain, nn.ReLU()]
        modules.append(nn.Sequential(*layers[:-1]))
    train_stacked(stacked, seeds, make(stacked.parameters(), lr=0.05, **options))
    for m, (module, seed) in enumerate(zip(modules, seeds, strict=True)):
        train_alone(module, seed, make(module.parameters(), lr=0.05, **options))
        for ours, weights in zip(stacked.parameters(), module.parameters(), strict=True):
            expected = weights.T if weights.dim() == 2 else weights[None]
            torch.testing.assert_close(ours[m], expected, atol=1e-10, rtol=1e-6)


def test_first_weights_of_a_batched_network() -> None:
    network = replicas.mlp((400, 300, 10), [generator(seed, "w") for seed in (3, 8)], copies=2)
    (weight, bias, last, _), kinds = network.parameters(), [type(layer) for layer in network]
    assert weight.shape == (4, 400, 300) and (bias == 0).all()
    assert torch.equal(weight[0], weight[2]) and torch.equal(weight[1], weight[3])
    assert not torch.equal(weight[0], weight[1])
    alone = list(replicas.mlp((400, 300, 10), [generator(8, "w")]).parameters())
    assert torch.equal(alone[0][0], weight[1]) and torch.equal(alone[2][0], last[1])
    assert float(weight.detach().var()) == pytest.approx(1 / 400, rel=0.02)
    assert kinds == [replicas.Linear, nn.ReLU, replicas.Linear]


def test_a_layer_is_drawn_within_its_bounds_and_may_lack_a_bias() -> None:
    seeds = (3, 8)
    layer = replicas.linear(50, 40, [generator(seed, "w") for seed in seeds], copies=3, weights=0.2, biases=0.1)
    assert layer.bias is not None and layer.weight.shape == (6, 50, 40) and layer.bias.shape == (6, 1, 40)
    for values, bound in ((layer.weight.detach(), 0.2), (layer.bias.detach(), 0.1)):
        assert 0.9 * bound < float(values.max()) <= bound and -bound <= float(values.min()) < -0.9 * bound
        assert torch.equal(values[:2], values[2:4]) and not torch.equal(values[0], values[1])
    alone = replicas.linear(50, 40, [generator(8, "w")], weights=0.2, biases=None)
    assert alone.bias is None and torch.equal(alone.weight[0], layer.weight[1])
    inputs = torch.randn(1, 7, 50, generator=generator(0, "x"))
    torch.testing.assert_close(alone(inputs)[0], inputs[0] @ alone.weight[0])


# ------------------------------------------------------------------------------- norms, clipping, rates per model


def test_norms_are_those_of_each_model() -> None:
    tensors = [torch.randn(3, *shape, generator=generator(0, "norms")) for shape in ((4, 2), (5,), ())]
    expected = [torch.linalg.vector_norm(torch.cat([t[m].flatten() for t in tensors])) for m in range(3)]
    torch.testing.assert_close(replicas.norms(t.reshape(3, -1) for t in tensors), torch.stack(expected))


def test_clipping_is_that_of_each_model() -> None:
    seeds = (0, 1, 2)
    modules = [build(convolution, seed) for seed in seeds]
    stacked = replicas.Replicas(modules)
    train_stacked(stacked, seeds, torch.optim.SGD(stacked.parameters(), lr=0.5, momentum=0.9), largest=0.7)
    for module, seed in zip(modules, seeds, strict=True):
        train_alone(module, seed, torch.optim.SGD(module.parameters(), lr=0.5, momentum=0.9), largest=0.7)
    same(stacked, modules)


def test_clipping_returns_the_norms_from_before_and_leaves_small_gradients() -> None:
    parameter = nn.Parameter(torch.zeros(2, 2))
    parameter.grad = torch.tensor([[3.0, 4], [0.3, 0.4]])
    before = replicas.clip_gradients([parameter, nn.Parameter(torch.zeros(2, 5))], 1.0)
    torch.testing.assert_close(before, torch.tensor([5.0, 0.5]))
    torch.testing.assert_close(parameter.grad, torch.tensor([[0.6, 0.8], [0.3, 0.4]]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_rate_for_each_model(optimizer: str) -> None:
    seeds, rates, (make, options) = (0, 1, 2), (0.0, 0.01, 0.2), OPTIMIZERS[optimizer]
    modules = [build(normalized, seed) for seed in seeds]
    stacked = replicas.Replicas(modules)
    train_stacked(stacked, seeds, make(stacked.parameters(), lr=1.0, **options), rates=torch.tensor(rates).double())
    for module, seed, rate in zip(modules, seeds, rates, strict=True):
        train_alone(module, seed, make(module.parameters(), lr=rate, **options))
    same(stacked, modules)


def test_a_rate_for_each_model_needs_an_optimizer_of_rate_one() -> None:
    parameter = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match="lr=1"):
        replicas.step(torch.optim.SGD([parameter], lr=0.1), torch.ones(2))
