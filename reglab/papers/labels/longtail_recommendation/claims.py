"""SSL-CFM: what is measured against the paper."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from reglab.claims import Claim
from reglab.effects import advantage
from reglab.papers.labels.longtail_recommendation.experiments import Shopping

EXAM = 2000


def twins(results: Any) -> Any:
    """Return how much of f3 its twin f6 does not tell, in nats, plus how many masks hide just one of both: [seed]."""
    about, hidden = results.mutual_information.sel(feature="f3"), results.hidden
    gap, split = (abs(one.sel(feature_2="f3") - one.sel(feature_2="f6")) for one in (about, hidden))
    return gap + split.sum("feature")


paper, control = (partial(Claim, group=group, source="zero", seeds=16) for group in ("paper", "control"))
tail, gain = partial(advantage, "recall_tail", "CFM"), partial(advantage, arm="CFM", over="base")
BETTER, NOT_COMPARED = "Better than no regularization in both data sets (Section 4; tables not read)", "Not compared"

# fmt: off
CLAIMS = (
    paper("finds tail items", Shopping, "CFM finds more tail items than no second task: difference of Recall@50",
          BETTER, gain("recall_tail"), above=0.02, source="pilot", essential=True),
    paper("uniform demand", Shopping, "In equal demand CFM finds more items than base: difference of Recall@50",
          BETTER, gain("recall_uniform"), above=0.02, source="pilot", essential=True),
    paper("more for the tail", Shopping, "CFM gains more Recall@50 on tail items than on head items: difference",
          "Larger gains on the tail slice than on the head", gain("recall_tail") - gain("recall_head"), above=0.02,
          source="pilot", why="What is learned of features helps head items, too."),
    paper("learns the features", Shopping, "Nearest neighbors of items with at most one click share hidden groups more "
          "often: smaller of both rises", "It learns relations between features of items without feedback",
          lambda r: np.minimum(gain("purity_a")(r), gain("purity_b")(r)), above=0.03, source="pilot", essential=True),
    paper("uniform items", Shopping, "Items of the second task are uniform rather than from the log: difference of "
          "Recall@50, tail", "Better than sampling from the log, and critical", tail("CFM from log"), above=0,
          why="Much of what is learned from popular items holds for all."),
    paper("correlated masks", Shopping, "Masks of correlated rather than random features: difference of Recall@50, "
          "tail", "CFM is better than RFM", tail("RFM"), above=0, why="One pair of features is the only shortcut here, "
          "and random masks split the others in more ways."),
    Claim("no shortcut", Shopping, "The twin tells all of the publisher, and no mask of CFM hides just one: gap of the "
          "mutual information plus number of such masks", "Correlated features are masked together",
          twins, {"short": {"epochs": 1, "pairs": 500}}, within=(-1e-9, 1e-9), rule="every seed", seeds=4,
          essential=True, robust=True, group="identity", source="theory"),
    control("better than feature dropout", Shopping, "CFM finds more tail items than features masked in the main task "
            "alone, both strengths chosen alike: difference of Recall@50", "Feature dropout is a weaker baseline",
            tail("feature dropout"), above=0, why="Masked features teach the main task what the second one teaches."),
    control("popularity for all", Shopping, "With popularity in the score, as validation clicks choose, CFM finds more "
            "of all items than base: difference of Recall@50", NOT_COMPARED, gain("recall_best_prior"), above=0,
            why="Popular items need no features."),
    control("spreading is not enough", Shopping, "With whole items in both views, which only spreads them, the second "
            "task finds fewer tail items than none: difference of Recall@50", "Spread-out regularization is a baseline",
            advantage("recall_tail", "SO", "base"), below=0, essential=True),
    control("needs its own features", Shopping, "CFM finds more tail items than with features of another item in the "
            "second view: difference", NOT_COMPARED, tail("other item's features"), above=0, essential=True),
    control("many clicks", Shopping, "With 8000 clicks CFM changes little: difference of Recall@50 to base, tail",
            "Smaller gains with more training data", gain("recall_tail"), {"many clicks": {"pairs": 8000}},
            within=(-0.02, 0.02), source="pilot", why="With many clicks the second task may cost more than it gives."),
)
# fmt: on
