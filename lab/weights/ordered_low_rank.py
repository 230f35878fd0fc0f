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
# # Columns in order
#
# *Can one network be trained so that any part of its rank can be cut away afterwards?*

# %%
from IPython.display import display

from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.weights.ordered_low_rank import exercises, experiments, method

notebook.card("ordered_low_rank")

# %% [markdown]
# ## The idea
#
# A layer is a matrix $W$. If its rank is low, it is a product of two thin matrices, $UV^\top$, which costs less. But
# which rank is right? And if we train $U$ and $V$, all columns share the work: take some away, and what is left may be
# useless.
#
# Maestro cuts the factors **at random in training**. At each step one layer keeps only its first $b$ columns, with a
# random $b$. The first column survives every cut, the last one almost none. So the first must be useful alone, and
# each later one refines it. This is called *LoD*, low-rank ordered decomposition.
#
# ## The method
#
# Layer $i$ has $W^i=U^i(V^i)^\top$ with $r_i$ columns; $U_{:b}$ are the first $b$ columns. For an example $x$ with
# label $y$, a loss $\ell$ and a network $h$, LoD minimizes
#
# $$\mathbb E_{(x,y)}\;\mathbb E_{(i,b)}\;\ell\big(h(x;\dots,U^i_{:b}(V^i_{:b})^\top,\dots),y\big),\qquad
# 1\le b\le r_i ,$$
#
# where only layer $i$ is cut. A list of all pairs $(i,b)$ is shuffled, used up, and shuffled again. A *group lasso* may
# be added, $\lambda\sum_i\sum_b(\|U^i_{:,b:}\|_F+\|V^i_{:,b:}\|_F)$ with the Frobenius norm of all columns
# from $b$ on: the last ones shrink most. We call $\|u_b\|\|v_b\|$ the *importance* of column $b$.
#
# **One linear layer can be solved.** Let it learn a map $C$ with squared loss, and $\Sigma=\mathbb E[xx^\top]$. The
# loss is
#
# $$F(U,V)=\frac1r\sum_{b=1}^r\big\|(C-U_{:b}V_{:b}^\top)\,\Sigma^{1/2}\big\|_F^2 .$$
#
# Each term is smallest for the singular value decomposition (SVD) of $C\Sigma^{1/2}$, cut at rank $b$. All terms can
# be smallest **together**; if the singular values differ, every minimum of $F$ has this order. For isotropic $x$ it is
# the SVD of $C$, for $C=I$ principal component analysis (PCA).

# %%
notebook.source(method.prefixes, method.error, method.ordered_loss, method.group_lasso)

# %% [markdown]
# ## The experiment
#
# First, a map $C$ of rank 3 with six columns. *Full* training never cuts. The null, *shuffled*, is LoD with columns
# in random order. The prefix error is the distance of $b$ columns from the SVD cut at $b$, divided by $\|C\|_F$.

# %% tags=["parameters"]
seeds = 8
lasso = 0.003
images = 800
epochs = 25
whole_head = False

# %%
linear = notebook.run(experiments.Linear(), seeds)
question = "Full training learns C. What is the prefix error of its first column alone?"
bet(question, linear, "Order", end("prefix_error", "full", b=1), low=0, high=1)

# %% [markdown]
# LoD finds the SVD, and the importance of a column is its singular value. Full training finds the same product, but
# no order. LoD takes long where singular values are close. Next, a linear autoencoder learns digits.

# %%
components = notebook.run(experiments.Components(), seeds)
display(notebook.draw(linear, "Training"), notebook.draw(components, "PCA"))
notebook.draw(components, "Columns")

# %% [markdown]
# LoD finds PCA in its order. A plain autoencoder explains as much with twelve factors, far less with its first four.
#
# **A deep network** has no such theory. A network 64-48-48-10 learns 800 digits, then each layer keeps a share of its
# ranks. *Factors* are trained without cuts; to keep their first columns is a straw man, for nothing puts them in order.
# Stronger: *factors, decay, SVD* has more weight decay and one SVD of each product afterwards. *Whitened SVD* cuts a
# dense network such that each layer's **outputs** change least. *That rank alone* trains factors of just that rank, and
# *small dense* a dense network of the same cost, one for each share. *Random columns*, the null, keeps random ones of
# LoD. Strengths were chosen on 200 validation digits.

