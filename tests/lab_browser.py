"""A real JupyterLab in a real browser, for the tests and the benchmark of the widget."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
"""The system's browser, or None where there is none."""

WATCH = """
() => {
  window.frames_seen = [];
  window.moved_at = 0;
  const figure = () => document.querySelector('.jp-OutputArea img[decoding=sync]')?.src;
  let last = figure();
  let stopped = false;
  new MutationObserver(() => {
    const now = figure();
    const says = document.querySelector('.jp-OutputArea')?.innerText.includes('stopped; shown');
    if (says && !stopped) window.stopped_at = performance.now();
    stopped = says;
    if (now && now !== last) { last = now; window.frames_seen.push(performance.now()); }
  }).observe(document.body, {subtree: true, childList: true, attributes: true});
  document.addEventListener('keydown', () => { window.moved_at = performance.now(); }, true);
}
"""
"""Notes in the page when the figure changes, when a key was pressed and when a run stopped, in milliseconds."""


def write_notebook(path: Path, *cells: str) -> None:
    """Write a notebook of code cells."""
    code: list[dict[str, Any]] = [
        {"cell_type": "code", "id": str(i), "metadata": {}, "execution_count": None, "outputs": [], "source": cell}
        for i, cell in enumerate(cells)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    path.write_text(json.dumps({"cells": code, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """Serve a folder with JupyterLab on 127.0.0.1; yields the address of `/lab` with a place for the token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = folder / "home"
    home.mkdir()
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
         "--IdentityProvider.token=test", f"--ServerApp.root_dir={folder}", "--LabApp.check_for_updates_class="
         "jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None"],
        env={**os.environ, "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home), "JUPYTER_DATA_DIR": str(home / "data"),
             "JUPYTER_PREFER_ENV_PATH": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api/status?token=test", timeout=2)
                break
            except OSError:
                assert server.poll() is None, "JupyterLab stopped at its start"
                time.sleep(0.25)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


@contextmanager
def page(address: str, notebook: str) -> Iterator[Any]:
    """Open a notebook in JupyterLab and run all its cells; yields the Playwright page with the widget in it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 1000})
        tab.set_default_timeout(60_000)
        # a workspace of its own, so that no other notebook comes back with it
        tab.goto(f"{address}/lab/workspaces/{Path(notebook).stem}/tree/{notebook}?token=test")
        tab.wait_for_selector(".jp-Notebook .jp-CodeCell")
        tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        tab.get_by_role("menuitem", name="Run", exact=True).click()
        tab.get_by_text("Run All Cells", exact=True).click()
        tab.wait_for_selector(".jp-OutputArea img[decoding=sync]")
        yield tab
        browser.close()


def slider(tab: Any, label: str) -> Any:
    """Return the handle of the slider with this label."""
    return tab.locator(".widget-inline-hbox", has_text=label).locator(".noUi-handle").first
