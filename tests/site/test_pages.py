"""Generated pages: true to what was measured and declared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from reglab import catalogue
from reglab.site import markdown, pages

RECORD = {
    "key": "k",
    "paper": catalogue.SLUGS[0],
    "experiment": "Memorization",
    "claim": "the *gap* of `all_b` is <null> at $5",
    "group": "control",
    "essential": True,
    "effect": -0.0123456,
    "low": -0.02,
    "high": 0.0004,
    "bound": "-0.01 to 0.01",
    "source": "pilot",
    "rule": "interval",
    "verdict": "unclear",
    "block": 0,
    "seeds": 8,
    "settings": {"base": {}, "clean": {"noise": 0.0}},
    "reported": "CIFAR-10: 81.88 → 89.15",
    "scaled": "digits",
    "why": "few seeds",
    "nulls": {"noise": {"effect": 0.0, "low": -0.1, "high": 0.1, "verdict": "does not hold"}},
}


BEFORE = {
    "block": 1000,
    "date": "2025-01-01",
    "effect": 0.105,
    "low": 0.074,
    "high": 0.136,
    "bound": "> 0.08",
    "verdict": "unclear",
    "why": "The bound changed.",
}


def test_a_text_is_shown_as_it_is_but_for_subscripts() -> None:
    assert markdown.plain("λ_H λ_W < 1") == "λ<sub>H</sub> λ<sub>W</sub> \\< 1"
    assert markdown.plain("Tr Σ_W of my_file.py") == "Tr Σ<sub>W</sub> of my\\_file\\.py"


def test_a_claim_is_shown_as_it_was_measured() -> None:
    content = {"claims": [RECORD], "stale": True, "date": "2026-01-01", "versions": {"torch": "2.9"}}
    content["history"] = {"k": [BEFORE]}
    page = pages.claims_page({catalogue.SLUGS[0]: content})
    for text in ("the \\*gap\\* of \\`all\\_b\\` is \\<null\\> at \\$5", "**−0.012**", "−0.020 to 0.000", "? unclear"):
        assert text in page
    for text in ("few seeds", "base: defaults", "clean: noise = 0", "8 seeds", "essential", "digits", "torch 2.9"):
        assert text in page.replace("\\", "")
    said = pages.summary({catalogue.SLUGS[0]: content})
    assert said == "**Of 1 claim of 1 paper, 0 hold, 1 is unclear and 0 do not hold.**\n"
    assert "[our controls]{.claim-group .control} · [essential]{.essential}" in page
    assert "the null arm “noise” in the method's place: does not hold" in page.replace("\\", "")
    assert "What was measured before: 1" in page and "exam seeds 1000, 1001, …, 2025-01-01: 0.10 [" in page
    assert "must be −0\\.01 to 0\\.01 (from a pilot run)" in page
    assert (
        "has changed since" in page
        and "Measured on the building seeds 0, 1, …: 2026-01-01 with torch 2.9." in page.replace("\\", "")
    )
    page = pages.claims_page({catalogue.SLUGS[0]: {**content, "date": "2026-01-01 to 2026-02-03"}})
    assert ": 2026-01-01 to 2026-02-03, the last with torch 2.9." in page.replace("\\", "")


def test_several_papers_have_a_list_that_leads_to_each(monkeypatch: pytest.MonkeyPatch) -> None:
    first = catalogue.paper(catalogue.SLUGS[0])
    monkeypatch.setattr(catalogue, "paper", lambda name: replace(first, slug=name.split("/")[1]))
    content = {"claims": [RECORD], "stale": False, "date": "2026-01-01", "versions": {"torch": "2.9"}, "history": {}}
    page = pages.claims_page({"labels/one": content, "noise/two": content})
    said = pages.summary({"labels/one": content, "noise/two": content})
    assert said == "**Of 2 claims of 2 papers, 0 hold, 2 are unclear and 0 do not hold.**\n"
    for slug in ("one", "two"):
        assert f"](#claims-{slug}): ? unclear: 1" in page and f"(claims-{slug})=" in page
    assert f"Not measured yet: {first.short}" in page and "has changed since" not in page


def test_an_unmeasured_lab_says_so() -> None:
    assert pages.summary({}) == "No claim has been measured yet.\n" and pages.claims_page({}) == ""


def test_missing_notebooks_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pages, "BOOK", tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"index, {catalogue.SLUGS[0]}.*; run `reglab execute` first"):
        pages.generate()


def test_a_notebook_without_a_picture_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pages, "BOOK", tmp_path)
    cell = {"cell_type": "code", "metadata": {"tags": ["thumbnail"]}, "outputs": [{"data": {"text/plain": "1"}}]}
    for name in ("index", *catalogue.SLUGS):
        path = tmp_path / "lab" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    with pytest.raises(ValueError, match="no cell tagged 'thumbnail'"):
        pages.generate()


def test_the_repository_is_named_where_its_address_is_known() -> None:
    assert "git clone" not in pages.repository("") and "://" not in pages.repository("")
    elsewhere = pages.repository("https://example.org/a/b/")
    assert "git clone https://example.org/a/b reglab\n" in elsewhere and "binder" not in elsewhere
    hosted = pages.repository("https://github.com/a/b.c")
    assert "(https://mybinder.org/v2/gh/a/b.c/main?urlpath=lab/tree/lab/index.ipynb)" in hosted
    assert "(https://colab.research.google.com/github/a/b.c/blob/main/lab/index.ipynb)" in hosted
