"""Bets: a reader says what will come out before the picture shows it, and the guess is held against the interval.

All sentences are written here, once: a page without a kernel picks one of them, or fills in the guess.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reglab import notebook
from reglab.effects import Effect
from reglab.pictures import words
from reglab.pictures.page import Picture
from reglab.site.replay import typeset
from reglab.statistics import mean_interval

if TYPE_CHECKING:
    import xarray as xr

TOLERANCE = 0.05
"""By this share of the range from low to high a guessed number may lie outside the interval and is still right."""

SAME = 1e-6
"""Differences below this are written as 0, and no arm wins by one."""

ANY = (-math.inf, math.inf)
"""The ends of what can be any number."""

OFF = "These runs give no number to compare with, so the bet is off."

_kept: dict[str, dict[str, bool]] = {}
"""By paper and question, whether the first bet of this session was right."""


def bet(
    question: str,
    results: xr.Dataset,
    picture: str | Picture,
    effect: Callable[..., xr.DataArray],
    *,
    among: Sequence[str] = (),
    wins: Literal["highest", "lowest"] = "highest",
    low: float | None = None,
    high: float | None = None,
) -> Bet:
    """Let the reader bet, and then open a picture: the title of a view of the results, or one that was drawn before.

    `effect` gives one number for each seed. Without `low` and `high` the bet is a choice: for which arm (`among`
    these, or all) is the effect highest, or lowest? The effect is read from the results of each arm alone, so it names
    no arm. With `low` and `high` the bet is a number between them. Raises `ValueError` for arguments that make no
    bet, `KeyError` for an unknown view.
    """
    shown = notebook.draw(results, picture) if isinstance(picture, str) else picture
    ends = effect.ends(results) if isinstance(effect, Effect) else ANY
    wager: Choice | Number
    if low is None and high is None:
        arms = [str(arm) for arm in results["arm"].values] if "arm" in results.dims else []
        if unknown := [arm for arm in among if arm not in arms]:
            raise ValueError(f"among: there is no arm {unknown[0]!r}; the results have: {', '.join(arms)}")
        wager = Choice({arm: _of_arm(effect, results, arm) for arm in among or arms}, wins, ends)
    elif low is None or high is None or among or wins != "highest":
        raise ValueError("low and high, both given, make a bet on a number; among and wins, one on a choice of arms")
    else:
        wager = Number(_by_seed(effect(results)), low, high, ends)
    return Bet(question, wager, shown, str(results.attrs.get("paper", "")))


def _of_arm(effect: Callable[..., xr.DataArray], results: xr.Dataset, arm: str) -> np.ndarray:
    try:
        return _by_seed(effect(results.sel(arm=arm).drop_vars("arm")))
    except KeyError as error:
        raise ValueError(f"the effect cannot be read for {arm!r} alone; it may name no arm ({error})") from error


def _by_seed(values: xr.DataArray) -> np.ndarray:
    if values.dims != ("seed",):
        raise ValueError(f"the effect of a bet is one number for each seed, and this one is along {values.dims}")
    return np.asarray(values.values, dtype=float)


# ------------------------------------------------------------------------------------------- what is right, in words


@dataclass(frozen=True)
class Answer:
    """What a bet was worth: right, wrong or (None) not to be judged; a sentence, and perhaps a drawing as HTML."""

    right: bool | None
    text: str
    drawing: str = ""


class Choice:
    """A choice among arms, given the effect of each seed by seed.

    Right is every arm that no other one beats beyond the 95 % interval of their difference, seed by seed.
    """

    def __init__(self, effects: Mapping[str, np.ndarray], wins: str, ends: tuple[float, float] = ANY) -> None:
        if wins not in ("highest", "lowest"):
            raise ValueError(f"wins={wins!r}: the arm that is 'highest' or 'lowest' can win")
        if len(effects) < 2:
            raise ValueError(f"a choice needs two arms or more, and here is only {', '.join(effects) or 'none'}")
        self.arms = list(effects)
        self.options = " · ".join(self.arms)
        self.hint = "Several are right where they cannot be told apart."
        if not np.isfinite(list(effects.values())).all():
            self.measured = OFF
            self.answers = {arm: Answer(None, f"You said {_called(arm)}. {OFF}") for arm in effects}
            return
        sign, worse = (1, "lower") if wins == "highest" else (-1, "higher")
        ranked = sorted(effects, key=lambda arm: -sign * float(effects[arm].mean()))

        def gap(better: str, arm: str) -> np.ndarray:
            return sign * (effects[better] - effects[arm])

        beaten = {arm: [other for other in ranked if _low(gap(other, arm)) > SAME] for arm in effects}
        best, second = ranked[:2]
        tops = [arm for arm in ranked if not beaten[arm]]
        if len(tops) == 1:
            top = f"{wins.capitalize()} is {_called(best)}: {_around(effects[best], ends=ends)}"
            after = f"; next is {_called(second)}, {_around(gap(best, second), f' {worse}')}"
        else:
            top = f"{wins.capitalize()} are {_listed([_called(arm) for arm in tops])}, which cannot be told apart: "
            top, after = top + _listed([_around(effects[arm], ends=ends) for arm in tops]), ""
        note = _note(len(effects[best]))
        self.measured = f"{top}{after}. {note}"
        self.answers = {arm: Answer(True, f"✓ You said {_called(arm)}: right. {self.measured}") for arm in tops}
        for arm, (other, *_) in ((arm, others) for arm, others in beaten.items() if others):
            behind = f"{_around(gap(other, arm), f' {worse}')} than {_called(other)}"
            self.answers[arm] = Answer(False, f"✗ You said {_called(arm)}, which is {behind}. {top}. {note}")

    def judge(self, guess: str) -> Answer:
        """Return what a guess was worth; raises `ValueError` for one that cannot be made."""
        if guess not in self.answers:
            raise ValueError(f"{guess!r} is no choice of this bet; choose {' or '.join(self.arms)}")
        return self.answers[guess]

    def inputs(self) -> str:
        """Return the controls of the page's form as HTML."""
        return "".join(
            f'<label><input type="radio" name="guess" value="{html.escape(arm)}" required> {typeset(arm)}</label>'
            for arm in self.arms
        )

    def told(self) -> dict[str, Any]:
        """Return what the page's script needs to judge a guess, texts as HTML."""
        return {"answers": {arm: [answer.right, typeset(answer.text)] for arm, answer in self.answers.items()}}

    def control(self) -> Any:
        """Return the control of the live widget."""
        import ipywidgets as widgets

        return widgets.RadioButtons(options=self.arms, value=None, layout={"width": "max-content"})


