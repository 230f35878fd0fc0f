"""The list of all papers in teaching order, and the card that each paper shows."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from reglab.names import nearest

PACKAGE = Path(__file__).resolve().parent
"""The code of the lab."""


def _checkout() -> Path:
    """Return the checkout that `REGLAB_HOME` names, or else the one of this code, or the one we are in.

    Where there is none of these, the folder of the code, which then holds no lab.
    """
    if chosen := os.environ.get("REGLAB_HOME"):
        return Path(chosen).expanduser().resolve()
    here = Path.cwd()
    near = (PACKAGE.parent, here, *here.parents)
    return next((folder for folder in near if (folder / "lab" / "index.py").is_file()), PACKAGE.parent)


ROOT = _checkout()
"""The checkout: `lab/`, `data/` and `book/` lie here."""


def need_checkout() -> None:
    """Raise `ValueError` when there is no checkout, for what reads or writes the lab's pages or data."""
    if not (ROOT / "lab").is_dir():
        raise ValueError(
            f"this needs a checkout of the lab, with its pages and data, and {ROOT} is none; give the command in a "
            "checkout, or name its folder in REGLAB_HOME"
        )


@dataclass(frozen=True)
class Part:
    """A group of papers that share one idea: its title and, in a sentence or two, what unites them."""

    title: str
    idea: str


PARTS = {
    "labels": Part(
        "Labels and targets",
        "What a network is asked to output is itself a regularizer: soften, refine, balance or distrust the labels.",
    ),
    "noise": Part(
        "Noise and augmentation",
        "Disturb inputs, features or layers during training, and the network learns what does not depend on the noise.",
    ),
    "geometry": Part(
        "The geometry of features",
        "Regularizers that act on where a network's features lie: collapsed, spread, sparse or close to a prototype.",
    ),
    "weights": Part(
        "Weights: small, sparse, low rank",
        "Penalties, priors and masks on the weights themselves, and the smaller networks that they leave behind.",
    ),
    "finetuning": Part(
        "Fine-tuning without forgetting", "Adapt a pretrained model to little data, and keep what it already knows."
    ),
    "generation": Part(
        "Generative models",
        "Keep generators diverse, faithful and private: entropy, distillation, unlearning and inversion.",
    ),
    "dynamics": Part(
        "Dynamics, transport and theory",
        "Regularize the process rather than the weights: solvers, transport maps, actors and critics, optimal limits.",
    ),
}
"""The seven parts in teaching order."""

SLUGS = (
    "labels/early_learning",
    "labels/self_distillation",
    "labels/feature_compression",
    "labels/imbalanced_regression",
    "labels/longtail_recommendation",
    "noise/cutmix",
    "noise/multi_sample_dropout",
    "noise/repeated_data",
    "geometry/neural_collapse",
    "weights/generalized_gaussian",
    "weights/ordered_low_rank",
    "weights/mask_sparsity",
    "weights/sparse_connectivity",
    "weights/weight_compander",
    "weights/polarization",
    "finetuning/mask_tuning",
    "generation/mode_collapse",
    "dynamics/solver_regularization",
    "dynamics/bayes_optimal_network",
    "dynamics/stochastic_actor_critic",
)
"""Every paper as `part/slug`, in teaching order. A new paper is one line here."""


LEVELS = {
    "basic": "a first course on neural networks is enough",
    "intermediate": "one more subject is needed, such as attention or adversarial training",
    "advanced": "a field of its own is needed, such as differential equations or control",
}
"""How much a reader should bring along, and what that means."""


BLOCK = 1000
"""Exam seeds begin at a multiple of this, and a block of seeds reaches up to the next."""


