"""WC: every weight passes an S-shaped, bounded map, so that none grows large and few stay near zero.

Rinor Cakaj, Jens Mehnert, Bin Yang, 2023, arXiv 2306.16993.

Departures from the paper: only its abstract and the start of its introduction could be read, so the family of the map,
an arctan with two parameters, is stated from memory of the paper; their scale, one κ for all layers, and the first
values are ours. A small dense network on digits with wrong labels stands for convolutional networks on clean images:
wrong labels make it overfit. Test and true labels of the toy are known. The strengths of WC, clipping and weight decay
are chosen on validation digits with as many wrong labels. Clipping, the small start and the null are ours.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="weights",
    slug="weight_compander",
    title="Weight Compander: A Simple Weight Reparameterization for Regularization",
    short="WC",
    authors=("Rinor Cakaj", "Jens Mehnert", "Bin Yang"),
    venue="arXiv",
    year=2023,
    arxiv="2306.16993",
    code="",
    sources="the abstract in three versions and the start of the introduction; neither the method's section nor a "
    "table, and no code was found",
    idea="Let every weight pass a bounded S-shaped map of a stored number, so that no single weight can grow large and "
    "small ones move faster than large ones.",
    minutes=30,
    level="basic",
    prerequisites=("gradient descent and the chain rule", "weight decay", "overfitting to wrong labels"),
)
