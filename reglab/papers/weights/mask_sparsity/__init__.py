"""MaskSparsity: a penalty that shrinks only what will be cut.

Nanfei Jiang, Xu Zhao, Chaoyang Zhao, Yongqi An, Ming Tang, Jinqiao Wang, Machine Intelligence Research 2022,
arXiv 2201.06776.

Departures from the paper: two hidden layers on digits instead of deep convolutional networks on CIFAR-10 and ImageNet,
so a channel is a hidden unit. λ is larger, since training is shorter. The mask cuts an equal share of the units of each
layer; the paper's threshold is in the code of the method only, since one threshold over both layers almost emptied the
first one. λ is chosen by the accuracy on validation digits just after the cut, rates of fine-tuning by that in the end,
where the paper takes a small rate; the small network's rate is tuned as a whole, that of stages A and B is not. Random
masks, the mask of the largest scales, fading units out and the small network are ours.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="weights",
    slug="mask_sparsity",
    title="Pruning-aware Sparse Regularization for Network Pruning",
    short="MaskSparsity",
    authors=("Nanfei Jiang", "Xu Zhao", "Chaoyang Zhao", "Yongqi An", "Ming Tang", "Jinqiao Wang"),
    venue="Machine Intelligence Research",
    year=2022,
    arxiv="2201.06776",
    code="https://github.com/CASIA-IVA-Lab/MaskSparsity",
    sources="the abstract, the start of the introduction and the official code with its recipe; not the paper's tables",
    idea="Decide first which channels of a network will be cut, then push only these towards zero, so that the others "
    "train freely and the cut changes almost nothing.",
    minutes=35,
    level="basic",
    prerequisites=("gradient descent", "batch normalization", "weight decay and L1 penalties"),
)
