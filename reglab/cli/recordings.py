"""Record the grids that the website replays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table

from reglab import catalogue
from reglab.cli.output import FailedError, explained, print_table, progress, say, say_error

if TYPE_CHECKING:
    from rich.progress import Progress


def record(
    papers: Annotated[
        list[str] | None, typer.Argument(metavar="[PAPER]...", help="Which papers; all if none is named.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="How many processes side by side; one for each core if not given.")
    ] = None,
    cluster: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Compute on the Dask cluster whose scheduler listens there.")
    ] = "",
    only_check: Annotated[
        bool, typer.Option("--check", help="Compute nothing; say for each grid whether it is current.")
    ] = False,
    spot: Annotated[
        str, typer.Option(metavar="TEXT", help="Recompute one recorded point of each paper, chosen by this text.")
    ] = "",
) -> None:
    """Compute the grids that the website replays, and write them to data/recorded/.

    What was finished before a stop is kept; the same command goes on from there. With --check the exit status is 1 when
    a grid is stale: what it computes or its values have changed. With --spot it is 1 when a point comes
    out otherwise than recorded.
    """
    with explained():
        if bool(only_check) + bool(spot) + bool(cluster or jobs) > 1:
            raise ValueError("--check, --spot and computing (--jobs, --cluster) exclude each other: choose one")
        if cluster and jobs:
            raise ValueError("--jobs is for processes on this computer; a cluster has the workers that it has")
        names = catalogue.select(papers or catalogue.SLUGS)
        catalogue.need_checkout()
    from reglab.recordings import sweep

    if only_check:
        _check_recordings(names)
        return
    if spot:
        _spot(names, spot)
        return
    names = [name for name in names if papers or sweep.planned(name)]
    for name in names:
        with progress(600) as bar, explained(FailedError):
            task = bar.add_task(name)

            def report(done: int, total: int, bar: Progress = bar, task: Any = task) -> None:
                bar.update(task, completed=done, total=total)

            path = sweep.record(name, jobs, cluster, report)
        say(f"wrote {os.path.relpath(path, catalogue.ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def _check_recordings(names: Sequence[str]) -> None:
    """Say for every grid whether it is current; ends with status 1 when one is stale."""
    from reglab.recordings import store, sweep

    table, stale = Table(Column("Paper", no_wrap=True), Column("Experiment", no_wrap=True), "Recording"), []
    for slug in [name.split("/")[1] for name in names]:
        for kind in [one.kind for one in sweep.planned(slug)]:
            why = store.stale(kind)
            stale += [slug] if why else []
            table.add_row(slug, kind.__name__, why or "current")
    print_table(table)
    if stale:
        say(f"Stale recordings: recompute them with `reglab record {' '.join(dict.fromkeys(stale))}`")
        raise typer.Exit(1)


def _spot(names: Sequence[str], text: str) -> None:
    """Recompute one recorded point of each paper; ends with status 1 when one differs."""
    from reglab.recordings import spot

    bad = 0
    with progress() as bar:
        for name in bar.track(names, description="one point of each paper"):
            try:
                with explained(FailedError):
                    say(spot.check(name, text))
            except (FailedError, spot.DiffersError) as error:
                bad += 1
                say_error(str(error))
    if bad:
        raise typer.Exit(1)
