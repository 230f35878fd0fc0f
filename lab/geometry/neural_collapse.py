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
# # Neural collapse and what controls it
#
# *Trained features of a class shrink towards one point. Which weight decay decides how far they shrink?*

# %%
from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.geometry.neural_collapse import exercises, experiments, method

notebook.card("neural_collapse")

# %% [markdown]
# ## The idea
#
# A classifier has two parts. All layers but the last turn an image into a list of numbers, its **features**. The last
# layer, the **classifier**, reads the class off them. Train on until every training image is right. Then the features
# of a class draw together around their mean, and the class means move to equal distances and equal angles. This is
# **neural collapse**.
#
# A first theory lets the features move freely, as if no layers had to make them. Then any weight decay, as long as it
# is not so strong that all weights vanish, gives perfect collapse, so the theory cannot say what brings one network
# closer to it than another. The paper ties the features to given ones, say those of an earlier layer. Now a tight tie
# means little collapse, a loose one means much, and one can ask what else matters.
#
# Weight decay can act on the layers that make the features, or on the classifier. In the picture we double or remove
# one of them and leave the other alone.

# %% tags=["parameters"]
seeds = 8
feature_decay = 0.002
last_decay = 0.002
epochs = 90

# %% tags=["thumbnail"]
digits = experiments.WeightDecay(feature_decay, last_decay, epochs)
results = notebook.run(digits, seeds)
question = "Which change moves the variability within classes farthest from base?"
among = ("features × 2", "last layer × 2", "features 0", "last layer 0")
bet(question, results, "Which weight decay collapses features", lambda r: abs(end("shift")(r)), among=among)

# %%
notebook.summary(results)

# %% [markdown]
# The left panel shows how much features vary within a class, against how far the class means lie apart. On the right
# each arm's end is compared with the base arm, seed by seed. Doubling the decay of the *feature* layers brings them
# closer to collapse, removing it leaves them farther away. The classifier's decay moves them far less. Mind that these
# are three layers against one.
#
# ## The method
#
# There are $K$ classes with $n$ examples each, $N=Kn$. The features are the columns of $H\in\mathbb R^{d\times N}$,
# class after class. The classifier is $W\in\mathbb R^{K\times d}$, and $Y\in\mathbb R^{K\times N}$ holds the one-hot
# labels. Given features $H_0$ tie the free ones with weight $\beta$:
#
# $$f(W,H)=\tfrac1{2Kn}\|WH-Y\|^2+\tfrac{\lambda_W}{2K}\|W\|^2+\tfrac{\lambda_H}{2Kn}\|H\|^2
# +\tfrac{\beta}{2Kn}\|H-H_0\|^2 .$$
#
# Here $\lambda_W$ stands for the weight decay of the classifier, $\lambda_H$ for that of the feature layers. For given
# features the best classifier is $W^*(H)=YH^\top(HH^\top+n\lambda_WI)^{-1}$. For a given classifier the best features
# are $(W^\top W+(\lambda_H+\beta)I)^{-1}(W^\top Y+\beta H_0)$. Taking turns finds the minimum.
#
# With class means $\bar h_k$ and their mean $\bar h$, let
# $\Sigma_W=\frac1N\sum_{k,i}(h_{k,i}-\bar h_k)(h_{k,i}-\bar h_k)^\top$ be the scatter within classes and
# $\Sigma_B=\frac1K\sum_k(\bar h_k-\bar h)(\bar h_k-\bar h)^\top$ that of the means. The **variability** is
#
# $$\widetilde{NC}_1=\frac{\mathrm{Tr}\,\Sigma_W}{\mathrm{Tr}\,\Sigma_B}.$$
#
# It is zero exactly at collapse. Its relatives: $NC_1$ weighs all directions alike; $NC_2$ is the distance of the means
# from equal angles; $NC_3$ that of the classifier from the means; $NC_4$ is the share of examples where the classifier
# and the nearest class mean disagree. This is the code, as it runs:

