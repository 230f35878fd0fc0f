"""Pretrain the tiny models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from reglab import catalogue, files
from reglab.cli.output import FailedError, explained, print_table, progress


def pretrain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which model: tiny_clip or tiny_lm.")],
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", min=0, help="Which pretraining seed; 0, 1 and 2 if none is named.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to write; data/pretrained if not given.")
    ] = None,
) -> None:
    """Pretrain a tiny model again and write its checkpoint, in less than a minute for each seed.

    The exit status is 1, and nothing is written, when a model misses a target of quality.
    """
    with explained():
        from reglab.models import pretrained

        recipe, folder = pretrained.recipe(name), out or pretrained.FOLDER
        chosen = list(dict.fromkeys(seeds or pretrained.SEEDS))
        if out is None:
            catalogue.need_checkout()
            folder.mkdir(parents=True, exist_ok=True)
        for seed in chosen:
            files.check_writable(pretrained.path(name, seed, folder))
    measured: dict[int, dict[str, float]] = {}
    problems: list[str] = []
    with progress() as bar:
        task = bar.add_task("", total=len(chosen))
        for done, seed in enumerate(chosen):

            def report(fraction: float, done: int = done, seed: int = seed) -> None:
                bar.update(task, completed=done + fraction, description=f"{name}, seed {seed}")

            weights = pretrained.make(name, seed, report)
            figures = measured[seed] = pretrained.measure(recipe, weights)
            missed = [f"seed {seed}, {sentence}" for sentence in pretrained.missed(recipe, figures)]
            problems += missed
            if not missed:
                with explained(FailedError):
                    pretrained.save(pretrained.path(name, seed, folder), recipe, seed, weights, figures)
    table = Table("Share that is right", *(f"Seed {seed}" for seed in chosen), "At least", title=name)
    for figure in measured[chosen[0]]:
        least = f"{recipe.targets[figure]:.2f}" if figure in recipe.targets else ""
        table.add_row(figure, *(f"{measured[seed][figure]:.3f}" for seed in chosen), least)
    print_table(table)
    if problems:
        raise FailedError(f"{name} missed targets, and those checkpoints were not written: {'; '.join(problems)}")
