"""Effects: what they measure, how they combine, and what they mean to a digest."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from reglab import digests
from reglab.effects import Effect, advantage, end, fall, late, peak

VALUES = np.array([[[1.0, 5, 3, 2], [0, 4, 8, 6]], [[2.0, 2, 2, 4], [1, 1, 1, 1]]])
RESULTS = xr.Dataset(
    {"score": (("arm", "seed", "epoch"), VALUES), "size": ("seed", [3.0, 4]),
     "both": (("seed", "a", "b"), np.ones((2, 1, 1)))},
    {"arm": ["plain", "new"], "seed": [0, 1], "epoch": [0, 1, 2, 3]},
)  # fmt: skip


def test_effects_are_one_number_for_each_seed() -> None:
    found: dict[Effect, list[float]] = {
        end("score", "plain"): [2, 6],
        peak("score", "plain"): [5, 8],
        late("score", "plain"): [10 / 3, 6],
        fall("score", "plain"): [3, 2],
        advantage("score", "new", over="plain"): [2, -5],
        end("score", "plain", epoch=1): [5, 4],
        end("size"): [3, 4],
        -end("score", "plain") / end("size"): [-2 / 3, -1.5],
        end("size") - 1: [2, 3],
    }
    for effect, expected in found.items():
        np.testing.assert_allclose(effect(RESULTS).values, expected)


def test_a_number_that_is_missing_on_the_way_is_missed() -> None:
    broken = RESULTS.assign(score=RESULTS.score.where(RESULTS.epoch != 2))
    for effect in (peak("score", "plain"), late("score", "plain"), fall("score", "plain")):
        assert effect(broken).isnull().all()
    assert end("score", "plain")(broken).notnull().all()


def test_an_effect_along_two_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="end of 'both': say where along a"):
        end("both")(RESULTS)


def test_a_digest_follows_what_an_effect_means() -> None:
    def meaning(effect: object) -> str:
        return digests._digest(digests._meaning(effect))

    one = end("score", "plain") - end("score", "new")
    assert meaning(one) == meaning(end("score", "plain") - end("score", "new"))
    others = [end("score", "plain") / end("score", "new"), end("score", "new") - end("score", "plain"),
              peak("score", "plain") - end("score", "new"), end("size", "plain") - end("score", "new"),
              end("score", "plain") - end("score", "new", epoch=1)]  # fmt: skip
    assert len({meaning(one), *map(meaning, others)}) == 6
