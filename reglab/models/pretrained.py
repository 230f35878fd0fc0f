"""The tiny models that fine-tuning starts from: loaded from `data/pretrained/`, or pretrained again.

Every checkpoint is one safetensors file: float32 tensors, and text that says how they were made and how good they
are. Its digest is checked when it is loaded. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

import reglab
from reglab import files, names
from reglab.catalogue import ROOT, need_checkout
from reglab.models import tiny_clip, tiny_lm
from reglab.models.transformer import Recipe, Weights

FOLDER = ROOT / "data" / "pretrained"
SEEDS = (0, 1, 2)
"""The pretraining seeds whose checkpoints are shipped."""

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in (tiny_clip.Recipe(), tiny_lm.Recipe())}
"""How each shipped model is made."""


def recipe(name: str) -> Recipe:
    """Return how the model of this name is pretrained; raises `KeyError` that suggests the nearest name."""
    if name in RECIPES:
        return RECIPES[name]
    hint = names.nearest(name, RECIPES) or f"known models: {', '.join(RECIPES)}"
    raise KeyError(f"no pretrained model named {name!r}; {hint}")


def path(name: str, seed: int = 0, folder: Path = FOLDER) -> Path:
    """Return where the checkpoint of a model and a pretraining seed lies."""
    return folder / f"{recipe(name).name}_{seed}.safetensors"


def load(name: str, seed: int = 0, folder: Path = FOLDER) -> Weights:
    """Return the frozen weights of "tiny_clip" or "tiny_lm", with a leading axis of one seed: [1, ...] each.

    They are stored as float32 and come in torch's default type.

    Raises `KeyError` for an unknown name and `ValueError`, which says how to make the file again, for a file that is
    missing, damaged, made by another recipe or not a checkpoint of this model and seed at all.
    """
    return {key: value.to(torch.get_default_dtype()) for key, value in _read(name, seed, folder)[0].items()}


def describe(name: str, seed: int = 0, folder: Path = FOLDER) -> dict[str, Any]:
    """Return a checkpoint's own "seed", "recipe", "quality" and "versions"; errors as in `load`."""
    return _read(name, seed, folder)[1]


def make(name: str, seed: int, progress: Callable[[float], object] = lambda fraction: None) -> Weights:
    """Pretrain a model again: [1, ...] each, in single precision, in whatever type it was trained.

    The same seed gives the same weights on the same machine.
    """
    return {key: value.float() for key, value in recipe(name).train((seed,), progress).items()}


def missed(recipe: Recipe, figures: Mapping[str, float]) -> list[str]:
    """Return a sentence for each figure of quality that is below its target."""
    return [
        f"{figure}: {figures[figure]:.3f} is below the target of {least}"
        for figure, least in recipe.targets.items()
        if not figures[figure] >= least
    ]


@torch.no_grad()
def measure(recipe: Recipe, weights: Weights) -> dict[str, float]:
    """Measure the quality of one seed's weights [1, ...]."""
    return {figure: float(value) for figure, value in recipe.quality(weights).items()}


def save(target: Path, recipe: Recipe, seed: int, weights: Weights, figures: Mapping[str, float]) -> None:
    """Write one seed's weights [1, ...] with recipe, quality, versions and digest, at once or not at all."""
    tensors = {name: value[0].contiguous() for name, value in weights.items()}
    about: dict[str, Any] = {
        "seed": seed,
        "recipe": recipe.describe(),
        "quality": dict(figures),
        "versions": {"reglab": reglab.__version__, "python": platform.python_version(), "torch": torch.__version__},
    }
    about["digest"] = digest(tensors, about)
    # one entry only, since safetensors writes several in an order that changes from run to run
    content = safetensors.torch.save(tensors, {"reglab": json.dumps(about)})
    files.write(target, content)


def digest(tensors: Weights, about: Mapping[str, Any]) -> str:
    """Return the SHA-256 over what a checkpoint says about itself and over names, shapes and bytes of its tensors."""
    said = {key: value for key, value in about.items() if key != "digest"}
    found = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name in sorted(tensors):
        found.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        found.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _read(name: str, seed: int, folder: Path) -> tuple[Weights, dict[str, Any]]:
    source, made = path(name, seed, folder), recipe(name)

    def refuse(why: str) -> ValueError:
        where = "" if folder == FOLDER else f" --out {folder}"
        return ValueError(f"{source}: {why}; `reglab pretrain {name} --seed {seed}{where}` makes it again")

    if not source.is_file():
        if folder == FOLDER:
            need_checkout()
        raise refuse("there is no such checkpoint")
    files.read(source)  # says why, where the file is whole and cannot be read
    try:
        with safetensors.safe_open(source, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 (not a dict)
    except (safetensors.SafetensorError, OSError) as error:
        raise refuse(f"this is not a whole safetensors file ({error})") from error
    if "reglab" not in metadata:
        raise refuse("this file was not written by the lab")
    damaged = refuse("the file is damaged: its digest does not match what it holds")
    try:
        about = json.loads(metadata["reglab"])
        intact = about["digest"] == digest(tensors, about)
    except (ValueError, KeyError, TypeError) as error:
        raise damaged from error
    if not intact:
        raise damaged
    if (about["seed"], about["recipe"]) != (seed, made.describe()):
        raise refuse("it holds another model, or one made by another recipe")
    if {key: (value.shape, value.dtype) for key, value in tensors.items()} != {
        key: (start.shape, torch.float32) for key, start in made.start.items()
    }:
        raise refuse("its tensors are not those of the model")
    return {key: value[None] for key, value in tensors.items()}, about
