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
# # The same text, again and again
#
# *A language model runs out of fresh text and reads the old text 16 times. What does it learn, and what helps?*

# %%
from IPython.display import display

from reglab import notebook
from reglab.bet import bet
from reglab.effects import end
from reglab.explore import explore
from reglab.papers.noise.repeated_data import exercises, experiments, method

notebook.card("repeated_data")

# %% [markdown]
# ## The idea
#
# Large language models need more text than there is. Why not show them the same text again? The paper tried it: the
# loss on new text first falls, then rises, as the model learns its text by heart. This is worse with fewer unique
# tokens and with larger models. Of the usual regularizers, the paper says, **dropout** helps.
#
# We use a source that we know exactly: 12 letters, each of which depends on the two before. No predictor can expect a
# smaller mean loss on new letters than the **entropy rate** of the source, 1.65 nats. We measure how far above it a
# small network is: its **excess**. Knowing nothing gives 0.84, knowing how frequent each letter is 0.83.

# %% tags=["parameters"]
seeds = 8
unique = 2000
drop = 0.2
hidden = 128
budget = 32000

# %% tags=["thumbnail"]
model = experiments.Repetition(unique, drop, hidden, budget)
across = experiments.AcrossHidden(unique, drop, budget)
later = notebook.start(across, seeds // 2)  # a second process computes it while you read
results = notebook.run(model, seeds // 2)
question = "A network reads 2000 letters 16 times. Which excess will it have on new letters in the end?"
bet(question, results, "Fresh and repeated", end("test_excess", "repeated"), low=0, high=1.5)

# %% [markdown]
# All networks make equally many steps. *Fresh* sees each context once. On *repeated* letters the network ends about
# where one ends that knows nothing. On its own letters (right) it falls **below** the entropy rate: this is memory.
#
# The line *counts* is a table of counted triples from the same 2000 letters. It beats every network: these are models
# of large ones, not good predictors.
#
# ## The method
#
# A network with weights $\theta$ sees the last $C=4$ letters and gives probabilities $q_\theta$ for the next one. Over
# $N$ letters $x_t$ its loss, and its excess over the entropy rate $\mathcal H$ of the source, are
#
# $$L=-\frac1N\sum_t\log q_\theta(x_t\mid x_{t-C:t-1}),\qquad \Delta=L-\mathcal H .$$
#
# $D$ is the budget, the contexts seen in training; $U$ of them are unique, so each is seen $D/U$ times. **Multi-epoch
# degradation** is what repetition costs at the same number of steps: $\Delta(U,D)-\Delta(D,D)$.
#
# **Dropout** sets each unit to 0 with probability $p$ and divides the others by $1-p$, in training only. The paper
# also uses a **mixture of experts**: a router with weights $W_g$ turns the state $h$ into gates
# $g=\mathrm{softmax}(hW_g)$, and only the expert $e^*$ with the largest gate works: $y=g_{e^*}\mathrm{FFN}_{e^*}(h)$,
# where FFN is a layer of $H$ hidden units, here shared out among $E$ experts. Parameters stay, arithmetic shrinks.

# %%
notebook.source(method.expected_loss, method.visits, method.gates, method.load_balance, method.feed_forward)

# %% [markdown]
# The load balance, with weight 0.01 in the loss, keeps all experts busy.
#
# ## The experiment
#
# Arms of one seed share strings, first weights and noise. Strengths were chosen on a validation string; what you see
# is from a test string.
#
# The **rivals** cost nothing more: *decay* shrinks all weights in every step, *label smoothing* gives a part of each
# target to all letters alike, *counts* trains no network. The **null** knows how frequent the letters are.

# %%
display(notebook.arms(model))
arms = ("repeated", "repeated + dropout", "decay", "label smoothing")
question = "Which network that repeats its letters ends closest to the best possible?"
bet(question, results, "All arms", end("test_excess"), among=arms, wins="lowest")

# %%
notebook.summary(results)

# %% [markdown]
# Dropout takes away about two fifths of what repetition costs. But weight decay and label smoothing, tuned as hard,
# take away more. That the others bring little is not seen here. The right picture shows each run where its validation
# loss was best. This habit takes away about a quarter, and dropout gains little beyond it. On *fresh* letters dropout
# harms.
#
# Look back at the training curves: *decay* knows its letters as well by heart, and is yet much better on new ones.
# Memory alone is not the harm.
#
# Is a larger model better?

# %%
sizes = notebook.run(later)
notebook.draw(sizes, "Model size")

# %% [markdown]
# On fresh letters yes, on repeated ones no. With dropout or decay size matters little.
#
# ## Explore
#
# Things to try: (1) Let $U$ grow to 8000. Does dropout still help? (2) $U=32000$: all letters are fresh. Which
# regularizer helps even now? (3) $U=1000$: which $p$ is best, and what of a decay that was chosen at
# $U=2000$?

# %%
explore(model, results)

# %% [markdown]
# ## Does it hold?
#
# Every claim is measured with the same seeds for all arms. An *essential* claim must hold, else we have made a mistake;
# an *expected* one may fail, and then it stands here as it is.

# %%
notebook.verdicts("repeated_data")

# %% [markdown]
# **What would make this page wrong?** "Tune weight decay or count triples, and nobody needs your dropout." So it is
# here, as our controls say. What stands is the harm of repetition. It needs no structure: where letters do not depend
# on each other, repeating cost 1.2 nats in a pilot ($H=512$, four seeds).
#
# ## Exercises
#
# **1. Too good.** A network has the excess $-0.3$ on the 2000 letters that it was trained on. Which excess can the best
# possible predictor expect on new letters? How many nats does the network know about its string?

# %%
my_numbers = (None, None)  # excess on new letters, nats about the string
notebook.check(my_numbers, exercises.check_surplus)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# 0 and about 600. No predictor can expect to beat $\mathcal H$ on new letters. What is below, 0.3 for each of 2000
# letters, is knowledge about this string.
#
# </details>

# %% [markdown]
# **2. Count.** `letters` is a string, `T[a, b, c]` the true probability of $c$ after $a,b$, and `shares[a, b]` how
# often this pair occurs. Fit a table of triples with 0.1 added to every count. Return its mean loss on the triples of
# its own string, and its exact loss on new letters.


# %%
def my_losses(letters, T, shares):
    return None  # your lines here


notebook.check(my_losses, exercises.check_counts)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def my_losses(letters, T, shares):
#     q = 0.1 * np.ones_like(T)
#     np.add.at(q, (letters[:-2], letters[1:-1], letters[2:]), 1)
#     q = q / q.sum(-1, keepdims=True)
#     own = -np.log(q[letters[:-2], letters[1:-1], letters[2:]]).mean()
#     return own, -(shares[..., None] * T * np.log(q)).sum()
# ```
# With many letters the excess falls like (free parameters)/(2n): the table has $12\cdot12\cdot11$ of them.
#
# </details>

# %% [markdown]
# **3. Sizes.** Read four means off the picture of model sizes: *repeated* with $H=16$ and $H=512$, then *fresh* with
# the same. Which size would you train?

# %%
my_means = (None, None, None, None)  # repeated 16, repeated 512, fresh 16, fresh 512
notebook.check((sizes, my_means), exercises.check_sizes)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# About 0.72 and 1.23 repeated, 0.58 and 0.33 fresh: the order of the sizes turns around. With dropout the large
# model ends at 0.69.
#
# </details>

# %% [markdown]
# ## What was scaled down
#
# The paper trains T5 models on web text, in up to 256 passes. Here a window of four letters and one layer take the
# place of a transformer; equal steps, dropout and experts are kept. Not built: dropout that starts late, data quality,
# other objectives, downstream tasks, shared layers. Its numbers come from others' notes: we
# could not read its experimental sections.
#
# **Reference.** F. Xue, Y. Fu, W. Zhou, Z. Zheng, Y. You: *To Repeat or Not To Repeat: Insights from Scaling LLM under
# Token-Crisis*. NeurIPS 2023, [arXiv 2305.13230](https://arxiv.org/abs/2305.13230).
