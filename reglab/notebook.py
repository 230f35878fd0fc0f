"""What a notebook says in one line: card, source, run, pictures, verdicts, checked answers."""

from __future__ import annotations

import html
import inspect
import os
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reglab import catalogue, claims, measurements
from reglab.beside import Started
from reglab.exercise import WrongAnswerError, judge
from reglab.experiment import Experiment
from reglab.knobs import Tuned
from reglab.pictures import page, words
from reglab.seeds import Seeds, as_seeds, generator
from reglab.site.replay import typeset

if TYPE_CHECKING:
    import xarray as xr


QUICK = "REGLAB_QUICK"
"""Set in the environment of a kernel that runs a notebook quickly; `run` obeys it."""

QUICK_SEEDS = 2
"""So many seeds a quick run has."""


@dataclass(frozen=True)
class Page:
    """Something to show: HTML for pages, plain text for everything else; Markdown where a page should highlight it."""

    html: str
    text: str
    markdown: str = ""

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        rich = {"text/markdown": self.markdown} if self.markdown else {"text/html": self.html}
        return {**rich, "text/plain": self.text}


def card(name: str) -> Page:
    """Show the card of a paper: title, authors, links, level, minutes, what to know first, what was read."""
    facts = catalogue.paper(name)
    links = [f'<a href="{facts.arxiv_url}">arXiv {facts.arxiv}</a>']
    if facts.code:
        links.append(f'<a href="{facts.code}">official code</a>')
    rows = {
        "Paper": f"<em>{html.escape(facts.title)}</em>",
        "Authors": html.escape(", ".join(facts.authors)),
        "Where": f"{html.escape(facts.venue)} {facts.year} · {' · '.join(links)}",
        "Level": f"{facts.level}: {catalogue.LEVELS[facts.level]}",
        "Time": f"about {facts.minutes} minutes",
        "Know first": html.escape(", ".join(facts.prerequisites)),
        "Read for this page": html.escape(facts.sources),
    }
    table = "".join(
        f'<tr><th scope="row" {LEFT}>{name}</th><td {LEFT}>{value}</td></tr>' for name, value in rows.items()
    )
    text = f"{facts.title}\n{', '.join(facts.authors)}, {facts.venue} {facts.year}, arXiv {facts.arxiv}"
    return Page(f'<table class="reglab-card">{table}</table>', text)


def source(*functions: Callable[..., Any]) -> Page:
    """Show the source of functions as it runs and is tested."""
    code = "\n\n".join(textwrap.dedent(inspect.getsource(function)).rstrip() for function in functions)
    return Page("", code, f"```python\n{code}\n```")


ROLES = {
    "baseline": "baseline",
    "method": "the paper's method",
    "rival": "rival: a cheaper way to the same end",
    "null": "null: it knows nothing",
    "ablation": "a part of the method is changed",
    "further": "for comparison",
}
"""What the role of an arm says on a page."""


def arms(experiment: Experiment) -> Page:
    """Show what an experiment compares: each arm with its role and settings, and how chosen settings were chosen."""
    knobs, rows, lines = experiment.knobs(), [], []
    for name, arm in experiment.arms.items():
        found = []
        for setting, value in arm.settings.items():
            declared = knobs.get(value) if isinstance(value, str) else None
            chosen = declared.tuned if declared else value
            if declared or isinstance(chosen, Tuned):
                number = arm.value(setting, experiment.settings())
                label = declared.full(str(value)) if declared else setting.replace("_", " ")
                how = chosen.words if isinstance(chosen, Tuned) and chosen == number else f"{number:g}"
                found.append(f"{label} = {how}")
        cells = [name, ROLES[arm], "; ".join(found)]
        rows.append("<tr>" + "".join(f"<td {LEFT}>{typeset(cell)}</td>" for cell in cells) + "</tr>")
        lines.append(": ".join(filter(None, cells)))
    head = "".join(f'<th scope="col" {LEFT}>{text}</th>' for text in ("Arm", "Role", "Settings"))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return Page(f'<div class="reglab-compared">{table}</div>', "\n".join(lines))


