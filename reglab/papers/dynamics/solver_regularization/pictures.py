"""Solver regularization: a picture that occurs only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def draw_steps(figure: Figure, results: xr.Dataset) -> str:
    """Draw the first seed's accepted steps after training as bars along the time, the color is the error estimate."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    arms, axes, said = ("vanilla", "SR", "ER²", "ER"), figure.subplots(), []
    scale = ScalarMappable(Normalize(0, 1), "viridis")
    for row, arm in enumerate(arms):
        sizes, errors = (results[name].sel(arm=arm).isel(seed=0).values for name in ("size", "error"))
        sizes, errors = sizes[sizes > 0], errors[sizes > 0]
        look = {"left": np.cumsum(sizes) - sizes, "height": 0.6, "color": scale.to_rgba(errors)}
        axes.barh([row] * len(sizes), sizes, edgecolor="white", lw=2, **look)
        said.append(f"{arm} {len(sizes)}, the longest {sizes.max():.2f}")
    axes.set_yticks(range(len(arms)), arms)
    axes.set(xlim=(0, 1), xlabel="time t", title="How large are the steps?")
    axes.grid(False)
    figure.colorbar(scale, ax=axes, label="error estimate E")
    return f"Accepted steps of the first seed from t = 0 to 1, one bar each. Number of steps: {'; '.join(said)}."
