"""Axes of curves: they follow a setting at which curves would fill little of them, live and in the replay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_replay import STATIC

from reglab import catalogue
from reglab.experiment import Experiment
from reglab.pictures import Curves, View
from reglab.pictures.chart import Chart
from reglab.pictures.heights import FILLED, FLAT, fitted
from reglab.recordings import store
from reglab.site import replay

KINDS = [kind for name in catalogue.SLUGS for kind in catalogue.experiments(name) if kind.grid]
SHOWN = [kind for kind in KINDS if any(isinstance(panel, Curves) for view in kind.views for panel in view.panels)]
LABELED = [
    kind for kind in SHOWN if any(
        isinstance(panel, Curves) and (panel.peak or panel.lines) for view in kind.views for panel in view.panels
    )
]  # fmt: skip
NONE = np.array([])

EVERY = """async (one) => {
    let places = [[]];
    for (const { values } of one.grid.knobs) places = places.flatMap((at) => values.map((_, i) => [...at, i]));
    const field = (rows, ...names) => (rows ?? []).flatMap((row) => names.map((name) => row[name]));
    return places.flatMap((at) => one.grid.views.flatMap((view) => one.rows(view, at, null).flatMap((shown, i) => {
        const { kind, heights, log, question } = view.panels[i], { lines, bands, theory, across } = shown.found;
        if (kind !== "curves") return [];
        const beside = [...field(bands, "low", "high"), ...field(theory, "y"), ...field(across, "y")];
        return [{ at, question, log, heights, reach: shown.reach, curves: field(lines, "y"), beside }];
    })));
}"""


def test_common_ends_stay_where_curves_fill_enough_of_them() -> None:
    assert fitted((0, 1), np.array([0.3, 0.61]), np.array([-5.0, 5])) == (0, 1)
    assert fitted((0, 1), np.array([0.4, 0.4, np.nan]), NONE) == (0, 1), "one value fills nothing"
    assert fitted((0, 1), np.array([np.nan]), NONE) == fitted((0, 1), NONE, NONE) == (0, 1)


def test_ends_follow_curves_that_would_fill_little() -> None:
    assert fitted((0, 100), np.array([40.0, 50]), NONE) == (39.5, 50.5)
    assert fitted((0, 100), np.array([40.0, 50]), np.array([38.0, 45, np.nan])) == pytest.approx((37.4, 50.6))
    assert fitted((0, 100), np.array([40.0, 50]), np.array([0.0, 55])) == pytest.approx((28.75, 56.25))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.lists(st.floats(-9, 9), max_size=9), st.floats(0.001, 1))
def test_whatever_is_beside_them_curves_fill_enough(curves: list[float], beside: list[float], scale: float) -> None:
    values = np.array(curves) * scale
    low, high = fitted((0, 1), values, np.array(beside))
    assert low <= values.min() <= values.max() <= high
    assert np.ptp(values) <= FLAT or np.ptp(values) >= FILLED * (high - low)


def filled(curves: np.ndarray, ends: Any) -> float:
    """Return the share of an axis that curves fill; NaN for curves without a number, or of one value."""
    return float(np.ptp(curves) / (ends[1] - ends[0])) if len(curves) and np.ptp(curves) > 0 else np.nan


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of a page that replays everything that is recorded.

    All grids are there before the first chart, so that one which took another's place would be seen.
    """
    folder = tmp_path_factory.mktemp("every")
    (folder / "charts").mkdir()
    (folder / "charts" / "vega.js").write_text(replay.bundle(), encoding="utf-8")
    (folder / "replay.js").write_bytes((STATIC / "replay.js").read_bytes())
    for kind in SHOWN:
        (folder / replay.file_name(kind)).write_text(replay.script(kind), encoding="utf-8")
    grids = "".join(f'<script src="{replay.file_name(kind)}"></script>' for kind in SHOWN)
    figures = "".join(f"<figure{replay.attributes(kind)}></figure>" for kind in SHOWN)
    text = f'<!doctype html><title>Every</title>{grids}{figures}<script src="replay.js"></script>'
    (folder / "page.html").write_text(text, encoding="utf-8")
    return (folder / "page.html").as_uri()


