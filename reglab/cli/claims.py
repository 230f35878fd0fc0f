"""Measure the claims of papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from reglab import catalogue, files
from reglab.cli.output import FailedError, explained, print_json, print_table, progress, say, say_error

JSON_KEYS = (
    "key", "paper", "experiment", "claim", "group", "essential", "effect", "low", "high", "bound", "source", "rule",
    "verdict", "seeds", "settings",
)  # fmt: skip
"""What `reglab check --json` tells about each claim."""


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
    claim is not "holds"; with --robust, when a verdict is not the stored one; with --compare, when an essential claim
    does not hold and lies apart from what is stored.
    """
    if robust or compare:
        with explained():
            if seeds or as_json or stale or keys:
                raise ValueError("--robust and --compare measure as it was stored; they take no other option")
        _check_again(papers, robust)
        return
    with explained():
        names = catalogue.select(papers or catalogue.SLUGS)
        from reglab import claims

        looked = names if stale else []
        outdated = {name: claims.outdated(name) for name in looked}
        kept = [record for name in looked for record in (claims.read(name) or {"claims": []})["claims"]]
        bad = [record for record in kept if _bad(record) and record["key"] not in outdated[record["paper"]]]
        names = [name for name in names if not stale or claims.stale(name)]
        wanted = _wanted(names, keys) if keys and names else None
        for name in names:
            claims.path(name).parent.mkdir(parents=True, exist_ok=True)
            files.check_writable(claims.path(name))
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
            measured = claims.measure(name, seeds, wanted[name] if wanted else outdated.get(name), progress=report)
            records += measured
            own = all(claim.seeds == (seeds or claim.seeds) for claim in catalogue.claims(name))
            if own and wanted is None:
                with explained(FailedError):
                    claims.write(name, measured)
            else:
                why = "only some claims were measured" if wanted else f"{seeds} is not the claims' own number of seeds"
                say(f"{name}: {why}; data/claims/{name}.json stays as it is.")
    if as_json:
        print_json([{key: record[key] for key in JSON_KEYS} for record in records])
    else:
        for name in names:
            print_table(_claims_table(name, [record for record in records if record["paper"] == name]))
    bad += [record for record in records if _bad(record)]
    if bad:
        say(f"Essential claims that do not hold: {', '.join(repr(record['key']) for record in bad)}")
        raise typer.Exit(1)


def _check_again(papers: Sequence[str] | None, robust: bool) -> None:
    """Measure claims again and say what differs from what is stored.

    Ends with status 1 when a robust claim has another verdict, or when an essential one neither holds nor has an
    interval that meets the stored one: a long training is another draw on another processor, and may end near a bound.
    """
    from reglab import claims

    with explained():
        names = catalogue.select(papers or catalogue.SLUGS)
    failed = False
    with progress() as bar:
        for name in bar.track(names, description="robust claims" if robust else "all claims"):
            with explained(FailedError):
                found = claims.again(name, robust)
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
    """Return what was measured of a claim, with the digits that a page shows."""
    effect, low, high = (_number(record[key]) for key in ("effect", "low", "high"))
    return f"{effect} [{low}, {high}] {record['verdict']}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _bad(record: dict[str, Any]) -> bool:
    return bool(record["essential"]) and record["verdict"] != "holds"


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


def _claims_table(name: str, records: Sequence[dict[str, Any]]) -> Table:
    table = Table("Claim", "Effect", "Interval", "Bound", "Verdict", "Essential", title=name)
    for record in records:
        interval = f"{_number(record['low'])} to {_number(record['high'])}"
        essential = "essential" if record["essential"] else ""
        verdict = record["verdict"]
        table.add_row(record["key"], _number(record["effect"]), interval, record["bound"], verdict, essential)
    return table
