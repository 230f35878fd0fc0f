"""Polarization: the experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

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

CLASSES, WIDTH, BLOCKS, UNITS, HIDDEN = 5, 16, 3, 24, 16
"""Arms of the spiral, width of the trunk, residual blocks, gated units of a block, hidden units of its gate network."""

TRAIN, TEST, BATCH = 800, 600, 100
"""Training points, test (and validation) points, points of a batch."""

ENDS, UNIT = cost.count((2, WIDTH)) + cost.count((WIDTH, CLASSES)), 2 * WIDTH
DENSE, GATES = ENDS + UNIT * BLOCKS * UNITS, BLOCKS * cost.count((WIDTH, HIDDEN, UNITS))
"""Weights outside the blocks, of a unit, of the dense network and of all gate networks: as many multiply-adds each."""

Points = tuple[Tensor, Tensor]
"""Points of S seeds [S, n, 2] and their classes [S, n]."""


def spiral(seeds: Seeds, part: str, count: int) -> Points:
    """Draw points on five arms of a spiral in the plane, with the arm as the class.

    The radius is uniform from 0.15 to 1, the angle that of the arm plus one turn for a radius of 1, plus normal noise
    of 0.2; points are stretched by 2.
    """
    labels = (torch.arange(count) % CLASSES).expand(len(seeds), -1)
    uniform = torch.stack([torch.rand(count, generator=generator(seed, f"{part} radii")) for seed in seeds])
    radius, noise = 0.15 + 0.85 * uniform, data.normal(seeds, f"{part} angles", count).to(uniform)
    angle = 2 * torch.pi * (labels / CLASSES + radius) + 0.2 * noise
    return 2 * radius.unsqueeze(-1) * torch.stack([angle.cos(), angle.sin()], -1), labels


def draw(seeds: Seeds) -> dict[str, Points]:
    """Draw the points for training, validation and test."""
    return {part: spiral(seeds, part, n) for part, n in (("train", TRAIN), ("validation", TEST), ("test", TEST))}


class Models(nn.Module):
    """M residual networks with three blocks of 24 gated units, from the plane to five classes: m = arm · S + seed.

    The trunk is linear: all nonlinearity sits in the blocks and their gates. With `gated` the gates are networks
    16-16-24; else constants, the `mask` [M, 1, 72], times the step of a score for each unit in arms with the setting
    `scored`. Arms with `l1` have a factor for each unit, and those with `closed` that many units less in each block.
    Weights are normal with variance 2/inputs, times a square of `sizes`; biases start at 0, those of gates at 1.
    """

    sizes = {
        "trunk": (1, (2, WIDTH)), "up": (1, (BLOCKS, WIDTH, UNITS)), "down": (0.5, (BLOCKS, UNITS, WIDTH)),
        "hidden": (1, (BLOCKS, WIDTH, HIDDEN)), "score": (0.5, (BLOCKS, HIDDEN, UNITS)),
        "classifier": (0.7, (WIDTH, CLASSES)),
    }  # fmt: skip

    def __init__(self, lanes: Lanes, gated: bool, surrogate: str = "sigmoid", attached: bool = False) -> None:
        super().__init__()
        self.gated, self.surrogate, self.attached = gated, surrogate, attached
        self.scored, self.factors = lanes.each("scored") > 0, lanes.each("l1") > 0
        self.mask = (torch.arange(UNITS) < UNITS - lanes.each("closed")).repeat(1, 1, BLOCKS).to(torch.get_default_dtype())
        for name, (scale, shape) in self.sizes.items():
            drawn = data.normal(lanes.seeds, f"weights of {name}", *shape).to(self.mask)
            setattr(self, name, nn.Parameter(lanes.repeat(drawn * scale * (2 / shape[-2]) ** 0.5)))
            bias = torch.full((len(lanes), *shape[:-2], 1, shape[-1]), float(name == "score"))
            setattr(self, f"{name}_bias", nn.Parameter(bias))
        drawn = data.normal(lanes.seeds, "scores", 1, BLOCKS * UNITS).to(self.mask)
        self.unit = nn.Parameter(1 + 0.5 * lanes.repeat(drawn) * self.scored)

    def forward(self, x: Tensor, gates: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits and gates: [M, B, 2] -> [M, B, C], [M, B or 1, 72]; given `gates` replace the own ones."""
        if gates is None and not self.gated:
            gates = self.mask * torch.where(self.scored, method.gates(self.unit), 1)
        factors, found = torch.where(self.factors, self.unit, 1).split(UNITS, -1), []
        h = x @ self.trunk + self.trunk_bias
        for i in range(BLOCKS):
            if gates is None:
                net = (one[:, i] for one in (self.hidden, self.hidden_bias, self.score, self.score_bias))
                scores = method.scores(h if self.attached else h.detach(), *net)
                found.append(method.gates(scores, self.surrogate))
            else:
                found.append(gates.split(UNITS, -1)[i])
            h = method.block(h, found[i] * factors[i], *self.branch(i))
        return h @ self.classifier + self.classifier_bias, torch.cat(found, -1)

    def branch(self, i: int) -> tuple[Tensor, ...]:
        """Return A, a, B and b of a block, [M, ...] each."""
        return self.up[:, i], self.up_bias[:, i], self.down[:, i], self.down_bias[:, i]


