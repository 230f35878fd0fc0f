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
# All layers of a network but the last turn an image into a list of numbers, its **features**. The last layer, the
# **classifier**, reads the class off them. Train on until every training image is right. Then the features of a class
# draw together around their mean, and the class means move to equal distances and angles. This is **neural collapse**.
#
# A first theory lets the features move freely, as if no layers had to make them. With a price $\lambda_H$ on features
# and a price $\lambda_W$ on the classifier its minimum is then perfect collapse, whatever the prices, as long as
# $\lambda_H\lambda_W<1$; from 1 on the only minimum is zero, with no classifier at all. So it cannot say what brings
# one network closer to collapse than another. The paper ties the features to given ones, say those of an earlier layer.
# A tight tie means little collapse, a loose one much, and one asks what else matters.
#
# Weight decay can act on the hidden layers, which make the features, or on the last one. The paper says that the former
# matters more, and changes all of them at once. We also change one at a time, and raise the decay of the last so far
# that it adds the same penalty as doubling all hidden ones.

# %% tags=["parameters"]
seeds = 4
decay = 0.002
factor = 2.0
feature_norm = 0.1
epochs = 90

# %% tags=["thumbnail"]
digits = experiments.WeightDecay(decay, factor, feature_norm, epochs)
later = notebook.start(experiments.LayerWise(), seeds)  # a second process computes it while you read
results = notebook.run(digits, seeds)
question = "Which change of the decay moves the variability farthest from base?"
among = ("hidden layers", "hidden layer 3", "last layer", "last, same penalty")
bet(question, results, "Which weight decay collapses features", lambda r: abs(end("shift")(r)), among=among)

# %%
notebook.summary(results)

# %% [markdown]
# The text speaks of eight seeds, the pictures show four.
#
# Left: how much features vary within a class, against how far class means lie apart. Right: each arm's end minus
# base's, seed by seed. Doubling the decay of three hidden layers lowers the variability about ten times as far (in
# logarithms) as doubling that of the last; but *one* hidden layer moves it only three times as far.
#
# And hidden layers hold far more squared weights. At the *same penalty*, a factor of 48, the last layer moves the
# variability farther than all hidden layers together. "Hidden layers matter more" is true for equal factors, not for
# equal penalties.
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
# Here $\lambda_W$ stands for the weight decay of the classifier, $\lambda_H$ for that of the hidden layers. For given
# features the best classifier is $W^*(H)=YH^\top(HH^\top+n\lambda_WI)^{-1}$, for a given classifier the best features
# are $(W^\top W+(\lambda_H+\beta)I)^{-1}(W^\top Y+\beta H_0)$. Taking turns finds the minimum.
#
# Let $\bar h_k$ be the class means and $\bar h$ their mean. The scatter within classes is
# $\Sigma_W=\frac1N\sum_{k,i}(h_{k,i}-\bar h_k)(h_{k,i}-\bar h_k)^\top$, that of the means
# $\Sigma_B=\frac1K\sum_k(\bar h_k-\bar h)(\bar h_k-\bar h)^\top$. The columns of $M$ are $\bar h_k-\bar h$, and $W_c$
# is $W$ minus the mean of its rows. Five measures are zero at collapse:
#
# $$\begin{gathered}\widetilde{NC}_1=\frac{\mathrm{Tr}\,\Sigma_W}{\mathrm{Tr}\,\Sigma_B},\quad
# NC_1=\tfrac1K\mathrm{Tr}(\Sigma_W\Sigma_B^\dagger),\\
# NC_2=\Big\|\frac{M^\top M}{\|M^\top M\|}-\frac{I-\frac1K11^\top}{\sqrt{K-1}}\Big\|,\quad
# NC_3=\Big\|\frac{W_c}{\|W_c\|}-\frac{M^\top}{\|M\|}\Big\|,\end{gathered}$$
#
# and $NC_4$, the share of examples where the classifier and the nearest class mean disagree. The first is the
# **variability**. This is the code, as it runs:

# %%
notebook.source(method.best_weights, method.best_features, method.alternate)

# %%
notebook.source(method.velocity, method.factors)

# %% [markdown]
# ## The experiment
#
# A network with three hidden layers of 64 units learns 500 digits with squared errors. All **arms** share digits, first
# weights and batches:

# %%
notebook.arms(digits)

# %% [markdown]
# The **rivals** are two plain ways to more collapse: training four times as long, and $\frac\nu2\|h\|^2$ on the
# features themselves, the model's own price. The **nulls** are an untrained network and one that learns shuffled
# labels, four times as long, too; its collapse is measured by these labels.

# %%
question = "Which of these ends closest to collapse?"
among = ("hidden layers", "feature norm", "4 × epochs", "shuffled labels")
bet(question, results, "Rivals and nulls", end("shift"), wins="lowest", among=among)

# %% [markdown]
# **So what is the decay of hidden layers worth?** Training longer collapses features far more, and costs time. So does
# the price on features, but then fewer new digits are read than in base. And a network that learned only noise ends
# closer to collapse, by its own labels, than it began, and reads one new digit in ten. Collapse is no success.
#
# ### The flow
#
# In the model, keep the classifier at its best and let the features run downhill without a tie: $\dot
# H=W^{*\top}(Y-W^*H)-\lambda_HH$. The paper proves that the variability falls at *every* moment.

# %%
model = notebook.run(experiments.ExactModel(), seeds)
question = "By what factor does the scatter of the class means change in the arm λ_H?"
change = end("between", "λ_H") / end("between", "λ_H", time=0)
bet(question, model, "Collapse in time", change, low=0, high=2)

