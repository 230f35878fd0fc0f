"""RegLab: what regularization does to deep networks, one measured paper at a time.

Shape letters used in every docstring: S seeds, A arms, M = A·S models trained side by side, N examples of a batch,
n examples of a data set, C classes, D input features, H hidden units.
"""

__version__ = "0.1.0"
