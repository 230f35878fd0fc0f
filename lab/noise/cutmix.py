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
# # Cut, paste and mix the labels
#
# *A network likes to look at the most telling part of an object only. What if that part is often missing?*

# %%
from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.noise.cutmix import exercises, experiments, method

notebook.card("cutmix")

# %% [markdown]
# ## The idea
#
# A network that must tell dogs from cats soon finds the head. The head is enough, so why look at the rest? Then a dog
# behind a fence shows its tail only, and the network is lost.
#
# **Cutout** erases a square of each training picture. The network has to use other parts, but the erased pixels teach
# nothing. **Mixup** lays two pictures over each other and mixes their labels. All pixels are used, but nobody ever sees
# such a ghost. **CutMix** takes the best of both: it fills the square with the same square of *another* training
# picture. If a third of the pixels come from the other one, so does a third of the label. Every pixel tells something,
# and the network has to say what is where.
#
# The picture after the bet shows a digit that is mixed with another one. Mixup and CutMix are asked to keep 60 % of it.

# %%
mixed = notebook.run(experiments.Mixing(lam=0.6), 1)
question = "How much of the label will CutMix give to the first digit?"
bet(question, mixed, "One picture from two", end("own", "CutMix"), low=0, high=1)

# %% [markdown]
# Cutout keeps the full label, whatever was erased. Mixup gives 60 % to the first digit. CutMix counts pixels: its box
# has whole pixels, here 16 of 64, so 75 % are left. That is not always fair: an empty corner counts as much as the
# stroke that makes the digit. **One label** pastes the same box and keeps the full label; it will show what the mixed
# label is good for.
#
# ## The method
#
# Take two pictures $x_A,x_B$ of $H\times W$ pixels with one-hot labels $y_A,y_B$. A mask $M$ is 0 inside a box and 1
# outside. Then, with $\odot$ for the product pixel by pixel,
#
# $$\tilde x=M\odot x_A+(1-M)\odot x_B,\qquad \tilde y=\lambda y_A+(1-\lambda)y_B .$$
#
# First $\lambda$ is drawn from the distribution $\mathrm{Beta}(\alpha,\alpha)$; for $\alpha=1$ it is uniform on
# $[0,1]$. The sides of the box are $H\sqrt{1-\lambda}$ and $W\sqrt{1-\lambda}$, so that its area is a share $1-\lambda$
# of the picture. Its center is uniform over all pixels. A box that crosses the border is clipped, and then $\lambda$ is
# computed again, from the pixels that are left of $x_A$. The loss is cross-entropy with the mixed label, which is
#
# $$L=\lambda\,\mathrm{CE}(f(\tilde x),y_A)+(1-\lambda)\,\mathrm{CE}(f(\tilde x),y_B),$$
#
# where $f$ is the network and CE the cross-entropy. One $\lambda$, one box and one random order of partners hold for a
# whole batch, and a batch is changed with probability $p$ only. This is the code:

# %%
notebook.source(method.cut_box, method.cutmix, method.mixed_cross_entropy)

# %% [markdown]
# The function `partners` returns a copy in another order. A view would not do: the box must be read before it is
# overwritten.
#
# ## The experiment
#
# 100 digits train a network of three convolutions, 900 others test it. **Arms**, with the same digits, first weights,
# batches and draws: **plain**, **Cutout**, **Mixup**, **CutMix**, and **one label**, which pastes as CutMix does but
# keeps the label of $x_A$. After training we erase the middle of the test digits.

# %% tags=["parameters"]
seeds = 8
probability = 0.5
alpha = 1.0
examples = 100
steps = 400

# %% tags=["thumbnail"]
digits = experiments.Digits(probability, alpha, examples, steps)
results = notebook.run(digits, seeds)
question = "Which arm reads most digits behind a hole of 4x4 pixels?"
bet(question, results, "Occlusion", end("hidden", hole=4))

# %%
notebook.summary(results)

# %% [markdown]
# On the left CutMix is far above plain, and Mixup is not. Cutout is as good: it has trained with just such holes. On
# the right is a limit. Without the border CutMix is *worse* than plain, and without mixed labels worse still.
#
# The next picture asks about trust. **Look for** the arm that is surest of pictures of pure noise, where nothing is to
# be seen.

# %%
notebook.draw(results, "Trust")

# %% [markdown]
# Cutout is about as sure as plain; CutMix and Mixup are much less sure. Under attack the differences are small. So of
# the three methods only CutMix does well both behind holes and with noise.

# %%
bet("Whose training loss will be lowest?", results, "Accuracy", end("loss"), wins="lowest")

