"""Declared ranges are true: at every setting that the knobs of an experiment allow there is something to see and say.

Settings are the ends of each knob, alone and all together, and others drawn at random. Knobs that the smallest setting
names stay as small as they are there, so that a run takes about a second.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from reglab import catalogue, results, verify
from reglab.experiment import Experiment
from reglab.knobs import Knob
from reglab.pictures.chart import Chart
from reglab.pictures.words import sentence

EXPERIMENTS: list[type[Experiment]] = [cls for name in catalogue.SLUGS for cls in catalogue.experiments(name)]
every_experiment = pytest.mark.parametrize("cls", EXPERIMENTS, ids=lambda cls: f"{cls.paper()}:{cls.__name__}")

DRAWN = 1
"""So many settings of an experiment are drawn in a short run; a deep one tries all ends, and four times as many."""


def ends(knob: Knob) -> tuple[Any, ...]:
    """Return the first and the last value that a knob allows, or all where they are few."""
    return (False, True) if isinstance(knob.default, bool) else knob.choices or (knob.low, knob.high)


def free(cls: type[Experiment]) -> dict[str, Knob]:
    """Return the knobs that decide nothing about how long a run takes."""
    return {name: knob for name, knob in cls.knobs().items() if name not in cls.smoke}


def at_the_ends(cls: type[Experiment]) -> Iterator[dict[str, Any]]:
    """Yield settings with one knob at an end, then those with all at their first, and all at their last."""
    for name, knob in free(cls).items():
        for value in ends(knob):
            yield {name: value}
    for which in (0, -1):
        yield {name: ends(knob)[which] for name, knob in free(cls).items()}


def drawn(cls: type[Experiment], draws: random.Random) -> dict[str, Any]:
    """Draw a setting: each knob at an end in two of three cases, else anywhere."""
    found = {}
    for name, knob in free(cls).items():
        value = draws.choice(ends(knob))
        if not isinstance(value, bool | str) and draws.random() < 1 / 3:
            value = draws.choice(knob.stops) if knob.stops else draws.uniform(*ends(knob))
        found[name] = round(value) if type(knob.default) is int else value
    return found


def assert_useful(setting: Experiment, folder: Path) -> None:
    """Run an experiment and look at everything that is made of its results."""
    cls, data = type(setting), setting.run((0, 1))
    for name, var in cls.outputs.items():
        values = data[name].values
        assert not np.isinf(values).any(), f"{setting}: {name} is infinite"
        assert name in cls.may_be_nan or not np.isnan(values).any(), f"{setting}: {name} is NaN"
        known = values[np.isfinite(values)]
        assert var.low is None or (known >= var.low - 1e-6).all(), f"{setting}: {name} is {known.min()}"
        assert var.high is None or (known <= var.high + 1e-6).all(), f"{setting}: {name} is {known.max()}"
    said = sentence(data, cls.headline, cls.arms)
    assert cls.outputs[cls.headline].label in said, setting
    for arm in cls.arms:  # an arm may be called "none"
        said = said.replace(f"with {arm}", "")
    assert not {"none", "nan", "inf"} & set(re.findall(r"\w+", said)), setting
    for view in cls.views:
        chart = Chart(data, view, cls.arms)
        assert chart.png(dpi=30).startswith(b"\x89PNG"), setting
        assert "no data" not in chart.describe() or cls.may_be_nan, setting
    results.save(data, folder / "result.nc")
    xr.testing.assert_identical(results.load(folder / "result.nc", of=cls), data)


@pytest.mark.sampled
@every_experiment
def test_a_setting_drawn_at_random_is_useful(cls: type[Experiment], tmp_path: Path) -> None:
    draws = random.Random(f"{verify.newest()}/{cls.__name__}")
    for _ in range(DRAWN):
        assert_useful(cls.make({**cls.smoke, **drawn(cls, draws)}), tmp_path)


@pytest.mark.deep
@every_experiment
def test_the_ends_of_what_is_allowed_are_useful(cls: type[Experiment], tmp_path: Path) -> None:
    draws = random.Random(f"{verify.newest()}/{cls.__name__}")
    for settings in (*at_the_ends(cls), *(drawn(cls, draws) for _ in range(4 * DRAWN))):
        assert_useful(cls.make({**cls.smoke, **settings}), tmp_path)
