"""Maestro: random cuts of the rank in training put the columns of a factorized layer in order.

Samuel Horváth, Stefanos Laskaridis, Shashank Rajput, Hongyi Wang, ICML 2024, arXiv 2308.14929.

Departures from the paper: a linear map, a linear autoencoder and a network of three layers on digits instead of ResNets
and transformers. Linear models are trained on the exact expected loss. On digits, ranks are counted, not cut, in
training, and the loss of the whole network (the optional full pass) is not added. Every layer is cut to one share of
its ranks; the paper prunes them one by one. The formal theorem could not be read: statement and proof here are ours.
The whitened SVD, the networks trained for one cost and the null are ours. Strengths are chosen on validation digits.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="weights",
    slug="ordered_low_rank",
    title="Maestro: Uncovering Low-Rank Structures via Trainable Decomposition",
    short="Maestro",
    authors=("Samuel Horváth", "Stefanos Laskaridis", "Shashank Rajput", "Hongyi Wang"),
    venue="ICML",
    year=2024,
    arxiv="2308.14929",
    code="https://github.com/SamuelHorvath/Maestro-LoD",
    sources="abstracts, start of the introduction, a summary, a review, the official code for linear layers; not all",
    idea="Write a layer as a product of two factors and cut it at a random rank in training, so that the first columns "
    "must be useful alone and any rank can be chosen afterwards.",
    minutes=35,
    level="intermediate",
    prerequisites=("the singular value decomposition", "principal components", "gradient descent"),
    no_rival=dict.fromkeys(("Linear", "Components"), "It measures the distance from the exact answer, the SVD or PCA."),
)
