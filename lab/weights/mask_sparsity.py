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
# # Shrink only what will be cut
#
# *Most units of a network can be removed. Should all be made smaller first, or only those that will go?*

# %%
from IPython.display import display

from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.weights.mask_sparsity import exercises, experiments, method
from reglab.pictures import Curves, View, page
from reglab.recordings import store

notebook.card("mask_sparsity")

# %% [markdown]
# ## The idea
#
# A trained network has more units (in images: channels) than it needs. A usual recipe pushes the scale of **every**
# unit towards zero with a penalty, and then cuts the smallest. But the penalty also squeezes the units that stay.
#
# MaskSparsity first decides who will go, and pushes only these. The others train freely, and the cut should change
# almost nothing.
#
# ## The method
#
# Batch normalization gives unit $i$ of layer $l$ a scale $\gamma_{l,i}$ and a shift $\beta_{l,i}$: its output is
# $\gamma_{l,i}\,\hat z_{l,i}+\beta_{l,i}$, where $\hat z$ has mean 0 and variance 1 over a batch. A mask holds
# $M_{l,i}=1$ for units that will be cut and 0 for the others. With the task's loss $L$ and a strength $\lambda$,
#
# $$\text{global: } L+\lambda\sum_{l,i}|\gamma_{l,i}|,\qquad
# \text{mask: } L+\lambda\sum_{l,i}M_{l,i}\,|\gamma_{l,i}| .$$
#
# In code, $\lambda M\,\mathrm{sign}(\gamma)$ is added to the gradient of $\gamma$ before each step; $\beta$ is never
# penalized. Beware: the official mask files hold *keep* flags, and training inverts them. Whoever forgets that shrinks
# what stays.

# %%
notebook.source(method.subgradient, method.smallest, method.faded, method.constant)

# %% [markdown]
# ## The experiment
#
# A network 64-48-48-10 learns 600 digits in stages. **A**: 20 epochs without penalty, one network for all arms. Then a
# run with the global penalty makes the mask: in each layer the 60 % of the units with the smallest $|\gamma|$. **B**:
# each arm starts from A again, 20 epochs with its own penalty. **C**: the cut. **D**: 10 epochs of fine-tuning. The run
# that makes the mask is extra work.
#
# *None* has no penalty, *global* penalizes everybody, *random* (the null) a random mask, *anti-mask* the **largest**
# scales; each cuts its own mask, *none* and *global* that of *mask*. *Cut at once* is *none* with a higher rate of
# fine-tuning, its own. Two rivals need no penalty: *fade-out* scales the same units down to zero step by step, and
# *small dense* has from the start the size of what is left. Strengths and rates are chosen on 200 validation digits.

# %% tags=["parameters"]
seeds = 8
strength = 0.06
ratio = 0.6

# %% tags=["thumbnail"]
pruning = experiments.Pruning(strength, ratio)
results = notebook.run(pruning, seeds)
display(notebook.arms(pruning))
question = "A random 60 % of the units is penalized, then cut. Which share of new digits is right just after?"
bet(question, results, "The cut", end("accuracy_cut", "random"), low=0, high=1)

# %%
notebook.summary(results)

# %% [markdown]
# Just after the cut *mask* is as good as before. *None* falls to about a half. *Global* has lost accuracy even before
# the cut. But look at *random*: at this ratio nearly any mask will do, if it is penalized first. *Cut at random*, the
# same units without penalty, is down to 0.38.
#
# After fine-tuning the five lie within a point, *small dense* among them, which is never cut. What is bought is a cut
# that costs nothing **at once**. Fine-tuning closes the gap, if its rate is not too small: with that of *mask*, *none*
# stays a point behind.

# %%
notebook.draw(results, "Scales")

# %% [markdown]
# Under *mask* there are two groups: doomed scales near zero, and kept ones that even grow. Under *global* the kept
# shrink to a fifth on average, and more than a third of them lie below 0.1, too. Doomed scales end near zero, never
# exactly: the last steps jump over it.
#
# **What would make this page wrong?** "A random mask is as good, another $\lambda$ saves *global*, and a small network
# is better in the end." Here are the recorded strengths and ratios:

