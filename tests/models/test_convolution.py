"""Convolutional networks side by side equal those that torch.nn makes one by one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from draws import normal
from torch_layers import convolutional

from reglab.models.convolution import ConvNets, Convolution
from reglab.seeds import generator

LAYERS = (Convolution(1, 4, 3, 1), Convolution(4, 6, 4, 2), Convolution(6, 5, 3, 1))

pytestmark = pytest.mark.usefixtures("double_precision")


def networks(*seeds: int, copies: int = 1) -> ConvNets:
    return ConvNets(LAYERS, 3, [generator(seed, "weights") for seed in seeds], copies)


def test_networks_side_by_side_equal_torch_s_own_in_training_and_after() -> None:
    together, images, labels = networks(3, 7, copies=2), normal(0, 3, 4, 8, 9, 9), torch.arange(8) % 3
    single = [convolutional(LAYERS, 3, together, m) for m in range(4)]
    optimizer = torch.optim.SGD(together.parameters(), lr=0.1)
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.1) for one in single]
    for batch in images:
        optimizer.zero_grad()
        F.cross_entropy(together(batch).flatten(0, 1), labels.repeat(4), reduction="sum").div(8).backward()
        optimizer.step()
        for m, one in enumerate(single):
            optimizers[m].zero_grad()
            F.cross_entropy(one(batch[m].unsqueeze(1)), labels).backward()
            optimizers[m].step()
    together.eval()
    features = together.features(images[0])
    for m, one in enumerate(single):
        one.eval()
        torch.testing.assert_close(features[m], one[:-3](images[0, m].unsqueeze(1)), atol=1e-10, rtol=1e-8)
        torch.testing.assert_close(together(images[0])[m], one(images[0, m].unsqueeze(1)), atol=1e-10, rtol=1e-8)


def test_every_network_sees_its_own_pictures_only() -> None:
    together, images = networks(3, 4, copies=2), normal(1, 4, 10, 9, 9)
    before = together(images)
    torch.testing.assert_close(before[3:], networks(4)(images[3:]), atol=1e-10, rtol=1e-8)
    changed = images.clone()
    changed[:3] += 1
    torch.testing.assert_close(together(changed)[3], before[3], atol=1e-10, rtol=1e-8)


def test_copies_of_one_seed_start_equal_within_the_bounds_of_torch_s_layers() -> None:
    together = networks(3, 4, copies=3)
    for (name, values), one in zip(together.named_parameters(), networks(4).parameters(), strict=True):
        by_model = values.reshape(6, -1)
        assert by_model[1].equal(by_model[3]) and by_model[3].equal(by_model[5]) and by_model[3].equal(one.flatten())
        if name.startswith("logits") or values.dim() == 4:
            inputs = 5 if name.startswith("logits") else values[0].numel()
            assert not by_model[0].equal(by_model[1])
            assert 0.5 * inputs**-0.5 < float(values.detach().abs().max()) <= inputs**-0.5
