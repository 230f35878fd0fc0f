"""SCL: every weight has a switch of its own, and switches are learned with a proxy for the derivative of a step.

Zhimin Tang, Linkai Luo, Bike Xie, Yiyu Zhu, Rujie Zhao, Lvqing Bi, Chao Lu, IEEE TNNLS 2022, arXiv 2201.05020.

Departures from the paper: only its abstract was at hand. From there are the step, the proxies and their principle, the
normalization of gradients for each feature, and the price of a connection. Ours are the l2 norm, the scale 1/√D of the
price, one first score for all connections, the learning rates and the missing decay of scores. A small dense network
learns digits with useless inputs planted beside the pixels, in place of deep networks on images. All rivals are ours;
their strengths, and the price of SCL, were chosen on validation digits.
"""

from reglab.catalogue import Paper

# fmt: off
PAPER = Paper(
    part="weights", slug="sparse_connectivity",
    title="Automatic Sparse Connectivity Learning for Neural Networks", short="SCL",
    authors=("Zhimin Tang", "Linkai Luo", "Bike Xie", "Yiyu Zhu", "Rujie Zhao", "Lvqing Bi", "Chao Lu"),
    venue="IEEE TNNLS", year=2022, arxiv="2201.05020", code="",
    sources="the abstract and bibliographic pages; neither the full text nor code could be found",
    idea="Give every weight an on/off switch that gradient descent can move, and a price for being on, so that a "
    "network decides by itself which connections it keeps.",
    minutes=40,
    level="basic",
    prerequisites=("gradient descent with momentum", "backpropagation through a layer", "weight decay"),
    no_rival={"Reopening": "It compares proxies of one method; other ways to prune are measured in Connectivity."},
)
# fmt: on
