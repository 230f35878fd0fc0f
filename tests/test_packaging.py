"""What people install and type: the lists agree, and the commands in the README work as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import processes
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import reglab
from reglab.catalogue import ROOT
from reglab.site import execute

CONDA_NAMES = {"matplotlib": "matplotlib-base", "torch": "pytorch-cpu", "playwright": "playwright-python"}
PIP_ONLY = {"axe-playwright-python", "nbmake", "sphinx-mathjax-offline"}
"""Not on conda-forge, or there only for an older Jupyter; the pip section of environment.yml installs them."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENTS = [
    Requirement(text)
    for text in PROJECT["dependencies"] + [one for extra in PROJECT["optional-dependencies"].values() for one in extra]
]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
PINS = {
    canonicalize_name(name): version
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for name, version in [line.split("==")]
}
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    for line in block.splitlines()
]
needs_venv = pytest.mark.skipif(
    Path(sys.prefix) != ROOT / ".venv" or shutil.which("make") is None, reason="not in the environment of `make setup`"
)


# ---------------------------------------------------------------------------------------------------------- the lists


def test_conda_and_pip_ask_for_the_same() -> None:
    conda = [Requirement(text) for text in ENVIRONMENT["dependencies"] if isinstance(text, str)]
    found = {requirement.name: requirement.specifier for requirement in conda}
    assert len(found) == len(conda)
    assert str(found.pop("python")) == PROJECT["requires-python"]
    found.pop("pip")
    assert found == {
        CONDA_NAMES.get(requirement.name, requirement.name): requirement.specifier
        for requirement in REQUIREMENTS
        if requirement.name not in PIP_ONLY
    }
    (pip,) = [entry["pip"] for entry in ENVIRONMENT["dependencies"] if isinstance(entry, dict)]
    assert pip == [f"-e .[{','.join(PROJECT['optional-dependencies'])}]"]
    assert ENVIRONMENT["channels"] == ["conda-forge", "nodefaults"]


def test_every_requirement_is_pinned_to_a_version_that_it_admits() -> None:
    for requirement in REQUIREMENTS:
        pinned = PINS[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pinned), f"{requirement} is pinned to {pinned}"
        assert any(one.operator == ">=" for one in requirement.specifier), f"{requirement} has no oldest version"


def test_pins_are_for_every_computer() -> None:
    for name, version in PINS.items():
        assert "+" not in version, f"{name}: a build that the usual index does not have"
        assert not name.startswith(("nvidia", "cuda", "triton", "reglab")), name


@needs_venv
def test_the_pins_are_what_is_installed() -> None:
    frozen = subprocess.check_output([sys.executable, "-m", "pip", "freeze", "--exclude-editable"], text=True)
    installed = dict(line.split("==") for line in frozen.splitlines() if "==" in line)
    versions = {canonicalize_name(name): version.split("+")[0] for name, version in installed.items()}
    different = {name: version for name, version in versions.items() if PINS.get(name, version) != version}
    assert different == {}, "make setup installs what is pinned; make pins writes the pins again"


def test_the_version_stands_in_one_place_and_is_the_newest_of_the_changes() -> None:
    assert "version" not in PROJECT and PROJECT["dynamic"] == ["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert changes[0] == citation["version"] == reglab.__version__
    order = [tuple(map(int, version.split("."))) for version in changes]
    assert order == sorted(set(order), reverse=True)


def test_a_built_package_holds_every_file_and_the_version(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="nothing here builds a package")
    unwanted = shutil.ignore_patterns("__pycache__", "*.tmp")
    shutil.copytree(ROOT / "reglab", tmp_path / "reglab", ignore=unwanted)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, tmp_path)
    build = "from setuptools import build_meta; build_meta.build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"reglab-{reglab.__version__}-")
    files = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "reglab").rglob("*") if path.is_file()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("reglab/")}
    assert packed == files
    assert {"reglab/py.typed", "reglab/pictures/curves.js", "reglab/cli/template/card.txt"} <= packed