# %%
notebook.source(method.best_weights, method.best_features, method.alternate)

# %%
notebook.source(method.velocity, method.factors)

# %% [markdown]
# ## The experiment
#
# Above, a network with three hidden layers of 64 units learned 500 digits with squared errors. All **arms** share
# digits, first weights and batches: **base** has decay 0.002 everywhere; the others double it or set it to zero, in
# the feature layers or in the last one. Now we leave the network and go into the model, where everything can be
# computed.
#
# ### The flow
#
# Keep the classifier at its best and let the features run downhill without a tie: $\dot
# H=W^{*\top}(Y-W^*H)-\lambda_HH$. The paper proves that the variability falls at *every* moment.

# %%
flow = notebook.run(experiments.Flow(), seeds)
question = "By what factor does the scatter of the class means change in the arm λ_H?"
change = end("between", "λ_H") / end("between", "λ_H", time=0)
bet(question, flow, "Collapse in time", change, low=0, high=2)

# %% [markdown]
# The variability falls in every arm, even with $\lambda_H=0$, only more slowly. From means at right angles the flow has
# a closed form, the dashed line. On the right, $\mathrm{Tr}\,\Sigma_B$ itself *falls*: everything shrinks by the factor
# $e^{-\lambda_Ht}$. Divide that common decay out, and the means always move apart and the scatter always shrinks.
#
# ### The tie
#
# Now hold the features at $H_0$. In the left panel each line leads from a given feature to its place at the minimum,
# for $\beta=0.1$. **Look for** the two ends of the curve: a very tight and a very loose tie.

# %%
tied = notebook.run(experiments.TiedFeatures(), seeds)
notebook.draw(tied, "Tied features")

# %% [markdown]
# A tight tie keeps $H_0$; a loose one comes near the free features, which collapse completely. For every $\beta$ the
# tied features vary less than $H_0$.
#
# ### A small push
#
# Let $H_0$ be collapsed already and change it a little, $\delta H_0$. The minimum answers with
# $\delta H\approx F\,\delta H_0$, where the matrix $F$ acts on all columns stacked. Its block $F_{kk}$ is the answer of
# class $k$ to its own change, $F_{kl}$ that to a change of class $l$. The singular values of $F_{kk}$ say what is
# passed on: 1 is all, 0 nothing.

# %%
response = notebook.run(experiments.Response(), seeds)
question = "Which strengths leave least scatter within classes?"
bet(question, response, "Staircase", end("left"), wins="lowest")

# %% [markdown]
# On the left the closed form (dashed) meets the computed values. The low step belongs to deviations along the class
# means, with the factor $a=\beta/(\beta+\sqrt{\lambda_H/\lambda_W})$. The long high one belongs to all other
# directions, with $b=\beta/(\beta+\lambda_H)$. A larger $\lambda_H$ lowers both. A larger $\lambda_W$ *raises* the low
# step and leaves the other.
#
# On the right is what small noise around collapse leaves within classes. So more decay of the classifier brings
# features
# *away* from collapse, and more decay of the features brings them closer. In the network the classifier's decay helped
# a little; there the theory is an analogy only.
#
# ### Depth
#
# Is a layer something like the model with the layer before as $H_0$? Build a network one layer at a time, and freeze
# what is there. **Look for** the gap: how much comes from training, how much from the layer itself?

# %%
layers = notebook.run(experiments.LayerWise(), seeds)
notebook.draw(layers, "Depth")

# %% [markdown]
# Every trained layer is closer to collapse than the one before, and closer than itself before training.
#
# ## Explore
#
# Things to try: (1) Move $\beta$ and watch the points. (2) Raise $\sigma$, the spread of $H_0$, to 2. (3) In the second
# widget set both weight decays to 0.01. Does doubling still help? Look at *Errors* too.

# %%
explore(experiments.TiedFeatures(), tied)

# %%
explore(digits, results)

# %% [markdown]
# ## Does it hold?
#
# An *essential* claim must hold, else we have made a mistake; an *expected* one may fail, and then it stands here as it
# is.

