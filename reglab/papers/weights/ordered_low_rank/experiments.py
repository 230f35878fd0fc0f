"""Maestro: the experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned
from reglab.papers.weights._shared import cost, network
from reglab.papers.weights.ordered_low_rank import method
from reglab.pictures import Curves, Dots, Images, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds
from reglab.training import Lanes, fit, minibatches

WIDTHS, RANKS = (64, 48, 48, 10), (48, 48, 10)
"""The network that learns digits, and the full ranks of its layers."""

SHARES, COUNTS = (0.125, 0.25, 0.5, 1.0), (1, 2, 4, 8, 12)
"""Shares of the ranks that are kept on digits; factors that are kept of an autoencoder."""

JUDGE, DENSE = "held_out", Arm("baseline", decay=1e-3)
"""What strengths on digits are chosen by, and the network that all others are compared with."""


def drawn(lanes: Lanes, purpose: str, count: int, steps: int) -> Tensor:
    """Return numbers below `count` in random order, in another one whenever all are used up: [S, steps]."""
    return torch.stack([method.visits(source, count, steps) for source in lanes.generators(purpose)])


def times(steps: int) -> list[int]:
    """Return after which steps is measured: at most 31 times, from 0 on."""
    return sorted({round(steps * i / 30) for i in range(31)})


def learn(lanes: Lanes, first: Sequence[Tensor], target: Tensor, covariance: Tensor, steps: int, momentum: float,
          measure: Callable[[int, Tensor, Tensor], Frame]) -> Iterator[Frame | Tick]:  # fmt: skip
    """Train factors of linear maps, `first` U and V [S, ..., r], by SGD on their exact expected error.

    Arms with `sampled` cut them at random. The rate is 0.5, or with momentum 0.004 and falling along a cosine. What
    measures gets its number and the factors, whose columns arms with `shuffled` have in a random order.
    """
    u, v = (nn.Parameter(lanes.repeat(one).to(torch.get_default_dtype())) for one in first)
    rank, when = u.shape[-1], times(steps)
    cuts, order = (lanes.repeat(drawn(lanes, *one)) for one in (("ranks", rank, steps), ("order", rank, rank)))
    cuts = torch.where(lanes.each("sampled", 1) > 0, cuts, rank - 1)
    order = torch.where(lanes.each("shuffled", 1) > 0, order, torch.arange(rank)).unsqueeze(1)
    keep = (torch.arange(rank) <= cuts.T.unsqueeze(-1)).unsqueeze(2)
    optimizer = torch.optim.SGD([u, v], 0.004 if momentum else 0.5, momentum)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    optimizer.register_step_post_hook(lambda *_: falling.step() if momentum else None)
    yield from fit(optimizer, lambda kept: method.error((u * kept) @ v.mT, target, covariance),
                   lambda epoch: keep[when[epoch - 1] : when[epoch]],
                   lambda epoch: measure(epoch, u.take_along_dim(order, -1), v.take_along_dim(order, -1)),
                   epochs=len(when) - 1)  # fmt: skip


def identity_gap() -> float:
    """Return how far F and its gradient are from their exact values for C = diag(3, 2, 1), isotropic inputs.

    At the SVD, F is 2 and the gradient 0; with the columns in the opposite order, F is 22/3.
    """
    target, covariance = torch.diag(torch.tensor([3.0, 2.0, 1.0]).double()), torch.eye(3).double()
    u, v = (one.requires_grad_() for one in method.start(target))
    ordered, reverse = (method.ordered_loss(*pair, target, covariance) for pair in ((u, v), (u.flip(-1), v.flip(-1))))
    gaps = (ordered - 2, reverse - 22 / 3, *torch.autograd.grad(ordered, (u, v), retain_graph=True))
    return max(float(gap.detach().abs().max()) for gap in gaps)


@dataclass(frozen=True)
class Linear(Experiment):
    """Learn a linear map C of low rank as a product of two factors, and look at its first columns.

    C = A·B with standard normal 6 × rank and rank × 9 matrices, isotropic inputs, the mean of the 54 squared errors;
    six columns, uniform at first in ±1/√(rows); gradient descent with rate 0.5. All arms of a seed share C and the
    first factors.
    """

    # fmt: off
    rank: int = knob(3, low=1, high=6, step=1, help="rank of the map C that is learned")
    steps: int = knob(3000, low=6, high=6000, step=6, help="steps of gradient descent")

    arms = {"full": Arm("baseline"), "LoD": Arm("method", sampled=1), "shuffled": Arm("null", sampled=1, shuffled=1)}
    outputs = {
        "largest_error": Var("arm seed step", "largest error", "largest prefix error of all numbers of columns", low=0),
        "prefix_error": Var("arm seed b", "prefix error", "distance of b columns from the SVD, of that of C", low=0),
        "importance": Var("arm seed b", "importance", "norm of column b of U times that of V", low=0),
        "singular_value": Var("seed b", "singular values of C", "singular value number b of the map"),
        "gap": Var("seed", "gap", "largest distance of loss and gradient from exact values"),
    }
    views = (
        View("Order", (
            Curves("How wrong are the first columns alone?", ["prefix_error"]),
            Curves("How important is each column?", ["importance"], theory="singular_value"))),
        View("Training", (Curves("When are all prefixes right?", ["largest_error"], log=True),), 1))
    # fmt: on
    scaled = "one linear layer stands for the theory; the paper trains deep networks"
    headline = "largest_error"
    smoke = {"steps": 6}

    def axes(self) -> dict[str, Axis]:
        """Steps of the measurements; the numbers of the columns."""
        return {"step": Axis(times(self.steps), unit="steps"), "b": Axis(range(1, 7), label="column b")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one."""
        lanes, gap = self.lanes(seeds), identity_gap()
        maps = data.normal(seeds, "A", 6, self.rank) @ data.normal(seeds, "B", self.rank, 9)
        best = torch.stack([method.best_rank(maps, b) for b in range(1, 7)], 1)
        first = [torch.stack([torch.empty(n, 6).uniform_(-(n**-0.5), n**-0.5, generator=source)
                 for source in lanes.generators(f"{n} rows")]) for n in (6, 9)]  # fmt: skip

        def measure(epoch: int, u: Tensor, v: Tensor) -> Frame:
            errors = (lanes.split(method.prefixes(u, v)) - best).norm(dim=(-2, -1)) / maps.norm(dim=(-2, -1))[:, None]
            values = {"importance": lanes.split(method.importance(u, v)), "singular_value": torch.linalg.svdvals(maps)}
            return Frame(
                {"step": epoch}, {"prefix_error": errors, "largest_error": errors.amax(-1), "gap": gap, **values}
            )

        target = lanes.repeat(maps).to(torch.get_default_dtype())
        yield from learn(lanes, first, target, torch.eye(9) / 54, self.steps, 0, measure)


