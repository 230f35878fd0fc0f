"""What every paper of the catalogue keeps to: its files, its card, its experiments, its claims, its notebook.

Each experiment is run once in single precision and once for each setting that must equal its baseline, in double
precision; all tests share these runs. Tests that need more of them are deep: they run for one paper at a time.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import itertools
import math
import random
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jupytext
import nbformat
import numpy as np
import pybtex.database
import pytest
import sklearn.datasets  # noqa: F401 - loading it draws from Python's random numbers, which a run must not do
import torch
import xarray as xr
from code_lines import code_lines
from draws import twice_the_digits

from reglab import catalogue, claims, measurements, training
from reglab.catalogue import ROOT
from reglab.cli.new import MARK
from reglab.effects import end
from reglab.experiment import Experiment
from reglab.knobs import Arm, Knob, Tuned
from reglab.knobs import knob as declare
from reglab.notebook import check
from reglab.pictures import Curves, Dots, Line, Panel, Shares
from reglab.pictures.chart import Chart
from reglab.pictures.style import ROLES, styles
from reglab.pictures.words import sentence as said_of
from reglab.pictures.words import typeset
from reglab.recordings import alarms, store
from reglab.site import replay

NAMES = catalogue.SLUGS
EXPERIMENTS: list[type[Experiment]] = [cls for name in NAMES for cls in catalogue.experiments(name)]
HEADINGS = ["The idea", "The method", "The experiment", "Explore", "Does it hold?", "Exercises", "What was scaled down"]

FLAGSHIPS = 8
"""So many papers at most are flagships."""

HANDWRITTEN = 3
"""So many experiments of a paper at most have `frames` of their own; others are derived from these."""


class Budget(NamedTuple):
    """How long a paper may be: lines of code of its folder and of its method, claims, and how many usual notebooks."""

    folder: int
    method: int
    claims: int
    notebook: float


BUDGETS = {False: Budget(350, 150, 12, 1), True: Budget(500, 230, 18, 1.5)}
"""The budget of a paper that is no flagship, and of one that is."""

every_paper = pytest.mark.parametrize("name", NAMES)
every_experiment = pytest.mark.parametrize("cls", EXPERIMENTS, ids=lambda cls: f"{cls.paper()}:{cls.__name__}")


@dataclass
class Watched:
    """A run with two seeds, and what was seen on its way.

    How far it was at each frame and tick, how many results were known at each frame, and whether the global states of
    random numbers are as they were, and gradients switched on at each frame and tick.
    """

    data: xr.Dataset
    fractions: list[float]
    known: list[int]
    untouched: bool


@functools.cache
def watched(setting: Experiment) -> Watched:
    """Run an experiment with two seeds, once for all tests."""

    def state() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]

    before, fractions, known, gradients = state(), [], [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "PAUSE", -1)  # a tick after every step, however fast the machine is
        for snapshot in setting.stream((0, 1)):
            gradients.append(torch.is_grad_enabled())
            fractions.append(snapshot.fraction)
            if snapshot.grew:
                known.append(sum(int(np.isfinite(values).sum()) for values in snapshot.data.data_vars.values()))
    return Watched(snapshot.data, fractions, known, state() == before and all(gradients))


def smallest(cls: type[Experiment]) -> Experiment:
    """Return an experiment at its `smoke` setting."""
    return cls.make(cls.smoke)


def run(cls: type[Experiment]) -> xr.Dataset:
    """Return the results of the run at the `smoke` setting that all tests share."""
    return watched(smallest(cls)).data


def in_double_precision(experiment: Experiment, seeds: tuple[int, ...]) -> xr.Dataset:
    """Run so that what should be equal is, and rounding turns no ReLU, class or box."""
    with twice_the_digits():
        return experiment.run(seeds)


_precisely = functools.cache(in_double_precision)


def precisely(cls: type[Experiment], settings: Mapping[str, Any] | None = None, *seeds: int) -> xr.Dataset:
    """Run as `run` does, in double precision, once for all tests."""
    return _precisely(cls.make({**cls.smoke, **(settings or {})}), seeds or (0, 1))


def assert_same(one: xr.DataArray, other: xr.DataArray, what: str) -> None:
    """Compare results of two precise runs; they may differ by the order of sums only."""
    np.testing.assert_allclose(one, other, atol=1e-8, rtol=1e-5, err_msg=what)


def words(text: str) -> int:
    """Count the words of a text without formulas, code and tags."""
    plain = re.sub(r"\$\$.*?\$\$|\$.*?\$|```.*?```|<[^>]+>", " ", text, flags=re.S)
    return len(re.findall(r"[^\W\d_][\w'’-]*", plain))


# ----------------------------------------------------------------------------------------------- files and cards


@every_paper
def test_everything_of_a_paper_is_where_its_name_says(name: str) -> None:
    part, slug = name.split("/")
    for path in (
        *(f"reglab/papers/{name}/{file}.py" for file in ("__init__", "method", "experiments", "claims", "exercises")),
        f"lab/{name}.py",
        f"lab/{name}.ipynb",
        f"tests/papers/{part}/test_{slug}.py",
        f"data/claims/{name}.json",
    ):
        assert (ROOT / path).is_file(), f"{path} is missing"


@every_paper
def test_all_that_is_asked_of_a_paper_is_asked_in_one_process(name: str, request: pytest.FixtureRequest) -> None:
    if not hasattr(request.config, "workerinput"):  # which pytest-xdist gives each of its processes
        pytest.skip("there is one process only")
    assert request.node.nodeid.endswith(f"@test_papers:{name}")


def test_every_module_notebook_test_and_claims_file_belongs_to_a_paper() -> None:
    found = {
        path.relative_to(ROOT / folder).with_suffix("").as_posix().replace("/test_", "/")
        for folder in ("reglab/papers", "lab", "tests/papers", "data/claims", "data/recorded")
        for path in (ROOT / folder).glob("*/[!_.]*")
        if path.name != "test_shared.py"  # of what the papers of a part share
        if path.is_dir() or path.suffix in (".py", ".ipynb", ".json", ".nc")
    }
    assert found == set(NAMES)
    files = {path.name for name in NAMES for path in (ROOT / "reglab" / "papers" / name).glob("*.py")}
    assert files <= {f"{one}.py" for one in ("__init__", "method", "experiments", "claims", "exercises", "pictures")}


@every_paper
def test_the_card_is_filled(name: str) -> None:
    card = catalogue.paper(name)
    assert card.name == name
    assert re.fullmatch(r"\d{4}\.\d{4,5}|", card.arxiv) and re.fullmatch(r"https://\S+|", card.code)
    assert 2010 <= card.year <= 2030 and 5 <= card.minutes <= 90 and card.level in catalogue.LEVELS
    assert card.venue and card.authors and all(len(author.split()) >= 2 for author in card.authors)
    assert 1 <= len(card.prerequisites) <= 5 and all(1 <= words(one) <= 8 for one in card.prerequisites)
    assert len(card.title) > len(card.short) >= 2 and len(card.short) <= 20
    assert 10 <= words(card.idea) <= 40 and card.idea.endswith(".") and ". " not in card.idea
    assert 5 <= words(card.sources) <= 60


@every_paper
def test_nothing_is_left_to_write(name: str) -> None:
    """What `reglab new` has marked is written, and its mark is gone."""
    part, slug = name.split("/")
    paths = [*(ROOT / "reglab" / "papers" / name).glob("*.py"), ROOT / "lab" / f"{name}.py"]
    paths += [ROOT / "tests" / "papers" / part / f"test_{slug}.py"]
    lines = [(path, *line) for path in paths for line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)]
    lines += reference(slug)
    left = [
        f"{path.relative_to(ROOT)}:{number}: {line.partition(MARK)[2]}" for path, number, line in lines if MARK in line
    ]
    assert not left, f"still to write, each in place of its mark {MARK!r}:\n" + "\n".join(left)


def reference(slug: str) -> list[tuple[Path, int, str]]:
    """Return the lines of a paper's entry in the bibliography, with their numbers."""
    path = ROOT / "book" / "references.bib"
    found: list[tuple[Path, int, str]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if found or re.match(rf"@\w+{{{slug},", line):
            found.append((path, number, line))
        if found and line == "}":
            break
    return found


def test_the_bibliography_can_be_read_and_names_every_paper() -> None:
    """Two branches that each add an entry are easily merged into one without its last brace."""
    entries = pybtex.database.parse_file(str(ROOT / "book" / "references.bib")).entries
    assert {name.split("/")[1] for name in NAMES} <= set(entries)


@every_paper
def test_a_paper_keeps_to_its_budget(name: str) -> None:
    budget, folder = BUDGETS[catalogue.paper(name).flagship], ROOT / "reglab" / "papers" / name
    lines = {path.stem: code_lines(path.read_text(encoding="utf-8")) for path in folder.glob("*.py")}
    tree = ast.parse((folder / "experiments.py").read_text(encoding="utf-8"))
    written = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "frames"]
    counted = {
        "lines of code in its folder": (sum(lines.values()), budget.folder),
        "lines of code in method.py": (lines["method"], budget.method),
        "claims": (len(catalogue.claims(name)), budget.claims),
        "experiments with frames of their own": (len(written), HANDWRITTEN),
    }
    over = [f"{count} {what}, at most {most}" for what, (count, most) in counted.items() if count > most]
    assert not over, f"reglab/papers/{name} has {'; '.join(over)}"


