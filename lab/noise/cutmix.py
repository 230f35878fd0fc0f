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
# *Paste a piece of one picture into another. Which of the gains is the paper's, and which does any patch bring?*

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
# A network that tells dogs from cats soon finds the head. Why look at the rest? Then a dog behind a fence shows its
# tail only, and the network is lost.
#
# **Cutout** erases a square of each training picture, so that other parts must do; the erased pixels teach nothing.
# **Mixup** lays two pictures over each other and mixes their labels. **CutMix** fills a box with the same box of
# *another* training picture: if a third of the pixels come from it, so does a third of the label.
#
# The picture after the bet shows a training digit, mixed with another one. Mixup and CutMix shall keep 60 % of it.

# %% tags=["parameters"]
seeds = 4
probability = 0.75
alpha = 0.5
examples = 100
steps = 400

# %%
digits = experiments.Digits(probability, alpha, examples, steps)
scenes = experiments.Localization(threshold=0.15)
later = notebook.start(scenes, max(1, seeds - 1))  # a second process computes it while you read
results = notebook.run(digits, max(1, seeds - 1))
question = "How much of the label will CutMix give to the first digit?"
bet(question, results, "One picture from two", end("own", "CutMix"), low=0, high=1)

# %% [markdown]
# CutMix counts pixels: its box has whole pixels, here 16 of 64, so 75 % are left. That is not always fair: an empty
# corner counts as much as a stroke. **One label** pastes the same box and keeps the full label; it will show what
# mixing labels is good for.
#
# ## The method
#
# Take two pictures $x_A,x_B$ of $H\times W$ pixels with one-hot labels $y_A,y_B$. A mask $M$ is 0 inside a box and 1
# outside. Then, with $\odot$ for the product pixel by pixel,
#
# $$\tilde x=M\odot x_A+(1-M)\odot x_B,\qquad \tilde y=\lambda y_A+(1-\lambda)y_B .$$
#
# First $\lambda$ is drawn from the distribution $\mathrm{Beta}(\alpha,\alpha)$; for $\alpha=1$ it is uniform on
# $[0,1]$. The sides of the box are $H\sqrt{1-\lambda}$ and $W\sqrt{1-\lambda}$, so that its area is a share
# $1-\lambda$. Its center is uniform over all pixels. A box that crosses the border is clipped, and then $\lambda$ is
# computed again, from the pixels that are left of $x_A$. The loss is cross-entropy with the mixed label, which is
#
# $$L=\lambda\,\mathrm{CE}(f(\tilde x),y_A)+(1-\lambda)\,\mathrm{CE}(f(\tilde x),y_B),$$
#
# where $f$ is the network and CE the cross-entropy. One $\lambda$, one box and one order of partners hold for a whole
# batch, and a batch is changed with probability $p$ only. This is the code:

# %%
notebook.source(method.cut_box, method.cutmix, method.mixed_cross_entropy)

# %% [markdown]
# `partners` returns a copy, since the box must be read before it is overwritten.
#
# ## The experiment
#
# 100 digits train a network of three convolutions, 900 others test it; here with three seeds. All arms of a seed
# share digits, first weights, batches and draws. Settings were chosen by the accuracy on 100 further digits: of 16
# pairs of $p$ and $\alpha$ for CutMix, of 8 pairs each for Mixup and Cutout, of 9 strengths of **label smoothing**,
# which gives a share of each label to all classes, and of 3 **shifts** by whole pixels. **Untrained** knows nothing.

# %%
notebook.arms(digits)

# %% [markdown]
# Now erase the middle of the test digits.

# %% tags=["thumbnail"]
question = "Which arm reads most digits behind a hole of 4x4 pixels?"
bet(question, results, "Occlusion", end("hidden", hole=4))

# %%
notebook.summary(results)

# %% [markdown]
# CutMix is far above plain, and Mixup is not. But look at **one label**: the same boxes, with the *wrong* label for
# what is pasted, do about as well, and so does Cutout, which has trained with holes. So it is the patch that teaches to
# see around a hole, whatever its label; whether mixed labels cost something here is a claim below. What then are they
# good for?

# %%
bet("Who is right most often on whole digits?", results, "Accuracy", end("accuracy"))

# %% [markdown]
# Seeds differ more than arms; with 16 of them, pair by pair, CutMix is a hundredth above plain and two above one label:
# here the mixed label earns its place. Between CutMix, Mixup and Cutout luck decides who is ahead. Label smoothing is a
# little better, and shifts are much better. (In the paper all arms shift.) Behind a hole, though, these two are about
# as lost as plain.
#
# Next, trust. The largest probability should be higher for digits than for pure noise. The AUROC says how often it is;
# one answer for all gives 0.5, the dotted line. FGSM attacks by a small step up the loss.

# %%
notebook.draw(results, "Trust")

# %% [markdown]
# CutMix and Mixup tell noise best here; over 16 seeds this is not sure. Label smoothing does no better than plain, and
# shifts no better than an untrained network. Under attack label smoothing is far above plain, CutMix at most a little.

# %%
notebook.draw(results, "When it does not help")

