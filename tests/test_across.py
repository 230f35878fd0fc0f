"""A knob as an axis: results are those of the sibling at each value, and the class is an experiment like any other."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from walk import Walk

from reglab.across import Across
from reglab.papers.labels.early_learning import experiments
from reglab.results import Axis, Tick


def test_results_are_the_sibling_s_at_each_value() -> None:
    found = experiments.StoppingTime(ratio=0.5).run([2, 5])
    for rate in experiments.LEARNING_RATES.values:
        alone = experiments.EndOfEarlyLearning(ratio=0.5, learning_rate=rate).run([2, 5])
        for name in experiments.StoppingTime.outputs:
            np.testing.assert_array_equal(found[name].sel(learning_rate=rate), alone[name])
    ticks = [one.fraction for one in experiments.StoppingTime().frames((0,)) if isinstance(one, Tick)]
    assert ticks == sorted(ticks) and ticks[-1] == 1


def test_it_has_the_other_knobs_and_can_be_sent_to_another_process() -> None:
    assert list(experiments.EarlyAccuracy.knobs()) == ["noise", "ratio", "learning_rate"]
    one = experiments.EarlyAccuracy.make({"noise": "0.2"})
    assert pickle.loads(pickle.dumps(one)) == one != experiments.EarlyAccuracy()
    assert one.paper() == "labels/early_learning"
    with pytest.raises(ValueError, match="noise = 2"):
        experiments.EarlyAccuracy(noise=2)


def test_arms_and_axes_of_the_sibling_are_kept() -> None:
    sibling, settings, outputs = experiments.LinearTheory, {"steps": 50, "ratio": 0.3}, ("cosine", "stopping_time")
    cls: Any = type("Wide", (Across,), {}, sibling=sibling, knob="spread", values=Axis((0.1, 0.3)), outputs=outputs)
    found = cls.make(settings).run(2)
    assert found["cosine"].dims == ("arm", "seed", "time", "spread") and list(cls.arms) == list(sibling.arms)
    some = cls.make(settings).only(["ELR"]).run(2)
    for name in outputs:
        for value in (0.1, 0.3):
            alone = sibling.make({**settings, "spread": value}).run(2)[name]
            np.testing.assert_array_equal(found[name].sel(spread=value), alone)
        np.testing.assert_allclose(some[name].sel(arm="ELR"), found[name].sel(arm="ELR"), rtol=1e-6)


def test_what_the_sibling_does_not_have_is_refused() -> None:
    with pytest.raises(KeyError, match="Walk has no 'nothing'"):
        type("Wrong", (Across,), {}, sibling=Walk, knob="nothing", values=Axis((1,)), outputs=())
