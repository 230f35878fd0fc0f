"""MaskSparsity: the experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned
from reglab.papers.weights._shared import cost
from reglab.papers.weights._shared.network import BatchNorm, Dense, Digits, digits, sgd
from reglab.papers.weights.mask_sparsity import method
from reglab.pictures import Curves, Dots, Histogram, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds
from reglab.training import Lanes, fit, minibatches, within

UNITS, TRAIN, BATCH = 48, 600, 50
"""Units of each of the two hidden layers, training digits, digits of a batch."""

FASTER, FASTEST = (0.02, 0.05, 0.1, 0.2), (0.05, 0.1, 0.2, 0.4, 0.8)
LAMBDAS, RATES, FAST = (0.003, 0.01, 0.03, 0.06, 0.1), (0.01, 0.02, 0.05, 0.1), tuned(0.1, FASTER, "held_out")
MAIN, COST = ("global", "mask", "random", "small dense"), ("mask", "cut at once", "small dense")


def normalizations(network: Dense) -> list[BatchNorm]:
    """Return the batch normalizations of the hidden layers, which hold γ and β [M, 1, D]."""
    return [norm for norm in network.norms if isinstance(norm, BatchNorm)]


def dense(lanes: Lanes, start: Dense | None = None) -> Dense:
    """Return networks 64-48-48-10 with batch normalization for all arms and seeds, new ones or copies of one arm's."""
    network = Dense((64, UNITS, UNITS, 10), lanes, normalized=True)
    if start is not None:
        network.load_state_dict({name: lanes.repeat(values) for name, values in start.state_dict().items()})
    return network


@torch.no_grad()
def evaluate(network: Dense, inputs: Tensor) -> Tensor:
    """Return logits with the running statistics: [M, N, 64] -> [M, N, 10]."""
    found = network.eval()(inputs)
    network.train()
    return found


def accuracies(network: Dense, lanes: Lanes, split: Digits, when: str = "") -> dict[str, Tensor]:
    """Return the accuracies on test and on validation digits: [A, S] each."""
    parts = {"accuracy": (split.test, split.test_labels), "held_out": (split.valid, split.valid_labels)}
    return {name + when: metrics.accuracy(lanes.split(evaluate(network, lanes.repeat(inputs))), labels)
            for name, (inputs, labels) in parts.items()}  # fmt: skip


def penalize(network: Dense, masks: Sequence[Tensor], strength: Tensor) -> None:
    """Add λ·M·sign(γ) to the stored gradients of γ: a mask [M, 1, D] for each hidden layer, λ [M, 1, 1]."""
    for norm, mask in zip(normalizations(network), masks, strict=True):
        if norm.gamma.grad is not None:
            norm.gamma.grad.add_(method.subgradient(norm.gamma.detach(), mask, strength))


def scale(network: Dense, rates: Tensor) -> None:
    """Multiply all stored gradients of each model by its own rate [M, 1, 1], which is what a learning rate does."""
    for values in network.parameters():
        if values.grad is not None:
            values.grad.mul_(rates)


@torch.no_grad()
def absorb(network: Dense, masks: Sequence[Tensor], constant: Callable[..., Tensor] = method.constant) -> None:
    """Let each next layer keep what masked units send when their γ is 0, in its running mean or its bias."""
    norms = normalizations(network)
    for layer, (norm, mask) in enumerate(zip(norms, masks, strict=True)):
        sent = constant(norm.beta, mask, network.weights[layer + 1])
        if layer + 1 < len(norms):
            norms[layer + 1].mean -= sent
        else:
            network.biases[0] += sent


def cut(network: Dense, masks: Sequence[Tensor]) -> Dense:
    """Return the networks without masked units, of which each model has equally many in a layer."""
    return network.cut([(~mask.squeeze(1)).nonzero()[:, 1].reshape(len(mask), -1) for mask in masks])


