"""Bets: what is right and how it is said, and a bet placed in Python, on a page, without scripts and in JupyterLab."""

from __future__ import annotations

import html
import importlib.resources
import itertools
import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lab_browser
import numpy as np
import pytest
import xarray as xr
from bs4 import BeautifulSoup

from reglab import bet as bets
from reglab.bet import OFF, Bet, Choice, Number, bet
from reglab.catalogue import ROOT
from reglab.effects import advantage, end, peak
from reglab.pictures import page
from reglab.site import pages
from reglab.statistics import mean_interval

RIGHT = {"plain": [0.2, 0.5, 0.8, 1.1], "new": [0.45, 0.75, 1.05, 1.35], "odd": [0.54, 0.64, 1.14, 1.24]}
"""In every seed `new` is .25 above `plain`; `odd` is above or below `new`, as often one as the other."""


def results(last: Mapping[str, Sequence[float]], paper: str = "made/for_tests") -> xr.Dataset:
    """Return results whose `score` starts at 0, and at the last of two epochs is what is given."""
    ends = np.array(list(last.values()), dtype=float)
    return xr.Dataset(
        {"score": (("arm", "seed", "epoch"), np.stack([np.zeros_like(ends), ends], axis=-1))},
        {"arm": np.array(list(last), dtype=object), "seed": np.arange(ends.shape[1]), "epoch": [0, 1]},
        {"paper": paper},
    )


@pytest.fixture(scope="module")
def picture() -> page.Picture:
    def plot(figure: Any) -> str:
        figure.subplots().plot([0, 1])
        return 'A line, "straight" & rising.'

    return page.picture(plot)


def choice(last: Mapping[str, Sequence[float]], wins: str = "highest") -> Choice:
    return Choice({arm: np.array(values) for arm, values in last.items()}, wins)


# --------------------------------------------------------------------------------------------- what is right, in words


def test_an_arm_that_another_beats_in_every_seed_is_wrong_however_far_the_seeds_lie_apart() -> None:
    two = choice({arm: RIGHT[arm] for arm in ("plain", "new")})
    half = 3.1824463 * np.std(RIGHT["new"], ddof=1) / 2  # Student's t, 3 degrees of freedom, 4 seeds
    assert 0.9 - half < 0.65, "both intervals hold both means"
    highest = f"Highest is new: 0.9 [{0.9 - half:.1f}, {0.9 + half:.1f}]"
    note = "In brackets: 95 % intervals, 4 seeds."
    assert two.measured == f"{highest}; next is plain, 0.25 lower [0.25, 0.25]. {note}"
    assert two.judge("new") == bets.Answer(True, f"✓ You said new: right. {two.measured}")
    wrong = f"✗ You said plain, which is 0.25 lower [0.25, 0.25] than new. {highest}. {note}"
    assert two.judge("plain") == bets.Answer(False, wrong)


def test_arms_that_cannot_be_told_apart_are_all_right() -> None:
    three = choice(RIGHT)
    assert three.measured.startswith("Highest are new and odd, which cannot be told apart: 0.9 [")
    assert [three.judge(arm).right for arm in RIGHT] == [False, True, True]
    same = choice({"a": [1.0, 2], "b": [1.0, 2], "c": [1.0, 2 + 1e-9]})
    assert same.measured.startswith("Highest are c, a and b, which cannot be told apart: 2 [")
    assert all(same.judge(arm).right for arm in "abc"), "what is rounding is no difference"


def test_an_arm_is_wrong_where_the_second_beats_it_and_the_first_only_seems_to() -> None:
    wild = {"first": [0.0, 4, 0, 4], "second": [1.0, 1.1, 1, 1.1], "third": [0.9, 1, 0.9, 1]}
    found = choice(wild)
    assert [found.judge(arm).right for arm in wild] == [True, True, False]
    assert "which is 0.10 lower [0.10, 0.10] than second. Highest are first and second" in found.judge("third").text


