# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Weights that cost few bits
#
# *If trained weights are not Gaussian, can a better guess of their law save bits?*

# %%
import numpy as np
import torch
import xarray as xr
from IPython.display import display
from scipy.stats import gennorm

from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.weights.generalized_gaussian import exercises, experiments, method
from reglab.pictures import Curves, Histogram, View, page

notebook.card("generalized_gaussian")

# %% [markdown]
# ## The idea
#
# In trained language models, the papers say, many weights are nearly zero and a few are large: their law has a sharper
# peak and heavier tails than a Gaussian. If we know that, we can use it: draw the first weights from such a law, punish
# weights by the bits that they would cost under it, and choose a format of eight bits that suits it.

# %%
x, w = np.linspace(-3, 3, 121), torch.linspace(0.5, 2, 181)
laws = {"ν = 2, Gaussian": "baseline", "ν = 1, Laplace": "further", "ν = 0.5": "method"}
density = [[gennorm(nu, scale=1 / gennorm(nu).std()).pdf(x)] for nu in (2, 1, 0.5)]
numbers = method.residual_float(w.reshape(1, 1, -1))[0]
variables = {"density": (("arm", "seed", "x"), density), "rounded": (("seed", "w"), numbers)}
data = xr.Dataset(variables, {"arm": [*laws], "seed": [0], "x": x, "w": w})
for name, label in {"density": "density", "rounded": "number Q(w)", "x": "weight", "w": "weight w"}.items():
    data[name].attrs |= {"long_name": label, "units": "1"}
panels = (
    Curves("How peaked are laws of variance 1?", ["density"], log=True),
    Curves("What does RF8 keep?", ["rounded"], ["RF8"]),
)
page.draw(data, View("Laws", panels), laws)

# %% [markdown]
# ## The method
#
# The **generalized Gaussian** has a shape $\nu>0$ and a scale $\beta>0$; $\Gamma$ is the gamma function:
#
# $$p(x)=\frac{\nu}{2\beta\,\Gamma(1/\nu)}\,e^{-(|x|/\beta)^\nu}.$$
#
# **Estimate.** With $n$ parameters $\theta_i$, $\hat\nu$ is the shape in a table for which $\rho(\nu)=\Gamma(1/\nu)
# \Gamma(3/\nu)/\Gamma(2/\nu)^2$ is nearest to
#
# $$r=n\sum_i\theta_i^2\,\Big/\Big(\sum_i|\theta_i|\Big)^2 .\tag{1}$$
#
# **BackSlash.** Up to constants, $(|\theta|+\epsilon)^{\hat\nu}$ is the number of bits of a parameter. After every step
# of the optimizer, whose learning rate is $\eta$, each parameter goes down its gradient, with a strength $\lambda$:
#
# $$\theta_i\leftarrow\theta_i-\eta\lambda\hat\nu\,\mathrm{sign}(\theta_i)\,(|\theta_i|+\epsilon)^{\hat\nu-1}.\tag{2}$$
#
# The official $\epsilon$ is 1. The last five epochs have no penalty.
#
# **Start.** First weights are drawn from a law of shape $\nu_0$ with the usual variance.
#
# **RF8** keeps of a weight the sum of two signed powers of two, $s_1,s_2$ being signs:
#
# $$Q(w)=s_12^{e_1}+s_22^{e_2},\tag{3}$$
#
# $$e_1=\mathrm{round}(\log_2|w|),\quad e_2=\mathrm{round}(\log_2|w-s_12^{e_1}|),$$
#
# without the second term if $e_1-e_2>4$.
#
# **DeepShape** keeps the order of finished parameters and gives them the values of a law with shape $0.8\,\hat\nu$ and
# scale $0.6\,\hat\beta$.

# %%
notebook.source(method.estimate, method.penalized, method.start, method.residual_float)

# %% [markdown]
# ## The experiment
#
# A network 64-64-64-10 learns 1000 digits, by Adam, in 20 epochs. Then weights are rounded to multiples of a step
# $2^{-k}$ times their root mean square (rms), and the whole numbers are written in an exp-Golomb code: 1 bit for 0,
# 3 for ±1, 5 for ±2 and ±3. Since the step follows the rms, no network gains by small weights alone.
#
# The *plain* network, without a penalty, can be rounded, too. Rivals are the **L1** penalty and a **small dense**
# network with 32 units in each hidden layer, whose bits are divided by the 8832 weights of the large one. There are
# **L2** and **pruned** networks, too. The nulls are *plain* with all weights × 0.6, and a network that learned nothing.
#
# For each arm $k$ is the coarsest rounding that loses at most 0.01 accuracy against *plain* without rounding, on
# validation digits, in the mean over seeds 0 to 31. Strengths, width and share of weights kept are those with the
# fewest bits then, from five or six candidates each: $\lambda=1$ (BackSlash, L2) and 0.45 (L1), 40 % kept; $k=1$
# (*plain*, ablations), 2.5 (*small dense*), 0.5 (others).

# %% tags=["parameters"]
seeds = 8
strength = 1.0
start_shape = 2.0

# %% tags=["thumbnail"]
compression = experiments.Compression(strength, start_shape)
results = notebook.run(compression, seeds)
display(notebook.arms(compression))
question = "Rounded, plain needs 3.7 bits a weight. How many does BackSlash need for about the same accuracy?"
bet(question, results, "Bits", end("bits", "BackSlash"), low=1, high=4)

