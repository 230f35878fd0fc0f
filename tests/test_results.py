"""Result files: they give back what was saved, and everything else is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from walk import Walk

from reglab.results import load, save


@pytest.fixture
def results() -> xr.Dataset:
    return Walk(drift=-0.3, law="uniform").run([7, 3])


def test_a_file_gives_back_exactly_what_was_saved(results: xr.Dataset, tmp_path: Path) -> None:
    results["place"][0, 0, 0] = np.nan
    path = tmp_path / "walk.nc"
    save(results, path)
    loaded = load(path, of=Walk)
    xr.testing.assert_identical(loaded, results)
    assert type(loaded.attrs["threads"]) is int
    assert [p.name for p in tmp_path.iterdir()] == ["walk.nc"]


def test_saving_replaces_an_older_file(results: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "walk.nc"
    path.write_text("older")
    save(results, path)
    xr.testing.assert_identical(load(path), results)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.3, 0.5, 0.9, -1])
def test_a_truncated_file_is_refused(results: xr.Dataset, tmp_path: Path, kept: float) -> None:
    path = tmp_path / "cut.nc"
    save(results, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(ValueError, match=r"cut\.nc: damaged, cut short"):
        load(path)


@pytest.mark.parametrize("at", [0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.9999])
def test_a_damaged_file_is_refused(results: xr.Dataset, tmp_path: Path, at: float) -> None:
    path = tmp_path / "damaged.nc"
    save(results, path)
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged\.nc: damaged, cut short, or not written by RegLab"):
        load(path)


def test_other_programs_read_a_result(results: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "walk.nc"
    save(results, path)
    with xr.open_dataset(path, engine="h5netcdf") as found:
        xr.testing.assert_equal(found.load(), results)


def test_other_files_are_refused(results: xr.Dataset, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Other(Walk):
        pass

    path = tmp_path / "walk.nc"
    save(results, path)
    with pytest.raises(ValueError, match=r"walk\.nc: a result of .*:Walk, not of .*:Other"):
        load(path, of=Other)
    foreign = tmp_path / "foreign.nc"
    xr.Dataset({"x": ("t", np.arange(3.0))}).to_netcdf(foreign, engine="h5netcdf")
    with pytest.raises(ValueError, match=r"foreign\.nc: damaged, cut short, or not written by RegLab"):
        load(foreign)
    text = tmp_path / "text.nc"
    text.write_text("not a result")
    with pytest.raises(ValueError, match=r"text\.nc: .* not written by RegLab"):
        load(text)
    for missing in (tmp_path / "missing.nc", tmp_path):
        with pytest.raises(ValueError, match=f"{missing}: there is no such file"):
            load(missing)


def test_a_file_that_says_less_than_it_should_is_refused(results: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "less.nc"
    del results.attrs["threads"]
    save(results, path)
    with pytest.raises(ValueError, match=r"less\.nc: a NetCDF file, but not a result of RegLab"):
        load(path)


def test_where_nothing_can_be_written_nothing_is_left(results: xr.Dataset, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (tmp_path / "missing" / "a.nc", blocked / "a.nc", folder):
        with pytest.raises(ValueError) as error:
            save(results, path)
        assert f"cannot write {path}: " in str(error.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
