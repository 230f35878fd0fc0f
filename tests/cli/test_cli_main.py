"""The command line as a whole: help, wrong command lines, Ctrl-C; real processes and real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import processes
import pytest
from commands import NAME, PAPER, Reglab, stored

from reglab import catalogue, measurements


def test_help_is_quick_and_complete(reglab: Reglab) -> None:
    done = reglab("--help")
    assert done.returncode == 0
    for command in ("list", "run", "check", "record", "pretrain", "execute", "new", "pair", "book", "lab"):
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


# ------------------------------------------------------------------------------------------------------------ Ctrl-C


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
    assert list(measurements.path(NAME).parent.glob("*.tmp")) == []


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
