"""How quickly the website's charts follow their controls, and how much a page weighs: every page with a replay.

Run it after `reglab book`. Milliseconds are those of a headless Chromium on this computer, pages opened from disk.
"""

from __future__ import annotations

import gzip
import statistics
from typing import Any

import browser
from page_weight import weight

from reglab import catalogue
from reglab.site import book

MOVES = """async (one) => {
  const times = [];
  for (let picture = 0; picture < one.grid.views.length; picture++) {
    one.set({ picture });
    while (!one.charts.length) await new Promise((done) => setTimeout(done, 10));
    for (const slider of one.sliders) for (let k = 0; k <= +slider.max; k++) {
      await new Promise((done) => requestAnimationFrame(done));
      const begin = performance.now();
      slider.value = k;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      times.push(performance.now() - begin);
    }
  }
  return times;
}"""
"""Moves every slider over all its positions in every picture; from the move until the next frame is painted."""


def main() -> None:
    shared = book.SITE / "_static" / "charts" / "vega.js"
    print(f"the script that draws charts: {len(gzip.compress(shared.read_bytes())) / 1000:.0f} KB compressed")
    with browser.lent() as chromium:
        for name in catalogue.SLUGS:
            measure(chromium, name)
    browser.stop()


def measure(chromium: Any, name: str) -> None:
    page = book.SITE / "lab" / f"{name}.html"
    tab = chromium.new_page(viewport={"width": 1280, "height": 900})
    tab.goto(page.as_uri())
    key = tab.evaluate("reglabReplays[0]?.key ?? ''")
    tab.goto("about:blank")
    if not key:
        print(f"{name}: no replay")
        return
    tab.goto(f"{page.as_uri()}#{key}:")
    tab.wait_for_selector("figure[data-ready]")
    first = tab.evaluate("performance.now()")
    times = []
    for number in range(tab.evaluate("reglabReplays.length")):
        handle = tab.evaluate_handle("async (i) => { await reglabReplays[i].open(); return reglabReplays[i]; }", number)
        times += tab.evaluate(MOVES, handle)
    print(
        f"{name}: first chart after {first:.0f} ms, moves median {statistics.median(times):.0f} ms, "
        f"worst {max(times):.0f} ms of {len(times)}; {weight(page) / 1000:.0f} KB compressed"
    )
    tab.close()


if __name__ == "__main__":
    main()
