"""The newer kinds of panels in a real page: the charts show the numbers of the recording and follow every control."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made_replay
import numpy as np
import pytest
import xarray as xr
from made_replay import Made

import reglab.pictures
from reglab.pictures import Heatmap, Histogram, Images, Scatter
from reglab.pictures.style import NIGHT
from reglab.pictures.words import number

SCRIPTS = [*made_replay.STATIC.glob("*.js"), *Path(reglab.pictures.__file__).parent.glob("*.js")]

NUMBERS = """(replay) => replay.charts.map(({ chart, names }) =>
    Object.fromEntries(names.map((name) => [name, JSON.parse(JSON.stringify(chart.data(name)))])))"""

NUMBERS_IN_WORDS = [0, 1e-7, -2e-7, 1.5e-6, -1.234e-5, 0.00012345, 0.0123456, 0.0949, 0.095, 0.1, 0.5, -1.234, 2, 99.99,
                    100, 123.456, 999.4, 999.6, 1000, 1234.5, -54321, 1e7, -0.05, 1e21]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of a page that replays the made experiment."""
    path = made_replay.page(tmp_path_factory.mktemp("made"))
    path.with_name("blank.html").write_text("<!doctype html><title>Blank</title>", encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(view: Any, made: str) -> Iterator[Any]:
    """Return the replay, a handle in the page, when its charts are there; afterwards nothing has gone wrong."""
    view.goto(made)
    yield view.evaluate_handle("async () => { await reglabReplays[0].open(); return reglabReplays[0]; }")
    assert not view.problems


def turned(view: Any, handle: Any, picture: int) -> None:
    """Choose a picture and wait until it is drawn."""
    handle.evaluate_handle("(one) => one.controls[0]").as_element().select_option(str(picture))
    view.wait_for_function("([one, i]) => one.frame?.startsWith(i + ',') && one.charts.length", arg=[handle, picture])


def close(found: Any, expected: Any, variable: str = "", steps: float = 0.51) -> None:
    """Compare numbers of the page with those of the recording, which it holds in whole steps."""
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    assert found.shape == expected.shape
    step = made_replay.payload()["variables"][variable]["step"] if variable else 0
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=steps * step)


def compare_heatmap(panel: Heatmap, chart: dict[str, Any], data: xr.Dataset, state: Any) -> None:
    cells = panel.cells(data)
    rows = [i for i, name in enumerate(cells.y) if panel.y != "arm" or name not in state["off"]]
    rows = [] if panel.arm in state["off"] else rows
    close(
        [(cell["y"], cell["x"]) for cell in chart["cells"]], [(y, x) for y in rows for x in range(len(cells.x))] or []
    )
    close([cell["value"] for cell in chart["cells"]], cells.mean[rows].ravel(), panel.variable)


def compare_images(panel: Images, chart: dict[str, Any], data: xr.Dataset, state: Any) -> None:
    values, names, _ = panel.pictures(data)
    on = [i for i, name in enumerate(names) if (panel.arm or name) not in state["off"]]
    assert [" ".join(one["text"]) for one in chart["names"]] == [names[i] for i in on]
    close([pixel["value"] for pixel in chart["pixels"]], values.values[on].ravel(), panel.variable)


def compare_scatter(panel: Scatter, chart: dict[str, Any], data: xr.Dataset, state: Any) -> None:
    marks = [one for one in panel.marks(data, Made.arms) if one.label not in state["off"]]
    close([mark["x"] for mark in chart["marks"]], np.concatenate([one.x for one in marks]), panel.x)
    close([mark["y"] for mark in chart["marks"]], np.concatenate([one.y for one in marks]), panel.y)
    line = panel.straight(marks)
    assert line is not None
    close(
        [end["y"] for end in chart["straight"]], [line[0] * end["x"] + line[1] for end in chart["straight"]], panel.y, 5
    )


def compare_histogram(panel: Histogram, chart: dict[str, Any], data: xr.Dataset, state: Any) -> None:
    edges = panel.edges(made_replay.grid().weight.values, {})
    series = [one for one in panel.series(data, Made.arms, edges) if one.label not in state["off"]]
    assert {row["line"] for row in chart["lines"]} == {one.label for one in series}
    for one in series:
        steps = [row for row in chart["lines"] if row["line"] == one.label]
        inside = np.arange(len(one.x)) % 3 != 1  # the page has no middles
        np.testing.assert_allclose([row["x"] for row in steps], one.x[inside], atol=1e-6)
        # a value that is rounded over an edge moves one sixtieth of a share
        assert np.abs(np.array([row["y"] for row in steps]) - one.mean[inside]).max() < 2.1 / 60
        assert sum(row["y"] for row in steps) == pytest.approx(2)
        bands = [row for row in chart["bands"] if row["line"] == one.label]
        assert all(row["low"] <= row["high"] for row in bands) and len(bands) == (24 if state["seeds"] == "mean" else 0)


