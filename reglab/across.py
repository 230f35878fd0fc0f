"""An experiment at several values of one of its knobs, which becomes an axis of the results."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from reglab.experiment import Experiment
from reglab.knobs import knob as declare
from reglab.results import Axis, Frame, Tick
from reglab.seeds import Seeds
from reglab.training import within


class Across(Experiment):
    """Some outputs of an experiment, its sibling, along one of its knobs; all other knobs are those of the sibling.

        class AcrossNoise(Across, sibling=Memorization, knob="noise",
                          values=Axis((0, 0.4, 0.8)), outputs=("test_accuracy",)):

    Arms, what was scaled down and which outputs may be NaN are the sibling's, too; views, headline and smoke are
    declared in the class. The sibling runs once for each value; it finds the outputs that are asked for in
    `self.outputs` and may leave out the others. Raises `KeyError` for a knob or an output that it does not have.
    """

    sibling: ClassVar[type[Experiment]]
    knob: ClassVar[str]
    values: ClassVar[Axis]

    if TYPE_CHECKING:  # the fields are known only when the class is made

        def __init__(self, **settings: Any) -> None: ...

    def __init_subclass__(cls, sibling: type[Experiment], knob: str, values: Axis, outputs: Sequence[str]) -> None:
        for name, known in ((knob, sibling.knobs()), *((name, sibling.outputs) for name in outputs)):
            if name not in known:
                raise KeyError(f"{cls.__name__}: {sibling.__name__} has no {name!r}; it has: {', '.join(known)}")
        cls.sibling, cls.knob, cls.values = sibling, knob, values
        chosen = {name: sibling.outputs[name] for name in outputs}
        cls.outputs = {name: dataclasses.replace(var, axes=f"{var.axes} {knob}") for name, var in chosen.items()}
        cls.arms = sibling.arms if any("arm" in var.dims for var in chosen.values()) else {}
        cls.may_be_nan = [name for name in outputs if name in sibling.may_be_nan]
        cls.scaled = sibling.scaled
        super().__init_subclass__()
        cls.__annotations__ = {name: object for name in sibling.knobs() if name != knob}
        for name in cls.__annotations__:
            setattr(cls, name, declare(sibling.knobs()[name]))
        dataclasses.dataclass(frozen=True)(cls)

    def at(self, value: Any) -> Experiment:
        """Return the sibling at a value of its knob, with the arms and the outputs that are asked for."""
        chosen = self.sibling.make({**self.settings(), self.knob: value})
        chosen = chosen.only(self.arms) if self.arms else chosen
        object.__setattr__(chosen, "outputs", {name: chosen.outputs[name] for name in self.outputs})
        return chosen

    def axes(self) -> dict[str, Axis]:
        """Return the axes of the sibling that its outputs have, and that of the knob."""
        used = {dim for var in self.outputs.values() for dim in var.dims}
        inner = self.at(self.values.values[0]).axes()
        return {**{name: axis for name, axis in inner.items() if name in used}, self.knob: self.values}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Run the sibling at each value."""
        count = len(self.values.values)
        for i, value in enumerate(self.values.values):
            for event in within(self.at(value).frames(seeds), i / count, (i + 1) / count):
                if isinstance(event, Tick):
                    yield event
                elif found := {name: one for name, one in event.values.items() if name in self.outputs}:
                    yield Frame({**event.at, self.knob: i}, found)
            yield Tick((i + 1) / count)
