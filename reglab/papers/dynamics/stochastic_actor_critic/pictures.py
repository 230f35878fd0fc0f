"""STAC: pictures that occur only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reglab.papers.dynamics.stochastic_actor_critic import experiments, method
from reglab.papers.dynamics.stochastic_actor_critic.experiments import Actors, Pessimism, PointMass
from reglab.pictures.views import WIDE, styles

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def draw_band(figure: Figure, results: xr.Dataset) -> str:
    """Draw the exact value of the first seed's policy, and what the critic believes with its ±σ, along the line."""
    wide, arms = figure.get_figwidth() >= WIDE, ("β = 0", "STAC")
    axes = figure.subplots(*((1, 2) if wide else (2, 1)), sharex=True, sharey=True)
    s, said = results.state.values, []
    for axis, arm in zip(axes, arms, strict=True):
        one, look = results.sel(arm=arm).isel(seed=0), styles(Actors.arms)[arm]
        believed, sigma = one.believed.values, one.sigma_at.values
        axis.axvspan(method.BORDER, 1, color="#999999", alpha=0.18, lw=0)
        axis.fill_between(s, believed - sigma, believed + sigma, color=look.color, alpha=0.3, lw=0, label="±σ")
        axis.plot(s, believed, color=look.color, lw=2.5, label="critic's μ")
        axis.plot(s, one.exact.values, color="black", lw=1.8, ls=(0, (4, 2)), label="exact value")
        axis.set_title(f"{arm}: what does the critic know?")
        right = s > method.BORDER
        said.append(
            f"{arm}: mean σ {sigma[~right].mean():.2f} left and {sigma[right].mean():.2f} right of {method.BORDER}, "
            f"mean of critic minus exact {(believed - one.exact.values).mean():.2f}"
        )
    axes[0].set_ylabel("value")
    axes[-1].set_xlabel("state s")
    if wide:
        axes[0].set_xlabel("state s")
    axes[0].legend(fontsize=9, loc="lower left")
    return f"Value along the line for the first seed, noisy rewards on the right. {'; '.join(said)}."


def draw_occupancy(figure: Figure, results: xr.Dataset) -> str:
    """Draw where on the line the agents are, one panel for each β, the mean of all seeds as bars."""
    axes = figure.subplots(*((1, 4) if figure.get_figwidth() >= WIDE else (2, 2)), sharex=True, sharey=True)
    look, said = styles(Pessimism.arms), []
    for axis, arm in zip(axes.flat, experiments.BETAS, strict=True):
        density = results.occupancy.sel(arm=arm).mean("seed").values
        axis.axvspan(method.BORDER, 1, color="#999999", alpha=0.18, lw=0)
        axis.bar(results.place.values, density, width=2 / experiments.PLACES, color=look[arm].color)
        axis.set_title(arm, fontsize=10, fontweight="normal")
        axis.set(xlim=(-1, 1), xticks=(-0.6, 0.6), xlabel="state s", ylabel="density")
        axis.label_outer()
        said.append(
            f"{arm}: {float(results.right.sel(arm=arm).isel(step=-1).mean()):.2f} of the time right of {method.BORDER}"
        )
    figure.suptitle("Where is the agent?", fontsize=11, fontweight="bold")
    return f"How often agents are where on the line, mean of all seeds, right hill shaded. {'; '.join(said)}."


def draw_tradeoff(figure: Figure, results: xr.Dataset) -> str:
    """Draw the exact value of every policy against its critic's overestimation, one dot for each run."""
    axes, said = figure.subplots(), []
    for arm, look in styles(Pessimism.arms).items():
        bias, value = (results[name].sel(arm=arm).isel(step=-1).values for name in ("overestimation", "value"))
        axes.plot(bias, value, look.marker, color=look.color, ms=7, mec="white", mew=0.5, label=arm)
        said.append(f"{arm}: overestimation {bias.mean():.2f}, value {value.mean():.2f}")
    axes.axvline(0, color="black", lw=0.8)
    axes.set(xlabel="overestimation", ylabel="policy value", title="Does a right critic act better?")
    axes.legend(fontsize=9, loc="best", ncols=1 if figure.get_figwidth() >= WIDE else 2)
    return f"Each dot is a run. Means: {'; '.join(said)}."


def draw_maps(figure: Figure, results: xr.Dataset) -> str:
    """Draw where the first seed's agents spend their time in the square, with the danger zone as a circle."""
    from matplotlib.patches import Circle

    wide, arms = figure.get_figwidth() >= WIDE, list(PointMass.arms)
    axes, said = figure.subplots(*((1, 5) if wide else (2, 3)), sharex=True, sharey=True), []
    for axis in axes.flat[len(arms) :]:
        axis.axis("off")
    for axis, arm in zip(axes.flat, arms, strict=False):
        shares = results["map"].sel(arm=arm).isel(seed=0).values
        axis.imshow(shares, origin="lower", extent=(0, 1, 0, 1), cmap="viridis", vmin=0, vmax=0.01)
        axis.add_patch(
            Circle(
                (experiments.CENTER, experiments.CENTER), experiments.RADIUS, fill=False, color="white", lw=1.5, ls="--"
            )
        )
        axis.set_title(arm, fontsize=10, fontweight="normal")
        axis.set(xticks=(0, 1), yticks=(0, 1))
        axis.grid(False)
        steps = float(results.inside.sel(arm=arm).isel(seed=0, step=-1))
        said.append(f"{arm}: {steps:.1f} steps in danger for each episode")
    figure.suptitle("Where does the agent walk? Bright: often", fontsize=11, fontweight="bold")
    return f"Maps of the time spent in the unit square, goal at the origin, danger inside a circle. {'; '.join(said)}."
