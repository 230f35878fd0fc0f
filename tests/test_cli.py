"""The command line: real processes, real signals, real files."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import processes
import pytest

from reglab import catalogue, claims, cli, digests, experiment, results

Reglab = Callable[..., "subprocess.CompletedProcess[str]"]
PAPER = "early_learning"
NAME = f"labels/{PAPER}"
QUICK = ("--set", "epochs=2", "--seeds", "2")


def stored() -> bytes | None:
    """Return the lab's own file of measured claims, which these tests never change."""
    path = claims.path(NAME)
    return path.read_bytes() if path.exists() else None


# ------------------------------------------------------------------------------------------------------ help and list


def test_help_is_quick_and_complete(reglab: Reglab) -> None:
    done = reglab("--help")
    assert done.returncode == 0
    for command in ("list", "run", "check", "record", "pretrain", "execute", "pair", "book", "lab"):
        assert command in done.stdout
        assert "Usage: " in reglab(command, "--help").stdout
    heavy = {"torch", "xarray", "scipy", "papermill", "matplotlib", "IPython"}
    asked = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "reglab", "--help"], capture_output=True, text=True, check=True
    )
    loaded = {line.rpartition("|")[2].strip() for line in asked.stderr.splitlines()}
    assert "reglab.cli" in loaded and not heavy & loaded


def test_without_a_command_it_shows_the_help(reglab: Reglab) -> None:
    done = reglab()
    assert "Commands" in done.stdout + done.stderr and "Error" not in done.stderr


def test_list_tells_about_every_paper(inside: Reglab) -> None:
    rows = json.loads(inside("list", "--json").stdout)
    assert [f"{row['part']}/{row['name']}" for row in rows] == list(catalogue.SLUGS)
    for row, paper in zip(rows, catalogue.papers(), strict=True):
        assert set(row) == {"part", "name", "title", "minutes", "experiments"}
        assert (row["title"], row["minutes"]) == (paper.title, paper.minutes)
        assert row["experiments"] == [cls.__name__ for cls in catalogue.module(paper.name).EXPERIMENTS]
    table = inside("list").stdout
    for row in rows:
        assert row["name"] in table and str(row["minutes"]) in table


def test_a_terminal_without_greek_letters_is_no_error() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for arguments in (
        ["list"],
        ["list", "--json"],
        ["run", f"{PAPER}:StoppingTime", "--set", "ratio=0.3", "--seeds", "2"],
    ):
        command = [sys.executable, "-m", "reglab", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, cwd=catalogue.ROOT)
        assert done.returncode == 0 and done.stdout.isascii(), done.stderr.decode()


# ---------------------------------------------------------------------------------------------------------------- run


def test_a_run_says_what_came_out_and_saves_it(reglab: Reglab, inside: Reglab, tmp_path: Path) -> None:
    out = tmp_path / "run ü.nc"
    done = reglab("run", PAPER, *QUICK, "--set", "noise=0.6", "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("At epoch 2: ")
    data = results.load(out, of=catalogue.experiment(PAPER))
    assert json.loads(data.attrs["knobs"])["noise"] == 0.6 and data.sizes["seed"] == 2
    last = data.test_accuracy.isel(epoch=-1).mean("seed")
    for arm in data.arm.values:
        row = next(line for line in done.stdout.splitlines() if re.match(rf"│ {re.escape(arm)} +│", line))
        assert f"{float(last.sel(arm=arm)):.2f}" in row
    assert "\x1b" not in done.stdout + done.stderr and "%" not in done.stderr, "no progress bar without a terminal"
    assert [path.name for path in tmp_path.iterdir()] == ["run ü.nc"]
    again = inside("run", f"{NAME}:memorization", *QUICK, "--out", out)
    assert again.returncode == 0, "the result of the same experiment may be replaced"
    assert json.loads(results.load(out).attrs["knobs"])["noise"] == 0.4


@pytest.mark.parametrize("label", [cls.__name__ for cls in catalogue.module(PAPER).EXPERIMENTS])
def test_every_experiment_runs_with_one_seed(inside: Reglab, label: str) -> None:
    smoke = catalogue.experiment(PAPER, label).smoke
    settings = [piece for knob, value in smoke.items() for piece in ("--set", f"{knob}={value}")]
    done = inside("run", f"{PAPER}:{label}", "--seeds", "1", *settings)
    assert done.returncode == 0 and "one seed gives none" in done.stdout, done.stderr


def test_a_quantity_that_an_arm_does_not_have_is_none() -> None:
    import xarray as xr

    values = np.array([[[0.1, 0.2, np.nan]] * 2, [[np.nan] * 3] * 2])
    data = xr.Dataset(
        {"q": (("arm", "seed", "epoch"), values, {"long_name": "q"})}, {"arm": ["a", "b"], "seed": [0, 1]}
    )
    table = cli._last_values(data, "q")
    assert [list(column.cells) for column in table.columns][1] == ["0.20", "none"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminal")
def test_a_terminal_shows_the_time_left() -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "reglab", "run", PAPER, "--set", "epochs=10", "--seeds", "2"]
    process = subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE, text=True)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:
            break
    assert process.communicate()[0].startswith("At epoch 10")
    assert re.search(rb"\d+%.*\d:\d\d:\d\d", shown)


