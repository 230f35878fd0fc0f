"""PS-KD: a network's predictions of yesterday soften its targets of today.

Kyungyul Kim, ByeongMoon Ji, Doyoung Yoon, Sangheum Hwang, ICCV 2021, arXiv 2006.12000.

Departures from the paper: ten Gaussian classes with a known posterior and one hidden layer instead of CIFAR, ImageNet
and deep networks; Gaussian input noise stands for the augmentation. α_T = 0.8 is the paper's value, and the weight
decay is the one with which cross-entropy has its best NLL. The strengths of all rivals are chosen on validation points,
by the NLL with a temperature fitted there. The temperature and the nulls are ours. The full text was not at hand: the
formula for the size of the gradient is derived here again.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="labels",
    slug="self_distillation",
    title="Self-Knowledge Distillation with Progressive Refinement of Targets",
    short="PS-KD",
    authors=("Kyungyul Kim", "ByeongMoon Ji", "Doyoung Yoon", "Sangheum Hwang"),
    venue="ICCV",
    year=2021,
    arxiv="2006.12000",
    code="https://github.com/lgcnsai/PS-KD-Pytorch",
    sources="the official code, the tables of its README, the abstract and summaries of the paper; not its full text",
    idea="Mix the labels with the network's own predictions of the epoch before, more and more as training goes on, so "
    "that it need not become infinitely sure.",
    minutes=40,
    level="basic",
    prerequisites=("softmax and cross-entropy", "gradient descent", "what a calibrated probability is"),
    no_rival={"Microscope": "It shows how targets scale gradients; none of its arms is the better one."},
)
