"""Time recording with one local worker and with two; run by `make benchmark` on a computer with two free cores.

It records the whole grid of `LinearTheory` with eight seeds, as `reglab record` does. Starting the workers is part of
it; one worker needs no start. Both must give the same bytes.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path

import small_recording

from reglab.recordings import sweep


def main() -> None:
    """Measure and print the seconds of both, and their ratio."""
    grid = dict(small_recording.kind().grid)
    points = math.prod(len(values) for values in grid.values())
    seconds, contents = [], set()
    for jobs in (1, 2):
        small_recording.plan(setattr, Path(tempfile.mkdtemp()), grid=grid)
        sweep.planned = lambda name: [sweep.Sweep(small_recording.kind())]
        begin = time.perf_counter()
        contents.add(sweep.record(small_recording.PAPER, jobs).read_bytes())
        seconds.append(time.perf_counter() - begin)
        print(f"{jobs} {'worker ' if jobs == 1 else 'workers'}  {seconds[-1]:6.1f} s for {points} points")
    assert len(contents) == 1, "the number of workers changes the recording"
    print(f"two are {seconds[0] / seconds[1]:.2f} times as fast as one (aim: at least 1.7)")


if __name__ == "__main__":
    main()