def adam(network: nn.Module, rates: Tensor) -> torch.optim.Adam:
    """Return Adam with a learning rate for each model, [M]: it takes steps of rate 1, which are then shortened."""
    optimizer, before = torch.optim.Adam(network.parameters(), lr=1.0), list[Tensor]()

    def remember(*_: Any) -> None:
        before[:] = [p.detach().clone() for p in network.parameters()]

    @torch.no_grad()
    def shorten(*_: Any) -> None:
        for p, old in zip(network.parameters(), before, strict=True):
            p.copy_(torch.lerp(old, p, rates.reshape(-1, *[1] * (p.dim() - 1))))

    optimizer.register_step_pre_hook(remember)
    optimizer.register_step_post_hook(shorten)
    return optimizer


class Stage(NamedTuple):
    """What is trained as one: after `polar` or not, with gate networks or not, from which epoch to which."""

    late: bool
    gated: bool
    first: int
    last: int


@dataclass(frozen=True)
class Trained:
    """What one arm has learned: parameters by name, [S, ...] each, and mean gates over the training points [S, 72]."""

    weights: dict[str, Tensor]
    means: Tensor


def importance(name: str, trained: Mapping[str, Trained], seeds: Seeds) -> Tensor:
    """Return by what an arm of the size of `polar` chooses its units: [S, 72]."""
    if name == "random":
        return torch.stack([torch.rand(BLOCKS * UNITS, generator=generator(seed, "sub-network")) for seed in seeds])
    if name == "retrained":
        return method.consensus(trained["polar"].means)
    if name == "activ + fine-tune":
        return trained[name].means
    if name == "L1 + fine-tune":
        return trained[name].weights["unit"][:, 0].abs()
    return method.in_turn(trained[name].weights["down"].norm(dim=-1))