def test_the_lowest_can_win() -> None:
    lowest = choice(RIGHT, "lowest")
    assert lowest.measured.startswith("Lowest is plain: 0.7 [")
    assert "; next is odd, 0.24 higher [" in lowest.measured
    assert [lowest.judge(arm).right for arm in RIGHT] == [True, False, False]
    assert "You said new, which is 0.25 higher [0.25, 0.25] than plain. Lowest is plain" in lowest.judge("new").text


def test_a_comma_in_the_name_of_an_arm_is_none_of_the_sentence() -> None:
    found = choice({"new, odd": [1.0, 1], "new": [0.0, 0]})
    assert found.measured.startswith("Highest is “new, odd”: 1.00 [")
    assert "than “new, odd”" in found.judge("new").text


def test_one_seed_makes_nobody_wrong_and_says_why() -> None:
    single = choice({"plain": [0.1], "new": [0.9]})
    assert single.judge("plain").right and single.judge("new").right
    assert single.measured.endswith("0.90 and 0.10. One seed gives no interval.")
    number = Number(np.array([0.5]), 0, 1)
    assert [number.judge(guess).right for guess in (0.44, 0.46, 0.54, 0.56)] == [False, True, True, False]
    assert number.measured == "Measured: 0.50. One seed gives no interval."


def test_a_number_is_right_within_the_interval_and_a_twentieth_of_the_range_beside() -> None:
    number = Number(np.array([4.0, 5, 6]), 0, 10)
    half = 4.3026527 / math.sqrt(3)  # Student's t, 2 degrees of freedom; the deviation is 1
    for guess, right in ((5, True), (5 + half + 0.49, True), (5 - half - 0.49, True)):
        assert number.judge(guess).right is right
    note = "In brackets: 95 % intervals, 3 seeds."
    measured = f"measured: 5.0 [{5 - half:.1f}, {5 + half:.1f}]"
    assert number.judge(5 + half + 0.51).text == (
        f"✗ You said {5 + half + 0.51:.1f}; {measured}. Your guess is {half + 0.51:.1f} too high. {note}"
    )
    assert f"Your guess is {half + 0.51:.1f} too low." in number.judge(5 - half - 0.51).text
    assert number.judge(5).text == f"✓ You said 5.0: right; {measured}. {note}"
    assert "at most 0.50 beside it" in number.hint


def test_no_interval_reaches_beyond_what_can_be(picture: page.Picture) -> None:
    data = results({"plain": [0.7, 0.8, 1.0], "new": [0.1, 0.5, 0.9]})
    data["score"].attrs.update(low=0, high=1)

    def measured(effect: Any, **bounds: Any) -> str:
        return bet("How much?", data, picture, effect, **bounds).wager.measured

    plain, new = end("score", "plain"), end("score", "new")
    assert measured(new, low=0, high=1) == "Measured: 0.5 [0.0, 1.0]. In brackets: 95 % intervals, 3 seeds."
    assert "[−1" in measured(new - plain, low=-1, high=1), "a difference may be below 0"
    ratio = mean_interval(np.array([0.1 / 0.7, 0.5 / 0.8, 0.9]))
    assert ratio[1] < 0
    assert f"[0.0, {ratio[2]:.1f}]" in measured(new / plain, low=0, high=2), "a share of a share may be above 1"
    assert measured(new / plain - 1, low=-1, high=1).count("−") == 2
    choice = measured(end("score"))
    assert "[0.0, 1.0]" in choice and "−" not in choice
    data["score"].attrs.clear()
    assert "[−" in measured(new, low=0, high=1) and "[−" in measured(new / plain, low=0, high=2)


@pytest.mark.parametrize(("low", "high", "step"), [(0, 1, 0.01), (-1, 1, 0.02), (0, 100, 1), (0, 3, 0.05),
                                                   (5, 5.2, 0.002), (0, 40, 0.5), (0, 3000, 50)])  # fmt: skip
