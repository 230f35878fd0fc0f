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
# # Mode collapse and the entropy of codes
#
# *A generator may repeat one good sample forever. What if it were paid for being different from what it did before?*

# %%
from reglab import notebook
from reglab.explore import explore
from reglab.papers.generation.mode_collapse import exercises, experiments, method

notebook.card("mode_collapse")

# %% [markdown]
# ## The idea
#
# In a generative adversarial network (GAN) two networks play. The **generator** turns noise into samples. The
# **discriminator** tries to tell them from real ones. Suppose that the real points lie in eight small clouds on a
# ring, the **modes**. The generator puts all its points into one of them. Each point looks real! Once the
# discriminator suspects that cloud, the generator moves on. This is **mode collapse**.
#
# Manifold entropy estimation (MEE) pays for variety. The discriminator gives each sample a **code**, a short list of
# numbers. MEE remembers earlier codes, looks up the nearest one for each new code, and rewards the generator for a
# large distance. Repetition earns nothing.
#
# The picture shows generated points after the last step; crosses are the true modes. In two panels, **balanced**, the
# discriminator learns as fast as the generator; in the others it is four times slower. **Before you look:** in which
# panels will all eight crosses be reached?

# %% tags=["parameters"]
seeds = 8
strength = 0.02
rate_ratio = 0.25
isometry = 0.003
memory = 128
target = "ring"
modes = 8

# %%
collapse = experiments.ModeCollapse(strength, rate_ratio, isometry, memory, target, modes)
results = notebook.run(collapse, seeds)
notebook.draw(results, "Samples")

# %% [markdown]
# The plain GAN's points stay together. With MEE they are all over the ring, and around it.
#
# Now be fair and look at the two balanced panels. We *chose* a slow discriminator so that the plain GAN collapses. With
# a quick one it does not. So we ask: *when it collapses, does MEE help? And when it does not, what does MEE cost?*
#
# ## The method
#
# A batch has $N$ real points $x_i$ and $N$ generated points $\tilde x_i=G(z_i)$, with noise $z_i$. The discriminator
# $D$ gives codes of $K$ numbers, $c_i=D(x_i)$ and $\tilde c_i=D(\tilde x_i)$. The mean of a code is its score; scores
# play the usual GAN game. "sg" marks what counts as a constant. Two terms of the discriminator shape the codes.
#
# **DLLE** keeps neighbors together. $T$ moves a point a little:
#
# $$L_{DLLE}=\mathrm{mse}\bigl(D(x),\mathrm{sg}\,D(T(x))\bigr)
# +\mathrm{mse}\bigl(D(\tilde x),\mathrm{sg}\,D(T(\tilde x))\bigr).$$
#
# **DIsoMap** keeps mixtures: a straight mix of two points gets the mix of their codes. The weight $\alpha_i$ is
# Gaussian, so it may even lie outside $[0,1]$; $\epsilon$ is small noise:
#
# $$L_{Iso}=\mathrm{mse}\bigl(D(\alpha_i x_i+(1-\alpha_i)\tilde x_i),
# \ \mathrm{sg}[\alpha_i c_i+(1-\alpha_i)\tilde c_i+\epsilon]\bigr).$$
#
# **The entropy.** The memory $B$ holds the last $Q$ codes. With $\hat E$, the mean squared distance to the nearest of
# them, both players add $R$ to their loss, with weight $\lambda$:
#
# $$\hat E=\frac1N\sum_i\min_{b\in B}\frac1K\|c_i-b\|^2,\qquad R=-\lambda\log\hat E .$$
#
# The generator takes $R$ of its own codes, the discriminator of the real ones, with a much smaller weight. Why is this
# an entropy? Where points are dense, neighbors are close. The classical estimate of Kozachenko and Leonenko is a
# constant plus the *mean of the logarithms* of such distances. MEE takes the *logarithm of the mean*.

