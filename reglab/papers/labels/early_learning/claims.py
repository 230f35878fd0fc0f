"""ELR: what is measured against the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reglab.claims import Claim
from reglab.effects import advantage, end, fall
from reglab.papers.labels.early_learning.experiments import EarlyAccuracy, LinearTheory, Memorization, StoppingTime

if TYPE_CHECKING:
    import xarray as xr


def early(results: xr.Dataset, variable: str) -> xr.DataArray:
    """Return a variable of the cross-entropy arm before its step T, NaN from then on: [seed, time]."""
    curves = results[variable].sel(arm="cross-entropy")
    return curves.where(results.time < results.stopping_time.sel(arm="cross-entropy"))


def change_until_stopping(results: xr.Dataset, variable: str) -> xr.DataArray:
    """Return how much a variable of the cross-entropy arm has changed at its step T: one number per seed."""
    curves, stop = results[variable].sel(arm="cross-entropy"), results.stopping_time.sel(arm="cross-entropy")
    return curves.where(results.time == stop).max("time") - curves.isel(time=0)


EXAM = 0

# fmt: off
CLAIMS = (
    Claim("early learning", Memorization,
          "Cross-entropy first predicts the true class of wrongly labeled digits, then forgets it: fall of that "
          "share from its peak to the end",
          "CIFAR-10, 40 %: ResNet-34 first predicts the true class of most wrongly labeled images (Fig. 1)",
          fall("wrong_true", "cross-entropy"), above=0.3, essential=True, group="paper", source="pilot"),
    Claim("memorization hurts", Memorization,
          "The test accuracy of cross-entropy falls from its peak to the end",
          "Test accuracy falls once the wrong labels are memorized (Fig. 1, Section 1)",
          fall("test_accuracy", "cross-entropy"), above=0.05, essential=True, group="paper", source="pilot"),
    Claim("prevents memorization", Memorization, "ELR ends more accurate than cross-entropy: difference of the final "
          "test accuracies", "CIFAR-10, 40 % symmetric noise: 81.88 % → 89.15 % (60 %: 74.14 % → 86.12 %)",
          advantage("test_accuracy", "ELR", over="cross-entropy"), above=0.1, essential=True,
          group="paper", source="pilot"),
    Claim("few memorized", Memorization,
          "ELR memorizes few wrong labels: final share",
          "Almost no wrong label is memorized (Fig. 1, bottom)", end("wrong_memorized", "ELR"), below=0.15,
          essential=True, group="paper", source="pilot"),
    Claim("cancels cross-entropy", Memorization, "Late in ELR training the regularizer pulls wrongly labeled digits to "
          "the true class and cancels at least half of the push of cross-entropy: share cancelled",
          "It neutralizes the gradient of wrongly labeled examples (Section 4.2)",
          -end("wrong_pull", "ELR") / end("wrong_push", "ELR"), above=0.5, essential=True,
          group="paper", source="pilot"),
    Claim("wrong labels dominate", Memorization, "Late in cross-entropy training wrongly labeled digits have larger "
          "gradients: difference of mean ‖p − y‖", "Wrongly labeled examples dominate the gradient after early "
          "learning (Section 3, Fig. 2)",
          end("wrong_residual", "cross-entropy") - end("clean_residual", "cross-entropy"), above=0, essential=True,
          group="paper", source="zero"),
    Claim("shape matters", Memorization,
          "ELR ends more accurate than the same targets with a KL term: difference of the final test accuracies",
          "The KL form overfits the targets (Appendix C)", advantage("test_accuracy", "ELR", over="KL"), above=0.05,
          essential=True, group="control", source="pilot"),
    Claim("unstable without memory", Memorization, "With β = 0 (the target is the present prediction) ELR is unstable: "
          "sd of the final test accuracy over seeds", "CIFAR-10, 60 % noise, β = 0: 38 % (Appendix H)",
          lambda r: end("test_accuracy", "ELR, no memory")(r).std("seed", ddof=1), above=0.1,
          rule="bootstrap", group="paper", source="pilot", why="Eight seeds are few to measure a spread, so its "
          "interval is wide; more seeds would narrow it."),
    Claim("early direction", LinearTheory,
          "Until step T the descent direction points to the truth: smallest cos(−∇L, v)",
          "At least 1/6 for all t < T (Proposition 3)", lambda r: early(r, "cosine").min("time"), above=1 / 6,
          rule="every seed", essential=True, group="paper", source="paper"),
    Claim("right labels fade", LinearTheory,
          "Until step T the mean κ² of rightly labeled points falls: change",
          "Falls by more than 0.05 (Proposition 5)", lambda r: change_until_stopping(r, "clean_kappa"), below=-0.05,
          rule="every seed", essential=True, group="paper", source="paper"),
    Claim("wrong labels grow", LinearTheory,
          "Until step T the mean κ² of wrongly labeled points rises: change",
          "Rises by more than 0.05 (Proposition 5)", lambda r: change_until_stopping(r, "wrong_kappa"), above=0.05,
          rule="every seed", essential=True, group="paper", source="paper"),
    Claim("time scales", StoppingTime,
          "T is inversely proportional to η: spread of the mean T·η over four learning rates, half range over middle",
          "T = Ω(1/η) (Theorem 4)", lambda r: half_range(r["product"].mean("seed")), below=0.15, rule="bootstrap",
          essential=True, group="paper", source="pilot"),
    Claim("late memorization", LinearTheory,
          "In the end gradient descent fits the wrong labels: share of wrongly labeled points predicted as labeled",
          "All noisy labels are fitted as t → ∞ (Theorem 4)", end("wrong_memorized", "cross-entropy"), above=0.95,
          essential=True, group="paper", source="pilot"),
    Claim("late harm", LinearTheory,
          "Meanwhile the exact test accuracy falls from its peak to the end",
          "Memorization harms generalization (Section 3)", fall("test_accuracy", "cross-entropy"), above=0.05,
          essential=True, group="paper", source="pilot"),
    Claim("ELR keeps the truth", LinearTheory,
          "With ELR the wrongly labeled points stay at their true class: final share",
          "Two Gaussians in 100 dimensions, 40 % random labels: no memorization with ELR (Appendix B)",
          end("wrong_true", "ELR"), above=0.99, essential=True, group="paper", source="pilot"),
    Claim("ELR keeps accuracy", LinearTheory,
          "With ELR the exact test accuracy stays near 1: final value",
          "The same picture (Appendix B)", end("test_accuracy", "ELR"), above=0.99, essential=True, robust=True,
          group="paper", source="pilot"),
    Claim("early accuracy", EarlyAccuracy, "At step T, for σ ≤ 0.02, almost all wrongly labeled points are predicted "
          "right: share over σ = 0.01 and 0.02", "Accuracy at T above .9999 for σ small enough (Theorem 4)",
          lambda r: r.measured.sel(spread=[0.01, 0.02]).mean("spread"), above=0.99, essential=True,
          group="paper", source="pilot"),
    Claim("early accuracy formula", EarlyAccuracy, "For larger σ that share follows Φ(θᵀv/(σ‖θ‖)): largest distance of "
          "the means over σ", "Follows from the Gaussian model (Appendix A)",
          lambda r: abs((r.measured - r.formula).mean("seed")).max("spread"), below=0.05,
          rule="exact", essential=True, group="identity", source="pilot"),
)
# fmt: on


def half_range(values: xr.DataArray) -> float:
    """Return half the range of some numbers over the middle of the range."""
    return float((values.max() - values.min()) / (values.max() + values.min()))
