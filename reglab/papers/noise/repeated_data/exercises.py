"""TokenCrisis: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from reglab.effects import end
from reglab.exercise import compare, read_off
from reglab.papers.noise.repeated_data import experiments, method


def check_surplus(answer: Sequence[float | None]) -> str:
    """Check the least expected excess on new letters, and what a training excess of -0.3 on 2000 letters knows."""
    compare(answer[0], 0, [(-0.3, "this is the excess on letters that it has seen.")], "which loss has the truth?")
    hints = [(0.3, "this is for one letter."), (-600, "how much it knows is positive.")]
    compare(answer[1], 600, hints, "each of the 2000 letters is known better than the source allows.")
    return "All that lies below the entropy rate is knowledge about this one string, here about 600 nats."


def check_counts(answer: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[float, float]]) -> str:
    """Check a student's two losses of add-0.1 counts, for n = 200, 2000 and 20000: of its own triples, and exact."""
    true, excess = experiments.table("markov"), {}
    for n in (200, 2000, 20_000):
        letters = np.array(method.string(true, np.random.default_rng(n).random(n).tolist()))
        model = method.counts(letters, len(true), 0.1)
        own = float(-np.log(model[letters[:-2], letters[1:-1], letters[2:]]).mean())
        exact = method.expected_loss(true, model)
        found = answer(letters, true, method.pair_shares(true)) or (None, None)
        compare(found[0], own, [(exact, "first give the loss of its triples.")], f"n = {n}: is 0.1 added to 12 counts?")
        compare(found[1], exact, [(own, "these are its own triples again.")], f"n = {n}: weigh each pair by its share.")
        excess[n] = exact - method.expected_loss(true, true)
    said = ", ".join(f"{value:.3f} at n = {n}" for n, value in excess.items())
    return f"The exact excess is {said}, where (free parameters)/(2n) is {12 * 12 * 11 / 40_000:.3f}."


def check_sizes(answer: tuple[xr.Dataset, Sequence[float | None]]) -> str:
    """Check four means that a student reads off their own run of sizes: repeated with H = 16 and 512, then fresh."""
    sizes, found = answer
    for value, (arm, H) in zip(found, [(arm, H) for arm in ("repeated", "fresh") for H in (16, 512)], strict=True):
        shown = end("test_excess", arm, hidden=H)(sizes)
        read_off(value, shown.values, f"{arm}, H = {H}: your picture shows another number.", reading=0.04)
    return "The small model wins where letters repeat, the large one where they are fresh."
