"""Files are written at once or not at all, whatever happens: two writers, a full disk, a link, a closed file."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from processes import GUARD

from reglab import files

LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing more fails, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sys.argv = ["reglab", *sys.argv[1:]]
from reglab.cli import main
main()
"""


def test_a_file_keeps_its_link_its_rights_and_what_lies_beside_it(tmp_path: Path) -> None:
    target, link, own = tmp_path / "shared" / "y.nc", tmp_path / "y.nc", tmp_path / "y.nc.tmp"
    own.write_text("mine", encoding="utf-8")
    target.parent.mkdir()
    target.write_bytes(b"before")
    target.chmod(0o640)
    link.symlink_to(target)
    assert files.write(link, "after") and not files.write(link, "after")
    assert link.is_symlink() and target.read_bytes() == b"after" and own.read_text(encoding="utf-8") == "mine"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert {path.name for path in (*tmp_path.iterdir(), *target.parent.iterdir())} == {"shared", "y.nc", "y.nc.tmp"}


def test_a_new_file_has_the_rights_that_new_files_get(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    files.write(tmp_path / "new", b"")
    assert (tmp_path / "new").stat().st_mode == plain.stat().st_mode


def test_writers_side_by_side_leave_one_whole_file(tmp_path: Path) -> None:
    contents = [str(number) * 200_000 for number in range(8)]
    writers = [threading.Thread(target=files.write, args=(tmp_path / "shared", content)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (tmp_path / "shared").read_text(encoding="utf-8") in contents
    assert [path.name for path in tmp_path.iterdir()] == ["shared"]


def test_what_a_killed_writer_left_is_known_by_its_number(tmp_path: Path) -> None:
    script = "import os, signal, sys; from pathlib import Path; from reglab import files\n"
    script += "os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)\nfiles.write(Path(sys.argv[1]), 'half')"
    target = tmp_path / "y.nc"
    writer = subprocess.Popen([sys.executable, "-c", script, str(target)])
    assert writer.wait(GUARD) == -signal.SIGKILL
    assert not target.exists() and len(list(tmp_path.iterdir())) == 1
    files.forget(target, os.getpid())
    assert len(list(tmp_path.iterdir())) == 1, "that is another writer"
    files.forget(target, writer.pid)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    target = tmp_path / "full.nc"
    command = [sys.executable, "-c", LIMITED, "run", "early_learning", "--set", "epochs=3", "--seeds", "2"]
    done = subprocess.run([*command, "--out", str(target)], capture_output=True, text=True, timeout=GUARD)
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(rf"Error: cannot write {re.escape(str(target))}: .+\n", done.stderr)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no file that nobody can read")
def test_what_cannot_be_read_is_not_called_damaged() -> None:
    with pytest.raises(ValueError, match=r"^cannot read /proc/self/mem: Input/output error; it is left as it is$"):
        files.read(Path("/proc/self/mem"))


def test_what_is_no_file_is_said_so(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: there is no such file$"):
            files.read(path)