def train(
    network: Dense, lanes: Lanes, split: Digits, epochs: int, before: int = 0, *, rate: float, falling: bool = False,
    measure: Callable[[int], Frame] = lambda part: Frame({}, {}), parts: int = 1,
    gradients: Callable[..., None] | None = None, moved: Callable[..., None] | None = None,
) -> Iterator[Frame | Tick]:  # fmt: skip
    """Train on after `before` epochs, at a constant rate or one that falls to 0 along half a cosine.

    `gradients` is called before and `moved` after each step, `measure` after each of the `parts` of an epoch, which it
    counts from 0, before training, on. Weight decay 5e-4 is on weights only, not on γ and β.
    """
    steps, batches = epochs * (TRAIN // BATCH), minibatches(lanes, TRAIN, BATCH)
    optimizer = sgd(network, torch.full((len(lanes), 1, 1), 5e-4), rate=rate, steps=steps if falling else 0)
    if gradients is not None:
        optimizer.register_step_pre_hook(lambda *_: gradients())
    if moved is not None:
        optimizer.register_step_post_hook(lambda *_: moved())

    def losses(index: Tensor) -> Tensor:
        return metrics.nll(network(lanes.pick(split.train, index)), lanes.pick(split.train_labels, index))

    def some(part: int) -> Tensor:
        epoch, place = divmod(part - 1, parts)
        return batches(before + 1 + epoch).tensor_split(parts)[place]

    yield from fit(optimizer, losses, some, measure, epochs=parts * epochs)


@dataclass(frozen=True)
class Pruning(Experiment):
    """Train a network on digits, push some of its units towards zero, cut these units, and fine-tune what is left.

    600 training digits, 200 for validation, 597 for testing; two hidden layers of 48 units with batch normalization;
    SGD with momentum 0.9. Stage A, dense training, is shared by all arms. A first stage B with the global penalty, a
    run of its own, makes the mask; then all arms go through stage B, are cut, and are fine-tuned in stage D.
    """

    strength: float = knob(tuned(0.06, LAMBDAS, "held_out_cut"), stops=(0, *LAMBDAS), symbol="λ",
                           help="weight of the penalty, also in the run that makes the mask")  # fmt: skip
    ratio: float = knob(0.6, low=0, high=0.9, step=0.15, help="share of the units to be cut in each hidden layer")
    epochs_a: int = knob(20, low=1, high=40, step=1, label="dense epochs", help="passes of dense training (stage A)")
    epochs_b: int = knob(20, low=1, high=40, step=1, label="sparse epochs", help="passes with the penalty (stage B)")
    epochs_d: int = knob(10, low=1, high=40, step=1, label="tuning epochs", help="passes of fine-tuning (stage D)")
    rate: float = knob(tuned(0.02, RATES, "held_out"), stops=RATES, symbol="η", help="first rate of fine-tuning")
    absorb: bool = knob(False, help="the next layer keeps what dead units send")

    # fmt: off
    # `judge` is the λ of the run that makes the mask, for arms that are not penalized themselves
    arms = {
        "none": Arm("baseline", judge="strength", ratio="ratio", rate="rate"),
        "mask": Arm("method", strength="strength", ratio="ratio", rate="rate"),
        "global": Arm("ablation", strength="strength", everywhere=1, ratio="ratio", rate=FAST),
        "random": Arm("null", strength="strength", ratio="ratio", rate="rate", random=1),
        "cut at random": Arm("null", ratio="ratio", rate="rate", random=1),
        "anti-mask": Arm("ablation", strength="strength", ratio="ratio", rate="rate", largest=1),
        "cut at once": Arm("further", judge="strength", ratio="ratio", rate=FAST),
        "fade-out": Arm("rival", judge="strength", ratio="ratio", rate=FAST, fade=1),
        "small dense": Arm("rival", ratio="ratio", width="kept", rate=tuned(0.4, FASTEST, "held_out")),
    }
    # fmt: on
    outputs = {
        "kept_gamma": Var("arm seed epoch", "kept", "mean |γ| of the units that stay", low=0),
        "doomed_gamma": Var("arm seed epoch", "doomed", "mean |γ| of the units that will be cut", low=0),
        "gamma": Var("arm seed unit", "|γ|", "|γ| of every hidden unit before the cut", low=0),
        "loss_b": Var("arm seed", "training loss", "training loss before the cut", "nats", low=0),
        "accuracy_b": Var("arm seed", "test accuracy", "share of test digits classified right before the cut"),
        "accuracy_cut": Var("arm seed", "test accuracy", "share of test digits classified right after the cut"),
        "accuracy": Var("arm seed", "test accuracy", "share of test digits classified right after fine-tuning"),
        "held_out_cut": share("arm seed", "validation accuracy", "share of validation digits right after the cut"),
        "held_out": share("arm seed", "validation accuracy", "share of validation digits right after fine-tuning"),
        **cost.outputs(),
    }
    # fmt: off
    views = (
        View("The cut", tuple(
            Dots(question, name, (first, *MAIN)) for question, name, first in (
                ("Not yet cut?", "accuracy_b", "none"), ("Just cut?", "accuracy_cut", "none"),
                ("Fine-tuned?", "accuracy", "cut at once"))), columns=3),
        View("Scales", (
            Histogram("Which |γ| before the cut?", "gamma", "unit", ("global", "mask"), limits=(0, 2)),
            Curves("Who shrinks?", ["kept_gamma", "doomed_gamma"], ("global", "mask"), "mean |γ|"))),
        View("Masks and cost", (
            Dots("Just cut: which way is best?", "accuracy_cut", ("mask", "random", "anti-mask", "fade-out")),
            Scatter("What is lost at this cost?", "macs_share", "accuracy_change", "", COST))),
    )
    # fmt: on
    scaled = "deep networks on CIFAR-10 and ImageNet became two hidden layers on digits, channels became hidden units"
    headline = "accuracy"
    grid = {"strength": (0, *LAMBDAS), "ratio": (0.3, 0.45, 0.6, 0.75, 0.9)}
    smoke = {"epochs_a": 1, "epochs_b": 1, "epochs_d": 1}
    equals_baseline = (({"strength": 0}, "mask"), ({"ratio": 0}, "mask"))
    may_be_nan = ("kept_gamma", "doomed_gamma", "gamma", "loss_b")  # small dense has no stage B; nothing may be doomed

    def axes(self) -> dict[str, Axis]:
        """Half epochs of stage B; the units of both hidden layers."""
        units = Axis(range(2 * UNITS), label="hidden unit")
        halves = [half / 2 for half in range(2 * self.epochs_b + 1)]
        return {"epoch": Axis(halves, unit="epochs", label="epoch of stage B"), "unit": units}

    @property
    def kept(self) -> int:
        """Return how many units of a hidden layer stay, one at least."""
        return max(UNITS - round(self.ratio * UNITS), 1)

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train the dense network and the one that judges units; then cut the arms, and train the small network."""
        split, rest = digits(seeds, TRAIN), self.settings()
        one = Lanes({"dense": Arm("further")}, seeds, rest)
        start = dense(one)
        yield from within(train(start, one, split, self.epochs_a, rate=0.05, falling=True), 0, 0.15)
        two = Lanes({"dense": Arm("further"), "judge": Arm("further", strength="strength")}, seeds, rest)
        judges, strength = dense(two, start), two.each("strength")
        everybody = [torch.ones(1, 1, UNITS)] * 2
        yield from within(train(judges, two, split, self.epochs_b, self.epochs_a, rate=0.05,
                                gradients=lambda: penalize(judges, everybody, strength)), 0.15, 0.3)  # fmt: skip
        uncut = accuracies(judges, two, split)["accuracy"][0]
        sizes = [two.split(norm.gamma.detach().abs())[1] for norm in normalizations(judges)]
        pruned = {name: arm for name, arm in self.arms.items() if "width" not in arm.settings}
        if pruned:
            yield from within(self._prune(Lanes(pruned, seeds, rest), split, start, sizes, uncut), 0.3, 0.85)
        if narrow := {name: arm for name, arm in self.arms.items() if name not in pruned}:
            yield from within(self._small(Lanes(narrow, seeds, {**rest, "kept": self.kept}), split, uncut), 0.85, 1)

    def masks(self, lanes: Lanes, sizes: Sequence[Tensor]) -> list[Tensor]:
        """Return which units each arm cuts, from |γ| under the global penalty [S, 1, D]: [M, 1, D] of each layer."""
        random, largest, found = lanes.each("random") > 0, lanes.each("largest") > 0, []
        for layer, size in enumerate(sizes):
            drawn = lanes.repeat(data.normal(lanes.seeds, f"random mask {layer}", 1, UNITS)).to(size)
            judged = lanes.repeat(size)
            scores = torch.where(random, drawn, torch.where(largest, -judged, judged))
            found.append(method.smallest(scores, UNITS - self.kept))
        return found

    def _prune(self, lanes: Lanes, split: Digits, start: Dense, sizes: Sequence[Tensor],
               uncut: Tensor) -> Iterator[Frame | Tick]:  # fmt: skip
        """Go through stage B with all arms that are cut, cut them, and fine-tune them."""
        network, masks, arms = dense(lanes, start), self.masks(lanes, sizes), list(lanes.arms)
        strength, everywhere, rates = lanes.each("strength"), lanes.each("everywhere") > 0, lanes.each("rate")
        norms, doomed = normalizations(network), torch.cat(masks, 2).squeeze(1)
        fades = [(values, values.detach().clone(), mask & (lanes.each("fade") > 0))
                 for norm, mask in zip(norms, masks, strict=True) for values in (norm.gamma, norm.beta)]  # fmt: skip
        steps, done = self.epochs_b * (TRAIN // BATCH), 0

        @torch.no_grad()
        def fade() -> None:
            nonlocal done
            done += 1
            for values, begun, mask in fades:
                values.copy_(method.faded(begun, values, mask, done / steps))

        def measure(half: int) -> Frame:
            gamma = torch.cat([norm.gamma for norm in norms], 2).abs().squeeze(1)
            of = {"kept_gamma": ~doomed, "doomed_gamma": doomed}
            found = {name: lanes.split(metrics.mean_where(gamma, units)) for name, units in of.items()}
            if half == 2 * self.epochs_b:
                fitted = lanes.split(evaluate(network, lanes.repeat(split.train)))
                found |= {"gamma": lanes.split(gamma), "loss_b": metrics.nll(fitted, split.train_labels)}
                found["accuracy_b"] = accuracies(network, lanes, split)["accuracy"]
            return Frame({"arm": arms, "epoch": half}, found)

        def tuning(epoch: int) -> Frame:
            if epoch == 0:
                return Frame({"arm": arms}, accuracies(small, lanes, split, "_cut"))
            return Frame({"arm": arms}, self._ends(small, lanes, split, uncut) if epoch == self.epochs_d else {})

        penalized = [mask | everywhere for mask in masks]
        stage_b = train(network, lanes, split, self.epochs_b, self.epochs_a, rate=0.05, measure=measure,
                        parts=2, gradients=lambda: penalize(network, penalized, strength), moved=fade)  # fmt: skip
        yield from within(stage_b, 0, 0.75)
        if self.absorb:
            absorb(network, masks)
        small = cut(network, masks)
        stage_d = train(small, lanes, split, self.epochs_d, self.epochs_a + self.epochs_b, rate=1, falling=True,
                        measure=tuning, gradients=lambda: scale(small, rates))  # fmt: skip
        yield from within(stage_d, 0.75, 1)

    def _small(self, lanes: Lanes, split: Digits, uncut: Tensor) -> Iterator[Frame | Tick]:
        """Train the small network through all stages as one; it is never cut, so that it has one accuracy."""
        network, epochs = dense(lanes), self.epochs_a + self.epochs_b + self.epochs_d
        yield from train(network, lanes, split, epochs, rate=float(lanes.each("rate", 0)[0]), falling=True)
        found = self._ends(network, lanes, split, uncut)
        found |= {"accuracy_b": found["accuracy"], "accuracy_cut": found["accuracy"], "held_out_cut": found["held_out"]}
        yield Frame({"arm": list(lanes.arms)}, found)

    def _ends(self, network: Dense, lanes: Lanes, split: Digits, uncut: Tensor) -> dict[str, Tensor]:
        """Return the accuracy in the end, how far it is from that of the uncut network, and what is stored."""
        found = accuracies(network, lanes, split)
        stored = cost.count((64, self.kept, self.kept, 10)) / cost.count((64, UNITS, UNITS, 10))
        shares = {f"{name}_share": torch.full_like(found["accuracy"], stored) for name in ("weights", "macs", "bits")}
        return {**found, "accuracy_change": found["accuracy"] - uncut, **shares}


EXPERIMENTS = (Pruning,)