# %% [markdown]
# BackSlash needs 2.1 bits, not 3.7. But look at the rivals: on the left, L1 has nearly the same curve, and a smaller
# network does as well or better. $k$ moves in steps of a half, which moves bits by some tenths, so small differences
# on the right mean little. With an ideal code, whose length is the entropy of the whole numbers, the small network
# needs least: 1.7 bits against 1.9 (see *Cost*).
#
# Why L1? Most weights are far smaller than $\epsilon=1$, so the last factor of (2) is nearly 1.

# %%
display(notebook.summary(results))
panels = (
    Histogram("How are the weights spread?", "weights", "weight", ("plain", "BackSlash", "GG start"), 25, (-3, 3)),
    Curves("Which shape do weights have?", ["nu"], experiments.SHAPED),
)
page.draw(results, View("Weights", panels), compression.arms)

# %% [markdown]
# Here the data alone hardly move the shape: *plain* stays near 2. The penalty does, to below 0.5, and fine-tuning
# brings part of it back. A start of shape 1 stays near 1 and ends about as accurate as the usual one.
#
# **What would make this page wrong?** "Bits fall because weights shrink." At a fixed step, 2⁻⁸, weights × 0.6 save more
# than a bit without any learning. Our step follows the scale, and there they save nothing.
#
# **Formats.** Both trained networks get weights of eight bits, or are reshaped:

# %%
formats = notebook.run(experiments.Formats(strength), seeds)
display(notebook.draw(formats, "Formats"))
notebook.draw(formats, "Reshaping")

# %% [markdown]
# All formats of eight bits do as well as float32, RF8 no better than INT8. One power of two alone loses accuracy.
#
# On *plain*, DeepShape saves 1.2 bits at the fixed step 2⁻¹⁰, but 1.0 of them is scale: *same deviation* multiplies all
# weights by one number, so that their spread is that of DeepShape. On BackSlash's weights DeepShape does harm: with
# so small a shape its law has a larger spread than the weights had, and more bits and errors.
#
# ## Explore
#
# (1) Move λ. Where is the curve of BackSlash highest at 2 bits? (2) What does $\nu_0$ change at the end? Each arm keeps
# its $k$.

# %%
explore(compression, results)

# %% [markdown]
# ## Does it hold?
#
# An *essential* claim must hold, else we have made a mistake; an *expected* one may fail. That both rivals need more
# bits as rounded here is about 0.1 bits, less than the roundings resolve.

# %%
notebook.verdicts("generalized_gaussian")

# %% [markdown]
# ## Exercises
#
# **1. Who is pushed hardest?** By which factor is the step of (2) at $|\theta|=0.01$ larger than at 0.1, for
# $\hat\nu=0.5$, with $\epsilon=0$ and with $\epsilon=1$?

# %%
my_factors = (None, None)  # ε = 0, ε = 1
notebook.check(my_factors, exercises.check_steps)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# $(0.01/0.1)^{-0.5}\approx3.16$ and $(1.01/1.1)^{-0.5}\approx1.04$. The slope $\nu|\theta|^{\nu-1}$ grows without bound
# at 0 if $\nu<1$: small weights are cheap to remove, and the tail survives. With $\epsilon=1$ this is nearly L1.
#
# </details>

# %% [markdown]
# **2. Estimate the shape.** Write (1) for a tensor of $n$ weights. (With a prior GG(ν, β), what does the most probable
# θ minimize?)


# %%
def my_shape(theta):
    return None  # your lines here


notebook.check(my_shape, exercises.check_shape)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def my_shape(theta):
#     nu = torch.arange(10, 300) / 100
#     rho = (torch.lgamma(1 / nu) + torch.lgamma(3 / nu) - 2 * torch.lgamma(2 / nu)).exp()
#     r = len(theta) * (theta**2).sum() / theta.abs().sum() ** 2
#     return float(nu[(r - rho).abs().argmin()])
# ```
# It minimizes loss $+\sum_i(|\theta_i|/\beta)^\nu$: ridge for $\nu=2$, lasso for $\nu=1$.
#
# </details>

# %% [markdown]
# **3. How strong?** In the widget, with $\nu_0=2$, read off the accuracy of BackSlash at 2 bits a weight for
# $\lambda=0.1$, 1 and 3. Why is it highest in between?

# %%
my_accuracies = (None, None, None)  # λ = 0.1, 1, 3
notebook.check(my_accuracies, exercises.check_strengths)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# About 0.93, 0.96 and 0.93. A weak penalty leaves weights that 2 bits do not hold; a strong one takes weights that the
# network needs.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The papers compress language models; here are 8832 weights. The step of (2) is $\eta\lambda$, officially $\lambda/n$;
# the start takes a layer's inputs for the variance, officially its outputs; DeepShape takes exact quantiles and a
# coarser grid, 2⁻¹⁰. Rounding, code, rivals and nulls are ours. We read abstracts, introductions and official code, not
# the method sections. Speed on hardware and larger models are beyond this page.
#
# **Reference.** J. Wu, Y. Xiong, J. Wen, Y. Han: *It Takes a Good Model to Train a Good Model: Generalized Gaussian
# Priors for Optimized LLMs*. 2025, [arXiv 2506.00486](https://arxiv.org/abs/2506.00486).
