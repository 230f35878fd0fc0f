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
from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.labels.imbalanced_regression import exercises, experiments, method, pictures

notebook.card("imbalanced_regression")

# %% [markdown]
# ## The idea
#
# A network guesses the age of a person from a photograph. Almost all training photographs show people around 30. What
# will it say about a person of 80? It has hardly seen any, so its **features**, the numbers in its last hidden layer,
# resemble those of younger people, and so does its guess.
#
# ConR looks for pairs that the network confuses *now*: their labels lie far apart, their predictions close together.
# It pushes the features of such a pair apart, harder where the labels lie farther apart. Pairs with close labels are
# pulled together. The picture shows who is who in one batch.

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
notebook.picture(pictures.pairs, results)

# %% [markdown]
# Near the diagonal labels are alike: positives. Orange pairs are confused: hard negatives. Gray pairs have far labels
# and far predictions; ConR leaves them alone.
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
# A negative is pushed with weight $S_{ji}=\eta_j\,e^{\,e|y_j-y_i|}$. The number $e$ in the exponent says how the push
# grows with label distance. The weight $\eta_j$ is 1, or larger for rare labels. The loss of an anchor is
#
# $$\ell_j=-\frac1{|\mathcal P_j|}\sum_{i\in\mathcal P_j}
# \log\frac{\exp s_{ji}}{A_j+\sum_{q\in\mathcal N_j}S_{jq}\exp s_{jq}},\qquad
# A_j=\sum_{p\in\mathcal P_j}\exp s_{jp},$$
#
# and 0 for a row without hard negatives. Let $L_1$ be the mean absolute error. The network minimizes
# $L_1+\beta L_{\mathrm{ConR}}$ with a weight $\beta\ge0$ and
# $L_{\mathrm{ConR}}=\frac1{2N}\sum_j\eta_j\,\ell_j$. This is the code as it runs:

# %%
notebook.source(method.pairs, method.pushes, method.contrast)

# %% [markdown]
# The authors' code sets similarities of all other columns to 0 before the exponential, so that each of them adds 1 to
# $A_j$. That is the denominator "official", our default.
#
# ## The experiment
#
# Labels lie between 0 and 100, most of them near 30. An input is 24 numbers: twelve sine waves of the label and six
# numbers that mean nothing, mixed and disturbed. There are 600 training points, but the 1000 test points have uniform
# labels. We call labels 20 to 40 *frequent*, and those below 10 or above 50 *rare*.
#
# Views are copies of the input with noise. **Every arm sees three of them** in its $L_1$, unless its name says one. In
# the paper $L_1$ sees one view and ConR two more. Then it is unclear whether ConR helps, or the noise.

# %%
notebook.arms(setting)

# %% [markdown]
# The **rival**, *re-weighting*, costs nothing: an example counts $c^{-\alpha}$ when $c$ training labels lie in its bin
# of width 5. All strengths were chosen on 2000 further points. *All negatives* does not ask for
# predictions. One **null**, *shuffled labels*, gives each row the label and the prediction of another one inside
# ConR; the other always says 50.

# %% tags=["thumbnail"]
bet("Which arm has the smallest error for rare labels?", results, "Errors by label", end("few"),
    among=experiments.SHOWN, wins="lowest")  # fmt: skip

# %%
notebook.summary(results)

# %% [markdown]
# WRITE

# %%
notebook.picture(pictures.geometry, results)

# %%
question = "With ConR, how far from their own label are the five training points that a rare point resembles most?"
bet(question, results, "Features", end("neighbor_distance", "ConR"), low=0, high=30)

# %% [markdown]
# WRITE
#
# ## Explore
#
# Things to try: (1) WRITE

# %%
explore(setting, results)

# %% [markdown]
# ## Does it hold?
#
# Every claim is measured with the same seeds for all arms. An *essential* claim must hold, else we have made a mistake;
# an *expected* one may fail, and then it stands here as it is.

# %%
notebook.verdicts("imbalanced_regression")

# %% [markdown]
# ## Exercises
#
# **1. Who is pushed?** Five rows have the labels 20, 24, 60, 80 and 90 and the predictions 30, 40, 33, 26 and 70. With
# $\omega=5$, which labels belong to the hard negatives of the first row? Why does ConR ask for predictions at all?

# %%
my_negatives = None  # a list of labels
notebook.check(my_negatives, exercises.check_pairs)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `[60, 80]`: their predictions lie within 5 of 30. The row with label 24 is a positive, and that with label 90 is
# predicted far away already. It needs no push. So the loss attends to present mistakes, and it vanishes when there are
# none.
#
# </details>

# %% [markdown]
# **2. Write the loss and its push.** From the similarities $s$, the positives, the hard negatives and the pushes $S$,
# all $[2N,2N]$, and $\eta$ $[2N]$: write $L_{\mathrm{ConR}}$ as a loop over anchors, without the authors' extra ones.
# Then write its derivative in each $s_{jq}$, $q\in\mathcal N_j$, and 0 for other pairs. Which sign has it?


# %%
def my_loss(s, positive, negative, S, eta):
    return None  # your lines here


def my_gradient(s, positive, negative, S, eta):
    return None  # your lines here


notebook.check(my_loss, exercises.check_loss)

# %%
notebook.check(my_gradient, exercises.check_gradient)

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
# Only the logarithm of the denominator holds $s_{jq}$, so the derivative is
# $\eta_jS_{jq}e^{s_{jq}}/(A_j+\dots)/(2N)$. It is positive: descent makes every hard negative less similar.
#
# </details>

# %% [markdown]
# **3. What are purer features worth?** In the widget choose the picture *Features* and set $\beta$ to 0, 20 and 80.
# Read off for ConR the label distance of the neighbors and the error of rare labels.

# %%
my_distances, my_errors = (None, None, None), (None, None, None)  # for β = 0, 20 and 80
notebook.check((*my_distances, *my_errors), exercises.check_sweep)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# WRITE
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper estimates ages, depths and directions of gaze from images with ResNet-50 and other large networks. Here a
# network with two hidden layers reads 24 made-up numbers. Kept are the loss, its two views, and a balanced test set.
# Our $\beta$ is larger because our $L_1$ is: WRITE. Smoothed weights (LDS, FDS), RankSim and Balanced MSE,
# which the paper also combines with ConR, are not built.
#
# The formulas follow the authors' code. There the logarithm is averaged over positives; the paper describes one logarithm of
# an average. WRITE limits
#
# **Reference.** M. Keramati, L. Meng, R. D. Evans: *ConR: Contrastive Regularizer for Deep Imbalanced Regression*.
# ICLR 2024, [arXiv 2309.06651](https://arxiv.org/abs/2309.06651).
