"""Time recording with one local worker and with two; run by `make benchmark` on a computer with two free cores.

Starting the workers is part of it, as it is part of `reglab record`. Both must give the same bytes.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import small_recording

from reglab import sweep

POINTS = {"spread": (0.1, 0.15, 0.2, 0.3), "ratio": (0.3, 0.5, 0.7, 0.9)}
STEPS = 4000


def main() -> None:
    """Measure and print the seconds of both, and their ratio."""
    seconds, contents = [], set()
    for jobs in (1, 2):
        small_recording.plan(setattr, Path(tempfile.mkdtemp()), None, POINTS, {"steps": STEPS})
        begin = time.perf_counter()
        contents.add(sweep.record(small_recording.PAPER, jobs).read_bytes())
        seconds.append(time.perf_counter() - begin)
        print(f"{jobs} {'worker ' if jobs == 1 else 'workers'}  {seconds[-1]:6.1f} s for 16 points")
    assert len(contents) == 1, "the number of workers changes the recording"
    print(f"two are {seconds[0] / seconds[1]:.2f} times as fast as one (aim: at least 1.7)")


if __name__ == "__main__":
    main()
