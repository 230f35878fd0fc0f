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
# # No weight decides alone
#
# *What changes when every weight of a network has to pass a bounded, S-shaped map?*

# %%
from IPython.display import display

from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.weights.weight_compander import exercises, experiments, method
from reglab.pictures import Curves, Dots, Histogram, View, page
from reglab.recordings import store

notebook.card("weight_compander")

# %% [markdown]
# ## The idea
#
# A network that overfits often leans on a few large weights, while many others lie near zero and do little. The weight
# compander (WC) stores a free number for each weight, and lets the network act with an S-shaped function of it.
#
# The S is flat at its ends, so no weight can grow beyond a bound. It is steepest at zero, so small weights move faster
# than large ones. The hope: many weights of similar size.
#
# ## The method
#
# Call $v$ the stored number and $w$ the weight that acts. With two parameters $a>0$ and $b>0$,
#
# $$\begin{aligned}w&=\Psi(v)=a\arctan(v/b),\qquad |w|<\tfrac{\pi}{2}a,\\
# \Psi'(v)&=\frac{a/b}{1+(v/b)^2}=\frac ab\cos^2(w/a).\end{aligned}$$
#
# Training moves $v$. The gradient of the loss $L$ in $v$ is $\Psi'(v)\,\partial L/\partial w$, and a small change of
# $v$ changes $w$ by $\Psi'(v)$ times as much. With learning rate $\eta$ one step of gradient descent so moves $w$ by
#
# $$\Delta w\approx-\eta\,\Big(\frac ab\Big)^2\cos^4(w/a)\,\frac{\partial L}{\partial w}.$$
#
# With $a=b$ no weight moves faster than a plain one: large weights are slowed down. Weight decay acts on $v$. After
# training $w$ is written into an ordinary layer, so using the network costs what it did.
#
# **Not from the paper:** we could read its abstract only. The arctan is stated from memory. The scale is ours: layer
# $l$ has $a=b=\kappa\sigma_l$, where $\sigma_l=\sqrt{2/n_l}$ is the standard deviation of its first weights and $n_l$
# the number of its inputs.

# %%
display(notebook.source(method.psi, method.scale, method.speed))
notebook.draw(notebook.run(experiments.OneStep(), 4), "The map")

# %% [markdown]
# Right: how far a weight really moved in a tiny step, relative to a plain one; the formula lies on it.
#
# ## The experiment
#
# A network with two hidden layers of 100 units learns 300 digits, 40 % of them with a wrong label. Test labels are
# right.
#
# The rivals are a *tuned decay* (plain weights, weight decay 80 times as strong) and a *small dense* network. *Clip*
# clamps plain weights to a bound after each step: a bound without an S. *Small start* begins where WC begins and
# goes on plain. *Learned* trains $a$ and $b$, too. The null, *map at the end*, trains plainly and maps the weights
# once, afterwards. Strengths were chosen on 200 other digits, as many of them labeled wrong.

# %% tags=["parameters"]
seeds = 8
kappa = 0.45
label_noise = 0.4
decay = 0.0005
epochs = 60

# %% tags=["thumbnail"]
setting = experiments.WrongLabels(kappa=kappa, label_noise=label_noise, decay=decay, epochs=epochs)
results = notebook.run(setting, seeds)
display(notebook.arms(setting))
question = "Which of these four knows most new digits in the end?"
bet(question, results, "Accuracy", end("test_accuracy"), among=experiments.SHOWN)

# %% [markdown]
# WC gains about 20 points on the baseline. But the clamp, which has no S, is within one or two points of it, and tuned
# decay within three or four. A small start alone and a smaller network gain nothing. With *learned* parameters the gain
# is gone: in pilot runs training widened the bound more than threefold, and fitted the wrong labels.
#
# **What do the weights look like?** We set the largest 2 % of the hidden weights to zero: who needs them? The kurtosis,
# $E\,w^4/(E\,w^2)^2$, is 3 for a bell curve and 1 where all weights have one size.

# %%
display(notebook.summary(results), notebook.draw(results, "By heart"), notebook.draw(results, "Shape"))
some = ("baseline", "WC", "tuned decay", "map at the end")
shape = Histogram("How large are weights in the end?", "weights", "weight", some, 24, (-3, 3))
ends = Dots("How flat are they in the end?", "kurtosis", (*some, "clip"))
page.draw(results, View("Weights", (shape, ends), height=3.2), setting.arms)