@dataclass(frozen=True)
class Paper:
    """The card of a paper; everything that is said about it in lists, on the page and on the website.

    `idea` is one sentence for the map of the lab; `sources` says what was read to build the page; `minutes` is the
    time a student needs; `level` is one of `LEVELS`; `prerequisites` is what to know first; `code` is the address of
    the official code or "".
    A `flagship` may be longer than the other papers; at most eight are. `no_rival` says of each experiment with a
    method and no rival why there is none.
    """

    part: str
    slug: str
    title: str
    short: str
    authors: tuple[str, ...]
    venue: str
    year: int
    arxiv: str
    code: str
    sources: str
    idea: str
    minutes: int
    level: str
    prerequisites: tuple[str, ...]
    flagship: bool = False
    no_rival: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`part/slug`, the name under which everything of this paper is found."""
        return f"{self.part}/{self.slug}"

    @property
    def arxiv_url(self) -> str:
        """The address of the paper on arXiv."""
        return f"https://arxiv.org/abs/{self.arxiv}"


def find(name: str) -> str:
    """Return the full name `part/slug` for a slug or a full name; raises `KeyError` that suggests the nearest."""
    by_slug = {full.split("/")[1]: full for full in SLUGS}
    if name in SLUGS:
        return name
    if name in by_slug:
        return by_slug[name]
    hint = nearest(name.split("/")[-1], by_slug) or f"known papers: {', '.join(by_slug)}"
    raise KeyError(f"no paper named {name!r}; {hint}")


def core() -> list[Path]:
    """Return the files of the core: every module of the lab that is of no paper."""
    return sorted(path for path in PACKAGE.rglob("*.py") if PACKAGE / "papers" not in path.parents)


def select(names: Iterable[str]) -> list[str]:
    """Return the full names of papers named by slug, by full name or with their part, each once.

    Raises `KeyError` as `find`.
    """
    found: list[str] = []
    for name in names:
        found += [full for full in SLUGS if full.startswith(f"{name}/")] if name in PARTS else [find(name)]
    return list(dict.fromkeys(found))


def module(name: str, file: str = "") -> ModuleType:
    """Import and return a file of a paper, `experiments` or another; its folder, which holds the card, without one."""
    return importlib.import_module(".".join(["reglab.papers", *find(name).split("/"), *([file] if file else [])]))


def paper(name: str) -> Paper:
    """Return the card of a paper, given its slug or full name."""
    return module(name).PAPER


def experiment_names(name: str) -> list[str]:
    """Return the names of a paper's experiments, read from its source, because importing it loads PyTorch."""
    source = PACKAGE / "papers" / find(name) / "experiments.py"
    declared = re.search(r"^EXPERIMENTS = \(([\w\s,]+)\)", source.read_text(encoding="utf-8"), re.M)
    if declared is None:
        raise ValueError(f"{source}: no line says EXPERIMENTS = (First, Second, ...)")
    return re.findall(r"\w+", declared[1])


def papers() -> list[Paper]:
    """Return the cards of all papers in teaching order."""
    return [paper(name) for name in SLUGS]


def experiments(name: str) -> tuple[type[Any], ...]:
    """Return the experiment classes of a paper, the most important one first."""
    return module(name, "experiments").EXPERIMENTS


def claims(name: str) -> tuple[Any, ...]:
    """Return the claims of a paper, in the order of its page."""
    return module(name, "claims").CLAIMS


def exam(name: str) -> int:
    """Return the first of the exam seeds on which a paper's claims are measured; 0 while it is still being built."""
    return module(name, "claims").EXAM


def experiment(name: str, label: str = "") -> type[Any]:
    """Return one experiment class of a paper by its name; without a name, the paper's first.

    Raises `KeyError` that lists the paper's experiments when it has none of that name.
    """
    known = {cls.__name__: cls for cls in experiments(name)}
    if not label:
        return next(iter(known.values()))
    for known_name, cls in known.items():
        if known_name.lower() == label.lower():
            return cls
    hint = nearest(label, known, before="; ")
    raise KeyError(f"paper {find(name)!r} has no experiment {label!r}{hint} (it has: {', '.join(known)})")
