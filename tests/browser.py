"""One Chromium for each process of tests, driven by Playwright; a new one is started when it is gone."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import processes
import psutil

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The system's browser, or None where there is none."""

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass
class _Running:
    """Playwright with its driver, a process of its own, and the browser that the driver has started."""

    playwright: Any
    browser: Any
    loop: asyncio.AbstractEventLoop
    driver: psutil.Process
    chromium: psutil.Process

    def alive(self) -> bool:
        """Tell whether the browser answers; an error in a handler of a test ends the connection to a living driver."""
        if not (processes.alive(self.driver) and processes.alive(self.chromium) and self.browser.is_connected()):
            return False
        asyncio._set_running_loop(self.loop)
        try:
            self.browser.new_context().close()
        except Exception:  # noqa: BLE001 - whatever it is, a new browser is needed
            return False
        finally:
            asyncio._set_running_loop(None)
        return True


_running: _Running | None = None


@contextmanager
def lent() -> Iterator[Any]:
    """Lend the browser of this process, a new one when it has died; `processes.watched` tells where it dies."""
    global _running
    if _running is not None and not _running.alive():
        stop()
    if _running is None:
        _running = _start()
    one = _running
    asyncio._set_running_loop(one.loop)  # as Playwright leaves it between its calls
    try:
        with processes.needs("Playwright's driver", one.driver), processes.needs("Chromium", one.chromium):
            yield one.browser
    finally:
        asyncio._set_running_loop(None)  # so that other tests may run loops of their own


def stop() -> None:
    """End the browser and its driver, if they run."""
    global _running
    if _running is None:
        return
    one, _running = _running, None
    alive = one.alive()
    asyncio._set_running_loop(one.loop)
    try:
        if alive:
            one.browser.close()
        else:  # Playwright would wait for what is left
            processes.end([*processes.family(one.driver), *processes.family(one.chromium)])
        one.playwright.stop()
    finally:
        asyncio._set_running_loop(None)


def _start() -> _Running:
    from playwright.sync_api import sync_playwright

    before = psutil.Process().children()
    playwright = sync_playwright().start()
    try:
        (driver,) = [child for child in psutil.Process().children() if child not in before]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        chromium = min(driver.children(), key=lambda child: child.create_time())
        return _Running(playwright, browser, asyncio.get_running_loop(), driver, chromium)
    except BaseException:
        playwright.stop()
        raise