def test_few_papers_are_flagships() -> None:
    flagships = [paper.name for paper in catalogue.papers() if paper.flagship]
    assert len(flagships) <= FLAGSHIPS, f"only {FLAGSHIPS} papers may be flagships: {', '.join(flagships)}"


@every_paper
def test_every_experiment_is_on_the_page_or_in_a_claim(name: str) -> None:
    shown = "\n".join(cell.source for cell in cells(name, "code"))
    used = {claim.of for claim in catalogue.claims(name)}
    for cls in catalogue.experiments(name):
        assert cls in used or re.search(rf"\bexperiments\.{cls.__name__}\b", shown), f"nothing uses {cls.__name__}"


@every_paper
def test_a_paper_imports_no_other_paper_and_says_its_departures(name: str) -> None:
    folder = ROOT / "reglab" / "papers" / name
    trees = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in folder.glob("*.py")}
    imported = [one for tree in trees.values() for one in _imports(tree)]
    part = f"reglab.papers.{name.split('/')[0]}"
    allowed = (f"{part}._shared", f"{part}.{name.split('/')[1]}.")
    assert not [one for one in imported if one.startswith("reglab.papers") and not one.startswith(allowed)]
    assert _imports(trees["__init__"]) == ["reglab.catalogue.Paper"], "a card loads nothing heavy"
    assert "Departures from the paper" in (ast.get_docstring(trees["__init__"]) or "")


