"""Polarization: the experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned
from reglab.papers.weights._shared import cost
from reglab.papers.weights.polarization import method
from reglab.pictures import Curves, Dots, Images, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator
from reglab.training import Lanes, fit, minibatches, within

CLASSES, WIDTH, BLOCKS, HIDDEN, TRAIN, TEST, BATCH = 5, 16, 3, 16, 800, 600, 100
"""Arms of the spiral, width of the trunk, residual blocks, hidden units of the gate network of a block, training
points, test (and validation) points, points of a batch."""

ENDS, UNIT = cost.count((2, WIDTH)) + cost.count((WIDTH, CLASSES)), 2 * WIDTH
"""Weights outside the blocks, and those of one unit: as many multiply-adds each."""

EPOCHS, MOMENTS, BINS, SHOWN = (*range(0, 61, 2),), (0, 5, 60), 10, 100
"""Measured epochs of 60, those of a picture (as many parts of another training), bins of mean gates, points shown."""

NET, BRANCH = ("hidden", "hidden_bias", "score", "score_bias"), ("up", "up_bias", "down", "down_bias")
"""Parameters of the gates and of the units of a block."""

Points = tuple[Tensor, Tensor]
"""Points of S seeds [S, n, 2] and their classes [S, n]."""


def spiral(seeds: Seeds, part: str, count: int) -> Points:
    """Draw points on five arms of a spiral in the plane, with the arm as the class.

    The radius is uniform from 0.15 to 1, the angle that of the arm plus one turn for a radius of 1, plus normal noise
    of 0.2; points are stretched by 2.
    """
    labels = (torch.arange(count) % CLASSES).expand(len(seeds), -1)
    radius = 0.15 + 0.85 * torch.stack([torch.rand(count, generator=generator(k, f"{part} radii")) for k in seeds])
    angle = 2 * torch.pi * (labels / CLASSES + radius) + 0.2 * data.normal(seeds, f"{part} angles", count).to(radius)
    return 2 * radius.unsqueeze(-1) * torch.stack([angle.cos(), angle.sin()], -1), labels


def draw(seeds: Seeds) -> dict[str, Points]:
    """Draw the points for training, validation and test."""
    return {part: spiral(seeds, part, n) for part, n in (("train", TRAIN), ("validation", TEST), ("test", TEST))}


class Models(nn.Module):
    """M residual networks with three blocks of K gated units, from the plane to five classes: m = arm · S + seed.

    The trunk is linear: all nonlinearity sits in the blocks and their gates. With `gated` the gates are networks
    16-16-K; else constants, the `mask` [M, 1, 3K], times the step of a score for each unit in arms with the setting
    `scored`. Arms with `l1` have a factor for each unit; those with `linear` have no units.
    Weights are normal with variance 2/inputs, times the square of a factor; biases start at 0, those of gates at 1.
    """

    def __init__(self, lanes: Lanes, gated: bool, units: int, surrogate: str, attached: bool) -> None:
        super().__init__()
        self.gated, self.units, self.surrogate, self.attached = gated, units, surrogate, attached
        self.weights = nn.ParameterDict()
        self.scored, self.factors = lanes.each("scored") > 0, lanes.each("l1") > 0
        self.mask = (1 - lanes.each("linear")).expand(-1, 1, BLOCKS * units)
        for name, factor, shape in (
            ("trunk", 1, (2, WIDTH)), ("up", 1, (BLOCKS, WIDTH, units)), ("down", 0.5, (BLOCKS, units, WIDTH)),
            ("hidden", 1, (BLOCKS, WIDTH, HIDDEN)), ("score", 0.5, (BLOCKS, HIDDEN, units)),
            ("classifier", 0.7, (WIDTH, CLASSES)),
        ):  # fmt: skip
            drawn = data.normal(lanes.seeds, f"weights of {name}", *shape).to(self.mask)
            self.weights[name] = lanes.repeat(drawn * factor * (2 / shape[-2]) ** 0.5)
            self.weights[f"{name}_bias"] = torch.full((len(lanes), *shape[:-2], 1, shape[-1]), float(name == "score"))
        drawn = data.normal(lanes.seeds, "scores", 1, BLOCKS * units).to(self.mask)
        self.unit = nn.Parameter(1 + 0.5 * lanes.repeat(drawn) * self.scored)

    def forward(self, x: Tensor, gates: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits and gates: [M, B, 2] -> [M, B, C], [M, B or 1, 3K]; given `gates` replace the own ones."""
        if gates is None and not self.gated:
            gates = self.mask * torch.where(self.scored, method.gates(self.unit), 1)
        factors, found = torch.where(self.factors, self.unit, 1).split(self.units, -1), list[Tensor]()
        h = self.linear(x, "trunk")
        for i in range(BLOCKS):
            found.append(self.own(h, i) if gates is None else gates.split(self.units, -1)[i])
            h = method.block(h, found[i] * factors[i], *self.part(BRANCH, i))
        return self.linear(h, "classifier"), torch.cat(found, -1)

    def own(self, h: Tensor, i: int) -> Tensor:
        """Return the gates that the gate network of a block gives: [M, B, 16] -> [M, B, K]."""
        return method.gates(method.scores(h if self.attached else h.detach(), *self.part(NET, i)), self.surrogate)

    def part(self, names: tuple[str, ...], i: int) -> list[Tensor]:
        """Return some parameters of a block, [M, ...] each."""
        return [self.weights[name][:, i] for name in names]

    def linear(self, h: Tensor, name: str) -> Tensor:
        """Return what the trunk or the classifier gives."""
        return h @ self.weights[name] + self.weights[f"{name}_bias"]

    def without_gates(self, x: Tensor, gates: Tensor) -> Tensor:
        """Return the logits of networks without gates, made of the units whose gate [M, 3K] is open: [M, B, C]."""
        h = self.linear(x, "trunk")
        for i, kept in enumerate((gates > 0).split(self.units, -1)):
            h = torch.stack([method.without(*one) for one in zip(h, kept, *self.part(BRANCH, i), strict=True)])
        return self.linear(h, "classifier")


