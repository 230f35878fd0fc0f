"""Recorded grids in the page: the charts show the numbers of the recording, whatever control was moved, offline."""

from __future__ import annotations

import csv
import functools
import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import processes
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reglab import catalogue, measurements
from reglab.catalogue import ROOT
from reglab.experiment import Experiment
from reglab.pictures import Curves, Dots, Heatmap, Histogram, Images, Points, Scatter, Shares
from reglab.pictures.panel import uses
from reglab.pictures.reached import latest
from reglab.pictures.scatter import Marks
from reglab.pictures.style import NIGHT
from reglab.pictures.words import number, sentence
from reglab.recordings import codec, store
from reglab.site import replay

KINDS = [kind for name in catalogue.SLUGS for kind in catalogue.experiments(name) if kind.grid]
IDS = [kind.__name__ for kind in KINDS]
FIRST = KINDS[0]

NUMBERS = """(replay) => replay.charts.map(({ chart, names }) =>
    Object.fromEntries(names.map((name) => [name, JSON.parse(JSON.stringify(chart.data(name)))])))"""


# -------------------------------------------------------------------------------------------------- without a browser


def payload(kind: type[Experiment]) -> dict[str, Any]:
    return _payload(kind.paper(), kind.__name__)


@functools.cache
def _payload(paper: str, name: str) -> dict[str, Any]:
    found = replay.recorded(catalogue.experiment(paper, name))
    assert found is not None, f"{name} declares a grid that is not recorded"
    return found


def steps_of(variable: dict[str, Any]) -> np.ndarray:
    """Return the whole steps of a variable as the page must understand them, `codec.MISSING` where there is none."""
    steps = np.array([np.nan if step is None else step for step in variable["data"]]).reshape(variable["shape"])
    whole = np.nan_to_num(steps).cumsum(-1) if steps.ndim else np.nan_to_num(steps)
    return np.where(np.isfinite(steps), whole, codec.MISSING).astype(int)


def decoded(variable: dict[str, Any]) -> np.ndarray:
    """Return the numbers of a variable as the page must understand them."""
    steps = steps_of(variable)
    values = variable["low"] + variable["step"] * steps
    if variable["log"]:
        values = np.where(steps < 0, 0, 10.0**values)
    return np.where(steps == codec.MISSING, np.nan, values)


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_the_page_gets_the_numbers_that_the_file_holds(kind: type[Experiment]) -> None:
    """The same positions, the same whole steps with the same scale, and so exactly the same numbers."""
    grid, steps, found = store.read(kind), store.steps(kind), payload(kind)
    assert grid is not None and steps is not None
    assert set(found["variables"]) == {name for name, use in uses(kind).items() if use.shown}
    for name, variable in found["variables"].items():
        values, whole = grid[name], steps[name]
        for dim in set(values.dims) - set(variable["dims"]):  # one position only has results, and it is the one shown
            others = [str(one) for one in values.dims if one != dim]
            known = values.notnull().any(others)
            last = {dim: int(np.argmax(known.values))}
            assert int(known.sum()) == 1
            np.testing.assert_array_equal(values.isel(last), latest(values, *others)[0])
            values, whole = values.isel(last), whole.isel(last)
        assert values.dims == tuple(variable["dims"])
        assert (variable["step"], variable["low"], variable["log"]) == codec.scale_of(whole)[:3]
        np.testing.assert_array_equal(steps_of(variable), whole)
        np.testing.assert_array_equal(decoded(variable), values)
        for dim in set(variable["dims"]) - {"arm", "seed", *kind.grid}:
            found_at, expected = found["axes"][dim]["values"], values[dim].values.tolist()
            assert found_at == expected or np.allclose(found_at, expected, rtol=1e-5, atol=0)


