"""TokenCrisis: what is measured against the paper."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from reglab.claims import Claim
from reglab.effects import advantage, end
from reglab.papers.noise.repeated_data.experiments import SHOWN, Few, Repetition

FRESH, REPEATED, DROPPED = (end("test_excess", arm) for arm in SHOWN[:3])
DEGRADED, RATES = REPEATED - FRESH, (0.1, 0.2, 0.3, 0.5)

paper, control = (partial(Claim, group=group) for group in ("paper", "control"))


def proxy(*runs: xr.Dataset) -> float:
    """Return what dense models lose at the best rate of experts: four runs of dense ones, then four of experts."""
    means = [float(DROPPED(one).mean("seed")) for one in runs]
    return means[int(np.argmin(means[4:]))] - min(means[:4])


EXAM = 1000

# fmt: off
CLAIMS = (
    paper("degradation", Few, "Repeated letters end worse than fresh ones: difference of the test excess",
          "T5 Base, C4: 64.6 % of masked tokens right with 2³⁵ tokens seen once, 61.7 % with 2²⁷ seen 2⁸ times",
          DEGRADED, above=0, source="zero", essential=True, robust=True),
    paper("fewer letters, more of it", Few, "With fewer unique letters the test excess is larger: smaller rise from "
          "8000 to 2000 and from 2000 to 1000", "It is worse the more often tokens repeat",
          lambda a, b, c: np.minimum(REPEATED(b) - REPEATED(a), REPEATED(c) - REPEATED(b)),
          {str(U): {"unique": U} for U in (8000, 2000, 1000)}, above=0.1, source="pilot", essential=True),
    paper("the ranking of sizes flips", Few, "512 hidden units are worse than 16 on repeated letters and better on "
          "fresh ones: smaller difference of the test excess", "Larger models overfit more when tokens repeat",
          lambda a, b: np.minimum(REPEATED(a) - REPEATED(b), FRESH(b) - FRESH(a)),
          {str(H): {"hidden": H} for H in (512, 16)}, above=0, source="zero", essential=True),
    paper("dropout, when data repeat", Repetition, "Dropout helps on repeated letters and harms on fresh ones: smaller "
          "difference of the test excess", "Limited data: 61.7 % → 63.0 % with dropout", lambda r: np.minimum(
              (REPEATED - DROPPED)(r), advantage("test_excess", "fresh + dropout", "fresh")(r)), above=0.05,
          source="pilot", essential=True),
    paper("memorization", Repetition, "Repeated letters are predicted better than the source allows: training excess",
          "Models learn them by heart", end("train_curve", "repeated"), below=0, source="theory", essential=True),
    paper("parameters, not arithmetic", Few, "Four experts of 32 units degrade as 128 dense units do rather than 32: "
          "distance to the first minus that to the second", "Experts behave as a dense model with as many parameters",
          lambda a, b, c: abs(DEGRADED(a) - DEGRADED(b)) - abs(DEGRADED(a) - DEGRADED(c)),
          {"experts": {"experts": 4}, "dense": {}, "small": {"hidden": 32}}, below=0, source="zero"),
    Claim("the truth has no excess", Repetition, "On the test strings the loss of the true table is the entropy rate: "
          "distance in standard errors (a uniform table: 0.836 nats)", "Follows from the definition",
          lambda r: float(r.truth.sum() / len(r.seed) ** 0.5), within=(-3, 3), rule="exact", group="identity",
          source="theory", essential=True),
    control("against stopping", Repetition, "Dropout ends better than the best checkpoint without it: difference "
            "of the test excess", "Not compared", DROPPED - end("best_checkpoint", "repeated"), below=0, source="zero"),
    control("against tuned rivals", Repetition, "Dropout ends better than the best of weight decay, label smoothing "
            "and 16 units: difference of the test excess", "Others bring little; decay on top of them did not train",
            lambda a, b: DROPPED(a) - np.minimum(a.test_excess.sel(arm=["decay", "label smoothing"]).min("arm"),
                                                 REPEATED(b)), {"128": {}, "16": {"hidden": 16}}, below=0,
            source="zero", why="Here weight decay and label smoothing are tuned as hard as dropout."),
    control("against counting", Repetition, "Dropout ends better than a table of counted triples: difference of the "
            "test excess", "Not compared", DROPPED - end("test_excess", "counts"), below=0, source="zero",
            why="The table is told that two letters are enough; the network has to find out."),
    control("nothing to learn", Few, "Where letters do not depend on each other 512 units are not better than 16: "
            "smaller difference of the test excess, fresh or repeated", "Not reported; our null",
            lambda a, b: np.minimum(FRESH(a) - FRESH(b), REPEATED(a) - REPEATED(b)), above=-0.01,
            at={str(H): {"source": "letters", "hidden": H} for H in (512, 16)}, source="pilot", essential=True),
    control("experts as a proxy", Few, "The best dropout rate of four experts is good for the dense model: what is "
            "lost beside the best rate", "Rates from 0.2 to 0.3, found with experts, hold for dense models", proxy,
            {f"{E}, {p}": {"experts": E, "drop": p} for E in (1, 4) for p in RATES}, below=0.05, rule="bootstrap",
            source="pilot", why="The best rates lie close together."),
)
# fmt: on
