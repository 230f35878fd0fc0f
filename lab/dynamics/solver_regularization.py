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
from reglab.papers.dynamics.solver_regularization import exercises, experiments, method, pictures

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
# paper adds them to the loss. Training then looks for an equation that classifies as well and is easier to solve.
#
# The picture shows all steps of the solver for one trained network in each row.

# %% tags=["parameters"]
seeds = 8
strength = 1.0
tolerance = 1e-07
strength_stiffness = 0.1
iterations = 100

# %%
digits = experiments.Digits(strength, tolerance, strength_stiffness, iterations=iterations)
results = notebook.run(digits, seeds)
question = "Which network will the solver answer with the fewest evaluations?"
drawn = notebook.picture(pictures.draw_steps, results, height=2.8)
bet(question, results, drawn, end("evaluations"), among=("vanilla", "SR", "ER²", "ER"), wins="lowest")

# %% [markdown]
# The plain network (vanilla) needs about twice as many steps as the one that pays for its errors (ER). The first step
# is short in all rows: we fixed it, so that counts can be compared.
#
# ## The method
#
# The state $z\in\mathbb R^{16}$ obeys $\dot z=f_\theta(z,t)$. A **Runge-Kutta step** of size $h$ evaluates $f$ at a few
# places and combines the slopes $k_i$:
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
# place of $k_6$. With sums over the steps that counted, the loss becomes
#
# $$L=\text{cross-entropy}+\lambda R,\qquad R_E=\text{mean of }E_jh_j,\qquad R_{E_2}=\sum_jE_j^2,
# \qquad R_S=\sum_jS_j .$$
#
# Gradients flow through the slopes, through $E$ and $S$, not through the step sizes. This is the code:

# %%
notebook.source(method.runge_kutta, method.error_estimate, method.stiffness)

# %%
notebook.source(method.next_size, method.annealed)

# %% [markdown]
# ## The experiment
#
# 1400 digits train a network from 64 pixels to the 16 dimensions of the equation, and from there to 10 classes.
# **Arms**, with the same digits, first weights and batches: **vanilla**, no penalty; **ER** pays for errors with
# $R_E$; **ER²** with $R_{E_2}$; **SR** for stiffness; **STEER** ends training runs at a random time; **speed** pays
# for the length of $\dot z$; **detached** pays for errors too, but without their gradient, so nothing should change.

# %% tags=["thumbnail"]
question = "How much accuracy does ER lose against vanilla, in percent?"
loss = (end("accuracy", "vanilla") - end("accuracy", "ER")) / 0.01
bet(question, results, "Work and accuracy", loss, low=-5, high=10)

# %%
notebook.summary(results)

# %% [markdown]
# The work of vanilla grows; with ER it falls to about half, and the accuracy stays. The stiffness penalty alone saves
# little. Slowness (speed) pays a tenth of the price of ER and saves almost nothing; that alone is no proof against it.
# In the widget below, speed at $\lambda=100$ needs 21 evaluations at an accuracy of 0.935; ER at $\lambda=1$ needs as
# many, at 0.939. So on digits slowness, at a price of its own, is about as good.
#
# Do the penalties act on what they name? **Look for** the smallest value on each side.

# %%
notebook.draw(results, "What is penalized")

# %% [markdown]
# Both error penalties lower errors *and* stiffness. SR lowers mostly the stiffness.
#
# ### Noise
#
# The same works for stochastic equations. A noisy spiral is to be imitated, in means and variances.

# %%
spiral = notebook.run(experiments.Spiral(iterations=60), 4)
share = end("accepted", "λ = 1") / end("accepted", "λ = 0")
bet("What share of the steps of λ = 0 will λ = 1 need?", spiral, "Noisy spiral", share, low=0, high=1.5)

# %% [markdown]
# With a price the equation needs fewer steps, near the 11 that are the fewest possible here. The fit differs more from
# seed to seed than from arm to arm.
#
# ## Explore
#
# Things to try: (1) Raise $\lambda$ to 100. (2) Set the tolerance to 0.0001. Why is there nothing left to save? (3)
# Take the sum or the largest error instead of the mean.

# %%
explore(digits, results)

# %% [markdown]
# ## Does it hold?
#
# The paper measures seconds; we count evaluations and steps. An *essential* claim must hold, else we have made a
# mistake; an *expected* one may fail, and then it stands here as it is.

# %%
notebook.verdicts("solver_regularization")

# %% [markdown]
# ## Exercises
#
# **1. Why not loosen the tolerance?** That also saves steps. What is different?

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# A looser tolerance changes the function that is computed: the answer then holds errors of the solver, other ones in
# training than in testing. The penalty keeps the tolerance and changes the equation, so that the same exactness needs
# fewer steps.
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
# **3. Run it.** In the widget raise $\lambda$ from 0 to 100 and watch ER. Where does the work reach its floor, where
# does the accuracy break down?

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Each run's evaluations fall in sixes; their mean falls from 41.5 to 21 at $\lambda=1$ and to 19 at 10. That is the
# floor: three steps are the least with our first step and a growth of at most ten. The accuracy, between 0.93 and 0.94
# until $\lambda=1$, is 0.92 at 10 and 0.8 at 100.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper trains on MNIST in 784 dimensions, on time series, flows and larger stochastic equations. Here 16
# dimensions classify small digits. Kept are the recipe, both estimates, the gradient through the steps, and a price
# that falls during training. Our step controller is simpler, and for the noise we take a simpler method.
#
# We read the abstract, parts of the text and the official code, not the tables of results. Limits: $E$ is measured in
# units of the tolerance, so $\lambda$ means something only together with it. We say nothing about seconds.
#
# **Reference.** A. Pal, Y. Ma, V. Shah, C. Rackauckas: *Opening the Blackbox: Accelerating Neural Differential
# Equations by Regularizing Internal Solver Heuristics*. ICML 2021, [arXiv
# 2105.03918](https://arxiv.org/abs/2105.03918).
