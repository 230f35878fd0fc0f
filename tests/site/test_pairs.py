"""Notebooks and the texts that they are made from stay in step."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest

from reglab import catalogue
from reglab.site import execute, pairs


def test_pairing_is_the_same_every_time(tmp_path: Path) -> None:
    source = tmp_path / "part" / "page.py"
    source.parent.mkdir()
    other = "display_name: Other\n#     language: python\n#     name: other"
    source.write_text(
        f"# ---\n# jupyter:\n#   kernelspec:\n#     {other}\n# ---\n\n# %% [markdown]\n# # Title with ü\n\n"
        '# %% tags=["parameters"]\nseeds = 8\n\n\n# %%\nprint(seeds)\n',
        encoding="utf-8",
    )
    target = source.with_suffix(".ipynb")
    assert pairs.pair(tmp_path) == [target]
    text = target.read_text(encoding="utf-8")
    assert pairs.pair(tmp_path) == [] and pairs.paired(source.read_text(encoding="utf-8")) == text
    made: Any = nbformat.reads(text, as_version=4)
    nbformat.validate(made)
    assert [cell.id for cell in made.cells] == ["0", "1", "2"]
    assert made.cells[1].metadata["tags"] == ["parameters"] and made.cells[2].metadata == {}
    assert target.stat().st_mtime_ns == source.stat().st_mtime_ns, "or JupyterLab would not open it"
    jupytext.write(made, back := tmp_path / "back.py", fmt="py:percent")
    assert "\n".join(back.read_text().splitlines()[-8:]) in source.read_text(), "blank lines come back too"
    assert made.metadata.kernelspec.name == "other"
    assert all(cell.get("outputs", []) == [] and cell.get("execution_count") is None for cell in made.cells)


def test_what_was_written_without_jupytext_is_not_lost(tmp_path: Path) -> None:
    sources = [tmp_path / f"{name}.py" for name in ("first", "second")]
    for source in sources:
        source.write_text("# %%\nprint(1)\n", encoding="utf-8")
    targets = pairs.pair(tmp_path)
    made: Any = nbformat.read(targets[1], as_version=4)
    made.cells[0].outputs = [nbformat.v4.new_output("stream", text="1")]
    nbformat.write(made, targets[1])
    assert pairs.pair(tmp_path) == [targets[1]], "outputs are made again"
    made.cells[0].source = "print('mine')"
    nbformat.write(made, targets[1])
    for source in sources:
        source.write_text("# %%\nprint(2)\n", encoding="utf-8")
    before = [target.read_bytes() for target in targets]
    with pytest.raises(ValueError, match=f"^{re.escape(str(targets[1]))}: changed without the .py beside it"):
        pairs.pair(tmp_path)
    assert [target.read_bytes() for target in targets] == before
    sources[1].write_text("# %%\nprint('mine')\n", encoding="utf-8")
    assert pairs.pair(tmp_path) == targets, "now both have it"


def test_every_notebook_is_in_step_with_its_text() -> None:
    sources = pairs.sources()
    for source in sources:
        target = source.with_suffix(".ipynb")
        assert target.is_file(), f"{target} is missing: run `make pair`"
        text = pairs.paired(source.read_text(encoding="utf-8"))
        assert target.read_text(encoding="utf-8") == text, f"{target} is out of step: run `make pair`"
        metadata = json.loads(text)["metadata"]
        assert metadata["kernelspec"]["name"] == "python3"
    found = {path.relative_to(catalogue.ROOT / "lab").with_suffix("").as_posix() for path in sources}
    assert found == set(execute.names()), "one notebook for each paper, and the index"
    without_text = {
        path.with_suffix(".py")
        for path in (catalogue.ROOT / "lab").rglob("*.ipynb")
        if ".ipynb_checkpoints" not in path.parts
    }
    assert without_text <= set(sources), "an .ipynb that was not made from a .py"