COMPARE: dict[type, Any] = {
    Heatmap: compare_heatmap, Images: compare_images, Scatter: compare_scatter, Histogram: compare_histogram
}  # fmt: skip


def compare(view: Any, handle: Any) -> None:
    """Compare every number of the charts with the recording at the setting of the controls."""
    view.wait_for_function("(one) => one.charts.length > 0", arg=handle)
    state, charts = handle.evaluate("(one) => one.state"), handle.evaluate(NUMBERS)
    data = made_replay.grid().isel(dict(zip(Made.grid, state["at"], strict=True)))
    if isinstance(state["seeds"], int):
        data = data.isel(seed=[state["seeds"]])
    panels = Made.views[state["picture"]].panels
    assert len(charts) == len(panels)
    for panel, chart in zip(panels, charts, strict=True):
        COMPARE[type(panel)](panel, chart, data, state)


POINTED = {"Fields": ["cells", "cells"], "Marks": ["marks", "marks"], "Weights": ["strips", "cells"]}
"""What a hand can point at in each panel of a picture: the data sets of its charts."""


@pytest.mark.browser
@pytest.mark.parametrize("picture", POINTED)
def test_a_hand_on_the_chart_is_told_what_it_points_at(view: Any, opened: Any, picture: str) -> None:
    turned(view, opened, [one.title for one in Made.views].index(picture))
    tip = view.locator(".reglab-tip")
    for i, (name, chart) in enumerate(zip(POINTED[picture], opened.evaluate(NUMBERS), strict=True)):
        last = chart[name][-1]["said"]
        area = opened.evaluate_handle(
            """(one, [i, said]) => [...one.charts[i].node.querySelectorAll("path")]
                .find((path) => path.__data__?.datum?.said === said)""",
            [i, last],
        ).as_element()
        area.scroll_into_view_if_needed()
        box = area.bounding_box()
        view.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tip.wait_for()
        assert tip.text_content() == last
        mean = opened.evaluate("(one, i) => one.result[i].table.at(-1).mean", i)
        told = last.rpartition(": ")[2].split(" ")[0].replace("−", "-")
        assert float(told) == pytest.approx(mean, rel=0.01, abs=0.051), "the mean of the last row of the table"
        view.mouse.move(0, 0)
        tip.wait_for(state="hidden")
        area.dispatch_event("click")  # as a finger does it, which moves over nothing
        tip.wait_for()
        assert tip.text_content() == last
        opened.evaluate("(one) => one.part('summary').click()")
        tip.wait_for(state="hidden")


@pytest.mark.browser
@pytest.mark.parametrize("picture", range(len(Made.views)), ids=[one.title for one in Made.views])
def test_every_control_moves_the_charts_to_the_recorded_numbers(view: Any, opened: Any, picture: int) -> None:
    turned(view, opened, picture)
    compare(view, opened)
    seen = [opened.evaluate(NUMBERS)]
    for i, stops in enumerate(Made.grid.values()):
        slider = opened.evaluate_handle("(one, i) => one.sliders[i]", i).as_element()
        slider.focus()
        for key, place in (("End", len(stops) - 1), ("Home", 0)):
            view.keyboard.press(key)
            assert opened.evaluate("(one) => one.state.at")[i] == place
            compare(view, opened)
            seen.append(opened.evaluate(NUMBERS))
    assert any(one != seen[0] for one in seen), "the charts move"
    runs = opened.evaluate_handle("(one) => one.controls[1]").as_element()
    for seeds in ("all", "2", "mean"):
        runs.select_option(seeds)
        compare(view, opened)
    for box in opened.evaluate_handle("(one) => one.boxes").get_properties().values():
        if box.as_element().is_visible():
            box.as_element().press("Space")
            compare(view, opened)
            box.as_element().press("Space")
    words = opened.evaluate("(one) => one.charts.map(({ node }) => node.ariaLabel)")
    for panel, said in zip(Made.views[picture].panels, words, strict=True):
        assert said.startswith(panel.question) and len(said) > 60 and "undefined" not in said and "NaN" not in said


@pytest.mark.browser
def test_all_runs_are_thin_lines_and_a_pinned_setting_stays_behind(view: Any, opened: Any) -> None:
    turned(view, opened, 3)
    opened.evaluate("(one) => one.set({ seeds: 'all' })")
    chart = opened.evaluate(NUMBERS)[0]
    assert len({row["seed"] for row in chart["threads"]}) == 5 * made_replay.SEEDS and not chart.get("bands")
    opened.evaluate("(one) => one.set({ seeds: 'mean' })")
    before = opened.evaluate(NUMBERS)[0]["lines"]
    opened.evaluate("(one) => one.pin()")
    opened.evaluate("(one) => one.set({ at: [0, 1] })")
    chart = opened.evaluate(NUMBERS)[0]
    assert chart["pinned"] == before != chart["lines"]
    turned(view, opened, 2)
    for chart, panel in zip(opened.evaluate(NUMBERS), Made.views[2].panels, strict=True):
        assert isinstance(panel, Scatter)
        marks = panel.marks(made_replay.grid().sel(decay=0.5, noise=0.1), Made.arms)
        close([mark["x"] for mark in chart["pinned"]], np.concatenate([one.x for one in marks]), panel.x)