@dataclass(frozen=True)
class Spiral(Experiment):
    """The knobs of polarization, and how its arms and their rivals are trained."""

    polar: float = knob(30.0, low=0, high=60, step=5, symbol="λ_polar", help="weight of the polarization penalty")
    target: float = knob(0.15, low=0.05, high=0.5, step=0.05, symbol="τ", help="share of the gates that shall be open")
    activ: float = knob(30.0, low=5, high=60, step=5, symbol="λ_activ", help="weight of the penalty on open gates")
    rate: float = knob(tuned(0.005, (0.002, 0.005, 0.01), "held_out"), stops=(0.002, 0.005, 0.01, 0.02), symbol="η",
                       help="learning rate of polar")  # fmt: skip
    surrogate: str = knob("sigmoid", choices=("sigmoid", "identity"), help="what stands for the derivative of the step")
    attached: bool = knob(False, help="whether gates send gradients into the trunk")
    form: str = knob("target", choices=("target", "linear"), help="penalty on open gates: (R − τ)², or R as in the paper")
    epochs: int = knob(60, low=2, high=120, step=1, help="passes over the training points")

    def train(
        self, seeds: Seeds, points: Points, arms: Mapping[str, Arm], measure: Callable[[int, Lanes, Models], Frame]
    ) -> Iterator[Frame | Tick]:
        """Train arms and seeds, those with equal stages as one batch, and those of the size of `polar` after it.

        An arm with a `cut` first trains whole, up to this share of the epochs. `measure` gets an epoch and its models.
        """
        groups, trained = dict[Stage, dict[str, Arm]](), dict[str, Trained]()
        for name, arm in arms.items():
            cut, late = round(self.epochs * arm.value("cut", self.settings())), "size" in arm.settings
            if cut or not late:
                groups.setdefault(Stage(False, "gated" in arm.settings, 0, cut or self.epochs), {})[name] = arm
            if late:
                groups.setdefault(Stage(True, False, cut, self.epochs), {})[name] = arm
        for i, stage in enumerate(sorted(groups)):
            lanes = Lanes(groups[stage], seeds, self.settings())
            events = self._train(stage, lanes, points, trained, measure)
            yield from within(events, i / len(groups), (i + 1) / len(groups))

    def _train(
        self, stage: Stage, lanes: Lanes, points: Points, trained: dict[str, Trained],
        measure: Callable[[int, Lanes, Models], Frame],
    ) -> Iterator[Frame | Tick]:  # fmt: skip
        """Train one stage of some arms and put what they have learned into `trained`.

        A late stage has as many units as `polar` kept, no penalty, and a new optimizer.
        """
        network, inputs, first = Models(lanes, stage.gated, self.surrogate, self.attached), points[0], stage.first
        if stage.late:
            count = method.consensus(trained["polar"].means).sum(-1)
            masks = [method.largest(importance(name, trained, lanes.seeds), count) for name in lanes.arms]
            network.mask = torch.cat(masks).unsqueeze(1)
        if first:
            names = [name for name, _ in network.named_parameters()]
            network.load_state_dict({key: torch.cat([trained[arm].weights[key] for arm in lanes.arms]) for key in names})
        activ, polar, l1 = (lanes.each(setting, 0) * (not stage.late) for setting in ("activ", "polar", "l1"))
        target, batches = lanes.each("target", 0), minibatches(lanes, TRAIN, BATCH)

        def losses(index: Tensor) -> Tensor:
            logits, gates = network(lanes.pick(inputs, index))
            penalty = method.penalty(gates, activ, polar, target, self.form) + l1 * network.unit.abs().sum((1, 2))
            return metrics.nll(logits, lanes.pick(points[1], index)) + penalty

        rate, tuning = lanes.each("rate", 0), lanes.each("tuning", 0)
        optimizer = adam(network, torch.where(tuning * first > 0, tuning, rate))
        yield from fit(optimizer, losses, lambda epoch: batches(first + epoch),
                       lambda epoch: measure(first + epoch, lanes, network), epochs=stage.last - first)  # fmt: skip
        with torch.no_grad():
            means = lanes.split(network(lanes.repeat(inputs))[1].mean(1))
        weights = {key: lanes.split(p.detach()) for key, p in network.named_parameters()}
        for k, arm in enumerate(lanes.arms):
            trained[arm] = Trained({key: p[k] for key, p in weights.items()}, means[k])


BEST_RATES = {1: 0.02, 3: 0.02, 7: 0.01, 12: 0.005, 24: 0.002}
"""Learning rates by units of a block."""

MOMENTS = (0, 1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 60)
"""Epochs of 60 after which gates and accuracies are measured; as many parts of a longer or shorter training."""

RATES, FAST, JUDGE = (0.005, 0.01, 0.02), (0.01, 0.02, 0.04), "held_out"
GATED: dict[str, float | str] = {"gated": 1, "activ": "activ", "target": "target"}
SIZE: dict[str, float | str] = {"size": "polar", "target": "target"}
"""Settings of arms with gate networks, and of those that have as many units as `polar` keeps at the same knobs."""

SHOWN, GAPS = ("polar", "activ", "random"), ("dense", "polar", "activ", "random")
EQUAL = ("polar", "random", "retrained", "L1 + fine-tune", "activ + fine-tune", "magnitude", "static gates")
COSTS = ("polar", "random", "L1 + fine-tune", "magnitude", "activ")
BINS, POINTS = 10, 100
CURVE = "arm seed epoch"