def start(experiment: Experiment, seeds: int | Iterable[int] = 8) -> Started:
    """Begin an experiment in a second process, while the page goes on; `run` waits for what this returns.

    Where there is one core, `run` computes it. `LOKY_MAX_CPU_COUNT=1` in the environment keeps a computer with many
    users to one process for each. `reglab execute --quick` takes the smallest setting and at most two seeds.
    """
    from joblib import cpu_count

    setting, chosen = _asked(experiment, seeds)
    return Started(setting, chosen, alone=cpu_count() == 1 or bool(os.environ.get(QUICK)))


def _asked(experiment: Experiment, seeds: int | Iterable[int]) -> tuple[Experiment, Seeds]:
    """Return what to run, for which seeds; where a page is run quickly, that is less than what was asked for."""
    chosen = as_seeds(seeds)
    if os.environ.get(QUICK):
        return experiment.make({**experiment.settings(), **experiment.smoke}), chosen[:QUICK_SEEDS]
    return experiment, chosen


def run(experiment: Experiment | Started, seeds: int | Iterable[int] = 8) -> xr.Dataset:
    """Run an experiment under a progress bar with the time left, and return its results; or wait for one that began.

    Where `reglab execute --quick` runs the page, it takes the experiment's smallest setting and at most two seeds.
    """
    from IPython.display import display

    task = experiment if isinstance(experiment, Started) else Started(*_asked(experiment, seeds), alone=True)
    label, arms = type(task.experiment).__name__, task.experiment.arms
    shown = time.perf_counter()
    started = shown if task.alone else task.since
    handle = display(_progress(label, 0.0, None), display_id=True)

    def report(fraction: float) -> None:
        nonlocal shown
        now = time.perf_counter()
        if handle is not None and now - shown > 0.25 and fraction > 0:
            shown = now
            handle.update(_progress(label, fraction, (now - started) * (1 / fraction - 1)))

    data = task.results(report)
    if handle is not None:
        count = words.seeds(len(task.seeds)) + (f" × {len(arms)} arms" if arms else "")
        how = f"{time.perf_counter() - started:.1f} s" if task.alone else "a second process"
        text = f"{label}: {count} in {how}"
        handle.update(Page(f"<p>{text}</p>", text))
    return data


def _progress(label: str, fraction: float, left: float | None) -> Page:
    text = f"{label}: {fraction:.0%}" + (f", {left:.0f} s left" if left is not None else "")
    return Page(f'<progress max="1" value="{fraction:.3f}" aria-label="{label}"></progress> {text}', text)


def draw(results: xr.Dataset, title: str) -> page.Picture:
    """Draw one view of some results, named by its title; raises `KeyError` that lists the titles for an unknown one."""
    made_by = catalogue.experiment(results.attrs["paper"], results.attrs["experiment"])
    by_title = {view.title: view for view in made_by.views}
    if title not in by_title:
        raise KeyError(f"{made_by.__name__} has no view {title!r}; it has: {', '.join(by_title)}")
    return page.draw(results, by_title[title], made_by.arms)


def picture(plot: Callable[..., str], results: xr.Dataset, height: float = 3.2) -> page.Picture:
    """Draw some results with a paper's own function, `plot(figure, results)`, which returns the alternative text."""
    return page.picture(plot, results, height=height)


def summary(results: xr.Dataset) -> Page:
    """Say in one sentence what the results show, with the uncertainty in words."""
    made_by = catalogue.experiment(results.attrs["paper"], results.attrs["experiment"])
    text = words.sentence(results, made_by.headline, made_by.arms)
    return Page(f'<p class="reglab-summary">{typeset(text)}</p>', text)


LEFT = 'style="text-align:left"'
"""JupyterLab sets cells of tables to the right; text reads better from the left."""

MARKS = {"holds": "✓ holds", "unclear": "? unclear", "does not hold": "✗ does not hold"}
"""How a verdict is written, so that colour is never needed."""


OPEN = 8
"""So many claims of a paper are open on its page; the others are folded."""