@given(arrays.arrays(np.int16, (2, 3, 7), elements=st.integers(-1, 2000) | st.just(codec.MISSING)))
def test_differences_lose_nothing(steps: np.ndarray) -> None:
    attributes = {"scale_factor": 0.002, "add_offset": -3.0, "accuracy_log10": 0.001, "stored": "log10"}
    variable = replay._encode(xr.DataArray(steps, dims=("arm", "seed", "time"), attrs=attributes))
    assert json.loads(json.dumps(variable)) == variable
    np.testing.assert_array_equal(steps_of(variable), steps)
    np.testing.assert_array_equal(decoded(variable), codec.dequantize(steps, codec.Scale(0.002, -3.0, log=True)))


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_sentences_are_those_of_the_recorded_results(kind: type[Experiment]) -> None:
    found, settings = payload(kind)["sentences"], [
        dict(zip(kind.grid, values, strict=True)) for values in itertools.product(*kind.grid.values())
    ]  # fmt: skip
    assert len(found) == len(settings)
    for sentences, setting in list(zip(found, settings, strict=True))[:: max(1, len(found) // 5)]:
        data = store.at(kind.make(setting))
        assert data is not None
        assert sentences[0] == sentence(data, kind.headline, kind.arms)
        assert sentences[3] == sentence(data.isel(seed=[2]), kind.headline, kind.arms)


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_a_script_is_data_that_the_page_can_read_and_stays_small(kind: type[Experiment]) -> None:
    import gzip

    text = replay.script(kind)
    content = text.split(f'["{replay.file_name(kind)}"]=', 1)[1].removesuffix(";\n")
    assert json.loads(content)["name"] == kind.__name__
    assert "NaN" not in content and "Infinity" not in content
    assert len(gzip.compress(text.encode())) < 150_000


def test_where_nothing_is_recorded_the_page_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(store, "FOLDER", tmp_path)
    assert replay.script(FIRST).endswith(f'window.reglabGrids["{replay.file_name(FIRST)}"]=null;\n')
    assert replay.address(FIRST()) == ""


def test_a_damaged_recording_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    damaged = tmp_path / f"{FIRST.paper()}.nc"
    damaged.parent.mkdir()
    damaged.write_bytes(store.path(FIRST.paper()).read_bytes()[:5000])
    monkeypatch.setattr(store, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="record it again with `reglab record"):
        replay.script(FIRST)


def test_an_address_names_the_knobs_that_differ() -> None:
    knob, other = FIRST.grid
    value = FIRST.grid[knob][0]
    assert replay.address(FIRST()) == f"{replay.key(FIRST)}:"
    assert replay.address(FIRST.make({knob: value})) == f"{replay.key(FIRST)}:{knob}={value:g}"
    between = (FIRST.grid[other][0] + FIRST.grid[other][1]) / 2
    assert replay.address(FIRST.make({other: between})) == "", "beside the grid there is nothing to open"


def test_names_are_typeset_and_safe() -> None:
    assert replay.typeset("Tr Σ_W <b>") == "Tr Σ<sub>W</sub> &lt;b&gt;"


# ------------------------------------------------------------------------------------------------------- in a browser


def opened(view: Any, address: str, kind: type[Experiment], fragment: str = "") -> Any:
    """Open the page of an experiment and return its replay, a handle in the page, when its chart is there."""
    view.goto("about:blank")
    view.goto(f"{address}/lab/{kind.paper()}.html{fragment}", wait_until="load")
    return view.evaluate_handle(
        "async (key) => { const one = reglabReplays.find((r) => r.key === key); await one.open(); return one; }",
        replay.key(kind),
    )


def shown_by(site: Path, kind: type[Experiment]) -> bool:
    """Tell whether the page of the paper shows this experiment's replay."""
    return f'data-replay="{replay.key(kind)}"' in (site / "lab" / f"{kind.paper()}.html").read_text("utf-8")


def until(view: Any, script: str, argument: Any = None) -> None:
    """Wait until a script gives something true; a page may forbid what Playwright's own waiting does, to compile it."""
    processes.wait_for(lambda: view.evaluate(script, argument))


def settled(view: Any, handle: Any) -> dict[str, Any]:
    """Return the state of the controls once the charts are drawn."""
    until(view, "(one) => one.charts.length > 0", handle)
    return handle.evaluate("""(one) => {
        const texts = [...one.part("summary").childNodes].map((n) => (n.tagName === "SUB" ? "_" : "") + n.textContent);
        return { ...one.state, sentence: texts.join("") };
    }""")


def stands_still(view: Any) -> None:
    """Wait until nothing on the page moves any more: formulas are set, and replays that open when near are drawn."""
    view.evaluate("MathJax.startup.promise.then(() => {})")
    view.evaluate("Promise.all(reglabReplays.map((one) => one.open())).then(() => {})")
    until(view, "reglabReplays.every((one) => one.charts.length > 0)")


def compare(view: Any, handle: Any, kind: type[Experiment]) -> None:
    """Compare every number of the charts and the sentence with the recording at the setting of the controls."""
    state, charts = settled(view, handle), handle.evaluate(NUMBERS)
    grid = store.read(kind)
    assert grid is not None
    place = dict(zip(kind.grid, state["at"], strict=True))
    data = grid.isel(place)
    alone = isinstance(state["seeds"], int)
    chosen = data.isel(seed=[state["seeds"]]) if alone else data
    whole = grid.isel({**place, "seed": [state["seeds"]]} if alone else place)
    picture = kind.views[state["picture"]]
    panels = picture.panels
    if picture.shows(kind.headline):
        assert state["sentence"] == sentence(whole, kind.headline, kind.arms)
    else:
        assert state["sentence"].startswith(panels[0].question), "it speaks of the picture that is chosen"
        assert not state["sentence"].endswith(" "), "and says something of it"
    assert len(charts) == len(panels)
    for panel, chart in zip(panels, charts, strict=True):
        if isinstance(panel, Points):
            middle = _compare_points(panel, chart, data, state["off"])
            assert panel is not panels[0] or picture.shows(kind.headline) or state["sentence"].endswith(middle)
            continue
        if isinstance(panel, Scatter):
            _compare_marks(panel.marks(chosen, kind.arms), chart, state["off"])
            continue
        if isinstance(panel, Images):
            _compare_images(panel, chart, chosen, state["off"])
            continue
        if isinstance(panel, Heatmap):
            _compare_cells(panel, chart, chosen, state["off"])
            continue
        if isinstance(panel, Histogram):
            _compare_steps(panel, chart, grid, chosen, kind.arms, state)
            continue
        sources = panel.sources(chosen, kind.arms)
        on = [one.at.get("arm", panel.arm if isinstance(panel, Shares) else "") not in state["off"] for one in sources]
        if isinstance(panel, Dots):
            rows = [row for row, here in zip(panel.rows(chosen, kind.arms), on, strict=True) if here]
            _close([row["x"] for row in chart["lines"]], [row.mean for row in rows if np.isfinite(row.mean)])
            _close([row["low"] for row in chart["bands"]], [row.low for row in rows if np.isfinite(row.low)])
            continue
        series = [one for one, here in zip(panel.series(chosen, kind.arms), on, strict=True) if here]
        means = [one.mean[np.isfinite(one.mean)] for one in series]
        if isinstance(panel, Shares):
            heights = [row["high"] - row["low"] for row in chart["bands"]]
            _close(heights, np.concatenate(means) if means else [])
            continue
        _close([row["y"] for row in chart["lines"]], np.concatenate(means) if means else [])
        assert {row["line"] for row in chart["lines"]} == {one.label for one in series if np.isfinite(one.mean).any()}
        bands = state["seeds"] == "mean"
        lows = [one.low[np.isfinite(one.low)] for one in series if bands]
        _close([row["low"] for row in chart["bands"]], np.concatenate(lows) if lows else [])
        threads = [one.seeds.T[np.isfinite(one.seeds.T)] for one in series if state["seeds"] == "all"]
        _close([row["y"] for row in chart["threads"]], np.concatenate(threads) if threads else [])


def _close(found: Any, expected: Any) -> None:
    """Compare numbers that differ by rounding of double precision only, and by that of the six digits of quantiles."""
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max(initial=0))


def _compare_steps(panel: Histogram, chart: Any, grid: Any, chosen: Any, arms: Any, state: dict[str, Any]) -> None:
    """Compare both ends of every step; all settings of a grid share the bins."""
    attributes, sources = grid[panel.variable].attrs, panel.sources(chosen, arms)
    values = np.concatenate([grid[panel.variable].sel(one.at).values.ravel() for one in sources])
    series = panel.series(chosen, arms, panel.edges(values, attributes))
    series = [one for one in series if one.label not in state["off"]]

    def ends(values: np.ndarray) -> list[float]:
        return [float(one) for one in values.reshape(panel.bins, 3, -1)[:, ::2].ravel() if np.isfinite(one)]

    _close([row["y"] for row in chart["lines"]], [y for one in series for y in ends(one.mean)])
    assert {row["line"] for row in chart["lines"]} == {one.label for one in series if np.isfinite(one.mean).any()}
    lows = [y for one in series if state["seeds"] == "mean" for y in ends(one.low)]
    _close([row["low"] for row in chart["bands"]], lows)
    threads = [y for one in series if state["seeds"] == "all" for y in ends(one.seeds.T)]
    _close([row["y"] for row in chart["threads"]], threads)


def _compare_points(panel: Points, chart: Any, data: Any, off: list[str]) -> str:
    """Compare all points; return what the page says of them."""
    if panel.arm in off:
        assert not chart["lines"]
        return "No data."
    values = data[panel.variable]
    values = values.sel(arm=panel.arm) if "arm" in values.dims else values
    values = values.isel(seed=0) if "seed" in values.dims else values
    last = latest(values, *(str(dim) for dim in values.dims[-2:]))[0].values
    last = last[np.isfinite(last).all(-1)]
    _close([[row["x"], row["y"]] for row in chart["lines"]], last)
    return f" {len(last)} points of one run, middle at ({', '.join(map(number, last.mean(0)))})."


def _compare_marks(marks: Sequence[Marks], chart: Any, off: list[str]) -> None:
    here = [(one.label, *pair) for one in marks if one.label not in off for pair in zip(one.x, one.y, strict=True)]
    here = [mark for mark in here if np.isfinite(mark[1:]).all()]
    assert [row["line"] for row in chart["marks"]] == [label for label, *_ in here]
    _close([[row["x"], row["y"]] for row in chart["marks"]], [pair for _, *pair in here])


def _compare_images(panel: Images, chart: Any, data: Any, off: list[str]) -> None:
    pictures, names, _ = panel.pictures(data)
    arms = pictures.arm.values.tolist() if panel.by == "arm" else [panel.arm] * len(names)
    here = [one for arm, one in zip(arms, pictures.values, strict=True) if arm not in off]
    shown = [value for one in here for value in one.ravel() if np.isfinite(value)]
    _close([row["value"] for row in chart["pixels"]], shown)
    assert len(chart["names"]) == len(here)


def _compare_cells(panel: Heatmap, chart: Any, data: Any, off: list[str]) -> None:
    cells = panel.cells(data)
    rows = [] if panel.arm in off else [y for y, name in enumerate(cells.y) if panel.y != "arm" or name not in off]
    there = [(y, x) for y in rows for x in range(len(cells.x)) if np.isfinite(cells.mean[y, x])]
    assert [(row["y"], row["x"]) for row in chart["cells"]] == there
    _close([row["value"] for row in chart["cells"]], [cells.mean[place] for place in there])


@pytest.mark.deep
@pytest.mark.browser
@pytest.mark.parametrize("kind", KINDS, ids=IDS)
@pytest.mark.parametrize("way", ["file", "http"])
def test_every_control_moves_the_charts_to_the_recorded_numbers(
    site: Path, served: str, view: Any, kind: type[Experiment], way: str
) -> None:
    """By keyboard alone: every slider to both ends and one step on, every picture, all runs, one run, every arm."""
    assert shown_by(site, kind), f"{kind.__name__} declares a grid, but its page does not explore it"
    handle = opened(view, site.as_uri() if way == "file" else served, kind)
    compare(view, handle, kind)
    for which, name in enumerate(kind.grid):
        slider = handle.evaluate_handle("(one, i) => one.sliders[i]", which).as_element()
        slider.focus()
        for key, place in (("End", len(kind.grid[name]) - 1), ("Home", 0), ("ArrowRight", 1)):
            view.keyboard.press(key)
            assert settled(view, handle)["at"][which] == place
            assert float(slider.get_attribute("aria-valuetext")) == kind.grid[name][place]
            compare(view, handle, kind)
    picture, runs = handle.evaluate_handle("(one) => one.controls").get_properties().values()
    for seeds in ("all", "2", "mean"):
        runs.as_element().select_option(seeds)
        compare(view, handle, kind)
    for i in range(len(kind.views)):
        picture.as_element().select_option(str(i))
        until(view, "([one, i]) => one.frame?.startsWith(i + ',') && one.charts.length", [handle, i])
        compare(view, handle, kind)
    if way == "file":
        for box in handle.evaluate_handle("(one) => one.boxes").get_properties().values():
            if box.as_element().is_visible():
                box.as_element().press("Space")
                compare(view, handle, kind)
    assert not view.problems


WATCH = """window.forbidden = []; document.addEventListener("securitypolicyviolation",
    ({ violatedDirective, blockedURI, sourceFile }) => forbidden.push([violatedDirective, blockedURI, sourceFile]));"""


@pytest.mark.sampled
@pytest.mark.browser
@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_a_replay_needs_neither_scripts_inside_its_page_nor_compiled_code(
    site: Path, served: str, view: Any, kind: type[Experiment]
) -> None:
    """Nothing is forbidden, formulas and pictures are drawn, and the sliders move the charts of every picture."""
    policy = view.request.get(f"{served}/index.html").headers["content-security-policy"]
    assert "script-src" not in policy and "unsafe-eval" not in policy
    view.add_init_script(WATCH)
    handle = opened(view, served, kind)
    view.wait_for_selector("mjx-container")
    sliders = [one.as_element() for one in handle.evaluate_handle("(one) => one.sliders").get_properties().values()]
    drawn = set()
    for i in range(len(kind.views)):
        handle.evaluate("(one, picture) => one.set({ picture })", i)
        until(view, "([one, i]) => one.frame?.startsWith(i + ',') && one.charts.length", [handle, i])
        for key in ("Home", "End"):
            for slider in sliders:
                slider.press(key)
            compare(view, handle, kind)
            drawn.add(handle.evaluate("(one) => one.part('panels').innerHTML"))
    assert len(drawn) == 2 * len(kind.views)
    pictures = view.evaluate("[...document.querySelectorAll('.reglab-picture img')].map((image) => image.src)")
    assert view.evaluate("forbidden") == [] and not view.problems
    for picture in pictures:  # opened alone it is a page of its own
        view.goto(picture)
        assert view.evaluate("forbidden") == [] and not view.problems


@pytest.mark.browser
@pytest.mark.parametrize(
    "page", ["index.html", "lab/index.html", "claims.html", "api.html", "search.html?q=memorization"]
)
def test_other_pages_need_no_scripts_inside_them(served: str, view: Any, page: str) -> None:
    view.add_init_script(WATCH)
    view.goto(f"{served}/{page}", wait_until="networkidle")
    view.emulate_media(color_scheme="dark")
    until(view, "document.documentElement.dataset.theme === 'dark'")
    if "?" in page:
        view.wait_for_selector("#search-results ul.search li a")
    assert view.evaluate("forbidden") == [] and not view.problems


@pytest.mark.browser
def test_a_subscript_stands_beside_its_letter(view: Any) -> None:
    """The labels of controls are flex boxes, where a bare `<sub>` would be a box, or a line, of its own."""
    kind = catalogue.experiment("geometry/neural_collapse", "ExactModel")
    grid = store.read(kind)
    assert grid is not None
    css = (ROOT / "book" / "_static" / "reglab.css").read_text(encoding="utf-8")
    view.set_content(f"<meta charset=utf-8><style>{css}</style>{replay._controls(kind, grid)}")
    gaps = view.evaluate("""() => [...document.querySelectorAll('sub')].map((sub) => {
        const letter = document.createRange(), text = sub.previousSibling;
        letter.setStart(text, text.length - 1);
        letter.setEnd(text, text.length);
        const [left, right] = [letter.getBoundingClientRect(), sub.getBoundingClientRect()];
        return [right.left - left.right, right.top - left.bottom];
    })""")
    assert len(gaps) >= 5 and all(abs(across) < 1 and down < 0 for across, down in gaps), gaps


@pytest.mark.browser
@pytest.mark.parametrize(
    ("paper", "name"), [("geometry/neural_collapse", "ExactModel"), ("dynamics/bayes_optimal_network", "Learning")]
)
def test_a_subscript_of_a_chart_stands_below(served: str, view: Any, paper: str, name: str) -> None:
    """Charts, keys, sentence and table write λ_H and α_PR with small letters, after a move and with a pin, too."""
    handle = opened(view, served, catalogue.experiment(paper, name))
    handle.evaluate("(one) => { one.part('table').open = true; one.pin(); }")
    pictures = handle.evaluate("(one) => one.grid.views.length")
    found = []
    for picture, place in itertools.product(range(pictures), (0, 1)):
        handle.evaluate("(one, [picture, place]) => one.set({ picture, at: [place, place] })", [picture, place])
        written = "one.charts.length && !/_/.test(one.part('panels').textContent + one.part('table').textContent)"
        until(view, f"(one) => {written}", handle)
        found += handle.evaluate("""(one) => [...one.box.querySelectorAll("svg tspan[font-size]")].map((small) => {
            const letter = document.createRange(), text = small.previousSibling;
            letter.setStart(text, text.length - 1);
            letter.setEnd(text, text.length);
            const [left, right] = [letter.getBoundingClientRect(), small.getBoundingClientRect()];
            return [right.left - left.right, right.bottom - left.bottom, right.height - left.height];
        })""")
    assert found and all(abs(across) < 1 and down > 0 > height for across, down, height in found), found


@pytest.mark.browser
def test_the_button_to_print_prints(served: str, view: Any) -> None:
    view.add_init_script(f"{WATCH} window.print = () => {{ window.printed = true; }};")
    view.goto(f"{served}/lab/{FIRST.paper()}.html", wait_until="load")
    view.locator(".btn-download-pdf-button").evaluate("(button) => button.click()")
    assert view.evaluate("printed") and view.evaluate("forbidden") == [] and not view.problems


@pytest.mark.browser
@pytest.mark.parametrize("kind", KINDS[:2], ids=IDS[:2])
def test_the_address_keeps_every_control(site: Path, view: Any, kind: type[Experiment]) -> None:
    handle = opened(view, site.as_uri(), kind)
    arm = list(kind.arms)[-1]
    handle.evaluate(
        "(one, arm) => one.set({ at: [0, 1], picture: 1, seeds: 3, off: [arm], pin: [1, 0] })", arm
    )  # fmt: skip
    state = settled(view, handle)
    fragment = view.evaluate("location.hash")
    first, second = kind.grid
    assert fragment.startswith(f"#{replay.key(kind)}:{first}={kind.grid[first][0]}&{second}={kind.grid[second][1]}")
    handle = opened(view, site.as_uri(), kind, fragment)
    assert settled(view, handle) == state and state["seeds"] == 3 and state["pin"] == [1, 0] and state["off"] == [arm]
    until(view, "(one) => Math.abs(one.figure.getBoundingClientRect().top) < 200", handle)  # it opens at the chart


@pytest.mark.browser
@pytest.mark.parametrize("damage", ["{knob}=%", "{knob}=%E0%A4%A", "picture=%zz", "{knob}=0&seeds=%"])
def test_a_damaged_address_shows_the_default_and_says_so(site: Path, view: Any, damage: str) -> None:
    fragment = f"#{replay.key(FIRST)}:{damage.format(knob=next(iter(FIRST.grid)))}"
    start = payload(FIRST)["start"]
    handle = opened(view, site.as_uri(), FIRST, fragment)
    assert settled(view, handle)["at"] == start
    note = view.locator("[data-replay] > .reglab-note")
    assert note.all_inner_texts() == ["The address of this setting is damaged, so the default is shown."]
    handle.evaluate("(one) => one.set({ at: one.state.at.map(() => 0) })")
    view.evaluate("(key) => { location.hash = `${key}:seeds=all`; }", replay.key(FIRST))
    until(view, "(one) => one.state.seeds === 'all'", handle)
    assert note.count() == 0 and settled(view, handle)["at"] == start, "a sound address is followed again"
    assert not view.problems


@pytest.mark.browser
@pytest.mark.parametrize("name", ["__proto__", "constructor", "toString"])
def test_names_that_every_object_has_are_no_settings(site: Path, view: Any, name: str) -> None:
    handle = opened(view, site.as_uri(), FIRST, f"#{replay.key(FIRST)}:{name}=1&seeds={name}&picture={name};{name}:1")
    state = settled(view, handle)
    assert state["at"] == payload(FIRST)["start"] and state["seeds"] == "mean" and state["picture"] == 0
    assert not view.problems


@pytest.mark.browser
def test_markup_in_an_address_stays_text(site: Path, view: Any) -> None:
    markup, knob = quote("<img id=made src=x onerror=alert(1)>", safe="()"), next(iter(FIRST.grid))
    names = (knob, "picture", "seeds", "off", "pin", "present", markup)
    handle = opened(
        view, site.as_uri(), FIRST, f"#{replay.key(FIRST)}:" + "&".join(f"{name}={markup}" for name in names)
    )
    assert settled(view, handle)["at"] == payload(FIRST)["start"]
    handle.evaluate("(one) => one.set({ at: one.state.at.map(() => 0) })")
    assert view.evaluate("location.hash").endswith(f"present={markup}"), "what it presents is kept as it was written"
    assert view.locator("#made").count() == 0 and not view.problems


@pytest.mark.browser
def test_section_anchors_keep_working_and_nonsense_is_ignored(site: Path, view: Any) -> None:
    handle = opened(view, site.as_uri(), FIRST, "#exercises")
    assert settled(view, handle)["at"] == payload(FIRST)["start"]
    until(view, "document.getElementById('exercises').getBoundingClientRect().top < 400")
    knob = next(iter(FIRST.grid))
    handle = opened(view, site.as_uri(), FIRST, f"#{replay.key(FIRST)}:{knob}=wrong&seeds=99&picture=none&other=1")
    state = settled(view, handle)
    assert state["at"] == payload(FIRST)["start"] and state["seeds"] == "mean" and state["picture"] == 0
    assert not view.problems


@pytest.mark.browser
def test_a_downloaded_table_holds_what_was_recorded(site: Path, view: Any) -> None:
    handle = opened(view, site.as_uri(), FIRST)
    with view.expect_download() as waiting:
        view.get_by_role("button", name="Download CSV").first.press("Enter")
    rows = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text(encoding="utf-8"))))
    data = store.at(FIRST())
    assert data is not None
    expected = []
    for panel in FIRST.views[0].panels:
        assert isinstance(panel, Curves)
        for series in panel.series(data, FIRST.arms):
            for k, x in enumerate(series.x):
                expected += [(panel.question, series.label, float(x), seed, series.seeds[seed, k]) for seed in range(8)]
    assert len(rows) == len(expected)
    for row, (question, label, x, seed, value) in zip(rows, expected, strict=True):
        assert (row["panel"], row["line"], float(row["x"]), int(row["seed"])) == (question, label, x, seed)
        assert float(row["value"]) == pytest.approx(value, rel=1e-9, abs=1e-12)
        assert all(float(row[knob]) == getattr(FIRST(), knob) for knob in FIRST.grid)
    handle.dispose()


