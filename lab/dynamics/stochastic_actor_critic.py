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
# # A critic that knows the noise
#
# *An agent believes its own predictions too much. What if the prediction came with its noise, and the agent subtracted
# some of it?*

# %%
from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.dynamics.stochastic_actor_critic import claims, exercises, experiments, method

notebook.card("stochastic_actor_critic")

# %% [markdown]
# ## The idea
#
# An **actor-critic** learns to act with two networks. The **critic** predicts how much reward will follow an action.
# The **actor** chooses actions that the critic likes. The critic makes errors, some too high, some too low. The actor
# looks for high predictions and so finds the errors that are too high. The usual cure trains two critics and believes
# the lower one.
#
# STAC trains one critic that predicts two numbers: a mean $\mu$, and the standard deviation $\sigma$ of the noise in
# what it learns from. The agent then counts on $\mu-\beta\sigma$.
#
# Our world is a line with two hills of reward. The right hill is higher, but its rewards are very noisy.

# %% tags=["parameters"]
seeds = 8
beta = 0.125
reward_noise = 2.0
steps = 600

# %%
risky = experiments.Actors(beta=beta, reward_noise=reward_noise, steps=steps)
results = notebook.run(risky, seeds)
question = "On the right rewards have a noise of 2. How much larger is the σ of STAC's critic there than on the left?"
bet(question, results, "What the critic knows", claims.step_up, low=0, high=5)

# %% [markdown]
# It is small left and large right of the dotted line, where rewards are noisy, and near the exact one of what the
# critic learns from. Nobody told the critic where the noise is.
#
# ## The method
#
# In state $s$ the actor draws an action $a$ from its policy $\pi(a|s)$: $u=\mu_\theta(s)+\sigma_\theta(s)\epsilon$ with
# a standard normal $\epsilon$, then $a=\tanh u$. The world answers with a reward $r$ and a next state $s'$. Future
# rewards count less, by a factor $\gamma<1$ for each step. The critic learns the **target**
#
# $$y=r+\gamma(1-\text{done})\bigl[\mu_{\bar\phi}(s',a')-\beta\,\sigma_{\bar\phi}(s',a')-\alpha\log\pi(a'|s')\bigr],
# \qquad a'\sim\pi(\cdot|s').$$
#
# $\bar\phi$ are slowly following copies of the critic's weights $\phi$; done is 1 at the end of an episode. The term
# with the temperature $\alpha$ pays for variety. The critic fits a Gaussian to these targets, and the actor follows its
# lowered value:
#
# $$L_Q=\text{mean of}\ \frac{(y-\mu_\phi)^2}{2\sigma_\phi^2}+\log\sigma_\phi,\qquad
# L_\pi=\text{mean of}\ \alpha\log\pi(a|s)-\bigl(\mu_\phi(s,a)-\beta\,\sigma_\phi(s,a)\bigr).$$
#
# So $\beta$ stands in both places. No gradient flows through $y$. This is the code:

# %%
notebook.source(method.squash, method.pessimistic, method.soft_target, method.critic_loss, method.actor_loss)

# %% [markdown]
# ## The experiment
#
# An action moves the agent by at most 0.3 on the line from −1 to 1. After each of 600 steps both networks take one
# training step. **Arms**, with the same first weights and noise: **β = 0**, one critic without pessimism; **STAC**;
# **target only** and **actor only** have $\beta$ in one of the two places; **min of two** believes the lower mean of
# two such critics; **SAC** does so with two plain critics, which know no $\sigma$.
#
# On a line, the true value of any policy can be computed from a grid. **Overestimation** is the critic's mean minus
# this exact value.

# %% tags=["thumbnail"]
bet("Which agent is on the noisy hill most of the time?", results, "Bias and risk", end("right"))

# %%
notebook.summary(results)

# %% [markdown]
# STAC leaves the noisy hill. SAC visits it most. One reason may be that a plain critic learns faster there: in $L_Q$ a
# large $\sigma$ makes the gradient of $\mu$ small. Here all biases end near zero.
#
# Which half of the pessimism counts? **Look for** the difference between target only and actor only.

# %%
notebook.draw(results, "Which half counts")

# %% [markdown]
# Pessimism in the target alone avoids the hill as well as the whole method. In the actor alone it leaves the bias where
# it was. Avoiding has a price, and SAC earns more on average here (see *What it is worth* in the widget below).
#
# ### Scarce data
#
# Now rewards are noisy everywhere, moves are very noisy on the right, and the agent remembers only 200 transitions.
# %%
noisy = notebook.run(experiments.Pessimism(**claims.NOISY), seeds)
bet("Which agent promises most too much?", noisy, "Overestimation", end("overestimation"))

