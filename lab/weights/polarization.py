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
# # One sub-network for all
#
# *Can gates that depend on the input learn to agree, so that they can be thrown away?*

# %%
from IPython.display import display

from reglab import notebook
from reglab.bet import bet
from reglab.effects import advantage, end
from reglab.explore import explore
from reglab.papers.weights.polarization import exercises, experiments, method
from reglab.pictures import Curves, View, page
from reglab.recordings import store

notebook.card("polarization")

# %% [markdown]
# ## The idea
#
# *Dynamic pruning* puts a small gate beside each unit of a network. For each input the gates decide which units work.
# But every input then uses another part of the network, and the gates must run, too.
#
# Polarization trains such gates and pushes all inputs to agree. In the end every gate is always open or always
# closed. Gates and closed units are deleted; what is left is one smaller network, after one training.
#
# ## The method
#
# A residual block adds to its input $h$ what its *units* compute. Here $A$, $a$, $B$, $b$ are weights and biases, and
# $g_l\in\{0,1\}$ is the gate of unit $l$:
#
# $$h\leftarrow h+B\,(g\odot\mathrm{ReLU}(Ah+a))+b,\qquad g_l=1\ \text{if}\ s_l>0,\ \text{else}\ 0 .$$
#
# A small *gate network* computes the scores $s$ from $h$. A step has no useful derivative, so backward it gets that of
# the sigmoid $\sigma$: $\sigma(s)(1-\sigma(s))$. This is called *straight-through*. Gates send no gradient into $h$.
#
# Let $\bar g_l$ be the mean of gate $l$ over a batch, and $N$ the number of gates. To the cross-entropy we add
#
# $$\lambda_{activ}\Big(\frac1N\sum_l\bar g_l-\tau\Big)^2+\lambda_{polar}\,R_{polar},\qquad
# R_{polar}=\frac1N\sum_l\bar g_l\,(1-\bar g_l) .$$
#
# The first penalty asks for a share $\tau$ of open gates. The second is largest where half of the inputs open a gate,
# and 0 where all agree. *Conversion* fixes each gate at its majority over the training points.

# %%
notebook.source(method.gates, method.polarization, method.penalty, method.consensus)

# %% [markdown]
# ## The experiment
#
# A spiral with five arms in the plane, three blocks of 24 units. Without units the network is linear and nearly
# guesses. `activ` has the same gates without $R_{polar}$.
#
# At the same size, unit for unit as many as `polar` keeps, stand a *random* sub-network trained from scratch (it is
# simply a smaller dense network), and two rivals: *L1 + fine-tune* puts a factor with an L1 penalty on each unit, cuts
# after 51 of 60 epochs and trains for the other 9; *activ + fine-tune* does so with the mean gates of `activ`.
# *Magnitude* cuts a dense network by its weights, *static gates* have a score instead of a gate network, *retrained*
# trains the units of `polar` again from scratch. Learning rates are chosen on validation points.

# %% tags=["parameters"]
seeds = 8
polar = 30.0
target = 0.15
activ = 30.0
epochs = 60

# %% tags=["thumbnail"]
conversion = experiments.Conversion(polar=polar, target=target, activ=activ, epochs=epochs)
results = notebook.run(conversion, seeds)
display(notebook.arms(conversion))
question = "With their own gates, networks of activ get about 95 % right. Which share, when each gate is fixed?"
bet(question, results, "Conversion", end("static", "activ"), low=0, high=1)

# %% [markdown]
# Without the penalty the gates *are* the nonlinearity; fixed, they leave little more than guessing (0.2). With it the
# same kind of gates, most of which differed between inputs after the first epoch, agree in the end, and conversion
# costs nothing. On other seeds a single gate sometimes stays undecided, and then it does (claim *free conversion*).
#
# **What would make this page wrong?** "They agree, but on a sub-network no better than one drawn at random."

# %%
question = "By how much is polar more accurate than a random sub-network of its size?"
bet(question, results, "Same size", advantage("static", "polar", over="random"), low=-0.3, high=0.3)