@pytest.mark.browser
def test_the_table_beside_the_chart_has_means_and_intervals(site: Path, view: Any) -> None:
    handle = opened(view, site.as_uri(), FIRST)
    view.get_by_text("Show as table").first.press("Enter")
    view.wait_for_selector(".reglab-table table")
    cells = view.locator(".reglab-table table").first.locator("tr").nth(1).locator("td").all_inner_texts()
    data = store.at(FIRST())
    assert data is not None
    first = FIRST.views[0].panels[0].series(data, FIRST.arms)[0]
    assert cells[0] == first.label and float(cells[1]) == first.x[0]
    for cell, value in zip(cells[2:], (first.mean[0], first.low[0], first.high[0]), strict=True):
        assert float(cell.replace("−", "-")) == pytest.approx(value, abs=0.006)
    handle.dispose()


@pytest.mark.browser
def test_a_pinned_setting_stays_behind_the_next_one(site: Path, view: Any) -> None:
    handle = opened(view, site.as_uri(), FIRST)
    before = handle.evaluate(NUMBERS)[0]["lines"]
    view.get_by_role("button", name="Pin", exact=True).first.press("Enter")
    handle.evaluate_handle("(one) => one.sliders[0]").as_element().press("Home")
    chart = handle.evaluate(NUMBERS)[0]
    assert [row["y"] for row in chart["pinned"]] == [row["y"] for row in before] != [row["y"] for row in chart["lines"]]
    assert handle.evaluate("(one) => one.part('then').textContent").startswith("Pinned at ")
    view.get_by_role("button", name="Unpin").press("Enter")
    assert not handle.evaluate(NUMBERS)[0]["pinned"]
    handle.dispose()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]], ids=[IDS[0], IDS[2]])
