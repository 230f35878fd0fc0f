"""Checkpoints: as good as they say, remade as they were, and refused when they are not what they should be."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from reglab.models import pretrained
from reglab.models.transformer import Recipe

Reglab = Callable[..., "subprocess.CompletedProcess[str]"]
ALL = [(name, seed) for name in pretrained.RECIPES for seed in pretrained.SEEDS]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return the path of a copy of a checkpoint, which a test may spoil."""
    shutil.copy(pretrained.path("tiny_lm"), tmp_path)
    return pretrained.path("tiny_lm", folder=tmp_path)


def refused(folder: Path, why: str, name: str = "tiny_lm", seed: int = 0) -> None:
    with pytest.raises(ValueError, match=why) as error:
        pretrained.load(name, seed, folder)
    assert str(pretrained.path(name, seed, folder)) in str(error.value), "the message names the file"
    assert f"`reglab pretrain {name} --seed {seed} --out {folder}`" in str(error.value), "and how to make it again"


# ------------------------------------------------------------------------------------------------------ what is shipped


@pytest.mark.parametrize(("name", "seed"), ALL)
def test_checkpoints_meet_their_targets_and_are_as_good_as_they_say(name: str, seed: int) -> None:
    recipe, stated = pretrained.recipe(name), pretrained.describe(name, seed)["quality"]
    # with twice the digits, so that rounding turns no answer, and every processor measures the same
    weights = {key: value.double() for key, value in pretrained.load(name, seed).items()}
    measured = pretrained.measure(recipe, weights)
    assert measured == pytest.approx(stated, abs=1e-6)
    assert set(recipe.targets) <= set(measured)
    for figure, least in recipe.targets.items():
        assert least >= 0.9 and measured[figure] >= least, figure
    assert pretrained.missed(recipe, measured) == []


@pytest.mark.parametrize(("name", "count"), [("tiny_clip", 62_977), ("tiny_lm", 42_192)])
def test_weights_are_frozen_and_have_an_axis_of_one_seed(name: str, count: int) -> None:
    loaded = [pretrained.load(name, seed) for seed in pretrained.SEEDS]
    for weights in loaded:
        assert all(value.shape[0] == 1 and value.dtype == torch.float32 for value in weights.values())
        assert not any(value.requires_grad for value in weights.values())
        assert sum(value.numel() for value in weights.values()) == count
    assert not any(torch.equal(value, loaded[1][key]) for key, value in loaded[0].items())


def test_a_caller_may_change_what_it_has_loaded() -> None:
    first = pretrained.load("tiny_lm")
    before = first["token"].clone()
    first["token"].zero_()
    assert torch.equal(pretrained.load("tiny_lm")["token"], before)


@pytest.mark.parametrize(("name", "seed"), ALL)
def test_a_checkpoint_tells_how_it_was_made(name: str, seed: int) -> None:
    about = pretrained.describe(name, seed)
    assert about["seed"] == seed and about["recipe"] == pretrained.recipe(name).describe()
    assert set(about["versions"]) == {"reglab", "python", "torch"} and len(about["digest"]) == 64
    assert pretrained.path(name, seed).stat().st_size < 300_000


def test_no_other_files_lie_beside_them() -> None:
    assert sorted(path.name for path in pretrained.FOLDER.iterdir()) == [
        f"{name}_{seed}.safetensors" for name, seed in ALL
    ]


# ------------------------------------------------------------------------------------------------------- what is remade


def short(name: str) -> Recipe:
    return dataclasses.replace(pretrained.recipe(name), steps=40, warmup=10, batch=48)


@pytest.mark.parametrize("name", pretrained.RECIPES)
@pytest.mark.usefixtures("double_precision")
def test_a_short_pretraining_learns(name: str) -> None:
    losses = torch.cat([loss for _, loss in short(name).training((0,))])
    assert losses.dtype == torch.float64  # so that every processor finds the same
    assert len(losses) == 40 and float(losses[-5:].mean()) < 0.8 * float(losses[:5].mean())


