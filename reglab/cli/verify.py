"""Run the expensive checks of papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reglab import catalogue
from reglab.cli.output import FailedError, explained, progress, say, say_error


def verify(
    papers: Annotated[list[str] | None, typer.Argument(metavar="[PAPER]...", help="Which papers or parts.")] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Papers changed since $CI_BASE, or else since a day ago.")
    ] = False,
    rotate: Annotated[int, typer.Option(min=0, metavar="N", help="So many more, chosen by the newest commit.")] = 0,
    everything: Annotated[
        bool, typer.Option("--all", help="All papers (or all that are named), all their claims, all ends of knobs.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Write a table of what was checked and what it said.")
    ] = None,
) -> None:
    """Run the expensive checks of papers side by side: notebook, claims, recorded point, arms and seeds, replay.

    Of a changed paper whose claims and recordings are as they were, it checks notebook and page only. It needs a
    checkout with the tests. The exit status is 1 when a check fails.
    """
    from reglab import verify as engine

    with explained():
        catalogue.need_checkout()
        names = catalogue.select(papers or [])
        if everything and not papers:
            names = list(catalogue.SLUGS)
        shown = set[str]()
        if changed:
            found = engine.changed()
            shown = {*found} - {*names, *engine.changed(engine.MEASURED)}
            names += found
        names += engine.rotation(rotate, names)
        if not (papers or changed or rotate or everything):
            raise ValueError("which papers? Name some, or give --changed, --rotate N or --all")
        names = [name for name in catalogue.SLUGS if name in names]
    todo = engine.jobs(names, everything, shown)
    say(f"Verifying {', '.join(names) or 'no paper: none has changed'}")
    with progress(600) as bar:
        task = bar.add_task("", total=len(todo))

        def tell(one: engine.Outcome, left: int) -> None:
            bar.update(task, completed=len(todo) - left, description=one.job.name)
            say(f"{'✓' if one.well else '✗'} {one.job.name}: {one.seconds:.0f} s; {left} of {len(todo)} left")

        outcomes = engine.run(todo, tell)
    if report is not None:
        with explained(FailedError):
            report.write_text(engine.table(outcomes), encoding="utf-8")
    failed = [one for one in outcomes if not one.well]
    for one in failed:
        say(f"\n{one.job.name} failed:\n{one.said}")
    for one in failed:
        say_error(f"{one.job.name} failed; alone: {one.job.alone}")
    if failed:
        raise typer.Exit(1)