# %% [markdown]
# Without pessimism the critic promises too much. More $\beta$ lowers the line, and soon too far: we compare with the
# value of a neutral judge, and pessimism is a bias by design. In the other picture each mark is a run. A critic that is
# right does not make a policy good: the seeds differ more than the arms.
#
# ### More and more careful
#
# Back on the line with one noisy hill. **Look for** the time that the agents spend right of the dotted line.

# %%
notebook.draw(notebook.run(experiments.Pessimism(), 4), "Risk")

# %% [markdown]
# Without pessimism some agents stay on the noisy hill; with more $\beta$ nearly all live on the safe one. A few seeds
# get stuck at the right wall.
#
# The paper shows this in a square: the agent walks to one corner, here at the upper left, and a circle of radius 0.3
# around the middle holds a danger of large penalties.

# %%
walks = notebook.run(experiments.PointMass(steps=1000), 1)
bet(
    "How many steps of an episode is the agent in danger at β = 0?",
    walks,
    "Maps",
    end("inside", "β = 0"),
    low=0,
    high=10,
)

# %% [markdown]
# Our small agents hardly walk around it. After 1000 steps the maps look alike; later the agent spends a little less
# time in danger (see the claims). A detour costs about as much as the danger, and the critic's map of the noise is
# still blurred. In the paper the circle gets darker and darker.
#
# ## Explore
#
# Things to try: (1) Set the noise to 4, then compare *What it is worth*: now being careful pays. (2) Choose the variant
# *still*: what does $\beta$ change? (3) Make the buffer small, and the temperature zero.

# %%
explore(risky, results)

# %% [markdown]
# ## Does it hold?
#
# An *essential* claim must hold, else we have made a mistake; an *expected* one may fail, and then it stands here as it
# is. *Late in training* means the mean over the last two thirds of the steps: the agents change their habits until the
# end.

# %%
notebook.verdicts("stochastic_actor_critic")

# %% [markdown]
# ## Exercises
#
# **1. What does σ become with endless data?** Is it then the uncertainty about the value?

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# $\sigma_\phi(s,a)$ becomes the standard deviation of the target $y$ at this state and action. That is noise in the
# reward, in the next state and in the next action, and it stays however many data there are. The value itself is then
# known exactly. So pessimism here means dislike of risk, not caution about the unknown, and it bends values even where
# they are known.
#
# </details>

# %% [markdown]
# **2. Where does it settle?** A world has one state and one action. Rewards have mean $\bar r$ and standard deviation
# $\rho$; let $\alpha=0$. At which number does the critic's mean $\mu$ settle? The check trains such a critic.


# %%
def my_fixed_point(mean_reward, noise, beta, discount):
    return None  # your formula here


notebook.check(my_fixed_point, exercises.check_fixed_point)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def my_fixed_point(mean_reward, noise, beta, discount):
#     return (mean_reward - discount * beta * noise) / (1 - discount)
# ```
# The next value is a constant, so $\sigma=\rho$, and $\mu=\bar r+\gamma(\mu-\beta\rho)$. The bias
# $-\gamma\beta\rho/(1-\gamma)$ is $\beta\rho$ summed over all future steps: with $\gamma=0.99$ about a hundred times.
#
# </details>

# %% [markdown]
# **3. Run it.** In the widget move $\beta$ from 0 to 0.5. Where does STAC go? Then set the reward noise to 0. What
# happens now?

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# At $\beta=0.5$ STAC is nearly always on the safe left hill. Without reward noise it spends most of its time on the
# right hill, as often as with $\beta=0$: there is nothing to be careful about. A small bias stays, since the noise of
# the moves is still there.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper trains simulated robots for far longer, with 256 hidden units; its scores with STAC are competitive, but not
# best everywhere, and the best $\beta$ differs from task to task. Here two toy worlds, 48 hidden units and a larger
# learning rate make a run take seconds. Kept are the networks' blocks, losses, order of updates and
# dropout. We said nothing about scores.
#
# We read the abstract and the opening, the complete code and the tables of results, not the derivations. Limits: exact
# values come from a grid; where the noise of the moves jumps they are off by up to about 0.05.
#
# **Reference.** U. Özalp: *Stochastic Actor-Critic: Mitigating Overestimation via Temporal Aleatoric Uncertainty*.
# 2026, [arXiv 2601.00737](https://arxiv.org/abs/2601.00737).