def test_a_pinned_setting_is_told_without_colour(site: Path, view: Any, kind: type[Experiment], scheme: str) -> None:
    """Its setting and look stand under each chart; along a curve the arms' marks stand hollow, so each is told."""
    view.emulate_media(color_scheme=scheme)
    handle = opened(view, site.as_uri(), kind)
    settled(view, handle)
    keys = view.locator(".reglab-replay").first.locator(".reglab-pinned")
    assert keys.count() == 0
    start = settled(view, handle)["at"]
    handle.evaluate("(one) => { one.pin(); one.set({ at: one.state.at.map(() => 0) }); }")
    said = ", ".join(f"{kind.knobs()[name].words(name)} {values[at]:g}"
                     for (name, values), at in zip(kind.grid.items(), start, strict=True))  # fmt: skip
    panels, charts = kind.views[0].panels, handle.evaluate(NUMBERS)
    looks = {Curves: "dotted, with hollow marks", Dots: "an upright stroke"}
    assert keys.all_inner_texts() == [f"pinned ({looks[type(panel)]}): {said}" for panel in panels]
    for panel, chart in zip(panels, charts, strict=True):
        if isinstance(panel, Curves):
            assert {row["line"] for row in chart["hollow"]} == {row["line"] for row in chart["pinned"]} != set()
            places = {(row["line"], row["x"], row["y"]) for row in chart["pinned"]}
            assert {(row["line"], row["x"], row["y"]) for row in chart["hollow"]} < places
    handle.evaluate("(one) => one.pin()")
    assert keys.count() == 0 and not any(chart.get("hollow") for chart in handle.evaluate(NUMBERS))
    assert not view.problems


