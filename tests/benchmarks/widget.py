"""Time the widget of every experiment in a real JupyterLab: first new frame, frames per second, stop.

Run by `make benchmark`. The first frame is counted from the key press in the page; stop from the press of the button.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import browser
import lab_browser

from reglab import catalogue


def main() -> None:
    """Measure and print one line for each experiment and the worst of all."""
    folder = Path(tempfile.mkdtemp())
    rows = []
    with lab_browser.jupyterlab(folder) as server, browser.lent() as chromium:
        for name in catalogue.SLUGS:
            for kind in catalogue.experiments(name):
                rows.append(measure(chromium, server, folder, kind.__module__, kind.__name__))
    browser.stop()
    print(f"{'experiment':16s} {'first frame':>12s} {'frames/s':>9s} {'longest gap':>12s} {'stop':>8s}")
    for label, first, rate, gap, stop in rows:
        print(f"{label:16s} {first:9.0f} ms {rate:9.1f} {gap:9.0f} ms {stop:5.0f} ms")


def measure(
    chromium: Any, server: lab_browser.Server, folder: Path, module: str, name: str
) -> tuple[str, float, float, float, float]:
    """Return the worst first frame of five moves, frames per second, longest gap and worst stop, in milliseconds."""
    cell = f"from reglab.explore import explore\nfrom {module} import {name}\nexplore({name}())"
    lab_browser.write_notebook(folder / f"{name}.ipynb", cell)
    firsts, stops, rates, gaps = [], [], [], []
    with lab_browser.page(chromium, server, f"{name}.ipynb") as page:
        page.evaluate(lab_browser.WATCH)
        handle = page.locator(".noUi-handle").first
        handle.focus()
        for key in ("ArrowLeft", "ArrowRight") * 2:
            page.evaluate("window.frames_seen.length = 0")
            page.keyboard.press(key)
            page.wait_for_function("window.frames_seen.length >= 1")
            page.wait_for_timeout(2500)
            frames = page.evaluate("window.frames_seen")
            firsts.append(frames[0] - page.evaluate("window.moved_at"))
            steps = [b - a for a, b in itertools.pairwise(frames)]
            stop = page.get_by_role("button", name="Stop")
            if stop.is_enabled() and steps:
                rates.append(1000 * len(steps) / sum(steps))
                gaps.append(max(steps))
                stop.press("Enter")
                page.get_by_text("stopped; shown").wait_for()
                stops.append(page.evaluate("window.stopped_at - window.moved_at"))
            handle.focus()
    none = float("nan")
    return name, max(firsts), min(rates, default=none), max(gaps, default=none), max(stops, default=none)


if __name__ == "__main__":
    main()
