"""What panels read decides what a recording keeps."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from made_replay import Made
from made_results import CLOUD, CURVES, PARTS

from reglab.pictures import Curves, Dots, Panel, View
from reglab.pictures.panel import Read, Use, uses
from reglab.recordings.thin import thin as thinned
from reglab.results import Var


def test_each_kind_says_what_it_reads() -> None:
    assert list(CURVES.reads()) == [Read("score"), Read("stop")]
    assert list(Curves("?", ["a"], ["x"], log=True, theory="b").reads()) == [
        Read("a", ["x"], log=True), Read("b", ["x"], log=True)
    ]  # fmt: skip
    assert list(PARTS.reads()) == [Read("up", ["new"]), Read("down", ["new"])]
    assert list(Dots("?", "a", ["x"]).reads()) == [Read("a", ["x"], whole=False)]
    cloud, starts, groups, corners = CLOUD.reads()
    assert cloud == Read("cloud", ["new"], items=(-2, -1), limits=(-4, 4))
    assert (starts.variable, starts.items, starts.limits) == ("start", (-2, -1), None)
    assert (groups.variable, groups.items) == ("class", (-1,)) and corners.variable == "corner"


def test_what_several_panels_read_adds_up() -> None:
    panels = (Dots("?", "a", ["x"]), Curves("?", ["a"], ["y"], log=True), Dots("?", "b"))
    kind = SimpleNamespace(
        headline="c", arms={"x": "baseline", "y": "method"}, views=[View("All", panels)],
        outputs=dict.fromkeys("abc", Var("arm seed time", "name", "made")),
    )  # fmt: skip
    assert uses(kind) == {
        "a": Use({"x", "y"}, shown=True, whole=True, log=True, cloud=False),
        "b": Use({"x", "y"}, shown=True, whole=False, cloud=False),
        "c": Use({"x", "y"}, shown=False, whole=True, cloud=False),
    }


def test_a_recording_keeps_all_items_pixels_and_steps_of_a_film() -> None:
    data = Made().run(2)
    thin = thinned(data, Made)
    assert set(thin.data_vars) == set(Made.outputs)
    assert thin.sizes == data.sizes, "60 weights, 6 by 8 pixels"
    assert thin.weight.isel(time=-1).notnull().all() and thin.picture.sel(arm="new").notnull().all()
    assert thin.start.sel(arm="other").isnull().all(), "no picture shows it"


def test_what_papers_declare_with_needs_neither_matplotlib_nor_altair() -> None:
    code = "import sys, reglab.pictures, reglab.pictures.style; print({'matplotlib', 'altair'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_kind_that_says_nothing_is_noticed() -> None:
    with pytest.raises(NotImplementedError):
        Panel().chart(None)  # type: ignore[arg-type]
