"""ConR: pictures that occur once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.papers.labels.imbalanced_regression.experiments import MODE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

KINDS = {"ignored": "#e8e8e8", "positive": "#0072B2", "hard negative": "#D55E00"}
"""How a pair of a batch is shown."""


def pairs(figure: Figure, results: xr.Dataset) -> str:
    """Draw which pairs of ConR's last batch are pulled together and pushed apart, for the first seed."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    kinds = results.pair_kind.sel(arm="ConR").isel(seed=0).values
    axes = figure.subplots()
    axes.imshow(kinds, cmap=ListedColormap(list(KINDS.values())), vmin=-0.5, vmax=2.5, interpolation="nearest")
    axes.set(title="Which pairs of a batch does ConR see?", xlabel="example, sorted by label", ylabel="anchor")
    axes.grid(visible=False)
    patches = [Patch(color=color, label=name) for name, color in KINDS.items()]
    axes.legend(handles=patches, loc="center left", bbox_to_anchor=(1.02, 0.5))
    shares = [f"{name} {np.mean(kinds == kind):.0%}" for kind, name in enumerate(KINDS)]
    return f"Pairs of the last batch of ConR, first seed, sorted by label: {', '.join(shares)}."


def geometry(figure: Figure, results: xr.Dataset) -> str:
    """Draw the features of 200 test points with even labels for L1 and ConR, first seed, in the color of the label."""
    wide = figure.get_figwidth() > 5
    panels = figure.subplots(1, 2) if wide else figure.subplots(2, 1)
    labels, said = results.point.values, []
    rare = abs(labels - MODE) > 20
    for axes, arm in zip(panels, ("L1", "ConR"), strict=True):
        x, y = results.features_2d.sel(arm=arm).isel(seed=0).values.T
        edges = np.where(rare, "black", "none")
        dots = axes.scatter(x, y, c=labels, s=26, cmap="viridis", edgecolors=edges, linewidths=0.7)
        axes.set(title=f"{arm}: are like labels side by side?", xlabel="first component", ylabel="second component")
        axes.set_aspect("equal", adjustable="datalim")
        far = results.neighbor_distance.sel(arm=arm).isel(seed=0)
        said.append(f"{arm} {float(far):.1f}")
    figure.colorbar(dots, ax=list(panels), label="label (black edge: rare)")
    return (
        "Two principal components of the features of 200 test points with even labels, first seed. Mean label "
        f"distance of rare points to their five nearest training points: {', '.join(said)}."
    )
