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
# # Early learning and memorization
#
# *What happens when some training labels are wrong, and how a network's own early belief can protect it.*

# %%
from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.labels.early_learning import exercises, experiments, method

notebook.card("early_learning")

# %% [markdown]
# ## The idea
#
# Somebody labeled your training images in a hurry. Out of 100 labels about 36 are wrong. You train a network on them
# with cross-entropy, the usual loss. What will it predict for an image of a 3 that carries the label 8?
#
# First it says 3. All the rightly labeled threes teach it what a 3 looks like, and one wrong label cannot outweigh
# them. This is **early learning**. But the rightly labeled images are soon fitted, and then their gradients fade. The
# wrongly labeled ones still disagree with the network, so their gradients stay large. Step by step the network learns
# them by heart: it says 8. This is **memorization**, and it makes the network worse on new images.
#
# Early-learning regularization (ELR) writes down what the network believes about every training example while it still
# believes the truth. A term in the loss then holds it to that belief.
#
# The picture after the bet has one color for each answer that the network gives. Orange is the wrong label.

# %% tags=["parameters"]
seeds = 4
noise = 0.4
strength = 3.0
target_momentum = 0.7
learning_rate = 0.02
epochs = 50

# %%
digits = experiments.Memorization(noise, strength, target_momentum, learning_rate, epochs)
results = notebook.run(digits, seeds)
question = "What share of the wrong labels will cross-entropy know by heart in the end?"
bet(question, results, "What is predicted", end("wrong_memorized", "cross-entropy"), low=0, high=1)

# %% [markdown]
# Look at the right column, the wrongly labeled digits. Under cross-entropy (first row) blue, the truth, comes first
# and orange, the wrong label, eats it up later. Under ELR (second row) it hardly starts.
#
# ## The method
#
# There are $n$ training examples and $C$ classes. For example $i$ the network gives logits $z^{[i]}\in\mathbb R^C$ and
# probabilities $p^{[i]}=\mathrm{softmax}(z^{[i]})$. Its observed label, right or wrong, is the one-hot vector
# $y^{[i]}$. ELR keeps one more vector for every example, the **target** $t^{[i]}$. It starts at zero. Whenever the
# example appears in a batch, the target moves towards the present prediction, with a memory $0\le\beta<1$:
#
# $$t^{[i]}\leftarrow\beta\,t^{[i]}+(1-\beta)\,p^{[i]} .$$
#
# The loss adds to cross-entropy a term of strength $\lambda\ge 0$:
#
# $$L=-\frac1n\sum_i\sum_c y^{[i]}_c\log p^{[i]}_c
# +\frac{\lambda}{n}\sum_i\log\bigl(1-\langle p^{[i]},t^{[i]}\rangle\bigr).$$
#
# Here $\langle p,t\rangle=\sum_c p_ct_c$ is large when prediction and target agree. The term then is very negative, so
# the network is paid for agreeing with its memory. What does this do to the gradient? In the logits, one example's
# gradient is $p-y+\lambda g$, and with $p$ and $t$ those of the example
#
# $$g_c=\frac{p_c\,(\langle p,t\rangle-t_c)}{1-\langle p,t\rangle}.$$
#
# At the true class $c^*$ the target is large, so $g_{c^*}<0$. For a wrongly labeled example cross-entropy pushes away
# from the truth with $+p_{c^*}$; the regularizer pulls back with $\lambda g_{c^*}$. This is the code, as it runs:

# %%
notebook.source(method.update_targets, method.elr_regularizer, method.elr_loss, method.elr_gradient)

# %% [markdown]
# The function `clamp` keeps probabilities between 0.0001 and 0.9999, as the authors do; a clamped probability passes no
# gradient.
#
# ## The experiment
#
# We take 1000 handwritten digits with noisy labels: for a share $r=0.4$ of them the label is redrawn from all ten
# digits, so one in ten of these stays right. A network with one hidden layer of 128 units learns from 800 of them. The
# other 200, with their noisy labels, are all that anything is chosen by. Then 797 rightly labeled digits tell how good
# the network is. All arms of one seed share digits, wrong labels, first weights and batches:

# %%
notebook.arms(digits)

# %% [markdown]
# ELR has two **rivals** that cost nothing: *early stopping* keeps the epoch of cross-entropy that fits the 200 noisy
# labels best; *weight decay* pulls the weights to zero, with a strength chosen on the same labels. The **null**,
# *shuffled targets*, holds every digit to the remembered belief about another digit. It has the same loss and knows
# nothing.

# %% tags=["thumbnail"]
bet("Which arm ends highest on new digits?", results, "Accuracy and memory", end("test_accuracy"))

# %%
notebook.summary(results)

# %% [markdown]
# Thin lines are single seeds, the band is the 95 % interval of their mean. The star is the best epoch of cross-entropy
# on the test digits, which nobody can know; early stopping comes close with noisy labels alone. The text speaks of
# eight seeds, the pictures show four.
#
# **So what is ELR worth?** Most of what cross-entropy loses, the cheap rivals win back: stopping early ends near 0.90,
# weight decay near 0.92, where plain cross-entropy falls to 0.75. ELR ends near 0.96. Its own gain over the better
# rival is about 0.04. And it needs the right targets: with those of other digits it is no better than cross-entropy.
#
# What else is in it? The next picture changes its parts. *KL* uses the same targets in the more obvious term
# $-\lambda\sum_c t_c\log p_c$, with its own chosen strength. *ELR, no memory* has $\beta=0$: the target is the present
# prediction, and the outcome depends on luck. Look at how far its seeds lie apart.

# %%
notebook.draw(results, "What makes ELR work")

# %% [markdown]
# The next picture shows the push and the pull on wrongly labeled digits. **Look for** the sum: does it stay positive,
# away from the truth?

# %%
notebook.draw(results, "Push and pull")

# %% [markdown]
# On the right the network is sure of the truth, so cross-entropy pushes away from it with almost full strength. The
# regularizer cancels about three quarters of that push.
#
# ### A theory one can see through
#
# The same happens in the simplest case, and there the paper proves it. Two Gaussian clouds lie around $+v$ and $-v$,
# with standard deviation $\sigma$ in each of $p$ dimensions. A linear model $\theta$ is trained by gradient descent on
# $n$ points; a share $\Delta$ of the labels comes from a fair coin, so half of these are wrong. With the true or wrong
# label $\varepsilon=\pm1$ and $\kappa=\tanh(\theta^\top x)-\varepsilon$,
#
# $$\nabla L(\theta)=\frac1{2n}\sum_i x^{[i]}\kappa^{[i]}.$$
#
# (This gradient belongs to $L=\frac1{2n}\sum\log(1+e^{-2\varepsilon\theta^\top x})$; the paper's appendix prints the
# loss in another scale.) Until the first step $T$ with $\theta^\top v\ge 1/10$ the descent points to the truth: the
# cosine between $-\nabla L$ and $v$ is at least $1/6$. Later, if $p/n>1-\Delta/2$, every wrong label gets fitted.

# %%
linear = notebook.run(experiments.LinearTheory(), seeds)
notebook.draw(linear, "Early and late")

# %% [markdown]
# **What you see:** left of $T$ the cosine is far above $1/6$. Right labels fade from the gradient ($\kappa^2$ falls),
# wrong labels take over ($\kappa^2$ rises). In the end cross-entropy has turned almost all wrongly labeled points
# around, and its accuracy on new points has dropped. ELR keeps both.
#
# ## Explore
#
# Things to try: (1) Move $r$ to 0 and then to 0.8. When does ELR matter, when not? Is it still above both rivals? (2)
# *(live only)* Pin a run, then change $\beta$ from 0.7 to 0.97. Why is a very long memory not best here? (3) Look at
# the picture *Push and pull* with λ = 1. The strengths of weight decay and KL stay as they were chosen at $r=0.4$.

# %%
explore(digits, results)

# %% [markdown]
# In the linear theory, make the clouds narrow (σ = 0.1): how much later does memorization come?

# %%
explore(experiments.LinearTheory(), linear)