@dataclass(frozen=True)
class Components(Experiment):
    """Compress digits by a linear autoencoder with twelve factors, and compare its first ones with PCA.

    The 64 pixels of 1200 digits, centred; the exact expected loss under their covariance; factors N(0, 1/64) at first;
    SGD with momentum 0.9, rate 0.004 that falls along a cosine. All arms of a seed share digits and first factors.
    """

    # fmt: off
    steps: int = knob(2500, low=6, high=6000, step=6, help="steps of gradient descent")

    arms = Linear.arms
    outputs = {
        "excess": Var("arm seed k", "excess over PCA", "unexplained share of variance minus that of PCA"),
        "columns": Var("arm seed factor height width", "column of U", "column u_b as an image, of norm 1"),
    }
    views = (
        View("PCA", (Curves("How much worse than PCA?", ["excess"]),), 1),
        View("Columns", tuple(Images(f"What does {arm} find first?", "columns", "factor", arm, limits=(-0.4, 0.4))
                              for arm in ("LoD", "full"))))
    # fmt: on
    scaled = "a linear autoencoder of digits stands for the paper's statement about PCA"
    headline = "excess"
    smoke = {"steps": 6}

    def axes(self) -> dict[str, Axis]:
        """Factors that are kept, and pixels of the first eight columns."""
        pixels = {name: Axis(range(8), unit="pixels") for name in ("height", "width")}
        return {"k": Axis(COUNTS, label="factors kept"), "factor": Axis(range(1, 9), label="b ="), **pixels}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one."""
        lanes, images = self.lanes(seeds), data.digits(seeds, train=1200).train_inputs.double()
        images = images - images.mean(1, keepdim=True)
        known = images.mT @ images / images.shape[1]
        values = torch.linalg.eigvalsh(known).flip(-1)
        best = torch.stack([values[:, k:].sum(-1) for k in COUNTS], -1)
        covariance, identity = lanes.repeat(known).to(torch.get_default_dtype()), torch.eye(64)

        def measure(epoch: int, u: Tensor, v: Tensor) -> Frame:
            left = [method.error(u[..., :k] @ v[..., :k].mT, identity, covariance) for k in COUNTS]
            excess = (lanes.split(torch.stack(left, -1)) - best) / values.sum(-1, keepdim=True)
            own = lanes.split(u[..., :8])  # the sign of a column means nothing
            units = nn.functional.normalize(own * own.pow(3).sum(-2, keepdim=True).sign(), dim=-2)
            return Frame({}, {"excess": excess, "columns": units.mT.unflatten(-1, (8, 8))})

        first = [data.normal(seeds, name, 64, 12) / 8 for name in "UV"]
        yield from learn(lanes, first, identity, covariance, self.steps, 0.9, measure)


class Network(network.Dense):
    """Networks 64-48-48-10 of which those with the setting `factored` have U·Vᵀ in the place of each weight.

    The factors start at the SVD of the weight, so that all networks of a seed begin as one function. `keep` [M, 3] says
    how many columns of each layer count.
    """

    def __init__(self, lanes: Lanes) -> None:
        super().__init__(WIDTHS, lanes)
        self.factored, self.keep = lanes.each("factored"), torch.tensor([RANKS])
        parts = [method.start(weight.detach().mT) for weight in self.weights]
        self.u, self.v = (nn.ParameterList(one) for one in zip(*parts, strict=True))

    def effective(self, layer: int) -> Tensor:
        """Return the weights that a layer acts with, [M, in, out]."""
        u, v = self.u[layer], self.v[layer]
        kept = torch.arange(u.shape[-1]) < self.keep[:, layer, None, None]
        return torch.where(self.factored > 0, v @ (u * kept).mT, self.weights[layer])


@dataclass(frozen=True)
class Digits(Experiment):
    """Learn digits with a network of factors, cut their ranks afterwards, and compare what is left.

    Network 64-48-48-10 with ReLU; SGD with momentum 0.9, rate 0.05 that falls along a cosine, batches of 100. At a
    share of the ranks each layer keeps the nearest whole number of them. Strengths are chosen by the accuracy on 200
    validation digits. All arms of a seed share digits, first weights and batches.
    """

    # fmt: off
    lasso: float = knob(tuned(3e-3, (1e-3, 3e-3, 1e-2, 2e-2), JUDGE), stops=(0, 1e-3, 3e-3, 1e-2, 2e-2, 3e-2),
                        symbol="λ", help="weight of the group lasso")
    images: int = knob(800, low=100, high=1000, step=100, help="digits for training")
    epochs: int = knob(25, low=1, high=50, step=1, help="passes over the training digits")
    whole_head: bool = knob(False, help="whether the last layer keeps all its ranks")

    arms = {
        "dense": DENSE,
        "LoD": Arm("method", factored=1, sampled=1, decay=tuned(1e-3, (1e-4, 3e-4, 1e-3, 3e-3), JUDGE)),
        "LoD + lasso": Arm("ablation", factored=1, sampled=1, decay=1e-3, lasso="lasso"),
        "LoD, SVD": Arm("further", factored=1, sampled=1, decay=1e-3, svd=1),
        "factors": Arm("ablation", factored=1, decay=1e-3),
        "factors, decay, SVD": Arm("further", factored=1, decay=tuned(0.02, (0.01, 0.02, 0.03, 0.1), JUDGE), svd=1),
        "whitened SVD": Arm("rival", decay=tuned(0.01, (0.003, 0.01, 0.03), JUDGE), whitened=1),
        "that rank alone": Arm("rival", factored=1, decay=1e-3, alone=1),
        "small dense": Arm("further", decay=tuned(0.01, (0.003, 0.01, 0.03), JUDGE), narrow=1),
        "random columns": Arm("null", factored=1, sampled=1, decay=1e-3, shuffled=1),
    }
    outputs = {
        "accuracy": share("arm seed share", "test accuracy", "share of 597 test digits classified right"),
        "half_accuracy": share("arm seed", "accuracy at half rank", "test accuracy with half of the ranks"),
        JUDGE: share("arm seed", "validation accuracy", "mean over all, half and a quarter of the ranks"),
        **cost.outputs("arm seed share"),
    }
    views = (
        View("Cut", (
            Curves("What is left then?", ["accuracy"], ("dense", "factors", "LoD", "LoD + lasso", "that rank alone")),
            Dots("And at half rank?", "half_accuracy")), height=3.4),
        View("Cost", (Scatter("What does an accuracy cost?", "macs_share", "accuracy_change", "share",
                              ("LoD", "LoD, SVD", "whitened SVD", "that rank alone", "small dense"), log=True),), 1, 3),
        View("Lasso", (Curves("What does the lasso change?", ["accuracy_change"], ("LoD", "LoD + lasso")),), 1),
    )
    # fmt: on
    scaled = "deep networks became three layers on digits; ranks are counted, not cut, in training"
    headline = "half_accuracy"
    grid = {"lasso": (0, 1e-3, 3e-3, 1e-2, 2e-2), "images": (100, 200, 400, 800, 1000)}
    smoke = {"epochs": 1}

    def axes(self) -> dict[str, Axis]:
        """Shares of the ranks that are kept."""
        return {"share": Axis(SHARES, label="share of ranks kept", log=True)}

    def ranks(self, part: float) -> list[int]:
        """Return how many columns each layer keeps at a share of the ranks: the nearest whole number, at least 1."""
        cut = [max(1, round(part * rank)) for rank in RANKS]
        return [*cut[:-1], RANKS[-1]] if self.whole_head else cut

    def size(self, arm: Arm, part: float) -> tuple[int, int]:
        """Return hidden units and stored weights of an arm at a share of the ranks; narrow ones cost what ranks do."""
        weights = sum(map(cost.factored, WIDTHS, WIDTHS[1:], self.ranks(part)))
        units = cost.width_for(weights) if arm.value("narrow", {}) else WIDTHS[1]
        return units, cost.count((WIDTHS[0], units, units, WIDTHS[3])) if arm.value("narrow", {}) else weights

    def trained(self, arm: Arm, part: float) -> tuple[tuple[str, float], ...]:
        """Return the settings of the network that an arm needs at a share of the ranks; equal ones are trained once."""
        settings = {name: arm.value(name, self.settings()) for name in ("factored", "sampled", "lasso", "decay")}
        settings |= {"share": part if arm.value("alone", {}) else 1, "width": self.size(arm, part)[0]}
        return tuple(settings.items())

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all networks and seeds as one; cut them in the end."""
        digits, steps = network.digits(seeds, self.images), self.epochs * (self.images // 100)
        kinds = [*dict.fromkeys(self.trained(arm, part) for arm in (DENSE, *self.arms.values()) for part in SHARES)]
        lanes = Lanes({str(i): Arm("further", **dict(kind)) for i, kind in enumerate(kinds)}, seeds, {})
        nets, half, lasso = Network(lanes), lanes.each("decay", 0) / 2, lanes.each("lasso", 0)
        own = torch.tensor([self.ranks(part) for part in lanes.each("share", 0).tolist()])
        cuts = iter(method.truncations(RANKS)[drawn(lanes, "ranks", sum(RANKS), steps).T])

        def losses(index: Tensor) -> Tensor:
            nets.keep = torch.where(lanes.each("sampled", 1) > 0, lanes.repeat(next(cuts)), own)
            loss = metrics.nll(nets(lanes.pick(digits.train, index)), lanes.pick(digits.train_labels, index))
            for u, v in zip(nets.u, nets.v, strict=True):
                loss = loss + half * torch.cat([u, v], 1).square().sum((1, 2)) + lasso * method.group_lasso(u, v)
            return loss

        def measure(epoch: int) -> Frame:
            return Frame({}, self.scores(lanes, nets, kinds, digits) if epoch == self.epochs else {})

        optimizer = network.sgd(nets, lanes.each("decay"), rate=0.05, steps=steps)
        yield from fit(optimizer, losses, minibatches(lanes, self.images, 100), measure, epochs=self.epochs)

    def scores(self, lanes: Lanes, nets: Network, kinds: Sequence[object], digits: network.Digits) -> dict[str, Tensor]:
        """Cut the networks of all kinds and measure what is left, for each arm, seed and share of the ranks."""
        nets.keep = torch.tensor([RANKS])
        hidden = [lanes.split(one) for one in nets.activations(lanes.repeat(digits.train))]
        weights = [lanes.split(nets.effective(layer)) for layer in range(3)]

        def cut(arm: Arm, layer: int, kind: int, rank: int) -> Tensor:
            if arm.value("whitened", {}):
                return method.whitened(weights[layer][kind], hidden[layer][kind], rank)
            if arm.value("svd", {}) or not arm.value("factored", {}):
                return method.best_rank(weights[layer][kind], rank)
            order = drawn(lanes, f"order {layer}", RANKS[layer], rank).unsqueeze(1)
            order = order if arm.value("shuffled", {}) else torch.arange(rank).expand_as(order)
            u, v = (lanes.split(one[layer])[kind].take_along_dim(order, -1) for one in (nets.u, nets.v))
            return v @ u.mT

        def right(arm: Arm, part: float) -> Tensor:
            kind, values = kinds.index(self.trained(arm, part)), torch.cat([digits.test, digits.valid], 1)
            for layer, rank in enumerate(self.ranks(1 if arm.value("narrow", {}) else part)):
                values = values.relu() if layer else values
                values = values @ cut(arm, layer, kind, rank) + lanes.split(nets.biases[layer])[kind]
            pairs = zip(values.split([597, 200], 1), (digits.test_labels, digits.valid_labels), strict=True)
            return torch.stack([metrics.accuracy(*pair) for pair in pairs])

        arms = self.arms.values()
        found = torch.stack([torch.stack([right(arm, part) for part in SHARES], -1) for arm in arms])
        stored = torch.tensor([[[self.size(arm, part)[1] / cost.count(WIDTHS) for part in SHARES]] for arm in arms])
        return {
            "accuracy": found[:, 0], "half_accuracy": found[:, 0, :, 2], JUDGE: found[:, 1, :, 1:].mean(-1),
            "accuracy_change": found[:, 0] - right(DENSE, 1)[0].unsqueeze(-1),
            **dict.fromkeys(("weights_share", "macs_share", "bits_share"), stored.expand_as(found[:, 0])),
        }  # fmt: skip


EXPERIMENTS = (Digits, Linear, Components)
