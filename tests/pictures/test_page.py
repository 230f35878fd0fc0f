"""Finished pictures: what is drawn equals what was computed, and their text says it all."""

from __future__ import annotations

import base64
import io
import re
from typing import Any
from xml.etree import ElementTree

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from made_results import ARMS, CURVES, VIEW, growing, results
from PIL import Image

from reglab.pictures import Points, View, page
from reglab.pictures.chart import Chart
from reglab.pictures.page import Form
from reglab.pictures.style import CARD, METHOD, NARROW, NIGHT, SEQUENTIAL, WIDE


def size(form: Form) -> tuple[int, int]:
    return form.width, form.height


def test_a_picture_has_two_sizes_and_says_the_final_numbers() -> None:
    data = results()
    drawn = page.draw(data, VIEW, ARMS)
    assert size(drawn.wide) == (760, 270) and size(drawn.narrow) == (380, 540)
    assert Image.open(io.BytesIO(drawn.png)).size == (7.6 * page.PAGE_DPI, 2.7 * page.PAGE_DPI)
    for arm in ARMS:
        assert f"ends at {data.score.sel(arm=arm).mean('seed')[-1]:.3f}" in drawn.alt
    assert "Which is higher?" in drawn.alt and "Where does it go?" in drawn.alt and "mean of 6 seeds" in drawn.alt
    assert drawn.html.count("data:image/svg+xml;base64,") == 2 and 'alt="' in drawn.html
    assert 'width="760" height="270"' in drawn.html and 'width="380" height="540"' in drawn.html


def test_what_matplotlib_was_told_before_changes_no_byte() -> None:
    def drawn() -> list[Any]:
        own = page.picture(lambda figure: figure.add_subplot().set_title("−1 and text") and "a title")
        return [one._repr_mimebundle_() for one in (page.draw(results(), VIEW, ARMS), own)]

    before = drawn()
    told: Any = {"font.size": 30, "text.usetex": True, "figure.dpi": 40, "savefig.dpi": 40, "lines.linewidth": 9,
            "axes.unicode_minus": False, "svg.fonttype": "path", "path.sketch": (1, 100, 2)}  # fmt: skip
    with plt.style.context("dark_background"), matplotlib.rc_context(told):
        assert drawn() == before
        assert matplotlib.rcParams["font.size"] == 30, "the settings of others stay"


def test_a_vector_picture_holds_the_curves_to_a_tenth_of_a_point_and_its_text_as_text() -> None:
    data = results(1)
    chart = Chart(data, View("One", (CURVES,), columns=1), ARMS)
    figure = chart.finished()
    form = page._form(figure)
    axes, height = figure.axes[0], 72 * figure.get_figheight()
    drawn = ElementTree.fromstring(form.content)
    texts = {"".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Which is higher?", "time (s)", *ARMS} <= texts
    paths = [
        np.array(re.findall(r"-?\d+\.?\d*", path.get("d", "")), dtype=float).reshape(-1, 2)
        for path in drawn.iter("{http://www.w3.org/2000/svg}path")
    ]
    for arm in ARMS:
        curve = np.column_stack([data.time, data.score.sel(arm=arm, seed=data.seed[0])])
        points = axes.transData.transform(curve) * 72 / figure.dpi
        points[:, 1] = height - points[:, 1]
        assert any(path.shape == points.shape and abs(path - points).max() < 0.11 for path in paths), arm
    assert form == page._form(Chart(data, chart.view, ARMS).finished()), "the same picture is the same file"


def test_a_picture_of_too_many_shapes_is_made_of_pixels() -> None:
    def plot(figure: Any, count: int) -> str:
        figure.subplots().scatter(*np.random.default_rng(0).normal(size=(2, count)), s=1)
        return "Points."

    few, many = (page.picture(plot, count) for count in (100, 20_000))
    assert few.wide.mime == few.narrow.mime == "image/svg+xml"
    assert many.wide.mime == many.narrow.mime == "image/webp"
    with Image.open(io.BytesIO(many.wide.content)) as image:
        assert image.format == "WEBP" and image.size == (7.6 * page.PAGE_DPI, 3.2 * page.PAGE_DPI)
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) <= page.COLORS
    assert size(many.wide) == (760, 320)


def test_a_picture_without_results_says_so() -> None:
    assert "no data" in page.draw(growing(results(), 0), VIEW, ARMS).alt


def test_a_picture_of_a_papers_own_function() -> None:
    widths: list[float] = []

    def plot(figure: object, text: str) -> str:
        widths.append(figure.get_figwidth())  # type: ignore[attr-defined]
        return f"An empty picture: {text}."

    drawn = page.picture(plot, "nothing")
    assert widths == [WIDE, NARROW] and drawn.alt == "An empty picture: nothing."
    assert size(drawn.wide) == (760, 320) and size(drawn.narrow) == (380, 544)


def test_a_narrow_picture_keeps_half_the_columns() -> None:
    view = View("Four", (Points("Where?", "cloud", "new"),) * 4, columns=4, height=2)
    drawn = page.draw(results(), view, ARMS)
    assert size(drawn.wide) == (760, 200) and size(drawn.narrow) == (380, 400)


@pytest.mark.browser
def test_on_a_dark_page_a_picture_has_the_colours_by_night_and_its_numbers_keep_theirs(browser: Any) -> None:
    """In a real browser: the page says whether it is dark, whatever the computer says; colours that are data stay."""

    def plot(figure: Any) -> str:
        axes = figure.subplots()
        axes.axhspan(0, 1, color=METHOD.color)
        axes.axhspan(1, 2, color=SEQUENTIAL[5])
        return "Two bands."

    def colors(scheme: str) -> set[str]:
        content = base64.b64encode(page.night(page.picture(plot).wide.content)).decode()
        tab.set_content(f'<html style="color-scheme:{scheme}"><img src="data:image/svg+xml;base64,{content}">')
        drawn = Image.open(io.BytesIO(tab.locator("img").screenshot())).convert("RGB")
        found, counts = np.unique(np.asarray(drawn).reshape(-1, 3), axis=0, return_counts=True)
        return {f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in found[counts > 999]}

    for computer in ("light", "dark"):
        with browser.new_context(color_scheme=computer) as context:
            tab = context.new_page()
            day, night = {"#ffffff", METHOD.color.lower()}, {CARD, NIGHT[METHOD.color]}
            light, dark = colors("light"), colors("dark")
            assert day | {SEQUENTIAL[5]} <= light and night | {SEQUENTIAL[5]} <= dark
            assert not (day & dark or night & light)