# %% [markdown]
# The baseline learns the wrong labels by heart. WC, clip and tuned decay cannot: their training loss stays high.
# Without their largest weights the baseline and tuned decay lose much of their accuracy, WC and clip little.
#
# Most of the flat shape is arctan of a bell curve: an untrained compander starts at 1.4, and so does the null. What
# training adds is small, but the null has next to nothing of it; weights near zero become fewer, too. The clamp ends as
# flat as WC, though. Tuned decay does the opposite: half of its weights pile up around zero.
#
# **What would make this page wrong?** "Stop early on a few held-out digits, and plain weights do as well." All arms now
# learn 240 digits and keep 60, with wrong labels too. Baseline and tuned decay may stop at their best epoch; WC goes on
# to its last.

# %%
stopping = experiments.WrongLabels(kappa=kappa, label_noise=label_noise, decay=decay, held_out=60, epochs=epochs)
some = ("baseline", "WC", "tuned decay")
stopped = notebook.run(stopping.only(some), seeds)
panels = (
    Dots("Who knows most at the end?", "test_accuracy"),
    Dots("And at the best held-out epoch?", "stopped_accuracy"),
)
page.draw(stopped, View("Stopping", panels, height=2.2), stopping.only(some).arms)

# %% [markdown]
# Stopping helps the baseline, and tuned decay hardly. WC's last epoch stays ahead of both here; on fresh seeds the lead
# is unclear. Choosing WC's own epoch by so few digits costs accuracy.
#
# **And without wrong labels?** Here are the recorded $\kappa$ from 0.3 on.

# %%
grid = store.read(experiments.WrongLabels).sel(kappa=slice(0.3, None))
grid["kappa"].attrs |= {"long_name": "κ", "log": 1}
panels = [
    Curves(title, ["accuracy_change"], experiments.SHOWN, at={"label_noise": noise})
    for title, noise in (("40 % wrong labels: what does κ change?", 0.4), ("And with right labels?", 0))
]
page.draw(grid, View("κ", panels, columns=1, height=2.3), setting.arms)

# %% [markdown]
# With right labels the same κ costs about a point, and no κ gains more than half a point. What we see is resistance to
# wrong labels, by a bound on what can be learned. It is not the gain on clean images that the paper reports, which we
# could not test.
#
# ## Explore
#
# (1) Set $\kappa$ to 3: which arm does WC resemble? (2) Set it to 0.2: what does the training loss say?

# %%
explore(setting, results)

# %% [markdown]
# ## Does it hold?
#
# An *essential* claim must hold, or we have made a mistake; an *expected* one may fail.

# %%
notebook.verdicts("weight_compander")

# %% [markdown]
# ## Exercises
#
# **1. Who holds the large weights?** One step of decay shortens $v$ by $\lambda v$, with a small $\lambda$. By which
# share does $w$ become shorter, in units of $\lambda$, at $v=b$ and at $v=10b$?

# %%
my_shares = (None, None)  # at v = b, at v = 10 b
notebook.check(my_shares, exercises.check_decay)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# $w$ becomes shorter by $\lambda v\,\Psi'(v)$, which is the share $\lambda\,x/((1+x^2)\arctan x)$ with $x=v/b$:
# 0.637 and 0.067. Decay hardly pulls at large weights; the bound holds them.
#
# </details>

# %% [markdown]
# **2. Half the speed.** Write the $w>0$ at which WC with $a=b$ moves half as fast as a plain weight.


# %%
def my_weight(a):
    return None  # your line here


notebook.check(my_weight, exercises.check_half)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# import math
#
# def my_weight(a):
#     return a * math.acos(2 ** -0.25)  # 0.572 a
# ```
# Solve $\cos^4(w/a)=1/2$.
#
# </details>

# %% [markdown]
# **3. Which κ?** In the widget, find the $\kappa$ of WC's best accuracy at label noise 0.4. Then set the noise to 0
# and $\kappa=0.45$: by how much does WC change the accuracy there?

# %%
my_kappa = (None, None)  # best κ at noise 0.4, change of accuracy at noise 0 and κ = 0.45
notebook.check(my_kappa, exercises.check_best)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# κ = 0.45, and about −0.013: a tight bound keeps wrong labels out, and a little of the right ones, too.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper trains convolutional networks on images with right labels; here a small dense network overfits to wrong
# labels. Kept are the map, decay on the stored numbers, the bound and learned parameters. WC saves no cost. It needs
# plain SGD: Adam rescales each gradient and would nearly undo the map. We read no table of the paper and quote none.
#
# **Reference.** R. Cakaj, J. Mehnert, B. Yang: *Weight Compander: A Simple Weight Reparameterization for
# Regularization*. 2023, [arXiv 2306.16993](https://arxiv.org/abs/2306.16993).