# %%
grid, at = store.read(experiments.Pruning).sel(strength=slice(0.003, None)), {"strength": strength}
grid["strength"].attrs["log"] = 1
who, priced = ("global", "mask", "random", "fade-out"), ("mask", "cut at once", "small dense")
ratios = [
    Curves(f"{one:.0%} cut: how good just after?", ["accuracy_cut"], who, at={"ratio": one}) for one in (0.6, 0.75)
]
display(page.draw(grid, View("Strength", ratios), pruning.arms))
bill = {"long_name": "multiply-adds, of the dense network", "units": "1", "log": 1}
costs = ("ratio", grid.macs_share.sel(arm="mask", **at).mean("seed").round(2).values, bill)
lost = Curves("What is lost in the end, at which cost?", ["accuracy_change"], priced, at=at)
page.draw(grid.assign_coords(ratio=costs).sortby("ratio"), View("Cost", [lost], 1, 3), pruning.arms)

# %% [markdown]
# No strength here brings *global* to *mask*. A random mask comes close at 60 %, given a strong penalty; at 75 % the
# right mask counts. *Fade-out*, without any penalty, is close at 60 % and behind at 75 %; where the penalty is weak,
# *mask* is behind.
#
# About the end the objection is right: *small dense* is level with *mask* or better, and when 90 % go, far better
# (rates were chosen at 60 %). Its one learning rate was tuned, to 0.4; stages A and B keep 0.05, untuned. Who can train
# a small network needs no pruning here.
#
# ## Explore
#
# (1) Set the ratio to 0.75 and to 0.9. Who survives the cut? (2) Let $\lambda$ fall to 0.01: do the doomed scales
# arrive? (3) At $\lambda=0.1$, how far is a random mask behind?

# %%
explore(pruning, results)

# %% [markdown]
# ## Does it hold?
#
# An *essential* claim must hold, else we have made a mistake; an *expected* one may fail. *Random* would pass some of
# the paper's claims: any mask spares the kept units. In the first one, which is essential, it fails.

# %%
notebook.verdicts("mask_sparsity")

# %% [markdown]
# ## Exercises
#
# **1. Can the next layer undo it?** Multiply $\gamma=1$ and $\beta$ of a unit by $c$, and divide its outgoing weights
# (their squares sum to 2) by $c$: the network computes the same. The penalty becomes $\lambda c$, and weight decay adds
# $\frac\mu2\cdot 2/c^2$. Which $c$ is best for $\lambda=0.06$ and $\mu=0.0005$?

# %%
my_factor = None
notebook.check(my_factor, exercises.check_undo)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# $\lambda=2\mu/c^3$, so $c=(2\mu/\lambda)^{1/3}=0.255$. Without weight decay $c$ goes to 0, and the penalty costs
# nothing. So a small scale alone is no sign of a useless unit.
#
# </details>

# %% [markdown]
# **2. What dead units send.** A unit with $\gamma=0$ still sends $\mathrm{relu}(\beta)$. Write what the next layer gets
# from all units of a mask: `beta` and `mask` are $[M,1,D]$ ($M$ models, $D$ units), `weight` is $[M,D,E]$.


# %%
def my_constant(beta, mask, weight):
    return None  # your lines here


notebook.check(my_constant, exercises.check_absorb)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def my_constant(beta, mask, weight):
#     return (beta.relu() * mask) @ weight
# ```
# Take it from the running mean of the next layer, or add it to the bias of the last one: `absorb=True` does that. The
# official code drops it.
#
# </details>

# %% [markdown]
# **3. Report both.** In the widget, at ratio 0.75 and $\lambda=0.06$, read off the test accuracy of *global*, *random*
# and *mask* after the cut, and then after fine-tuning.

# %%
my_levels = (None, None, None, None, None, None)  # after the cut: global, random, mask; after fine-tuning: the same
notebook.check(my_levels, exercises.check_levels)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# About 0.60, 0.78 and 0.94; then 0.96, 0.95 and 0.96.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper prunes deep networks on CIFAR-10 and ImageNet; here channels became hidden units, training is short and
# $\lambda$ therefore larger. Kept are the penalty, the order of stages, and the start of stage B from the dense
# network. The mask cuts an equal share of each layer instead of all below a threshold, and fine-tuning takes tuned
# rates instead of a small one. We read abstract, introduction and code, not the tables.
#
# **Reference.** N. Jiang, X. Zhao, C. Zhao, Y. An, M. Tang, J. Wang: *Pruning-aware Sparse Regularization for Network
# Pruning*. Machine Intelligence Research 2022, [arXiv 2201.06776](https://arxiv.org/abs/2201.06776).
