"""What all tests share: which of them run, in which process, with one thread for each process.

Tests of a paper marked `deep` are for `pytest --deep --papers=NAME,...`, which `reglab verify` calls; those marked
`sampled` run for the papers that have changed and for a few others in rotation.
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import browser as chromium
import processes
import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is imported, here and in every process that a test starts

pytest_plugins = ["recording_fixtures"]

ROOT = Path(__file__).resolve().parent.parent
ROTATING = 4
"""So many unchanged papers are looked at closely in each run."""
SHARING = ("test_papers", "test_replay")
"""Modules whose tests of one paper are faster in one process."""
Reglab = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def reglab() -> Reglab:
    """Return a function that runs the real command `reglab` in a process of its own, on a wide terminal."""

    def run(*arguments: str | Path, timeout: float = processes.GUARD) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "reglab", *map(str, arguments)]
        environment = {**os.environ, "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}
        return subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", env=environment, cwd=ROOT, timeout=timeout
        )

    return run


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Reglab]:
    """Return a function that runs the command inside this process, which saves the two seconds of a start."""

    from reglab import cli

    for name in ("PYTHONSAFEPATH", "JUPYTER_PREFER_ENV_PATH"):
        monkeypatch.setenv(name, "1")  # as the command does for good

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["reglab", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        code = stopped.value.code
        assert isinstance(code, int)
        return subprocess.CompletedProcess([], code, *capsys.readouterr())

    before = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, before)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say which papers are looked at closely."""
    group = parser.getgroup("reglab")
    group.addoption(
        "--papers", default="", help="papers to look at closely, 'all', or nothing for changed ones and some"
    )
    group.addoption("--deep", action="store_true", help="run the expensive tests of these papers, and nothing else")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the papers once, so that all processes agree."""
    from reglab import catalogue, verify

    named = config.getoption("--papers")
    if named == "all":
        papers = list(catalogue.SLUGS)
    elif named:
        papers = catalogue.select(named.split(","))
    else:
        papers = verify.changed()
        papers += verify.rotation(ROTATING, papers)
    config.stash[PAPERS] = papers


PAPERS = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads which tests belong together
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not asked for, and say which tests belong into one process.

    The contract of a paper shares its runs, as what is asked of its recordings shares what was read; and the website is
    built by the first test of all while others go on.
    """
    chosen = config.stash[PAPERS]
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        deep, sampled = (item.get_closest_marker(name) is not None for name in ("deep", "sampled"))
        paper = _paper(item)
        near = not paper or paper in chosen or not (deep or sampled)
        wanted = near and deep == config.getoption("--deep")
        (kept if wanted else left).append(item)
        if item.path.stem in SHARING and paper and "site" not in _fixtures(item):
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}:{paper}"))
    order = {"test_the_website_is_built": 0, "test_style_and_types": 1}
    kept.sort(key=lambda item: order.get(getattr(item, "originalname", ""), 3 if "site" in _fixtures(item) else 2))
    items[:] = kept
    config.hook.pytest_deselected(items=left)


def _fixtures(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


def _paper(item: pytest.Item) -> str:
    """Return the name of the paper that a test is about, "" for none."""
    from reglab import catalogue

    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    for value in values:
        name = value.paper() if hasattr(value, "paper") else str(value).removeprefix("lab/")
        if name in catalogue.SLUGS:
            return name
    return ""


@pytest.fixture
def double_precision() -> Iterator[None]:
    """Compute with twice the digits, so that rounding turns no ReLU, no class, no sign and no neighbor."""
    from draws import twice_the_digits

    with twice_the_digits():
        yield


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of a website that is newer than everything it shows; builds it where needed.

    Pages that were not executed since they changed are run quickly.
    """
    from filelock import FileLock

    from reglab.site import book, execute
    from reglab.site.pages import BOOK

    lock = BOOK / "_build" / "tests.lock"
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):  # another process of this run may be building it
        stale = [execute.task(name, quick=True) for name in execute.names() if execute.stale(name, quick=True)]
        failures = execute.execute(stale)
        assert not failures, "\n".join(map(str, failures))
        preview = any(map(execute.ran_quickly, execute.names()))
        if book.stale(preview):
            book.build(preview)
    return book.PREVIEW if preview else book.SITE


@pytest.fixture(scope="session")
def served(site: Path) -> Iterator[str]:
    """Serve the site on 127.0.0.1 under the policy that the README names, and return its address."""

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (policy,) = re.findall(r"`Content-Security-Policy: (.*)`", readme)

    class Strict(http.server.SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", policy)
            super().end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Strict, directory=site))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Iterator[None]:
    """Let a test fail, instead of wait, when a process that it needs dies."""
    with processes.watched():
        return (yield)


@pytest.fixture(scope="session")
def _one_browser() -> Iterator[None]:
    """End the browser, which all tests of this process share, after the last of them."""
    yield
    chromium.stop()


@pytest.fixture
def browser(_one_browser: None) -> Iterator[Any]:
    """Return a running Chromium; skips where none is installed."""
    pytest.importorskip("playwright.sync_api")
    if chromium.CHROMIUM is None:
        pytest.skip("no Chromium is installed; the website is not looked at")
    with chromium.lent() as running:
        yield running


@pytest.fixture
def view(browser: Any) -> Iterator[Any]:
    """Return a tab that records errors in `problems` and lets nothing through but files and this computer."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(1000 * processes.GUARD)
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

    def failed(request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # not a fault: the page was left while it was loading
            tab.problems.append(f"cannot load {request.url}: {request.failure}")

    tab.on("requestfailed", failed)
    yield tab
    if not processes.dead():
        context.close()