# %% [markdown]
# Without the border CutMix is *worse* than plain, and one label worse still. Its training loss stays high: a mixed
# label cannot be fitted to zero.
#
# ### Where does it look?
#
# Now objects with a strong "head" and a weak "body", drawn into noise. The map of class $c$ is $A_c=\sum_dw_{cd}F_d$, a
# weighted sum of the last features: bright where it is seen. A box around its largest bright piece, above a threshold
# $\tau$ of its maximum, should be the object's. Settings are those chosen on digits; Cutout's square has 6 pixels.

# %%
located = notebook.run(later)
notebook.draw(located, "Maps")

# %% [markdown]
# On the right, white is in both boxes, grey in one of them only. The object counts as found where white is at least
# half of both (IoU, intersection over union).

# %%
bet("Who does best when the head is erased?", located, "Head and object", end("headless"))

# %% [markdown]
# Without heads CutMix is better than plain, so it depends less on them; Cutout is about as good. The price is a
# larger loss on whole scenes, and with 16 seeds an accuracy of 0.924 against 0.940. In scenes of 24x24 pixels it is
# 0.819 against 0.866 (8 seeds), and without heads CutMix is ahead by only 0.010 ± 0.028.
#
# Do not read the last panel as a success. The dotted line is a square that always stands in the middle: it finds the
# object *more often than the map of any arm*, since the object fills much of the scene. In scenes of 24x24 the maps
# win. But CutMix's maps find no more than plain's; Cutout's find a little more.
#
# ## Explore
#
# Things to try: (1) Set $p$ to 0: CutMix and one label become plain. Then to 1: what changes? (2) Set $\alpha=4$: all
# boxes have a middle size.

# %%
explore(digits, results)

# %% [markdown]
# *(live only)* Make the object small (6 pixels), so that the area says little about what is pasted. Then a large scene
# (24 pixels): how often does the fixed box find it?

# %%
explore(scenes, located)

# %% [markdown]
# ## Does it hold?
#
# An *essential* claim must hold, else we have made a mistake; an *expected* one may fail, and stands as it is.

# %%
notebook.verdicts("cutmix")

# %% [markdown]
# **What would make this page wrong?** If the robustness were that of any patch, if cheaper means were as accurate, and
# if maps were worse than pointing at the middle. The first is so (one label, Cutout), and the second (label smoothing,
# shifts). The third is so in small scenes only. What remains is what mixed labels add to the same boxes: two hundredths
# on whole digits, and CutMix also does better than one label with noise, under attack and without the border.
#
# ## Exercises
#
# **1. Why compute λ again** after the box was clipped? Take a picture of 8x8 pixels, $\lambda=0.25$, and a box around
# the pixel in the first row and column. Which share of the label would B get by the drawn $\lambda$, and which share of
# the pixels does it have?

# %%
my_shares = (None, None)  # by the drawn λ, of the pixels
notebook.check(my_shares, exercises.check_label)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The box has sides of 6 whole pixels ($8\sqrt{0.75}=6.9$), and only 3x3 of them lie inside: B shows 9 of 64 pixels,
# 0.141, and would get 0.75 of the label. The error is largest for large boxes, which cross the border most often.
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
# On one axis a box of side $s$ loses on average $s^2/8$ at either end, so $s-s^2/4$ is left. Given $s$ the axes are
# independent, and $s=\sqrt{1-\lambda}$ has density $2s$. So the mean area is
# $\int_0^1(s-s^2/4)^2\,2s\,ds=\frac12-\frac15+\frac1{48}=0.3208$, not $\frac12$.
#
# </details>

# %% [markdown]
# **3. Weak and strong bodies.** Run `experiments.Contrast().run(4)` (a minute) and draw "Weak and strong bodies". At
# which strength of the body does CutMix help most when the head is erased?

# %%
sweep = None  # experiments.Contrast().run(4); then notebook.draw(sweep, "Weak and strong bodies")
my_strength = None  # one of 0.1, 0.2, …, 0.6
notebook.check((sweep, my_strength), exercises.check_strength)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# In the middle, around 0.3 to 0.4. A body of 0.1 drowns in the noise: without the head nobody can tell. A body of 0.6
# is so clear that plain training uses it too.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper trains a PyramidNet for 300 epochs on CIFAR and a ResNet-50 on ImageNet. Here two or three small layers
# learn from 100 digits or scenes. Kept are the mixing with its clipped boxes, and the way from map to box. The paper
# has $p=0.5$ or 1 and $\alpha=1$, and shifts and flips in all arms. Erased pixels are 0. Weight decays from 0.0001 to
# 0.1 change plain's accuracy by less than 0.003 (8 seeds), so none is an arm.
#
# We did not read the sections on occlusion, attacks and unknown pictures: only directions are compared there.
#
# **Reference.** S. Yun, D. Han, S. J. Oh, S. Chun, J. Choe, Y. Yoo: *CutMix: Regularization Strategy to Train Strong
# Classifiers with Localizable Features*. ICCV 2019, [arXiv 1905.04899](https://arxiv.org/abs/1905.04899).
