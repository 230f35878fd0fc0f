"""ConR: a contrastive term that pushes apart what the model confuses, for regression with rare labels.

Mahsa Keramati, Lili Meng, R. David Evans, ICLR 2024, arXiv 2309.06651.

Departures from the paper: 24 made-up numbers and a small network instead of photographs and ResNet-50; views are the
inputs with noise; β and τ are larger, and β is chosen on further points of ours. Every arm sees three views in its
regression loss unless its name says one; in the paper that loss sees one view and ConR two more, so its encoder sees
more data than the rival's. The logarithm stands inside the mean over positives, and the denominator is the authors',
as in their code.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="labels",
    slug="imbalanced_regression",
    title="ConR: Contrastive Regularizer for Deep Imbalanced Regression",
    short="ConR",
    authors=("Mahsa Keramati", "Lili Meng", "R. David Evans"),
    venue="ICLR",
    year=2024,
    arxiv="2309.06651",
    code="https://github.com/BorealisAI/ConR",
    sources="the authors' code (losses, training, data sets), the abstract, the introduction and the overview of the "
    "method; neither the tables of results nor the proof of the bound",
    idea="Find pairs whose labels lie far apart but whose predictions lie close, and push their features apart, harder "
    "for larger label distances and for rarer labels.",
    minutes=40,
    level="basic",
    prerequisites=("linear regression", "gradient descent", "cosine similarity", "softmax and cross-entropy"),
)