@pytest.mark.browser
def test_presenting_hides_the_page_and_escape_brings_it_back(site: Path, view: Any) -> None:
    knob, other = FIRST.grid
    handle = opened(view, site.as_uri(), FIRST, f"#{replay.key(FIRST)}:present={knob}")
    view.wait_for_selector("dialog.reglab-present[open]")
    settled(view, handle)
    visible = view.evaluate(
        "[...document.querySelectorAll('.reglab-present [name]')].filter((n) => n.checkVisibility()).map((n) => n.name)"
    )
    assert knob in visible and other not in visible and "picture" not in visible
    focusable = view.evaluate("document.querySelector('main a').matches(':modal, dialog *')")
    assert not focusable, "the rest of the page is behind a modal dialog"
    view.keyboard.press("Escape")
    until(view, "!document.querySelector('dialog.reglab-present')")
    assert "present" not in view.evaluate("location.hash")
    compare(view, handle, FIRST)
    assert not view.problems


@pytest.mark.browser
def test_a_presented_page_fits_a_projector_in_large_letters_and_pages_through_its_pictures(
    site: Path, view: Any
) -> None:
    view.set_viewport_size({"width": 1024, "height": 768})
    handle = opened(view, site.as_uri(), FIRST)
    handle.evaluate("(one) => one.presenting()")
    for picture in range(len(FIRST.views)):
        until(view, f"(one) => one.state.picture === {picture} && one.charts.length > 0", handle)
        settled(view, handle)
        dialog = view.locator("dialog.reglab-present")
        size = dialog.evaluate("(one) => [one.scrollHeight <= one.clientHeight, one.scrollWidth <= one.clientWidth]")
        one_row = len(FIRST.views[picture].panels) <= FIRST.views[picture].columns
        assert size[1] and (size[0] or not one_row), f"picture {picture} is cut off"
        letters = dialog.evaluate(
            "(one) => [...one.querySelectorAll('p, label, select, button')].filter((n) => n.checkVisibility())"
            ".map((n) => parseFloat(getComputedStyle(n).fontSize))"
        )
        assert min(letters) >= 24
        view.keyboard.press("PageDown")
    until(view, "(one) => one.state.picture === 0", handle)
    assert not view.problems