def verdicts(name: str) -> Page:
    """Show the measured claims of a paper: its number, our effect with interval, and the verdict.

    They stand in their groups. Eight are open, essential ones first and one of each group at least; the others are
    folded, and so is what was measured before.
    """
    measured = measurements.read(name)
    if measured is None:
        text = f"Not measured yet: run `reglab check {catalogue.paper(name).slug}`."
        return Page(f"<p>{text}</p>", text)
    records = measured["claims"]
    said = words.tally([record["verdict"] for record in records])
    shown = _open(records)
    folded = [record for record in records if record not in shown]
    seeds = " or ".join(str(count) for count in sorted({record["seeds"] for record in records}))
    stale = " <strong>The code has changed since.</strong>" if measured["stale"] else ""
    caption = (
        f"Measured on {words.blocks(record['block'] for record in records)} ({seeds} of them), {measured['date']}, "
        f"torch {measured['versions']['torch']}. In brackets: the 95 % interval, or smallest and largest seed.{stale}"
    )
    count = "1 more claim" if len(folded) == 1 else f"{len(folded)} more claims"
    more = f"<details><summary>{count}: {marks(folded)}</summary>{_table(folded)}</details>" if folded else ""
    page = f"<p><strong>{said}</strong></p>{_table(shown, caption)}{more}{history(measured['history'])}"
    lines = [_line(record) for group in claims.GROUPS for record in records if record["group"] == group]
    return Page(f'<div class="reglab-claims">{page}</div>', "\n".join([said, *lines]))


def marks(records: Iterable[Mapping[str, Any]]) -> str:
    """Count the verdicts of some claims by their marks; those that there are."""
    count = Counter(record["verdict"] for record in records)
    return " · ".join(f"{mark}: {count[verdict]}" for verdict, mark in MARKS.items() if count[verdict])


