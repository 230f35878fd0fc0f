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
# # Many masks, one step
#
# *Dropout makes gradients noisy. Average over several masks: what do you gain, and what would have been cheaper?*

# %%
from IPython.display import display

from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.noise.multi_sample_dropout import exercises, experiments, method

notebook.card("multi_sample_dropout")

# %% [markdown]
# ## The idea
#
# **Dropout** hides a random half of a network's features at every training step. But now the same picture has another
# loss for each random choice, each **mask**. So the gradient is noisy, and noisy steps make slow progress.
#
# The cure: draw several masks for the same picture and average their losses. That sounds expensive. But dropout usually
# stands late in a network. The expensive layers in front of it run once; only the few layers behind it run once for
# each mask. This is **multi-sample dropout**.
#
# ## The method
#
# A batch has $B$ pictures $x_i$ with labels $y_i$. The layers in front compute features $h=f(x)$, $D$ numbers for each
# picture. The layers behind, $g$, compute logits. A feature is dropped with probability $p$. For $j=1,\dots,M$ draw a
# mask $m_j$ of zeros and ones, another one for each picture, and compute
#
# $$z_j=g\Bigl(\frac{m_j\odot h}{1-p}\Bigr),\qquad
# \ell_j=\frac1B\sum_{i=1}^B\mathrm{CE}(z_{j,i},y_i),\qquad L_M=\frac1M\sum_{j=1}^M\ell_j .$$
#
# Here $\odot$ multiplies feature by feature, and CE is the cross-entropy. Dividing by $1-p$ keeps features right on
# average. *Losses* are averaged, not logits. $M=1$ is ordinary dropout. A test pass has no mask.
#
# The mean of $L_M$ over masks does not depend on $M$; only the noise does. The variance of the gradient (the trace of
# its covariance) has two parts: $V_\text{batch}$ from the choice of the batch, $V_\text{mask}$ from one mask. Averaging
# $M$ independent masks leaves
#
# $$V_M=V_\text{batch}+\frac{V_\text{mask}}M .$$
#
# More masks remove the second part only.

# %%
notebook.source(method.multi_sample_logits, method.multi_sample_loss)

# %% [markdown]
# ## The experiment
#
# 300 digits train a small network, 64-128-64-10 with ReLU, by Adam with batches of 32. Dropout stands behind the first
# layer. Arms of a seed share digits, first weights, batches and masks.
#
# There are two **rivals**. *No dropout* has no mask noise at all. *Dropout, faster* has one mask and twice the learning
# rate, chosen on 200 further digits. The **null**, *same mask*, computes eight copies of one mask. *Mean logits*
# averages logits instead of losses, a common mistake.

# %% tags=["parameters"]
seeds = 8
copies = 8
drop = 0.5
lr = 0.001
steps = 300