# %% [markdown]
# The variability falls in every arm. On the right, $\mathrm{Tr}\,\Sigma_B$ itself *falls*: everything shrinks by the
# factor $e^{-\lambda_Ht}$. Divide that out, and the means move apart and the scatter shrinks. Beware: for
# $\lambda_H\lambda_W>1$ the variability falls, too, while all features vanish.
#
# ### The tie
#
# Now hold the features at $H_0$. In the left panel each line leads from a given feature to its place at the minimum,
# for $\beta=0.1$. Look at the ends of the curve.

# %%
tied = notebook.run(experiments.ExactModel(beta=0.1), seeds)
notebook.draw(tied, "Tied features")

# %% [markdown]
# For every $\beta$ here the tied features vary less than $H_0$.
#
# ### A small push
#
# Let $H_0$ be collapsed already and change it a little, $\delta H_0$. The minimum answers with
# $\mathrm{vec}\,\delta H\approx F\,\mathrm{vec}\,\delta H_0$, where vec stacks columns and
# $F\in\mathbb R^{dN\times dN}$. As columns are ordered class by class, $F$ has $K\times K$ blocks
# $F_{k\tilde k}\in\mathbb R^{dn\times dn}$: the response of the features of class $k$ to a change of $H_0$ in class
# $\tilde k$. So $F_{kk}$ is a class's answer to its own change. Its singular values say what is passed on: 1 is all, 0
# nothing.

# %%
question = "Which strengths leave least scatter within classes?"
bet(question, model, "Staircase", end("left"), wins="lowest")

# %% [markdown]
# On the left the closed form (dashed) meets the computed values. The low step belongs to deviations along the class
# means, with the factor $a=\beta/(\beta+\sqrt{\lambda_H/\lambda_W})$, the long high one to all other directions, with
# $b=\beta/(\beta+\lambda_H)$. A larger $\lambda_H$ lowers both. A larger $\lambda_W$ *raises* $a$ and leaves $b$.
#
# On the right is what is left of small noise within classes. By this theory a dearer classifier brings features *away*
# from collapse. In the network it brought them *closer*. The sign is wrong, and the table says so: weight decay of the
# last layer is not $\lambda_W$, or not only.
#
# ### Depth
#
# Is a layer like the model with the layer before as $H_0$? Build a network one layer at a time, and freeze what is
# there. How much comes from training, how much from the layer itself?

# %%
layers = notebook.run(later)
notebook.draw(layers, "Depth")

# %% [markdown]
# Every trained layer is closer to collapse than the one before, and than itself before training. With shuffled labels
# features also collapse from layer to layer, from farther away. On the right the model ties features to the first
# layer. At $\beta=0.01$ it does about what the next real layer does.
#
# ## Explore
#
# (1) Move $\beta$ and watch the points. (2) In the second widget set the factor to 0: does *removing* decay tell the
# same? (3) Set the decay to 0.01.

# %%
explore(experiments.ExactModel(), model)

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
# **What would make this page wrong?** "Three layers against one; the last layer moves the wrong way; shuffled labels
# collapse too." All three are right, and rows of the table.
#
# ## Exercises
#
# **1. Why tie to $H_0$?** Without a tie let the class means have right angles and
# $W=\sqrt{\lambda_H/\lambda_W}\,\bar H^\top$. Then $WH$ is $s$ at the right class, else 0, and up to a constant factor
# $f=\frac12(1-s)^2+cs$ with $c=\sqrt{\lambda_H\lambda_W}$, $s\ge0$. Where is the minimum?


# %%
def my_score(lambda_W, lambda_H):
    return None  # s at the minimum


notebook.check(my_score, exercises.check_score)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# import math
#
# def my_score(lambda_W, lambda_H):
#     return max(0, 1 - math.sqrt(lambda_H * lambda_W))
# ```
# For $c<1$ it is perfect collapse at any prices; from $c=1$ on it is zero. Neither says why one network is closer to
# collapse than another. With a tie, the distance from collapse depends on $\beta$, $\lambda_H$ and $\lambda_W$; $\beta$
# says how little the remaining layers can do.
#
# </details>

# %% [markdown]
# **2. Derive the contraction.** Let $D(H)$ be the deviations of all columns from the mean of their class. Set the
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
# **3. Run it.** How much scatter is left near collapse at $\beta=1$, $\lambda_H=0.05$, when $\lambda_W$ is 0.125 and
# when it is 2? Run the first widget and look at *Staircase*, row $\lambda_H$. Which is larger?

# %%
my_parts = (None, None)  # left at 0.125, left at 2
notebook.check(my_parts, exercises.check_sweep)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `(0.69, 0.84)`: it goes *up*. A cheap classifier (small $\lambda_W$) grows large and pulls the features along the
# means together; an expensive one lets go. With $\lambda_H$ from 0.0125 to 0.4 at $\lambda_W=0.5$ it falls from 0.88 to
# 0.42.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The model is the paper's own. Its networks are not: a ResNet-18 on CIFAR-10 became three hidden layers on 500 digits,
# ten added layers became five, and only squared errors are shown. Kept are doubled and removed weight decay, SGD with
# momentum and steps of the learning rate, and the layer-by-layer protocol. No strength was chosen by a score.
#
# The factors $a$ and $b$ for every $\beta$ and the bound were derived here; the paper gives their leading order.
# Limits: weight decay is only an analogy of $\lambda_H\|H\|^2$, and far from collapse ($\sigma=1$) the strengths matter
# little at $\beta=1$.
#
# **Reference.** T. Tirer, H. Huang, J. Niles-Weed: *Perturbation Analysis of Neural Collapse*. ICML 2023,
# [arXiv 2210.16658](https://arxiv.org/abs/2210.16658).
