"""Give notebooks without solutions to students, and grade what they return."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from reglab import catalogue, files
from reglab.cli.output import explained, print_table, progress, say


def handout(
    papers: Annotated[list[str], typer.Argument(metavar="PAPER...", help="Which notebooks.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where they are written.")],
) -> None:
    """Write notebooks for students: without solutions, with cells for answers that graders find.

    `reglab grade` grades them, and so does nbgrader, whose metadata they carry. No file that is there is overwritten.
    """
    import nbformat

    from reglab.handout import for_students
    from reglab.site import workspace

    with explained():
        sources, made = workspace.pages(), {}
        for name in dict.fromkeys(map(catalogue.find, papers)):
            path = to / f"{name.rpartition('/')[2]}.ipynb"
            made[path] = nbformat.writes(for_students(nbformat.read(sources[name], as_version=4), name)) + "\n"
        for path, text in made.items():
            if path.exists() and path.read_bytes() != text.encode():
                raise ValueError(f"{path} is already there, with other content; choose another folder, or remove it")
        files.write_all(made)
    for path in made:
        say(f"wrote {path}")


def grade(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The returned notebooks: *.ipynb, or a folder for each student.")
    ],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE.csv", help="The table; grades.csv in that folder if not given.")
    ] = None,
    limit: Annotated[
        float, typer.Option("--limit", min=1, metavar="SECONDS", help="How long an exercise may take.")
    ] = 300,
    jobs: Annotated[int | None, typer.Option(min=1, help="How many at once; one for each core if not given.")] = None,
) -> None:
    """Check the answers in returned notebooks with the lab's own checks, and write one table.

    Each exercise runs in a process of its own, with limits of time, memory and output, and needs only some cells. It
    runs with your rights: use a container for code that you do not trust.
    """
    from reglab.site import grade as engine

    target = to or folder / "grades.csv"
    with explained():
        engine.returned(folder)
        files.check_writable(target)
        with progress() as bar:
            task = bar.add_task("exercises")
            grades = engine.grade(folder, limit, jobs, lambda done, of: bar.update(task, completed=done, total=of))
        files.write(target, engine.table(grades))
    _show(grades)
    right = sum(one.verdict == "right" for one in grades)
    say(f"{right} of {len(grades)} exercises are right. What was said about each is in {target}")


def _show(grades: list[Any]) -> None:
    """Print the verdicts, a row for each notebook."""
    numbers = sorted({one.exercise for one in grades if one.exercise})
    rows: dict[tuple[str, str], dict[int, str]] = {}
    for one in grades:
        rows.setdefault((one.file, one.paper), {})[one.exercise] = one.verdict
    shown = Table("Notebook", "Paper", *(f"Exercise {number}" for number in numbers))
    for (file, paper), verdicts in rows.items():
        shown.add_row(file, paper or "unknown", *(verdicts.get(number, verdicts.get(0, "")) for number in numbers))
    print_table(shown)
