"""An experiment that a second process computes, while the reader is elsewhere on the page."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING

from reglab import processes
from reglab.experiment import Experiment
from reglab.seeds import Seeds

if TYPE_CHECKING:
    import xarray as xr

    Messages = queue.SimpleQueue[float | xr.Dataset | None]
    """How much is done, then the results; None when the process has ended."""


class Started:
    """A run in a second process, which begins at once and ends with its results, this object or this process.

    What it did not compute, `results` computes here, where an error can be read; and all where this one is `alone`.
    """

    def __init__(self, experiment: Experiment, seeds: Seeds, alone: bool) -> None:
        self.experiment, self.seeds = experiment, seeds
        self.alone, self.since = alone, time.perf_counter()
        self._working = not alone
        self._data: xr.Dataset | None = None
        self._messages: Messages = queue.SimpleQueue()
        if alone:
            return
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_compute, args=(experiment, seeds, there, os.getpid()), daemon=True)
        process.start()
        there.close()
        threading.Thread(target=_receive, args=(process, here, self._messages), daemon=True).start()
        weakref.finalize(self, process.kill)

    def results(self, progress: Callable[[float], None]) -> xr.Dataset:
        """Wait for the results and return them; `progress` is called with the fraction done (0 to 1)."""
        while self._working:
            try:
                message = self._messages.get(timeout=1)  # so that Windows, too, can interrupt it
            except queue.Empty:
                continue
            if isinstance(message, float):
                progress(message)
            else:
                self._working, self._data = False, message
        if self._data is None:
            self._data = self.experiment.run(self.seeds, progress)
        return self._data


def _compute(experiment: Experiment, seeds: Seeds, there: Connection, owner: int) -> None:
    """Compute in the second process, and send how much is done and then the results."""
    processes.end_with(owner)
    with contextlib.suppress(Exception, KeyboardInterrupt):  # an error comes again where results are asked for
        there.send(experiment.run(seeds, lambda fraction: there.send(float(fraction))))


def _receive(process: SpawnProcess, here: Connection, messages: Messages) -> None:
    """Take what the second process sends as soon as it comes, so that it can end before it is asked."""
    try:
        while True:
            messages.put(here.recv())
    except (EOFError, OSError):
        messages.put(None)
        process.join()
