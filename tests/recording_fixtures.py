"""Fixtures of the tests of recordings: small ones, and the command inside this process."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import small_recording
from small_recording import SMALL, Small

from reglab.recordings import sweep


@pytest.fixture(scope="module", params=SMALL)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """Return each of the small recordings."""
    with pytest.MonkeyPatch.context() as patch:
        yield Small(request.param, tmp_path_factory.mktemp("small"), patch.setattr)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a small recording."""
    with pytest.MonkeyPatch.context() as patch:
        return Small("curves", tmp_path_factory.mktemp("curves"), patch.setattr).path.read_bytes()


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes) -> Small:
    """Return a small recording that a test may damage."""
    return Small("curves", tmp_path, monkeypatch.setattr, content)


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
