"""The command `reglab`: list, run, check and record papers, pretrain, execute notebooks, build the website, lab."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from reglab import catalogue

if TYPE_CHECKING:
    import xarray as xr

    from reglab.experiment import Experiment

app = typer.Typer(
    help="RegLab: the lab in which people learn what regularization does to deep networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

UsageError: Any = typer.BadParameter.__bases__[0]
"""What is raised for a wrong command line, by Click or by the copy of it that a newer Typer carries."""

JSON_KEYS = (
    "key", "paper", "experiment", "claim", "essential", "effect", "low", "high", "bound", "rule", "verdict", "seeds",
    "settings",
)  # fmt: skip
"""What `reglab check --json` tells about each claim."""

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells expect it."""


class Problem(Exception):
    """Something that the person at the command line can put right; shown as one line, exit status 2."""

    status = 2


class Failed(Problem):
    """The work itself failed (a save, a build); exit status 1."""

    status = 1


def main() -> None:
    """Run the command line; every expected error is one line on stderr, and Ctrl-C leaves nothing half-done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no λ shows a question mark
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that cleaning up happens
    sys.unraisablehook = _stop_again
    try:
        status = app(standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Problem as problem:
        _error(str(problem))
        status = problem.status
    except UsageError as error:
        if error.format_message():  # none when there was no command at all, and the help has been shown
            _error(error.format_message())
        status = 2
    if status == INTERRUPTED:
        _say("Stopped.")
    sys.exit(status)


def _stop_again(lost: sys.UnraisableHookArgs) -> None:
    """Send a stop again that came while Python ran a finalizer, where no exception can get out; tell of all else."""
    number = {KeyboardInterrupt: signal.SIGINT, SystemExit: signal.SIGTERM}.get(lost.exc_type)
    if number is None:
        sys.__unraisablehook__(lost)
    else:  # a little later, when the finalizer is over
        threading.Timer(0.05, os.kill, (os.getpid(), number)).start()


def _say(text: str) -> None:
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(text)


def _error(message: str) -> None:
    _say(f"Error: {message}")


@contextmanager
def _explained(kind: type[Problem] = Problem) -> Iterator[None]:
    """Turn what the core raises for bad input into a `Problem` with the same words."""
    try:
        yield
    except KeyError as error:
        raise kind(str(error.args[0])) from error
    except (ValueError, OSError, RuntimeError) as error:
        raise kind(str(error)) from error


def _progress(period: float = 30) -> Progress:
    """Return a progress bar with the time left, on stderr; nothing where stderr is not a terminal.

    The time left follows from what was done in the last `period` seconds.
    """
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    off = not console.is_terminal
    return Progress(*columns, console=console, transient=True, disable=off, speed_estimate_period=period)


def _print(table: Table) -> None:
    Console(highlight=False).print(table)


def _print_json(rows: Sequence[dict[str, Any]]) -> None:
    escaped = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    print(json.dumps(rows, ensure_ascii=escaped, indent=1))  # noqa: T201


# ------------------------------------------------------------------------------------------------------------- list


@app.command("list")
def list_papers(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list instead of a table.")] = False,
) -> None:
    """List all papers in teaching order, with the time they need and their experiments."""
    rows: list[dict[str, Any]] = [
        {
            "part": paper.part,
            "name": paper.slug,
            "title": paper.title,
            "minutes": paper.minutes,
            "experiments": [cls.__name__ for cls in catalogue.module(paper.name).EXPERIMENTS],
        }
        for paper in catalogue.papers()
    ]
    if as_json:
        _print_json(rows)
        return
    table = Table("Part", Column("Name", no_wrap=True), "Title", "Minutes", "Experiments")
    for row in rows:
        table.add_row(row["part"], row["name"], row["title"], str(row["minutes"]), ", ".join(row["experiments"]))
    _print(table)


# -------------------------------------------------------------------------------------------------------------- run


@app.command()
def run(
    paper: Annotated[
        str, typer.Argument(metavar="PAPER[:EXPERIMENT]", help="Which experiment; the first if none is named.")
    ],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KNOB=VALUE", help="Set a knob; may be repeated.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to run side by side.")] = 8,
    out: Annotated[Path | None, typer.Option(metavar="FILE.nc", help="Save all results to this NetCDF file.")] = None,
) -> None:
    """Run one experiment and say what came out.

    For example: reglab run early_learning --set noise=0.6 --seeds 4
    """
    with _explained():
        name, _, label = paper.partition(":")
        cls = catalogue.experiment(name, label)
        chosen: Experiment = cls.make(_settings(settings or ()))
        if out is not None:
            _writable(out, cls)
    from reglab import experiment
    from reglab.pictures import views

    with _progress() as bar:
        task = bar.add_task(cls.__name__, total=1.0)
        data = chosen.run(seeds, progress=lambda fraction: bar.update(task, completed=fraction))
    Console(highlight=False, markup=False).print(views.sentence(data, cls.headline, cls.arms))
    _print(_last_values(data, cls.headline))
    if out is not None:
        with _explained(Failed):
            experiment.save(data, out)
        _say(f"Saved to {out}.")


def _settings(texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        knob, equals, value = (piece.strip() for piece in text.partition("="))
        if not (knob and equals and value):
            raise ValueError(f"--set {text!r}: write it as KNOB=VALUE, for example --set noise=0.6")
        if knob in found:
            raise ValueError(f"--set {text!r}: the knob {knob!r} was already set to {found[knob]!r}")
        found[knob] = value
    return found


def _writable(path: Path, cls: type[Experiment]) -> None:
    """Make sure before a run that its results can be saved; raises `ValueError` that says why not."""
    from reglab import experiment

    if path.is_dir():
        raise ValueError(f"cannot write {path}: it is a folder; name a file in it, for example {path / 'run.nc'}")
    if path.exists():
        if not path.is_file():
            raise ValueError(f"cannot write {path}: it is not an ordinary file")
        try:
            experiment.load(path, of=cls)
        except ValueError as error:
            raise ValueError(f"{error}. It is left as it is; choose another file or delete this one") from error
    _can_make_files(path.parent, path.name)


def _can_make_files(folder: Path, name: str) -> None:
    """Try to make a file in a folder; raises `ValueError` that says why that is impossible."""
    if not folder.exists():
        raise ValueError(f"cannot write {folder / name}: there is no folder {folder}")
    if not folder.is_dir():
        raise ValueError(f"cannot write {folder / name}: {folder} is a file, not a folder")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f"{name}."):
            pass
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ValueError(f"cannot write {folder / name}: {why or error}") from error


def _last_values(data: xr.Dataset, headline: str) -> Table:
    """Return the last value of the headline for each arm, with its 95 % interval, as a table."""
    from reglab import claims
    from reglab.pictures import views

    values = data[headline]
    rest = [str(dim) for dim in values.dims if dim not in ("arm", "seed")]
    title = f"{values.attrs['long_name']}, last value"
    table = Table("Arm", "Mean", "95 % interval", "Seeds", title=title)
    for arm in data.arm.values if "arm" in values.dims else [""]:
        one = values.sel(arm=arm) if arm else values
        for dim in rest:
            there = one.notnull().any([other for other in one.dims if other != dim])
            last = there.values.nonzero()[0]
            one = one.isel({dim: last[-1] if len(last) else -1})
        mean, low, high = (float(end) for end in claims.mean_interval(one.values))
        interval = "one seed gives none" if data.sizes["seed"] == 1 else f"{views.number(low)} to {views.number(high)}"
        table.add_row(arm or "all", views.number(mean), interval, str(data.sizes["seed"]))
    return table


# ------------------------------------------------------------------------------------------------------------ check


@app.command()
def check(
    papers: Annotated[
        list[str] | None, typer.Argument(metavar="[PAPER]...", help="Which papers; all if none is named.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Use so many seeds instead of each claim's own; then nothing is written.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list instead of tables.")] = False,
    stale: Annotated[
        bool, typer.Option("--stale", help="Only claims whose code changed since they were measured.")
    ] = False,
    keys: Annotated[
        list[str] | None,
        typer.Option("--claim", metavar="KEY", help="Only this claim; may be repeated; then nothing is written."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Say what differs from what is stored; nothing is written.")
    ] = False,
    robust: Annotated[
        bool, typer.Option("--robust", help="The same for the claims that luck does not change.")
    ] = False,
) -> None:
    """Measure the claims of papers, write them to data/claims/, and fail when an essential one does not hold.

    With --stale the other claims stay as they were measured. The exit status is 1 when the verdict of an essential
    claim is not "holds", and with --robust when a verdict is not the stored one.
    """
    if robust or compare:
        with _explained():
            if seeds or as_json or stale or keys:
                raise ValueError("--robust and --compare measure as it was stored; they take no other option")
        _check_again(papers, robust)
        return
    with _explained():
        names = list(dict.fromkeys(catalogue.find(name) for name in papers or catalogue.SLUGS))
        from reglab import claims

        looked = names if stale else []
        outdated = {name: claims.outdated(name) for name in looked}
        kept = [record for name in looked for record in (claims.read(name) or {"claims": []})["claims"]]
        bad = [record for record in kept if _bad(record) and record["key"] not in outdated[record["paper"]]]
        names = [name for name in names if not stale or claims.stale(name)]
        wanted = _wanted(names, keys) if keys and names else None
        for name in names:
            folder = claims.path(name).parent
            folder.mkdir(parents=True, exist_ok=True)
            _can_make_files(folder, claims.path(name).name)
    records: list[dict[str, Any]] = []
    for record in bad:
        _say(f"{record['paper']}: the essential claim {record['key']!r} was measured as: {record['verdict']}")
    if stale and not names:
        _say("No claims are stale: no code has changed since they were measured.")
    with _progress() as bar:
        task = bar.add_task("", total=len(names))
        for done, name in enumerate(names):

            def report(fraction: float, label: str, done: int = done, name: str = name) -> None:
                bar.update(task, completed=done + fraction, description=f"{name}: {label}")

            if wanted is not None and not wanted[name]:
                continue
            measured = claims.measure(name, seeds, wanted[name] if wanted else outdated.get(name), progress=report)
            records += measured
            own = all(claim.seeds == (seeds or claim.seeds) for claim in catalogue.module(name).CLAIMS)
            if own and wanted is None:
                with _explained(Failed):
                    claims.write(name, measured)
            else:
                why = "only some claims were measured" if wanted else f"{seeds} is not the claims' own number of seeds"
                _say(f"{name}: {why}; data/claims/{name}.json stays as it is.")
    if as_json:
        _print_json([{key: record[key] for key in JSON_KEYS} for record in records])
    else:
        for name in names:
            _print(_claims_table(name, [record for record in records if record["paper"] == name]))
    bad += [record for record in records if _bad(record)]
    if bad:
        _say(f"Essential claims that do not hold: {', '.join(repr(record['key']) for record in bad)}")
        raise typer.Exit(1)


def _check_again(papers: Sequence[str] | None, robust: bool) -> None:
    """Measure claims again and say what differs from what is stored.

    Ends with status 1 when a robust claim has another verdict, or an essential one does not hold.
    """
    from reglab import claims

    with _explained():
        names = list(dict.fromkeys(catalogue.find(name) for name in papers or catalogue.SLUGS))
    failed = False
    with _progress() as bar:
        for name in bar.track(names, description="robust claims" if robust else "all claims"):
            with _explained(Failed):
                found = claims.again(name, robust)
            for before, now in found:
                if _told(before) != _told(now):
                    _say(f"Differs: {name}, {now['key']!r}: stored {_told(before)}, now {_told(now)}")
                if (robust and now["verdict"] != before["verdict"]) or _bad(now):
                    failed = True
                    _error(
                        f"{name}: {now['key']!r} {now['verdict']}: {now['effect']} against {now['bound']}; it was "
                        f"stored as {before['verdict']!r}. If the change is meant, measure again: `reglab check "
                        f"{name.split('/')[1]}`" + (". By luck this happens once in ten million runs" if robust else "")
                    )
            same = sum(before["verdict"] == now["verdict"] for before, now in found)
            _say(f"{name}: {same} of {len(found)} {'robust ' if robust else ''}claims get their stored verdicts")
    if failed:
        raise typer.Exit(1)


def _told(record: dict[str, Any]) -> str:
    """Return what was measured of a claim, with the digits that a page shows."""
    numbers = ["none" if record[key] is None else f"{record[key]:.3g}" for key in ("effect", "low", "high")]
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}] {record['verdict']}"


def _bad(record: dict[str, Any]) -> bool:
    return bool(record["essential"]) and record["verdict"] != "holds"


def _wanted(names: Sequence[str], keys: Sequence[str]) -> dict[str, list[str]]:
    """Return which of some claims each paper has; raises `KeyError` for one that none has."""
    known = {name: [claim.key for claim in catalogue.module(name).CLAIMS] for name in names}
    for key in keys:
        if not any(key in have for have in known.values()):
            listed = "; ".join(f"{name} has: {', '.join(map(repr, have))}" for name, have in known.items())
            raise KeyError(f"no claim {key!r}; {listed}")
    return {name: [key for key in have if key in keys] for name, have in known.items()}


def _claims_table(name: str, records: Sequence[dict[str, Any]]) -> Table:
    def number(value: float | None) -> str:
        return "none" if value is None else f"{value:.3g}"

    table = Table("Claim", "Effect", "Interval", "Bound", "Verdict", "Essential", title=name)
    for record in records:
        interval = f"{number(record['low'])} to {number(record['high'])}"
        essential = "essential" if record["essential"] else ""
        verdict = record["verdict"]
        table.add_row(record["key"], number(record["effect"]), interval, record["bound"], verdict, essential)
    return table


# ----------------------------------------------------------------------------------------------------------- record


@app.command()
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
        str, typer.Option(metavar="TEXT", help="Compute one recorded point of each paper again, chosen by this text.")
    ] = "",
) -> None:
    """Compute the grids that the website replays, and write them to data/recorded/.

    What was finished before a stop is kept; the same command goes on from there. With --check the exit status is 1 when
    a grid is stale: what it computes or its values have changed. With --spot it is 1 when a point comes
    out otherwise than recorded.
    """
    with _explained():
        if bool(only_check) + bool(spot) + bool(cluster or jobs) > 1:
            raise ValueError("--check, --spot and computing (--jobs, --cluster) exclude each other: choose one")
        if cluster and jobs:
            raise ValueError("--jobs is for processes on this computer; a cluster has the workers that it has")
        names = list(dict.fromkeys(catalogue.find(name) for name in papers or catalogue.SLUGS))
    from reglab.recordings import sweep

    if only_check:
        _check_recordings(names)
        return
    if spot:
        _spot(names, spot)
        return
    names = [name for name in names if papers or sweep.planned(name)]
    for name in names:
        with _progress(600) as bar, _explained(Failed):
            task = bar.add_task(name)

            def report(done: int, total: int, bar: Progress = bar, task: Any = task) -> None:
                bar.update(task, completed=done, total=total)

            path = sweep.record(name, jobs, cluster, report)
        _say(f"wrote {os.path.relpath(path, catalogue.ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def _check_recordings(names: Sequence[str]) -> None:
    """Say for every grid whether it is current; ends with status 1 when one is stale."""
    from reglab.recordings import store, sweep

    table, stale = Table(Column("Paper", no_wrap=True), Column("Experiment", no_wrap=True), "Recording"), []
    for slug in [name.split("/")[1] for name in names]:
        for kind in [one.kind for one in sweep.planned(slug)]:
            why = store.stale(kind)
            stale += [slug] if why else []
            table.add_row(slug, kind.__name__, why or "current")
    _print(table)
    if stale:
        _say(f"Stale recordings: record them again with `reglab record {' '.join(dict.fromkeys(stale))}`")
        raise typer.Exit(1)


def _spot(names: Sequence[str], text: str) -> None:
    """Compute one recorded point of each paper again; ends with status 1 when one differs."""
    from reglab.recordings import spot

    bad = 0
    with _progress() as bar:
        for name in bar.track(names, description="one point of each paper"):
            try:
                with _explained(Failed):
                    _say(spot.check(name, text))
            except (Failed, spot.DiffersError) as error:
                bad += 1
                _error(str(error))
    if bad:
        raise typer.Exit(1)


# --------------------------------------------------------------------------------------------------------- pretrain


@app.command()
def pretrain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which model: tiny_clip or tiny_lm.")],
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", min=0, help="Which pretraining seed; 0, 1 and 2 if none is named.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to write; data/pretrained if not given.")
    ] = None,
) -> None:
    """Pretrain a tiny model anew and write its checkpoint, in less than a minute for each seed.

    The exit status is 1, and nothing is written, when a model misses a target of quality.
    """
    with _explained():
        from reglab.models import pretrained

        recipe, folder = pretrained.recipe(name), out or pretrained.FOLDER
        chosen = list(dict.fromkeys(seeds or pretrained.SEEDS))
        pretrained.FOLDER.mkdir(parents=True, exist_ok=True)
        for seed in chosen:
            _can_make_files(folder, pretrained.path(name, seed, folder).name)
    measured: dict[int, dict[str, float]] = {}
    problems: list[str] = []
    with _progress() as bar:
        task = bar.add_task("", total=len(chosen))
        for done, seed in enumerate(chosen):

            def report(fraction: float, done: int = done, seed: int = seed) -> None:
                bar.update(task, completed=done + fraction, description=f"{name}, seed {seed}")

            weights = pretrained.make(name, seed, report)
            figures = measured[seed] = pretrained.measure(recipe, weights)
            missed = [f"seed {seed}, {sentence}" for sentence in pretrained.missed(recipe, figures)]
            problems += missed
            if not missed:
                with _explained(Failed):
                    pretrained.save(pretrained.path(name, seed, folder), recipe, seed, weights, figures)
    table = Table("Share that is right", *(f"Seed {seed}" for seed in chosen), "At least", title=name)
    for figure in measured[chosen[0]]:
        least = f"{recipe.targets[figure]:.2f}" if figure in recipe.targets else ""
        table.add_row(figure, *(f"{measured[seed][figure]:.3f}" for seed in chosen), least)
    _print(table)
    if problems:
        raise Failed(f"{name} missed targets, and those checkpoints were not written: {'; '.join(problems)}")


# ----------------------------------------------------------------------------------------------------------- verify


@app.command()
def verify(
    papers: Annotated[list[str] | None, typer.Argument(metavar="[PAPER]...", help="Which papers or parts.")] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Papers changed since $CI_BASE, or else since a day ago.")
    ] = False,
    rotate: Annotated[int, typer.Option(min=0, metavar="N", help="So many more, chosen by the newest commit.")] = 0,
    everything: Annotated[
        bool, typer.Option("--all", help="All papers (or all that are named), and all their claims.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Write a table of what was checked and what it said.")
    ] = None,
) -> None:
    """Run the expensive checks of papers side by side: notebook, claims, recorded point, arms and seeds, replay.

    It needs a checkout with the tests. The exit status is 1 when a check fails.
    """
    from reglab import verify as engine

    with _explained():
        names = catalogue.select(papers or [])
        if everything and not papers:
            names = list(catalogue.SLUGS)
        if changed:
            names += engine.changed()
        names += engine.rotation(rotate, names)
        if not (papers or changed or rotate or everything):
            raise ValueError("which papers? Name some, or give --changed, --rotate N or --all")
        names = [name for name in catalogue.SLUGS if name in names]
    todo = engine.jobs(names, every_claim=everything)
    _say(f"Verifying {', '.join(names) or 'no paper: none has changed'}")
    with _progress(600) as bar:
        task = bar.add_task("", total=len(todo))

        def tell(one: engine.Outcome, left: int) -> None:
            bar.update(task, completed=len(todo) - left, description=one.job.name)
            _say(f"{'✓' if one.well else '✗'} {one.job.name}: {one.seconds:.0f} s; {left} of {len(todo)} left")

        outcomes = engine.run(todo, tell)
    if report is not None:
        with _explained(Failed):
            report.write_text(engine.table(outcomes), encoding="utf-8")
    failed = [one for one in outcomes if not one.well]
    for one in failed:
        _say(f"\n{one.job.name} failed:\n{one.said}")
    for one in failed:
        _error(f"{one.job.name} failed; alone: {one.job.alone}")
    if failed:
        raise typer.Exit(1)


# -------------------------------------------------------------------------------------- execute, pair, book and lab


@app.command()
def execute(
    papers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PAPER]...", help="Which notebooks (or 'index'); all if none is named."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="How many at once; one for each core if not given.")] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="Only notebooks that changed since they were executed.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Two seeds and the smallest settings; such copies are never published.")
    ] = False,
) -> None:
    """Run the notebooks from top to bottom; the executed copies go to book/lab/.

    The exit status is 1 when a notebook fails.
    """
    from reglab.site import execute as engine

    with _explained():
        names = [name if name == engine.INDEX else catalogue.find(name) for name in papers or engine.names()]
        tasks = [engine.task(name, quick) for name in dict.fromkeys(names) if not stale or engine.stale(name, quick)]
    if not tasks:
        _say("No notebook is stale: nothing that they show has changed since they were executed.")
    failures = _execute(tasks, jobs)
    for failure in failures:
        _error(str(failure))
    if tasks:
        _say(f"{len(tasks) - len(failures)} of {len(tasks)} notebooks ran through.")
    if failures:
        raise typer.Exit(1)


def _execute(tasks: Sequence[Any], jobs: int | None = None) -> list[Any]:
    from reglab.site import execute as engine

    with _progress() as bar:
        task = bar.add_task("notebooks", total=len(tasks))
        return engine.execute(
            tasks, jobs, progress=lambda done, name: bar.update(task, completed=done, description=name)
        )


@app.command()
def pair() -> None:
    """Make the .ipynb of every notebook anew from its .py."""
    from reglab.site import execute as engine

    for path in engine.pair():
        _say(f"wrote {path.relative_to(catalogue.ROOT)}")


@app.command()
def book(
    archive: Annotated[
        bool, typer.Option("--zip", help="Pack the website into one archive, which opens without a server.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="For tests: notebooks that changed are only run quickly.")
    ] = False,
) -> None:
    """Build the website from the notebooks; runs those that changed first, and prints where the first page is."""
    from reglab.site import book as website
    from reglab.site import execute as engine

    with _explained():
        if archive and preview:
            raise ValueError("--zip packs what can be published, and a preview cannot")
        tasks = [engine.task(name, preview) for name in engine.names() if engine.stale(name, preview)]
    failures = _execute(tasks)
    if failures:
        raise Failed("these notebooks do not run through:\n" + "\n".join(map(str, failures)))
    with _explained(Failed), Console(stderr=True).status("Building the website"):
        path = website.build(preview)
        path = website.zipped() if archive else path
    print(path)  # noqa: T201


@app.command()
def lab(
    port: Annotated[
        int | None,
        typer.Option(envvar="JUPYTER_PORT", min=1, max=65535, help="Where to listen; a free port from 8888 on."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open the lab in JupyterLab, on this computer only (127.0.0.1, with a secret token in the address)."""
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={catalogue.ROOT}"]
    command += ["--LabApp.default_url=/lab/tree/lab/index.ipynb"]
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    if port is not None:
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # in a container there is often no other user
    if os.name == "nt":
        raise typer.Exit(subprocess.call(command))
    os.execv(sys.executable, command)
