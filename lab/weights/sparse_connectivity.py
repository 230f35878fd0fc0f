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
# # A switch for every weight
#
# *Can gradient descent itself decide which connections a network needs?*

# %%
import xarray as xr
from IPython.display import display

from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.weights.sparse_connectivity import exercises, experiments, method
from reglab.pictures import Curves, Line, View, page
from reglab.recordings import store

notebook.card("sparse_connectivity")

# %% [markdown]
# ## The idea
#
# To prune a network one usually needs a criterion, such as small weights, and a share to keep in each layer, chosen by
# hand. Sparse connectivity learning (SCL) needs neither. Every weight has a **switch**: a trainable number, open above
# zero. An open connection costs a price. Task and price together decide which switches stay open.
#
# A step has no useful derivative. So a **proxy** stands for it in the backward pass, and the paper says which are safe:
# those that are positive everywhere.
#
# ## The method
#
# A layer has weights $W$ and scores $m$, one for each of its $D$ inputs and each output unit. It acts with
#
# $$\tilde W=W\odot H(m),\qquad H(m)=1\ \text{where}\ m>0,\ \text{else}\ 0 ,$$
#
# and the objective is the loss $L$ plus the price $\lambda$ times the number of open connections. Let
# $g=\partial L/\partial\tilde W\odot W$ be the task's gradient of the scores of one output unit. Its size differs from
# unit to unit, so it is normalized. With the proxy $\mu'$ and a learning rate $\eta_m$,
#
# $$m\leftarrow m-\eta_m\Big(\frac{g}{\lVert g\rVert}+\frac{\lambda}{\sqrt D}\Big)\,\mu'(m) .$$
#
# SCL takes the identity, $\mu'=1$: a closed connection still hears whether the task wants it back. Safe, too, are the
# leaky ReLU's derivative (1, or 0.1 where $m\le0$) and the softplus's, $1/(1+e^{-m})$. Unsafe are the ReLU's (0 where
# $m\le0$) and a clip (0 where $|m|\ge0.5$). Below, one switch should open, $L=-H(m)$, and starts closed at $-0.35$.

# %%
display(notebook.source(method.masked, method.normalized, method.score_gradient))
tried = {name: experiments.ROLES[name] for name in experiments.TRIED}
paths = [[method.descend(-0.35, lambda b: -1.0, method.PROXIES[name], 0.01, 100)] for name in tried]
axes = {"arm": [*tried], "seed": [0], "step": range(101)}
switch = xr.Dataset({"m": (("arm", "seed", "step"), paths, {"long_name": "score m", "units": "1"})}, axes)
switch["step"].attrs = {"long_name": "step", "units": "steps"}
panel = Curves("Does the switch open?", ["m"], lines=[Line("y", 0, "open above")])
page.draw(switch, View("Switch", [panel], 1), tried)

# %% [markdown]
# ## The experiment
#
# 800 digits of 64 pixels get 64 further inputs of pure noise. A network 128-64-64-10 learns them; a good mask cuts the
# noise. With the same seed all arms share data, first weights and batches. Strengths were chosen on 200 validation
# digits; the decay of SCL, too. *Raw gradients* is SCL without normalization.
#
# The rivals are cheap and old. **Tuned decay** is the dense network with more weight decay. The **F-test** asks of each
# input alone whether its mean differs between the digits, and keeps 48 inputs before training. **Magnitude** pruning
# closes the smallest weights step by step, to SCL's share with the same seed. **Small dense** is a narrow network with
# as many weights. The null is a **random mask** with SCL's share in each layer.

# %% tags=["parameters"]
seeds = 8
price = 0.3
noise_inputs = 64
start = 0.5
lr_m = 0.02
epochs = 30

# %% tags=["thumbnail"]
connectivity = experiments.Connectivity(price, noise_inputs, start, lr_m, epochs)
results = notebook.run(connectivity, seeds)
display(notebook.arms(connectivity))
among = ("dense", "SCL", "magnitude", "tuned decay", "F-test")
bet("Who is most accurate on new digits?", results, "Accuracy", end("test_accuracy"), among=among)

# %% [markdown]
# SCL ends above dense, and above dense with tuned decay, with about an eighth of all connections; nobody chose how many
# each layer keeps. But magnitude pruning to the same share is as accurate. And the F-test, which looks at each input
# once before training, is better than both: it drops the noise and keeps all other connections.
#
# Where are the open connections? White is most.

# %%
display(notebook.summary(results), notebook.draw(results, "Inputs"))
question = "Half of all inputs are pixels. Which share of SCL's open connections from inputs comes from pixels?"
bet(question, results, "Cost", end("pixel_share", "SCL"), low=0, high=1)

# %% [markdown]
# SCL finds out what the noise is, without being told; magnitude pruning does, too. With as many weights, a random mask
# and a narrow network are far less accurate. *Raw gradients*, with a price of their own, keep fewer connections, at
# about the accuracy of SCL: the normalization does not pay here.
#
# **What would make this page wrong?** "You planted useless inputs and compare with a network that was not told to
# ignore them." Here are all recorded amounts of noise, and five prices:

# %%
grid = store.read(experiments.Connectivity).sel(price=[0.03, 0.1, 0.3, 0.6, 1])
grid["price"].attrs |= {"long_name": "price", "log": 1}
grid["noise_inputs"].attrs |= {"long_name": "noise inputs"}
grid["end"] = grid.test_accuracy.isel(epoch=-1)
two, at = ("SCL", "magnitude"), {"noise_inputs": 64}
panels = (
    Curves("Price 0.3: who is hurt by noise inputs?", ["end"], experiments.LEARNED, at={"price": 0.3}),
    Curves("64 noise inputs: what does a price cost?", ["accuracy_change"], two, at=at),
)
page.draw(grid, View("Grid", panels), connectivity.arms)

# %% [markdown]
# The objection is right in part. Without noise SCL is less accurate than dense. From 32 noise inputs on it is more
# accurate, and from 64 on more than tuned decay. The F-test hardly notices the noise: a simple filter wins more, though
# it leaves more connections. At all prices magnitude pruning to the same share goes along with SCL. At 1 the gain is
# gone.
#
# Is the *principle* of the proxies right? Now half of all connections start closed, and the arms differ in $\mu'$ only.
# In *frozen* it is 0.

# %%
reopening = notebook.run(experiments.Reopening(), seeds)
display(notebook.draw(reopening, "Reopening"))
notebook.draw(reopening, "Does it matter?")

# %% [markdown]
# With the ReLU nothing ever opens again, as the theory says; with the identity connections open thousands of times. The
# clip, unsafe in theory, opens about as many: most scores stay where it is not zero. Is reopening worth anything? With
# the identity training digits are fitted better than with the ReLU, but more connections stay open, too, and on new
# digits it is not better.
#
# ## Explore
#
# (1) Raise the price to 1: what becomes of accuracy, and of which layer first? (2) Take away the noise inputs. Who is
# best now? (3) Under *Cost*, who has more accuracy with as many multiply-adds?

# %%
explore(connectivity, results)

# %% [markdown]
# ## Does it hold?
#
# An *essential* claim must hold, else we have made a mistake; an *expected* one may fail.

# %%
notebook.verdicts("sparse_connectivity")

# %% [markdown]
# ## Exercises
#
# **1. Why must a closed connection still get a gradient?** A switch at $m=-0.35$ should open: $c=-1$ is what an open
# switch adds to the loss. After how many steps $m\leftarrow m-0.01\,c\,\mu'(m)$ does it, with the identity and with the
# leaky ReLU ($\mu'=0.1$ while closed)? And with the ReLU?

# %%
my_steps = (None, None)  # identity, leaky ReLU
notebook.check(my_steps, exercises.check_steps)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# $0.35/0.01=35$ and $0.35/0.001=350$ steps (one more, if it lands on zero). With the ReLU never: a decision made on
# early, noisy gradients would be final.
#
# </details>

# %% [markdown]
# **2. Derive what a hard switch does on average.** The loss is $\frac12(wH(m)-y)^2$ with $w>0$ and a target $y$; the
# proxy is the identity. To which share of open steps does it tend? Write it for targets $[K]$.


# %%
def my_share(weight, targets):
    return None  # your line here


notebook.check(my_share, exercises.check_share)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def my_share(weight, targets):
#     return (targets / weight).clamp(0, 1)
# ```
# Open, $m$ moves by $-\eta(w-y)w$ a step; closed, by $+\eta yw$. With a share $p$ of open steps it stays where it is if
# $p(w-y)=(1-p)y$, so $p=y/w$: on average the switch gives the soft weight $wp=y$.
#
# </details>

# %% [markdown]
# **3. What may a connection cost?** In the widget, find the largest recorded price at which SCL is not less accurate
# than dense. Then take away the noise inputs, at price 0.3: how much more accurate is SCL than dense now?

# %%
my_prices = (None, None)  # the price; SCL minus dense without noise inputs
notebook.check(my_prices, exercises.check_prices)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# 0.6, where SCL is about 0.03 above dense with 4 % of the multiply-adds; at 1 it is about 0.01 below. Without noise
# inputs the difference is about −0.015: where no input is useless, a closed connection is a loss.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# We could read the paper's abstract only. From there are the switches, the proxies, the normalization for each feature
# and the price; the norm, the scale $1/\sqrt D$ and all rates are ours. The paper trains image classifiers and counts
# operations; here a small dense network learns digits with planted noise. Unstructured zeros do not make ordinary
# hardware faster, so multiply-adds are counted, not timed.
#
# **Reference.** Z. Tang, L. Luo, B. Xie, Y. Zhu, R. Zhao, L. Bi, C. Lu: *Automatic Sparse Connectivity Learning for
# Neural Networks*. IEEE Transactions on Neural Networks and Learning Systems 2022,
# [arXiv 2201.05020](https://arxiv.org/abs/2201.05020).