@pytest.mark.browser
def test_by_night_the_chart_is_dark_and_a_phone_scrolls_only_downwards(site: Path, view: Any) -> None:
    view.set_viewport_size({"width": 390, "height": 800})
    handle = opened(view, site.as_uri(), FIRST)
    settled(view, handle)
    colors = "(one) => [...one.box.querySelectorAll('.reglab-chart path[stroke]')].map((p) => p.getAttribute('stroke'))"
    assert "#0072B2" in handle.evaluate(colors)
    view.emulate_media(color_scheme="dark")
    until(view, "(one) => one.frame.includes('dark') && one.charts.length", handle)
    assert NIGHT["#0072B2"] in handle.evaluate(colors) and "#0072B2" not in handle.evaluate(colors)
    assert view.evaluate("document.documentElement.scrollWidth") <= 390
    compare(view, handle, FIRST)
    assert not view.problems


@pytest.mark.sampled
@pytest.mark.browser
@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_on_a_phone_the_sliders_stay_while_the_charts_scroll_by(site: Path, view: Any, kind: type[Experiment]) -> None:
    """By boxes, at every picture: controls below the page's bar in a third of the height; small multiples in pairs."""
    height = 844
    view.set_viewport_size({"width": 390, "height": height})
    handle = opened(view, site.as_uri(), kind)
    box = "(one) => ((r) => [r.top, r.bottom, r.left, r.right])(one.getBoundingClientRect())"
    stands_still(view)
    controls = handle.evaluate_handle("(one) => one.part('controls')").as_element()
    bar = view.locator(".bd-header-article").evaluate(box)
    for picture, shown in enumerate(kind.views):
        handle.evaluate("(one, picture) => one.set({ picture })", picture)
        until(view, "([one, i]) => one.frame?.startsWith(i + ',') && one.charts.length", [handle, picture])
        places = handle.evaluate_handle("(one) => [...one.box.querySelectorAll('.reglab-chart')]").get_properties()
        charts = [one.as_element() for one in places.values()]
        for chart in charts:
            for block, lowest in (("end", height), ("start", 0.35 * height)):
                chart.evaluate("(one, block) => one.scrollIntoView({ block, behavior: 'instant' })", block)
                top, bottom, left, right = controls.evaluate(box)
                assert bar[1] - 1 <= top and bottom <= lowest and left >= 0 and right <= 390
            assert top == pytest.approx(bar[1], abs=1), "they stay right below the bar"
        pairs = len(charts) > 2 and not any(isinstance(panel, Dots) for panel in shown.panels)
        tops = [chart.evaluate(box) for chart in charts]
        assert [one[2] > 195 for one in tops] == [pairs and i % 2 == 1 for i in range(len(charts))]
    assert view.evaluate("document.documentElement.scrollWidth") <= 390 and not view.problems


