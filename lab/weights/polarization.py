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
# # Polarization
#
# *WRITE: the question of the page, in one sentence.*

# %%
from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.weights.polarization import exercises, experiments, method

notebook.card("polarization")

# %% [markdown]
# ## The idea
#
# WRITE: the problem and the idea in plain words, as you would tell a friend; no formula yet.

# %% tags=["parameters"]
seeds = 8
strength = 0.03
decay = 0.001
noise = 0.4
epochs = 20

# %%
digits = experiments.Digits(strength, decay, noise, epochs)
results = notebook.run(digits, seeds)

# %% [markdown]
# ## The method
#
# WRITE: the equations of the paper, with every symbol defined before it is used; then the code that computes them:

# %%
notebook.source(method.regularizer)

# %% [markdown]
# ## The experiment
#
# WRITE: which data, which network, which arms, and what the arms of a seed share; why the rival is the fair comparison.

# %% tags=["thumbnail"]
bet("WRITE: what should the reader predict about the picture?", results, "Accuracy", end("test_accuracy"))

# %%
notebook.summary(results)

# %% [markdown]
# WRITE: what to see in the picture, and what it means; never more than the numbers say.
#
# ## Explore
#
# WRITE: three things to try with the sliders.

# %%
explore(digits, results)

# %% [markdown]
# ## Does it hold?
#
# Every claim is measured with the same seeds for all arms. An *essential* claim must hold, else we have made a mistake;
# an *expected* one may fail, and then it stands here as it is.

# %%
notebook.verdicts("polarization")

# %% [markdown]
# ## Exercises
#
# **1. WRITE: a question to think about.**

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# WRITE: the answer.
#
# </details>

# %% [markdown]
# **2. Write the gradient.** WRITE: what the reader programs in at most ten lines.


# %%
def my_gradient(logits):
    return None  # your lines here


notebook.check(my_gradient, exercises.check_gradient)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# WRITE: the lines that are asked for.
#
# </details>

# %% [markdown]
# **3. WRITE: a question that the sliders answer.**

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# WRITE: the answer, with what one sees.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# WRITE: what the paper has that is smaller or missing here, what is kept, and where the page may be wrong.
#
# **Reference.** WRITE: authors, *title*, where and when, with a link.