def test_a_number_can_be_guessed_in_about_a_hundred_round_steps(low: float, high: float, step: float) -> None:
    number = Number(np.array([1.0, 2]), low, high)
    assert number.step == pytest.approx(step)
    assert float(number._written(step)) == pytest.approx(step), "steps are written without rounding"


def test_a_drawn_line_shows_guess_and_interval_where_they_lie() -> None:
    drawn = Number(np.array([-0.5, -0.5]), -1, 1).judge(0.5).drawing
    spans = BeautifulSoup(drawn, "html.parser").find_all("span")
    left = {span.text: str(span["style"]).split("left:")[1].split("%")[0] for span in spans}
    assert left["measured"] == "25.0" and left["you"] == "75.0"
    assert "left:20.0%;width:max(3px,10.0%)" in drawn, "a twentieth of the range on each side of the interval"
    beyond = Number(np.array([9.0, 9]), 0, 1).judge(1).drawing
    assert "left:100.0%" in beyond and "900" not in beyond


def test_without_a_number_the_bet_is_off() -> None:
    off: list[Any] = [choice({"plain": [0.1, math.nan], "new": [1, 2]}), Number(np.array([math.nan, 1]), 0, 1)]
    for wager, guess in zip(off, ("new", 0.5), strict=True):
        answer = wager.judge(guess)
        assert answer.right is None and answer.text.startswith("You said") and answer.text.endswith(OFF)
        assert wager.measured == OFF
        json.dumps(wager.told(), allow_nan=False)


def test_bad_bets_are_refused_by_name(picture: page.Picture) -> None:
    data, score = results(RIGHT), end("score")
    bad: dict[str, dict[str, Any]] = {
        r"among: there is no arm 'old'; the results have: plain, new, odd": {"among": ("new", "old")},
        "a choice needs two arms or more, and here is only new": {"among": ("new",)},
        "wins='best': the arm that is 'highest' or 'lowest' can win": {"wins": "best"},
        "low and high, both given": {"low": 0},
        "both given, make a bet on a number; among and wins": {"low": 0, "high": 1, "among": ("new", "odd")},
        "low=1, high=1: two numbers are needed, low below high": {"low": 1, "high": 1, "effect": end("score", "new")},
        r"one number for each seed, and this one is along \('arm', 'seed'\)": {
            "low": 0, "high": 1, "effect": lambda found: found.score.isel(epoch=-1)},
        r"the effect cannot be read for 'plain' alone; it may name no arm \(": {"effect": end("score", "new")},
    }  # fmt: skip
    for message, arguments in bad.items():
        with pytest.raises(ValueError, match=message):
            bet("Which?", data, picture, **{"effect": score, **arguments})
    with pytest.raises(ValueError, match="here is only none"):
        bet("Which?", data.sel(arm="new"), picture, score)
    with pytest.raises(ValueError, match="'old' is no choice of this bet; choose plain or new or odd"):
        bet("Which?", data, picture, score).place("old")
    with pytest.raises(ValueError, match="2 is no guess of this bet; it lies from 0 to 1"):
        bet("How much?", data, picture, end("score", "new"), low=0, high=1).place(2)


def test_effects_are_read_arm_by_arm_or_as_one_number(picture: page.Picture) -> None:
    data = results(RIGHT)
    for effect in (end("score"), peak("score") - end("score", epoch=0), lambda found: found.score.max("epoch")):
        found = bet("Which?", data, picture, effect, among=("new", "plain")).wager
        assert isinstance(found, Choice) and found.arms == ["new", "plain"]
        assert found.measured == choice({arm: RIGHT[arm] for arm in ("new", "plain")}).measured
    gain = bet("How much?", data, picture, advantage("score", "new", over="plain"), low=0, high=1).wager
    assert gain.measured.startswith("Measured: 0.25 [0.25, 0.25].")


# -------------------------------------------------------------------------------------------------------- in Python


@pytest.fixture
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bets, "_kept", {})


