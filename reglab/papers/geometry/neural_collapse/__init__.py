"""Perturbation analysis of neural collapse: what decides how close to collapse the features of a network come.

Tom Tirer, Haoxiang Huang, Jonathan Niles-Weed, ICML 2023, arXiv 2210.16658.

Departures from the paper: digits and a small network without normalization layers instead of ResNet-18 on CIFAR-10,
with squared errors only; layers are added to a network on digits, five instead of ten. The response near collapse
(`factors`) and the bound on the variability are derived from the paper's model for every β; the paper gives their
leading order for large β. The paper doubles and removes the decay of all feature layers together or of the last one;
single layers, the same penalty, the rivals and the nulls are ours.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="geometry",
    slug="neural_collapse",
    title="Perturbation Analysis of Neural Collapse",
    short="Neural collapse",
    authors=("Tom Tirer", "Haoxiang Huang", "Jonathan Niles-Weed"),
    venue="ICML",
    year=2023,
    arxiv="2210.16658",
    code="",
    sources="the whole main text (Sections 1 to 6) of the arXiv version; not the appendices with the proofs",
    idea="Class features shrink to a point; decay of their layers, more than of the last, is said to decide how far.",
    minutes=60,
    level="advanced",
    prerequisites=("linear algebra: trace, eigenvalues, least squares", "gradient descent", "weight decay"),
    flagship=True,
    no_rival={
        "ExactModel": "It computes what theorems say about one model; nothing there competes with another method.",
        "LayerWise": "It shows what adding and training a layer does; the rivals stand beside the weight decays.",
    },
)