@pytest.mark.parametrize("path", catalogue.core(), ids=lambda path: path.relative_to(ROOT / "reglab").as_posix())
def test_the_core_names_no_paper(path: Path) -> None:
    assert not [one for one in _imports(ast.parse(path.read_text(encoding="utf-8"))) if "reglab.papers" in one]


def _imports(tree: ast.Module) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


# ------------------------------------------------------------------------------------------------ declarations


@every_experiment
def test_knobs_and_outputs_are_explained(cls: type[Experiment]) -> None:
    assert cls.__doc__ and cls.scaled and cls.headline in cls.outputs
    for name, knob in cls.knobs().items():
        assert 2 <= words(knob.help) <= 20, name
        assert knob.check(name, knob.default) == knob.default
        assert isinstance(knob.default, bool) or knob.choices or knob.step or knob.default in knob.stops, name
    for name, var in cls.outputs.items():
        assert var.label and var.unit and 3 <= words(var.help) <= 25, name
        assert set(var.dims) <= {"arm", "seed", *cls().axes()}, name
        assert "arm" not in var.dims or cls.arms, name
    for axis in cls().axes().values():
        assert axis.unit and len(axis.values)


GREEK = {unicodedata.name(chr(code), "").split()[-1].lower().replace("lamda", "lambda") for code in range(0x3B1, 0x3CA)}


@every_experiment
def test_a_knob_is_called_by_words_and_its_symbol_is_typeset(cls: type[Experiment]) -> None:
    """`tie β`, not `beta β`; no abbreviation of two letters; and below the line what the symbol has there."""
    for name, declared in cls.knobs().items():
        said = re.findall(r"[a-z]+", declared.words(name).lower().replace("d²", "").replace("h₀", ""))
        assert said and not set(said) & GREEK, declared.full(name)
        assert all(len(word) > 2 or word in ("of", "by", "to", "in", "on") for word in said), declared.full(name)
        plain = re.sub(r"\$.+?\$", "", typeset(declared.full(name)))
        assert "_" not in plain + replay.typeset(declared.full(name)), declared.full(name)


@every_experiment
def test_a_pair_of_arms_has_one_baseline_and_one_method(cls: type[Experiment]) -> None:
    roles = list(cls.arms.values())
    assert not roles or (roles.count("baseline") == 1 and roles.count("method") == 1)
    assert set(roles) <= {*ROLES, "ablation", "further"} and len(styles(cls.arms)) == len(cls.arms)


@every_paper
def test_a_method_has_a_rival_or_the_card_says_why_there_is_none(name: str) -> None:
    compared = {cls.__name__: cls for cls in catalogue.experiments(name) if "method" in cls.arms.values()}
    without = {label for label, cls in compared.items() if "rival" not in cls.arms.values()}
    said = catalogue.paper(name).no_rival
    assert all(5 <= words(reason) <= 40 for reason in said.values())
    assert set(said) == without, "a rival, or a sentence in `no_rival` of the card why there is none"


def chosen(cls: type[Experiment]) -> list[tuple[str, str, Tuned]]:
    """Return what an experiment has chosen: for each number the arm it belongs to, its setting, and itself.

    The default of a knob belongs to the method.
    """
    found, knobs = [], cls.knobs()
    for name, arm in cls.arms.items():
        for setting, value in arm.settings.items():
            of_knob = knobs[value].tuned if value in knobs and arm == "method" else None
            number = value if isinstance(value, Tuned) else of_knob
            if number is not None:
                found.append((name, setting, number))
    return found