CURVE, JUDGE, STRENGTHS, TARGETS = "arm seed epoch", "held_out", (0, 10, 20, 30, 60), (0.05, 0.1, 0.15, 0.3, 0.5)
BEST, SLOW = tuned(0.01, (0.005, 0.01, 0.02), JUDGE), tuned(0.002, (0.001, 0.002, 0.005), JUDGE)
FAST, FACTORS = tuned(0.02, (0.01, 0.02, 0.04), JUDGE), tuned(0.03, (0.01, 0.03, 0.1), JUDGE)
GATED: dict[str, float | str] = {"gated": 1, "activ": "activ", "target": "target"}
SIZE: dict[str, float | str] = {"size": "polar", "target": "target"}
"""Settings of arms with gate networks, and of those that have as many units as `polar` keeps at the same knobs."""

GAPS, COSTS = ("dense", "polar", "activ", "random"), ("polar", "random", "L1 + fine-tune", "magnitude", "activ")
EQUAL = ("polar", "random", "retrained", "L1 + fine-tune", "activ + fine-tune", "magnitude", "static gates")


@dataclass(frozen=True)
class Conversion(Experiment):
    """Learn a spiral with gates that open for some inputs; then fix each gate at its majority, and look what is left.

    Adam, batches of 100. All arms of a seed share points, first weights and batches. Learning rates and strengths are
    chosen on validation points, with gates as they are; λ_polar = λ_activ = 30 is where the wanted share is kept.
    The rivals keep as many units as `polar`, seed by seed; `static gates`, one score for each unit, come near to it.
    """

    # fmt: off
    polar: float = knob(30.0, stops=STRENGTHS, symbol="λ_polar", label="polarization penalty")
    target: float = knob(0.15, stops=TARGETS, symbol="τ", label="wanted share of open gates")
    activ: float = knob(30.0, low=5, high=60, step=5, symbol="λ_activ", label="penalty on open gates")
    rate: float = knob(BEST, stops=(0.002, 0.005, 0.01, 0.02), symbol="η", help="rate of polar")
    dense_rate: float = knob(SLOW, stops=(0.001, 0.002, 0.005, 0.01, 0.02), help="learning rate of dense")
    units: int = knob(24, low=1, high=24, step=1, symbol="K", help="units of each block")
    surrogate: str = knob("sigmoid", choices=("sigmoid", "identity"), help="what stands for the derivative of the step")
    attached: bool = knob(False, help="whether gates send gradients into the trunk")
    epochs: int = knob(60, low=2, high=120, step=1, help="passes over the training points")

    arms = {
        "dense": Arm("baseline", rate="dense_rate"),
        "polar": Arm("method", rate="rate", polar="polar", **GATED),
        "activ": Arm("ablation", rate=BEST, **GATED),
        "L1 + fine-tune": Arm("rival", rate=FAST, l1=FACTORS, cut=0.85, **SIZE),
        "activ + fine-tune": Arm("rival", rate=0.01, tuning=FAST, cut=0.85, size="polar", **GATED),
        "magnitude": Arm("further", rate=BEST, cut=34 / 60, **SIZE),
        "static gates": Arm("further", rate=0.01, activ="activ", target="target", scored=1),
        "retrained": Arm("further", rate=BEST, **SIZE),
        "random": Arm("null", rate=BEST, **SIZE),
        "linear": Arm("null", rate=0.01, linear=1),
    }
    outputs = {
        "ambiguous": share(CURVE, "ambiguous gates", "share of gates open for 2 to 98 % of the training points"),
        "dynamic": share(CURVE, "accuracy, own gates", "share of test points classified right by gates as they are"),
        "static": share(CURVE, "accuracy, converted", "share of test points classified right, each gate fixed"),
        JUDGE: share("arm seed", "validation", "share of validation points classified right by gates as they are"),
        "kept": share("arm seed", "units kept", "share of the units that are left after conversion"),
        "spectrum": share("arm seed bin", "share of gates", "share of the gates whose mean lies in a bin of width 0.1"),
        **cost.outputs(),
    }
    views: ClassVar[tuple[View, ...]] = (
        View("Conversion", (
            Curves("Do inputs disagree about gates?", ["ambiguous"], ("polar", "activ", "random")),
            Curves("Where are the mean gates?", ["spectrum"], ("polar", "activ")),
            Curves("How accurate with own gates?", ["dynamic"], GAPS),
            Curves("And converted?", ["static"], GAPS))),
        View("Same size", (Dots("Who is best with so many units?", "static", EQUAL),
                           Dots("How many units are kept?", "kept", ("polar", "activ", "static gates"))), height=3.2),
        View("Cost", (Scatter("What does accuracy cost?", "macs_share", "accuracy_change", arms=COSTS),), 1, 3.2),
    )
    # fmt: on
    scaled = "ResNets on images became a residual network on a spiral, channels units; gates and penalties are kept"
    headline = "static"
    grid = {"polar": STRENGTHS, "target": TARGETS}
    smoke = {"epochs": 2}

    def moments(self, some: tuple[int, ...]) -> list[int]:
        """Return epochs of 60 as those of this training, and the first one."""
        return sorted({round(one * self.epochs / 60) for one in some} | {1})

    def axes(self) -> dict[str, Axis]:
        """Measured epochs, and the middles of ten bins."""
        bins = Axis([(b + 0.5) / BINS for b in range(BINS)], label="mean gate")
        return {"epoch": Axis(self.moments(EPOCHS), unit="epochs", label="epoch"), "bin": bins}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train arms with equal stages as one batch; those that keep as many units as `polar` come after it.

        An arm with a `cut` first trains whole, up to this share of the epochs. Dense networks end before all others.
        """
        points, (along, axis), every = draw(seeds), next(iter(self.axes().items())), type(self).arms
        needed = ["dense"] + ["polar"] * any("size" in arm.settings for arm in self.arms.values())
        arms = {name: every[name] for name in needed if name in every} | dict(self.arms)
        moments, dense, trained = list(axis.values), torch.zeros(len(seeds)), dict[str, dict[str, Tensor]]()

        def measure(epoch: int, lanes: Lanes, network: Models) -> Frame:
            if epoch not in moments:
                return Frame({}, {})
            found = {name: lanes.split(values) for name, values in self.measured(lanes, network, points).items()}
            if "dense" in lanes.arms:
                dense.copy_(found["static"][list(lanes.arms).index("dense")])
            if "static" in found:
                found["accuracy_change"] = found["static"] - dense
            asked = {name: i for i, name in enumerate(lanes.arms) if name in self.arms}
            at = {"arm": list(asked), along: moments.index(epoch)}
            return Frame(at, {name: values[[*asked.values()]] for name, values in found.items()})

        groups = dict[tuple[bool, bool, int, int], dict[str, Arm]]()
        for name, arm in arms.items():
            cut, late = round(self.epochs * arm.value("cut", {})), "size" in arm.settings
            whole = [(False, "gated" in arm.settings, 0, cut or self.epochs)] if cut or not late else []
            for stage in whole + [(True, False, cut, self.epochs)] * late:
                groups.setdefault(stage, {})[name] = arm
        for i, stage in enumerate(sorted(groups)):
            events = self.train(Lanes(groups[stage], seeds, self.settings()), stage, points["train"], trained, measure)
            yield from within(events, i / len(groups), (i + 1) / len(groups))

    def train(
        self, lanes: Lanes, stage: tuple[bool, bool, int, int], points: Points,
        trained: dict[str, dict[str, Tensor]], measure: Callable[[int, Lanes, Models], Frame],
    ) -> Iterator[Frame | Tick]:  # fmt: skip
        """Train some arms, late or not, with gate networks or not, from one epoch to another; keep what they learned.

        A late stage has as many units as `polar` kept, no penalty, and a new optimizer. An arm that has trained before
        keeps its units of largest importance: mean gate, |factor|, or norm of outgoing weights, block by block.
        """
        late, gated, first, last = stage
        network = Models(lanes, gated, self.units, self.surrogate, self.attached)
        if late:
            polar = method.consensus(trained["polar"]["means"])
            drawn = torch.stack([torch.rand(polar.shape[1], generator=one) for one in lanes.generators("sub-network")])
            by = {"random": drawn, "retrained": polar} | {arm: known["importance"] for arm, known in trained.items()}
            network.mask = torch.cat([method.largest(by[arm], polar.sum(-1)) for arm in lanes.arms]).unsqueeze(1)
        if first:
            for key, p in network.state_dict().items():
                p.copy_(torch.cat([trained[arm][key] for arm in lanes.arms]))
        activ, polar, l1, rate, tuning = (lanes.each(name, 0) for name in ("activ", "polar", "l1", "rate", "tuning"))
        target, batches = lanes.each("target", 0), minibatches(lanes, TRAIN, BATCH)

        def losses(index: Tensor) -> Tensor:
            logits, gates = network(lanes.pick(points[0], index))
            penalty = method.penalty(gates, activ, polar, target) + l1 * network.unit.abs().sum((1, 2))
            return metrics.nll(logits, lanes.pick(points[1], index)) + (0 if late else penalty)

        yield from fit(torch.optim.Adam(network.parameters(), lr=1), losses, lambda epoch: batches(first + epoch),
                       lambda epoch: measure(first + epoch, lanes, network), epochs=last - first,
                       rates=torch.where(tuning * first > 0, tuning, rate))  # fmt: skip
        with torch.no_grad():
            means = network(lanes.repeat(points[0]))[1].mean(1)
            other = torch.where(
                l1[:, None] > 0, network.unit[:, 0].abs(), method.in_turn(network.weights["down"].norm(dim=-1))
            )
        state = network.state_dict() | {"means": means, "importance": means if gated else other}
        trained |= {arm: {key: lanes.split(p)[k] for key, p in state.items()} for k, arm in enumerate(lanes.arms)}

    def measured(self, lanes: Lanes, network: Models, points: Mapping[str, Points]) -> dict[str, Tensor]:
        """Return all outputs of M models that need no other arm, [M, ...] each."""
        means = network(lanes.repeat(points["train"][0]))[1].mean(1, keepdim=True)
        fixed = method.consensus(means)

        def accuracy(part: str, gates: Tensor | None = None) -> Tensor:
            return metrics.accuracy(network(lanes.repeat(points[part][0]), gates)[0], lanes.repeat(points[part][1]))

        left = (ENDS + UNIT * fixed.sum((1, 2))) / (ENDS + UNIT * BLOCKS * self.units)
        places = (means * BINS).long().clamp(max=BINS - 1) == torch.arange(BINS).unsqueeze(1)
        return {
            "ambiguous": method.ambiguous(means)[:, 0], "kept": fixed.mean((1, 2)), "spectrum": places.float().mean(-1),
            "dynamic": accuracy("test"), "static": accuracy("test", fixed), JUDGE: accuracy("validation"),
            "weights_share": left, "macs_share": left, "bits_share": left,
        }  # fmt: skip


@dataclass(frozen=True)
class Gates(Conversion):
    """Look at the single gates while they learn, and at what holds exactly at every moment."""

    # fmt: off
    arms = {"activ": Arm("baseline", rate=0.01, **GATED), "polar": Arm("method", rate=0.01, polar="polar", **GATED)}
    outputs = {
        "closed": share("arm seed moment unit point", "closed", "closed gates of all units, sorted, and 100 points"),
        "variance_gap": Var("arm seed moment", "distance", "R_polar minus the variance of gates, batches of 100 and 1"),
        "deletion_gap": Var("arm seed moment", "distance", "logits with gates minus those with closed units deleted"),
    }
    views = (View("Gates", (Images("Without the penalty, which gates are open (black)?", "closed", "moment", "activ"),
                            Images("And with it?", "closed", "moment", "polar")), 1, 1.6),)
    # fmt: on
    headline = "variance_gap"
    grid = {}

    def axes(self) -> dict[str, Axis]:
        """Four moments; units and points of a picture."""
        moments = Axis(self.moments(MOMENTS), unit="epochs", label="epoch")
        return {"moment": moments, "unit": Axis(range(BLOCKS * self.units)), "point": Axis(range(SHOWN))}

    def measured(self, lanes: Lanes, network: Models, points: Mapping[str, Points]) -> dict[str, Tensor]:
        """Return pictures and distances; points come class by class, from the middle outward, units by their size."""
        test, labels = (one[:, :SHOWN] for one in points["test"])
        order = (10 * labels + test.norm(dim=-1)).argsort(-1).unsqueeze(-1).expand(-1, -1, 2)
        x, gates = lanes.repeat(test.gather(1, order)), network(lanes.repeat(points["train"][0]))[1]
        picture, fixed, gaps = 1 - network(x)[1].mT, method.consensus(gates.mean(1)), list[Tensor]()
        rows = picture.mean(-1).argsort(-1).unsqueeze(-1).expand(-1, -1, SHOWN)
        for size, kept in ((BATCH, fixed), (1, torch.ones_like(fixed))):
            batches = gates.unflatten(1, (-1, size))
            variance = (method.polarization(batches) - batches.var(2, correction=0).mean(-1)).abs()
            masked, plain = network(x, kept.unsqueeze(1))[0], network.without_gates(x, kept)
            deletion = (masked - plain).abs().amax((1, 2)) / plain.abs().amax((1, 2))
            gaps.append(torch.stack([variance.amax(1), deletion]))
        variance, deletion = torch.stack(gaps).amax(0)
        return {"closed": picture.gather(1, rows), "variance_gap": variance, "deletion_gap": deletion}


EXPERIMENTS = (Conversion, Gates)