@pytest.mark.browser
def test_one_link_leads_from_the_top_of_the_page_to_the_first_slider(site: Path, view: Any) -> None:
    """One press of Tab and one of Enter; on the way by Tab alone no formula stops, and all are still read aloud."""
    fragment = f"#{replay.key(FIRST)}:seeds=all"
    handle = opened(view, site.as_uri(), FIRST, fragment)
    view.evaluate("MathJax.startup.promise.then(() => {})")
    formulas = view.locator("mjx-container")
    assert formulas.count() > 20 and formulas.locator("mjx-assistive-mml").count() == formulas.count()
    assert view.evaluate("![...document.querySelectorAll('mjx-container')].some((one) => one.tabIndex >= 0)")
    link = view.get_by_role("link", name="Skip to the chart")
    view.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    shown = "(one) => { const { top, bottom } = one.getBoundingClientRect(); return bottom > 0 && top < 100; }"
    assert not link.evaluate(shown)
    view.keyboard.press("Tab")
    assert link.evaluate("(one) => one === document.activeElement")
    processes.wait_for(lambda: link.evaluate(shown))
    view.keyboard.press("Enter")
    until(view, "(one) => document.activeElement === one.sliders[0]", handle)
    assert view.evaluate("location.hash") == fragment and settled(view, handle)["seeds"] == "all"
    assert 0 <= handle.evaluate("(one) => one.sliders[0].getBoundingClientRect().top") < 900
    assert not view.problems