# %% [markdown]
# The training loss of CutMix stays high. This is no underfitting: a mixed label cannot be fitted to zero. On new digits
# the arms differ by a percent or two, with CutMix ahead. It takes 16 seeds to be sure.
#
# ### Where does it look?
#
# Now objects with a strong "head" and a weak "body", drawn into noise. The map of a class is the weighted sum of the
# last features, $A_c=\sum_dw_{cd}F_d$: bright where the network sees class $c$. A box around its largest bright piece,
# above a threshold $\tau$ of its maximum, should be the object's. The arm **every batch** is CutMix with $p=1$.

# %%
scenes = experiments.Localization(threshold=0.15)
located = notebook.run(scenes, 4)
notebook.draw(located, "Maps")

# %% [markdown]
# On the right, white is in both boxes, grey in one of them only. The object counts as found where white is at least
# half of white and grey together (IoU, intersection over union).

# %%
bet("Who does best when the head is erased?", located, "Head and body", end("headless"))

# %%
question = "Who finds the object most often?"
bet(question, located, "Where is the object", end("localization", tau=0.15))

# %% [markdown]
# Without heads CutMix is better than plain, so it depends less on them. A hole in the middle hurts all arms alike. And
# CutMix does *not* find more objects. The paper reports a large gain for birds and a small one for ImageNet; we find
# none.
#
# ## Explore
#
# Things to try: (1) Set $p$ to 0: all arms are plain. Then to 1: what is gained behind holes, what is lost in accuracy?
# (2) Set $\alpha=0.2$: most boxes are tiny or huge. (3) Train on 400 digits. Who still needs help?

# %%
explore(digits, results)

# %% [markdown]
# With the scenes, make the object small (6 pixels). The area now says little about what is pasted. What happens to the
# accuracy of CutMix?

# %%
explore(scenes, located)

# %% [markdown]
# ## Does it hold?
#
# Every claim is measured with the same seeds for all arms. An *essential* claim must hold, else we have made a mistake;
# an *expected* one may fail, and then it stands here as it is.

# %%
notebook.verdicts("cutmix")

# %% [markdown]
# CutMix also has a price. Where the task is easy and training short it fits more slowly, and with small objects, whose
# label the area often misses, it is less accurate.
#
# ## Exercises
#
# **1. Why compute λ again** after the box was clipped?

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The label must state the area that can be seen. Otherwise a clipped box would carry too much of label B. The error is
# largest for large boxes, which cross the border most often.
#
# </details>

# %% [markdown]
# **2. How much is clipped?** Let the picture be the unit square, and all numbers real. Draw $\lambda$ and both
# coordinates of the center uniformly, and return the mean area of the box inside the picture. Then find the number on
# paper.


# %%
def my_area(draws):
    return None  # your lines here


notebook.check(my_area, exercises.check_clipping)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def my_area(draws):
#     rng = np.random.default_rng(0)
#     side, center = np.sqrt(1 - rng.random(draws)), rng.random((2, draws))
#     first = (center - side / 2).clip(min=0)
#     end = (center + side / 2).clip(max=1)
#     return (end - first).prod(0).mean()
# ```
# On one axis a box of side $s$ loses on average $s^2/8$ at either end, so $s-s^2/4$ is left. Both axes are independent
# given $s$, and $s=\sqrt{1-\lambda}$ has density $2s$. So the mean area is
# $\int_0^1(s-s^2/4)^2\,2s\,ds=\frac12-\frac15+\frac1{48}=0.3208$, not $\frac12$. With whole pixels it is smaller, 0.23
# on pictures of 8x8.
#
# </details>

# %% [markdown]
# **3. Weak and strong bodies.** Run `experiments.Contrast().run(4)` and draw "Weak and strong bodies". At which
# strength of the body does CutMix help most when the head is erased?

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# In the middle, around 0.3 to 0.4. A body of 0.1 drowns in the noise: without the head nobody can tell. A body of 0.6
# is so clear that plain training uses it too. In between the body could help, but plain training does not need it.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper trains a PyramidNet for 300 epochs on CIFAR and a ResNet-50 on ImageNet. Here two or three small layers
# learn from 100 digits or scenes. Kept are the mixing with its clipped boxes, and the way from map to box. Cutout and
# Mixup change a batch with the same probability as CutMix; the papers change every one. Erased pixels are 0, the
# background of a digit, and Cutout has trained with such holes.
#
# We read the abstract, the start of the introduction, the official code and its tables of results. We did not read the
# sections on occlusion, attacks and unknown pictures, so only directions are compared there. In the official code one
# axis is named the width and is the height; since boxes are square this changes nothing.
#
# **Reference.** S. Yun, D. Han, S. J. Oh, S. Chun, J. Choe, Y. Yoo: *CutMix: Regularization Strategy to Train Strong
# Classifiers with Localizable Features*. ICCV 2019, [arXiv 1905.04899](https://arxiv.org/abs/1905.04899).
