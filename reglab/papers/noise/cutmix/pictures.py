"""CutMix: pictures that occur only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.papers.noise.cutmix import experiments, method
from reglab.pictures.views import FURTHER, METHOD, WIDE, Style
from reglab.results import settings_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes as Plot
    from matplotlib.figure import Figure


def outline(axes: Plot, box: np.ndarray, look: Style, line: str = "--") -> None:
    """Draw the outline of a box (top, left, bottom, right, as pixels), if it is not empty."""
    from matplotlib.patches import Rectangle

    top, left, bottom, right = box
    if bottom > top and right > left:
        corner = (left - 0.5, top - 0.5)
        axes.add_patch(Rectangle(corner, right - left, bottom - top, fill=False, lw=2, ls=line, ec=look.color))


def draw_samples(figure: Figure, results: xr.Dataset) -> str:
    """Draw two training pictures as each arm sees them, with the weights of the classes in their label below."""
    arms, said = (experiments.PLAIN, experiments.MIXUP, experiments.CUTOUT, experiments.CUTMIX), []
    cells = [(i, arm) for i in range(len(results.example)) for arm in arms]
    columns = 4 if figure.get_figwidth() >= WIDE else 2
    rows = len(cells) // columns
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[5, 1] * rows)
    for number, (i, arm) in enumerate(cells):
        row, column = divmod(number, columns)
        picture, bar = grid[2 * row, column], grid[2 * row + 1, column]
        one = results.isel(example=i)
        picture.imshow(one["sample"].sel(arm=arm).values, cmap="cividis", vmin=0, vmax=1)
        picture.set_title(arm, loc="center")
        outline(picture, one.box.sel(arm=arm).values, FURTHER[0])
        weights, own = one.given.sel(arm=arm).values, int(one.given.sel(arm=experiments.PLAIN).values.argmax())
        left, words = 0.0, []
        for label in (own, *(other for other in np.flatnonzero(weights) if other != own)):
            look, hatch = (METHOD, "") if label == own else (FURTHER[0], "////")
            bar.barh(0, weights[label], left=left, color=look.color, hatch=hatch)
            words.append(f"{label}: {weights[label]:.2f}")
            left += weights[label]
        bar.set_title("  ".join(words), fontsize=9, loc="center", weight="normal", pad=2)
        bar.set_xlim(0, 1)
        said.append(f"{arm}, picture {i + 1}: label " + " and ".join(words))
    for axes in grid.flat:
        axes.set_axis_off()
    return "Two training pictures as four arms see them, with their labels. " + "; ".join(said) + "."


def draw_maps(figure: Figure, results: xr.Dataset) -> str:
    """Draw the maps of all arms on the same test scenes, with the true box and the box of the map."""
    arms, count = list(results.arm.values), len(results.example)
    wide = figure.get_figwidth() >= WIDE
    grid = figure.subplots(count if wide else len(arms) + 1, len(arms) + 1 if wide else count, squeeze=False)
    grid = grid if wide else grid.T
    said, tau = [], settings_of(results)["threshold"]
    for i in range(count):
        truth = results.true_box.isel(example=i).values
        panels = [("scene", results.scene.isel(example=i).values, "RdBu_r", (-1.2, 1.2), np.zeros(4))]
        for arm in arms:
            one = results.sel(arm=arm).isel(example=i)
            panels.append((arm, one["map"].values, "gray", (0, 1), one.found_box.values))
        for axes, (name, values, colors, (low, high), found) in zip(grid[i], panels, strict=True):
            axes.imshow(values, cmap=colors, vmin=low, vmax=high)
            outline(axes, truth, FURTHER[1], "-")
            outline(axes, found, FURTHER[3])
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(False)
            if wide and i == 0:
                axes.set_title(name, loc="center", fontsize=9)
            elif not wide and i == 0:
                axes.set_ylabel(name, fontsize=9, rotation=0, ha="right", va="center")
    for arm in arms:
        one = results.sel(arm=arm)
        found = method.overlap(one.found_box.values, results.true_box.values)
        said.append(f"{arm} {', '.join(f'{value:.2f}' for value in found)}")
    return (
        f"Class activation maps of {count} test scenes for all arms, with the true box (solid) and the box of the map "
        f"at threshold {tau:g} (dashed). Overlap (IoU): " + "; ".join(said) + "."
    )