@pytest.mark.deep
@every_experiment
def test_no_other_candidate_is_better_than_the_chosen_one(cls: type[Experiment]) -> None:
    """Beyond luck, and beyond what another processor makes of a long training (`alarms.CHOICE`)."""
    found = chosen(cls)
    for name, setting, number in found:
        settings = cls.arms[name].settings
        scores = {}
        for value in number.over:
            tried = cls().only([name])
            object.__setattr__(tried, "arms", {name: Arm(cls.arms[name], **{**settings, setting: value})})
            scores[value] = end(number.on, name)(tried.run(8)).values
        level = alarms.CHOICE / sum(len(one.over) for _, _, one in found)
        for value in number.over:
            better = alarms.excess(scores[value] - scores[number], level)
            assert better <= 0, f"{name}: {setting} = {value:g} is better than {number:g}"


CHOSEN_APART = "test_what_settings_are_chosen_by_depends_on_no_test_data"
"""A test of this name has each paper that has chosen settings and does not learn digits."""


@every_experiment
def test_what_settings_are_chosen_by_depends_on_no_test_label(
    cls: type[Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = {number.on for _, _, number in chosen(cls)}
    if not judged:
        return
    from reglab import data

    digits = data.digits

    def other_labels(*arguments: Any, **options: Any) -> data.Split:
        split = digits(*arguments, **options)
        return dataclasses.replace(split, test_labels=split.test_labels.flip(1))

    here = smallest(cls).run(2)
    monkeypatch.setattr(data, "digits", other_labels)
    there = smallest(cls).run(2)
    if here.equals(there):  # no digits: the paper's own test does the same with its data
        own = (ROOT / "tests" / "papers" / f"{cls.paper().replace('/', '/test_')}.py").read_text(encoding="utf-8")
        assert f"def {CHOSEN_APART}" in own
    for name in judged:
        assert here[name].equals(there[name]), f"{name} depends on labels of test digits"


@every_experiment
def test_settings_named_in_declarations_are_valid(cls: type[Experiment]) -> None:
    assert cls.make(cls.smoke) != cls() or not cls.smoke
    for settings, arm in cls.equals_baseline:
        cls.make(settings)
        assert cls.arms[arm] != "baseline"
    assert set(cls.may_be_nan) <= set(cls.outputs)
    if cls.grid:
        combinations = list(itertools.product(*cls.grid.values()))
        assert 25 <= len(combinations) <= 35
        for values in combinations:
            cls.make(dict(zip(cls.grid, values, strict=True)))
        assert tuple(cls().settings()[knob] for knob in cls.grid) in combinations
        assert len(cls.grid) == 2 and all(5 <= len(stops) <= 7 for stops in cls.grid.values())
        for knob, stops in cls.grid.items():
            assert cls.knobs()[knob].default in stops and knob not in cls().axes(), knob
        axes = [cls.make(dict(zip(cls.grid, values, strict=True))).axes() for values in combinations]
        assert len({repr({name: list(axis.values) for name, axis in one.items()}) for one in axes}) == 1


@every_paper
def test_what_the_page_explores_is_recorded(name: str) -> None:
    """The website replays what the notebook explores; `reglab record` computes it."""
    kinds = [cls for cls in catalogue.experiments(name) if cls.grid]
    assert kinds, "no experiment declares a grid"
    for cls in kinds:
        assert store.stale(cls) == "", f"run `reglab record {name.split('/')[1]}`"
    assert store.path(name).stat().st_size <= store.LIMIT


@every_experiment
def test_views_name_what_exists(cls: type[Experiment]) -> None:
    titles = [view.title for view in cls.views]
    assert cls.views and len(set(titles)) == len(titles)
    for panel in (panel for view in cls.views for panel in view.panels):
        named = isinstance(panel, Shares) or len(getattr(panel, "at", {})) == 1
        assert panel.question.endswith("?") or named
        variables, arms, lines = named_by(panel)
        assert set(variables) <= set(cls.outputs)
        assert set(arms) <= set(cls.arms)
        if isinstance(panel, Curves):
            assert len(panel.arms or cls.arms or [""]) * len(panel.variables) <= 5
        for line in lines:
            assert not isinstance(line.at, str) or line.at in cls.outputs
            assert line.arm in ("", *cls.arms)
        for axis, position in getattr(panel, "at", {}).items():
            assert position in list(cls().axes()[axis].values)


def named_by(panel: Panel) -> tuple[list[str], list[str], Sequence[Line]]:
    """Return the variables, the arms and the reference lines that a panel names."""
    reads, peak = list(panel.reads()), getattr(panel, "peak", "")
    arms = [arm for read in reads for arm in read.arms] + ([peak] if peak else [])
    return [read.variable for read in reads], arms, getattr(panel, "lines", ())


# ----------------------------------------------------------------------------------------------------- running


@every_experiment
def test_results_are_finite_and_within_their_ends(cls: type[Experiment]) -> None:
    data = run(cls)
    for name, var in cls.outputs.items():
        finite = np.isfinite(data[name].values)
        assert finite.any() if name in cls.may_be_nan else finite.all(), name
        assert var.low is None or data[name].min() >= var.low - 1e-6, name
        assert var.high is None or data[name].max() <= var.high + 1e-6, name


@every_experiment
def test_declared_settings_equal_the_baseline(cls: type[Experiment]) -> None:
    baseline = next((arm for arm, role in cls.arms.items() if role == "baseline"), "")
    for settings, arm in cls.equals_baseline:
        data = precisely(cls, settings)
        for name in (name for name, var in cls.outputs.items() if "arm" in var.dims):
            same = (data[name].sel(arm=arm), data[name].sel(arm=baseline))
            np.testing.assert_allclose(*same, atol=1e-8, rtol=0, err_msg=f"{name} of {arm}")


@every_experiment
def test_the_method_differs_from_the_baseline_where_it_should(cls: type[Experiment]) -> None:
    data = run(cls)
    measured = [data[name] for name, var in cls.outputs.items() if "arm" in var.dims]
    baseline = next((arm for arm, role in cls.arms.items() if role == "baseline"), "")
    for arm in (arm for arm in cls.arms if measured and arm != baseline):
        assert not all(values.sel(arm=arm).equals(values.sel(arm=baseline)) for values in measured), arm


@pytest.mark.deep
@every_experiment
def test_some_arms_give_what_the_whole_run_gives(cls: type[Experiment]) -> None:
    """A recording computes arms that do not depend on a knob at its default only; here for every choice of knobs."""
    whole = precisely(cls)
    for count in range(1, len(cls.unaffected) + 1):
        for knobs in itertools.combinations(cls.unaffected, count):
            elsewhere = {arm for knob in knobs for arm in cls.unaffected[knob]}
            for chosen in ([arm for arm in cls.arms if arm not in elsewhere], [*elsewhere]):
                some = cls.make(cls.smoke).only(chosen)
                assert list(some.arms) == [arm for arm in cls.arms if arm in chosen]
                data = in_double_precision(some, (0, 1))
                assert list(data.arm.values) == list(some.arms)
                for name, var in cls.outputs.items():
                    expected = whole[name].sel(arm=data.arm) if "arm" in var.dims else whole[name]
                    assert_same(data[name], expected, name)


@pytest.mark.deep
@every_experiment
def test_arms_said_not_to_depend_on_a_knob_do_not(cls: type[Experiment]) -> None:
    assert set(cls.unaffected) <= set(cls.grid)
    here = precisely(cls)
    for knob, arms in cls.unaffected.items():
        assert set(arms) < set(cls.arms), "an arm depends on a knob, or the knob is none"
        values = [value for value in cls.grid[knob] if value != cls.make(cls.smoke).settings()[knob]]
        there = precisely(cls, {knob: values[-1]})
        for name in (name for name, var in cls.outputs.items() if "arm" in var.dims):
            assert_same(here[name].sel(arm=list(arms)), there[name].sel(arm=list(arms)), f"{name} and {knob}")


@every_experiment
def test_a_run_touches_no_global_state(cls: type[Experiment]) -> None:
    assert watched(smallest(cls)).untouched


@pytest.mark.deep
@every_experiment
def test_the_same_seeds_give_the_same_numbers(cls: type[Experiment]) -> None:
    xr.testing.assert_identical(smallest(cls).run((0, 1)), run(cls))


@pytest.mark.deep
@every_experiment
def test_a_seed_gives_the_same_numbers_whichever_run_beside_it(cls: type[Experiment]) -> None:
    alone, together = precisely(cls, {}, 1), precisely(cls, {}, 0, 1)
    for name in (name for name, var in cls.outputs.items() if "seed" in var.dims):
        assert_same(alone[name].sel(seed=1), together[name].sel(seed=1), name)


@every_experiment
def test_progress_grows_and_results_with_it(cls: type[Experiment]) -> None:
    fractions, known = watched(smallest(cls)).fractions, watched(smallest(cls)).known
    assert fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] == 1
    assert known == sorted(known) and known[-1] > 0
    assert len(set(fractions)) >= 4


@every_experiment
def test_a_training_is_seen_at_thirty_moments(cls: type[Experiment]) -> None:
    """Each of them is a frame, for the first seeds that the widget runs and again for the others."""
    along = ("step", "epoch", "iteration", "tokens", "time")
    moments = {name: len(axis.values) for name, axis in cls().axes().items() if name in along}
    assert all(count >= 30 for count in moments.values()), f"measure more often: {moments}, and 30 is the least"


@every_experiment
def test_every_picture_is_drawn_and_told(cls: type[Experiment]) -> None:
    data = run(cls)
    for view in cls.views:
        chart = Chart(data, view, cls.arms)
        assert chart.png(dpi=40).startswith(b"\x89PNG")
        text = chart.describe()
        for panel in view.panels:
            assert panel.question in text
            if isinstance(panel, Dots) or (isinstance(panel, Curves) and len(panel.variables) == 1):
                assert all(arm in text for arm in panel.arms or cls.arms)
        assert "no data" not in text
    sentence = said_of(data, cls.headline, cls.arms)
    assert cls.outputs[cls.headline].label in sentence and "2 seeds" in sentence


# ------------------------------------------------------------------------------------------------------ claims


@every_paper
def test_claims_are_declared_well(name: str) -> None:
    declared = catalogue.claims(name)
    keys = [claim.key for claim in declared]
    assert len(set(keys)) == len(keys)
    assert any(claim.essential for claim in declared)
    for claim in declared:
        assert claim.of in catalogue.experiments(name)
        assert 4 <= words(claim.text) <= 40 and 1 <= words(claim.reported) <= 40, claim.key
        assert 3 <= claim.seeds <= catalogue.BLOCK and claim.at, claim.key
        for settings in claim.at.values():
            claim.of.make(settings)


@every_paper
def test_claims_are_measured_on_exam_seeds(name: str) -> None:
    exam = catalogue.exam(name)
    assert exam >= catalogue.BLOCK and exam % catalogue.BLOCK == 0, f"{name}: EXAM is 1000, or 2000 … after a look"


@every_paper
def test_effects_can_be_computed_from_the_smallest_run(name: str) -> None:
    for claim in catalogue.claims(name):
        _judge(claim, [run(claim.of)] * len(claim.at))


@pytest.mark.deep
@every_paper
def test_effects_can_be_computed_at_their_own_settings(name: str) -> None:
    for claim in catalogue.claims(name):
        settings = [claim.of.make({**claim.of.smoke, **knobs}) for knobs in claim.at.values()]
        _judge(claim, [watched(setting).data for setting in settings])


def _judge(claim: claims.Claim, datasets: Sequence[xr.Dataset]) -> None:
    found, verdict = claim.judge(datasets)
    assert verdict in ("holds", "unclear", "does not hold")
    assert len(found) == 3


def _records(name: str) -> Iterator[tuple[claims.Claim, dict[str, Any]]]:
    content = measurements.read(name)
    assert content is not None, f"no claims measured; run `reglab check {name}`"
    yield from zip(catalogue.claims(name), content["claims"], strict=True)


@every_paper
def test_measured_claims_are_those_of_the_code(name: str) -> None:
    assert not measurements.stale(name), f"the code has changed since; run `reglab check {name}`"
    for claim, record in _records(name):
        declared = (claim.key, claim.of.__name__, claim.text, claim.reported, claim.bound, claim.rule, claim.essential)
        kept = ("key", "experiment", "claim", "reported", "bound", "rule", "essential")
        assert tuple(record[field] for field in kept) == declared
        assert (record["group"], record["source"]) == (claim.group, claim.source)
        assert (record["block"], record["seeds"]) == (catalogue.exam(name), claim.seeds)
        assert record["settings"] == {label: dict(settings) for label, settings in claim.at.items()}


@every_paper
def test_verdicts_follow_from_the_measured_numbers(name: str) -> None:
    for claim, record in _records(name):
        effect, low, high = (math.nan if record[key] is None else record[key] for key in ("effect", "low", "high"))
        verdict = claim.verdict(low, high)
        if claim.rule == "every seed" and verdict == "unclear" and not math.isnan(low):
            verdict = "does not hold"
        assert record["verdict"] == verdict, claim.key
        assert math.isnan(low) or low <= effect <= high, claim.key
        assert claim.rule != "exact" or low == effect == high, claim.key


@every_paper
def test_essential_claims_hold_and_failures_are_explained(name: str) -> None:
    for claim, record in _records(name):
        assert record["verdict"] == "holds" or not claim.essential, f"{claim.key}: {record['verdict']}"
        assert record["verdict"] == "holds" or record["why"], (
            f"{claim.key}: {record['verdict']}; say in its `why` what the reason may be"
        )


@every_paper
def test_no_essential_claim_holds_for_an_arm_that_knows_nothing(name: str) -> None:
    for claim, record in _records(name):
        assert set(record["nulls"]) <= {null for _, null in claim.exchanges}
        for null, found in record["nulls"].items():
            assert found["verdict"] != "holds", f"{claim.key} holds with {null!r} in the method's place: claim more"


@every_experiment
def test_an_arm_that_knows_nothing_stands_beside_one_method(cls: type[Experiment]) -> None:
    roles = list(cls.arms.values())
    assert "null" not in roles or roles.count("method") == 1, "which arm shall the null arms take the place of?"


# --------------------------------------------------------------------------------------------------- notebooks


@functools.cache
def notebook(name: str) -> Any:
    return jupytext.read(ROOT / "lab" / f"{name}.py")


def cells(name: str, kind: str) -> list[Any]:
    return [cell for cell in notebook(name).cells if cell.cell_type == kind]


@every_paper
def test_the_notebook_has_its_eight_headings(name: str) -> None:
    text = "\n".join(cell.source for cell in cells(name, "markdown"))
    assert re.findall(r"^## (.+)$", text, re.M) == HEADINGS
    assert len(re.findall(r"^# .+$", text, re.M)) == 1
    assert notebook(name).cells[0].source.startswith("# ")


@every_paper
def test_the_notebook_is_short(name: str) -> None:
    room = BUDGETS[catalogue.paper(name).flagship].notebook
    code = [cell.source.splitlines() for cell in cells(name, "code")]
    said = sum(words(cell.source) for cell in cells(name, "markdown"))
    assert len(code) <= 12 * room, f"lab/{name}.py has {len(code)} cells of code, at most {12 * room:g}"
    assert max(map(len, code)) <= 15, f"a cell of lab/{name}.py has {max(map(len, code))} lines, at most 15"
    assert sum(map(len, code)) <= 120 * room, f"{sum(map(len, code))} lines of code, at most {120 * room:g}"
    assert 400 <= said <= 900 * room, f"lab/{name}.py has {said} words, and should have 400 to {900 * room:g}"


@every_paper
def test_the_parameters_are_the_defaults(name: str) -> None:
    tagged = [cell for cell in cells(name, "code") if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    found = {}
    for statement in ast.parse(tagged[0].source).body:
        assert isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        found[statement.targets[0].id] = ast.literal_eval(statement.value)
    assert found.pop("seeds") in (4, 8)
    defaults = catalogue.experiments(name)[0]().settings()
    assert found and found == {knob: defaults[knob] for knob in found}


@every_paper
def test_the_notebook_shows_what_every_page_shows(name: str) -> None:
    code = "\n".join(cell.source for cell in cells(name, "code"))
    for call in ("card(", "source(", "run(", "summary(", "explore(", "verdicts(", "check("):
        assert call in code, call
    tags = [tag for cell in notebook(name).cells for tag in cell.metadata.get("tags", [])]
    assert tags.count("thumbnail") == 1 and tags.count("solution") >= 3
    for title in re.findall(r'draw\(\w+, "(.+?)"\)', code):
        assert title in [view.title for cls in catalogue.experiments(name) for view in cls.views]


LIVE = "*(live only)*"
"""Stands before a task that the website, which has recorded runs only, cannot do."""


def tasks(name: str) -> Iterator[tuple[str, list[type[Experiment]]]]:
    """Yield what a page proposes to try under Explore, one by one, with the experiments of the widgets that follow."""
    source = "\n".join(cell.source for cell in cells(name, "code"))
    made: dict[str, str] = dict(re.findall(r"^(\w+) = experiments\.(\w+)\(", source, re.M))
    groups: list[tuple[str, list[type[Experiment]]]] = []
    for cell in notebook(name).cells:
        if cell.cell_type == "markdown":
            groups.append((cell.source.split("## Explore\n")[-1], []))
        elif called := re.match(r"explore\((?:experiments\.)?(\w+)", cell.source):
            groups[-1][1].append(catalogue.experiment(name, made.get(str(called[1]), called[1])))
    for text, kinds in groups:
        numbered = re.split(r"\(\d\)\s", text)
        yield from ((task.strip(), kinds) for task in numbered[1:] or numbered if kinds)


def formula(text: str) -> str:
    """Return a formula as a plain text: λ_Iso for \\lambda_{Iso}, ν₀ for \\nu_0."""
    names = {"lambda": "lamda"}  # as Unicode spells it
    letter = lambda found: unicodedata.lookup(f"GREEK SMALL LETTER {names.get(found[1], found[1])}")  # noqa: E731
    digit = lambda found: unicodedata.lookup(f"SUBSCRIPT {unicodedata.name(found[1]).removeprefix('DIGIT ')}")  # noqa: E731
    return re.sub(r"_(\d)", digit, re.sub(r"_\{(\w+)\}", r"_\1", re.sub(r"\\([a-z]+)", letter, text)))


def named_in(task: str, name: str, declared: Knob) -> bool:
    """Tell whether a task names a knob: by its words, by its symbol (Latin ones in formulas only), or by a choice."""
    formulas, prose = [formula(one) for one in re.findall(r"\$(.+?)\$", task)], re.sub(r"\$.+?\$", "", task)
    symbol = rf"(?<!\w){re.escape(declared.symbol)}(?!\w)"
    places = formulas if declared.symbol.isascii() else [*formulas, prose]
    called = rf"(?<!\w){re.escape(declared.words(name))}(?!\w)"
    return (
        (declared.symbol != "" and any(re.search(symbol, place) for place in places))
        or re.search(called, prose, re.I) is not None
        or any(f"*{choice}*" in prose for choice in declared.choices)
    )


def beyond(task: str, kinds: Sequence[type[Experiment]]) -> set[str]:
    """Return the knobs that a task names and that no widget of the website moves; all, where nothing is recorded."""
    named = [(knob, cls) for cls in kinds for knob, declared in cls.knobs().items() if named_in(task, knob, declared)]
    if not any(cls.grid for cls in kinds):
        return {knob for cls in kinds for knob in cls.knobs()}
    return {knob for knob, _ in named} - {knob for knob, cls in named if knob in cls.grid}


@every_paper
def test_a_task_that_the_website_cannot_do_is_marked(name: str) -> None:
    found = list(tasks(name))
    assert len(found) >= 2
    for task, kinds in found:
        assert task.startswith(LIVE) == bool(beyond(task, kinds)), (task, beyond(task, kinds))
        assert task.count("live only") == task.startswith(LIVE), task


@dataclass(frozen=True)
class Tried(Experiment):
    """Two knobs that a recording moves, three that only a running notebook moves."""

    strength: float = declare(1.0, low=0, high=2, symbol="λ", help="moved on the page")
    share: float = declare(0.5, low=0, high=1, symbol="p", help="moved on the page")
    first_rate: float = declare(0.5, low=0, high=1, symbol="ν₀", help="live only")
    isometry: float = declare(0.5, low=0, high=1, symbol="λ_Iso", help="live only")
    target: str = declare("ring", choices=("ring", "grid"), help="live only")

    grid = {"strength": (0, 1, 2), "share": (0, 0.5, 1)}


@pytest.mark.parametrize(
    ("task", "knobs"),
    [
        ("Set $\\lambda=2$, then $p$ to 0. Who is a target?", {"target"}),
        ("Move λ and the share, and look at the *Ring*.", set()),
        ("Set $\\lambda_{Iso}$ to 0.", {"isometry"}),
        ("Set λ_Iso to 0.", {"isometry"}),
        ("Set $\\nu_0$ to 1.", {"first_rate"}),
        ("A small First rate?", {"first_rate"}),
        ("Choose *grid*, and $\\lambda$.", {"target"}),
    ],
)
def test_knobs_are_found_in_tasks(task: str, knobs: set[str]) -> None:
    assert beyond(task, [Tried]) == knobs


@every_paper
def test_the_notebook_s_two_forms_are_one(name: str) -> None:
    paired = nbformat.read(ROOT / "lab" / f"{name}.ipynb", as_version=4)
    assert [(c.cell_type, c.source) for c in paired.cells] == [(c.cell_type, c.source) for c in notebook(name).cells]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in paired.cells)
    nbformat.validate(paired)


def _like(*arguments: Any, **settings: Any) -> Any:
    """Return NaN in the shape of the first array that comes in."""
    for one in arguments:
        if isinstance(one, torch.Tensor):
            return torch.full_like(one, math.nan, dtype=torch.get_default_dtype())
        if isinstance(one, np.ndarray):
            return np.full_like(one, math.nan, dtype=float)
    return math.nan


NO_NUMBERS: dict[str, Any] = {
    "NaN": math.nan,
    "infinity": math.inf,
    "two NaN": (math.nan, math.nan),
    "three NaN": [np.nan] * 3,
    "a tensor": torch.tensor(math.nan),
    "a function": lambda *arguments, **settings: math.nan,
    "a function that gives infinity": lambda *arguments, **settings: math.inf,
    "a function that gives a tensor": lambda *arguments, **settings: torch.tensor(math.nan),
    "a function that gives two": lambda *arguments, **settings: (math.nan, math.nan),
    "a function that keeps the shape": _like,
}


@every_paper
def test_no_exercise_praises_what_is_no_number(name: str) -> None:
    exercises = importlib.import_module(f"reglab.papers.{name.replace('/', '.')}.exercises")
    checkers = {key: one for key, one in vars(exercises).items() if key.startswith("check_")}
    assert checkers
    for key, checker in checkers.items():
        for label, answer in NO_NUMBERS.items():
            said = check(answer, checker).text
            assert not said.startswith("✓"), f"{key} praises {label}: {said}"