# %% tags=["thumbnail"]
digits = experiments.Digits(lasso, images, epochs, whole_head)
results = notebook.run(digits, seeds)
display(notebook.arms(digits))
among = ("dense", "factors", "LoD", "whitened SVD", "that rank alone")
bet("Who is most accurate with half of the ranks?", results, "Cut", end("half_accuracy"), among=among)

# %% [markdown]
# With all ranks everybody is alike. At half rank LoD keeps far more than factors that were never cut, and than random
# columns of its own: cuts in training do make an order. But one SVD makes an order, too, even of LoD's own product.
#
# **What would make this page wrong?** "For one cost, train one network for that cost." So here is what each cut costs:

# %%
display(notebook.summary(results))
notebook.draw(results, "Cost")

# %% [markdown]
# The objection is right. Half of the ranks saves only a tenth of the multiply-adds: a square layer of half rank has as
# many weights as before. A small dense network of this cost loses nothing. At a quarter of the ranks the last layer
# has two ranks for ten classes, and all cut networks fail; the small one still knows 95 %. With 400 digits or fewer,
# which also means fewer steps, whitened SVD is clearly better than LoD. What LoD has is **one** network for every rank,
# and an exact theory for linear layers.
#
# ## Explore
#
# (1) Learn from 100 digits. Does LoD still keep more than *dense*? (2) Move λ to 0.02. What is lost with all ranks?
# (3) Does any setting bring LoD up to *small dense*?

# %%
explore(digits, results)

# %% [markdown]
# ## Does it hold?
#
# An *essential* claim must hold, else we have made a mistake; an *expected* one may fail.

# %%
notebook.verdicts("ordered_low_rank")

# %% [markdown]
# ## Exercises
#
# **1. Why does plain training not order the columns?** Write other factors with the same product $UV^\top$, whose
# first columns give another one.


# %%
def my_factors(u, v):
    return None  # two tensors in the shapes of u [6, 3] and v [9, 3]


notebook.check(my_factors, exercises.check_mixed)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# import torch
#
# def my_factors(u, v):
#     turn = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 1]])
#     return u @ turn, v @ torch.linalg.inv(turn).T
# ```
# For every invertible $R$, $UR$ and $VR^{-\top}$ have the same product. The full loss sees only that; a cut sees more.
#
# </details>

# %% [markdown]
# **2. Derive the order.** Write the best product of $b$ columns for a map $C$ and the covariance $\Sigma$ of $x$. Why
# do all $b$ agree?


# %%
def my_prefix(C, covariance, b):
    return None  # your lines here; torch.linalg.eigh gives the root of a covariance


notebook.check(my_prefix, exercises.check_prefix)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# import torch
#
# def my_prefix(C, covariance, b):
#     values, vectors = torch.linalg.eigh(covariance)
#     root = vectors * values.sqrt() @ vectors.T
#     P, s, Qt = torch.linalg.svd(C @ root)
#     return (P[:, :b] * s[:b]) @ Qt[:b] @ torch.linalg.inv(root)
# ```
# By Eckart and Young each term of $F$ is at least $\sum_{j>b}\sigma_j^2$. The SVD reaches all these bounds, so every
# minimum does. If the $\sigma_j$ differ, the cut SVD is unique; in a tie, directions may turn.
#
# </details>

# %% [markdown]
# **3. What is saved?** In the widget, read off the accuracy at half rank of factors, dense and LoD. Then compute the
# multiply-adds of the three layers there; $k$ columns cost $k(\text{in}+\text{out})$, or $\text{in}\cdot\text{out}$ if
# less.

# %%
my_numbers = (None, None, None, None, None, None)  # three accuracies, then three layers
notebook.check(my_numbers, exercises.check_half)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# About 0.61, 0.83 and 0.90; 2688, 2304 and 290 of 3072, 2304 and 480. The square layer saves
# nothing.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper trains ResNets and a transformer, drops ranks in training, and prunes layer by layer afterwards. Here all
# layers are cut to one share, after training. The loss of the uncut network, optional there, is not added. We read
# the official code for linear layers and summaries, not the full paper; the proof is ours. Not built: an SVD of the
# dense network, fine-tuned at the cut rank. Multiply-adds are counted, not timed.
#
# **Reference.** S. Horváth, S. Laskaridis, S. Rajput, H. Wang: *Maestro: Uncovering Low-Rank Structures via Trainable
# Decomposition*. ICML 2024, [arXiv 2308.14929](https://arxiv.org/abs/2308.14929).