@pytest.mark.usefixtures("nothing_kept")
def test_a_live_bet_opens_the_picture_and_counts_once(picture: page.Picture) -> None:
    data = results(RIGHT)

    def ask() -> Bet:
        return bet("Which is <highest>?", data, picture, end("score"), among=("plain", "new"))

    one = ask()
    assert one.figure.value == "" and one.control.value is None
    one.button.click()
    assert "Choose one first" in one.answer.value and one.figure.value == ""
    one.control.value = "plain"
    one.button.click()
    assert one.figure.value == picture.html and one.control.disabled and one.button.disabled
    assert html.escape("✗ You said plain") in one.answer.value
    assert "You were right in 0 of 1 bet on this page." in one.answer.value
    again = ask()
    again.place("new")
    assert "right in 0 of 1 bet on" in again.answer.value, "the first bet counts"
    number = bet("How much?", data, picture, end("score", "new"), low=0, high=1)
    number.control.value = 0.9
    number.button.click()
    assert "right in 1 of 2 bets on" in number.answer.value and "left:90.0%" in number.answer.value
    unknown = bet("Which?", results({"a": [math.nan], "b": [1]}), picture, end("score"))
    unknown.place("a")
    assert "right in 1 of 2 bets on" in unknown.answer.value, "a bet that is off is not counted"
    other = bet("Which?", results(RIGHT, "made/elsewhere"), picture, end("score"))
    other.place("new")
    assert "right in 1 of 1 bet on" in other.answer.value, "another page has its own bets"


def test_nothing_in_a_bet_is_read_as_html(picture: page.Picture) -> None:
    data = results({"<i>a</i>": [0.0, 1], 'b"&{guess}': [2.0, 3]})
    found = bet('Is <b>"this"</b> & {guess}?', data, picture, end("score"))
    soup = BeautifulSoup(found.html, "html.parser")
    assert not soup.find_all(["b", "i"])
    told = json.loads(str(soup.div and soup.div["data-bet"]))
    assert told["question"] == found.question
    assert list(told["answers"]) == ['b"&{guess}', "<i>a</i>"]
    form = BeautifulSoup(told["form"], "html.parser")
    assert not form.find_all(["b", "i"])
    assert [one["value"] for one in form.find_all("input")] == ["<i>a</i>", 'b"&{guess}']
    found.place("<i>a</i>")
    assert "<i>" not in found.answer.value and "&lt;i&gt;a&lt;/i&gt;" in found.answer.value


