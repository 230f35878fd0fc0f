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
# # Your own teacher
#
# *Can a network teach itself how sure to be, with nothing but its predictions of yesterday?*

# %%
from IPython.display import display

from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.labels.self_distillation import exercises, experiments, method
from reglab.pictures import Curves, Heatmap, View, page
from reglab.recordings import store

notebook.card("self_distillation")

# %% [markdown]
# ## The idea
#
# A training label says: this is a 3, with probability one. But many points lie where classes overlap, and an honest
# answer is "probably a 3". Cross-entropy still pushes the network to be ever surer.
#
# Self-knowledge distillation (PS-KD) keeps the network's prediction for each training point from the **epoch before**
# and mixes it into the label. At first the label counts almost alone; as training goes on, the old prediction counts
# more and more.
#
# ## The method
#
# Take example $i$ with the one-hot label $y_i$ over $C$ classes, and epochs $t=1,\dots,T$. Let $P_t(x_i)$ be the
# network's probabilities when it visits $x_i$ in epoch $t$. The target of epoch $t$ is
#
# $$\tilde y_i=(1-\alpha_t)\,y_i+\alpha_t\,P_{t-1}(x_i),\qquad \alpha_t=\alpha_T\,\frac tT ,$$
#
# with a last weight $0\le\alpha_T\le 1$; $P_0$ is the label. The loss is cross-entropy with these targets. One row of
# $C$ numbers is stored for each example, from the training pass itself.
#
# In the logits the gradient is $P_t-\tilde y$. Call $\gamma_t$ one minus the probability of the true class: how hard
# the example still is. Wherever $P_t\ge\alpha_tP_{t-1}$ for all wrong classes, its sum of absolute values is
#
# $$\rho_t=1-\alpha_t\,\frac{\gamma_{t-1}}{\gamma_t}$$
#
# times that with labels alone. An example that gets easier fast gets a small factor; one that stalls gets $1-\alpha_t$.

# %%
notebook.source(method.growing, method.soft_targets, method.cross_entropy, method.rescaling)

# %% [markdown]
# ## The experiment
#
# Ten Gaussian classes overlap, so the best possible answer, the Bayes posterior, is known. A network with 128 hidden
# units learns 500 points, with fresh noise on each input at each visit. Strengths are chosen on 500 validation points.
#
# The rivals are *label smoothing*, which mixes each label with equal probabilities, and cross-entropy (CE) with *more
# decay*, a larger weight decay. *Fixed α* trusts the memory from the second epoch on. The null, *another's memory*, is
# PS-KD with the memory of another point of the same class, which knows nothing about this one.
#
# Two questions of confidence. **Calibration**: of all answers given with 70 %, are 70 % right? The ECE is
# the mean distance from that. **Ranking**: are wrong answers the less sure ones? Let the network answer only its
# surest points; the AURC is their share of errors, averaged over all coverages. Errors and AURC are shown above
# those of the Bayes posterior.

# %% tags=["parameters"]
seeds = 8
alpha = 0.8
decay = 0.01
noise = 0.4
epochs = 60

# %% tags=["thumbnail"]
distillation = experiments.Distillation(alpha, decay, noise, epochs)
results = notebook.run(distillation, seeds)
display(notebook.arms(distillation))
question = "The confidences of CE are off by about 3 %. By how many % are those of PS-KD off?"
bet(question, results, "Confidence", end("ece", "PS-KD"), low=0, high=40)

# %% [markdown]
# With this weight decay CE is nearly calibrated, and softer targets make the network **underconfident**: more comes
# true than it says. But PS-KD *ranks* better than CE, and the null worse: the memory must be that of the point itself.
# More decay ranks about as well.
#
# Underconfidence is easily repaired: divide all logits by one number, a **temperature**, fitted for each arm on the
# validation points. What they know then is told by the NLL, the mean negative log-probability of the true class.

# %%
display(notebook.summary(results))
notebook.draw(results, "One temperature each")

# %% [markdown]
# One number makes the ECE of all arms alike. In NLL PS-KD is better than CE, but more decay and a fixed α are better
# still. Growing the weight is not what helps here.
#
# **What would make this page wrong?** "The celebrated gain in ECE is a CE with too little weight decay." Here are all
# recorded decays:

