"""Polarization: gates that depend on the input learn to agree, and are then deleted.

Xiaoying Zhi, Varun Babbar, Rundong Liu, Pheobe Sun, Fran Silavong, Ruibo Shi, Sean Moran, 2023, arXiv 2302.10798.

Departures from the paper: a residual network with gated units on a spiral in the plane instead of ResNets with gated
layers and channels on images. The method section was not at hand: the two penalties are as we know the paper, not as
read. The share of open gates gets a squared distance to a target instead of a linear penalty; the derivative of the
step is replaced by that of the sigmoid, and gates send no gradient into the trunk. Sizes and constants are ours;
strengths are balanced so that the wanted share is kept, learning rates chosen on validation points. Energy is not
measured.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="weights",
    slug="polarization",
    title="Learning a Consensus Sub-Network with Polarization Regularization and One Pass Training",
    short="Consensus sub-net",
    authors=("Xiaoying Zhi", "Varun Babbar", "Rundong Liu", "Pheobe Sun", "Fran Silavong", "Ruibo Shi", "Sean Moran"),
    venue="arXiv",
    year=2023,
    arxiv="2302.10798",
    code="",
    sources="the abstracts under its three titles and a published summary; not the section on the method",
    idea="Let small networks switch units on and off for each input, and push all inputs to agree, so that what is off "
    "can be deleted after one training.",
    minutes=35,
    level="intermediate",
    prerequisites=("residual networks", "gradient descent with Adam", "mean and variance of a binary number"),
    no_rival={"Gates": "It looks at single gates with and without the penalty; none of its arms is the better one."},
)