# ------------------------------------------------------------------------------------------------- bad command lines

BAD = {
    ("run", "early_lerning"): "no paper named 'early_lerning'; did you mean 'early_learning'?",
    ("run", "zzz"): "known papers: early_learning",
    ("run", f"{PAPER}:Memorisation"): "no experiment 'Memorisation'; did you mean 'Memorization'?",
    ("run", PAPER, "--set", "noize=0.1"): "no knob 'noize'; did you mean 'noise'?",
    ("run", PAPER, "--set", "noise=1.7"): "noise = 1.7: the knob 'noise' takes a number from 0 to 0.8",
    ("run", PAPER, "--set", "noise=nan"): "the knob 'noise' takes a number from 0 to 0.8",
    ("run", PAPER, "--set", "noise=inf"): "the knob 'noise' takes a number from 0 to 0.8",
    ("run", PAPER, "--set", "noise=high"): "noise = 'high': the knob 'noise' takes a number",
    ("run", PAPER, "--set", "epochs=1.5"): "the knob 'epochs' takes a whole number from 1 to 200",
    ("run", PAPER, "--set", "noise"): "--set 'noise': write it as KNOB=VALUE",
    ("run", PAPER, "--set", "=1"): "--set '=1': write it as KNOB=VALUE",
    ("run", PAPER, "--set", "noise="): "--set 'noise=': write it as KNOB=VALUE",
    ("run", PAPER, "--set", "noise=0", "--set", "noise=0.1"): "already set to '0'",
    ("run", PAPER, "--seeds", "0"): "--seeds",
    ("run", PAPER, "--seeds", "-2"): "--seeds",
    ("run", PAPER, "--seeds", "two"): "--seeds",
    ("run",): "PAPER",
    ("run", PAPER, "--speed", "2"): "--speed",
    ("rum",): "Did you mean 'run'?",
    ("check", "zzz"): "no paper named 'zzz'",
    ("check", PAPER, "--claim", "nope"): "no claim 'nope'",
    ("check", "--seeds", "0"): "--seeds",
    ("verify",): "which papers? Name some, or give --changed, --rotate N or --all",
    ("verify", "zzz"): "no paper named 'zzz'",
    ("verify", "--rotate", "-1"): "--rotate",
    ("execute", "zzz"): "no paper named 'zzz'",
    ("book", "--zip", "--preview"): "--zip packs what can be published",
    ("execute", "--jobs", "0"): "--jobs",
}


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_a_wrong_command_line_gets_one_clear_line(inside: Reglab, arguments: tuple[str, ...]) -> None:
    done = inside(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    assert BAD[arguments] in done.stderr


def test_an_error_in_a_process_of_its_own_looks_the_same(reglab: Reglab) -> None:
    done = reglab("run", PAPER, "--set", "noise=1.7")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: noise = 1.7: the knob 'noise' takes a number from 0 to 0.8\n"


def test_a_place_that_cannot_be_written_is_refused_before_the_run(
    inside: Reglab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_file, other, binary = tmp_path / "file", tmp_path / "other.nc", tmp_path / "half.nc"
    a_file.write_text("text")
    stopping = catalogue.experiment(PAPER, "StoppingTime").make({"ratio": 0.3})
    results.save(stopping.run(1), other)
    binary.write_bytes(other.read_bytes()[:1000])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    refused = {
        tmp_path: "it is a folder",
        tmp_path / "none" / "x.nc": "there is no folder",
        a_file / "x.nc": "is a file, not a folder",
        a_file: "not a readable result file",
        binary: "not a readable result file",
        other: f"a result of {NAME}:StoppingTime, not of {NAME}:Memorization",
        tmp_path / ("x" * 300): "name too long",
    }
    if sys.platform == "linux":
        refused |= {Path("/proc/x.nc"): "cannot write", Path("/dev/null"): "not an ordinary file"}
    monkeypatch.setattr(experiment.Experiment, "stream", lambda *_: pytest.fail("the run was started"))
    for path, why in refused.items():
        done = inside("run", PAPER, "--set", "epochs=200", "--seeds", "50", "--out", path)
        assert done.returncode == 2 and why in done.stderr, path
        assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps rights in another way")
def test_a_read_only_folder_is_refused_before_the_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reglab", "run", PAPER, *QUICK, "--out", str(tmp_path / "x.nc")]
    if os.geteuid() == 0:  # root may write everywhere, unless it gives up that right
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv")
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]
    tmp_path.chmod(0o555)
    done = subprocess.run(command, capture_output=True, text=True, cwd=catalogue.ROOT, timeout=processes.GUARD)
    tmp_path.chmod(0o755)
    assert done.returncode == 2 and "ermission denied" in done.stderr and done.stdout == ""


# ------------------------------------------------------------------------------------------------------------- Ctrl-C


UNDER_WAY = """
import pathlib, sys
from reglab import cli
from reglab.experiment import Experiment

stream, marker, arguments = Experiment.stream, pathlib.Path(sys.argv[1]), sys.argv[2:]

def marked(*arguments):
    for number, snapshot in enumerate(stream(*arguments)):
        if number == 20:
            marker.touch()
        yield snapshot

Experiment.stream = marked
sys.argv = ["reglab", *arguments]
cli.main()
"""
"""The command, `python -c UNDER_WAY MARKER ARGUMENT...`; it makes the file MARKER when a run has come to step 20."""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize(
    "arguments",
    [("run", PAPER, "--set", "epochs=200", "--seeds", "30", "--out", "OUT"), ("check", PAPER)],
    ids=" ".join,
)
def test_ctrl_c_in_the_middle_leaves_nothing_half_done(arguments: tuple[str, ...], tmp_path: Path) -> None:
    folder, under_way = tmp_path / "folder", tmp_path / "under way"
    folder.mkdir()
    kept = stored()
    chosen = [str(folder / "out.nc") if piece == "OUT" else piece for piece in arguments]
    process = processes.start([sys.executable, "-c", UNDER_WAY, str(under_way), *chosen], cwd=catalogue.ROOT)
    processes.wait_for(under_way.exists, process)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=processes.GUARD)
    assert (process.returncode, output, errors) == (130, "", "Stopped.\n")
    assert list(folder.iterdir()) == []
    assert stored() == kept
    assert list(claims.path(NAME).parent.glob("*.tmp")) == []


