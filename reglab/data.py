"""Small data sets, label noise and batches, seed by seed the same whichever seeds are beside it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reglab.seeds import generator


def normal(seeds: Sequence[int], purpose: str, *shape: int) -> Tensor:
    """Draw standard normal numbers for every seed, the same whichever seeds are beside it: [S, *shape] float64."""
    drawn = [torch.randn(*shape, generator=generator(seed, purpose), dtype=torch.float64) for seed in seeds]
    return torch.stack(drawn)


@dataclass(frozen=True)
class Split:
    """One data set with a split for each seed: inputs [S, n, D] in torch's default type, labels [S, n] int64."""

    train_inputs: Tensor
    train_labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor


@functools.cache
def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images / 16), torch.tensor(labels)


def digits(seeds: Sequence[int], train: int = 1000, standardize: bool = True) -> Split:
    """Return scikit-learn's handwritten digits, split for every seed, and standardized unless told otherwise.

    1797 images of 8x8 pixels (D = 64), 10 classes; `train` of them (seeded choice) are for training, the rest for
    testing. Pixels are divided by 16, so that they lie in [0, 1], then (`standardize`) shifted and scaled by one mean
    and one standard deviation, those of all pixels of the seed's training images. Source: the test part of "Optical
    Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, CC BY 4.0), shipped
    with scikit-learn.
    """
    images, labels = _digits()
    orders = torch.stack([torch.randperm(len(labels), generator=generator(seed, "split")) for seed in seeds])
    inputs, targets = images.to(torch.get_default_dtype())[orders], labels[orders]
    if standardize:
        mean = inputs[:, :train].mean(dim=(1, 2), keepdim=True)
        scale = inputs[:, :train].std(dim=(1, 2), keepdim=True)
        inputs = (inputs - mean) / scale
    return Split(inputs[:, :train], targets[:, :train], inputs[:, train:], targets[:, train:])


def symmetric_noise(labels: Tensor, rate: float, classes: int, seeds: Sequence[int]) -> Tensor:
    """Return labels [S, n] of which a fraction `rate` was redrawn, uniformly from all classes.

    One redrawn label in C stays right by luck, so the share of wrong labels is rate·(C-1)/C. For one seed the
    redrawn examples of a smaller rate are among those of a larger rate, with the same new labels.
    """
    noisy = labels.clone()
    for row, seed in zip(noisy, seeds, strict=True):
        draws = generator(seed, "label noise")
        order = torch.randperm(len(row), generator=draws)
        fresh = torch.randint(classes, (len(row),), generator=draws)
        chosen = order[: round(rate * len(row))]
        row[chosen] = fresh[chosen]
    return noisy


def batches(seeds: Sequence[int], examples: int, size: int, epoch: int) -> Tensor:
    """Return the order in which every seed sees its examples in one epoch: indices [steps, S, size].

    The last batch of an epoch is left out when it would be smaller than `size`.
    """
    orders = [torch.randperm(examples, generator=generator(seed, f"batches of epoch {epoch}")) for seed in seeds]
    steps = examples // size
    return torch.stack(orders)[:, : steps * size].reshape(len(seeds), steps, size).transpose(0, 1)
