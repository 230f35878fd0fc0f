"""Regularized solvers (ERNODE, SRNODE): train a neural differential equation to be easy for its own solver.

Avik Pal, Yingbo Ma, Viral Shah, Christopher Rackauckas, ICML 2021, arXiv 2105.03918.

Departures from the paper: digits of 8x8 pixels and 16 hidden dimensions instead of MNIST and 784; a plain step
controller instead of a PI controller, and a fixed first step; step sizes and decisions are constants in the gradient
(the Julia code differentiates a tracked time as well). The stochastic equation is solved by an adaptive Heun step on a
dyadic grid instead of a stochastic Runge-Kutta method of higher order.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="dynamics",
    slug="solver_regularization",
    title="Opening the Blackbox: Accelerating Neural Differential Equations by Regularizing Internal Solver Heuristics",
    short="ERNODE, SRNODE",
    authors=("Avik Pal", "Yingbo Ma", "Viral Shah", "Christopher Rackauckas"),
    venue="ICML",
    year=2021,
    arxiv="2105.03918",
    code="https://github.com/avik-pal/RegNeuralDE.jl",
    sources=(
        "the abstract, parts of the background section and the official code; the formulas of the steps from a later "
        "package of the same authors; not the tables of results"
    ),
    idea=(
        "An adaptive solver knows at every step how hard the equation is, so add that to the loss, and training finds "
        "an equation that is as good and easier to solve."
    ),
    minutes=50,
    prerequisites=("ordinary differential equations", "Runge-Kutta methods", "backpropagation"),
    flagship=True,
)