FINALIZER = """
import os, sys, time
from reglab import cli

class Held:
    def __del__(self):
        os.kill(os.getpid(), NUMBER)
        for _ in range(1000):
            pass

@cli.app.command()
def let_go():
    held = Held()
    del held
    time.sleep(30)

sys.argv = ["reglab", "let-go"]
cli.main()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")
@pytest.mark.parametrize(("number", "status", "said"), [(signal.SIGINT, 130, "Stopped.\n"), (signal.SIGTERM, 143, "")])
def test_a_stop_while_a_finalizer_runs_is_not_lost(number: int, status: int, said: str) -> None:
    """Python cannot raise there; with libraries that keep weak references this is not rare."""
    code = FINALIZER.replace("NUMBER", str(int(number)))
    process = processes.start([sys.executable, "-c", code])
    output, errors = process.communicate(timeout=processes.GUARD)
    assert (process.returncode, output, errors) == (status, "", said)


# -------------------------------------------------------------------------------------------------------------- check


def test_check_prints_what_it_measured_as_json(reglab: Reglab) -> None:
    kept = stored()
    done = reglab("check", PAPER, "--claim", "time scales", "--claim", "separable", "--json")
    records = json.loads(done.stdout)
    assert [record["key"] for record in records] == ["time scales", "separable"]
    for record in records:
        assert set(record) == {
            "key", "paper", "experiment", "claim", "essential", "effect", "low", "high", "bound", "rule", "verdict",
            "seeds", "settings",
        }  # fmt: skip
    assert records[0]["paper"] == NAME and records[0]["experiment"] == "StoppingTime" and records[0]["essential"]
    assert records[0]["verdict"] == "holds" and done.returncode == 0
    assert "stays as it is" in done.stderr
    assert stored() == kept


def test_an_essential_claim_that_does_not_hold_fails(inside: Reglab, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = stored()
    monkeypatch.setenv("COLUMNS", "200")
    done = inside("check", PAPER, "--claim", "time scales", "--seeds", "1")
    row = next(line for line in done.stdout.splitlines() if "time scales" in line)
    assert "unclear" in row and "essential" in row and "< 0.15" in row and "none to none" in row
    assert done.returncode == 1 and "do not hold: 'time scales'" in done.stderr
    assert stored() == kept


def measured(claim: claims.Claim, verdict: str = "holds") -> dict[str, Any]:
    kept = {"key": claim.key, "digest": digests.of_claim(claim), "date": "2026-01-02", "verdict": verdict}
    return {**kept, "effect": 0.25, "low": 0.0, "high": 0.5}


def test_stale_looks_at_what_was_measured(inside: Reglab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    claims_file, module = claims.path(NAME), catalogue.module(NAME)
    first, *others = [claim for claim in module.CLAIMS if claim.key in ("separable", "time scales", "memory helps")]
    monkeypatch.setattr(module, "CLAIMS", [first, *others])
    assert [claim.essential for claim in module.CLAIMS] == [False, True, False]
    records = [measured(claim) for claim in (first, *others)]
    claims.write(NAME, records)
    fresh = inside("check", PAPER, "--stale")
    assert fresh.returncode == 0 and "No claims are stale" in fresh.stderr and fresh.stdout == ""
    assert json.loads(inside("check", PAPER, "--stale", "--json").stdout) == []
    for verdict in ("unclear", "does not hold"):
        claims.write(NAME, [measured(others[0], verdict)])
        failed = inside("check", PAPER, "--stale")
        assert failed.returncode == 1 and f"'time scales' was measured as: {verdict}" in failed.stderr
    claims.write(NAME, [records[1], measured(first, "unclear")])
    assert inside("check", PAPER, "--stale").returncode == 0
    claims_file.write_text("{half")
    damaged = inside("check", PAPER, "--stale")
    assert damaged.returncode == 2 and "not a readable claims file" in damaged.stderr
    claims.write(NAME, records)
    changed = claims_file.read_text().replace(records[2]["digest"], "0" * 16)
    claims_file.write_text(changed)
    again = inside("check", PAPER, "--stale", "--claim", "separable")
    assert again.returncode == 0 and "separable" in again.stdout
    assert claims_file.read_text() == changed, "only some claims were measured"


def test_stale_measures_the_stale_claims_only(inside: Reglab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    module = catalogue.module(NAME)
    scales, separable = (claim for claim in module.CLAIMS if claim.key in ("time scales", "separable"))
    monkeypatch.setattr(module, "CLAIMS", [separable, scales])
    claims.write(NAME, [measured(scales, "unclear"), measured(separable) | {"digest": "0" * 16}])
    done = inside("check", PAPER, "--stale", "--json")
    assert [record["key"] for record in json.loads(done.stdout)] == ["separable"]
    assert done.returncode == 1 and "'time scales' was measured as: unclear" in done.stderr, "what stays counts, too"
    content = claims.read(NAME)
    assert content is not None and not content["stale"]
    assert [record["effect"] for record in content["claims"]] == [1.0, 0.25]
    assert content["date"].startswith("2026-01-02 to ")


def test_check_writes_what_it_measured(inside: Reglab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    module = catalogue.module(NAME)
    quick = tuple(claim for claim in module.CLAIMS if claim.of.__name__ in ("StoppingTime", "Separability"))
    monkeypatch.setattr(module, "CLAIMS", quick)
    assert inside("check", PAPER, "--seeds", "2").returncode in (0, 1) and not claims.path(NAME).exists()
    done = inside("check", PAPER, "--json")
    content = claims.read(NAME)
    assert done.returncode == 0 and done.stderr == "" and content is not None
    assert [record["key"] for record in content["claims"]] == [claim.key for claim in quick]
    assert [record["effect"] for record in content["claims"]] == [one["effect"] for one in json.loads(done.stdout)]
    assert not claims.stale(NAME)
    claims.path(NAME).unlink()
    claims.path(NAME).parent.rmdir()
    claims.path(NAME).parent.write_text("a file where the folder should be")
    refused = inside("check", PAPER)
    assert refused.returncode == 2 and refused.stderr.startswith("Error: ") and "labels" in refused.stderr


def test_robust_claims_are_compared_with_what_is_stored(
    inside: Reglab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = catalogue.module(NAME)
    (quick,) = (claim for claim in module.CLAIMS if claim.key == "time scales")
    (record,) = (record for record in (claims.read(NAME) or {})["claims"] if record["key"] == "time scales")
    monkeypatch.setattr(module, "CLAIMS", (dataclasses.replace(quick, robust=True), *module.CLAIMS[:2]))
    before = stored()
    same = inside("check", PAPER, "--robust")
    assert same.returncode == 0 and "1 of 1 robust claims get their stored verdicts" in same.stderr
    assert stored() == before
    wrong = inside("check", PAPER, "--robust", "--seeds", "2")
    assert wrong.returncode == 2 and "they take no other option" in wrong.stderr

    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    missing = inside("check", PAPER, "--robust")
    assert missing.returncode == 1 and "run `reglab check early_learning`" in missing.stderr
    claims.write(NAME, [record | {"verdict": "does not hold"}])
    other = inside("check", PAPER, "--robust")
    assert other.returncode == 1 and "it was stored as 'does not hold'" in other.stderr
    assert "`reglab check early_learning`" in other.stderr


def test_all_claims_are_compared_and_what_differs_is_told(
    inside: Reglab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = catalogue.module(NAME)
    quick = tuple(claim for claim in module.CLAIMS if claim.of.__name__ in ("StoppingTime", "Separability"))
    monkeypatch.setattr(module, "CLAIMS", quick)
    records = [one for one in (claims.read(NAME) or {})["claims"] if one["key"] in [claim.key for claim in quick]]
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    claims.write(NAME, [records[0] | {"effect": 0.5, "verdict": "unclear"}, *records[1:]])
    before = claims.path(NAME).read_bytes()
    done = inside("check", PAPER, "--compare")
    assert done.returncode == 0 and claims.path(NAME).read_bytes() == before, "all hold, whatever was stored"
    assert f"Differs: {NAME}, {records[0]['key']!r}: stored 0.5 [" in done.stderr and "holds" in done.stderr
    assert f"{len(quick) - 1} of {len(quick)} claims get their stored verdicts" in done.stderr
