"""Feature compression: keep few features while training on noisy labels, then let two networks teach each other.

Yingyi Chen, Shell Xu Hu, Xi Shen, Chunrong Ai, Johan A. K. Suykens, IEEE TNNLS 2022, arXiv 2206.13140; its workshop
version is "Boosting Co-teaching with Compression Regularization for Label Noise", 2021, arXiv 2104.13766.

Departures from the paper: digits and a network of three layers instead of photographs and ResNets; weights start
uniform; no warm-up of the learning rate, no frozen batch norm, no ramp of the share left out. Both networks of a pair
keep the same number of features, also in stage one, and accuracy is that of the pair. All arms go through both stages.
The share of easy digits with right labels is measured on all training digits at once. The curve is ours.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="labels",
    slug="feature_compression",
    title="Compressing Features for Learning with Noisy Labels",
    short="Nested Co-teaching",
    authors=("Yingyi Chen", "Shell Xu Hu", "Xi Shen", "Chunrong Ai", "Johan A. K. Suykens"),
    venue="IEEE TNNLS",
    year=2022,
    arxiv="2206.13140",
    code="https://github.com/yingyichen-cyy/Nested-Co-teaching",
    sources="the official code and its tables, the abstracts of both versions, and a detailed summary of the workshop "
    "version by somebody else; not the journal text with its theorems",
    idea="Let two networks use few features, so that wrong labels find no room, and choose each other's examples.",
    minutes=40,
    level="basic",
    prerequisites=("softmax and cross-entropy", "dropout", "overfitting", "weight decay"),
    no_rival={"BiasVariance": "It shows a decomposition at work; which fit of a curve is the best is not asked."},
)
