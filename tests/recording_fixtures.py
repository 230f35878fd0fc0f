"""Fixtures of the tests of recordings: small ones, and the command inside this process."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import small_recording
from small_recording import SMALL, Small

from reglab.recordings import sweep


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """Return a function that gives the bytes of a small recording, which is computed once in each process."""

    @functools.cache
    def content(label: str) -> bytes:
        with pytest.MonkeyPatch.context() as patch:
            return Small(label, tmp_path_factory.mktemp("recorded"), patch.setattr).path.read_bytes()

    return content


@pytest.fixture(scope="module", params=SMALL)
def small(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, recorded: Callable[[str], bytes]
) -> Iterator[Small]:
    """Return each of the small recordings."""
    content = recorded(request.param)
    with pytest.MonkeyPatch.context() as patch:
        yield Small(request.param, tmp_path_factory.mktemp("small"), patch.setattr, content)


@pytest.fixture(scope="session")
def whole(recorded: Callable[[str], bytes]) -> bytes:
    """Return the bytes of an uninterrupted recording of curves, made in this process by one job."""
    return recorded("curves")


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, whole: bytes) -> Small:
    """Return a small recording that a test may damage."""
    return Small("curves", tmp_path, monkeypatch.setattr, whole)


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> sweep.Sweep:
    """Return the small plan, with this process's recordings in a folder of the test."""
    small_recording.plan(monkeypatch.setattr, tmp_path)
    return sweep.planned(small_recording.PAPER)[0]


@pytest.fixture
def command(
    inside: Callable[..., subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command inside this process: exit status, output, messages."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        done = inside(*arguments)
        return done.returncode, done.stdout, done.stderr

    return run
