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
# # Recommending what few have clicked
#
# *Most items of a shop have hardly any clicks. Can their features alone teach where they belong?*

# %%
from IPython.display import display

from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.labels.longtail_recommendation import exercises, experiments, method
from reglab.pictures import page

notebook.card("longtail_recommendation")

# %% [markdown]
# ## The idea
#
# In a shop a few items get most of the clicks. The others are the **long tail**: who learns from clicks sees them
# rarely or never. But every item has features, such as brand, category or tags, and features are related. Who knows
# these relations knows where an item belongs, without a click.
#
# So the paper adds a second task. Show half of an item's features in one **view** and the rest in a second view. The
# network must find which views belong together. Items of this task are drawn **uniformly**, so that rare ones count
# as much as popular ones.
#
# Does that find more of the tail? *Base* has no second task. *CFM* is the paper's method. *Feature dropout* hides
# features, too, but in the main task. *Most clicked* is one list for all.

# %% tags=["parameters"]
seeds = 4
alpha = 1.0
pairs = 2000
zipf = 1.1
tag_dropout = 0.3
epochs = 12

# %% tags=["thumbnail"]
shopping = experiments.Shopping(alpha, pairs, zipf, tag_dropout, epochs)
results = notebook.run(shopping, seeds)
among = ("base", "CFM", "feature dropout", "most clicked")
bet("Who finds most tail items?", results, "Rare items", end("recall_tail"), among=among)

# %% [markdown]
# An item counts as found if it is among the best 50 of 600 (**Recall@50**); a guess finds 0.08. The head are the 60
# items with the most clicks, the **tail** all others. Small marks are seeds, bars 95 % intervals.
#
# ## The method
#
# Two networks, the **towers**, turn a query into $q$ and an item into $x$. A feature enters as an embedding, tags as
# the mean of theirs. With the cosine $s(u,v)$ and a temperature $\tau=0.1$, the main loss of $N$ clicks, query $i$ on
# item $i$, is
#
# $$L_{main}=-\frac1N\sum_i\log\frac{e^{s(q_i,x_i)/\tau}}{\sum_je^{s(q_i,x_j)/\tau}} .$$
#
# For $N$ uniform items let $z_i$ and $z_i'$ be the item tower's output for their two views. $L_{self}$ is the same
# formula with $z_i$ and $z_i'$ for $q_i$ and $x_i$; the whole loss is $L_{main}+\alpha L_{self}$.
#
# A masked feature is replaced by a learned default embedding. View 1 masks the set $F_m$, view 2 all others; each tag
# is dropped with probability $p_d$ in each view. If one view shows a feature and the other shows one that tells it
# exactly, the pair is found by a shortcut. So correlated feature masking (**CFM**) draws a seed feature and masks it
# with the ⌊k/2⌋ of the $k$ features that have the most mutual information with it,
#
# $$MI(V_i,V_j)=\sum_{v,w}P(v,w)\log\frac{P(v,w)}{P(v)P(w)},$$
#
# where $V_i$ is the value of feature $i$. The picture *Features* below shows both.

# %%
notebook.source(method.contrast, method.batch_softmax, method.mutual_information, method.correlated_masks)

# %% [markdown]
# ## The experiment
#
# Our shop has 600 items with $k=7$ features. Two hidden groups decide who wants an item: $a$ shows in f1, f2 and the
# four tags f7, $b$ in f4 and f5. The publisher f3 means nothing, and its *twin* f6 tells f3 exactly. We learn from
# 2000 clicks; more than a third of the items has none.

# %%
display(notebook.arms(shopping))
page.draw(results, experiments.FEATURES_SEEN, shopping.arms)

# %% [markdown]
# *RFM* masks three random features. *CFM from log* takes the items of the second task from the clicks. The **nulls**:
# *SO* shows whole items, which only spreads them out; the last arm shows another item's features in view 2.

# %%
notebook.summary(results)

