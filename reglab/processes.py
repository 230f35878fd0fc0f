"""Processes that this one started end together with all that they started themselves."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

ONE_CORE = {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}
"""Set in the environment of a process that is to keep to one core, with all that it starts."""


def end(processes: Sequence[subprocess.Popen[Any]], patience: float = 0) -> None:
    """End processes with everything that they started, and wait until they have; those that have ended may be given.

    With `patience`, they are asked first, and have so many seconds to clean up behind themselves.
    """
    import psutil

    family: list[psutil.Process] = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.poll() is None:
                parent = psutil.Process(process.pid)
                family += [*parent.children(recursive=True), parent]
    if patience:
        for process in processes:
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, timeout=5)
    for process in processes:
        process.wait()


def spent(process: subprocess.Popen[Any]) -> float:
    """Return how many seconds of a processor a process has taken, with all that it started; 0 when it has ended."""

    def seconds(member: Any) -> float:
        times = member.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)

    return _total(process, seconds)


def memory(process: subprocess.Popen[Any]) -> float:
    """Return how many bytes of memory a process takes now, with all that it started; 0 when it has ended."""
    return _total(process, lambda member: float(member.memory_info().rss))


def _total(process: subprocess.Popen[Any], amount: Callable[[Any], float]) -> float:
    """Return the sum of an amount over a process and all that it started, as `psutil.Process`es."""
    import psutil

    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        for member in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += amount(member)
    return total


def end_with(owner: int) -> None:
    """End this process soon after its parent was killed; a worker would wait for minutes else, with all its memory."""

    def watch() -> None:
        while os.getppid() == owner:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def end_marked(name: str, value: str) -> None:
    """End all processes in whose environment a variable has a value, also those that nobody waits for any more."""
    import psutil

    def marked() -> list[psutil.Process]:
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if one.status() != psutil.STATUS_ZOMBIE and one.environ().get(name) == value:
                    found.append(one)
        return found

    for _ in range(20):  # one may start another while it is looked for
        left = marked()
        if not left:
            return
        for one in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(left, timeout=1)
