"""Measure the claims of papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from reglab import catalogue, files
from reglab.cli.output import FailedError, explained, print_json, progress, say, say_error

JSON_KEYS = (
    "key", "paper", "experiment", "claim", "group", "essential", "effect", "low", "high", "bound", "source", "rule",
    "verdict", "block", "seeds", "settings",
)  # fmt: skip
"""What `reglab check --json` tells about each claim."""


def check(
    papers: Annotated[
        list[str] | None, typer.Argument(metavar="[PAPER]...", help="Which papers; all if none is named.")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, max=catalogue.BLOCK, help="Use so many seeds instead of each claim's own; then nothing is written."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list instead of tables.")] = False,
    stale: Annotated[
        bool, typer.Option("--stale", help="Only claims whose code changed since they were measured.")
    ] = False,
    keys: Annotated[
        list[str] | None,
        typer.Option("--claim", metavar="KEY", help="Only this claim; may be repeated; then nothing is written."),
    ] = None,
    building: Annotated[
        bool, typer.Option("--building", help="Measure on the seeds 0, 1, … for building; then nothing is written.")
    ] = False,
    why: Annotated[
        str,
        typer.Option(
            metavar="SENTENCE", help="What changed and why; where a claim asks something new, or takes new seeds."
        ),
    ] = "",
    compare: Annotated[
        bool, typer.Option("--compare", help="Say what differs from what is stored; nothing is written.")
    ] = False,
    robust: Annotated[
        bool, typer.Option("--robust", help="The same for the claims that luck does not change.")
    ] = False,
) -> None:
    """Measure the claims of papers, write them to data/claims/, and fail when an essential one does not hold.

    The seeds are the paper's exam seeds, those from the EXAM of its claims.py on: look at them when effects and bounds
    are final, and build with --building. What a measurement replaces with another question or other seeds goes to the
    history, with the sentence of --why. With --stale the other claims stay as they were measured.

    The exit status is 1 when an essential claim does not hold, or holds for an arm that knows nothing in the method's
    place, too; with --robust, when a verdict is not the stored one; with --compare, when an essential claim does not
    hold and lies apart from what is stored.
    """
    if robust or compare:
        with explained():
            if seeds or as_json or stale or keys or building or why:
                raise ValueError("--robust and --compare measure as it was stored; they take no other option")
        _check_again(papers, robust)
        return
    with explained():
        names = catalogue.select(papers or catalogue.SLUGS)
        from reglab import measurements

        measured_only = seeds is not None or bool(keys) or building
        if not measured_only or stale:
            catalogue.need_checkout()
        looked = names if stale else []
        outdated = {name: measurements.outdated(name) for name in looked}
        kept = [record for name in looked for record in (measurements.read(name) or {"claims": []})["claims"]]
        kept = [record for record in kept if record["key"] not in outdated[record["paper"]]]
        bad = [record for record in kept if _bad(record)]
        names = [name for name in names if not stale or measurements.stale(name)]
        wanted = _wanted(names, keys) if keys and names else None
        for name in names:
            if not building:
                measurements.check_unseen(name, wanted[name] if wanted else outdated.get(name))
            _explained(name, [] if measured_only else measurements.replaced(name, outdated.get(name)), why)
            if not measured_only:
                measurements.path(name).parent.mkdir(parents=True, exist_ok=True)
                files.check_writable(measurements.path(name))
    records: list[dict[str, Any]] = []
    for record in bad:
        say(f"{record['paper']}: the essential claim {record['key']!r} was measured as: {record['verdict']}")
    if stale and not names:
        say("No claims are stale: no code has changed since they were measured.")
    with progress() as bar:
        task = bar.add_task("", total=len(names))
        for done, name in enumerate(names):

            def report(fraction: float, label: str, done: int = done, name: str = name) -> None:
                bar.update(task, completed=done + fraction, description=f"{name}: {label}")

            if wanted is not None and not wanted[name]:
                continue
            asked = wanted[name] if wanted else outdated.get(name)
            with explained(FailedError):
                measured = measurements.measure(name, seeds, asked, progress=report, block=0 if building else None)
            records += measured
            if measured_only:
                say(f"{name}: data/claims/{name}.json stays as it is.")
            else:
                with explained(FailedError):
                    measurements.write(name, measured, why)
    if as_json:
        print_json([{key: record[key] for key in JSON_KEYS} for record in records])
    else:
        for name in names:
            lines = [name, *(_said(record) for record in records if record["paper"] == name)]
            Console(highlight=False, markup=False, soft_wrap=True).print("\n  ".join(lines))
    bad += [record for record in records if _bad(record)]
    if bad:
        say(f"Essential claims that do not hold: {', '.join(repr(record['key']) for record in bad)}")
    idle = [f"{record['key']!r} (for {arm})" for record in kept + records for arm in _held_by(record)]
    if idle:
        say(f"Essential claims that hold for an arm that knows nothing, too: {', '.join(idle)}")
    if bad or idle:
        raise typer.Exit(1)


def _explained(name: str, replaced: Sequence[str], why: str) -> None:
    """Raise `ValueError` when `why` is missing for measured claims that a measurement replaces, or says it of none."""
    slug = name.split("/")[1]
    if replaced and not why:
        raise ValueError(
            f"{slug}: {', '.join(map(repr, replaced))} asked something else, or on other seeds, and will go to the "
            f'history; say what changed and why: `reglab check {slug} --why "..."`'
        )
    if why and not replaced:
        raise ValueError(f"{slug}: nothing that was measured goes to the history; leave --why out")


def _check_again(papers: Sequence[str] | None, robust: bool) -> None:
    """Measure claims again and say what differs from what is stored.

    Ends with status 1 when a robust claim has another verdict, or when an essential one neither holds nor has an
    interval that meets the stored one: a long training is another draw on another processor, and may end near a bound.
    """
    from reglab import measurements

    with explained():
        names = catalogue.select(papers or catalogue.SLUGS)
    failed = False
    with progress() as bar:
        for name in bar.track(names, description="robust claims" if robust else "all claims"):
            with explained(FailedError):
                found = measurements.again(name, robust)
            for before, now in found:
                if _told(before) != _told(now):
                    say(f"Differs: {name}, {now['key']!r}: stored {_told(before)}, now {_told(now)}")
                if now["verdict"] != before["verdict"] if robust else _bad(now) and _apart(before, now):
                    failed = True
                    say_error(
                        f"{name}: {now['key']!r} {now['verdict']}: {now['effect']} against {now['bound']}; it was "
                        f"stored as {before['verdict']!r}. If the change is meant, measure again: `reglab check "
                        f"{name.split('/')[1]}`" + (". By luck this happens once in ten million runs" if robust else "")
                    )
            same = sum(before["verdict"] == now["verdict"] for before, now in found)
            say(f"{name}: {same} of {len(found)} {'robust ' if robust else ''}claims get their stored verdicts")
    if failed:
        raise typer.Exit(1)


def _told(record: dict[str, Any]) -> str:
    """Return what was measured of a claim, with the digits that a page shows, and its verdict."""
    effect, low, high = (_number(record[key]) for key in ("effect", "low", "high"))
    return f"{effect} [{low}, {high}] {record['verdict']}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _bad(record: dict[str, Any]) -> bool:
    return bool(record["essential"]) and record["verdict"] != "holds"


def _held_by(record: dict[str, Any]) -> list[str]:
    """Return for which null arms in the method's place a claim holds."""
    return [arm for arm, one in record["nulls"].items() if one["verdict"] == "holds"]


def _apart(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Tell whether two measurements of a claim have no value in common; without intervals they have none."""
    if None in (before["low"], before["high"], now["low"], now["high"]):
        return True
    return bool(before["high"] < now["low"] or now["high"] < before["low"])


def _wanted(names: Sequence[str], keys: Sequence[str]) -> dict[str, list[str]]:
    """Return which of some claims each paper has; raises `KeyError` for one that none has."""
    known = {name: [claim.key for claim in catalogue.claims(name)] for name in names}
    for key in keys:
        if not any(key in have for have in known.values()):
            listed = "; ".join(f"{name} has: {', '.join(map(repr, have))}" for name, have in known.items())
            raise KeyError(f"no claim {key!r}; {listed}")
    return {name: [key for key in have if key in keys] for name, have in known.items()}


def _said(record: dict[str, Any]) -> str:
    """Say in a sentence what was measured of a claim."""
    essential = ", essential" if record["essential"] else ""
    return f"{record['claim']}: {_told(record)} (must be {record['bound']}{essential})"
