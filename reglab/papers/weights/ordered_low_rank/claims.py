"""Ordered low rank: what is measured against the paper."""

from __future__ import annotations

from reglab.claims import Claim
from reglab.effects import advantage
from reglab.papers.weights.ordered_low_rank.experiments import Digits

EXAM = 1000

# WRITE: up to 12 claims, before you measure any; essential: must hold if the method works; robust: far from its bound
CLAIMS = (
    Claim(
        "method helps",
        Digits,
        "WRITE: our statement, with what is measured: difference of the final test accuracies",
        "WRITE: what the paper says, with its number and where it stands",
        advantage("test_accuracy", "method", over="baseline"),
        above=0,
        group="paper",
        source="zero",
        essential=True,
        robust=True,
    ),
    Claim(
        "beats the rival",
        Digits,
        "WRITE: our statement about the cheapest alternative: difference of the final test accuracies",
        "WRITE: what the paper says about it, or that it says nothing",
        advantage("test_accuracy", "method", over="L2 penalty"),
        above=0,
        group="control",
        source="zero",
    ),
)