@pytest.mark.parametrize("name", pretrained.RECIPES)
def test_a_short_pretraining_repeats_itself(name: str, tmp_path: Path) -> None:
    recipe = short(name)
    fractions: list[float] = []
    files = []
    for attempt in ("first", "second"):
        weights = recipe.train((0,), fractions.append)
        assert not any(value.requires_grad for value in weights.values())
        files.append(tmp_path / attempt)
        pretrained.save(files[-1], recipe, 0, weights, pretrained.measure(recipe, weights))
    assert files[0].read_bytes() == files[1].read_bytes()
    assert fractions == [step / 40 for step in range(1, 41)] * 2


def test_pretraining_starts_where_the_checkpoint_started() -> None:
    """The shipped weights are still near the first weights of their own seed, and of no other."""
    for name, seed in ALL:
        recipe, weights = pretrained.recipe(name), pretrained.load(name, seed)
        key = "image.1.o.weight" if name == "tiny_clip" else "block.1.o.weight"
        first = recipe.initial(pretrained.SEEDS)[key].flatten(1)
        likeness = torch.nn.functional.cosine_similarity(weights[key].flatten(1), first)
        assert int(likeness.argmax()) == seed and float(likeness[seed]) > 0.3


@pytest.mark.usefixtures("double_precision")  # in single precision each processor ends with another model
def test_the_command_remakes_a_checkpoint(inside: Reglab, tmp_path: Path) -> None:
    done = inside("pretrain", "tiny_lm", "--seed", "0", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr and "tiny_lm" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["tiny_lm_0.safetensors"]
    about = pretrained.describe("tiny_lm", 0, tmp_path)
    assert about["recipe"] == pretrained.describe("tiny_lm")["recipe"]
    for figure, value in about["quality"].items():
        row = next(line for line in done.stdout.splitlines() if line.startswith(f"│ {figure} "))
        assert f"{value:.3f}" in row
    assert pretrained.missed(pretrained.recipe("tiny_lm"), about["quality"]) == []


def test_the_command_refuses_a_wrong_name_and_a_missing_folder(reglab: Reglab, tmp_path: Path) -> None:
    done = reglab("pretrain", "tiny_clap")
    assert (
        done.returncode == 2
        and "Error: no pretrained model named 'tiny_clap'; did you mean 'tiny_clip'?" in done.stderr
    )
    done = reglab("pretrain", "tiny_lm", "--out", tmp_path / "none")
    assert done.returncode == 2 and "there is no folder" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_missed_targets_are_named() -> None:
    recipe = pretrained.recipe("tiny_lm")
    figures = dict.fromkeys(recipe.targets, 0.96) | {"sort": 0.949, "cls": float("nan")}
    assert pretrained.missed(recipe, figures) == [
        "sort: 0.949 is below the target of 0.95",
        "cls: nan is below the target of 0.93",
    ]


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("name", ["tiny-clip", "tiny_llm", "TinyCLIP", "clip"])
def test_an_unknown_name_gets_a_hint(name: str) -> None:
    with pytest.raises(KeyError, match=r"no pretrained model named .*(did you mean|known models).*tiny_"):
        pretrained.load(name)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "there is no such checkpoint")
    with pytest.raises(ValueError, match=r"`reglab pretrain tiny_clip --seed 9` makes it again"):
        pretrained.load("tiny_clip", 9)


@pytest.mark.parametrize("keep", [0, 5, 1000, -1, -5000])
def test_a_truncated_file_is_refused(copied: Path, keep: int) -> None:
    copied.write_bytes(copied.read_bytes()[:keep])
    refused(copied.parent, "not a whole safetensors file")


def test_a_file_with_more_behind_it_is_refused(copied: Path) -> None:
    copied.write_bytes(copied.read_bytes() + b"more")
    refused(copied.parent, "not a whole safetensors file")