@dataclass(frozen=True)
class Conversion(Spiral):
    """Learn a spiral with gates that open for some inputs; then fix each gate at its majority, and look what is left.

    Adam, batches of 100. All arms of a seed share points, first weights and batches. Learning rates and strengths are
    chosen on validation points at the default knobs, at equal size; λ_polar = λ_activ = 30 is where the wanted share
    of gates is kept. The rivals keep as many units as `polar`, seed by seed; static gates come near by their own
    penalty.
    """

    arms = {
        "dense": Arm("baseline", rate=tuned(0.002, (0.001, 0.002, 0.005), JUDGE)),
        "polar": Arm("method", rate="rate", polar="polar", **GATED),
        "activ": Arm("ablation", rate=tuned(0.01, RATES, "held_out_dynamic"), **GATED),
        "L1 + fine-tune": Arm("rival", rate=tuned(0.02, FAST, JUDGE), l1=tuned(0.03, (0.01, 0.03, 0.1), JUDGE),
                              cut=51 / 60, **SIZE),
        "activ + fine-tune": Arm("rival", rate=0.01, tuning=tuned(0.02, FAST, JUDGE), cut=51 / 60, size="polar", **GATED),
        "magnitude": Arm("further", rate=tuned(0.02, FAST, JUDGE), cut=34 / 60, **SIZE),
        "static gates": Arm("further", rate=tuned(0.02, FAST, JUDGE), scored=1, activ=tuned(10, (3, 10, 30), JUDGE),
                            target="target"),
        "retrained": Arm("further", rate=tuned(0.01, RATES, JUDGE), **SIZE),
        "random": Arm("null", rate=tuned(0.01, RATES, JUDGE), **SIZE),
        "linear": Arm("null", rate=0.01, closed=UNITS),
    }  # fmt: skip
    outputs = {
        "ambiguous": share(CURVE, "ambiguous gates", "share of gates open for 2 to 98 % of the training points"),
        "r_polar": Var(CURVE, "R_polar", "mean over gates of the parabola, over the training points", low=0, high=0.25),
        "dynamic": share(CURVE, "accuracy, own gates", "share of test points classified right, gates as each input has them"),
        "static": share(CURVE, "accuracy, converted", "share of test points classified right, each gate fixed at its majority"),
        JUDGE: share("arm seed", "validation", "share of validation points classified right after conversion"),
        "held_out_dynamic": share("arm seed", "validation", "share of validation points classified right with own gates"),
        "kept": share("arm seed", "units kept", "share of the 72 units that are left after conversion"),
        "open": share("arm seed", "open gates", "mean share of open gates over the training points before conversion"),
        "spectrum": share("arm seed bin", "share of gates", "share of the gates whose mean lies in a bin of width 0.1"),
        "dynamic_macs": Var("arm seed", "multiply-adds, gates running", "multiply-adds of an example with own gates, of those of the dense network", low=0),
        **cost.outputs(),
    }
    views = (
        View("Conversion", (
            Curves("Do inputs disagree about gates?", ["ambiguous"], SHOWN),
            Curves("Where are the mean gates?", ["spectrum"], ("polar", "activ")),
            Curves("How accurate with own gates?", ["dynamic"], GAPS),
            Curves("And converted?", ["static"], GAPS))),
        View("Same size", (Dots("Who is best with so many units?", "static", EQUAL),
                           Dots("How many units are kept?", "kept", ("polar", "activ", "static gates"))), height=3.2),
        View("Cost", (Scatter("What does accuracy cost?", "macs_share", "accuracy_change", arms=COSTS),), 1, 3.2),
    )  # fmt: skip
    scaled = "ResNets on images became a residual network on a spiral, channels became units; gates and penalties are kept"
    headline = "static"
    grid = {"polar": (0, 3, 10, 20, 30, 40, 60), "target": (0.05, 0.1, 0.15, 0.3, 0.5)}
    smoke = {"epochs": 2}

    def axes(self) -> dict[str, Axis]:
        """Epochs, the first of them always among them; the middles of ten bins."""
        epochs = sorted({round(one * self.epochs / 60) for one in MOMENTS} | {1})
        bins = Axis([round((b + 0.5) / BINS, 2) for b in range(BINS)], label="mean gate")
        return {"epoch": Axis(epochs, unit="epochs", label="epoch"), "bin": bins}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms, and beside them those that their sizes and differences need."""
        points, epochs, every = draw(seeds), list(self.axes()["epoch"].values), type(self).arms
        needed = ["dense", *["polar" for arm in self.arms.values() if "size" in arm.settings]]
        final = dict[str, Tensor]()

        def measure(epoch: int, lanes: Lanes, network: Models) -> Frame:
            if epoch not in epochs:
                return Frame({}, {})
            found = self.measured(lanes, network, points, epoch == self.epochs)
            final.update(zip(lanes.arms, lanes.split(found["static"]), strict=True))
            asked = [i for i, name in enumerate(lanes.arms) if name in self.arms]
            at = {"arm": [list(lanes.arms)[i] for i in asked], "epoch": epochs.index(epoch)}
            return Frame(at, {name: lanes.split(values)[asked] for name, values in found.items()})

        yield from self.train(seeds, points["train"], {name: every[name] for name in needed} | self.arms, measure)
        yield Frame({}, {"accuracy_change": torch.stack([final[name] - final["dense"] for name in self.arms])})

    @staticmethod
    def measured(lanes: Lanes, network: Models, points: Mapping[str, Points], last: bool) -> dict[str, Tensor]:
        """Return all outputs of M models that need no other arm, [M, ...] each; the last ones only when asked for."""
        means = network(lanes.repeat(points["train"][0]))[1].mean(1, keepdim=True)
        fixed = method.consensus(means)

        def accuracy(part: str, gates: Tensor | None = None) -> Tensor:
            return metrics.accuracy(network(lanes.repeat(points[part][0]), gates)[0], lanes.repeat(points[part][1]))

        found = {"ambiguous": method.ambiguous(means)[:, 0], "r_polar": method.polarization(means)}
        found |= {"dynamic": accuracy("test"), "static": accuracy("test", fixed)}
        if last:
            kept, used = fixed.mean((1, 2)), means.mean((1, 2))
            share = (ENDS + UNIT * BLOCKS * UNITS * kept) / DENSE
            running = (ENDS + GATES * network.gated + UNIT * BLOCKS * UNITS * used) / DENSE
            place = (means * BINS).long().clamp(max=BINS - 1)
            found |= {JUDGE: accuracy("validation", fixed), "held_out_dynamic": accuracy("validation")}
            found |= {"kept": kept, "open": used, "dynamic_macs": running}
            found |= {"spectrum": (place == torch.arange(BINS).unsqueeze(1)).float().mean(-1)}
            found |= dict.fromkeys(("weights_share", "macs_share", "bits_share"), share)
        return found


@dataclass(frozen=True)
class Gates(Spiral):
    """Look at the single gates while they learn, and at what holds exactly at every moment."""

    arms = {"activ": Arm("baseline", rate=0.01, **GATED), "polar": Conversion.arms["polar"]}
    outputs = {
        "gates": share("arm seed moment unit point", "open", "gates of the 72 units for 100 test points"),
        "variance_gap": Var("arm seed moment", "distance", "R_polar minus the mean variance of the gates, largest of all batches", low=0),
        "single": Var("arm seed moment", "R_polar", "largest R_polar of a batch of one", low=0),
        "cut_gap": Var("arm seed moment", "distance", "logits with closed units deleted minus those with gates closed, relative", low=0),
        "open_gap": Var("arm seed moment", "distance", "logits with all gates open minus those of a dense network, relative", low=0),
    }
    views = (
        View("Gates", (Images("Which gates are open?", "gates", by="moment", arm="activ"),
                       Images("And with polarization?", "gates", by="moment", arm="polar"))),
    )  # fmt: skip
    scaled = Conversion.scaled
    headline = "variance_gap"
    smoke = {"epochs": 2}

    def axes(self) -> dict[str, Axis]:
        """Four epochs; units and points of a picture."""
        moments = sorted({round(one * self.epochs / 60) for one in (0, 5, 60)} | {1})
        return {"moment": Axis(moments, unit="epochs", label="epoch"), "unit": Axis(range(BLOCKS * UNITS)), "point": Axis(range(POINTS))}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train both arms; points of a picture come class by class, each from the middle outward, its units by size."""
        points, moments = draw(seeds), list(self.axes()["moment"].values)
        train, (test, labels) = points["train"][0], (one[:, :POINTS] for one in points["test"])
        order = (10 * labels + test.norm(dim=-1)).argsort(-1)
        shown = test.gather(1, order.unsqueeze(-1).expand(-1, -1, 2))

        def measure(epoch: int, lanes: Lanes, network: Models) -> Frame:
            if epoch not in moments:
                return Frame({}, {})
            x, gates = lanes.repeat(shown), network(lanes.repeat(train))[1]
            batches, fixed = gates.unflatten(1, (-1, BATCH)), method.consensus(gates.mean(1))
            variance = batches.var(2, correction=0).mean(-1)
            picture = network(x)[1].mT
            rows = picture.mean(-1).argsort(-1, descending=True).unsqueeze(-1).expand(-1, -1, POINTS)
            found = {
                "gates": picture.gather(1, rows),
                "variance_gap": (method.polarization(batches) - variance).abs().amax(-1),
                "single": method.polarization(gates.unsqueeze(2)).amax(-1),
                "cut_gap": distance(network(x, fixed.unsqueeze(1))[0], plain(network, x, fixed)),
                "open_gap": distance(network(x, torch.ones_like(fixed).unsqueeze(1))[0], plain(network, x, torch.ones_like(fixed))),
            }
            at = {"arm": list(lanes.arms), "moment": moments.index(epoch)}
            return Frame(at, {name: lanes.split(values) for name, values in found.items()})

        yield from self.train(seeds, points["train"], self.arms, measure)