def test_where_nothing_runs_there_are_picture_and_sentence(
    picture: page.Picture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A headless run keeps the whole picture; the card of the paper finds it in the cell tagged `thumbnail`."""
    found = bet("Which?", results(RIGHT), picture, end("score"))
    bundle = found._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert picture.html in bundle["text/html"] and found.wager.measured in html.unescape(bundle["text/html"])
    assert bundle["text/plain"] == f"Which? {found.wager.measured} {picture.alt}"
    outputs = [{"output_type": "display_data", "data": bundle}]
    cells = [{"metadata": {"tags": ["thumbnail"]}, "outputs": outputs}]
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "one.ipynb").write_text(json.dumps({"cells": cells}))
    monkeypatch.setattr(pages, "BOOK", tmp_path)
    monkeypatch.setattr(pages, "GENERATED", tmp_path)
    kept = tmp_path / "thumbnails" / "one.svg"
    assert pages._thumbnail("one") == (kept.name, picture.alt)
    assert kept.read_bytes() == page.night(picture.wide.content), "on a dark page it has the colours by night"


# ------------------------------------------------------------------------------------------------- in a static page


CHOICE, NUMBER = "Which is highest?", "How high is new?"


@pytest.fixture(scope="module")
def asked(picture: page.Picture) -> list[Any]:
    data = results({"plain": [-0.5, -0.4, -0.3, -0.2], "new": [0.3, 0.4, 0.5, 0.6], "odd": [0.4, 0.3, 0.6, 0.5]})
    return [bet(CHOICE, data, picture, end("score")), bet(NUMBER, data, picture, end("score", "new"), low=-1, high=1)]


@pytest.fixture(scope="module")
def static(asked: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page with two bets, with the theme's and the site's own styles and script; another one lies beside."""
    folder = tmp_path_factory.mktemp("static")
    theme = importlib.resources.files("sphinx_book_theme") / "theme" / "sphinx_book_theme" / "static" / "styles"
    (folder / "theme.css").write_text((theme / "sphinx-book-theme.css").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "base.css").write_text(_pydata().read_text(encoding="utf-8"), encoding="utf-8")
    for name in ("reglab.css", "reglab.js", "bet.js"):
        shutil.copy(ROOT / "book" / "_static" / name, folder)
    sheets = "".join(f'<link rel="stylesheet" href="{name}.css">' for name in ("base", "theme", "reglab"))
    cells = "".join(f'<div class="cell_output"><div class="output text_html">{one.html}</div></div>' for one in asked)
    text = (
        '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>Bets</title>'
        f'<meta name="viewport" content="width=device-width">{sheets}'
        '<script src="bet.js"></script><script src="reglab.js"></script>'
        f'<main class="bd-content"><article class="bd-article"><h1>Bets</h1>{cells}</article></main></html>'
    )
    for name in ("page", "other"):
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder / "page.html"


def _pydata() -> Any:
    styles = importlib.resources.files("pydata_sphinx_theme") / "theme" / "pydata_sphinx_theme" / "static" / "styles"
    return styles / "pydata-sphinx-theme.css"


def box(view: Any, number: int) -> Any:
    return view.locator(".reglab-bet").nth(number)


def tallies(view: Any) -> list[str]:
    return [one.inner_text() for one in view.locator(".reglab-tally > span").all() if one.is_visible()]


@pytest.mark.browser
def test_on_a_page_a_bet_by_mouse_opens_the_picture(static: Path, view: Any, asked: list[Any]) -> None:
    view.goto(static.as_uri())
    one = box(view, 0)
    picture = one.get_by_role("img")
    assert not picture.is_visible() and not one.get_by_role("status").is_visible()
    one.get_by_role("button", name="Bet").click()
    assert not picture.is_visible(), "without a choice there is no bet"
    one.get_by_label("odd").click()
    one.get_by_role("button", name="Bet").click()
    assert one.get_by_role("status").inner_text() == asked[0].wager.judge("odd").text
    assert picture.is_visible() and one.get_by_label("odd").is_checked() and one.get_by_label("odd").is_disabled()
    assert tallies(view) == ["You were right in 1 of 1 bet on this page."]
    assert not box(view, 1).get_by_role("img").is_visible()
    assert not view.problems


@pytest.mark.browser
def test_on_a_page_the_keyboard_alone_makes_both_bets_and_every_control_has_a_name(
    static: Path, view: Any, asked: list[Any]
) -> None:
    view.goto(static.as_uri())
    assert view.get_by_role("group", name=f"Your bet: {CHOICE}").is_visible()
    view.keyboard.press("Tab")
    view.keyboard.press("ArrowDown")  # from the first choice to the second
    view.keyboard.press("Tab")
    view.keyboard.press("Enter")
    said = view.evaluate("document.activeElement.textContent")
    assert said == asked[0].wager.judge("new").text, "what comes next is read from the answer on"
    view.get_by_role("slider", name="your guess on a line from -1 to 1").focus()
    view.keyboard.press("Home")
    view.keyboard.press("ArrowRight")
    number = view.get_by_role("spinbutton", name="your guess")
    assert number.input_value() == "-0.98"
    view.keyboard.press("Tab")
    assert number.evaluate("one => one === document.activeElement")
    view.keyboard.press("Enter")
    assert box(view, 1).get_by_role("status").inner_text() == asked[1].wager.judge(-0.98).text
    assert tallies(view) == 2 * ["You were right in 1 of 2 bets on this page."]
    assert not view.problems


@pytest.mark.browser
def test_the_page_judges_every_guess_as_python_does(static: Path, view: Any, asked: list[Any]) -> None:
    view.goto(static.as_uri())
    wager = asked[1].wager
    assert isinstance(wager, Number)
    edges = [place + nudge for place, nudge in itertools.product(wager.inside, (-0.001, 0.001))]
    for guess in (-1, -0.985, 0, 0.5, 0.9, 1, *edges):
        if not -1 <= guess <= 1:
            continue
        expected = wager.judge(guess)
        box(view, 1).get_by_role("spinbutton").fill(repr(guess))
        box(view, 1).get_by_role("button", name="Bet").click()
        assert box(view, 1).get_by_role("status").inner_text() == expected.text
        drawn = box(view, 1).locator(".reglab-bet-answer > div")
        same = drawn.evaluate(
            "(one, html) => { const other = document.createElement('div'); other.innerHTML = html;"
            " return one.isEqualNode(other); }",
            expected.drawing,
        )
        assert same, guess
        assert tallies(view) == [f"You were right in {int(bool(expected.right))} of 1 bet on this page."]
        view.get_by_role("button", name="Start again").click()
    box(view, 1).get_by_role("spinbutton").fill("1.5")
    box(view, 1).get_by_role("button", name="Bet").click()
    assert tallies(view) == [], "a guess beside the line is none"
    assert not view.problems


@pytest.mark.browser
def test_bets_are_kept_over_a_reload_for_this_page_only_until_they_start_again(
    static: Path, view: Any, asked: list[Any]
) -> None:
    view.goto(static.as_uri())
    box(view, 0).get_by_label("plain").check()
    box(view, 0).get_by_role("button", name="Bet").click()
    box(view, 1).get_by_role("spinbutton").fill("0.5")
    box(view, 1).get_by_role("button", name="Bet").click()
    view.reload()
    assert tallies(view) == 2 * ["You were right in 1 of 2 bets on this page."]
    assert box(view, 0).get_by_label("plain").is_checked() and box(view, 0).get_by_role("img").is_visible()
    assert box(view, 1).get_by_role("status").inner_text() == asked[1].wager.judge(0.5).text
    view.goto(static.with_name("other.html").as_uri())
    assert tallies(view) == [] and not box(view, 0).get_by_role("img").is_visible()
    view.goto(static.as_uri())
    view.get_by_role("button", name="Start again").first.press("Enter")
    assert view.evaluate("document.activeElement.value") == "plain", "the keyboard goes on at the first choice"
    assert tallies(view) == [] and not box(view, 1).get_by_role("img").is_visible()
    view.reload()
    assert tallies(view) == [] and box(view, 0).get_by_label("plain").is_enabled()
    assert not view.problems


@pytest.mark.browser
def test_who_opens_the_answer_first_makes_no_bet(static: Path, view: Any, asked: list[Any]) -> None:
    view.goto(static.as_uri())
    one = box(view, 0)
    one.get_by_text("Open the answer without a bet").click()
    assert one.get_by_role("img").is_visible() and one.get_by_text(asked[0].wager.measured).is_visible()
    view.wait_for_function("document.querySelector('.reglab-bet fieldset').disabled")
    assert one.get_by_role("button", name="Bet").is_disabled() and tallies(view) == []


@pytest.mark.browser
def test_on_paper_the_answers_are_open_and_afterwards_bets_are_still_made(static: Path, view: Any) -> None:
    view.goto(static.as_uri())
    seen = "[...document.querySelectorAll('.reglab-bet img')].map((one) => one.checkVisibility())"
    view.evaluate(f"addEventListener('beforeprint', () => {{ window.onPaper = {seen}; }})")
    view.pdf()
    assert view.evaluate("onPaper") == [True, True] and view.evaluate(seen) == [False, False]
    box(view, 0).get_by_label("new").check()
    box(view, 0).get_by_role("button", name="Bet").click()
    assert tallies(view) == ["You were right in 1 of 1 bet on this page."]
    assert not view.problems


@pytest.mark.browser
@pytest.mark.parametrize("stored", ["nonsense", json.dumps({CHOICE: "nobody", NUMBER: "much", "gone": "new"})])
def test_a_kept_bet_that_the_page_no_longer_asks_for_is_left_out(static: Path, view: Any, stored: str) -> None:
    view.goto(static.as_uri())
    view.evaluate("(text) => localStorage.setItem(`reglab-bets ${location.pathname}`, text)", stored)
    view.reload()
    assert tallies(view) == [] and not box(view, 0).get_by_role("img").is_visible()
    box(view, 0).get_by_label("new").check()
    box(view, 0).get_by_role("button", name="Bet").click()
    assert tallies(view) == ["You were right in 1 of 1 bet on this page."]
    assert not view.problems


@pytest.mark.browser
def test_without_scripts_the_answer_is_folded_under_the_question(static: Path, browser: Any, asked: list[Any]) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(static.as_uri())
    for i, one in enumerate(asked):
        assert box(tab, i).get_by_text(f"Your bet: {one.question}").is_visible()
        assert box(tab, i).get_by_text(("plain · new · odd", "a number from -1 to 1")[i]).is_visible()
        assert not box(tab, i).get_by_role("img").is_visible()
        box(tab, i).get_by_text("Open the answer").click()
        assert box(tab, i).get_by_role("img").is_visible()
        assert box(tab, i).get_by_text(one.wager.measured).is_visible()
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_bets_fit_a_phone_and_a_screen_reader_before_and_after(
    static: Path, view: Any, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    view.set_viewport_size({"width": width, "height": 800})
    view.goto(static.as_uri())
    view.evaluate("(scheme) => { document.documentElement.dataset.theme = scheme; }", scheme)
    for made in (False, True):
        if made:
            box(view, 0).get_by_label("plain").check()
            for i in range(2):
                box(view, i).get_by_role("button", name="Bet").click()
            assert len(tallies(view)) == 2
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(view, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
        assert not [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in found]
    assert not view.problems


# --------------------------------------------------------------------------------------------------- in JupyterLab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[lab_browser.Server, Path]]:
    """A JupyterLab that serves a temporary folder."""
    folder = tmp_path_factory.mktemp("lab")
    with lab_browser.jupyterlab(folder) as server:
        yield server, folder


@pytest.mark.browser
@pytest.mark.xdist_group("jupyterlab")
def test_in_jupyterlab_the_keyboard_makes_a_bet_and_the_picture_opens(
    browser: Any, lab: tuple[lab_browser.Server, Path]
) -> None:
    server, folder = lab
    lab_browser.write_notebook(
        folder / "bets.ipynb",
        "from reglab.bet import bet\nfrom reglab.effects import end\nfrom reglab.recordings import store\n"
        "from reglab.papers.labels.early_learning.experiments import Memorization\n"
        "results, view = store.at(Memorization()), 'Accuracy and memory'",
        "bet('Which arm ends highest?', results, view, end('test_accuracy'), among=('cross-entropy', 'ELR', 'KL'))",
        "bet('How much is memorized?', results, view, end('wrong_memorized', 'cross-entropy'), low=0, high=1)",
    )
    with lab_browser.page(browser, server, "bets.ipynb", shows=".widget-radio-box") as tab:
        tab.get_by_text("Your bet: How much is memorized?").wait_for()
        pictures = tab.locator(".jp-OutputArea img")
        assert pictures.count() == 0
        tab.get_by_label("ELR", exact=True).press("Space")
        tab.get_by_role("button", name="Bet").first.press("Enter")
        tab.get_by_text("✓ You said ELR: right. Highest is ELR: ").wait_for()
        assert "cross-entropy starts at" in pictures.first.get_attribute("alt")
        lab_browser.slider(tab, "your guess").press("End")
        tab.get_by_role("button", name="Bet").last.press("Enter")
        tab.get_by_text("✗ You said 1.00; measured: ").wait_for()
        tab.get_by_text("You were right in 1 of 2 bets on this page.").wait_for()
        assert pictures.count() == 2