class Number:
    """A number from `low` to `high`, given the effect seed by seed: right within its interval and a little beside."""

    def __init__(self, effect: np.ndarray, low: float, high: float, ends: tuple[float, float] = ANY) -> None:
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"low={low:g}, high={high:g}: two numbers are needed, low below high")
        self.low, self.high, tolerance = low, high, TOLERANCE * (high - low)
        self.options = f"a number from {low:g} to {high:g}"
        # about a hundred places, a round number apart
        magnitude = 10.0 ** math.floor(math.log10((high - low) / 100))
        self.step = next(step * magnitude for step in (1, 2, 5, 10) if step * magnitude * 100 >= (high - low) * 0.999)
        self.digits = max(0, -math.floor(math.log10(self.step) + 1e-9))
        self.hint = f"Right is what lies in the 95 % interval or at most {words.number(tolerance)} beside it."
        mean, start, stop = (float(end) for end in mean_interval(effect, ends=ends))
        self.mean = mean
        if not math.isfinite(mean):
            self.inside, self.drawing, self.measured = (low, high), "", OFF
            self.texts = dict.fromkeys(("low", "right", "high"), f"You said {{guess}}. {OFF}")
            return
        said, note = f"measured: {words.measured(mean, start, stop)}", _note(len(effect))
        start, stop = (end if math.isfinite(end) else mean for end in (start, stop))
        self.inside = start - tolerance, stop + tolerance
        self.drawing = self._line(start, stop)
        self.measured = f"{said.capitalize()}. {note}"
        self.texts = {
            "low": f"✗ You said {{guess}}; {said}. Your guess is {{off}} too low. {note}",
            "right": f"✓ You said {{guess}}: right; {said}. {note}",
            "high": f"✗ You said {{guess}}; {said}. Your guess is {{off}} too high. {note}",
        }

    def judge(self, guess: float) -> Answer:
        """Return what a guess was worth; raises `ValueError` for one that cannot be made."""
        if not self.low <= guess <= self.high:
            raise ValueError(f"{guess:g} is no guess of this bet; it lies from {self.low:g} to {self.high:g}")
        where = "low" if guess < self.inside[0] else "high" if guess > self.inside[1] else "right"
        text = self.texts[where].replace("{guess}", self._written(guess))
        text = text.replace("{off}", self._written(abs(guess - self.mean)))
        right = where == "right" if math.isfinite(self.mean) else None
        return Answer(right, text, self.drawing.replace("{place}", f"{self._place(guess):.1f}"))

    def inputs(self) -> str:
        """Return the controls of the page's form as HTML."""
        middle = round((self.low + self.high) / 2, self.digits)
        ends = f'min="{self.low:g}" max="{self.high:g}" value="{middle:g}"'
        label = f"your guess on a line from {self.low:g} to {self.high:g}"
        return (
            f'<span class="reglab-line"><span aria-hidden="true">{self.low:g}</span>'
            f'<input type="range" {ends} step="{self.step:g}" aria-label="{label}">'
            f'<span aria-hidden="true">{self.high:g}</span></span>'
            f'<label>your guess <input type="number" name="guess" {ends} step="any" required></label>'
        )

    def told(self) -> dict[str, Any]:
        """Return what the page's script needs to judge a guess, texts as HTML."""
        texts = {where: typeset(text) for where, text in self.texts.items()}
        mean = self.mean if math.isfinite(self.mean) else None
        return {"texts": texts, "inside": self.inside, "mean": mean, "ends": (self.low, self.high),
                "digits": self.digits, "drawn": self.drawing}  # fmt: skip

    def control(self) -> Any:
        """Return the control of the live widget."""
        import ipywidgets as widgets

        return widgets.FloatSlider(
            value=(self.low + self.high) / 2,
            min=self.low,
            max=self.high,
            step=self.step,
            readout_format=f".{self.digits}f",
            description="your guess",
            style={"description_width": "initial"},
            layout={"width": "min(30rem, 100%)"},
        )

    def _written(self, number: float) -> str:
        return f"{number:.{self.digits}f}".replace("-", "−")

    def _place(self, number: float) -> float:
        """Return where a number stands on the line, in percent of its length."""
        return 100 * min(1.0, max(0.0, (number - self.low) / (self.high - self.low)))

    def _line(self, start: float, stop: float) -> str:
        """Draw the line with the measured interval; `{place}` is where the guess goes."""

        def at(left: str, more: str, text: str = "") -> str:
            return f'<span style="position:absolute;left:{left}%;{more}">{text}</span>'

        def band(ends: tuple[float, float], look: str) -> str:
            left, right = map(self._place, ends)
            return at(f"{left:.1f}", f"width:max(3px,{right - left:.1f}%);top:1.6em;height:.8em;{look}")

        middle = "transform:translateX(-50%);white-space:nowrap;"
        return (
            '<div aria-hidden="true" style="position:relative;height:4em;margin:.3em 3.2em;max-width:26em;'
            'line-height:1.2">'
            + at("0", "width:100%;top:2em;border-top:2px solid #808080;transform:translateY(-50%)")
            + band(self.inside, "background:#0072b277")
            + band((start, stop), "background:#0072b2")
            + at(f"{self._place(self.mean):.1f}", f"{middle}top:2.6em", "measured")
            + at("{place}", f"{middle}top:0", "you")
            + at("{place}", f"{middle}top:1.5em;width:1em;height:1em;border-radius:50%;box-sizing:border-box;"
                 "background:#fff;border:.25em solid #d55e00")
            + at("0", "transform:translateX(-100%);top:1.4em;padding-right:.8em", f"{self.low:g}")
            + at("100", "top:1.4em;padding-left:.8em", f"{self.high:g}")
            + "</div>"
        )  # fmt: skip


