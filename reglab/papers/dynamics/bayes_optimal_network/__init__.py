"""Bayes-optimal learning of a wide quadratic network (GAMP-RIE): the best that anyone can learn from n = αd² examples.

Antoine Maillard, Emanuele Troiani, Simon Martin, Florent Krzakala, Lenka Zdeborová, NeurIPS 2024, arXiv 2408.03733.

Departures from the paper: one normalization for theory, message passing and gradient descent (their code has three);
dimensions of 20 to 80 instead of 100 to 200; gradient descent averages 16 runs instead of 64, with smaller steps where
there are many examples. Message passing starts at the mean of the prior instead of a random matrix. Sample ratios go
up to 0.7, and ridge, the linear denoiser, weight decay, early stopping, untrained students and shuffled outputs are
ours. Δ follows the formula of their script for theory with noise: 0.516 for σ = 0.25 and κ = 0.5. Their stored table
with noise was made with 0.5, since their notebook passes σ where Δ is expected.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="dynamics",
    slug="bayes_optimal_network",
    title="Bayes-optimal learning of an extensive-width neural network from quadratically many samples",
    short="GAMP-RIE",
    authors=("Antoine Maillard", "Emanuele Troiani", "Simon Martin", "Florent Krzakala", "Lenka Zdeborová"),
    venue="NeurIPS",
    year=2024,
    arxiv="2408.03733",
    code="https://github.com/SPOC-group/ExtensiveWidthQuadraticSamples",
    sources=(
        "the abstract and the whole official code, with its stored tables of theory and simulations; not the proofs"
    ),
    idea="A wide network with quadratic units is a matrix in disguise, so the best that anyone can learn from data is "
    "to guess that matrix, clean its eigenvalues optimally, and repeat.",
    minutes=60,
    level="advanced",
    prerequisites=("eigenvalues and eigenvectors", "Bayes' rule, posterior mean", "gradient descent"),
    flagship=True,
)
