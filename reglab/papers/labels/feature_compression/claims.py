"""Feature compression: what is measured against the paper."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from reglab.claims import Claim
from reglab.effects import advantage, end
from reglab.papers.labels.feature_compression.experiments import BiasVariance, Compression

EXAM = 1000


def stopped(results: xr.Dataset) -> xr.DataArray:
    """Return the accuracy of CE at the epoch that is the best on the validation digits: one number per seed."""
    return results.accuracy.sel(arm="CE").isel(epoch=results.validation_accuracy.sel(arm="CE").argmax("epoch"))


# fmt: off
paper, control = (partial(Claim, seeds=16, group=group, source="zero") for group in ("paper", "control"))
ce, dropout, nested, selects, rival, both = (end("accuracy", arm) for arm in (
    "CE", "Dropout", "Nested", "CE + Co-teaching", "CE, tuned decay", "Nested + Co-teaching"))
first = partial(end, "prefix_accuracy", prefix=8)

# chosen by the last validation accuracy, seeds 0 to 7, among q = 0.2 … 0.9, η = 2 … 64 and decays from 0.0005 to 0.05
ALONE, TAUGHT = {"decay": 0.02, "drop": 0.4, "std": 64.0}, {"decay": 0.01, "std": 24.0}

CLAIMS = (
    paper("compression helps", Compression, "Dropout and Nested end above CE: the smaller difference",
        "Clothing1M, one network: CE 67.2, Dropout 72.8, Nested 73.1; ANIMAL-10N: 79.4, 81.3, 81.3",
        lambda r: np.minimum(dropout(r), nested(r)) - ce(r), above=0.05, source="pilot"),
    paper("Co-teaching adds", Compression, "Dropout and Nested gain by Co-teaching: the smaller difference",
        "Nested, one network, then a pair with Co-teaching: 73.1 → 74.9 and 81.3 → 84.1", lambda r: np.minimum(
        advantage("accuracy", "Dropout + Co-teaching", "Dropout")(r), both(r) - nested(r)), above=0, essential=True),
    paper("compression adds to Co-teaching", Compression, "At the paper's weight decay Nested + Co-teaching ends above "
        "CE + Co-teaching: difference", "Clothing1M: 69.2 → 74.9", both - selects, above=0),
    paper("ordering", Compression, "The first eight features of Nested know more than those of Dropout: difference",
        "Nested Dropout orders features by importance", first("Nested") - first("Dropout"), above=0.1, source="pilot",
        essential=True),
    paper("bias and variance", BiasVariance, "Dropout lowers variance, and variance plus bias²: the smaller fall",
        "Compression lowers more variance than it adds bias (theorems that we did not read)", lambda r: np.minimum(*(
        one.sel(arm="plain") - one.sel(arm="Dropout") for one in (r.variance, r.variance + r.bias2)
        )), above=0, essential=True),
    Claim("two parts", BiasVariance, "Bias² and variance add up to the mean squared error: largest distance",
        "By definition", lambda r: r.gap.max(), {"short": {"steps": 50}}, below=1e-10, rule="exact", seeds=4,
        group="identity", source="theory", essential=True, robust=True),
    control("rival: decay for compression", Compression, "With strengths chosen, the better of Dropout and Nested "
        "ends above the better of CE with tuned decay and CE stopped: difference", "Not compared", lambda r: np.maximum(
        dropout(r), nested(r)) - np.maximum(rival(r), stopped(r)), {"chosen": ALONE}, above=0,
        why="Weight decay, too, leaves little room for wrong labels."),
    control("rival: decay for all", Compression, "With strengths chosen, Nested + Co-teaching ends above CE with "
        "tuned decay: difference", "Not compared", both - rival, {"chosen": TAUGHT}, above=0,
        why="One tuned number gains most of what the pipeline gains."),
    control("rival: Co-teaching with decay", Compression, "With strengths chosen, Nested + Co-teaching ends above "
        "CE + Co-teaching: difference", "Not compared", lambda taught, alone: both(taught) - selects(alone),
        {"chosen": TAUGHT, "for CE": ALONE}, above=0, why="Weight decay does what compression does."),
    control("null: any digits", Compression, "Nested + Co-teaching ends above random selection: difference", "Not told",
        advantage("accuracy", "Nested + Co-teaching", "random selection"), above=0, essential=True),
    control("rival: PCA", Compression, "Nested's first eight features know more than eight principal components of "
        "CE: difference", "Not compared", first("Nested") - end("pca_accuracy", "CE", prefix=8), above=0.05,
        source="pilot", why="PCA orders the features of any network afterwards."),
)
# fmt: on
