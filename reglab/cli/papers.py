"""List the papers, and run their experiments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from reglab import catalogue, files
from reglab.cli.output import FailedError, explained, print_json, print_table, progress, say

if TYPE_CHECKING:
    import xarray as xr

    from reglab.experiment import Experiment


def list_papers(
    name: Annotated[
        str | None, typer.Argument(metavar="[PAPER]", help="Show its experiments, knobs, arms and claims.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list instead of a table.")] = False,
) -> None:
    """List all papers in teaching order, with their level and minutes; or what one paper has."""
    if name is not None:
        with explained():
            if as_json:
                raise ValueError("--json lists all papers; it takes no paper")
            _show(catalogue.paper(name))
        return
    if as_json:
        print_json(
            [
                {
                    "part": paper.part,
                    "name": paper.slug,
                    "title": paper.title,
                    "level": paper.level,
                    "minutes": paper.minutes,
                    "experiments": catalogue.experiment_names(paper.name),
                }
                for paper in catalogue.papers()
            ]
        )
        return
    table = Table("Part", Column("Name", no_wrap=True), "Title", Column("Level", no_wrap=True), "Minutes")
    for paper in catalogue.papers():
        table.add_row(paper.part, paper.slug, paper.title, paper.level, str(paper.minutes))
    print_table(table)


def _show(paper: catalogue.Paper) -> None:
    """Print what a paper has: each experiment with its knobs and arms, and its claims as they were measured."""
    from reglab import measurements

    console = Console(highlight=False, markup=False)
    console.print(f"{paper.short}: {paper.title} ({paper.venue} {paper.year})\n{paper.idea}")
    for kind in catalogue.experiments(paper.name):
        said = (kind.__doc__ or "").splitlines()[0]
        table = Table("Knob", "Default", "Takes", "What it is", title=f"{kind.__name__}: {said}", title_justify="left")
        for knob, one in kind.knobs().items():
            table.add_row(knob, str(one.default), one.range, one.help)
        print_table(table)
        if kind.arms:
            console.print("Arms: " + " · ".join(f"{arm} ({role})" for arm, role in kind.arms.items()))
    measured = {
        record["key"]: record["verdict"] for record in (measurements.read(paper.name) or {"claims": []})["claims"]
    }
    table = Table("Key", "Claim", "Verdict", title="Claims", title_justify="left")
    for claim in catalogue.claims(paper.name):
        essential = " (essential)" if claim.essential else ""
        table.add_row(claim.key, claim.text + essential, measured.get(claim.key, "not measured"))
    print_table(table)


def run(
    paper: Annotated[
        str, typer.Argument(metavar="PAPER[:EXPERIMENT]", help="Which experiment; the first if none is named.")
    ],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KNOB=VALUE", help="Set a knob; may be repeated.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=catalogue.BLOCK, help="How many seeds to run side by side.")] = 8,
    out: Annotated[Path | None, typer.Option(metavar="FILE.nc", help="Save all results to this NetCDF file.")] = None,
) -> None:
    """Run one experiment and say what came out.

    For example: reglab run early_learning --set noise=0.6 --seeds 4
    """
    with explained():
        name, _, label = paper.partition(":")
        cls = catalogue.experiment(name, label)
        chosen: Experiment = cls.make(_settings(settings or ()))
        if out is not None:
            _writable(out, cls)
    from reglab import results
    from reglab.pictures import words

    with explained(), progress() as bar:
        task = bar.add_task(cls.__name__, total=1.0)
        data = chosen.run(seeds, progress=lambda fraction: bar.update(task, completed=fraction))
    Console(highlight=False, markup=False).print(words.sentence(data, cls.headline, cls.arms))
    print_table(_last_values(data, cls.headline))
    if out is not None:
        with explained(FailedError):
            results.save(data, out)
        say(f"Saved to {out}.")


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
    from reglab import results

    if path.is_dir():
        raise ValueError(f"cannot write {path}: it is a folder; name a file in it, for example {path / 'run.nc'}")
    if path.exists():
        if not path.is_file():
            raise ValueError(f"cannot write {path}: it is not an ordinary file")
        try:
            results.load(path, of=cls)
        except ValueError as error:
            raise ValueError(f"{error}. It is left as it is; choose another file or delete this one") from error
    files.check_writable(path)


def _last_values(data: xr.Dataset, headline: str) -> Table:
    """Return the last value of the headline for each arm, with its 95 % interval, as a table."""
    from reglab import statistics
    from reglab.pictures import words
    from reglab.pictures.reached import reached

    values = data[headline]
    rest = [str(dim) for dim in values.dims if dim not in ("arm", "seed")]
    title = f"{values.attrs['long_name']}, last value"
    table = Table("Arm", "Mean", "95 % interval", "Seeds", title=title)
    for arm in data.arm.values if "arm" in values.dims else [""]:
        one = values.sel(arm=arm) if arm else values
        for dim in rest:
            positions = reached(one, dim)
            one = one.isel({dim: positions[-1] if len(positions) else -1})
        found = statistics.mean_interval(one.values, ends=statistics.possible(values.attrs))
        mean, low, high = words.even(*(float(end) for end in found))
        interval = "one seed gives none" if data.sizes["seed"] == 1 else f"{low} to {high}"
        table.add_row(arm or "all", mean, interval, str(data.sizes["seed"]))
    return table
