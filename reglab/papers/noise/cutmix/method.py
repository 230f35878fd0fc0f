"""CutMix: the equations of the paper."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]


def cut_box(lam: Tensor, center: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Return where the box begins and ends, row and column: [...], [..., 2] int -> two of [..., 2] int (Eq. 2).

    Half of the side √(1 - λ), in whole pixels, lies on either side of the center; the box ends where the picture ends.
    """
    extent = torch.tensor(size)
    half = ((1 - lam).sqrt().unsqueeze(-1) * extent).long() // 2
    return (center - half).clamp(min=0), torch.minimum(center + half, extent)


def box_mask(first: Tensor, end: Tensor, size: Size) -> Tensor:
    """Return which pixels lie in a box, 1 - M of Eq. 1: [..., 2], [..., 2] -> [..., H, W] bool."""
    rows, columns = (
        (torch.arange(length) >= first[..., i, None]) & (torch.arange(length) < end[..., i, None])
        for i, length in enumerate(size)
    )
    return rows.unsqueeze(-1) & columns.unsqueeze(-2)


def cutmix(images: Tensor, order: Tensor, lam: Tensor, center: Tensor) -> tuple[Tensor, Tensor]:
    """Paste one box of each picture's partner: pictures [..., N, H, W], and the area that is left, λ [...] (Eq. 1).

    `order` [..., N] names the partners; λ and center [..., 2] hold for the whole batch. A box across the border is
    smaller than asked for, so that λ is counted again.
    """
    size = (images.shape[-2], images.shape[-1])
    mask = box_mask(*cut_box(lam, center, size), size)
    mixed = torch.where(mask.unsqueeze(-3), partners(images, order), images)
    return mixed, 1 - mask.double().mean((-2, -1))


def mixup(images: Tensor, order: Tensor, lam: Tensor) -> Tensor:
    """Return λ x_A + (1 - λ) x_B, whole pictures laid over each other: [..., N, H, W] (Mixup)."""
    weight = lam.to(images.dtype)[..., None, None, None]
    return weight * images + (1 - weight) * partners(images, order)


def cutout(images: Tensor, center: Tensor, side: int) -> Tensor:
    """Set a square around a center to 0; what lies outside the picture is lost: [..., N, H, W], [..., 2] (Cutout)."""
    first = center - side // 2
    return images.masked_fill(box_mask(first, first + side, (images.shape[-2], images.shape[-1])).unsqueeze(-3), 0)


def shifted(images: Tensor, offsets: Tensor) -> Tensor:
    """Move each picture by whole pixels, rows and columns, and fill up with 0: [..., H, W], [..., 2] int."""
    for axis in (-2, -1):
        length = images.shape[axis]
        source = (torch.arange(length) - offsets[..., axis, None]).unsqueeze(-3 - axis)
        moved = images.gather(axis, source.clamp(0, length - 1).expand_as(images))
        images = torch.where((source >= 0) & (source < length), moved, 0)
    return images


def partners(values: Tensor, order: Tensor) -> Tensor:
    """Return a copy of a batch in another order: [..., N, H, W] or [..., N], order [..., N]."""
    extra = values.dim() - order.dim()
    return values.gather(order.dim() - 1, order.reshape(*order.shape, *[1] * extra).expand_as(values))


def mixed_cross_entropy(logits: Tensor, labels: Tensor, others: Tensor, lam: Tensor) -> Tensor:
    """Return λ CE(y_A) + (1 - λ) CE(y_B), averaged over the batch: [..., N, C], twice [..., N], [...] -> [...]."""
    log_p = logits.log_softmax(-1)
    own, other = (log_p.gather(-1, y.unsqueeze(-1)).squeeze(-1).mean(-1) for y in (labels, others))
    return -(lam * own + (1 - lam) * other)


def smooth_labels(loss: Tensor, logits: Tensor, share: Tensor) -> Tensor:
    """Return the loss when a share ε of the label is given to all classes alike: [...], [..., N, C], [...] -> [...]."""
    return (1 - share) * loss - share * logits.log_softmax(-1).mean((-2, -1))


def auroc(known: Tensor, unknown: Tensor) -> Tensor:
    """Return how often a known picture scores above an unknown one, ties half: [..., N], [..., K] -> [...]."""
    return (1 + (known.unsqueeze(-1) - unknown.unsqueeze(-2)).sign().mean((-2, -1))) / 2


def attack(network: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, size: float) -> Tensor:
    """Move each pixel in [0, 1] by `size` to where the loss of its own network rises: [M, N, H, W], [M, N] (FGSM)."""
    with torch.enable_grad():
        images = images.clone().requires_grad_()
        gradient = torch.autograd.grad(F.cross_entropy(network(images).mT, labels, reduction="sum"), images)[0]
    return (images.detach() + size * gradient.sign()).clamp(0, 1)


def class_activation_map(features: Tensor, weights: Tensor) -> Tensor:
    """Return A_c = Σ_d w_cd F_d, where in the picture a class is seen: [..., D, h, w], [..., D] -> [..., h, w]."""
    return (features * weights[..., None, None]).sum(-3)


def heat(maps: Tensor, size: Size) -> Tensor:
    """Return the positive part of maps, enlarged smoothly and scaled to a maximum of 1: [B, h, w] -> [B, H, W]."""
    positive = maps.clamp(min=0)
    positive = positive / positive.amax((-2, -1), keepdim=True).clamp(min=1e-12)
    return F.interpolate(positive.unsqueeze(1), size, mode="bilinear", align_corners=False).squeeze(1)


def found_box(maps: np.ndarray, threshold: float) -> np.ndarray:
    """Return the box around the largest bright piece of each map: first row and column, and those after the last.

    Pixels of a piece touch side by side, not corner to corner: [B, H, W] -> [B, 4], 0 where nothing is bright.
    """
    from scipy.ndimage import find_objects, label

    cross = np.zeros((3, 3, 3), dtype=int)
    cross[1, 1, :] = cross[1, :, 1] = 1
    pieces = np.asarray(label(maps >= threshold, cross)[0])
    boxes, largest = np.zeros((len(maps), 4), dtype=int), np.zeros(len(maps))
    for size, (one, rows, columns) in zip(np.bincount(pieces.ravel())[1:], find_objects(pieces), strict=True):
        if size > largest[one.start]:
            largest[one.start], boxes[one.start] = size, (rows.start, columns.start, rows.stop, columns.stop)
    return boxes


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return intersection over union (IoU) of boxes: [B, 4], [B, 4] -> [B]."""
    sides = (np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])).clip(min=0)
    shared = sides.prod(1)
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (a, b)]
    return shared / (areas[0] + areas[1] - shared)