def _low(values: np.ndarray) -> float:
    return float(mean_interval(values)[1])


def _around(values: np.ndarray, then: str = "", ends: tuple[float, float] = ANY) -> str:
    """Write a mean and its interval in brackets, where there is one: `0.15 lower [0.13, 0.17]`."""
    mean, low, high = (float(end) for end in mean_interval(values, ends=ends))
    return words.measured(mean, low, high, then)


def _note(seeds: int) -> str:
    return f"In brackets: 95 % intervals, {seeds} seeds." if seeds > 1 else "One seed gives no interval."


def _listed(texts: Sequence[str]) -> str:
    """Write a list: `a, b and c`."""
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


def _called(arm: str) -> str:
    """Write the name of an arm so that a comma in it is none of the sentence."""
    return f"“{arm}”" if "," in arm else arm


# --------------------------------------------------------------------------------------------------------- the cell


class Bet:
    """The cell behind `bet`; `place` works from code too."""

    def __init__(self, question: str, wager: Choice | Number, picture: Picture, paper: str) -> None:
        import ipywidgets as widgets

        self.question, self.wager, self.picture, self.paper = question, wager, picture, paper
        self.control = wager.control()
        self.button = widgets.Button(description="Bet", button_style="primary", tooltip="then the picture opens")
        self.answer = widgets.HTML()
        self.figure = widgets.HTML()
        self.button.on_click(lambda _: self._clicked())
        asked = f"<strong>Your bet:</strong> {typeset(question)}<br><small>{typeset(wager.hint)}</small>"
        self.widget = widgets.VBox([widgets.HTML(asked), self.control, self.button, self.answer, self.figure])

    def place(self, guess: Any) -> Answer:
        """Bet on a guess: open the picture and say what the guess was worth; raises `ValueError` for no guess."""
        answer = self.wager.judge(guess)
        kept = _kept.setdefault(self.paper, {})
        if answer.right is not None:
            kept.setdefault(self.question, answer.right)
        self.control.value = guess
        self.control.disabled = self.button.disabled = True
        tally = (
            f"You were right in {sum(kept.values())} of {len(kept)} {'bet' if len(kept) == 1 else 'bets'} on this page."
        )
        self.answer.value = f'<div role="status"><p>{typeset(answer.text)}</p>{answer.drawing}<p>{tally}</p></div>'
        self.figure.value = self.picture.html
        return answer

    def _clicked(self) -> None:
        if self.control.value is None:
            self.answer.value = '<div role="status">Choose one first.</div>'
        else:
            self.place(self.control.value)

    @property
    def html(self) -> str:
        """The bet for a page: folded until it is opened; the site's script makes a form of it."""
        form = (
            f'<form><fieldset><legend>Your bet: {typeset(self.question)}</legend><div class="reglab-guess">'
            f"{self.wager.inputs()}<button>Bet</button></div>"
            f'<p class="reglab-note">{typeset(self.wager.hint)}</p></fieldset></form>'
        )
        told = json.dumps({"question": self.question, "form": form, **self.wager.told()}, ensure_ascii=False)
        return (
            f'<div class="reglab-bet" data-bet="{html.escape(told)}">'
            f"<p><strong>Your bet:</strong> {typeset(self.question)}<br>"
            f"<small>{typeset(self.wager.options)}</small></p>"
            f"<details><summary>Open the answer</summary>"
            f'<p class="reglab-summary">{typeset(self.wager.measured)}</p>{self.picture.html}</details></div>'
        )

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        live = self.widget._repr_mimebundle_(**options) or {}
        text = f"{self.question} {self.wager.measured} {self.picture.alt}"
        return {**self.picture._repr_mimebundle_(), **live, "text/html": self.html, "text/plain": text}
