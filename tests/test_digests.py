"""Digests by meaning, shown by editing the source of a small paper: what makes its results stale, and what does not."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

import reglab.papers
from reglab import catalogue, digests, measurements
from reglab.experiment import Experiment
from reglab.recordings import store, sweep

SHARED = '''
"""What two papers share."""


def halve(values):
    """Return half of the values."""
    return values / 2
'''

TOP = '''
"""Shrink a number: a paper for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reglab import data
from reglab.claims import Claim
from reglab.experiment import Experiment
from reglab.knobs import Knob, knob
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.papers.made import _shared
from reglab.papers.made._shared import halve
from reglab.pictures import Curves, Dots, View

if TYPE_CHECKING:
    from reglab.seeds import Seeds

PAPER = "the card"
STRENGTH = Knob(1.0, 0, 4, 0.5, symbol="λ", help="weight of the penalty")
COLOR = "blue"
ARMS = {"plain": "baseline", "shrunk": "method"}
'''

METHOD = '''
RATE = 0.1
WAYS = {"square": 2, "fourth": 4}
WAYS["sixth"] = 6


def power(w: Tensor) -> Tensor:
    """Return w²."""
    return w ** WAYS["square"]  # by name


def penalty(w: Tensor, last: float) -> Tensor:
    """Return the penalty, half of w²."""
    return halve(power(w)) + 0 * last


def loss(w: Tensor, target: Tensor, strength: Tensor) -> Tensor:
    """Return the loss."""
    from reglab.papers.made._shared import halve

    return halve((w - target) ** 2) + strength * penalty(w, 0)
'''

EXPERIMENTS = '''
class Base(Experiment):
    """What both experiments share."""

    def targets(self, seeds: Seeds) -> Tensor:
        """Return the targets."""
        return 1 + 0.1 * data.normal(seeds, "target", 1)[..., 0]


