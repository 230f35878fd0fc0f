"""Keep the results of all experiments, to see later whether a change of the code has changed a number.

    python tests/golden.py save FOLDER
    python tests/golden.py compare FOLDER

Every experiment runs with two seeds at its `smoke` setting, in double precision, in one process with one thread.
Compare on the computer that saved. It prints the largest difference of each experiment, 0 where all numbers are equal
to the last bit, and the exit status is 1 where one is above 1e-8.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from draws import twice_the_digits

from reglab import catalogue, results
from reglab.experiment import Experiment

MOST = 1e-8


def run(kind: type[Experiment]) -> xr.Dataset:
    """Return the results of an experiment at its smallest setting."""
    with twice_the_digits():
        return kind.make(kind.smoke).run((0, 1))


def distance(old: xr.Dataset, new: xr.Dataset) -> float:
    """Return the largest difference of two results; infinity where they have other variables, places or NaN."""
    if set(old.data_vars) != set(new.data_vars) or dict(old.sizes) != dict(new.sizes):
        return np.inf
    apart = 0.0
    for name, values in old.data_vars.items():
        other = new[name].transpose(*values.dims)
        if not (values.isnull() == other.isnull()).all():
            return np.inf
        apart = max(apart, float(abs(values - other).fillna(0).max()))
    return apart


def main(what: str, folder: Path) -> int:
    """Save or compare the results of all experiments; returns the exit status."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    worst = 0.0
    for kind in [kind for name in catalogue.SLUGS for kind in catalogue.experiments(name)]:
        file = folder / f"{kind.__name__}-{kind.paper().replace('/', '-')}.nc"
        if what == "save":
            results.save(run(kind), file)
            continue
        apart = distance(results.load(file), run(kind))
        worst = max(worst, apart)
        sys.stdout.write(f"{kind.paper()}:{kind.__name__:24} {apart:.2g}\n")
    return int(worst > MOST)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("save", "compare"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
