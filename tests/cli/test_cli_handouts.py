"""The commands `reglab handout` and `reglab grade`: real students' code in real processes."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import nbformat
import psutil
import pytest
from commands import Reglab
from handouts import answered, cell, code, put, solution

from reglab.site import grade

CUTMIX, EARLY = "noise/cutmix", "labels/early_learning"
RIGHT = "my_shares = (0.75, 0.141)"

pytestmark = pytest.mark.xdist_group("grading")  # each looks for processes that were left, whoever started them


def graded(reglab: Reglab, folder: Path, *options: str) -> dict[tuple[str, int], tuple[str, str]]:
    """Grade a folder with the command, and return verdict and message by student and exercise, from the table."""
    done = reglab("grade", folder, *options)
    assert done.returncode == 0, done.stderr
    with (folder / "grades.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["student", "file", "paper", "exercise", "verdict", "message"]
    for row in rows:
        assert row["verdict"] in done.stdout and row["verdict"] in grade.WORST
    assert f"{sum(row['verdict'] == 'right' for row in rows)} of {len(rows)} exercises are right" in done.stderr
    left = [one.pid for one in psutil.process_iter() if grade.MARK in _environment(one)]
    assert not left, "no process of a student stays behind"
    return {(row["student"], int(row["exercise"] or 0)): (row["verdict"], row["message"]) for row in rows}


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def test_solutions_are_right_and_mistakes_are_not(reglab: Reglab, tmp_path: Path) -> None:
    for number in ("0.141", "0.75"):
        assert number in solution(CUTMIX, 1)
    for number in ("-0.49", "-0.0097"):
        assert number in solution(EARLY, 1).replace("\n", "")
    read_off = re.findall(r"0\.\d+", solution(EARLY, 3))[:3]
    early = {1: "my_pulls = (-0.49, -0.0097)", 2: code(EARLY, 2), 3: f"my_accuracies = ({', '.join(read_off)})"}
    put(tmp_path / "ada" / "early_learning.ipynb", answered(EARLY, early))
    put(tmp_path / "ada" / "cutmix.ipynb", answered(CUTMIX, {2: code(CUTMIX, 2)}))
    found = {}
    wrong = {1: "my_shares = (0.25, 0.141)", 2: "def my_area(draws):\n    return 1 / 0", 3: "my_strength = [}"}
    put(tmp_path / "bo.ipynb", answered(CUTMIX, wrong))
    done = reglab("grade", tmp_path)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "grades.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            found[row["student"], row["paper"], int(row["exercise"])] = row["verdict"], row["message"]
    assert [found["ada", EARLY, number][0] for number in (1, 2, 3)] == ["right"] * 3, found
    assert found["ada", CUTMIX, 1] == ("unanswered", "Not answered yet.")
    assert found["ada", CUTMIX, 2][0] == "right" and "1/48" in found["ada", CUTMIX, 2][1]
    assert found["bo", CUTMIX, 1] == ("not yet", "Not yet. Hint: this is the share of label A.")
    assert found["bo", CUTMIX, 2][0] == "error" and "ZeroDivisionError" in found["bo", CUTMIX, 2][1]
    assert found["bo", CUTMIX, 3][0] == "error" and "SyntaxError" in found["bo", CUTMIX, 3][1]


HANG = "import time\n\ndef my_area(draws):\n    while True:\n        time.sleep(1)"
LEAVE = "import subprocess\nsubprocess.Popen(['sleep', '3000'], start_new_session=True)\nmy_strength = 0.3"
FORK = "import os\nos.fork()\n" + RIGHT
FLOOD = "import sys\nfor _ in range(1000):\n    print('x' * 100_000)\n    sys.stderr.write('y' * 1000)\n" + RIGHT
FORGE = """print("✓ Right.")
from reglab import exercise, notebook
from reglab.exercise import Verdict
exercises.check_label = exercises.compare = exercise.compare = lambda *a, **k: "Well done."
notebook.check = exercise.judge = lambda *a, **k: Verdict("right", "Right.")
my_shares = (0.1, 0.1)"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no fork")
def test_what_a_student_s_code_does_harms_nobody_else(reglab: Reglab, tmp_path: Path) -> None:
    """It crashes, loops, floods, forks, leaves processes behind, fills the memory or forges; the others are graded."""
    crash = {1: f"{RIGHT}\nimport os\nos._exit(0)", 2: HANG, 3: "raise SystemExit"}
    put(tmp_path / "crash.ipynb", answered(CUTMIX, crash))
    memory = "def my_area(draws):\n    kept = []\n    while True:\n        kept.append(b'x' * 50_000_000)"
    put(tmp_path / "flood.ipynb", answered(CUTMIX, {1: FLOOD, 2: memory, 3: LEAVE}))
    area = "def my_area(draws):\n    raise SystemExit(0)"
    put(tmp_path / "forge.ipynb", answered(CUTMIX, {1: FORGE, 2: area, 3: "my_strength = 0.3"}))
    put(tmp_path / "good.ipynb", answered(CUTMIX, {1: FORK, 2: code(CUTMIX, 2)}))
    found = graded(reglab, tmp_path, "--limit", "60")
    assert found["crash", 1] == ("error", "the process ended with 0 before the answer was checked")
    assert found["crash", 2][0] == "time out" and "60 seconds" in found["crash", 2][1]
    assert found["crash", 3][0] == "error" and "SystemExit" in found["crash", 3][1]
    assert found["flood", 1][0] == "right"
    assert found["flood", 2] == ("error", "stopped, since it took more than 4 GB of memory")
    assert found["forge", 1][0] == "not yet" and found["forge", 2][0] == "error"
    assert found["good", 1][0] == found["good", 2][0] == "right"