def plain(network: Models, x: Tensor, gates: Tensor) -> Tensor:
    """Return the logits of networks without gates, made of the units whose gate [M, 72] is open: [M, B, C]."""
    logits = []
    for m, row in enumerate(gates):
        h = x[m] @ network.trunk[m] + network.trunk_bias[m]
        for i, kept in enumerate(row.split(UNITS)):
            *branch, b0 = (one[m] for one in network.branch(i))
            a, a0, b = method.delete(kept, *branch)
            h = h + (h @ a + a0).relu() @ b + b0
        logits.append(h @ network.classifier[m] + network.classifier_bias[m])
    return torch.stack(logits)


def distance(one: Tensor, other: Tensor) -> Tensor:
    """Return the largest difference of logits, relative to the largest logit: [M, B, C] -> [M]."""
    return (one - other).abs().amax((1, 2)) / one.abs().amax((1, 2))


@dataclass(frozen=True)
class Sizes(Experiment):
    """Train dense networks with few units from scratch: how many does the spiral need?

    The learning rate of each size is the best of 0.002, 0.005, 0.01 and 0.02 on validation points.
    """

    epochs: int = knob(60, low=2, high=120, step=1, help="passes over the training points")

    outputs = {"accuracy": share("seed units", "test accuracy", "share of test points classified right")}
    views = (View("Sizes", (Curves("How many units does the spiral need?", ["accuracy"]),), 1, 2.7),)
    scaled = Conversion.scaled
    headline = "accuracy"
    smoke = {"epochs": 2}

    def axes(self) -> dict[str, Axis]:
        """Units of each block."""
        return {"units": Axis(list(BEST_RATES), label="units per block", log=True)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all sizes and seeds as one."""
        lanes = Lanes({str(n): Arm("further", closed=UNITS - n, rate=r) for n, r in BEST_RATES.items()}, seeds, {})
        network, points = Models(lanes, gated=False), draw(seeds)
        inputs, labels = points["train"]

        def losses(index: Tensor) -> Tensor:
            return metrics.nll(network(lanes.pick(inputs, index))[0], lanes.pick(labels, index))

        def measure(epoch: int) -> Frame:
            if epoch < self.epochs:
                return Frame({}, {})
            test, answers = (lanes.repeat(one) for one in points["test"])
            return Frame({}, {"accuracy": lanes.split(metrics.accuracy(network(test)[0], answers)).T})

        batches = minibatches(lanes, TRAIN, BATCH)
        yield from fit(adam(network, lanes.each("rate", 0)), losses, batches, measure, epochs=self.epochs)


EXPERIMENTS = (Conversion, Gates, Sizes)
