"""ELR: what is measured against the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.claims import Claim
from reglab.effects import advantage, end, fall
from reglab.papers.labels.early_learning.experiments import EarlyAccuracy, LinearTheory, Memorization, StoppingTime

if TYPE_CHECKING:
    import xarray as xr


def early(results: xr.Dataset, variable: str) -> xr.DataArray:
    """Return a variable of the cross-entropy arm before its step T, NaN from then on: [seed, time]."""
    curves = results[variable].sel(arm="cross-entropy")
    return curves.where(results.time < results.stopping_time.sel(arm="cross-entropy"))


def rise_until_stopping(results: xr.Dataset, variable: str) -> xr.DataArray:
    """Return by how much a variable of the cross-entropy arm has risen at its step T: one number per seed."""
    curves, stop = results[variable].sel(arm="cross-entropy"), results.stopping_time.sel(arm="cross-entropy")
    return curves.where(results.time == stop).max("time") - curves.isel(time=0)


def half_range(values: xr.DataArray) -> float:
    """Return half the range of some numbers over the middle of the range."""
    return float((values.max() - values.min()) / (values.max() + values.min()))


EXAM = 2000

# fmt: off
CLAIMS = (
    Claim("early learning", Memorization,
          "Cross-entropy first predicts the true class of wrongly labeled digits, then forgets it: fall of that "
          "share from its peak to the end",
          "CIFAR-10, 40 %: ResNet-34 first predicts the true class of most wrongly labeled images (Fig. 1)",
          fall("wrong_true", "cross-entropy"), above=0.3, group="paper", source="pilot", essential=True),
    Claim("holds the truth", Memorization,
          "With ELR wrongly labeled digits are predicted as what they are, not as labeled: difference of the final "
          "shares",
          "Almost no wrong label is memorized (Fig. 1, bottom)",
          end("wrong_true", "ELR") - end("wrong_memorized", "ELR"), above=0.5, group="paper", source="pilot",
          essential=True),
    Claim("prevents memorization", Memorization,
          "ELR ends more accurate than cross-entropy: difference of the final test accuracies",
          "CIFAR-10, 40 % symmetric noise: 81.88 % → 89.15 % (60 %: 74.14 % → 86.12 %)",
          advantage("test_accuracy", "ELR", over="cross-entropy"), above=0, group="paper", source="zero",
          essential=True),
    Claim("cancels cross-entropy", Memorization,
          "Late in ELR training the regularizer pulls wrongly labeled digits to the true class and cancels at least "
          "half of the push of cross-entropy: share canceled",
          "It neutralizes the gradient of wrongly labeled examples (Section 4.2)",
          -end("wrong_pull", "ELR") / end("wrong_push", "ELR"), above=0.5, group="paper", source="pilot",
          essential=True),
    Claim("early direction", LinearTheory,
          "Until step T the descent direction points to the truth: smallest cos(−∇L, v)",
          "At least 1/6 for all t < T (Proposition 3)",
          lambda r: early(r, "cosine").min("time"), above=1 / 6, rule="every seed", group="paper", source="paper",
          essential=True),
    Claim("who makes the gradient", LinearTheory,
          "Until step T the mean κ² of rightly labeled points falls and that of wrongly labeled ones rises: the "
          "smaller change",
          "Both change by more than 0.05 (Proposition 5)",
          lambda r: np.minimum(-rise_until_stopping(r, "clean_kappa"), rise_until_stopping(r, "wrong_kappa")),
          above=0.05, rule="every seed", group="paper", source="paper", essential=True),
    Claim("time scales", StoppingTime,
          "T is inversely proportional to η: spread of the mean T·η over four learning rates, half range over middle",
          "T = Ω(1/η) (Theorem 4)",
          lambda r: half_range(r["product"].mean("seed")), below=0.15, rule="bootstrap", group="paper",
          source="pilot", essential=True),
    Claim("late memorization", LinearTheory,
          "In the end gradient descent fits the wrong labels: share of wrongly labeled points predicted as labeled",
          "All noisy labels are fitted as t → ∞ (Theorem 4)",
          end("wrong_memorized", "cross-entropy"), above=0.95, seeds=16, group="paper", source="pilot",
          essential=True),
    Claim("ELR keeps accuracy", LinearTheory,
          "With ELR the exact test accuracy stays near 1: final value",
          "Two Gaussians in 100 dimensions, 40 % random labels: no memorization with ELR (Appendix B)",
          end("test_accuracy", "ELR"), above=0.99, group="paper", source="pilot", essential=True, robust=True),
    Claim("early accuracy", EarlyAccuracy,
          "At step T, for σ = 0.01 and 0.02, almost all wrongly labeled points are predicted right: their share",
          "Accuracy at T above .9999 for σ small enough (Theorem 4)",
          lambda r: r.measured.sel(spread=[0.01, 0.02]).mean("spread"), above=0.99, seeds=16, group="paper",
          source="paper", essential=True),
    Claim("early accuracy formula", EarlyAccuracy,
          "At step T the share of wrongly labeled points that are predicted right follows Φ(θᵀv/(σ‖θ‖)): largest "
          "distance of the means over σ",
          "Follows from the Gaussian model (Appendix A)",
          lambda r: abs((r.measured - r.formula).mean("seed")).max("spread"), below=0.05, rule="exact",
          group="identity", source="pilot", essential=True),
    Claim("better than stopping", Memorization,
          "ELR ends more accurate than cross-entropy stopped where it fits held-out noisy labels best: difference of "
          "the final test accuracies",
          "Not compared; no clean label is needed for this stopping either",
          advantage("test_accuracy", "ELR", over="early stopping"), above=0, group="control", source="zero", seeds=16),
    Claim("better than weight decay", Memorization,
          "ELR ends more accurate than cross-entropy with a weight decay chosen on held-out noisy labels: difference "
          "of the final test accuracies",
          "Not compared", advantage("test_accuracy", "ELR", over="weight decay"), above=0, group="control",
          source="zero", seeds=16),
    Claim("shape matters", Memorization,
          "ELR ends more accurate than the same targets with a KL term, both strengths chosen alike: difference of the "
          "final test accuracies",
          "The KL form overfits the targets (Appendix C)",
          advantage("test_accuracy", "ELR", over="KL"), above=0, group="control", source="zero", seeds=16),
    Claim("needs its own targets", Memorization,
          "ELR ends more accurate than the same loss with the targets of other digits: difference of the final test "
          "accuracies",
          "Not reported; our null",
          advantage("test_accuracy", "ELR", over="shuffled targets"), above=0, group="control", source="zero",
          essential=True),
    Claim("no noise, no effect", Memorization,
          "Without wrong labels ELR changes next to nothing: difference of the final test accuracies to cross-entropy",
          "Not reported; a limit",
          advantage("test_accuracy", "ELR", over="cross-entropy"), at={"no noise": {"noise": 0.0}},
          within=(-0.01, 0.01), group="control", source="pilot"),
)
# fmt: on
