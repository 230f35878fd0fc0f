"""WC: what is measured against the paper."""

from __future__ import annotations

from functools import partial

import numpy as np

from reglab.claims import Claim
from reglab.effects import Effect, advantage, end
from reglab.papers.weights.weight_compander.experiments import OneStep, WrongLabels

NULL, STOPPED = "map at the end", ["baseline", "tuned decay"]
SAID = "Regularized networks have fewer weights at zero and a wider spread"

OVER_CLIP, OVER_START, OVER_BASE, OVER_DECAY = (
    advantage("test_accuracy", "WC", over=arm) for arm in ("clip", "small start", "baseline", "tuned decay")
)

paper, identity, control = (partial(Claim, group=group) for group in ("paper", "identity", "control"))


def change(variable: str, arm: str) -> Effect:
    """Return how much a curve of an arm rises from its start to its end."""
    return end(variable, arm) - end(variable, arm, epoch=0)


CHANGE = change("kurtosis", "WC") - change("kurtosis", "baseline")

EXAM = 1000

# fmt: off
CLAIMS = (
    paper("flatter than the map makes it", WrongLabels, "Training through the map lowers the kurtosis of the weights "
          "by more than a map put on a trained network: difference of the changes, start to end", SAID,
          change("kurtosis", "WC") - change("kurtosis", NULL), below=0, source="zero", essential=True),
    paper("away from zero", WrongLabels, "The share of weights below 0.1 rms falls by more than with a map put on a "
          "trained network: difference of the changes, start to end", f"{SAID}; near-zero weights are reactivated",
          change("near_zero", "WC") - change("near_zero", NULL), below=0, source="zero", essential=True),
    paper("generalization", WrongLabels, "With 40 % wrong labels WC knows more new digits than the baseline: "
          "difference of the final test accuracies", "Better image classifiers, on top of other regularizers",
          OVER_BASE, above=0, source="zero", robust=True),
    paper("slope, not only bound or start", WrongLabels, "WC ends more accurate than plain weights that are clipped, "
          "and than those that start small: smaller difference", "Not compared in what we read",
          lambda r: np.minimum(OVER_CLIP(r), OVER_START(r)), above=0, seeds=16, source="zero",
          why="A clamp at its own best bound does nearly as well."),
    paper("no weight decides", WrongLabels, "WC loses less accuracy than the baseline without the largest 2 % of its "
          "hidden weights: difference", "Overfitted networks lean on few large weights",
          end("knockout", "WC") - end("knockout", "baseline"), below=0, source="zero"),
    paper("learned parameters", WrongLabels, "With learned a and b WC ends as accurate: difference of the final test "
          "accuracies to fixed ones", "The parameters can be learned in training",
          advantage("test_accuracy", "learned", over="WC"), above=-0.01, source="pilot",
          why="In pilot runs training widened the bound more than threefold and fitted the wrong labels."),
    identity("bound", WrongLabels, "No weight of WC reaches πa/2 at any measurement: largest max|w| − πa/2",
             "Follows from the map", lambda r: r.bound_excess.sel(arm="WC").max("epoch"), below=0, rule="every seed",
             source="theory", essential=True),
    identity("one step", OneStep, "A small step on v moves w by −η(a/b)² cos⁴(w/a) times the gradient: largest "
             "relative error", "Follows from the map", lambda r: float(r.gap.max()), below=1e-4, rule="exact",
             source="theory", essential=True),
    identity("limit", WrongLabels, "With κ = 50 the kurtosis of WC changes as that of the baseline: distance of the "
             "changes", "Follows from the map", lambda r: abs(CHANGE(r)), {"κ = 50": {"kappa": 50}}, below=0.02,
             source="pilot"),
    control("against tuned decay", WrongLabels, "WC ends more accurate than plain weights with a tuned weight decay: "
            "difference of the final test accuracies", "Not compared in what we read", OVER_DECAY, above=0, seeds=16,
            source="zero", why="A strong weight decay alone brings most of the gain."),
    control("against stopping", WrongLabels, "WC's last epoch beats the best held-out epoch of baseline and tuned "
            "decay: difference to the better one, 60 of the 300 digits held out", "Not compared in what we read",
            lambda r: end("test_accuracy", "WC")(r) - r.stopped_accuracy.sel(arm=STOPPED).max("arm"),
            {"held out": {"held_out": 60}}, above=0, seeds=16, source="zero",
            why="Decay and stopping together resist wrong labels, too."),
    control("needs wrong labels", WrongLabels, "With right labels WC does not end more accurate than the baseline: "
            "difference of the final test accuracies", "Gains on clean images, with large networks", OVER_BASE,
            {"right labels": {"label_noise": 0}}, below=0.01, source="pilot"),
)
# fmt: on
