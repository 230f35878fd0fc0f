"""What a notebook shows: the measured claims in their groups, with nulls and history, and what is compared."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

import pytest
from bs4 import BeautifulSoup

from reglab import catalogue, measurements, notebook
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned

NAME = catalogue.SLUGS[0]


def record(key: str, group: str = "paper", essential: bool = False, **other: Any) -> dict[str, Any]:
    facts = {"claim": f"statement {key}", "reported": "said", "effect": 0.5, "low": 0.4, "high": 0.6, "bound": "> 0.1"}
    kinds = {"source": "pilot", "rule": "interval", "verdict": "holds", "why": "", "nulls": {}, "block": 0, "seeds": 8}
    return {"key": key, "group": group, "essential": essential, **facts, **kinds, **other}


def shown(monkeypatch: pytest.MonkeyPatch, records: list[dict[str, Any]], **other: Any) -> notebook.Page:
    content = {"claims": records, "history": {}, "date": "2026-01-02", "versions": {"torch": "2"}, "stale": False}
    monkeypatch.setattr(measurements, "read", lambda name: content | other)
    return notebook.verdicts(NAME)


def claims_in(part: Any) -> list[str]:
    return re.findall(r"statement (\w+)", part.get_text(" "))


def test_eight_claims_are_open_and_the_rest_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [record(f"p{i}", verdict="unclear" if i == 1 else "holds") for i in range(3)]
    records += [record(f"e{i}", essential=True) for i in range(8)]
    records += [record("i", "identity"), record("c", "control"), record("d", "control", essential=True)]
    page = shown(monkeypatch, records)
    soup = BeautifulSoup(page.html, "html.parser")
    folded = soup.details
    assert soup.p is not None and folded is not None and folded.summary is not None
    assert soup.p.get_text() == "Of 14 claims, 13 hold, 1 is unclear and 0 do not hold."
    assert folded.summary.get_text() == "6 more claims: ✓ holds: 5 · ? unclear: 1"
    assert claims_in(folded) == ["p0", "p1", "p2", "e6", "e7", "c"]
    folded.extract()
    assert claims_in(soup) == ["e0", "e1", "e2", "e3", "e4", "e5", "i", "d"], "one of each group at least"
    headings = [heading.get_text() for heading in soup.find_all("th", scope="rowgroup")]
    assert headings == ["The paper says", "Exact identities", "Our controls"]
    assert page.text.splitlines()[0] == "Of 14 claims, 13 hold, 1 is unclear and 0 do not hold."
    assert len(page.text.splitlines()) == 15


def test_few_claims_are_all_open_and_an_empty_group_has_no_heading(monkeypatch: pytest.MonkeyPatch) -> None:
    soup = BeautifulSoup(shown(monkeypatch, [record("a"), record("b", "control")]).html, "html.parser")
    assert soup.details is None and claims_in(soup) == ["a", "b"]
    assert [heading.get_text() for heading in soup.find_all("th", scope="rowgroup")] == [
        "The paper says",
        "Our controls",
    ]


def test_the_bound_the_seeds_and_the_null_arm_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    nulls = {"a <b>": {"effect": 0.0, "low": -0.1, "high": 0.1, "verdict": "does not hold"}}
    page = shown(monkeypatch, [record("a", nulls=nulls, block=2000), record("b", source="zero")])
    text = " ".join(BeautifulSoup(page.html, "html.parser").get_text(" ").split())
    assert "> 0.1 from a pilot run" in text and "> 0.1 no effect" in text
    assert "Measured on the building seeds 0, 1, … and exam seeds 2000, 2001, … (8 of them), 2026-01-02" in text
    said = "the null arm “a <b>” in the method's place: does not hold"
    assert said in text and said in page.text and html.escape(said) in page.html


def test_what_was_measured_before_is_folded_one_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {"block": 1000, "date": "2025-01-01", "effect": 0.105, "low": 0.074, "high": 0.136, "bound": "> 0.08"}
    entry = {**before, "verdict": "unclear", "why": "More <seeds>."}
    page = shown(monkeypatch, [record("a")], history={"a": [entry], "gone": [{**entry, "low": None}]})
    soup = BeautifulSoup(page.html, "html.parser")
    assert soup.details is not None and soup.details.summary is not None
    assert soup.details.summary.get_text() == "What was measured before: 2"
    lines = [line.get_text() for line in soup.details.find_all("li")]
    seeds = "the exam seeds 1000, 1001, …, 2025-01-01"
    assert lines[0] == f"a, {seeds}: 0.10 [0.07, 0.14], needed > 0.08: unclear. More <seeds>."
    assert lines[1].startswith(f"gone, {seeds}: 0.10, needed")


# ------------------------------------------------------------------------------------------------------------- arms

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


def test_the_card_and_the_map_tell_how_much_a_reader_should_bring_along() -> None:
    paper = catalogue.paper(NAME)
    said = BeautifulSoup(notebook.card(NAME).html, "html.parser").get_text()
    assert f"{paper.level}: {catalogue.LEVELS[paper.level]}" in said
    assert f"{paper.level.capitalize()}, about {paper.minutes} minutes" in notebook.map_of_lab().text
