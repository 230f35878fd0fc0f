"""RegLab: what regularization does to deep networks, one measured paper at a time.

Shape letters used in every docstring: S seeds, A arms, M = A·S models trained side by side, N examples of a batch,
n examples of a data set, C classes, D input features, H hidden units.
"""

import os

# PyTorch's threads wait by spinning unless told otherwise before it loads; beside one other busy program that made
# the digits experiment six times slower
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