# %%
notebook.source(method.nearest, method.spread, method.entropy_loss, method.remember)

# %%
notebook.source(method.locality_loss, method.isometry_loss)

# %% [markdown]
# The $10^{-8}$ inside the logarithm is for codes that equal remembered ones.
#
# The published code departs from its description. Its memory has rows, and sample $i$ is only compared with place $i$
# of each row. At each call 64 rows leave and one comes in. How many rows are left?

# %%
print(*method.official_rows(1024, 64, 20))

# %% [markdown]
# One row, the batch before: "the nearest" has become "a random one". We follow the description and keep the published
# behavior as an arm.
#
# ## The experiment
#
# Two hidden layers of 64 units, codes of $K=8$ numbers, batches of $N=64$, 800 steps. The **arms**: **GAN**, the
# baseline; **MEE**, the method; **GAN + embedding**, DLLE and DIsoMap but no entropy; **entropy only**, that of
# generated codes and nothing else; **official buffer**, MEE with a random partner; and the two balanced arms. All arms
# of a seed share first weights, real points and noise.
#
# A mode is **covered** if at least 2 % of its fair share of 2000 samples lie within three standard deviations of its
# center. **HQ** is the share of samples so near to any center.
#
# **Predict:** which arm comes near MEE? Is the random partner any good?

# %% tags=["thumbnail"]
notebook.draw(results, "Coverage")

# %%
notebook.summary(results)

# %% [markdown]
# The entropy alone covers as much as all of MEE, the embedding alone as little as the plain GAN. The random partner
# helps in some seeds only: two clouds far apart please it as much as eight. On the right all are poor.
#
# The next picture adds the balanced arms. **Look for** the price of the entropy where nothing collapses.

# %%
notebook.draw(results, "When nothing collapses")

# %% [markdown]
# The balanced GAN covers everything sooner and more precisely than MEE with a slow discriminator. Good step sizes cure
# collapse too. There the entropy gains nothing and costs, if anything, a little precision.
#
# Does a high entropy mean that all modes are covered? Compare the first panel with the third.

# %%
notebook.draw(results, "After the last step")

# %% [markdown]
# No. The collapsed GAN has about the entropy of the balanced one: its single cloud is wide. MEE's entropy is too high,
# since its clouds are wide *and* many. The entropy pushes samples apart; only the discriminator knows where to.
#
# ### Codes or raw samples?
#
# Here the entropy is that of the samples themselves. **Predict:**
# better or worse?

# %%
raw = notebook.run(experiments.RawSamples(steps=600), seeds)
notebook.draw(raw, "Codes or samples")

# %% [markdown]
# Not worse, after 600 steps. The embedding is for images, where distances of pixels mean little.
#
# ### Is it an entropy?
#
# Four distributions with known entropy test the estimates. **Look for** the zero line.

# %%
estimates = notebook.run(experiments.Estimators(), seeds)
notebook.draw(estimates, "Errors of the estimates")

# %% [markdown]
# The nearest-neighbor estimate is right on average. The logarithm of the mean is too high, and not by a constant: it
# rewards entropy, but does not estimate it.
#
# ## Explore
#
# Things to try: (1) Show *Samples* and watch the film. Then set the ratio of step sizes to 1. (2) Set the target to
# *grid*. (3) Set $\lambda_{Iso}$ to 1, the paper's weight. Mixtures fill the whole plane, so the discriminator must
# become nearly straight. What does the generator make of that?

# %%
explore(collapse, results)

# %% [markdown]
# ## Does it hold?
#
# The paper scores images; we measure coverage in the plane. An *essential* claim must hold, else we have made a
# mistake; an *expected* one may fail, and then it stands here as it is.

# %%
notebook.verdicts("mode_collapse")

