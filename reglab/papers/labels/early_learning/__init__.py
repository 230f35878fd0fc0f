"""Early-learning regularization (ELR): remember what the network believed before it learned the wrong labels.

Sheng Liu, Jonathan Niles-Weed, Narges Razavian, Carlos Fernandez-Granda, NeurIPS 2020, arXiv 2007.00151.

Departures from the paper: digits and a small network instead of CIFAR and ResNet-34, no augmentation, a constant
learning rate. Strengths and the stopping epoch are chosen by the accuracy on 200 digits with noisy labels, strengths
once, at the default noise. In the linear theory the first weights are drawn with no component along the true
direction, which is the limit that the theorem speaks about. ELR+ (two networks, weight averaging, mixup) is not built.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="labels",
    slug="early_learning",
    title="Early-Learning Regularization Prevents Memorization of Noisy Labels",
    short="ELR",
    authors=("Sheng Liu", "Jonathan Niles-Weed", "Narges Razavian", "Carlos Fernandez-Granda"),
    venue="NeurIPS",
    year=2020,
    arxiv="2007.00151",
    code="https://github.com/shengliu66/ELR",
    sources="the official code (loss, trainer, settings, noise generator) and the main text and appendices A to I of "
    "the paper in a full translation",
    idea="A network believes the true labels before it memorizes the wrong ones; keep that early belief as a target, "
    "and the wrong labels lose their pull.",
    minutes=45,
    level="basic",
    prerequisites=("softmax and cross-entropy", "gradient descent", "overfitting"),
    flagship=True,
    no_rival={
        "LinearTheory": "It shows the theorem about cross-entropy at work; which method is the best for two Gaussian "
        "clouds is another question."
    },
)
