"""A real JupyterLab in a real browser, for the tests and the benchmark of the widget."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes
import psutil

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


@dataclass
class Server:
    """A running JupyterLab: its address on 127.0.0.1, its process, and the file that its output goes to."""

    address: str
    process: psutil.Process
    log: Path


@contextmanager
def jupyterlab(folder: Path) -> Iterator[Server]:
    """Serve a folder with JupyterLab; the token is `test`."""
    home = folder / "home"
    home.mkdir()
    log = home / "jupyterlab.log"
    with log.open("wb") as output:
        process = processes.start(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
             f"--port={processes.free_port()}", "--IdentityProvider.token=test", f"--ServerApp.root_dir={folder}",
             "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None"],
            env={**os.environ, "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home), "JUPYTER_RUNTIME_DIR": str(home),
                 "JUPYTER_DATA_DIR": str(home / "data"), "JUPYTER_PREFER_ENV_PATH": "1"},
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    server = psutil.Process(process.pid)
    told = home / f"jpserver-{process.pid}.json"  # where it serves; another port than wanted if that was taken since

    def ready() -> str:
        try:
            address = f"http://127.0.0.1:{json.loads(told.read_text())['port']}"
            urllib.request.urlopen(f"{address}/api/status?token=test", timeout=processes.GUARD)
        except (OSError, ValueError):
            return ""
        return address

    try:
        yield Server(processes.wait_for(ready, process, log), server, log)
    finally:
        members = processes.family(process)
        process.terminate()
        psutil.wait_procs(members, timeout=20)  # it ends its kernels
        processes.end(members)
        process.wait()


@contextmanager
def page(browser: Any, server: Server, notebook: str, shows: str = "img[decoding=sync]") -> Iterator[Any]:
    """Open a notebook in JupyterLab and run all its cells; yields the Playwright page once an output `shows` this.

    Where the server or the kernel dies, `processes.watched` tells of it.
    """
    with processes.needs("JupyterLab", server.process, server.log), ExitStack() as needed:
        context = browser.new_context(viewport={"width": 1280, "height": 1000})
        try:
            context.set_default_timeout(1000 * processes.GUARD)
            tab = context.new_page()
            # a workspace of its own, so that no other notebook comes back with it
            tab.goto(f"{server.address}/lab/workspaces/{Path(notebook).stem}/tree/{notebook}?token=test")
            tab.wait_for_selector(".jp-Notebook .jp-CodeCell")
            tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
            needed.enter_context(processes.needs(f"The kernel of {notebook}", kernel(server, notebook), server.log))
            tab.get_by_role("menuitem", name="Run", exact=True).click()
            tab.get_by_text("Run All Cells", exact=True).click()
            tab.wait_for_selector(f".jp-OutputArea {shows}")
            yield tab
        finally:
            if browser.is_connected():
                context.close()


def kernel(server: Server, notebook: str) -> psutil.Process:
    """Return the process in which the cells of an open notebook run."""
    with urllib.request.urlopen(f"{server.address}/api/sessions?token=test", timeout=processes.GUARD) as answer:
        (name,) = [one["kernel"]["id"] for one in json.load(answer) if one["path"] == notebook]
    (process,) = [child for child in server.process.children() if name in processes.command(child)]
    return process


def slider(tab: Any, label: str) -> Any:
    """Return the handle of the slider with this label."""
    return tab.locator(".widget-inline-hbox", has_text=label).locator(".noUi-handle").first