# %% [markdown]
# Keep in mind: with one Gaussian there is nothing to cover, and entropy costs precision. And the discriminator's terms,
# half of the paper, change little here.
#
# ## Exercises
#
# **1. Mean of logarithms, logarithm of mean.** Which is larger, and why? Think of one lonely sample, and of two equal
# ones. Which would you rather train with?

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The logarithm is concave, so by Jensen's inequality the logarithm of the mean is never smaller. One lonely sample can
# make it large. Two equal samples send the mean of logarithms to $-\infty$, and its gradient explodes; the logarithm of
# the mean hardly notices: biased, but stable. Its gradient is divided by $\hat E$: strong after a collapse, weak once
# codes are spread.
#
# </details>

# %% [markdown]
# **2. Write both.** First the estimate from $N$ points $[N, D]$, with $\rho_i$ the distance of point $i$ to its
# nearest neighbor, $V_D=\pi^{D/2}/\Gamma(D/2+1)$ and $\psi$ = `torch.digamma`:
# $\hat H=\psi(N)-\psi(1)+\log V_D+\frac DN\sum_i\log\rho_i$. Then derive the gradient of $R$ in the codes $c_i$, with
# their nearest $b_i$, the partners, as constants, both $[N, K]$. What is
# $\sum_i\langle c_i-b_i,\partial R/\partial c_i\rangle$?


# %%
def my_entropy(points):
    return None  # your lines here


def my_gradient(codes, partners, strength):
    return None  # your formula here


notebook.check(my_entropy, exercises.check_entropy)

# %%
notebook.check(my_gradient, exercises.check_gradient)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# import math
# import torch
#
# def my_entropy(points):
#     n, d = points.shape
#     distances = torch.cdist(points.double(), points.double())
#     nearest = distances.fill_diagonal_(math.inf).amin(-1)
#     volume = d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1)
#     psi = torch.digamma(torch.tensor([float(n), 1.0]))
#     return psi[0] - psi[1] + volume + d * nearest.log().mean()
#
# def my_gradient(codes, partners, strength):
#     difference = codes - partners
#     mean = difference.square().mean()
#     return -strength * 2 * difference / (difference.numel() * mean)
# ```
# With $\hat E=\frac1{NK}\sum_i\|c_i-b_i\|^2$ the chain rule gives
# $\partial R/\partial c_i=-\frac{\lambda}{\hat E}\cdot\frac{2(c_i-b_i)}{NK}$. Multiply by $c_i-b_i$ and sum: $\hat E$
# cancels and $-2\lambda$ is left, whatever the codes are.
#
# </details>

# %% [markdown]
# **3. Too little, too much.** Move $\lambda$ from 0 to 0.5 on the ring. Where are all modes covered, where do samples
# leave the centers? Then choose the target *one*. What does the entropy do now?

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# With the two smallest weights the generator still collapses. From about 0.02 on nearly all modes are covered. At 0.5
# the samples drift away from the centers: haze. With one Gaussian the plain GAN shrinks to a thin curve inside the
# cloud, so all its samples are near the center; the entropy widens it, and pushes some out.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper trains a DCGAN with spectral norm on photographs. Here points in the plane train small networks. Kept are
# the codes, both embedding terms with their constants, two memories, the logarithm of the mean, entropy for both
# players and its slow start. Changed: the loss is logistic, not linear; both players step equally often; codes are not
# random; $T$ flips nothing; weights are smaller, since in the plane DIsoMap with weight 1 lets the generator run away.
# The official buffer starts with its final single row.
#
# We read the authors' code and the abstract, not the method section; the equations come from the code. Limits: nothing
# here speaks of images, and after 800 steps the modes of MEE are still fuzzy.
#
# **Reference.** H. Liu, B. Li, H. Wu, H. Liang, Y. Huang, Y. Li, B. Ghanem, Y. Zheng: *Combating Mode Collapse in GANs
# via Manifold Entropy Estimation*. AAAI 2023, [arXiv 2208.12055](https://arxiv.org/abs/2208.12055).
