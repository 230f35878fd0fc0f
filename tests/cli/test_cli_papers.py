"""`reglab list` and `reglab run`: what they print, what they save, what they refuse before they start."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import processes
import pytest
from commands import NAME, PAPER, QUICK, Reglab

from reglab import catalogue, experiment, results
from reglab.cli import papers


def test_list_tells_about_every_paper(inside: Reglab) -> None:
    rows = json.loads(inside("list", "--json").stdout)
    assert [f"{row['part']}/{row['name']}" for row in rows] == list(catalogue.SLUGS)
    for row, paper in zip(rows, catalogue.papers(), strict=True):
        assert set(row) == {"part", "name", "title", "level", "minutes", "experiments"}
        assert (row["title"], row["level"], row["minutes"]) == (paper.title, paper.level, paper.minutes)
        assert row["experiments"] == [cls.__name__ for cls in catalogue.experiments(paper.name)]
    table = inside("list").stdout
    for row in rows:
        (line,) = (line for line in table.splitlines() if f" {row['name']} " in line)
        assert row["level"] in line and f" {row['minutes']} " in line


def test_list_of_one_paper_shows_its_knobs_arms_and_claims(inside: Reglab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    said = inside("list", NAME).stdout
    for kind in catalogue.experiments(PAPER):
        assert f"{kind.__name__}: " in said
        for knob, one in kind.knobs().items():
            assert re.search(rf"│ {knob} +│ {re.escape(str(one.default))} +│ {re.escape(one.range)} +│", said)
        assert all(f"{arm} ({role})" in said for arm, role in kind.arms.items())
    for claim in catalogue.claims(PAPER):
        assert re.search(
            rf"│ {re.escape(claim.key)} +│ {re.escape(claim.text)}.*│ (holds|unclear|does not hold) +│", said
        )
    wrong = inside("list", "early_lerning")
    assert wrong.returncode == 2 and "did you mean 'early_learning'?" in wrong.stderr
    assert inside("list", NAME, "--json").returncode == 2


def test_list_loads_no_library_that_computes() -> None:
    """Lists are read from the cards of papers alone."""
    asked = [sys.executable, "-X", "importtime", "-m", "reglab", "list", "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=catalogue.ROOT)
    assert len(json.loads(done.stdout)) == len(catalogue.SLUGS)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "reglab.catalogue" in loaded and not {"torch", "xarray", "matplotlib", "numpy"} & loaded


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
        cell = row.split("│")[2].strip()
        assert cell == f"{float(last.sel(arm=arm)):.{len(cell.partition('.')[2])}f}"
    assert "\x1b" not in done.stdout + done.stderr and "%" not in done.stderr, "no progress bar without a terminal"
    assert [path.name for path in tmp_path.iterdir()] == ["run ü.nc"]
    again = inside("run", f"{NAME}:memorization", *QUICK, "--out", out)
    assert again.returncode == 0, "the result of the same experiment may be replaced"
    assert json.loads(results.load(out).attrs["knobs"])["noise"] == 0.4


@pytest.mark.parametrize("label", [cls.__name__ for cls in catalogue.experiments(PAPER)])
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
    table = papers._last_values(data, "q")
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
        a_file: "not written by RegLab",
        binary: "not written by RegLab",
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


@pytest.mark.parametrize("kind", ["none", "nothing", "a pointer", "half"])
def test_weights_that_are_missing_or_no_weights_are_told_in_one_line(tmp_path: Path, kind: str) -> None:
    whole = (catalogue.ROOT / "data" / "pretrained" / "tiny_clip_0.safetensors").read_bytes()
    weights = tmp_path / "data" / "pretrained" / "tiny_clip_0.safetensors"
    weights.parent.mkdir(parents=True)
    (tmp_path / "lab").mkdir()
    if kind != "none":
        found = {"nothing": b"", "a pointer": b"version 1\noid sha256:0\nsize 1\n", "half": whole[: len(whole) // 2]}
        weights.write_bytes(found[kind])
    for arguments in (["run", "mask_tuning"], ["check", "mask_tuning", "--claim", "selection"]):
        command = [sys.executable, "-m", "reglab", *arguments, "--seeds", "1"]
        environment = {**os.environ, "REGLAB_HOME": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=processes.GUARD)
        assert done.returncode in (1, 2) and done.stdout == ""
        assert re.fullmatch(r"Error: .+; `reglab pretrain tiny_clip --seed 0` makes it again\n", done.stderr)


@pytest.mark.parametrize("seeds", ["99999999999", "0", "1001"])
def test_a_number_of_seeds_that_makes_no_sense_is_refused(inside: Reglab, seeds: str) -> None:
    for command in ("run", "check"):
        done = inside(command, PAPER, "--seeds", seeds)
        assert done.returncode == 2 and "Invalid value for '--seeds': Input should be" in done.stderr