# %% [markdown]
# The objection is right, as far as these seeds tell: a random sub-network is about as accurate, and so is a plain L1
# penalty with a cut. *Retrained* stands near them: which units are kept matters little here, how many does. To convert
# `activ` and fine-tune it is far worse.
#
# What does it cost? Each mark is a seed: multiply–adds and accuracy after conversion, against the dense network. To
# run the gates of `activ` instead takes $3\,(16\cdot16+16\cdot24)=1920$ multiply–adds for each input, on top of the
# units; the dense network takes 2416. The second picture has the recorded strengths at $\tau=0.15$.

# %%
display(notebook.summary(results), notebook.draw(results, "Cost"))
grid = store.read(experiments.Conversion).sel(target=0.15).isel(epoch=-1)
grid["polar"].attrs |= {"long_name": "λ_polar"}
cost = Curves("What does conversion cost?", ["dynamic", "static"], ["polar"], "accuracy")
page.draw(grid, View("Dose", (cost, Curves("How many units are kept?", ["kept"], ["polar"]))), conversion.arms)

# %% [markdown]
# The gap closes as $\lambda_{polar}$ grows. But the size is set by the balance of both penalties more than by $\tau$:
# most gates start open, and a strong penalty keeps them there. So look at the size beside every accuracy.
#
# Here are the gates of the first seed, open ones black. Columns are test points, class by class; rows are units.

# %%
notebook.draw(notebook.run(experiments.Gates(), 1), "Gates")

# %% [markdown]
# Without the penalty, rows stay striped: gates follow class and radius. With it, rows become solid.
#
# ## Explore
#
# (1) Set $\lambda_{polar}$ to 0, then to 10. Which accuracy moves, and why? (2) Set it to 60. What is kept? (3) At
# $\tau=0.5$, does it still matter who is best?

# %%
explore(conversion, results)

# %% [markdown]
# ## Does it hold?
#
# An *essential* claim must hold, else we have made a mistake; an *expected* one may fail.

# %%
notebook.verdicts("polarization")

# %% [markdown]
# ## Exercises
#
# **1. Why the mean over the batch?** Four inputs give one gate the values $(1,1,1,0)$. What is $R_{polar}$, and what is
# the mean of $g(1-g)$ over the four single gates?

# %%
my_batch = (None, None)
notebook.check(my_batch, exercises.check_batch)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# $\frac34\cdot\frac14=0.1875$, and 0: a binary gate is always at an end of the parabola. Only the mean can say that
# inputs disagree.
#
# </details>

# %% [markdown]
# **2. Who pulls whom?** Write the gradient of $R_{polar}$ in each single gate, from gates $[B,N]$ of a batch. What
# happens where $\bar g_l$ is exactly ½?


# %%
def my_pull(gates):
    return None  # your lines here


notebook.check(my_pull, exercises.check_pull)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def my_pull(gates):
#     return ((1 - 2 * gates.mean(0)) / gates.numel()).expand_as(gates)
# ```
# For binary gates $\bar g(1-\bar g)$ is their variance. It is concave in $\bar g$, so descent moves to an end: the
# majority pulls the rest. At ½ the gradient is 0, but this point is not stable; the next batch breaks the tie.
#
# </details>

# %% [markdown]
# **3. What does it buy?** In the widget, at $\tau=0.15$, read off the accuracy after conversion: of `polar` at
# $\lambda_{polar}=0$ and 30, and of `random` at 30.

# %%
my_accuracies = (None, None, None)
notebook.check(my_accuracies, exercises.check_conversion)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# About 0.24, 0.93 and 0.93. Polarization buys a conversion for free, not a better sub-network.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper prunes layers and channels of ResNets on images; here it is units of a residual network on a spiral. Kept
# are gates that depend on the input, straight-through training, means over batches and deletion after one training. We
# read abstracts and a summary, not the section on the method: the penalties are as we know them, the squared distance
# to $\tau$ and all constants are ours. Energy is not measured.
#
# **Reference.** X. Zhi, V. Babbar, R. Liu, P. Sun, F. Silavong, R. Shi, S. Moran: *Learning a Consensus Sub-Network
# with Polarization Regularization and One Pass Training*. 2023, [arXiv 2302.10798](https://arxiv.org/abs/2302.10798).
