"""ConR: what is measured against the paper."""

from __future__ import annotations

from reglab.claims import Claim
from reglab.effects import advantage
from reglab.papers.labels.imbalanced_regression.experiments import Regression

EXAM = 1000

SMALL = "The difference is a few percent of the error, and seeds differ by as much."

# fmt: off
CLAIMS = (
    Claim("smaller errors", Regression, "ConR has a smaller mean error over all labels than L1: difference",
          "Smaller errors on four data sets (stated; the tables were not read)", advantage("mae", "ConR", over="L1"),
          below=0, seeds=16, why=SMALL, group="paper", source="zero"),
    Claim("rare labels", Regression, "ConR has a smaller mean error for rare labels than L1: difference",
          "Rare labels gain most (stated; the tables were not read)", advantage("few", "ConR", over="L1"),
          below=0, seeds=16, why=SMALL, group="paper", source="zero"),
    Claim("no price", Regression, "ConR costs next to nothing for frequent labels: difference of the mean errors to L1",
          "Not stated in what we read", advantage("many", "ConR", over="L1"),
          below=0.1, seeds=16, why=SMALL, group="paper", source="pilot"),
    Claim("less feature collapse", Regression,
          "With ConR, the training points whose features resemble those of a rare test point most have nearer labels "
          "than with L1: difference of the label distances",
          "Features of rare labels collapse into those of frequent ones; ConR separates them",
          advantage("neighbor_distance", "ConR", over="L1"), below=-2, seeds=16, essential=True, group="paper",
          source="pilot"),
    Claim("adds to re-weighting", Regression, "ConR lowers the mean error of re-weighting: difference over all labels",
          "ConR improves re-weighting and four other methods (stated)",
          advantage("mae", "re-weighting + ConR", "re-weighting"), below=0, seeds=16, why=SMALL, group="paper",
          source="zero"),
    Claim("silent when right", Regression,
          "If predictions were the labels, ConR's loss and its gradient would be zero: sum of their largest sizes",
          "An anchor without hard negatives has no loss (authors' code)", lambda r: float(r.at_rest.max()),
          within=(0, 0), rule="exact", seeds=3, essential=True, robust=True, group="identity", source="theory"),
    Claim("better than views", Regression,
          "ConR with L1 on one view, as in the paper, has a smaller mean error than L1 on all three views: difference",
          "Not compared", advantage("mae", "ConR, 1 view", "L1"), below=0, seeds=16, group="control", source="zero",
          why="Two more noisy views alone, without ConR, lowered L1's error by 0.8 on the seeds for building."),
    Claim("better than re-weighting", Regression,
          "ConR has a smaller mean error for rare labels than re-weighting: difference", "Used together, not as rivals",
          advantage("few", "ConR", over="re-weighting"), below=0, seeds=16, group="control", source="zero",
          why="Weights act on rare labels directly, ConR on features of all labels."),
    Claim("null: features", Regression,
          "ConR has nearer labels among those neighbors than the same loss with shuffled labels: difference",
          "Not reported; our null", advantage("neighbor_distance", "ConR", over="shuffled labels"), below=-2, seeds=16,
          essential=True, group="control", source="pilot"),
    Claim("null: errors", Regression,
          "ConR has a smaller mean error than the same loss with shuffled labels: difference", "Not reported; our null",
          advantage("mae", "ConR", over="shuffled labels"), below=0, seeds=16, group="control", source="zero",
          why="Pushing features apart by wrong labels lowered the error, too, on the seeds for building."),
    Claim("hard negatives", Regression,
          "ConR has a smaller mean error for rare labels than with all far labels as negatives: difference",
          "Hard negatives are the heart of the method", advantage("few", "ConR", over="all negatives"), below=0,
          seeds=16, why="Building seeds differ most with all negatives.", group="control", source="zero"),
    Claim("no imbalance, no effect", Regression,
          "With balanced labels ConR changes next to nothing: difference of the mean errors to L1",
          "Not reported; a limit that the paper's story asks for", advantage("mae", "ConR", over="L1"),
          at={"balanced": {"mass": 10.0}}, within=(-0.1, 0.1), seeds=16, group="control", source="pilot",
          why="Three noisy views differ, and ConR pulls them together, with any distribution of labels."),
)
# fmt: on