# %%
grid = store.read(experiments.Distillation)
grid["gain"] = (grid.ece.sel(arm="PS-KD") - grid.ece.sel(arm="CE")).assign_attrs(long_name="ECE, PS-KD − CE", units="%")
grid["decay"].attrs |= {"long_name": "weight decay", "log": 1}
two, at = ("CE", "PS-KD"), {"alpha": 0.8}
panels = (
    Curves("α = 0.8: who is calibrated?", ["ece"], two, at=at),
    Heatmap("Where does PS-KD lower the ECE?", "gain", x="decay", y="alpha", diverging=True),
    Curves("α = 0.8: who ranks well?", ["aurc_above"], two, at=at),
    Curves("α = 0.8: who foretells labels?", ["nll_above"], two, at=at),
)
page.draw(grid, View("Decay", panels), distillation.arms)

# %% [markdown]
# For the ECE the objection is right. With little decay CE is overconfident, and PS-KD repairs that. With more there is
# nothing to repair, and the same softness does harm. Its ranking is better up to 0.01 and its NLL up to 0.02; at 0.05,
# the best decay of CE, both are worse.
#
# **Who gets the gradient?** The next network learns without noise and decay, with a fixed $\alpha=0.3$.

# %%
microscope = notebook.run(experiments.Microscope(), seeds)
notebook.draw(microscope, "Gradients")

# %% [markdown]
# Easy points get the smaller factor while they are learned, so hard points gain weight. But with the null the
# difference is larger: weight on hard points is no sign of knowledge.
#
# ## Explore
#
# (1) Set the decay to 0.002: what does the ECE do? (2) Set it to 0.05. Who still ranks better than CE? (3) Move
# $\alpha$ to 0 and to 1. What becomes of the targets of hard points?

# %%
explore(distillation, results)

# %% [markdown]
# ## Does it hold?
#
# An *essential* claim must hold, else we have made a mistake; an *expected* one may fail.

# %%
notebook.verdicts("self_distillation")

# %% [markdown]
# ## Exercises
#
# **1. Why not start with a large α?** In epoch 1 the network predicts all ten classes alike. What is the target of the
# true class in epoch 2 with a constant $\alpha=0.8$, and what if $\alpha$ grows to 0.8 in 60 epochs?

# %%
my_targets = (None, None)  # constant, growing
notebook.check(my_targets, exercises.check_start)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# $0.2+0.8\cdot0.1=0.28$, and with $\alpha_2=0.8\cdot2/60$ it is 0.976. A constant $\alpha$ smooths strongly with a
# prediction that knows nothing yet (see *Targets*).
#
# </details>

# %% [markdown]
# **2. Derive ρ.** Write $\rho$ for predictions of now and of before and one-hot labels, $[N, C]$ each. When is it the
# exact ratio of the sizes?


# %%
def my_rho(now, before, labels, alpha):
    return None  # your lines here


notebook.check(my_rho, exercises.check_rho)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def my_rho(now, before, labels, alpha):
#     hard = (now * (1 - labels)).sum(-1)
#     hard_before = (before * (1 - labels)).sum(-1)
#     return 1 - alpha * hard_before / hard
# ```
# The components of $P_t-\tilde y$ sum to zero. If no wrong class has a negative one, the sum of absolute values is
# twice that of the wrong classes, $2(\gamma_t-\alpha\gamma_{t-1})$, against $2\gamma_t$ for hard labels. Else it is
# larger.
#
# </details>

# %% [markdown]
# **3. Where does the gain end?** In the widget, with $\alpha=0.8$, read off the ECE of PS-KD minus that of CE at decay
# 0.002 and at 0.02. Between which two decays does it change its sign, and what does the ECE of CE tell about it?

# %%
my_gains = (None, None)  # at 0.002 and at 0.02, in %
notebook.check(my_gains, exercises.check_gains)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# About −7.6 and +14.8. The sign changes between 0.002 and 0.005, where CE's own ECE falls from 10 % to 4 %.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper trains deep networks on CIFAR and ImageNet; here one hidden layer learns Gaussian classes, and input noise
# stands for image augmentation. Kept are the targets, the stored predictions, the growing weight and the steps of the
# learning rate. $\alpha_T=0.8$ is the paper's; here 1 does a little better on validation points. We read the official
# code, its tables and summaries, not the full paper; $\rho$ is derived here.
#
# **Reference.** K. Kim, B. Ji, D. Yoon, S. Hwang: *Self-Knowledge Distillation with Progressive Refinement of Targets*.
# ICCV 2021, [arXiv 2006.12000](https://arxiv.org/abs/2006.12000).