# %% [markdown]
# CFM finds more of the tail than *base*; the nulls hardly or not. Uniform items matter: from the log about half of the
# gain is left. Random masks do at least as well as correlated ones.
#
# **What would make this page wrong?** First: feature dropout, one of the paper's baselines, finds more of the tail
# than CFM, without a second task. Second: does this matter for *all* clicks, most of which go to the head?

# %%
question = "Who finds most of all test clicks, popular items included?"
bet(question, results, "Popular and rare", end("recall_prior", prior=0.0), among=among)

# %% [markdown]
# On the right, at $\gamma=0$, the list of the most clicked items beats every network: by the head, as the left
# picture shows (all items in equal demand). Networks with the score $s+\gamma\log(\text{clicks}+1)$ beat the list,
# and then CFM is only 0.01 to 0.02 ahead of *base*.
#
# ## Explore
#
# Try: (1) In *The second task*: which arm solves it best, and does it find more of the tail? From the log it is easy:
# a batch holds few different items. (2) α from 0 to 3. (3) 500 and 8000 clicks. Feature dropout keeps its strength.

# %%
explore(shopping, results)

# %% [markdown]
# ## Does it hold?
#
# An *essential* claim must hold, else we have made a mistake; an *expected* one may fail, and stands as it is.

# %%
notebook.verdicts("longtail_recommendation")

# %% [markdown]
# ## Exercises
#
# **1. Why uniform?** In one epoch the second task draws 20 batches of 100 items. How often is one item drawn, on
# average, if items are uniform? And from the log of 2000 clicks, if the item has none of them, or 200?

# %%
my_visits = (None, None, None)  # uniform; from the log with 0 clicks; with 200 clicks
notebook.check(my_visits, exercises.check_visits)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# $2000/600\approx3.3$ for every item; 0; 200. From the log, head items rule the second task, too, and what the
# features of unseen items tell stays unseen.
#
# </details>

# %% [markdown]
# **2. Write CFM's masks.** Features are whole numbers, `[N, k]`, with `values` values each. Return `[k, k]`: row $i$
# is true for the features that are masked with seed feature $i$. Then make f6 independent noise. What changes?


# %%
def my_masks(features, values):
    return None  # your lines here


notebook.check(my_masks, exercises.check_masks)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# import torch
#
# def my_masks(features, values):
#     seen = torch.nn.functional.one_hot(features, values).double()
#     p = torch.einsum("niv,njw->ijvw", seen, seen) / len(features)
#     apart = p.sum(-1, keepdim=True) * p.sum(-2, keepdim=True)
#     information = (torch.xlogy(p, p) - torch.xlogy(p, apart)).sum((-2, -1))
#     information.fill_diagonal_(torch.inf)
#     chosen = information.topk(len(information) // 2 + 1).indices
#     return torch.zeros(information.shape, dtype=torch.bool).scatter(1, chosen, True)
# ```
# With noise for f6, the masks of f3 and f6 hold features that only luck makes look related: with 600 items and 48
# values even independent features seem to share about 1.4 nats.
#
# </details>

# %% [markdown]
# **3. More clicks.** With 500, 2000 and 8000 clicks, how much more of the tail does CFM find than *base*? Read off
# the widget, first picture. Explain both ends.

# %%
my_gains = (None, None, None)  # for 500, 2000 and 8000 clicks
notebook.check(my_gains, exercises.check_gains)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# About 0.02, 0.07 and 0.00. With 500 clicks features are hardly tied to queries yet. With 8000 the clicks themselves
# teach *base* what the second task teaches.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper learns from up to a billion clicks and retrieves items for items. Losses, masks and uniform sampling are
# kept. Items have no feature that names them. We have not read the tables of the paper.
#
# Limits: demand follows the same groups as the features; if features told nothing about demand, the second task could
# not help. All arms have 12 epochs; with 24, in a pilot, feature dropout was further ahead.
#
# **Reference.** T. Yao, X. Yi, D. Z. Cheng and others: *Self-supervised Learning for Large-scale Item
# Recommendations*. CIKM 2021, [arXiv 2007.12865](https://arxiv.org/abs/2007.12865).
