"""RegLab: what regularization does to deep networks, one measured paper at a time.

Shape letters used in every docstring: S seeds, A arms, M = A·S models trained side by side, N examples of a batch,
n examples of a data set, C classes, D input features, H hidden units.
"""

import os

# PyTorch's threads wait by spinning, which beside one other busy program made the digits experiment six times slower;
# told before it loads, they spin for a moment only (the second line is for Linux, the first for all others)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

__version__ = "0.2.0"