def opened(view: Any, kind: type[Experiment]) -> Any:
    """Return the replay of an experiment, a handle in the page; papers may have experiments of one name."""
    handle = view.evaluate_handle(
        """async (file) => {
            const one = reglabReplays.find(({ figure }) => figure.dataset.grid === file);
            await one.open();
            return one;
        }""",
        replay.file_name(kind),
    )
    assert handle.evaluate("(one) => one.grid.views.map((view) => view.title)") == [one.title for one in kind.views]
    return handle


@pytest.mark.xdist_group("every")
@pytest.mark.browser
def test_at_every_recorded_setting_the_curves_of_a_replay_fill_their_picture(view: Any, page: str) -> None:
    """But for curves of one value; and the page finds the same ends as Python does."""
    view.goto(page)
    flat, followed, count = [], 0, 0
    for kind in SHOWN:
        for shown in opened(view, kind).evaluate(EVERY):
            scale = (lambda values: np.log10([one for one in values if one > 0])) if shown["log"] else np.array
            curves, ends, common = (scale(shown[name]) for name in ("curves", "reach", "heights"))
            where = (kind.__name__, shown["question"], shown["at"])
            expected = fitted((common[0], common[1]), curves, scale(shown["beside"]))
            np.testing.assert_allclose(ends, expected, atol=1e-9 * np.ptp(common), err_msg=str(where))
            count, followed = count + 1, followed + (shown["reach"] != shown["heights"])
            if not len(curves) or np.ptp(curves) <= FLAT * np.ptp(common):
                flat.append(where)
                continue
            assert filled(curves, ends) >= FILLED, where
    assert count > 2000 and 0 < followed < count / 3, "most axes stay as they are"
    assert len(flat) < count / 40, "few pictures have nothing that could be spread"
    assert not view.problems


OVERLAPS = """(one) => one.charts.flatMap(({ node }) => {
    const texts = [...node.querySelectorAll("text")].filter((text) => text.textContent.trim() && +text.getAttribute(
        "opacity") !== 0).map((text) => [text.textContent, text.getBoundingClientRect()]);
    return texts.flatMap(([name, a], i) => texts.slice(i + 1).filter(([, b]) =>
        a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)
        .map(([other]) => [name, other]));
})"""


@pytest.mark.xdist_group("every")
@pytest.mark.browser
def test_no_two_texts_of_a_replay_overlap_and_the_best_place_has_a_star(view: Any, page: str) -> None:
    view.goto(page)
    stars = 0
    for kind in LABELED:
        grid = store.read(kind)
        assert grid is not None
        handle = opened(view, kind)
        for picture, declared in enumerate(kind.views):
            handle.evaluate(
                "async (one, picture) => { one.show({ ...one.state, picture }); await one.draw(); }", picture
            )
            if all(isinstance(panel, Curves) for panel in declared.panels):
                assert handle.evaluate(OVERLAPS) == [], (kind.__name__, declared.title)
            for i, panel in enumerate(declared.panels):
                if isinstance(panel, Curves) and panel.peak:
                    (star,) = handle.evaluate("(one, i) => one.charts[i].chart.data('peak')", i)
                    start = {name: getattr(kind(), name) for name in kind.grid}
                    means = grid[panel.variables[0]].sel(start).sel(arm=panel.peak, **panel.at).mean("seed")
                    assert (star["line"], star["y"]) == (panel.peak, pytest.approx(float(means.max())))
                    stars += 1
    assert stars >= 3 and not view.problems


@pytest.mark.parametrize("kind", SHOWN, ids=lambda kind: kind.__name__)
def test_at_the_default_the_curves_of_a_live_picture_fill_it(kind: type[Experiment]) -> None:
    data = store.at(kind())
    assert data is not None
    for declared in kind.views:
        panels = [panel for panel in declared.panels if isinstance(panel, Curves)]
        if not panels:
            continue
        chart = Chart(data, View(declared.title, tuple(panels), declared.columns, declared.height), kind.arms)
        for axes, panel in zip(chart.figure.axes, panels, strict=False):
            values = np.concatenate([np.append(one.seeds, one.mean) for one in panel.series(data, kind.arms)])
            values, ends = values[np.isfinite(values) & ((values > 0) | (not panel.log))], np.array(axes.get_ylim())
            values, ends = (np.log10(values), np.log10(ends)) if panel.log else (values, ends)
            assert not filled(values, ends) < FILLED, panel.question
            assert ends[0] <= values.min(initial=ends[1]) and values.max(initial=ends[0]) <= ends[1]
