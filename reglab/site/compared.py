"""Tables for each part: what its papers' methods reach, next to baseline, rivals and nulls.

They show what is recorded at the default settings, so nothing in them is typed.
"""

from __future__ import annotations

import numpy as np

from reglab import catalogue
from reglab.experiment import Experiment
from reglab.pictures import words
from reglab.recordings import store
from reglab.site.markdown import plain
from reglab.statistics import mean_interval

BESIDE = ("baseline", "rival", "null")
"""The roles of the arms that a method is compared with."""

INTRODUCTION = (
    "## Next to their rivals\n\n"
    "What each method reaches at its page's default settings, and what others reach with the same data and the same "
    "seeds. The difference is method minus other, with its 95 % interval over the seeds. These are the seeds that the "
    "pages were built with; the [claims](/claims) were measured on fresh ones. Whether more is better, the name says.\n"
)


def tables(part: str) -> str:
    """Return the tables of a part as Markdown, "" where nothing of it is recorded."""
    found = [
        text
        for paper in catalogue.papers()
        if paper.part == part
        for kind in catalogue.experiments(paper.name)
        if (text := _table(paper, kind))
    ]
    return "\n".join([INTRODUCTION, *found]) if found else ""


def _table(paper: catalogue.Paper, kind: type[Experiment]) -> str:
    """Return a line that says what is measured, and a row for each arm that the method is compared with."""
    arms = {arm: str(role) for arm, role in kind.arms.items()}
    beside = sorted((arm for arm in arms if arms[arm] in BESIDE), key=lambda arm: BESIDE.index(arms[arm]))
    method = next((arm for arm, role in arms.items() if role == "method"), None)
    recorded = store.at(kind()) if kind.grid and method and "rival" in arms.values() else None
    found = None if recorded is None else words.ended(recorded[kind.headline])
    if found is None:
        return ""
    mine = found.values.sel(arm=method).values
    said = f"{found.name}, {found.place[0].lower()}{found.place[1:]}, {words.averaged(len(mine))}"
    rows = "".join(_row(arm, arms[arm], found.values.sel(arm=arm).values, mine) for arm in beside)
    return (
        f"**[{plain(paper.short)}](/lab/{paper.name})**: {plain(said)}\n\n"
        "```{list-table}\n:header-rows: 1\n:class: compared\n:widths: 36 14 20 30\n\n"
        f"* - Next to\n  - It has\n  - {plain(method or '')} has\n  - Difference\n{rows}```\n"
    )


def _row(arm: str, role: str, other: np.ndarray, mine: np.ndarray) -> str:
    found = (float(end) for end in mean_interval(mine - other))
    difference, low, high, its, own = words.even(*found, other.mean(), mine.mean())
    cells = (f"{plain(arm)} ({role})", its, own, f"{difference} [{low}, {high}]")
    return "".join(f"{'* -' if i == 0 else '  -'} {cell}\n" for i, cell in enumerate(cells))
