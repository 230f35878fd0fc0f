"""Regularized solvers (ERNODE, SRNODE): train a neural differential equation to be easy for its own solver.

Avik Pal, Yingbo Ma, Viral Shah, Christopher Rackauckas, ICML 2021, arXiv 2105.03918.

Departures from the paper: digits of 8x8 pixels and 16 hidden dimensions instead of MNIST and 784, and a task of our
own, rings, that cannot be solved without an equation. Adam instead of SGD with momentum 0.9 and inverse decay, and for
the noisy spiral instead of AdaBelief. The weight of the error penalty falls from 0.3 to 0.03 on rings and from 1 to 0.1
on digits where the official code has 100 to 10 at another tolerance. R_E is the mean over steps, as in the code; the
paper takes the sum. SR is the sum over steps with a weight that falls; the code takes the maximum, with 0.1 throughout.
A plain step controller instead of a PI controller, and a fixed first step; step sizes and decisions are constants in
the gradient (the Julia code differentiates a tracked time as well). The stochastic equation is solved by an adaptive
Heun step on a dyadic grid instead of a stochastic Runge-Kutta method of higher order. Speed, weight decay and f = 0 are
rivals and a null of our own.
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
    sources="abstract, parts of the background, the code, formulas of steps from later code; not the tables of results",
    idea="An adaptive solver knows at every step how hard the equation is, so add that to the loss, and training "
    "finds an equation that is as good and easier to solve.",
    minutes=50,
    level="advanced",
    prerequisites=("ordinary differential equations", "Runge-Kutta methods", "backpropagation"),
    flagship=True,
)
