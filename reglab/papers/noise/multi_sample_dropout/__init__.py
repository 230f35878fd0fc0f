"""Multi-sample dropout (MSD): average the losses of several dropout masks, so that each gradient is less noisy.

Hiroshi Inoue, preprint 2019, arXiv 1905.09788.

Departures from the paper: 300 digits and a network of three layers instead of CIFAR, ImageNet and deep convolutional
networks, Adam with a constant learning rate, a few hundred steps. The head behind the dropout is larger here than the
layer in front of it, so that the paper's saving of time cannot be shown; multiply-adds are counted instead. Only the
abstract was read, which defines the method; no number of the paper is quoted.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="noise",
    slug="multi_sample_dropout",
    title="Multi-Sample Dropout for Accelerated Training and Better Generalization",
    short="MSD",
    authors=("Hiroshi Inoue",),
    venue="preprint",
    year=2019,
    arxiv="1905.09788",
    code="",
    sources="the abstract, the start of the introduction, and implementations by others; not the experiments",
    idea="A dropout mask makes each gradient noisy; draw several masks behind the expensive layers and average their "
    "losses, and the noise of the masks shrinks like one over their number.",
    minutes=35,
    level="basic",
    prerequisites=("softmax and cross-entropy", "dropout", "variance of a mean", "stochastic gradient descent"),
)
