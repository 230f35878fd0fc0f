"""The tables of a part: every number is that of the recorded default, method minus other seed by seed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from reglab import catalogue
from reglab.recordings import store
from reglab.site import compared

PARTS = sorted({name.split("/")[0] for name in catalogue.SLUGS if (store.FOLDER / f"{name}.nc").is_file()})


def test_the_numbers_are_those_of_the_recorded_default() -> None:
    kind = catalogue.experiment("labels/early_learning")
    recorded = store.at(kind())
    assert recorded is not None
    last = recorded.test_accuracy.isel(epoch=-1)
    mine, other = (last.sel(arm=arm).values for arm in ("ELR", "early stopping"))
    low, high = stats.t.interval(0.95, len(mine) - 1, np.mean(mine - other), stats.sem(mine - other))
    row = f"* - early stopping (rival)\n  - {other.mean():.3f}\n  - {mine.mean():.3f}\n"
    difference = f"  - {np.mean(mine - other):.3f} [{low:.3f}, {high:.3f}]\n"
    assert row + difference in compared.tables("labels")


@pytest.mark.parametrize("part", PARTS)
def test_every_recorded_rival_and_null_of_a_part_stands_in_its_tables(part: str) -> None:
    text = compared.tables(part).replace("\\", "")
    for name in catalogue.SLUGS:
        if not name.startswith(part):
            continue
        for kind in catalogue.experiments(name):
            roles = {arm: str(role) for arm, role in kind.arms.items()}
            if not kind.grid or not {"method", "rival"} <= set(roles.values()):
                continue
            assert f"(/lab/{name})" in text
            for arm, role in roles.items():
                assert (f"* - {arm} ({role})" in text) == (role in compared.BESIDE)
    assert not re.search(r"\bnan\b|- none$|[\[ ]none[],]", text, re.M)


def test_where_nothing_is_recorded_there_is_no_table() -> None:
    assert compared.tables("none") == ""
