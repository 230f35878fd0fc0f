"""What the papers on weights share: against torch's own layers, by hand, and by counting."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reglab import metrics
from reglab.knobs import Arm
from reglab.papers.weights._shared import cost
from reglab.papers.weights._shared.network import BatchNorm, Dense, Step, digits, flat, largest, sgd, unflat
from reglab.training import Lanes

WIDTHS = (5, 6, 6, 3)


def lanes(*widths: int, seeds: int = 2) -> Lanes:
    return Lanes({f"arm {i}": Arm("ablation", width=width) for i, width in enumerate(widths)}, tuple(range(seeds)), {})


def examples(models: int, count: int = 8) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(1)
    return torch.randn(models, count, 5, generator=source), torch.randint(3, (models, count), generator=source)


def train(network: Dense, decay: float, steps: int, *, falling: bool = False) -> list[float]:
    x, y = examples(len(network.weights[0]))
    optimizer = sgd(network, torch.full((len(x), 1, 1), decay), rate=0.1, steps=steps if falling else 0)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.zero_grad()
        metrics.nll(network(x), y).sum().backward()
        optimizer.step()
    return rates


def single(network: Dense, model: int) -> nn.Sequential:
    """One of the networks, made of torch's layers."""
    parts: list[nn.Module] = []
    for layer, weight in enumerate(network.weights):
        last, normalized = layer == len(network.weights) - 1, len(network.norms) > 0
        linear = nn.Linear(weight.shape[1], weight.shape[2], bias=last or not normalized)
        linear.weight.data = weight[model].T.detach().clone()
        if linear.bias is not None:
            linear.bias.data = network.biases[layer - len(network.norms)][model, 0].detach().clone()
        parts.append(linear)
        if not last:
            parts += [nn.BatchNorm1d(weight.shape[2])] * normalized + [nn.ReLU()]
    return nn.Sequential(*parts)


@pytest.mark.parametrize("normalized", [False, True])
def test_networks_train_as_torch_trains_them_one_by_one(normalized: bool) -> None:
    network = Dense(WIDTHS, lanes(0), normalized)
    alone, (x, y) = [single(network, model) for model in range(2)], examples(2)
    train(network, 0.02, 5)
    for model, own in enumerate(alone):
        decayed = [layer.weight for layer in own if isinstance(layer, nn.Linear)]
        rest = [p for p in own.parameters() if all(p is not one for one in decayed)]
        groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": 0.02}, {"params": rest}]
        optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
        for _ in range(5):
            optimizer.zero_grad()
            nn.functional.cross_entropy(own(x[model]), y[model]).backward()
            optimizer.step()
        torch.testing.assert_close(network.eval()(x)[model], own.eval()(x[model]), rtol=1e-4, atol=1e-5)


def test_weights_have_variance_two_over_inputs_and_arms_of_a_seed_start_equal() -> None:
    network = Dense((64, 200, 10), lanes(0, 0))
    for weight in network.weights:
        torch.testing.assert_close(weight.var((1, 2)), torch.full((4,), 2 / weight.shape[1]), rtol=0.1, atol=0)
        assert torch.equal(weight[:2], weight[2:]) and not torch.equal(weight[0], weight[1])
    assert all((bias == 0).all() for bias in network.biases)


def test_a_seed_has_the_same_network_whichever_seeds_are_beside_it() -> None:
    beside, alone = (Dense(WIDTHS, Lanes({"a": Arm("method")}, seeds, {})) for seeds in ((0, 1), (1,)))
    assert all(torch.equal(one[1:], other) for one, other in zip(beside.weights, alone.weights, strict=True))


@pytest.mark.parametrize("normalized", [False, True])
def test_a_narrow_network_is_one_of_that_width(normalized: bool) -> None:
    """Its other units never act, so it equals the network that is left when they are cut, before and after training."""
    network = Dense(WIDTHS, lanes(0, 4), normalized)
    x, _ = examples(4)
    train(network, 0.02, 5)
    assert all((weight[2:, 4:] == 0).all() for weight in network.weights[1:])
    assert all((weight[2:, :, 4:] == 0).all() for weight in network.weights[:2])
    assert (network.weights[1][2:, :4, :4] != 0).all()
    small = network.cut([torch.arange(4).expand(4, -1)] * 2)
    assert [tuple(weight.shape[1:]) for weight in small.weights] == [(5, 4), (4, 4), (4, 3)]
    torch.testing.assert_close(small.eval()(x)[2:], network.eval()(x)[2:], rtol=1e-5, atol=1e-6)


def test_a_narrow_network_starts_with_the_variance_of_its_own_width() -> None:
    weight = Dense((64, 100, 100, 10), lanes(50)).weights[1][:, :50, :50]
    torch.testing.assert_close(weight.var((1, 2)), torch.full((2,), 2 / 50), rtol=0.1, atol=0)


