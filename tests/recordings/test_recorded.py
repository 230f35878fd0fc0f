"""The recordings of all papers: they hold what is shown and no more, as whole steps."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from reglab import catalogue
from reglab.experiment import Experiment
from reglab.recordings import codec, store, thin

KINDS = [kind for name in catalogue.SLUGS for kind in catalogue.experiments(name) if kind.grid]
every_grid = pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])


@every_grid
def test_a_recording_holds_what_is_shown_and_no_more(kind: type[Experiment]) -> None:
    grid = store.read(kind)
    assert grid is not None
    xr.testing.assert_identical(thin.thin(grid, kind), grid)


@every_grid
def test_every_recorded_number_is_a_whole_step(kind: type[Experiment]) -> None:
    grid, steps = store.read(kind), store.steps(kind)
    assert grid is not None and steps is not None
    for name, values in steps.data_vars.items():
        scale = codec.scale_of(values)
        assert values.dtype == np.int16 and grid[name].dims == values.dims
        np.testing.assert_array_equal(grid[name], codec.dequantize(values.values, scale))
        np.testing.assert_array_equal(codec.quantize(grid[name].values, scale), values)