@dataclass(frozen=True)
class Shrink(Base):
    """Descend."""

    strength: float = knob(STRENGTH)
    factor: float = knob(1.0, stops=(0.5, 1.0, 2.0), symbol="f", help="times the target")

    arms = ARMS
    outputs = {
        "weight": Var("arm seed step", "weight", "the number that shrinks", unit="m", low=-10),
        "loss": Var("arm seed step", "loss", "the loss"),
        "error": Var("arm seed", "error", "the distance to the target"),
        "hidden": Var("seed step", "hidden", "the mean of both arms"),
    }
    _shown = ("plain", "shrunk")
    views = (
        View("Weight", (Curves("Does it shrink?", ["weight"], _shown), Dots("How much?", "error"))),
        View("Loss", (Curves("How large is the loss?", ["loss"], ["shrunk"]), Dots("And last?", "hidden"))),
    )
    headline = "weight"
    scaled = "nothing"
    smoke = {"strength": 2.0}
    grid = {"strength": (0.0, 1.0, 2.0), "factor": (0.5, 1.0)}
    unaffected = {"strength": ("plain",)}
    steps = 20
    _momentum = 0.5

    def axes(self) -> dict[str, Axis]:
        """Return the steps."""
        return {"step": Axis(range(self.steps), label="step", unit="steps")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Descend by hand."""
        target = self.factor * self.targets(seeds)
        strength = torch.tensor([self.strength if arm == "shrunk" else 0.0 for arm in self.arms]).unsqueeze(-1)
        w: Tensor = torch.zeros(len(self.arms), len(seeds), requires_grad=True)
        for step in range(self.steps):
            found = loss(w, target, strength)
            (slope,) = torch.autograd.grad(found.sum(), w)
            measured = {"weight": w.detach(), "loss": found.detach(), "hidden": w.detach().mean(0)}
            yield Frame({"step": step}, measured)
            yield Tick((step + 1) / self.steps)
            w = (w - RATE * (1 + self._momentum) * slope).detach().requires_grad_()
        yield Frame({}, {"error": (w - target).detach().abs()})


@dataclass(frozen=True)
class Longer(Base):
    """Use a number of another experiment."""

    factor: float = knob(1.0, stops=(0.5, 1.0, 2.0), help="times the target")

    outputs = {"weight": share("seed", "weight", "the target after so many halvings")}
    views = (View("Weight", (Dots("How large?", "weight"),)),)
    headline = "weight"

    def axes(self) -> dict[str, Axis]:
        """Return none."""
        return {}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Halve."""
        yield Frame({}, {"weight": _shared.halve(self.factor * self.targets(seeds)) / Shrink.steps})


EXPERIMENTS = (Shrink, Longer)
'''

CLAIMS = '''
def last(results, arm="shrunk"):
    """Return the last weight."""
    return results.weight.sel(arm=arm).isel(step=-1)


def least(effect):
    """Return the smaller effect of two runs."""
    return lambda one, other: min(effect(one), effect(other), key=lambda found: float(found.mean()))


def target_halved(results):
    return results.weight


KIND = {"group": "paper", "source": "zero"}

EXAM = 0

CLAIMS = (
    Claim("shrinks", Shrink, "The penalty makes it smaller", "In their Table 1 it is smaller",
          lambda r: last(r, "plain") - last(r), above=0.1, essential=True, **KIND),
    Claim("first", Shrink, "One", "It says so", lambda r: last(r), above=0, **KIND), Claim(
        "second", Shrink, "Two", "It says so", lambda r: last(r, "plain"), above=0, **KIND),
    *(Claim(f"more than {i}", Shrink, "Three", "It says so", lambda r, i=i: last(r, "plain") - i, above=0, **KIND)
      for i in (0.1, 0.2)),
    Claim("in both", Shrink, "Four", "It says so", least(lambda r: last(r)), above=0,
          at={"weak": {"strength": 0.5}, "strong": {"factor": 2.0}}, **KIND),
    Claim("longer", Longer, "Five", "It says so", target_halved, below=1, rule="every seed", seeds=5,
          why="it need not hold", **KIND),
)
'''

WORDS = '''
def draw_path(figure, results) -> str:
    """Draw the path."""
    figure.plot(results.weight, color=COLOR)
    return "A path."


def check_penalty(answer) -> str:
    """Check an exercise."""
    assert answer == power(3)
    return "Right."
'''

NAME = "made/tiny"
KEYS = ["shrinks", "first", "second", "more than 0.1", "more than 0.2", "in both", "longer"]
OF_SHRINK = KEYS[:-1]


class Lab:
    """A lab with a small paper in a folder of its own, whose source can be edited."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "made"
        self.folder.mkdir()

    def load(self, **texts: str) -> ModuleType:
        """Write files of the paper's part and import the paper again, as a new process would."""
        for name, text in {"__init__": "", "_shared": SHARED, **texts}.items():
            path = self.folder / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for name in [name for name in sys.modules if name.startswith("reglab.papers.made")]:
            del sys.modules[name]
        for cached in (digests._module, digests._read, digests._computed, store._read, store._steps, store._held):
            cached.cache_clear()
        importlib.invalidate_caches()
        return importlib.import_module("reglab.papers.made.tiny.experiments")

    def edit(self, *changes: tuple[str, str], shared: str = SHARED) -> ModuleType:
        """Load the paper, nearly all of it in one file, with some texts replaced by others."""
        text = TOP + METHOD + EXPERIMENTS + CLAIMS + WORDS
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        files = {"__init__": "", "experiments": text, "claims": "from .experiments import CLAIMS, EXAM\n"}
        return self.load(**{f"tiny/{name}": content for name, content in files.items()}, _shared=shared)


def bare_lab(folder: Path, patch: pytest.MonkeyPatch) -> Lab:
    """Return a lab where nothing was measured."""
    patch.setattr(sys, "dont_write_bytecode", True)
    patch.setattr(reglab.papers, "__path__", [*reglab.papers.__path__, str(folder)])
    patch.setattr(catalogue, "SLUGS", (*catalogue.SLUGS, NAME))
    patch.setattr(catalogue, "ROOT", folder)
    patch.setattr(store, "FOLDER", folder / "recorded")
    patch.setattr(sweep, "CACHE", folder / "cache")
    return Lab(folder)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a lab where nothing was measured."""
    return bare_lab(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Record and measure everything of the small paper, once; return both files."""
    with pytest.MonkeyPatch.context() as patch:
        bare_lab(tmp_path_factory.mktemp("lab"), patch).edit()
        path = measurements.write(NAME, measurements.measure(NAME))
        return sweep.record(NAME, jobs=1).read_bytes(), path.read_bytes()


@pytest.fixture
def lab(measured: tuple[bytes, bytes], bare: Lab) -> Lab:
    """Return a lab with everything recorded and measured."""
    bare.edit()
    for path, content in zip((store.path(NAME), measurements.path(NAME)), measured, strict=True):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    assert state() == ("", [])
    return bare


def state() -> tuple[str, list[str]]:
    """Return why the recording is stale, and which claims are."""
    return store.stale(catalogue.experiment(NAME)), measurements.outdated(NAME)


# ----------------------------------------------------------------------------------------- what makes nothing stale


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("weight of the penalty", "how much the penalty counts"),
        ('Knob(1.0, 0, 4, 0.5, symbol="λ"', 'Knob(1.0, 0, 8, 0.25, symbol="γ", unit="kg"'),
        ('stops=(0.5, 1.0, 2.0), symbol="f"', 'stops=(0.5, 1.0, 2.0, 4.0), symbol="φ"'),
        ('"weight", "the number that shrinks", unit="m", low=-10', '"w", "another text", unit="cm", low=-20'),
        ('label="step", unit="steps"', 'label="steps of descent"'),
        ('"""Return the loss."""', '"""Return what is minimized.\n\n    In two terms.\n    """'),
        ('    """Return w²."""\n', ""),
        ("  # by name", "  # a comment"),
        ("def loss(w: Tensor, target: Tensor, strength: Tensor) -> Tensor:", "def loss(w, target, strength):"),
        ("w: Tensor = torch.zeros(len(self.arms), len(seeds)", "w = torch.zeros(len(self.arms),\n        len(seeds)"),
        ("import torch\n", "import math\n\nimport torch\n"),
        ("color=COLOR", "color=COLOR, linewidth=2"),
        ('COLOR = "blue"', 'COLOR = "red"'),
        ("answer == power(3)", "answer == power(4)"),
        ('PAPER = "the card"', 'PAPER = "another card"'),
        ("Does it shrink?", "Does it become smaller?"),
        ('Dots("How much?", "error")', 'Dots("How far?", "error", ["shrunk"])'),
        ('_shown = ("plain", "shrunk")', '_shown = ("shrunk",)'),
        ('Curves("How large is the loss?", ["loss"], ["shrunk"])', 'Dots("How large?", "loss", ["shrunk"])'),
        ('headline = "weight"', 'headline = "error"'),
        ('scaled = "nothing"', 'scaled = "all of it"'),
        ('smoke = {"strength": 2.0}', "spot_tolerance = 0.5"),
        ('"shrunk": "method"}', '"shrunk": "rival"}'),
        ("The penalty makes it smaller", "It is smaller with the penalty"),
        ("In their Table 1 it is smaller", "It is said in Table 1"),
        ("above=0.1, essential=True,", 'above=0.1, robust=True, why="few seeds",'),
        ('{"group": "paper", "source": "zero"}', '{"group": "control", "source": "pilot"}'),
        ('at={"weak": {"strength": 0.5}', 'at={"a weak penalty": {"strength": 0.5}'),
        ("why=\"it need not hold\"", "essential=True"),
        ("EXPERIMENTS = (Shrink, Longer)", "def unused() -> int:\n    return 3\n\n\nEXPERIMENTS = (Longer, Shrink)"),
    ],
)  # fmt: skip
def test_words_and_pictures_make_nothing_stale(lab: Lab, old: str, new: str) -> None:
    module = lab.edit((old, new))
    assert (store.stale(module.Shrink), measurements.outdated(NAME)) == ("", [])
    assert not measurements.stale(NAME) and store.has(module.Shrink())


def test_an_order_of_claims_and_outputs_makes_nothing_stale(lab: Lab) -> None:
    lab.edit(
        ("\n\ndef draw_path", "\nCLAIMS = CLAIMS[::-1]\n\n\ndef draw_path"),
        ("    headline = ", "    outputs = dict(reversed(outputs.items()))\n    headline = "),
    )
    assert state() == ("", [])
    content = measurements.read(NAME)
    assert content is not None and [record["key"] for record in content["claims"]] == KEYS[::-1]


def test_results_speak_with_the_words_of_today(lab: Lab) -> None:
    before = store.read(catalogue.experiment(NAME))
    lab.edit(
        ('"weight", "the number that shrinks", unit="m", low=-10', '"w", "another text", unit="cm"'),
        ('label="step", unit="steps"', 'label="steps of descent"'),
        ("The penalty makes it smaller", "It is smaller with the penalty"),
        ("In their Table 1 it is smaller", "It is said in Table 1"),
        ("above=0.1, essential=True,", "above=0.1,"),
        ('scaled = "nothing"', 'scaled = "all of it"'),
    )
    after, content = store.read(catalogue.experiment(NAME)), measurements.read(NAME)
    assert before is not None and after is not None and content is not None
    words = {"units": "cm", "long_name": "w", "description": "another text"}
    assert words.items() <= after.weight.attrs.items() and "low" not in after.weight.attrs
    assert after.step.attrs == {"long_name": "steps of descent", "units": "1", "log": 0}
    assert before.weight.attrs["low"] == -10 and before.equals(after)
    assert content["claims"][0].items() >= {
        "claim": "It is smaller with the penalty", "reported": "It is said in Table 1", "essential": False,
        "scaled": "all of it", "verdict": "holds",
    }.items()  # fmt: skip


# ------------------------------------------------------------------------------------------------ what does make stale


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("strength * penalty(w, 0)", "strength * 2 * penalty(w, 0)"),
        ("return w ** WAYS", "return 2 * w ** WAYS"),
        ('{"square": 2, "fourth"', '{"square": 4, "fourth"'),
        ('WAYS["sixth"] = 6', 'WAYS["square"] = 6'),
        ("RATE = 0.1", "RATE = 0.2"),
        ("Knob(1.0, 0, 4", "Knob(2.0, 0, 4"),
        ("knob(1.0, stops=(0.5, 1.0, 2.0), symbol", "knob(0.5, stops=(0.5, 1.0, 2.0), symbol"),
        ('"shrunk"', '"smaller"'),
        ('ARMS = {"plain": "baseline", "shrunk": "method"}', 'ARMS = {"shrunk": "method", "plain": "baseline"}'),
        ('"hidden"', '"mean"'),
        ("steps = 20", "steps = 30"),
        ("_momentum = 0.5", "_momentum = 0.6"),
        ("1 + 0.1 * data.normal", "1 + 0.2 * data.normal"),
        ('"target", 1)', '"goal", 1)'),
        ("class Shrink(Base)", "class Shrink(Base, Mixin)"),
        ("range(self.steps), label", "range(0, 2 * self.steps, 2), label"),
    ],
)  # fmt: skip
def test_what_is_computed_makes_recording_and_claims_stale(lab: Lab, old: str, new: str) -> None:
    module = lab.edit((old, new), ("class Base(Experiment)", "class Mixin:\n    pass\n\n\nclass Base(Experiment)"))
    assert store.stale(module.Shrink) == "the code of the paper has changed"
    assert not store.has(module.Shrink()) and measurements.stale(NAME)
    assert set(OF_SHRINK) <= set(measurements.outdated(NAME))


def test_a_shared_function_makes_both_experiments_stale(lab: Lab) -> None:
    lab.edit(shared=SHARED.replace("/ 2", "* 0.5"))
    assert state() == ("the code of the paper has changed", KEYS)
    lab.edit(shared=SHARED.replace("Return half of the values", "Say something else") + "\n\nUNUSED = 3\n")
    assert state() == ("", [])


def test_only_the_experiment_that_uses_it_becomes_stale(lab: Lab) -> None:
    lab.edit(("self.targets(seeds)) / Shrink.steps", "self.targets(seeds)) / Shrink.steps / 2"))
    assert state() == ("", ["longer"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('grid = {"strength": (0.0, 1.0, 2.0)', 'grid = {"strength": (0.0, 1.0, 3.0)'),
        ('"factor": (0.5, 1.0)}', '"factor": (0.5, 1.0, 2.0)}'),
        ('unaffected = {"strength": ("plain",)}', "unaffected = {}"),
    ],
)
def test_another_grid_makes_the_recording_stale_and_no_claim(lab: Lab, old: str, new: str) -> None:
    lab.edit((old, new))
    assert state() == ("its grid has changed", [])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('["loss"], ["shrunk"])', '["loss"])'),
        ('Dots("And last?", "hidden")', 'Curves("And before?", ["hidden"])'),
        ('    headline = "weight"\n    scaled', '    outputs = outputs\n    headline = "more"\n    scaled'),
    ],
)
def test_a_picture_of_what_was_not_recorded_makes_the_recording_stale(lab: Lab, old: str, new: str) -> None:
    module = lab.edit((old, new))
    assert state() == ("a picture shows what was not recorded", [])
    assert store.at(module.Shrink()) is None


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("above=0.1, essential", "above=0.2, essential", ["shrinks"]),
        ("below=1, rule", "above=1, rule", ["longer"]),
        ("below=1, rule", "within=(0, 1), rule", ["longer"]),
        ('rule="every seed"', 'rule="interval"', ["longer"]),
        ("seeds=5", "seeds=6", ["longer"]),
        ('{"strength": 0.5}', '{"strength": 0.75}', ["in both"]),
        ('last(r, "plain") - last(r)', 'last(r, "plain") + last(r)', ["shrinks"]),
        ("lambda r: last(r), above", "lambda r: -last(r), above", ["first"]),
        ('lambda r: last(r, "plain"), above', 'lambda r: -last(r, "plain"), above', ["second"]),
        ('last(r, "plain") - i', 'last(r, "plain") - 2 * i', ["more than 0.1", "more than 0.2"]),
        ("least(lambda r: last(r))", "least(lambda r: 2 * last(r))", ["in both"]),
        ("effect(one), effect(other),", "effect(one), 2 * effect(other),", ["in both"]),
        ("return results.weight\n", "return 2 * results.weight\n", ["longer"]),
        ("isel(step=-1)", "isel(step=-2)", OF_SHRINK),
        ("target_halved, below", "lambda r: target_halved(r), below", ["longer"]),
        ("isel(step=-1)", "isel(step=-1) * len(Longer.outputs)", OF_SHRINK),
    ],
)
def test_a_changed_effect_or_bound_makes_its_claims_stale(lab: Lab, old: str, new: str, keys: list[str]) -> None:
    lab.edit((old, new))
    assert state() == ("", keys) and measurements.stale(NAME)


def test_a_question_is_the_claim_without_the_code_of_the_experiment(lab: Lab) -> None:
    def asked() -> list[str]:
        return [digests.of_question(claim) for claim in catalogue.claims(NAME)]

    before = asked()
    lab.edit(("strength * penalty(w, 0)", "strength * 2 * penalty(w, 0)"), ("above=0.1, essential=True,", "above=0.1,"))
    assert asked() == before and set(OF_SHRINK) <= set(measurements.outdated(NAME))
    for old, new in (
        ("above=0.1, essential", "above=0.2, essential"),
        ('last(r, "plain") - last(r)', 'last(r, "plain") + last(r)'),
        ('Claim("shrinks", Shrink', 'Claim("shrinks", Longer'),
    ):
        lab.edit((old, new))
        assert [one == other for one, other in zip(asked(), before, strict=True)] == [False] + 6 * [True]


def test_a_null_arm_makes_the_claims_stale_that_it_is_to_fail(lab: Lab) -> None:
    lab.edit(('"plain": "baseline", "shrunk": "method"}', '"plain": "null", "shrunk": "method"}'))
    assert state() == ("", ["shrinks"]), "the essential one"


def test_values_that_an_effect_was_made_with_count(lab: Lab) -> None:
    lab.edit(('f"more than {i}"', 'f"more than {min(i, 0.2)}"'), ("(0.1, 0.2)", "(0.1, 0.3)"))
    assert state() == ("", ["more than 0.2"])


def test_a_claim_that_is_new_or_gone_makes_the_file_stale(lab: Lab) -> None:
    lab.edit(('Claim("first"', 'Claim("another"'))
    content = measurements.read(NAME)
    assert state() == ("", ["another"]) and content is not None and content["stale"]
    assert "first" not in [record["key"] for record in content["claims"]]
    lab.edit(("\n\ndef draw_path", "\nCLAIMS = CLAIMS[1:]\n\n\ndef draw_path"))
    assert measurements.stale(NAME) and measurements.outdated(NAME) == []
    measurements.write(NAME, [], why="it was said twice")
    assert not measurements.stale(NAME)
    lab.edit()
    assert measurements.outdated(NAME) == ["shrinks"]


# --------------------------------------------------------------------------------------------------- where code lies


def test_moving_code_to_other_files_changes_no_digest(bare: Lab) -> None:
    def found() -> tuple[list[str], list[str]]:
        experiments, declared = catalogue.experiments(NAME), catalogue.claims(NAME)
        return [digests.of_experiment(cls) for cls in experiments], [digests.of_claim(claim) for claim in declared]

    bare.edit()
    before = found()
    here = "from reglab.papers.made.tiny"
    called = EXPERIMENTS.replace("loss(w,", "minimized(w,").replace("RATE *", "method.RATE *")
    files = {
        "method": TOP + METHOD,
        "experiments": TOP + f"{here} import method\n{here}.method import loss as minimized\n" + called,
        "claims": TOP + "from .experiments import Longer, Shrink\n" + CLAIMS,
    }
    bare.load(**{f"tiny/{name}": text for name, text in files.items()})
    assert found() == before
    files["method"] = files["method"].replace("return w **", "return 2 * w **")
    bare.load(**{f"tiny/{name}": text for name, text in files.items()})
    assert not set(found()[0]) & set(before[0])


def test_an_experiment_outside_the_papers_has_no_digest() -> None:
    assert digests.of_experiment(Experiment) == ""


# -------------------------------------------------------------------------------------------------- the papers we have


def all_digests() -> list[str]:
    found = [digests.of_experiment(cls) for name in SLUGS for cls in catalogue.experiments(name)]
    return found + [digests.of_claim(claim) for name in SLUGS for claim in catalogue.claims(name)]


SLUGS = catalogue.SLUGS


def test_all_digests_of_the_lab_differ() -> None:
    found = all_digests()
    assert len(set(found)) == len(found) and all(re.fullmatch("[0-9a-f]{16}", one) for one in found)


@pytest.mark.parametrize("seed", ["1", "2"])
def test_digests_are_the_same_in_every_process(seed: str) -> None:
    code = "import test_digests; print(*test_digests.all_digests())"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == all_digests()


def test_digests_are_the_same_in_several_threads() -> None:
    kinds = [cls for name in SLUGS for cls in catalogue.experiments(name)]
    before = [digests.of_experiment(cls) for cls in kinds]
    for cached in (digests._module, digests._read, digests._computed):
        cached.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(digests.of_experiment, kinds)) == before


@pytest.mark.parametrize("name", SLUGS)
def test_no_experiment_depends_on_card_pictures_exercises_or_claims(name: str) -> None:
    files = [
        part for part in ("pictures", "exercises") if (catalogue.PACKAGE / "papers" / name / f"{part}.py").is_file()
    ]
    modules = [catalogue.module(name, part) for part in files]
    elsewhere = {one for module in modules for one, it in vars(module).items() if _home(it) == module.__name__}
    assert any(one.startswith("check_") for one in elsewhere)
    for cls in catalogue.experiments(name):
        named = {one for one, _ in digests._closure([(cls.__module__, cls.__name__)])}
        assert {f"{cls.__name__}.frames", f"{cls.__name__}.axes"} & named or cls.__base__ is not Experiment
        assert not named & {*elsewhere, "PAPER", "CLAIMS"}


def _home(it: object) -> str:
    return str(getattr(it, "__module__", ""))


# ------------------------------------------------------------------------------------------------------ code as it is

SOURCE = '''
"""A module."""
# a comment
X = 3

def f(a, *, b=None):
    """Say something."""
    return {"k": a, **b}[0:1]

class C:
    """A class."""
    name: str = "n"
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another one"),
        ('"""A module."""', '"""Another text."""'),
        ('"""Say something."""', ""),
        ('    """A class."""\n', ""),
        ("X = 3", "X   =   (3)"),
        ('{"k": a, **b}', "{\n  'k': a,\n  **b,\n}"),
        ("(a, *, b=None)", "(a: int, *, b: dict | None = None) -> dict"),
    ],
)
def test_comments_docstrings_annotations_and_formatting_do_not_count(old: str, new: str) -> None:
    assert old in SOURCE
    assert digests.of_code(SOURCE.replace(old, new)) == digests.of_code(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X = 3", "X = 3.0"),
        ("X = 3", "X = '3'"),
        ("X = 3", "Y = 3"),
        ("b=None", "b"),
        ("*, b", "b"),
        ("[0:1]", "[0::1]"),
        ('"k"', '"l"'),
        ("def f", "async def f"),
        ("name: str =", "name ="),
        ("return", "yield"),
    ],
)
def test_code_counts(old: str, new: str) -> None:
    assert old in SOURCE
    assert digests.of_code(SOURCE.replace(old, new)) != digests.of_code(SOURCE)


def test_which_argument_has_a_default_counts() -> None:
    assert digests.of_code("def f(*, a, b=1): pass") != digests.of_code("def f(*, a=1, b): pass")
