"""Knobs: the settings of an experiment, and what each of them may be; arms: what is compared at these settings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reglab.names import nearest


class Tuned(float):
    """A number that was chosen: it stands for itself, and remembers from which candidates and by which output."""

    over: tuple[float, ...]
    on: str

    @property
    def words(self) -> str:
        """How it was chosen, as a page says it."""
        return f"{self:g}, chosen from {', '.join(f'{value:g}' for value in self.over)}"


def tuned(value: float, over: Sequence[float], on: str) -> Tuned:
    """Return a number chosen from `over`, as the default of a knob or as a setting of an arm.

    `on` names the output of the experiment, measured on validation data, whose last value was largest in the mean over
    seeds. Raises `ValueError` for a number that is no candidate, or the first or last: better ones may lie beyond.
    """
    if not min(over) < value < max(over) or value not in over:
        raise ValueError(f"tuned({value!r}): it must be one of {tuple(over)} and neither the first nor the last")
    made = Tuned(value)
    made.over, made.on = tuple(sorted(over)), on
    return made


@dataclass(frozen=True)
class Knob:
    """One setting of an experiment: its default and what may be put in its place.

    A number lies between `low` and `high` (`step` is the slider's step only); `stops` are the slider's positions
    when they are irregular, and then bound the range too; `choices` are the only allowed values. `label` are the words
    beside its control, where those of its name would not do. `tuned` tells how the default was chosen, where it was.
    """

    default: Any
    low: float | None = None
    high: float | None = None
    step: float | None = None
    stops: tuple[float, ...] = ()
    choices: tuple[str, ...] = ()
    symbol: str = ""
    unit: str = ""
    help: str = ""
    label: str = ""
    tuned: Tuned | None = None

    @property
    def range(self) -> str:
        """What is allowed, in words."""
        if isinstance(self.default, bool):
            return "true or false"
        if self.choices:
            return "one of " + ", ".join(repr(choice) for choice in self.choices)
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def words(self, name: str) -> str:
        """Return how a knob of this name is called in a text: by its label, or else by its name."""
        return self.label or name.replace("_", " ")

    def full(self, name: str) -> str:
        """Return how a knob of this name is called beside its control: in words, with symbol and unit."""
        return f"{self.words(name)} {self.symbol}".strip() + (f" ({self.unit})" if self.unit else "")

    def check(self, name: str, value: Any) -> Any:
        """Return the value in the knob's type; raises `ValueError` that names knob, value and range."""
        wrong = ValueError(f"{name} = {value!r}: the knob {name!r} takes {self.range}")
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(self.default, bool):
            if not isinstance(value, bool):
                raise wrong
            return value
        if self.choices:
            if not isinstance(value, str) or value not in self.choices:
                raise wrong
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value < math.inf:
            raise wrong
        if isinstance(self.default, int) and value != int(value):
            raise wrong
        assert self.low is not None and self.high is not None
        if not self.low <= value <= self.high:
            raise wrong
        return type(self.default)(value)

    def parse(self, name: str, text: str) -> Any:
        """Return the value that a text stands for, where 0,6 is 0.6; raises `ValueError` as `check` does."""
        if isinstance(self.default, bool):
            value: Any = {"true": True, "false": False}.get(text.lower(), text)
        elif self.choices:
            value = text
        else:
            try:
                value = float(text.replace(",", "."))
            except ValueError:
                value = text
        return self.check(name, value)


def knob(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    stops: Sequence[float] = (),
    choices: Sequence[str] = (),
    symbol: str = "",
    unit: str = "",
    help: str = "",
    label: str = "",
) -> Any:
    """Declare a field of an experiment as a knob, from its parts or from a `Knob` that several experiments share.

    Where `label` says it all, it stands for `help`, too.
    """
    chosen = default if isinstance(default, Tuned) else None
    if chosen is not None:
        default = float(chosen)
    if isinstance(default, Knob):
        return field(default=default.default, metadata={"knob": default})
    if stops:
        low, high = min(stops), max(stops)
    numeric = not isinstance(default, bool) and not choices
    if numeric and (low is None or high is None):
        raise ValueError(f"a numeric knob (default {default!r}) needs low and high, or stops")
    declared = Knob(default, low, high, step, tuple(stops), tuple(choices), symbol, unit, help or label, label, chosen)
    return field(default=default, metadata={"knob": declared})


class Arm(str):
    """One of the things that an experiment compares: its role, with settings that are numbers or names of knobs.

    `Arm("method", strength="weight", memory=0.9)` is the text "method"; roles are baseline, method, rival, null,
    ablation and further. Which arms depend on which knob follows from the settings, see `unaffected`.
    """

    def __new__(cls, role: str, **settings: float | str) -> Arm:
        """Return the arm of a role with its settings."""
        made = super().__new__(cls, role)
        made.settings = settings
        return made

    settings: Mapping[str, float | str]

    def value(self, name: str, knobs: Mapping[str, Any], otherwise: float = 0.0) -> Any:
        """Return a setting as a number, given the values of all knobs; `otherwise` where the arm does not name it.

        Raises `ValueError` for a setting that names no knob.
        """
        setting = self.settings.get(name, otherwise)
        if not isinstance(setting, str):
            return setting
        if setting not in knobs:
            hint = nearest(setting, knobs, before="; ")
            raise ValueError(f"the setting {name} = {setting!r} of an arm names no knob{hint} ({', '.join(knobs)})")
        return knobs[setting]


def unaffected(arms: Mapping[str, Arm], knobs: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return, for each knob that settings of arms name, the arms that do not depend on it.

    A knob that no setting names is common: all arms depend on it.
    """
    free = {knob: tuple(name for name, arm in arms.items() if knob not in arm.settings.values()) for knob in knobs}
    return {knob: names for knob, names in free.items() if 0 < len(names) < len(arms)}
