"""Maestro: the experiments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned
from reglab.papers.weights._shared import cost
from reglab.papers.weights._shared.network import Dense, digits, sgd
from reglab.papers.weights.ordered_low_rank import method
from reglab.pictures import Curves, Dots, Images, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds
from reglab.training import Lanes, fit, minibatches

WIDTHS = (64, 48, 48, 10)
RANKS = [min(pair) for pair in itertools.pairwise(WIDTHS)]
"""The network of the digits, and the full ranks of its layers."""

SHARES = (0.125, 0.25, 0.5, 1.0)
"""Shares of the ranks that are kept."""

POINTS = 20
"""Measurements of a run of `Linear` or `Components`."""

BATCH, RATE, KEPT = 100, 0.05, 1e-2
"""Batch and learning rate on digits; hierarchical importance above which a rank counts as kept."""


def times(steps: int) -> list[int]:
    """Return the steps after which is measured, from 0 on."""
    return sorted({round(steps * i / POINTS) for i in range(POINTS + 1)})


def ranks_cut(lanes: Lanes, count: int, steps: int) -> Tensor:
    """Return by how many columns one layer is cut at each step, 0 for all of them but the first ... : [steps, M]."""
    drawn = torch.stack([method.visits(source, count, steps) for source in lanes.generators("ranks")], 1)
    return torch.where(lanes.each("sampled", 0) > 0, drawn.repeat(1, len(lanes.arms)), count - 1)


def order(lanes: Lanes, count: int) -> Tensor:
    """Return the order in which columns are counted: a random one for arms with `shuffled`, [M, 1, count]."""
    drawn = torch.stack([torch.randperm(count, generator=source) for source in lanes.generators("order of columns")])
    return torch.where(lanes.each("shuffled", 1) > 0, lanes.repeat(drawn), torch.arange(count)).unsqueeze(1)


@dataclass(frozen=True)
class Linear(Experiment):
    rank: int = knob(3, low=1, high=6, step=1, help="rank of the map C that is learned")
    steps: int = knob(3000, low=6, high=6000, step=6, help="steps of gradient descent")

    arms = {
        "full": Arm("baseline"),
        "LoD": Arm("method", sampled=1),
        "all": Arm("ablation", all=1),
        "shuffled": Arm("null", sampled=1, shuffled=1),
    }
    outputs = {
        "prefix_error": Var("arm seed step b", "prefix error", "distance"),
        "last_error": Var("arm seed b", "prefix error", "the same after the last step"),
        "importance": Var("arm seed b", "importance", "norm of column b of U times that of V, after the last step"),
        "singular_value": Var("seed b", "singular values of C", "singular values of C"),
        "identity_gap": Var("seed", "gap", "..."),
    }
    views = ()
    scaled = ""
    headline = "last_error"
    smoke = {"steps": 6}

    def axes(self) -> dict[str, Axis]:
        return {"step": Axis(times(self.steps), unit="steps", label="step"), "b": Axis(range(1, 7), label="column b")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        lanes, when = self.lanes(seeds), times(self.steps)
        maps = data.normal(seeds, "A", 6, self.rank) @ data.normal(seeds, "B", self.rank, 9)
        target, covariance = lanes.repeat(maps).to(torch.get_default_dtype()).unsqueeze(1), torch.eye(9)
        scale = target.flatten(1).norm(dim=1)[:, None]
        best = torch.stack([method.best_rank(target[:, 0], b) for b in range(1, 7)], 1)
        first = [torch.stack([2 * torch.rand(n, 6, generator=g) - 1 for g in lanes.generators(name)]) / fan**0.5
                 for name, n, fan in (("U", 6, 6), ("V", 9, 9))]
        u, v = (nn.Parameter(lanes.repeat(one)) for one in first)
        optimizer = torch.optim.SGD([u, v], lr=0.5)
        weights = F.one_hot(ranks_cut(lanes, 6, self.steps), 6).to(target)
        weights = torch.where(lanes.each("all", 1) > 0, 1 / 6, weights)
        columns = order(lanes, 6)

        def losses(weight: Tensor) -> Tensor:
            return (weight * method.error(method.prefixes(u, v), target, covariance)).sum(-1) / 54

        def measure(epoch: int) -> Frame:
            shown = [one.take_along_dim(columns, -1) for one in (u, v)]
            gaps = (method.prefixes(*shown) - best).flatten(2).norm(dim=-1) / scale
            gaps = lanes.split(gaps)
            values = {"prefix_error": gaps, "last_error": gaps, "importance": lanes.split(method.importance(*shown)),
                      "singular_value": torch.linalg.svdvals(maps), "identity_gap": 0}
            return Frame({"step": epoch}, values)

        yield from fit(optimizer, losses, lambda epoch: weights[when[epoch - 1] : when[epoch]], measure, epochs=len(when) - 1)


FACTORS = 12
COUNTS = (1, 2, 4, 8, 12)


@dataclass(frozen=True)
class Components(Experiment):
    steps: int = knob(2500, low=6, high=6000, step=6, help="steps of gradient descent")

    arms = {
        "full": Arm("baseline"),
        "LoD": Arm("method", sampled=1),
        "shuffled": Arm("null", sampled=1, shuffled=1),
    }
    outputs = {
        "excess": Var("arm seed k", "excess", "unexplained share of variance with k factors minus that of PCA"),
        "columns": Var("arm seed factor height width", "column", "column u_b as picture"),
        "components": Var("seed factor height width", "component", "principal component as a picture"),
    }
    views = ()
    scaled = ""
    headline = "excess"
    smoke = {"steps": 6}

    def axes(self) -> dict[str, Axis]:
        return {"k": Axis(COUNTS, label="factors k"), "factor": Axis(range(1, 9)), "height": Axis(range(8)), "width": Axis(range(8))}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        lanes, when, dtype = self.lanes(seeds), times(self.steps), torch.get_default_dtype()
        images = data.digits(seeds, train=1200).train_inputs.double()
        images = images - images.mean(1, keepdim=True)
        own = images.mT @ images / images.shape[1]
        values, vectors = (one.flip(-1) for one in torch.linalg.eigh(own))
        covariance, identity = lanes.repeat(own).to(dtype), torch.eye(64)
        u, v = (nn.Parameter(lanes.repeat(data.normal(seeds, name, 64, FACTORS)).to(dtype) / 8) for name in "UV")
        optimizer = torch.optim.SGD([u, v], lr=0.004, momentum=0.9)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        optimizer.register_step_post_hook(lambda *_: falling.step())
        keep = torch.arange(FACTORS) <= ranks_cut(lanes, FACTORS, self.steps).unsqueeze(-1)
        columns = order(lanes, FACTORS)

        def losses(kept: Tensor) -> Tensor:
            return method.error((u * kept.unsqueeze(1)) @ v.mT, identity, covariance)

        def measure(epoch: int) -> Frame:
            shown = [one.take_along_dim(columns, -1) for one in (u, v)]
            left = torch.stack([method.error(shown[0][..., :k] @ shown[1][..., :k].mT, identity, covariance) for k in COUNTS], -1)
            total = values.sum(-1, keepdim=True)
            best = torch.stack([values[:, k:].sum(-1) for k in COUNTS], -1)
            signs = torch.sign((lanes.split(shown[0]) * vectors[..., :FACTORS]).sum(-2, keepdim=True))
            pictures = (lanes.split(shown[0]) * signs / lanes.split(shown[0]).norm(dim=-2, keepdim=True))
            return Frame({}, {"excess": (lanes.split(left) - best) / total,
                 "columns": pictures[..., :8].mT.unflatten(-1, (8, 8)), "components": vectors[..., :8].mT.unflatten(-1, (8, 8))})

        yield from fit(optimizer, losses, lambda epoch: keep[when[epoch - 1] : when[epoch]], measure, epochs=len(when) - 1)



class Network(Dense):
    """Networks 64-48-48-10 of which those with the setting `factored` have the product U·Vᵀ for each weight.

    Their factors start at the SVD of the weight, so that all networks of a seed are one function at first. `keep` holds
    how many columns each layer has at the moment, [M, 3].
    """

    def __init__(self, lanes: Lanes) -> None:
        super().__init__(WIDTHS, lanes)
        self.factored = lanes.each("factored")
        self.u, self.v = nn.ParameterList(), nn.ParameterList()
        for weight in self.weights:
            u, v = method.start(weight.detach().mT)
            self.u.append(u)
            self.v.append(v)
        self.keep = torch.tensor(RANKS).expand(len(lanes), -1)

    def effective(self, layer: int) -> Tensor:
        u, v = self.u[layer], self.v[layer]
        kept = torch.arange(u.shape[-1]) < self.keep[:, layer, None, None]
        return torch.where(self.factored > 0, v @ (u * kept).mT, self.weights[layer])


def logits(weights: Sequence[Tensor], biases: Sequence[Tensor], inputs: Tensor) -> Tensor:
    for weight, bias in zip(weights[:-1], biases, strict=False):
        inputs = (inputs @ weight + bias).relu()
    return inputs @ weights[-1] + biases[-1]


@dataclass(frozen=True)
class Digits(Experiment):
    lasso: float = knob(3e-3, stops=(0, 1e-3, 3e-3, 1e-2, 2e-2, 3e-2), symbol="λ", help="weight of the hierarchical group lasso")
    images: int = knob(800, low=100, high=1000, step=100, help="digits for training")
    epochs: int = knob(25, low=1, high=50, step=1, help="passes over the training digits")
    whole_head: bool = knob(False, help="whether the last layer keeps all its ranks")

    arms = {
        "dense": Arm("baseline", decay=1e-4, svd=1),
        "LoD": Arm("method", factored=1, sampled=1, decay=1e-4),
        "LoD + lasso": Arm("ablation", factored=1, sampled=1, decay=1e-4, lasso="lasso"),
        "factors": Arm("ablation", factored=1, decay=1e-4),
        "factors, decay, SVD": Arm("further", factored=1, decay=1e-2, svd=1),
        "whitened SVD": Arm("rival", decay=1e-4, whitened=1),
        "that rank alone": Arm("rival", factored=1, decay=1e-4, alone=1),
        "small dense": Arm("further", decay=1e-4, narrow=1),
        "random columns": Arm("null", factored=1, sampled=1, decay=1e-4, shuffled=1),
    }
    outputs = {
        "accuracy": share("arm seed share", "test accuracy", "share of 597 test digits classified right"),
        "svd_accuracy": share("arm seed share", "test accuracy, SVD", "the same if the product is cut by SVD"),
        "half_accuracy": share("arm seed", "accuracy at half rank", "test accuracy with half of the ranks"),
        "held_out": share("arm seed", "validation accuracy", "share of 200 validation digits"),
        "kept_ranks": share("arm seed epoch", "ranks kept", "share of ranks with a hierarchical importance above 0.01"),
        "train_loss": Var("arm seed epoch", "training loss", "mean"),
        **cost.outputs("arm seed share"),
    }
    views = ()
    scaled = ""
    headline = "half_accuracy"
    smoke = {"epochs": 1}
    may_be_nan = ("svd_accuracy", "kept_ranks")

    def axes(self) -> dict[str, Axis]:
        return {"share": Axis(SHARES, label="share of ranks kept", log=True), "epoch": Axis(range(self.epochs + 1), unit="epochs", label="epoch")}

    def ranks(self, part: float) -> list[int]:
        cut = [method.rank_at(part, rank) for rank in RANKS]
        return [*cut[:-1], RANKS[-1]] if self.whole_head else cut

    def weights(self, part: float) -> int:
        sizes = zip(itertools.pairwise(WIDTHS), self.ranks(part), strict=True)
        return sum(cost.factored(*size, rank) for size, rank in sizes)

    def trained(self, arm: str, part: float) -> tuple[tuple[str, float], ...]:
        """Return settings of the network that an arm trains for a share of the ranks; equal ones are trained once."""
        own = self.arms[arm]
        settings = {name: own.value(name, self.settings()) for name in ("factored", "sampled", "lasso", "decay")}
        settings["share"] = part if own.value("alone", {}) else 1.0
        settings["width"] = cost.width_for(self.weights(part)) if own.value("narrow", {}) else WIDTHS[1]
        return tuple(settings.items())

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        split = digits(seeds, self.images)
        kinds = [self.trained(arm, part) for arm in self.arms for part in SHARES]
        base = (("factored", 0.0), ("sampled", 0.0), ("lasso", 0.0), ("decay", 1e-4), ("share", 1.0), ("width", 48))
        kinds = list(dict.fromkeys([base, *kinds]))
        lanes = Lanes({str(k): Arm("further", **dict(kind)) for k, kind in enumerate(kinds)}, seeds, {})
        network, row = Network(lanes), torch.arange(len(seeds))
        steps = self.epochs * (self.images // BATCH)
        decay, strength = lanes.each("decay"), lanes.each("lasso", 0)
        drawn = torch.stack([method.visits(g, sum(RANKS), steps) for g in lanes.generators("ranks")], 1)
        own = torch.tensor([self.ranks(dict(kind)["share"]) if dict(kind)["share"] < 1 else RANKS for kind in kinds]).repeat_interleave(len(seeds), 0)
        cuts, sampled = iter(method.truncations(RANKS)[drawn]), lanes.each("sampled", 1) > 0
        optimizer = sgd(network, decay, rate=RATE, steps=steps)
        seen = []

        def losses(index: Tensor) -> Tensor:
            network.keep = torch.where(sampled, lanes.repeat(next(cuts)), own)
            found = metrics.nll(network(lanes.pick(split.train, index)), lanes.pick(split.train_labels, index))
            seen.append(found.detach())
            pairs = list(zip(network.u, network.v, strict=True))
            squares = sum((u.square().sum((1, 2)) + v.square().sum((1, 2)) for u, v in pairs), torch.tensor(0.0))
            return found + decay.flatten() / 2 * squares + strength * sum(method.group_lasso(u, v) for u, v in pairs)

        def place(arm, part):
            return kinds.index(self.trained(arm, part)) * len(seeds) + row

        def measure(epoch: int) -> Frame:
            whole = torch.stack([place(arm, 1.0) for arm in self.arms])
            kept = sum(method.kept_ranks(u, v, KEPT) for u, v in zip(network.u, network.v, strict=True)) / sum(RANKS)
            kept = torch.where(network.factored.flatten() > 0, kept, torch.nan)
            loss = torch.stack(seen).mean(0) if seen else torch.full((len(lanes),), torch.nan)
            seen.clear()
            values = {"kept_ranks": kept[whole], "train_loss": loss[whole]}
            if epoch == self.epochs:
                values |= self.scores(seeds, lanes, network, split, place)
            return Frame({"epoch": epoch}, values)

        yield from fit(optimizer, losses, minibatches(lanes, self.images, BATCH), measure, epochs=self.epochs)

    def scores(self, seeds, lanes, network, split, place):
        network.keep = torch.tensor(RANKS).expand(len(lanes), -1)
        at = row = torch.arange(len(seeds))
        hidden = [one[:len(seeds)].double() for one in network.activations(lanes.repeat(split.train))[:-1]]
        covariances = [h.mT @ h / h.shape[1] + 1e-6 * torch.eye(h.shape[2], dtype=h.dtype) for h in hidden]
        orders = [torch.stack([torch.randperm(r, generator=g) for g in lanes.generators(f"columns of layer {i}")]) for i, r in enumerate(RANKS)]

        def cut(how: str, layer: int, at: Tensor, rank: int) -> Tensor:
            weight = network.effective(layer)[at]
            if how == "svd":
                return method.best_rank(weight, rank)
            if how == "whitened":
                return method.best_prefix(weight.double().mT, covariances[layer], rank).mT.to(weight)
            u, v = network.u[layer][at], network.v[layer][at]
            if how == "shuffled":
                u, v = (one.take_along_dim(orders[layer].unsqueeze(1), -1) for one in (u, v))
            return weight if how == "narrow" else v[..., :rank] @ u[..., :rank].mT

        found = {name: torch.full((len(self.arms), len(seeds), len(SHARES)), torch.nan) for name in ("accuracy", "svd_accuracy", "held")}
        shares = torch.empty(len(self.arms), 1, len(SHARES))
        for (i, (arm, one)), (j, part) in itertools.product(enumerate(self.arms.items()), enumerate(SHARES)):
            at = place(arm, part)
            how = next((h for h in ("svd", "whitened", "narrow", "shuffled") if one.value(h, {})), "prefix")
            for name, way in (("accuracy", how), ("svd_accuracy", "svd")):
                if way == how or (one.value("factored", {}) and not one.value("alone", {})):
                    weights = [cut(way, l, at, k) for l, k in enumerate(self.ranks(part))]
                    biases = [b[at] for b in network.biases]
                    found[name][i, :, j] = metrics.accuracy(logits(weights, biases, split.test), split.test_labels)
                    if name == "accuracy":
                        found["held"][i, :, j] = metrics.accuracy(logits(weights, biases, split.valid), split.valid_labels)
            w = dict(self.trained(arm, part))["width"]
            shares[i, 0, j] = (cost.count((64, w, w, 10)) if how == "narrow" else self.weights(part)) / cost.count(WIDTHS)
        dense = metrics.accuracy(logits([w[:len(seeds)] for w in network.weights], [b[:len(seeds)] for b in network.biases], split.test), split.test_labels)
        shares = shares.expand_as(found["accuracy"])
        return {"accuracy": found["accuracy"], "svd_accuracy": found["svd_accuracy"], "half_accuracy": found["accuracy"][..., 2],
                "held_out": found["held"][..., 1:].mean(-1), "accuracy_change": found["accuracy"] - dense[:, None],
                "weights_share": shares, "macs_share": shares, "bits_share": shares}


EXPERIMENTS = (Linear, Components, Digits)
