"""The tiny models that fine-tuning starts from: loaded from `data/pretrained/`, or pretrained anew.

Every checkpoint is one safetensors file: float32 tensors, and text that says how they were made and how good they
are. Its digest is checked when it is loaded. Nothing is unpickled.
"""

from __future__ import annotations

import difflib
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
from reglab import files, tiny_clip, tiny_lm
from reglab.catalogue import ROOT
from reglab.transformer import Recipe, Weights

FOLDER = ROOT / "data" / "pretrained"
SEEDS = (0, 1, 2)
"""The pretraining seeds whose checkpoints are shipped."""

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in (tiny_clip.Recipe(), tiny_lm.Recipe())}
"""How each shipped model is made."""


def recipe(name: str) -> Recipe:
    """Return how the model of this name is pretrained; raises `KeyError` that suggests the nearest name."""
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known models: {', '.join(RECIPES)}"
    raise KeyError(f"no pretrained model named {name!r}; {hint}")


def path(name: str, seed: int = 0, folder: Path = FOLDER) -> Path:
    """Return where the checkpoint of a model and a pretraining seed lies."""
    return folder / f"{recipe(name).name}_{seed}.safetensors"


def load(name: str, seed: int = 0, folder: Path = FOLDER) -> Weights:
    """Return the frozen weights of "tiny_clip" or "tiny_lm", float32, with a leading axis of one seed: [1, ...] each.

    Raises `KeyError` for an unknown name and `ValueError`, which says how to make the file anew, for a file that is
    missing, damaged, made by another recipe or not a checkpoint of this model and seed at all.
    """
    return _read(name, seed, folder)[0]


def quality(name: str, seed: int = 0, folder: Path = FOLDER) -> dict[str, float]:
    """Return the figures that were measured when the checkpoint was made; errors as in `load`."""
    return json.loads(_read(name, seed, folder)[1]["quality"])


def make(name: str, seed: int, progress: Callable[[float], object] = lambda fraction: None) -> Weights:
    """Pretrain a model anew; the same seed gives the same weights on the same machine: [1, ...] each."""
    return recipe(name).train((seed,), progress)


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
    tensors = {name: weights[name][0].contiguous() for name in sorted(weights)}
    about = {
        "seed": seed,
        "recipe": recipe.describe(),
        "quality": dict(figures),
        "versions": {"reglab": reglab.__version__, "python": platform.python_version(), "torch": torch.__version__},
    }
    metadata = {key: json.dumps(value) for key, value in about.items()}
    metadata["digest"] = digest(tensors, metadata)
    with files.at_once(target) as temporary:
        temporary.write_bytes(safetensors.torch.save(tensors, metadata))


def digest(tensors: Weights, metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 over the names, shapes and bytes of all tensors and over all other metadata."""
    found = hashlib.sha256(json.dumps({key: metadata[key] for key in sorted(metadata) if key != "digest"}).encode())
    for name in sorted(tensors):
        values = tensors[name].numpy()
        found.update(f"{name} {values.dtype} {values.shape}".encode())
        found.update(values.astype("<f4", copy=False).tobytes())
    return found.hexdigest()


def _read(name: str, seed: int, folder: Path) -> tuple[Weights, dict[str, str]]:
    source, made = path(name, seed, folder), recipe(name)

    def refuse(why: str) -> ValueError:
        where = "" if folder == FOLDER else f" --out {folder}"
        return ValueError(f"{source}: {why}; `reglab pretrain {name} --seed {seed}{where}` makes it anew")

    if not source.is_file():
        raise refuse("there is no such checkpoint")
    try:
        with safetensors.safe_open(source, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 (not a dict)
    except (safetensors.SafetensorError, OSError) as error:
        raise refuse(f"this is not a whole safetensors file ({error})") from error
    if not {"seed", "recipe", "quality", "versions", "digest"} <= metadata.keys():
        raise refuse("this file was not written by the lab")
    if metadata["digest"] != digest(tensors, metadata):
        raise refuse("the file is damaged, its digest does not match what it holds")
    if json.loads(metadata["seed"]) != seed or json.loads(metadata["recipe"]) != made.describe():
        raise refuse("this is another model, or it was made by another recipe")
    if {key: tuple(value.shape) for key, value in tensors.items()} != {k: v.shape for k, v in made.start.items()}:
        raise refuse("its tensors are not those of the model")
    return {key: value[None] for key, value in tensors.items()}, metadata


def describe(name: str, seed: int = 0, folder: Path = FOLDER) -> dict[str, Any]:
    """Return all that a checkpoint says about itself: seed, recipe, quality, versions; errors as in `load`."""
    return {key: json.loads(text) for key, text in _read(name, seed, folder)[1].items() if key != "digest"}