@pytest.mark.browser
def test_without_scripts_the_picture_is_there(site: Path, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    for kind in KINDS:
        tab.goto((site / "lab" / f"{kind.paper()}.html").as_uri())
        picture = tab.locator(f'figure[data-replay="{replay.key(kind)}"] img')
        assert picture.is_visible() and len(picture.get_attribute("alt")) > 50
    context.close()


@pytest.mark.browser
def test_a_missing_file_of_numbers_leaves_the_picture_and_a_note(site: Path, view: Any) -> None:
    view.route("**/*-*.js", lambda route: route.abort())
    view.goto((site / "lab" / f"{FIRST.paper()}.html").as_uri())
    view.evaluate("Promise.all(reglabReplays.map((one) => one.open()))")
    figure = view.locator(f'figure[data-replay="{replay.key(FIRST)}"]')
    assert figure.locator("img").first.is_visible()
    assert "could not be loaded" in figure.inner_text()


@pytest.mark.browser
def test_every_claim_leads_to_the_page_and_setting_that_shows_it(site: Path, view: Any) -> None:
    page = (site / "claims.html").read_text(encoding="utf-8")
    for name in catalogue.SLUGS:
        for record in (measurements.read(name) or {"claims": []})["claims"]:
            kind = catalogue.experiment(name, record["experiment"])
            for knobs in record["settings"].values():
                place = replay.address(kind.make(knobs)) or "does-it-hold"
                assert f'href="lab/{name}.html#{place.replace("&", "&amp;")}"' in page
    view.goto((site / "claims.html").as_uri())
    view.locator(f'a[href*="#{replay.key(FIRST)}:"]').first.click()
    view.wait_for_selector("figure[data-ready]")
    assert not view.problems


def test_the_archive_opens_without_a_server(site: Path, view: Any, tmp_path: Path) -> None:
    import zipfile

    from reglab.site import book

    with zipfile.ZipFile(book.zipped(site)) as archive:
        archive.extractall(tmp_path)
    handle = opened(view, (tmp_path / "reglab").as_uri(), FIRST)
    compare(view, handle, FIRST)
    assert (tmp_path / "reglab" / "index.html").is_file() and not view.problems
