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
# # Rare labels and confused features
#
# *What a regression network does where training labels are rare, and what it is worth to push apart what it confuses.*

# %%
from IPython.display import display

from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.labels.imbalanced_regression import exercises, experiments, method
from reglab.pictures import page

notebook.card("imbalanced_regression")

# %% [markdown]
# ## The idea
#
# A network guesses ages from photographs. Almost all training photographs show people around 30. What will it say about
# a person of 80? It has hardly seen any. So its **features**, the numbers in its last hidden layer, resemble those of
# younger people, and so does its guess.
#
# ConR looks for pairs that the network confuses *now*: their labels lie far apart, their predictions close together.
# It pushes their features apart, harder the farther the labels. Pairs with close labels are pulled together.

# %% tags=["parameters"]
seeds = 4
beta = 40.0
mass = 0.05
window = 5.0
push = 0.01
temperature = 0.2
denominator = "official"
epochs = 30

# %%
setting = experiments.Regression(beta, mass, window, push, temperature, denominator, epochs)
results = notebook.run(setting, seeds)
page.draw(results, experiments.FEATURES, setting.arms)

# %% [markdown]
# These are the features of 200 test points, in the plane of their two main components, for one seed. Blue squares have
# labels below 10, light blue crosses above 50: both are rare. Orange, green and pink marks have labels 10 to 20, 20 to
# 40, 40 to 50. With ConR labels lie in order around a ring. Are predictions better, too?
#
# ## The method
#
# A batch has $N$ examples, each in two noisy **views**: $2N$ rows. Row $j$ has a label $y_j$, a prediction $\hat y_j$
# and features $f_j$. The similarity of two rows is $s_{ji}=\cos(f_j,f_i)/\tau$ with a temperature $\tau$. With a
# window $\omega$, row $j$ as the **anchor** has
#
# - positives $\mathcal P_j$: other rows with $|y_j-y_i|\le\omega$,
# - hard negatives $\mathcal N_j$: rows with $|y_j-y_i|>\omega$ but $|\hat y_j-\hat y_i|\le\omega$.
#
# A negative is pushed with weight $S_{ji}=\eta_j\,\mathrm{e}^{\,e|y_j-y_i|}$. The number $e$ says how the push grows
# with label distance; $\eta_j$ is 1, or larger for rare labels. The loss of an anchor is
#
# $$\ell_j=-\frac1{|\mathcal P_j|}\sum_{i\in\mathcal P_j}
# \log\frac{\exp s_{ji}}{A_j+\sum_{q\in\mathcal N_j}S_{jq}\exp s_{jq}},\qquad
# A_j=\sum_{p\in\mathcal P_j}\exp s_{jp},$$
#
# and 0 for a row without hard negatives. With the mean absolute error $L_1$ and a weight $\beta\ge0$ the network
# minimizes $L_1+\beta\,\frac1{2N}\sum_j\eta_j\,\ell_j$. The code:

# %%
notebook.source(method.pairs, method.pushes, method.contrast)

# %% [markdown]
# In the authors' code all other columns add 1 each to $A_j$. That is the denominator "official", our default.
#
# ## The experiment
#
# Labels lie between 0 and 100, most near 30. An input is 24 numbers: twelve sine waves of the label and six numbers
# without meaning, mixed and disturbed. There are 600 training points; 1000 test points have uniform labels. Labels 20
# to 40 are *frequent*, those below 10 or above 50 *rare*.
#
# Views are inputs with noise. **The $L_1$ of every arm sees three**, unless its name says one. In the paper $L_1$ sees
# one and ConR two more; then nobody knows whether ConR helps or the noise.

# %%
notebook.arms(setting)

# %% [markdown]
# The **rival**, *re-weighting*, costs nothing: an example counts $c^{-1/4}$, up to a factor, where $c$ training labels
# lie in its bin of width 5. Strengths were chosen on 2000 further points. *All negatives* ignores predictions. One
# **null**, *shuffled labels*, gives each row the label and prediction of another inside ConR; the other says 50.

# %% tags=["thumbnail"]
question = "With ConR, how far from its own label are the five training points that a rare point resembles most?"
bet(question, results, "Neighbors", end("neighbor_distance", "ConR"), low=0, high=30)

# %% [markdown]
# Left, resemblance is the cosine of features. ConR brings like labels together, *all negatives* far more, and the null
# does the opposite. L1's features are worse than raw inputs (dashed). Right, seeds differ far more than arms.

# %%
display(notebook.summary(results))
notebook.draw(results, "Errors by label")

