"""Mask tuning: pictures that occur only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from reglab.papers.finetuning.mask_tuning import method
from reglab.pictures.views import FURTHER, METHOD, WIDE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def draw_phase(figure: Figure, results: xr.Dataset) -> str:
    """Draw P in the plane of both gradients, and where the elements of one query matrix lie in the last step."""
    wide = figure.get_figwidth() >= WIDE
    a, b, kept = results.elements.transpose("quantity", "element").values
    scale = np.sqrt(np.mean(a**2))
    left, right = figure.subplots(1 if wide else 2, 2 if wide else 1, squeeze=False).flat
    figure.set_figheight(3.4 if wide else 6.4)
    line = np.linspace(-3, 3, 241)
    grid_a, grid_b = (torch.as_tensor(one) for one in np.meshgrid(line, line))
    shown = left.pcolormesh(
        line, line, method.keep_probability(grid_a, grid_b), cmap="cividis", vmin=0, vmax=1, rasterized=True
    )
    figure.colorbar(shown, ax=left, label="P, chance to be kept")
    left.set_title("When is a gradient kept?")
    right.set_title("Where do real ones lie?")
    for chosen, color, marker, name in (
        (kept > 0, METHOD.color, "o", "kept"),
        (kept == 0, FURTHER[3].color, "X", "dropped"),
    ):
        right.plot(
            a[chosen] / scale, b[chosen] / scale, marker, color=color, ms=4, mec="none", alpha=0.6, ls="", label=name
        )
    right.legend(loc="upper left", fontsize=9, markerscale=2)
    for axes in (left, right):
        axes.set(xlim=(-3, 3), ylim=(-3, 3), xlabel="a, wanted by the task", ylabel="b, wanted by the old model")
        axes.grid(False)
    conflict = a * b < 0
    return (
        "Left: the chance P to be kept in the plane of both gradients: 1 where the signs agree, down to 0 where the "
        "old model's gradient is opposite and much larger. Right: the elements of one query matrix in the last step, "
        f"first seed, in units of the root mean square of a: {conflict.mean():.0%} are in conflict, of these "
        f"{1 - kept[conflict].mean():.0%} are dropped; of the others {1 - kept[~conflict].mean():.1%}."
    )


def draw_masks(figure: Figure, results: xr.Dataset) -> str:
    """Draw the mask of one query matrix at four moments of R-AMT's training, first seed."""
    moments = results.moment.values[1:]
    rows = 1 if figure.get_figwidth() >= WIDE else 2
    figure.set_figheight(2.5 * rows)
    said = []
    for axes, moment in zip(figure.subplots(rows, len(moments) // rows, squeeze=False).flat, moments, strict=True):
        mask = results.query_mask.sel(moment=moment).transpose("row", "column").values
        axes.imshow(1 - mask, cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
        axes.set(
            xticks=[], yticks=[], xlabel="output", ylabel="input", title=f"Step {moment}: {1 - mask.mean():.1%} off"
        )
        axes.grid(False)
        axes.spines[:].set_visible(True)
        said.append(f"{1 - mask.mean():.1%} at step {moment}")
    shares = results.by_matrix.mean("seed")
    most = ", ".join(f"{name} {float(shares.sel(matrix=name)):.1%}" for name in shares.matrix.values)
    return (
        "The 48 x 48 weights of the first block's query matrix, first seed; black is off: "
        + ", ".join(said)
        + f". In the end, mean over seeds, by matrix: {most}."
    )