# %% tags=["thumbnail"]
training = experiments.MultiSample(copies, drop, lr, steps)
results = notebook.run(training, seeds // 2)
display(notebook.arms(training))
question = "Which arm fits the training digits fastest (lowest training loss, mean over the run)?"
among = ["dropout", "multi-sample", "dropout, faster", "no dropout"]
bet(question, results, "Speed", end("trace"), among=among, wins="lowest")

# %%
notebook.summary(results)

# %% [markdown]
# Eight masks are faster than one: at equal settings the paper's claim holds. *Same mask* lies on dropout, so it is the
# averaging that counts.
#
# But look at the rivals. **One mask with twice the learning rate is faster than eight masks.** And no dropout is about
# as fast as eight masks: averaging takes away noise that dropout brought.
#
# ### How much of the noise goes?
#
# We stop dropout after 60 steps and draw the next gradient 64 times for each $M$, with the batch fixed or drawn, too.

# %%
noise = notebook.run(experiments.GradientNoise(), seeds // 2)
left = end("total_variance", copies=16) / end("total_variance", copies=1)
bet("Batches drawn too: which share of the variance do 16 masks leave?", noise, "Noise", left, low=0, high=1)

# %% [markdown]
# With the batch fixed, the variance follows $1/M$ (dashed). With batches drawn, 16 masks leave about half, near the
# floor $V_\text{batch}$. Copies of one mask remove nothing.
#
# ### Is it more than a learning rate?
#
# The strongest objection: *just double the learning rate.* So we give three arms every rate.

# %%
rates = notebook.run(experiments.AcrossRate(copies=copies, drop=drop, steps=steps), seeds // 2)
notebook.draw(rates, "Learning rate")

# %% [markdown]
# Doubling the rate gains more than eight masks do. At *equal* rates eight masks fit faster than one, and not faster
# than no dropout. By the loss on the 200 further digits 0.002 is best for all three arms (8 seeds). There, over 32
# seeds, test errors are 4.8 % (eight masks), 5.0 % (no dropout) and 5.1 % (one mask): two or four digits of a thousand.
# The claims below say whether that is more than luck.
#
# ## Explore
#
# Things to try: (1) Set $p=0$: why do most arms coincide? (2) Set $p=0.8$ and move $M$. (3) Open the picture *Price*: a
# step with eight masks takes 4.6 times the arithmetic, since here the layers behind the dropout are as large as the one
# in front. Repeating every picture eight times gives the same gradient for 8 times the arithmetic.

# %%
explore(training, results)

# %% [markdown]
# ## Does it hold?
#
# An *essential* claim must hold, else we have made a mistake; an *expected* one may fail, and stands as it is.

# %%
notebook.verdicts("multi_sample_dropout")

# %% [markdown]
# **What would make this page wrong?** That the same comes cheaper: by a larger rate, without dropout, by spending the
# arithmetic on more steps. Here speed does. What stays is the law of the noise and, at equal rates, a few digits of a
# thousand.
#
# ## Exercises
#
# **1. Why is one test pass enough?** Take $h=(1,2)$, output $z=w\cdot\tilde h$ with $w=(1,-1)$ and
# $\tilde h=m\odot h/(1-p)$, $p=\frac12$, and the squared loss $z^2$. Over the four masks: what is the mean output, and
# what is the mean loss?

# %%
my_means = (None, None)  # of the output, of the loss
notebook.check(my_means, exercises.check_mean)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The outputs are 0, 2, −4 and −2: mean −1, which is $w\cdot h$, the test pass. The losses are 0, 4, 16 and 4: mean 6,
# while the test pass has 1. The other 5 are the variance of the output. $M$ only lowers the noise of the training
# gradient; the weights define one network. Averaging over masks at test time would be another method, Monte-Carlo
# dropout.
#
# </details>

# %% [markdown]
# **2. Predict the noise.** You get gradients `g[b, k]` of 48 batches with 12 masks each, and several `copies` $M$.
# Estimate $V_\text{batch}$ and $V_\text{mask}$, and return the total variance for each $M$.


# %%
def my_variance(g, copies):
    return None  # your lines here


notebook.check(my_variance, exercises.check_split)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def my_variance(g, copies):
#     mask = g.var(1).sum(-1).mean()
#     batch = g.mean(1).var(0).sum() - mask / g.shape[1]
#     return batch + mask / copies
# ```
# The means over 12 masks still hold a twelfth of $V_\text{mask}$. Compare with the right panel of *Noise*.
#
# </details>

# %% [markdown]
# **3. Does the lead survive its price?** In the widget set $p=0.7$ and $M=16$. Read off test errors at the right end:
# dropout and multi-sample in *Speed*, then multi-sample in *Price*.

# %%
my_errors = (None, None, None)  # dropout, multi-sample, multi-sample for the same arithmetic
notebook.check(my_errors, exercises.check_price)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# About 7.4 %, 5.7 % and 33 %. Per step sixteen masks are ahead. But a step costs
# $(8192+16\cdot8832)/(8192+8832)=8.8$ times as much: for the price of 300 steps there are 34, measured after 30.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper trains deep networks on ImageNet, CIFAR-10 and CIFAR-100. Here three layers learn 300 digits. Kept are the
# masks, the average of the losses, and one optimizer for all $M$. In deep networks the layers in front dominate, and
# the paper reports little additional time; our network cannot show that, so we count multiply-adds. We read the
# abstract and not the experiments, so no number of the paper stands here.
#
# **Reference.** H. Inoue: *Multi-Sample Dropout for Accelerated Training and Better Generalization*. 2019,
# [arXiv 1905.09788](https://arxiv.org/abs/1905.09788).