# %% [markdown]
# Errors grow where training labels are rare, whatever the arm. Only differences within a seed tell arms apart.
#
# **What would make this page wrong?** "Noisy views alone give more than ConR, and the rest is as large without
# imbalance." In this toy that is right. On 16 building seeds ConR lowered L1's mean error by 0.30, from 12.6. The null
# lowered it by 0.25, re-weighting by 0.50, and two more views without ConR by 0.81. With balanced labels ConR gained
# 0.50. So it orders the features, as promised; what that is worth here is small and has little to do with rare labels.
#
# ## Explore
#
# Things to try: (1) Move β from 0 to 320 and watch *Neighbors*. (2) *Confusions* shows which pairs of labels are
# confused: does ConR remove what it fights? (3) Set `mass` to 10, balanced labels. Does ConR help less?

# %%
explore(setting, results)

# %% [markdown]
# ## Does it hold?
#
# All arms have the same seeds, new ones. An *essential* claim must hold, else we have made a mistake; an *expected* one
# may fail, and then it stands here as it is.

# %%
notebook.verdicts("imbalanced_regression")

# %% [markdown]
# ## Exercises
#
# **1. Who is pushed?** Five rows have the labels 20, 24, 60, 80 and 90 and the predictions 30, 40, 33, 26 and 70. With
# $\omega=5$, which labels belong to the hard negatives of the first row? Why ask for predictions at all?

# %%
my_negatives = None  # a list of labels
notebook.check(my_negatives, exercises.check_pairs)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `[60, 80]`: their predictions lie within 5 of 30. Label 24 is a positive, and 90 is predicted far away already. So the
# loss attends to present mistakes and vanishes when there are none.
#
# </details>

# %% [markdown]
# **2. Write the loss and its push.** From the similarities $s$, the positives, the hard negatives and the pushes $S$,
# all $[2N,2N]$, and $\eta$ $[2N]$: write $\frac1{2N}\sum_j\eta_j\ell_j$ as a loop over anchors, without the authors'
# ones. Then write its derivative in each $s_{jq}$, $q\in\mathcal N_j$, and 0 for other pairs. Which sign has it?


# %%
def my_loss(s, positive, negative, S, eta):
    return None  # your lines here


def my_gradient(s, positive, negative, S, eta):
    return None  # your lines here


notebook.check((my_loss, my_gradient), exercises.check_push)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def my_loss(s, positive, negative, S, eta):
#     total = 0
#     for j in range(len(s)):
#         if negative[j].any():
#             below = s[j][positive[j]].exp().sum() + (S[j] * s[j].exp())[negative[j]].sum()
#             total = total - eta[j] * (s[j][positive[j]].exp() / below).log().mean()
#     return total / len(s)
#
# def my_gradient(s, positive, negative, S, eta):
#     pushed = negative * S * s.exp()
#     below = (positive * s.exp() + pushed).sum(-1, keepdim=True)
#     return eta[:, None] * pushed / below / len(s)
# ```
# The derivative is $\eta_jS_{jq}e^{s_{jq}}/(A_j+\dots)/(2N)$. It is positive: descent makes every hard negative less
# similar.
#
# </details>

# %% [markdown]
# **3. What are purer features worth?** In the widget's picture *Neighbors* set $\beta$ to 0, 20 and 80. Read off ConR's
# label distance and its error for rare labels.

# %%
my_distances, my_errors = (None, None, None), (None, None, None)  # for β = 0, 20 and 80
notebook.check((*my_distances, *my_errors), exercises.check_sweep)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Label distance about 16.3, 12.4 and 9.8; error about 15.9, 15.6 and 15.6. The error is smallest near $\beta=40$, and
# at 320 larger than without ConR, while the features become ever purer.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper reads images with large networks, ours 24 made-up numbers with a small one. Kept are the loss, its two views
# and the balanced test set. Our $\beta$ is 40, not 4, since our $L_1$ is larger; $\tau$ is 0.2, not 0.07. LDS, FDS,
# RankSim and Balanced MSE, which the paper combines with ConR, are not built.
#
# The authors' code, which we follow, averages logarithms over positives; the paper describes one logarithm of an
# average. Errors at the ends of the range are partly extrapolation, which no regularizer can mend. Photographs may
# have more to gain from better features.
#
# **Reference.** M. Keramati, L. Meng, R. D. Evans: *ConR: Contrastive Regularizer for Deep Imbalanced Regression*.
# ICLR 2024, [arXiv 2309.06651](https://arxiv.org/abs/2309.06651).