# %% [markdown]
# ## Does it hold?
#
# Every claim is measured with the same seeds for all arms. An *essential* claim must hold, else we have made a mistake;
# an *expected* one may fail, and then it stands here as it is.

# %%
notebook.verdicts("early_learning")

# %% [markdown]
# ## Exercises
#
# **1. Why the logarithm?** Why does the paper take $\log(1-\langle p,t\rangle)$ and not simply
# $-\langle p,t\rangle$? Take two classes and $p=t=(0.99,0.01)$: how large is the gradient in the first logit, with the
# logarithm and without?

# %%
my_pulls = (None, None)  # with the logarithm, without it
notebook.check(my_pulls, exercises.check_pulls)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The gradient of $-\langle p,t\rangle$ in the first logit is $p_1(\langle p,t\rangle-t_1)=0.99\cdot(0.9802-0.99)
# =-0.0097$. It carries a factor from the softmax that vanishes when $p$ becomes certain, just when the pull is needed.
# The logarithm divides by $1-\langle p,t\rangle=0.0198$, which vanishes too: $-0.49$. So the pull stays of order one,
# and only then can it balance the push of cross-entropy, which is of order one.
#
# </details>

# %% [markdown]
# **2. Write the gradient.** Fill in $g$ for one batch of logits and targets, both $[N, C]$, in at most ten lines,
# without the clamp. Then find, for two classes with $t=p=(q,1-q)$, true class 1 and observed label 2, the strength
# $\lambda$ at which the push and the pull cancel, as a function of $q>\frac12$.


# %%
def my_gradient(logits, targets):
    return None  # your lines here


def my_strength(q):
    return None  # your formula here


notebook.check(my_gradient, exercises.check_gradient)

# %%
notebook.check(my_strength, exercises.check_strength)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def my_gradient(logits, targets):
#     p = logits.softmax(-1)
#     agreement = (p * targets).sum(-1, keepdim=True)
#     return p * (agreement - targets) / (1 - agreement)
#
# def my_strength(q):
#     return 2 * q / (2 * q - 1)
# ```
# With $t=p=(q,1-q)$ we have $\langle p,t\rangle=q^2+(1-q)^2$ and $g_1=-(2q-1)/2$. The push is $p_1=q$, so
# $\lambda=2q/(2q-1)$. This is above 2 for every $q<1$: a $\lambda$ of 2 to 3 is needed to hold a confident true
# prediction against a wrong label.
#
# </details>

# %% [markdown]
# **3. Sweep the strength.** In the first widget set $\lambda$ to 1, 3 and 15 at $r=0.4$. Which test accuracy does ELR
# end with? Where is too much?

# %%
my_accuracies = (None, None, None)  # for λ = 1, 3 and 15
notebook.check(my_accuracies, exercises.check_sweep)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# About 0.85, 0.96 and 0.79. A small $\lambda$ lets the network memorize. At $\lambda=15$ it is held to beliefs that it
# formed before it knew enough: next to nothing is memorized, but it underfits, and some seeds fail.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper trains a ResNet-34 on CIFAR-10 and other photographs, with random shifts and flips of the images. Here a
# small network learns 800 digits, without such changes. Kept are the loss, the targets and their order of update, the
# kind of noise, and SGD with momentum 0.9 and weight decay 0.001. The theorems speak of infinitely many examples; we
# take 200 in 180 dimensions. The paper's ELR+ (two networks that give each other targets, averaged weights, mixed
# images) is not built.
#
# The equations follow the paper's Sections 3 and 4 and its Lemma 2; the order of the update and the clamp follow the
# authors' code. Limits: the theorem assumes $\Delta\le 1/2$, and at $\Delta=0.8$ single seeds come close to the bound
# $1/6$. With small $\sigma$ memorization takes long: its time grows like $1/\sigma^2$.
#
# **Reference.** S. Liu, J. Niles-Weed, N. Razavian, C. Fernandez-Granda: *Early-Learning Regularization Prevents
# Memorization of Noisy Labels*. NeurIPS 2020, [arXiv 2007.00151](https://arxiv.org/abs/2007.00151).