def test_the_lab_s_own_checks_are_used_and_what_is_missing_is_told(reglab: Reglab, tmp_path: Path) -> None:
    edited = answered(CUTMIX, {1: "my_shares = (0, 0)"})
    cell(edited, "cutmix-1-check").source = "notebook.check(1, lambda answer: 'Well done.')"
    edited.cells.remove(cell(edited, "cutmix-2-answer"))
    edited.cells.remove(cell(edited, "cutmix-3-check"))
    put(tmp_path / "edited.ipynb", edited)
    own = answered(CUTMIX, {1: "my_shares = (upper, visible(6))", 2: code(CUTMIX, 2).replace("import numpy as np", "")})
    own.cells[1].source += "\nimport numpy as np"
    assert own.cells[1].source.startswith("from reglab import notebook")
    place = own.cells.index(cell(own, "cutmix-1-answer"))
    helper = "upper = 0.75\ndef visible(side):\n    return (side // 2) ** 2 / 64"
    own.cells[place:place] = [nbformat.v4.new_code_cell(helper), nbformat.v4.new_code_cell("while True:\n    pass")]
    for one in own.cells:
        if "nbgrader" in one.metadata:
            one.metadata.pop("nbgrader")  # another tool may do so; the cells keep their ids
    put(tmp_path / "own" / "cutmix.ipynb", own)
    (tmp_path / "=1+1.ipynb").write_text("no notebook", encoding="utf-8")
    put(tmp_path / "deep.ipynb", nbformat.v4.new_notebook())
    found = graded(reglab, tmp_path)
    assert found["edited", 1][0] == "not yet" and "check cell was changed" in found["edited", 1][1]
    assert found["edited", 2] == ("error", "the answer cell cutmix-2-answer is missing")
    assert found["edited", 3][0] == "unanswered" and "check cell was changed" in found["edited", 3][1]
    assert found["own", 1][0] == "right" and "changed" not in found["own", 1][1]
    assert found["own", 2][0] == "right"
    assert found["'=1+1", 0] == ("error", "cannot be read as a notebook (NotJSONError)")
    assert found["deep", 0][0] == "error" and "tell no paper" in found["deep", 0][1]


def test_notebooks_are_handed_out_once(inside: Reglab, tmp_path: Path) -> None:
    done = inside("handout", "cutmix", EARLY, "--to", tmp_path / "class")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "class" / "cutmix.ipynb"
    assert sorted(one.name for one in path.parent.iterdir()) == ["cutmix.ipynb", "early_learning.ipynb"]
    nbformat.validate(nbformat.read(path, as_version=4))
    assert inside("handout", "cutmix", "--to", path.parent).returncode == 0, "the same again does no harm"
    path.write_text("a student's work", encoding="utf-8")
    refused = inside("handout", "early_learning", "cutmix", "--to", path.parent)
    assert refused.returncode == 2 and "cutmix.ipynb is already there" in refused.stderr
    assert path.read_text(encoding="utf-8") == "a student's work"
    unknown = inside("handout", "cutmics", "--to", path.parent)
    assert unknown.returncode == 2 and "did you mean 'cutmix'" in unknown.stderr


def test_there_must_be_something_to_grade_and_a_place_for_the_table(inside: Reglab, tmp_path: Path) -> None:
    assert "no notebook" in inside("grade", tmp_path).stderr
    put(tmp_path / "cutmix.ipynb", answered(CUTMIX, {}))
    done = inside("grade", tmp_path, "--to", tmp_path / "none" / "x.csv")
    assert done.returncode == 2 and "there is no folder" in done.stderr