def alone(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the lab where only its code is installed, read-only to whoever is no administrator."""
    site = folder / "site"
    if not site.exists():
        shutil.copytree(ROOT / "reglab", site / "reglab", ignore=shutil.ignore_patterns("__pycache__", "*.tmp"))
    environment = {key: value for key, value in os.environ.items() if key != "REGLAB_HOME"}
    environment |= {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", **settings}
    command = [sys.executable, "-c", "from reglab.cli import main; main()", *arguments]
    before = {path: path.stat().st_mtime_ns for path in site.rglob("*")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=processes.GUARD)
    assert {path: path.stat().st_mtime_ns for path in site.rglob("*")} == before, "nothing is written beside the code"
    return done


@pytest.mark.parametrize(
    "arguments",
    [["execute", "early_learning"], ["pair"], ["book"], ["lab"], ["check", "early_learning"], ["pretrain", "tiny_lm"],
     ["check", "--stale"], ["record", "early_learning"], ["verify", "--all"], ["run", "mask_tuning"]],
)  # fmt: skip
def test_what_needs_a_checkout_says_so_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    done = alone(tmp_path, *arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch(r"Error: this needs a checkout of the lab, .* name its folder in REGLAB_HOME\n", done.stderr)


def test_what_needs_no_checkout_works_without_one_and_the_rest_with_the_one_that_is_named(tmp_path: Path) -> None:
    assert "early_learning" in alone(tmp_path, "list").stdout
    done = alone(tmp_path, "run", "early_learning", "--set", "epochs=2", "--seeds", "2", "--out", "r.nc")
    assert done.returncode == 0 and (tmp_path / "r.nc").is_file()
    named = alone(tmp_path, "check", "early_learning", "--stale", REGLAB_HOME=str(ROOT))
    assert (named.returncode, named.stderr) == (
        0, "No claims are stale: no code has changed since they were measured.\n"
    )  # fmt: skip


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"])
def test_links_between_files_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https://)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_no_file_names_a_machine_or_a_registry() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    for file in ("README.md", "Makefile", "constraints.txt", "environment.yml", ".ci/run", "pyproject.toml"):
        text = (ROOT / file).read_text(encoding="utf-8")
        hosts = set(re.findall(r"https?://([\w.-]+)", text))
        assert hosts <= {"download.pytorch.org", "creativecommons.org", "arxiv.org"}, f"{file} names {hosts}"
    assert tracked.returncode or not re.search(r"^(\.venv|book/lab|book/_build)/", tracked.stdout, re.M)


# ----------------------------------------------------------------------------------------------- the README's commands


def test_the_readme_begins_with_the_two_commands() -> None:
    assert COMMANDS[:2] == ["make lab", "make test"]


@needs_venv
@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith(".venv/bin/reglab")])
def test_the_commands_of_the_readme_work(command: str, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=processes.GUARD)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert (tmp_path / "run.nc").is_file() == ("--out run.nc" in command)


@needs_venv
@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("make")])
def test_every_make_target_of_the_readme_exists(command: str) -> None:
    done = subprocess.run(
        command.replace("make", "make -n --no-print-directory", 1), shell=True, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    if command == "make test":
        last = done.stdout.splitlines()[-1]
        assert last == ".venv/bin/pytest -n logical --dist loadgroup", "everything, style and types among it"


@needs_venv
def test_make_help_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    listed = subprocess.check_output(["make", "help"], cwd=ROOT, text=True)
    assert phony and re.findall(r"^make (\w+)", listed, re.M) == phony[1].split()


@needs_venv
def test_make_setup_runs_again_only_when_the_lists_change(tmp_path: Path) -> None:
    for file in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / ".venv").mkdir()

    def planned() -> str:
        return subprocess.check_output(["make", "-n", "setup", "TORCH_INDEX=https://x.org/"], cwd=tmp_path, text=True)

    assert "pip install" in planned() and "--extra-index-url https://x.org/" in planned()
    (tmp_path / ".venv" / ".ready").touch()
    assert "pip install" not in planned()
    now = time.time()
    for later, file in enumerate(("pyproject.toml", "constraints.txt"), 1):
        os.utime(tmp_path / file, (now + 10 * later, now + 10 * later))
        assert "pip install" in planned(), file
        os.utime(tmp_path / ".venv" / ".ready", (now + 10 * later + 5, now + 10 * later + 5))
        assert "pip install" not in planned()


@needs_venv
def test_an_old_python_is_refused_in_words(tmp_path: Path) -> None:
    for file in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / file, tmp_path)
    old = tmp_path / "oldpython"
    old.write_text('#!/bin/sh\ncase "$1" in --version) echo "Python 3.9.2";; *) exit 1;; esac\n')
    old.chmod(0o755)
    done = subprocess.run(["make", "setup", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "RegLab needs Python 3.11 or newer" in done.stderr and "Python 3.9.2" in done.stderr
    assert not (tmp_path / ".venv").exists()


def read(address: str) -> bytes:
    """Return a page; nothing while nobody listens, as for a moment after JupyterLab has told its address."""
    try:
        with urllib.request.urlopen(address, timeout=processes.GUARD) as page:
            assert page.status == 200
            return page.read()
    except urllib.error.HTTPError:
        raise
    except OSError:
        return b""


@needs_venv
@pytest.mark.skipif(os.name == "nt", reason="make lab is for Linux and macOS")
def test_make_lab_opens_the_lab_on_this_computer_with_a_token(tmp_path: Path) -> None:
    port = processes.free_port()
    log = tmp_path / "log"
    environment = {**os.environ, "JUPYTER_PORT": str(port), "BROWSER": "true", "JUPYTER_CONFIG_DIR": str(tmp_path)}
    with log.open("w") as output:
        process = processes.start(
            ["make", "lab"], cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    said = rf"http://127\.0\.0\.1:{port}/lab/tree/index\.ipynb\?token=\w{{20,}}"
    try:
        found = processes.wait_for(lambda: re.search(said, log.read_text()), process, log)
        assert b"JupyterLab" in processes.wait_for(lambda: read(found[0]), process, log)
        contents = f"http://127.0.0.1:{port}/api/contents"
        token = found[0].split("token=")[1]
        for name in execute.names():
            with urllib.request.urlopen(f"{contents}/{name}.ipynb?token={token}", timeout=processes.GUARD) as answer:
                assert b'"cells"' in answer.read(), f"JupyterLab cannot open {name}"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{contents}/index.ipynb", timeout=processes.GUARD)
        every = [
            (family, address)
            for family, _, _, _, address in socket.getaddrinfo(socket.gethostname(), port, type=socket.SOCK_STREAM)
        ]
        for family, address in every:
            if not str(address[0]).startswith("127.") and address[0] != "::1":
                with socket.socket(family) as outside:
                    outside.settimeout(3)
                    assert outside.connect_ex(address) != 0, "reachable from other computers"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