@pytest.mark.parametrize("place", [-1, -1234, -42_192 * 4])
def test_one_changed_byte_in_a_tensor_is_found(copied: Path, place: int) -> None:
    content = bytearray(copied.read_bytes())
    content[place] ^= 1
    copied.write_bytes(content)
    refused(copied.parent, "damaged")


def test_no_changed_byte_in_the_header_goes_unseen(copied: Path) -> None:
    content = copied.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    right = pretrained.load("tiny_lm", folder=copied.parent)
    for place in range(0, header, 37):
        copied.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        refused(copied.parent, "damaged|not a whole|not written by the lab")
    copied.write_bytes(content)
    assert all(
        torch.equal(value, right[key]) for key, value in pretrained.load("tiny_lm", folder=copied.parent).items()
    )


@pytest.mark.parametrize("metadata", [None, {"reglab": "1"}, {"reglab": "{}"}, {"reglab": "{"}, {"format": "pt"}])
def test_a_safetensors_file_of_something_else_is_refused(copied: Path, metadata: dict[str, str] | None) -> None:
    copied.write_bytes(safetensors.torch.save({"layer": torch.ones(2, 3)}, metadata))
    refused(copied.parent, "not written by the lab|damaged")


def test_other_models_seeds_and_recipes_are_refused(tmp_path: Path) -> None:
    ours = pretrained.path("tiny_lm", folder=tmp_path)
    for name, seed in (("tiny_clip", 0), ("tiny_lm", 1)):
        shutil.copy(pretrained.path(name, seed), ours)
        refused(tmp_path, "another model")
    recipe = pretrained.recipe("tiny_lm")
    weights = pretrained.load("tiny_lm")
    for change in ({"steps": 449}, {"label_noise": 0.3}, {"prior": (1.0,) * 6}):
        pretrained.save(ours, dataclasses.replace(recipe, **change), 0, weights, {})
        refused(tmp_path, "another recipe")
    pretrained.save(ours, recipe, 0, weights | {"token": weights["token"][:, :-1]}, {})
    refused(tmp_path, "its tensors are not those of the model")
    pretrained.save(ours, recipe, 0, weights | {"token": weights["token"].half()}, {})
    refused(tmp_path, "its tensors are not those of the model")
    pretrained.save(ours, recipe, 0, weights, {})
    assert pretrained.load("tiny_lm", folder=tmp_path).keys() == weights.keys()


class Trap:
    """Does something when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (Path("unpickled"),)  # type: ignore[return-value]


def test_nothing_is_unpickled(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copied.parent)
    copied.write_bytes(pickle.dumps(Trap()))
    refused(copied.parent, "not a whole safetensors file")
    torch.save({"token": torch.ones(2)}, copied)
    refused(copied.parent, "not a whole safetensors file")
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


def test_a_digest_is_of_names_shapes_bytes_and_words() -> None:
    tensors, about = {"a": torch.arange(6.0), "b": torch.ones(2)}, {"seed": 0, "recipe": {"steps": 3}}
    right = pretrained.digest(tensors, about)
    assert right == pretrained.digest(dict(reversed(tensors.items())), dict(reversed(about.items())))
    assert right == pretrained.digest(tensors, json.loads(json.dumps(about)) | {"digest": "any"})
    others = [
        ({"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}, about),
        ({"a": torch.arange(6.0), "c": torch.ones(2)}, about),
        ({"a": torch.arange(6.0), "b": -torch.ones(2)}, about),
        ({"a": torch.arange(6.0), "b": torch.ones(2).view(torch.int32)}, about),
        (tensors, {"seed": 1, "recipe": {"steps": 3}}),
        (tensors, {"seed": 0, "recipe": {"steps": 4}}),
    ]
    assert len({right, *(pretrained.digest(*other) for other in others)}) == 7