@pytest.mark.browser
@pytest.mark.parametrize("picture", range(len(Made.views)), ids=[one.title for one in Made.views])
def test_on_a_dark_phone_all_is_seen(view: Any, opened: Any, picture: int) -> None:
    view.set_viewport_size({"width": 380, "height": 800})
    view.evaluate("document.documentElement.dataset.theme = 'dark'")
    turned(view, opened, picture)
    view.wait_for_function("(one) => one.frame.includes('dark') && one.charts.length", arg=opened)
    compare(view, opened)
    assert view.evaluate("document.documentElement.scrollWidth") <= 380
    outside = opened.evaluate(
        """(one) => one.charts.flatMap(({ node }) => {
            const frame = node.getBoundingClientRect();
            return [...node.querySelectorAll("text")].filter((text) => text.textContent.trim()).filter((text) => {
                const box = text.getBoundingClientRect();
                return box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1;
            }).map((text) => text.textContent);
        })"""
    )
    assert outside == []
    inks = opened.evaluate(
        "(one) => [...one.box.querySelectorAll('.reglab-chart text')].map((text) => text.getAttribute('fill'))"
    )
    assert inks and set(inks) <= {"#e8e8e8", NIGHT["#000000"]}
    sizes = opened.evaluate(
        "(one) => [...one.box.querySelectorAll('.reglab-chart text')].map((text) => getComputedStyle(text).fontSize)"
    )
    assert min(float(size.removesuffix("px")) for size in sizes) >= 11


@pytest.mark.browser
def test_the_table_and_the_file_hold_the_same_numbers(view: Any, opened: Any) -> None:
    for picture in (0, 2, 3):
        turned(view, opened, picture)
        rows = list(csv.DictReader(io.StringIO(opened.evaluate("(one) => one.csv()"))))
        tables = opened.evaluate("(one) => one.result.map(({ table }) => table)")
        values = [value for table in tables for row in table for value in row["seeds"]]
        assert [float(row["value"]) if row["value"] else None for row in rows] == values and len(values) > 50
        assert {row["panel"] for row in rows} == {panel.question for panel in Made.views[picture].panels}
        for row in (row for table in tables for row in table if row["low"] is not None):
            assert row["mean"] == pytest.approx(np.mean(row["seeds"])) and row["low"] <= row["mean"] <= row["high"]


@pytest.mark.browser
def test_numbers_are_written_as_python_writes_them(view: Any, opened: Any) -> None:
    turned(view, opened, 0)
    opened.evaluate("(one) => { one.part('table').open = true; }")
    for value in NUMBERS_IN_WORDS:
        opened.evaluate(
            "(one, value) => { one.result = [{ table: [{ line: '', x: 0, mean: value, low: null, high: null }] }];"
            " one.tabulate(); }", value
        )  # fmt: skip
        cells = opened.evaluate("(one) => [...one.part('table').querySelectorAll('td')].map((td) => td.textContent)")
        assert cells[2] == number(value), value


# ------------------------------------------------------------------------------------------------------- the scripts


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_lines_of_scripts_are_short_and_end_cleanly(script: Path) -> None:
    lines = script.read_text(encoding="utf-8").split("\n")
    assert max(map(len, lines)) <= 120
    assert lines[-1] == "" and not any(line != line.rstrip() or "\t" in line for line in lines)
    assert not any(word in script.read_text(encoding="utf-8") for word in ("debugger", "console.log", "TODO"))


@pytest.mark.browser
def test_every_script_is_sound_javascript_of_the_strict_kind(view: Any) -> None:
    view.goto("about:blank")
    for script in SCRIPTS:
        text = json.dumps('"use strict";' + script.read_text(encoding="utf-8"))
        assert view.evaluate(f"(() => {{ new Function({text}); return true; }})()"), script.name
    assert "strict" in made_replay.replay.bundle().rsplit("reglabKinds", 1)[0][-60:]


@pytest.mark.browser
def test_the_scripts_leave_nothing_behind_but_what_they_share(view: Any, made: str) -> None:
    view.goto(made.replace("page.html", "blank.html"))
    plain = set(view.evaluate("Object.getOwnPropertyNames(window)"))
    view.goto(made)
    view.evaluate("reglabReplays[0].open()")
    found = set(view.evaluate("Object.getOwnPropertyNames(window)")) - plain
    shared = {"reglabReplays", "reglabGrids", "reglabKinds", "vegaEmbed"}
    assert shared <= found and found - shared <= {"0", "vega", "vegaLite"}, found - shared
