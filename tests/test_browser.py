"""What happens to a test when a process that it needs dies: it fails and says so, and the next one works again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import browser
import lab_browser
import processes
import psutil
import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no signal wakes a waiting test on this system")
needs_browser = pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium is installed")

NOW = "setTimeout(() => console.log('now'), 100)"
"""What a page does so that a process is killed while the test waits for the page."""


def test_a_test_that_waits_is_woken_when_a_process_dies_that_it_needs() -> None:
    helper = processes.start([sys.executable, "-c", "import time; print('here', flush=True); time.sleep(3600)"])
    assert helper.stdout is not None and helper.stdout.readline() == "here\n"
    with (
        pytest.raises(processes.ProcessDiedError, match=rf"^The helper \(process {helper.pid}\) has died\.$"),
        processes.needs("The helper", psutil.Process(helper.pid)),
    ):
        helper.kill()
        threading.Event().wait(processes.GUARD)
    helper.communicate()


def test_a_process_whose_end_was_not_waited_for_has_no_command_line() -> None:
    helper = processes.start([sys.executable, "-c", "print('over')"])
    one = psutil.Process(helper.pid)
    processes.wait_for(lambda: one.status() == psutil.STATUS_ZOMBIE)
    assert processes.command(one) == "" and not processes.alive(one)
    helper.communicate()
    assert processes.command(one) == "" and processes.command(psutil.Process())


def test_an_error_while_all_live_stays_as_it_is() -> None:
    with pytest.raises(ValueError, match="its own"), processes.needs("This process", psutil.Process()):
        raise ValueError("its own")


@needs_browser
@pytest.mark.browser
@pytest.mark.parametrize("name", ["Playwright's driver", "Chromium"])
def test_a_wait_for_a_page_ends_when_a_process_dies_and_the_next_browser_is_new(_one_browser: None, name: str) -> None:
    with browser.lent() as first:
        pass
    one = browser._running
    assert one is not None
    victim = {"Playwright's driver": one.driver, "Chromium": one.chromium}[name]
    with pytest.raises(processes.ProcessDiedError, match=rf"^{name} \(process {victim.pid}\) has died"), browser.lent():
        tab = first.new_page()
        tab.on("console", lambda message: victim.kill())
        tab.evaluate(NOW)
        tab.wait_for_selector("#never", timeout=1000 * processes.GUARD)
    with browser.lent() as second:
        assert second is not first and not processes.alive(one.driver) and not processes.alive(one.chromium)
        tab = second.new_page()
        tab.set_content("<p>a new one</p>")
        assert tab.inner_text("p") == "a new one"
        tab.close()


@needs_browser
@pytest.mark.browser
def test_after_an_error_in_a_handler_the_next_browser_works(_one_browser: None) -> None:
    """Such an error ends Playwright's connection to its driver, which lives on and has no answer for anybody."""
    from playwright.sync_api import Error

    def wrong(message: object) -> None:
        raise ValueError("a test's own error")

    with pytest.raises((Error, ValueError)), browser.lent() as first:
        tab = first.new_page()
        tab.on("console", wrong)
        tab.evaluate(NOW)
        tab.wait_for_selector("#never", timeout=2000)
    with browser.lent() as second:
        tab = second.new_page()
        assert tab.evaluate("1 + 1") == 2
        tab.close()


@needs_browser
@pytest.mark.browser
def test_one_browser_is_lent_again_and_leaves_others_their_own_loops(_one_browser: None) -> None:
    with browser.lent() as first:
        pass
    assert asyncio.run(asyncio.sleep(0, "ran")) == "ran"
    with browser.lent() as second:
        tab = second.new_page()
        assert second is first and tab.evaluate("1 + 1") == 2
        tab.close()


@needs_browser
@pytest.mark.browser
def test_a_missing_file_is_a_problem_of_a_page_and_leaving_it_while_it_loads_is_none(view: Any, tmp_path: Path) -> None:
    missing = tmp_path / "missing.html"
    missing.write_text("<img src=nowhere.svg>")
    view.goto(missing.as_uri())
    assert [text for text in view.problems if text.startswith("cannot load ")] == [
        f"cannot load {(tmp_path / 'nowhere.svg').as_uri()}: net::ERR_FILE_NOT_FOUND"
    ]
    view.problems.clear()
    slow = tmp_path / "slow.html"
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes the request and never answers
        slow.write_text(f"<img src=http://127.0.0.1:{server.getsockname()[1]}/slow.svg>")
        with view.expect_request("**/slow.svg"):
            view.goto(slow.as_uri(), wait_until="commit")
        with view.expect_event("requestfailed") as left:
            view.goto("about:blank")
        assert left.value.failure == "net::ERR_ABORTED" and not view.problems


@needs_browser
@pytest.mark.browser
def test_a_test_whose_browser_dies_fails_and_the_next_passes(tmp_path: Path) -> None:
    """In a run of pytest of its own, with the fixtures that all tests use."""
    code = f"""
        import browser

        def test_dies(view):
            view.on("console", lambda message: browser._running.driver.kill())
            view.evaluate({NOW!r})
            view.wait_for_selector("#never")

        def test_lives(view):
            view.set_content("<p>a new one</p>")
            assert view.inner_text("p") == "a new one"
    """
    (tmp_path / "test_two.py").write_text(textwrap.dedent(code))
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = processes.start([*command, "--tb=line", str(tmp_path)], cwd=tmp_path, env=environment)
    said, errors = process.communicate(timeout=processes.GUARD)
    assert "ProcessDiedError: Playwright's driver (process " in said, said + errors
    assert "1 failed, 1 passed" in said and "error" not in said.splitlines()[-1], said + errors


@needs_browser
@pytest.mark.browser
def test_a_test_fails_when_its_kernel_or_its_server_dies(_one_browser: None, tmp_path: Path) -> None:
    picture = "from IPython.display import HTML, display\ndisplay(HTML('<img decoding=sync>'))"
    for name in ("one", "two"):
        lab_browser.write_notebook(tmp_path / f"{name}.ipynb", picture)
    with lab_browser.jupyterlab(tmp_path) as server, browser.lent() as running:
        with (
            pytest.raises(processes.ProcessDiedError, match=r"^The kernel of one\.ipynb \(process \d+\) has died"),
            lab_browser.page(running, server, "one.ipynb") as tab,
        ):
            kernel = lab_browser.kernel(server, "one.ipynb")
            tab.on("console", lambda message: kernel.kill() if message.text == "now" else None)
            tab.evaluate(NOW)
            tab.wait_for_selector("#never")
        with (
            pytest.raises(processes.ProcessDiedError, match=r"^JupyterLab \(process \d+\) has died") as failed,
            lab_browser.page(running, server, "two.ipynb") as tab,
        ):
            server.process.kill()
            tab.wait_for_selector("#never")
        assert "two.ipynb" in str(failed.value), "the end of what the server wrote"
