"""What all tests share: one thread for each process, so that results and times do not depend on the computer's load."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is imported, here and in every process that a test starts

ROOT = Path(__file__).resolve().parent.parent
Reglab = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def reglab() -> Reglab:
    """Return a function that runs the real command `reglab` in a process of its own, on a wide terminal."""

    def run(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "reglab", *map(str, arguments)]
        environment = {**os.environ, "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}
        return subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", env=environment, cwd=ROOT, timeout=timeout
        )

    return run


@pytest.fixture
def double_precision() -> Iterator[None]:
    """Compute with twice the digits, so that rounding turns no ReLU, no class, no sign and no neighbor."""
    import torch

    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of a website that is newer than everything it shows; builds it where needed."""
    from reglab import book, execute

    execute.execute_stale()
    if book.stale():
        book.build()
    return book.SITE


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a running Chromium; skips where none is installed."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        pytest.skip("no Chromium is installed; the website is not looked at")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(
            executable_path=found[0], args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield started
        started.close()


@pytest.fixture
def view(browser: Any) -> Iterator[Any]:
    """Return a tab that records errors in `problems` and lets nothing through but files and this computer."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    tab = context.new_page()
    tab.problems = []

    def check(route: Any) -> None:
        url = route.request.url
        if url.startswith(("file://", "data:", "blob:", "http://127.0.0.1:")):
            route.continue_()
        else:
            tab.problems.append(f"asks for {url}")
            route.abort()

    context.route("**/*", check)
    tab.on("console", lambda message: tab.problems.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: tab.problems.append(str(error)))
    tab.on("requestfailed", lambda request: tab.problems.append(f"cannot load {request.url}"))
    yield tab
    context.close()