# %%
notebook.verdicts("neural_collapse")

# %% [markdown]
# A limit stands in the table: from a weight decay of 0.01, doubling that of the feature layers makes $NC_1$ *worse*.
# Another follows from the theory: for $\lambda_H\lambda_W>1$ the variability falls along the flow too, but the only
# minimum is zero, without features and without a classifier. A measure of collapse is no measure of success.
#
# ## Exercises
#
# **1. Derive the contraction.** Let $D(H)$ be the deviations of all columns from the mean of their class. Set the
# gradient of $f$ in $H$ to zero and find $D(H)$ from $D(H_0)$.


# %%
def my_deviations(given, W, lambda_H, beta):
    return None  # given is D(H0), [d, N]; W is [K, d]


notebook.check(my_deviations, exercises.check_contraction)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# import torch
#
# def my_deviations(given, W, lambda_H, beta):
#     d = W.shape[1]
#     curvature = W.T @ W + (lambda_H + beta) * torch.eye(d, dtype=W.dtype)
#     return beta * torch.linalg.solve(curvature, given)
# ```
# The gradient gives $(W^\top W+(\lambda_H+\beta)I)H=W^\top Y+\beta H_0$. Take off the class means on both sides: all
# columns of $Y$ in a class are equal, so $W^\top Y$ drops out. The matrix is at least $\lambda_H+\beta$ in every
# direction, hence $\mathrm{Tr}\,\Sigma_W(H)\le(\beta/(\beta+\lambda_H))^2\,\mathrm{Tr}\,\Sigma_W(H_0)$.
#
# </details>

# %% [markdown]
# **2. Two factors.** Now take $H_0$ collapsed, use $W^\top W=(\sqrt{\lambda_H/\lambda_W}-\lambda_H)$ times the
# projection on the class means, and read off $a$ and $b$.


# %%
def my_factors(beta, lambda_W, lambda_H):
    return None  # a, b


notebook.check(my_factors, exercises.check_factors)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# import math
#
# def my_factors(beta, lambda_W, lambda_H):
#     return beta / (beta + math.sqrt(lambda_H / lambda_W)), beta / (beta + lambda_H)
# ```
# Along the means $W^\top W$ adds $\sqrt{\lambda_H/\lambda_W}-\lambda_H$ to $\lambda_H+\beta$, at right angles to them
# nothing.
#
# </details>

# %% [markdown]
# **3. Run it.** How much scatter is left near collapse at $\beta=1$, $\lambda_H=0.05$, when $\lambda_W$ is 0.125 and
# when it is 2? Ask `explore(experiments.Response())`, row $\lambda_H$. Before you do: which is larger?

# %%
notebook.check((None, None), exercises.check_sweep)  # left at 0.125, left at 2

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `(0.69, 0.84)`: it goes *up*. A cheap classifier (small $\lambda_W$) grows large and pulls the features along the
# means together; an expensive one lets go. With $\lambda_H$ from 0.0125 to 0.1 at $\lambda_W=0.5$ it falls from 0.88 to
# 0.69.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The model is the paper's own, at full size. Its networks are not: a ResNet-18 on CIFAR-10 became three hidden layers
# on 500 digits, ten added layers became five, and only squared errors are shown, not cross-entropy. Kept are the five
# weight decays, SGD with momentum and steps of the learning rate, and the layer-by-layer protocol.
#
# The equations follow the paper's Sections 2 to 4. The exact factors $a$ and $b$ for every $\beta$ and the bound were
# derived here; the paper gives their leading order for large $\beta$. Limits: weight decay of the layers is only an
# analogy of $\lambda_H\|H\|^2$. And far from collapse ($\sigma=1$) the strengths matter little at $\beta=1$.
#
# **Reference.** T. Tirer, H. Huang, J. Niles-Weed: *Perturbation Analysis of Neural Collapse*. ICML 2023,
# [arXiv 2210.16658](https://arxiv.org/abs/2210.16658).
