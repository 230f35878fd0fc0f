"""What the cells of a notebook show."""

from __future__ import annotations

from dataclasses import dataclass

from reglab import notebook
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned

CANDIDATES = (0.1, 0.2, 0.4)


@dataclass(frozen=True)
class Compared(Experiment):
    weight: float = knob(tuned(0.2, CANDIDATES, "score"), low=0, high=1, step=0.1, symbol="λ", help="its weight")
    memory: float = knob(0.5, low=0, high=1, step=0.1, help="how much is kept")

    arms = {
        "plain": Arm("baseline"),
        "new": Arm("method", penalty="weight", memory="memory"),
        "a < b": Arm("rival", weight_decay=tuned(0.1, (0.01, 0.1, 1), "score"), shrinks=1),
        "random": "null",
    }


def test_arms_are_listed_with_roles_and_settings_and_how_these_were_chosen() -> None:
    assert notebook.arms(Compared()).text.splitlines() == [
        "plain: baseline",
        "new: the paper's method: weight λ = 0.2, chosen from 0.1, 0.2, 0.4; memory = 0.5",
        "a < b: rival: a cheaper way to the same end: weight decay = 0.1, chosen from 0.01, 0.1, 1",
        "random: null: it knows nothing",
    ]
    assert "<td" in notebook.arms(Compared()).html and "a &lt; b" in notebook.arms(Compared()).html


def test_a_knob_that_was_moved_is_no_chosen_one() -> None:
    assert "weight λ = 0.3; memory = 0.5" in notebook.arms(Compared(weight=0.3)).text
