"""Child processes of tests: started with the usual signals, waited for by what they do, watched while needed.

Seconds appear here only as guards: so that what never happens fails a test instead of holding it up.
"""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

GUARD = 240.0
"""Seconds after which a wait is given up; far longer than anything takes on a slow and busy computer."""

STOPS = (signal.SIGINT, signal.SIGTERM)
"""What stops a command: Ctrl-C and the signal of `kill`."""


# ------------------------------------------------------------------------------------------------------------ starting


@contextmanager
def usual_signals() -> Iterator[None]:
    """Let `STOPS` stop what is started inside, even where this process ignores or blocks them (`nohup`, `&`)."""
    ignored = [number for number in STOPS if signal.getsignal(number) is signal.SIG_IGN]
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS) if hasattr(signal, "pthread_sigmask") else None
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Start a command with the usual signals; `options` are those of `Popen`, and by default its output is kept."""
    with usual_signals():
        return subprocess.Popen(
            command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        )


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free, outside the range from which systems give ports to connections."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


# ------------------------------------------------------------------------------------------------------------- waiting


def wait_for(condition: Callable[[], Any], process: Any = None, log: Path | None = None) -> Any:
    """Wait until something is true and return it; fails, with what it said, when the process ends before that.

    What a process says comes from its pipes, or from its `log` where it has no pipes.
    """
    end = time.monotonic() + GUARD
    while not (found := condition()):
        late = time.monotonic() > end
        if process is not None and process.poll() is not None and not (found := condition()):
            said = tail(log) if log is not None else process.communicate()
            raise AssertionError(f"the process ended with {process.returncode} before it happened: {said}")
        assert found or not late, f"it has not happened within {GUARD:g} s. {tail(log)}"
        time.sleep(0.02)
    return found


def family(process: Any) -> list[psutil.Process]:
    """Return a process and all that it started, as far as they still run."""
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def alive(process: psutil.Process) -> bool:
    """Tell whether a process still runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def command(process: psutil.Process) -> str:
    """Return the command line of a process; nothing of one that has ended, also where its end was not waited for."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def end(processes: Sequence[psutil.Process]) -> None:
    """End processes at once."""
    for one in processes:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=GUARD)


def tail(log: Path | None) -> str:
    """Return the last lines of a log, under a heading; nothing where there is no log."""
    if log is None:
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(["The end of its output:", *lines[-30:]])


# ------------------------------------------------------------------------------------------------------------ watching


class ProcessDiedError(Exception):
    """A process that a test needs has died."""


@dataclass(eq=False)
class _Needed:
    name: str
    process: psutil.Process
    log: Path | None


_needed: list[_Needed] = []


@contextmanager
def needs(name: str, process: psutil.Process, log: Path | None = None) -> Iterator[None]:
    """Need a process: where it dies inside, `ProcessDiedError` says so, whatever error that led to first."""
    one = _Needed(name, process, log)
    _needed.append(one)
    try:
        with _explained():
            yield
    finally:
        _needed.remove(one)


def dead() -> str:
    """Return which needed process has died, in words; nothing while all live."""
    for one in list(_needed):
        if not alive(one.process):
            return f"{one.name} (process {one.process.pid}) has died. {tail(one.log)}".rstrip()
    return ""


@contextmanager
def watched() -> Iterator[None]:
    """Raise `ProcessDiedError` in the main thread, wherever it waits, as soon as a needed process has died.

    Libraries may wait for ever for an answer of a process that is gone. Does nothing on a system without SIGUSR1.
    """
    main = threading.main_thread()
    if not hasattr(signal, "SIGUSR1") or threading.current_thread() is not main:
        yield
        return
    over = threading.Event()

    def stop(number: int, frame: Any) -> None:
        if not over.is_set() and (said := dead()):
            raise ProcessDiedError(said)

    def watch() -> None:
        while not over.wait(0.2):
            if dead():
                signal.pthread_kill(main.ident or 0, signal.SIGUSR1)
                over.wait(2)  # and again, since an exception is lost where it comes in a finalizer or a callback

    before = signal.signal(signal.SIGUSR1, stop)
    thread = threading.Thread(target=watch, name="watch of needed processes", daemon=True)
    thread.start()
    try:
        with _explained():
            yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn the error that the death of a needed process led to into one that tells of the death."""
    try:
        yield
    except ProcessDiedError:
        raise
    except Exception as error:
        if _needed and type(error).__name__ == "TargetClosedError":  # it may still be dying
            gone = time.monotonic() + 10
            while not dead() and time.monotonic() < gone:
                time.sleep(0.02)
        if said := dead():
            raise ProcessDiedError(said) from error
        raise
