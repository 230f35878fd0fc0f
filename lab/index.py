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
# # Start here: the map of the lab
#
# RegLab shows what regularization does to deep networks. Every paper has one notebook: the idea in plain words, the
# equations with the code that computes them, a small experiment that runs in seconds with several seeds, sliders,
# exercises with solutions, and the paper's claims, measured.
#
# How to use it: run the cells from top to bottom (Shift+Enter). Before a picture, make a guess. After it, move a
# slider.
#
# ## Is everything well?
#
# The next cell takes about ten seconds. It shows your versions, trains a small network, and says whether its result
# lies where it should.

# %%
from reglab import notebook

notebook.self_check()

# %% [markdown]
# ## All papers
#
# The papers come in seven parts. Each line says the idea in one sentence, how long the page takes, and what you should
# know first.

# %%
notebook.map_of_lab()

# %% [markdown]
# ## How to read a result
#
# Every experiment is run with several *seeds*: other first weights, other data, other noise. Thin lines are single
# seeds, a thick line is their mean, the band is the 95 % interval of the mean. Methods are compared seed by seed, with
# the same data and the same first weights. If an interval of a difference contains zero, the difference may be random.
#
# On your computer the numbers may differ a little from those on the website. Processors round differently, and long
# training can amplify that.
#
# ## For teachers
#
# Each page has a time on its card. Pictures and sliders work on a projector; on the website no Python is needed to read
# the pages. The exercises have solutions folded away under them.