def test_a_width_for_each_model_is_that_of_its_arm() -> None:
    given = Dense(WIDTHS, lanes(0, 0), narrow=torch.tensor([0.0, 2.0, 4.0, 0.0]))
    for model, width in enumerate((0, 2, 4, 0)):
        expected = Dense(WIDTHS, lanes(width, width))
        assert all(torch.equal(a[model], b[model]) for a, b in zip(given.weights, expected.weights, strict=True))


@pytest.mark.parametrize("normalized", [False, True])
def test_units_whose_weights_behind_are_zero_can_be_cut(normalized: bool) -> None:
    network = Dense(WIDTHS, lanes(0), normalized)
    x, _ = examples(2)
    train(network, 0, 3)
    kept = [torch.tensor([[0, 2, 5], [1, 2, 4]]), torch.tensor([[3, 4], [0, 1]])]
    for layer, units in enumerate(kept):
        gone = torch.ones(2, 6).scatter(1, units, 0).bool()
        network.weights[layer + 1].data[gone] = 0
    network.eval()
    cut = network.cut(kept)
    torch.testing.assert_close(cut(x), network(x), rtol=1e-5, atol=1e-6)
    assert cost.count([cut.weights[0].shape[1], *(weight.shape[2] for weight in cut.weights)]) == 5 * 3 + 3 * 2 + 2 * 3


def test_evaluation_uses_running_statistics() -> None:
    x = torch.randn(2, 50, 4, generator=torch.Generator().manual_seed(1)) * 3 + 1
    norm = BatchNorm(2, 4)
    for _ in range(200):
        norm(x)
    expected = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)
    torch.testing.assert_close(norm.eval()(x[:, :1]), expected[:, :1], rtol=1e-4, atol=1e-4)


def test_the_step_is_a_step_and_its_slope_is_passed_in() -> None:
    x = torch.tensor([-1.0, 0.0, 0.4], requires_grad=True)
    out = Step.apply(x, torch.tensor([0.5, 2.0, 3.0]))
    assert out.tolist() == [0, 0, 1]
    (out * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0.5, 20, 300]


def test_the_rate_falls_along_half_a_cosine() -> None:
    rates = train(Dense(WIDTHS, lanes(0)), 0, 4, falling=True)
    assert rates == pytest.approx([0.1 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)])


def test_the_largest_weights_of_all_layers_are_kept() -> None:
    weights = [torch.tensor([[[3.0, -1.0]], [[0.0, 0.0]]]), torch.tensor([[[-4.0], [2.0]], [[0.0], [5.0]]])]
    masks = largest(weights, torch.tensor([0.5, 0.25]))
    assert masks[0][0].tolist() == [[True, False]] and masks[1][0].tolist() == [[True], [False]]
    assert masks[1][1].tolist() == [[False], [True]] and masks[0][1].sum() == 0


def test_layers_become_rows_and_layers_again() -> None:
    network = Dense(WIDTHS, lanes(0, 0))
    rows = flat(network.parameters())
    assert rows.shape == (4, sum(one[0].numel() for one in network.parameters()))
    assert torch.equal(rows[2, :30], network.weights[0][2].flatten())
    for back, one in zip(unflat(rows, network.parameters()), network.parameters(), strict=True):
        assert torch.equal(back, one)


def test_digits_for_training_validation_and_testing_are_different_ones() -> None:
    found = digits((0, 3), 300)
    assert [part.shape[1] for part in found] == [300, 300, 200, 200, 597, 597]
    images = torch.cat([found.train[1], digits((0, 3), 1000).train[1, 300:], found.valid[1], found.test[1]])
    assert len(images.unique(dim=0)) == 1797


def test_costs_are_counted() -> None:
    assert cost.count((64, 64, 64, 10)) == 8832 and cost.count((128, 64, 64, 10)) == 12928
    assert [cost.width_for(weights) for weights in (840, 656, 657, 1767, 1440)] == [10, 8, 9, 19, 16]
    assert cost.width_for(864, 128) == 6
    assert cost.factored(64, 48, 24) == 2688 and cost.factored(48, 48, 24) == 2304 and cost.factored(48, 10, 48) == 480


def test_every_page_has_the_same_outputs_and_a_change_of_accuracy_has_the_axis_that_its_values_need() -> None:
    found = cost.outputs("arm seed step")
    assert list(found) == ["accuracy_change", "weights_share", "macs_share", "bits_share"]
    assert {var.axes for var in found.values()} == {"arm seed step"}
    assert found["accuracy_change"].low is found["accuracy_change"].high is None
