"""Files are written at once or not at all, also several."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write(path: Path, content: str | bytes) -> bool:
    """Write a file at once or not at all, and only when its content is new; tells whether it was.

    The bytes go to a file beside it that nobody else writes, which then takes its name; a link stays a link. Whatever
    happens, no other file stays, unless this process is killed. Raises `ValueError` that names the file when it cannot
    be written.
    """
    raw, target = content.encode() if isinstance(content, str) else content, path.resolve()
    begun = target.with_name(f"{_begin(target, os.getpid())}{secrets.token_hex(4)}.tmp")
    try:
        if target.is_file() and target.read_bytes() == raw:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        with begun.open("xb") as file:
            file.write(raw)
        if target.exists():
            begun.chmod(target.stat().st_mode)
        os.replace(begun, target)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            begun.unlink(missing_ok=True)
    return True


def forget(path: Path, pid: int) -> None:
    """Remove what a process that was killed had begun to write of a file."""
    target = path.resolve()
    for begun in target.parent.glob(f"{_begin(target, pid)}*.tmp"):
        begun.unlink(missing_ok=True)


def _begin(target: Path, pid: int) -> str:
    """Return how the name begins under which a process writes a file."""
    return f".{target.name[:100]}.{pid}."


def read(path: Path) -> bytes:
    """Return what a file holds; raises `ValueError` that names it when there is none or it cannot be read."""
    try:
        if not path.is_file():
            raise ValueError(f"{path}: there is no such file")
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}; it is left as it is") from error


def check_writable(target: Path) -> None:
    """Try to make a file beside the target; raises `ValueError` that says why that is impossible."""
    folder = target.resolve().parent
    if not folder.exists():
        raise ValueError(f"cannot write {target}: there is no folder {folder}")
    if not folder.is_dir():
        raise ValueError(f"cannot write {target}: {folder} is a file, not a folder")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{target.name[:100]}."):
            pass
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ValueError(f"cannot write {target}: {why or error}") from error


def write_all(contents: Mapping[Path, str]) -> None:
    """Write several files, all or none: what was written is undone when one cannot be, or when the command is stopped.

    Raises `ValueError` that names the file which cannot be written.
    """
    before = {path: path.read_bytes() if path.is_file() else None for path in contents}
    folders = {folder for path in contents for folder in path.parents if not folder.exists()}
    try:
        for path, content in contents.items():
            write(path, content)
    except BaseException:
        for path, former in before.items():
            if former is not None:
                write(path, former)
            else:
                with contextlib.suppress(OSError):  # where it could not be written, nothing is to be removed
                    path.unlink()
        for folder in sorted(folders, reverse=True):
            if folder.is_dir():
                folder.rmdir()
        raise
