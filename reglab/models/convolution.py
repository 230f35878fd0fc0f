"""Convolutional networks of many seeds as one: grouped convolutions, batch normalization and one linear layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reglab.models import replicas


class Convolution(NamedTuple):
    """A convolution with a border of one pixel, then normalization over the batch and ReLU."""

    inputs: int
    outputs: int
    kernel: int
    stride: int


class ConvNets(nn.Module):
    """M networks: convolutions in M groups, so that each sees its own pictures only, the mean over all places, logits.

    Batch normalization treats every channel separately, so also every network. Convolutions have no bias; all weights,
    and the biases of the logits, are uniform with variance 1/(3·inputs of a unit). Model m = copy · S + seed: there is
    one for every generator, `copies` times over, and copies of one seed start equal.
    """

    def __init__(
        self, layers: Sequence[Convolution], classes: int, generators: Iterable[torch.Generator], copies: int = 1
    ) -> None:
        super().__init__()
        sources, blocks = list(generators), []
        self.count = copies * len(sources)
        for inputs, outputs, kernel, stride in layers:
            bound = (inputs * kernel**2) ** -0.5
            shape = (outputs, inputs, kernel, kernel)
            drawn = [torch.empty(shape).uniform_(-bound, bound, generator=source) for source in sources]
            convolution = nn.utils.skip_init(
                nn.Conv2d, self.count * inputs, self.count * outputs, kernel, stride, 1, groups=self.count, bias=False
            )
            convolution.weight = nn.Parameter(torch.cat(drawn * copies))
            blocks += [convolution, nn.BatchNorm2d(self.count * outputs), nn.ReLU(inplace=True)]
        self.blocks = nn.Sequential(*blocks)
        bound = layers[-1].outputs ** -0.5
        self.logits = replicas.linear(layers[-1].outputs, classes, sources, copies, weights=bound, biases=bound)

    def features(self, images: Tensor) -> Tensor:
        """Return what the last convolution sees in pictures of one channel: [M, N, H, W] -> [M, N, D, h, w]."""
        return self.blocks(images.transpose(0, 1)).unflatten(1, (self.count, -1)).transpose(0, 1)

    def forward(self, images: Tensor) -> Tensor:
        """[M, N, H, W] -> [M, N, C]."""
        return self.logits(self.features(images).mean((-2, -1)))