def _open(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the claims that are open on a page, in the order of their declaration."""
    ranked = sorted(records, key=lambda record: not record["essential"])
    first = list({record["group"]: record for record in reversed(ranked)}.values())
    chosen = first + [record for record in ranked if record not in first][: OPEN - len(first)]
    return [record for record in records if record in chosen]


def _table(records: Sequence[Mapping[str, Any]], caption: str = "") -> str:
    """Return claims as a table with a heading for each group."""
    head = "".join(f'<th scope="col">{h}</th>' for h in ("Our claim", "The paper", "Measured", "Needed", "Verdict"))
    body = ""
    for group, title in claims.GROUPS.items():
        if rows := "".join(_row(record) for record in records if record["group"] == group):
            heading = f'<tr><th colspan="5" scope="rowgroup" {LEFT}>{title.capitalize()}</th></tr>'
            body += f"<tbody>{heading}{rows}</tbody>"
    caption = f"<caption>{caption}</caption>" if caption else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead>{body}</table>"


def _row(claim: Mapping[str, Any]) -> str:
    bound = html.escape(claim["bound"].replace("-", "−"))
    kind = "essential" if claim["essential"] else "expected"
    why = f"<br><em>{typeset(claim['why'])}</em>" if claim["why"] else ""
    nulls = "".join(f"<br><small>{typeset(text)}</small>" for text in of_nulls(claim))
    return (
        f"<tr><td {LEFT}>{typeset(claim['claim'])}{why}</td><td {LEFT}>{typeset(claim['reported'])}</td>"
        f"<td>{_effect(claim)}</td><td>{bound}<br><small>{claims.SOURCES[claim['source']]}</small></td>"
        f'<td class="reglab-{claim["verdict"].replace(" ", "-")}">{MARKS[claim["verdict"]]}<br><small>{kind}</small>'
        f"{nulls}</td></tr>"
    )


def _line(claim: Mapping[str, Any]) -> str:
    kind = "essential" if claim["essential"] else "expected"
    needed = "; ".join((f"needed {claim['bound']}, {claims.SOURCES[claim['source']]}", kind, *of_nulls(claim)))
    return f"{MARKS[claim['verdict']]:16s} {claim['claim']}: {_effect(claim)} ({needed})"


def of_nulls(claim: Mapping[str, Any]) -> list[str]:
    """Say what becomes of a claim with each null arm in the method's place, where it is about the method."""
    return [f"the null arm “{arm}” in the method's place: {one['verdict']}" for arm, one in claim["nulls"].items()]


def history(before: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return as HTML what was measured of some claims before, folded, one line for each; "" for nothing."""
    lines = [
        f"<li><strong>{typeset(key)}</strong>, {words.blocks([one['block']])}, {one['date']}: "
        f"{words.measured(one['effect'], one['low'], one['high'])}, needed {html.escape(one['bound'])}: "
        f"{one['verdict']}. {typeset(one['why'])}</li>"
        for key, entries in before.items()
        for one in entries
    ]
    if not lines:
        return ""
    return f"<details><summary>What was measured before: {len(lines)}</summary><ul>{''.join(lines)}</ul></details>"


def _effect(claim: Mapping[str, Any]) -> str:
    ends = (None, None) if claim["rule"] == "exact" else (claim["low"], claim["high"])
    return words.measured(claim["effect"], *ends)


ANSWERS = {"right": "✓", "not yet": "✗", "unanswered": "○", "error": "✗"}
"""The mark of each verdict on an answer."""


def check(answer: Any, checker: Callable[[Any], str]) -> Page:
    """Check an answer to an exercise as `exercise.judge` does, and show what it says; the notebook runs on.

    Only where nbgrader runs the notebook, an answer that is not right raises `WrongAnswerError`: it gives a point for
    every check that ends without an error.
    """
    found = judge(answer, checker)
    text = f"{ANSWERS[found.kind]} {found.text}"
    if found.kind != "right" and os.environ.get("NBGRADER_EXECUTION"):
        raise WrongAnswerError(text)
    return Page(f'<p class="reglab-answer">{typeset(text)}</p>', text)


def map_of_lab() -> Page:
    """Show the seven parts and every paper with its idea, level, minutes, what to know first and a link to its page."""
    lines = []
    for key, part in catalogue.PARTS.items():
        lines += [f"**{part.title}.** {part.idea}", ""]
        papers = [paper for paper in catalogue.papers() if paper.part == key]
        for paper in papers:
            lines.append(
                f"- [{paper.title}]({key}/{paper.slug}.ipynb) ({paper.short}, {paper.year}). {paper.idea} "
                f"{paper.level.capitalize()}, about {paper.minutes} minutes; "
                f"know first: {', '.join(paper.prerequisites)}."
            )
        lines += [""] if papers else ["- No paper here yet.", ""]
    text = "\n".join(lines)
    return Page("", text, text)


EXPECTED = (0.85, 0.99)
"""Where the test accuracy of the self-check lies on a sound installation, whatever the machine."""


def self_check() -> Page:
    """Check the installation: versions, and a short training whose result must lie in its expected band."""
    import platform

    import matplotlib
    import torch

    from reglab import data, metrics
    from reglab.models import replicas

    started = time.perf_counter()
    seeds = (0, 1, 2, 3)
    digits = data.digits(seeds)
    network = replicas.mlp((64, 64, 10), [generator(seed, "weights") for seed in seeds])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    row = torch.arange(len(seeds)).unsqueeze(1)
    for index in data.batches(seeds, 1000, 50, epoch=1):
        logits = network(digits.train_inputs[row, index])
        labels = digits.train_labels[row, index]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()) * len(seeds)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = float(metrics.accuracy(network(digits.test_inputs), digits.test_labels).mean())
    seconds = time.perf_counter() - started
    well = EXPECTED[0] <= found <= EXPECTED[1]
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, matplotlib {matplotlib.__version__}"
    verdict = "✓ All is well." if well else "✗ Something is wrong with this installation: please install it again."
    text = (
        f"{verdict} Trained four small networks in {seconds:.1f} s; test accuracy {found:.3f}, expected "
        f"{EXPECTED[0]} to {EXPECTED[1]}. {versions}, {torch.get_num_threads()} threads."
    )
    return Page(f'<p class="reglab-summary">{text}</p>', text)
