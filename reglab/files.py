"""Files are written at once or not at all, also several."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path


@contextlib.contextmanager
def at_once(target: Path) -> Iterator[Path]:
    """Give a temporary path beside the target to write to, and rename it to the target when the block is done.

    Whatever happens, no temporary file stays. Raises `ValueError` that names the target when it cannot be written.
    """
    temporary = target.with_name(target.name + ".tmp")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise ValueError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_writable(target: Path) -> None:
    """Try to make a file beside the target; raises `ValueError` that says why that is impossible."""
    folder = target.parent
    if not folder.exists():
        raise ValueError(f"cannot write {target}: there is no folder {folder}")
    if not folder.is_dir():
        raise ValueError(f"cannot write {target}: {folder} is a file, not a folder")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f"{target.name}."):
            pass
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ValueError(f"cannot write {target}: {why or error}") from error


def write(path: Path, content: str | bytes) -> bool:
    """Write a file at once or not at all, and only when its content is new; tells whether it was."""
    raw = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == raw:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with at_once(path) as temporary:
        temporary.write_bytes(raw)
    return True


def write_all(contents: Mapping[Path, str]) -> None:
    """Write several files, all or none: what was written is undone when one cannot be, or when the command is stopped.

    Raises `ValueError` that names the file which cannot be written.
    """
    before = {path: path.read_bytes() if path.is_file() else None for path in contents}
    folders = {folder for path in contents for folder in path.parents if not folder.exists()}
    try:
        for path, content in contents.items():
            try:
                write(path, content)
            except OSError as error:
                raise ValueError(f"cannot write {path}: {error.strerror or error}") from error
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
