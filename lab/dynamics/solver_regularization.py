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
# # Equations that are easy to solve
#
# *A network that is a differential equation needs a solver. What if training also asked for an equation that the
# solver likes?*

# %%
from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.dynamics.solver_regularization import exercises, experiments, method

notebook.card("solver_regularization")

# %% [markdown]
# ## The idea
#
# A usual network applies layer after layer. A **neural ODE** instead lets the state flow: a small network $f$ says in
# which direction the state moves, and a solver follows that direction from time 0 to time 1. A good solver takes large
# steps where the way is easy and small ones where it is not. So the price of an answer, the number of **evaluations**
# of $f$ (NFE), depends on $f$. During training $f$ gets more and more complicated, and the price rises.
#
# At every step the solver estimates its own error, to choose the next step size. These numbers are there already! The
# paper adds them to the loss. Training then looks for an equation that answers as well and is easier to solve.
#
# Our task is to tell a disc from the ring around it. Between the two linear maps at both ends, only the equation can do
# that. **vanilla** trains without a penalty, **ER** pays for the solver's errors.

# %% tags=["parameters"]
seeds = 4
strength = 0.3
tolerance = 1e-07
iterations = 150

# %%
prices = experiments.Prices(strength=strength, tolerance=tolerance, iterations=iterations)
rings = experiments.Fronts(tolerance=tolerance, iterations=iterations)
later = notebook.start(rings, max(1, seeds // 2))  # a second process computes it while you read
results = notebook.run(prices, seeds)
part = end("evaluations", "ER") / end("evaluations", "vanilla")
bet("What share of vanilla's evaluations will ER need?", results, "Work and accuracy", part, low=0, high=1.2)

# %%
notebook.summary(results)

# %% [markdown]
# The text speaks of eight seeds, the pictures show four.
#
# The work of vanilla grows during training. ER ends with less than half of it and answers as well. So does a third
# network, which pays for the **speed** of its state, but it needs more work. Without an equation (**f = 0**) an answer
# costs nothing but the fewest evaluations, 19; and half of the answers are wrong.
#
# ## The method
#
# The state $z$ obeys $\dot z=f_\theta(z,t)$. A **Runge-Kutta step** of size $h$ evaluates $f$ at a few places and
# combines the slopes $k_i$:
#
# $$k_i=f_\theta\bigl(z+h\textstyle\sum_{j<i}a_{ij}k_j,\ t+c_ih\bigr),\qquad z^+=z+h\sum_ib_ik_i,\qquad
# \Delta=h\sum_ie_ik_i .$$
#
# The numbers $a,b,c,e$ are a fixed recipe, here Tsit5 with seven slopes. $\Delta$ is the difference of two recipes, one
# of them less exact, and so an estimate of the error. Measured in units of the tolerance, its root mean square is $E$:
#
# $$E=\mathrm{rms}\Bigl(\frac{\Delta}{\mathrm{tol}\,(1+\max(|z|,|z^+|))}\Bigr).$$
#
# A step counts if $E\le1$; else it is tried again, shorter. The last two slopes also show how **stiff** the equation
# is, that is, how fast $f$ changes with $z$: $S=\mathrm{rms}(k_7-k_6)/\mathrm{rms}(z^+-g_6)/3.5$, where $g_6$ is the
# place of $k_6$. Over the steps $j$ that counted,
#
# $$L=\text{cross-entropy}+\lambda R,\quad R_E=\text{mean of }E_jh_j,\quad R_{E_2}=\sum_jE_j^2,\quad R_S=\sum_jS_j .$$
#
# $\lambda$ falls to a tenth during training. Gradients flow through the slopes, through $E$ and $S$, not through the
# step sizes. This is the code:

# %%
notebook.source(method.runge_kutta, method.error_estimate, method.stiffness)

# %%
notebook.source(method.penalties, method.next_size, method.annealed)

# %% [markdown]
# ## The experiment
#
# A linear map takes a point of the plane to 4 dimensions, the equation moves it, a second linear map gives two logits.
# All arms of a seed share points and first weights. Curves are measured on 100 test points, ends on 400. Each penalty
# has its own strengths. The one in the table answers 200 **validation points** with the fewest evaluations, when one
# percent of accuracy below 0.99 counts as ten.

# %%
notebook.arms(prices)

# %% [markdown]
# **detached** pays for errors without their gradient, so nothing should change. Do the penalties act on what they
# name? **Look for** the smallest values on each side.

# %%
notebook.draw(results, "What is penalized")

# %% [markdown]
# Both error penalties lower errors *and* stiffness, SR mostly the stiffness.
#
# ### Is it not just slowness?
#
# A slow state is easy to follow, and to ask for that needs no look into the solver. So every penalty gets several
# strengths and is drawn as a **front**: work against accuracy. The best corner is the upper left one. Rivals are the
# penalty on **speed**, $\sum_jh_j\,\mathrm{rms}(k_1)^2$, **decay** of the weights of $f$, and **STEER**, which ends
# training runs at a random time. At $\lambda=30$ speed costs about as much work as ER at 0.3.

# %% tags=["thumbnail"]
noisy = notebook.start(experiments.Spiral(iterations=60), max(1, seeds // 2))  # it and digits are for further below
compared = experiments.Fronts("digits", tolerance, 100).only(("vanilla", "ER", "speed", "f = 0", "decay"))
digits, fronts = notebook.run(compared, 1), notebook.run(later)
question = "Which accuracy will speed at λ = 30 have?"
bet(question, fronts, "Rings", end("accuracy", "speed", strength=30), low=0.4, high=1)

# %% [markdown]
# Each mark is one of two seeds at one strength, and the dashed line is what is asked. Left: ER and ER² reach the floor
# of 19 evaluations and still answer right. SR gets about half of the way. Right: at the work of ER, speed answers
# badly. With eight seeds, speed at $\lambda=30$ has an accuracy of 0.69 with 24 evaluations, ER at 0.3 of 1.00 with 23.
# If validation points choose the strength seed by seed, NFE is 67 for vanilla, 57 for STEER, 45 for decay, 40 for SR,
# 36 for speed, 20 for ER and 19 for ER², and all answer at least 97 % right. So here the solver's own estimate *is*
# better than slowness.
#
# ### And on digits?
#
# 1200 digits, 16 dimensions: the nearest to the paper's MNIST. **f = 0** is two linear maps.

# %%
question = "Which accuracy has a network without an equation on digits?"
bet(question, digits, "Digits", end("accuracy", "f = 0", strength=1), low=0.1, high=1)

# %% [markdown]
# These digits need no equation. With eight seeds f = 0 has an accuracy of 0.938 with 19 evaluations, vanilla of 0.936
# with 42. Penalties that are strong enough end there, too, at 0.94: ER at $\lambda=1$ with 20 evaluations, speed at 10
# and decay at 0.1 with 19. That ER halves the work on digits says nothing about how it does it: dynamics that do almost
# nothing would pass. Only a task like rings can tell.
#
# ### Noise
#
# The same works for stochastic equations. A noisy spiral is to be imitated, in means and variances.

# %%
spiral = notebook.run(noisy)
share = end("accepted", "ER") / end("accepted", "vanilla")
bet("What share of vanilla's steps will ER need?", spiral, "Noisy spiral", share, low=0, high=1.5)

# %% [markdown]
# ER comes near 11 steps, the fewest possible here, but at $\lambda=1$, which saves most, it fits worse. After 120
# training steps (eight seeds) vanilla takes 14.6 steps and has a loss of 0.06, ER 11.0 and 0.14; at $\lambda=0.3$ it
# has both, 11.4 and 0.06. A penalty on speed gets near 12 steps only at a loss of 1; at a strength that fits, it saves
# next to nothing. Without a drift (f = 0) the loss is above 4.
#
# ## Explore
#
# Things to try: (1) Raise $\lambda$ to 100. (2) Set the tolerance to 0.0001. How much is there still to save? (3)
# *(live only)* Choose the task *digits*.

# %%
explore(prices, results)

# %% [markdown]
# ## Does it hold?
#
# The paper measures seconds; we count evaluations and steps. An *essential* claim must hold, else we have made a
# mistake; an *expected* one may fail, and then it stands here as it is. Where answers must stay right, a seed with
# fewer than 95 % counts as if nothing was saved. In *Fronts* each arm has the strength that validation points choose.

# %%
notebook.verdicts("solver_regularization")

# %% [markdown]
# **What would make this page wrong?** Slower dynamics, or none, as cheap and as accurate. On digits that is so. On
# rings it is not.
#
# ## Exercises
#
# **1. Why not loosen the tolerance?** That also saves steps. What is different? (a) Only the penalty needs fewer
# evaluations. (b) A looser tolerance computes the same function more cheaply. (c) A looser tolerance changes the
# function that is computed; the penalty changes the equation and keeps the exactness.

# %%
difference = None  # "a", "b" or "c"

notebook.check(difference, exercises.check_tolerance)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# (c). With a looser tolerance the answer holds errors of the solver, other ones in training than in testing. The
# penalty keeps the tolerance, so that the same exactness needs fewer steps.
#
# </details>

# %% [markdown]
# **2. See the error without a second recipe.** Take one step of size $h$, and two steps of size $h/2$ from the same
# place. How far apart are the results? `step(z, h)` takes a Tsit5 step of a pendulum. Return one number.


# %%
def my_error(step, z, h):
    return None  # your lines here


notebook.check(my_error, exercises.check_richardson)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def my_error(step, z, h):
#     halves = step(step(z, h / 2), h / 2)
#     return (step(z, h) - halves).norm()
# ```
# This is Richardson's estimate. It costs three steps instead of one, but needs no second recipe. It ranks steps almost
# as $E$ does.
#
# </details>

# %% [markdown]
# **3. Run it.** In the widget raise $\lambda$ from 0 to 100 at the tolerance $10^{-7}$ and watch ER. Where does the
# work reach its floor? How much accuracy is lost against vanilla at 100, as a number from 0 to 1?

# %%
lost = None  # your number here

notebook.check(lost, exercises.check_collapse)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Each run's evaluations fall in sixes; at $\lambda=1$ all runs are at the floor of 19: three steps are the least with
# our first step and a growth of at most ten. One of eight runs answers worse there, and at 100 nearly nothing is left
# of the fit: about 0.4 is lost.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper trains on MNIST in 784 dimensions, on time series, flows and larger stochastic equations. Rings are ours.
# Kept are the recipe, both estimates, the gradient through the steps, and a price that falls.
#
# **Departures.** Adam, not SGD with momentum; for the spiral Adam, not AdaBelief. The official code lets $\lambda$ fall
# from 100 to 10 at the tolerance $1.4\cdot10^{-8}$, we from 0.3 to 0.03 (digits: 1 to 0.1) at $10^{-7}$; $E$ is
# measured in units of the tolerance, so $\lambda$ means something only together with it. $R_E$ is a mean as in the
# code, a sum in the paper; SR is a sum as in the paper, in the code the maximum with a constant $\lambda$. The step
# controller is simpler, step sizes are constants in the gradient, and for the noise we take a simpler method.
#
# We read the abstract, parts of the text and the official code, not the tables of results. We say nothing about
# seconds.
#
# **Reference.** A. Pal, Y. Ma, V. Shah, C. Rackauckas: *Opening the Blackbox: Accelerating Neural Differential
# Equations by Regularizing Internal Solver Heuristics*. ICML 2021, [arXiv
# 2105.03918](https://arxiv.org/abs/2105.03918).
