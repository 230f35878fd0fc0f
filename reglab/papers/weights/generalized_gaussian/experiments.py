"""GG priors: the experiments."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from reglab import metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob
from reglab.papers.weights._shared import cost
from reglab.papers.weights._shared.network import Dense, Digits, digits, flat, largest, unflat
from reglab.papers.weights.generalized_gaussian import method
from reglab.pictures import Curves, Dots, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds
from reglab.training import Lanes, fit, minibatches, within

WIDTHS, TRAIN, ETA = (64, 64, 64, 10), 1000, 3e-3
"""The dense network, how many digits are learned, and the learning rate η of Adam."""

DENSE = cost.count(WIDTHS)
"""Bits are counted for each of so many weights of the dense network, also where a network has fewer."""

ROUNDINGS = tuple(k / 2 for k in range(-4, 13))
"""Roundings k: a step of 2^-k times the root mean square of all weights of a network."""

RATES, GRID = tuple(1.75 + 0.25 * i for i in range(12)), 2.0**-10
"""Bits a weight at which arms are compared; the grid of DeepShape, and the step at which its bits are counted."""

# fmt: off
FORMATS: dict[str, Callable[[Tensor], Tensor]] = {
    "float32": lambda w: w, "RF8": method.residual_float, "E4M3": method.scaled_e4m3, "INT8": method.int8,
    "one power of two": partial(method.residual_float, terms=1), "INT8 per unit": partial(method.int8, dims=(-2,)),
    "RF8, 16 octaves": partial(method.residual_float, octaves=16),
}
"""How arms of `Formats` round a matrix [..., in, out]."""

RESHAPED: dict[str, Callable[[Tensor], Tensor]] = {
    "DeepShape": partial(method.reshaped, grid=GRID), "× 0.6": lambda theta: 0.6 * theta,
    "same deviation": lambda theta: theta * (method.reshaped(theta, GRID).norm(dim=1) / theta.norm(dim=1)).unsqueeze(1),
}
"""How other arms change all parameters [M, n] together, before they are rounded to the grid."""
# fmt: on

NETWORKS = {"plain": Arm("baseline"), "BackSlash": Arm("method", gg="strength")}
RATED, SHAPED = (*NETWORKS, "L1", "pruned", "small dense"), (*NETWORKS, "no fine-tune", "GG start")
STRENGTHS = (0, 0.1, 0.3, 0.6, 1, 2, 3)


def load(layers: Sequence[Tensor] | nn.ParameterList, theta: Tensor) -> None:
    """Put rows [M, n] back into the layers."""
    for one, part in zip(layers, unflat(theta, layers), strict=True):
        one.copy_(part)


def accuracies(network: Dense, lanes: Lanes, split: Digits) -> list[Tensor]:
    """Return the accuracies on validation and on test digits: [M] each."""
    parts = (split.valid, split.valid_labels), (split.test, split.test_labels)
    return [metrics.accuracy(network(lanes.repeat(images)), lanes.repeat(labels)) for images, labels in parts]


def train(lanes: Lanes, split: Digits, measure: Callable[[int, Dense], Frame]) -> Generator[Frame | Tick, None, Dense]:
    """Train all arms and seeds as one, by Adam in batches of 100; measure after each half epoch; return the networks.

    Penalties act after each step on all parameters, until fine-tuning starts or, for arms with `always`, to the end.
    When it starts, arms with `keep` lose all but that share of their weights. Those with `still` learn nothing.
    """
    epochs, epsilon = lanes.knobs["epochs"], lanes.knobs["epsilon"]
    network, active = Dense(WIDTHS, lanes), max(1, epochs - lanes.knobs["fine_tune"])
    weights, parameters = list(network.weights), list(network.parameters())
    shapes, gg, l1, l2, keep, always = (lanes.each(one) for one in ("shape", "gg", "l1", "l2", "keep", "always"))
    learns, where = 1 - lanes.each("still", 0), gg.flatten().nonzero().flatten()
    for weight, fan in zip(weights, WIDTHS, strict=False):
        for m in (shapes.flatten() % 2).nonzero().flatten():  # shape 2 is the law that they have
            weight.data[m] = method.start(weight.data[m] * (fan / 2) ** 0.5, shapes[m], fan)
    mask, rate = torch.ones_like(flat(weights)), torch.zeros_like(gg)
    optimizer, batches = torch.optim.Adam(parameters, lr=ETA), minibatches(lanes, TRAIN, 100)

    @torch.no_grad()
    def penalize(*_: object) -> None:
        theta = flat(one[where] for one in parameters)
        nu = method.estimate(theta, theta.shape[1])[:, None, None]
        for one in parameters:
            one[where] = method.penalized(one[where], nu, (rate * gg)[where], epsilon)
            one.sub_(rate * (l1 * one.sign() + 2 * l2 * one))
        load(weights, flat(weights) * mask)

    def losses(index: Tensor) -> Tensor:
        return learns * metrics.nll(network(lanes.pick(split.train, index)), lanes.pick(split.train_labels, index))

    def after(half: int) -> Frame:
        rate.copy_(ETA * ((always > 0) | (half < 2 * active)))
        if half == 2 * active:
            mask.copy_(flat(largest(weights, keep.flatten())) | (keep[:, 0] == 0))
            load(weights, flat(weights) * mask)
        return measure(half, network)

    optimizer.register_step_post_hook(penalize)
    yield from fit(optimizer, losses, lambda half: batches((half + 1) // 2).tensor_split(2)[(half + 1) % 2], after,
                   epochs=2 * epochs)  # fmt: skip
    return network


@dataclass(frozen=True)
class Compression(Experiment):
    """Learn digits with and without a penalty on the rate of the weights, round them, and count bits and errors.

    Network 64-64-64-10. A network is rounded at the setting k of its arm: the coarsest at which its accuracy on the
    validation digits, mean over building seeds, is at most 0.01 below that of `plain` without rounding.
    """

    strength: float = knob(1.0, stops=STRENGTHS, symbol="λ", help="weight of BackSlash's penalty")
    start_shape: float = knob(2.0, low=0.4, high=2.4, step=0.1, symbol="ν₀", help="shape of BackSlash's first weights")
    epsilon: float = knob(1.0, stops=(1e-3, 1e-2, 0.1, 1), symbol="ε", label="added to |θ| in the penalty")
    fine_tune: int = knob(5, low=0, high=10, step=1, help="last epochs without penalty")
    epochs: int = knob(20, low=1, high=20, step=1, help="passes over the training digits")

    # fmt: off
    arms = {
        "plain": Arm("baseline", k=1), "BackSlash": Arm("method", gg="strength", shape="start_shape", k=0.5),
        "no fine-tune": Arm("ablation", gg="strength", shape="start_shape", always=1, k=1),
        "GG start": Arm("ablation", shape=1, k=1),
        "L1": Arm("rival", l1=0.45, k=0.5), "small dense": Arm("rival", width=32, k=2.5),
        "L2": Arm("further", l2=1, k=0.5), "pruned": Arm("further", keep=0.4, k=0.5),
        "scale": Arm("null", scale=0.6, k=1), "untrained": Arm("null", shape=0.5, still=1, k=0.5),
    }
    outputs = {
        "nu": Var("arm seed epoch", "shape ν̂", "shape of the generalized Gaussian nearest to all parameters", low=0),
        "bits_fixed": Var("arm seed epoch", "bits, step 2⁻⁸", "exp-Golomb bits a weight, rounded to 2^-8", "bits", 0),
        "test_accuracy": share("arm seed", "test accuracy", "share of test digits classified right, not rounded"),
        "curve_bits": Var("arm seed rounding", "bits a weight", "exp-Golomb bits at each rounding", "bits", low=0),
        "curve_validation": share("arm seed rounding", "validation accuracy", "share of validation digits right"),
        "accuracy_at": Var("arm seed rate", "test accuracy", "share of test digits right, rounded to a rate"),
        "bits": Var("arm seed", "bits a weight", "exp-Golomb bits at the arm's rounding", "bits", low=0),
        "entropy": Var("arm seed", "entropy", "bits of an ideal code at the arm's rounding", "bits", low=0),
        "weights": Var("arm seed weight", "weight / rms", "some weights over the root mean square of all"),
        **cost.outputs(),
    }
    views = (
        View("Bits", (Curves("How right at how many bits?", ["accuracy_at"], RATED),
                      Dots("How many bits at its rounding?", "bits", (*RATED, "L2", "no fine-tune")))),
        View("Shape", (Curves("Which shape do weights have?", ["nu"], SHAPED),
                       Curves("How many bits at a fixed step?", ["bits_fixed"], SHAPED))),
        View("Cost", (Scatter("What does it cost?", "bits_share", "accuracy_change", arms=RATED),
                      Dots("What would an ideal code need?", "entropy", (*RATED, "L2", "no fine-tune")))),
    )
    # fmt: on
    scaled = "large language models became a network of 8832 weights on digits; penalty, start and formats are kept"
    headline = "bits"
    grid = {"strength": STRENGTHS, "start_shape": (0.4, 0.8, 1.2, 1.6, 2)}
    smoke = {"epochs": 1}
    equals_baseline = (({"strength": 0, "start_shape": 2}, "no fine-tune"),)

    def axes(self) -> dict[str, Axis]:
        """Half epochs from 0 on, roundings, rates, and every 22nd weight."""
        halves = [half / 2 for half in range(2 * self.epochs + 1)]
        epochs, rates = Axis(halves, "epochs", "epoch"), Axis(RATES, "bits", "bits a weight")
        return {"epoch": epochs, "rounding": Axis(ROUNDINGS), "rate": rates, "weight": Axis(range(0, DENSE, 22))}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame for each half epoch, and one with all roundings."""
        lanes, split = Lanes({"plain": Arm("baseline"), **self.arms}, seeds, self.settings()), digits(seeds, TRAIN)
        width, factor = (lanes.each(name, 0) for name in ("width", "scale"))
        width, factor = torch.where(width > 0, width, 64), torch.where(factor > 0, factor, 1)[:, None, None]
        own = width * (64 + width + 10)

        def shrunk(trained: Dense) -> tuple[Dense, Tensor]:
            network = copy.deepcopy(trained).requires_grad_(False)
            for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True), 1):
                weight *= factor
                bias *= factor**layer
            return network, flat(network.weights)

        def rate(q: Tensor) -> Tensor:
            return (method.lengths(q).sum(1) - DENSE + own) / DENSE  # without the zeros of units that do not exist

        def frame(found: dict[str, Tensor], **at: int) -> Frame:
            # `plain` is trained also where other arms alone are asked for
            return Frame(at, {name: lanes.split(one)[-len(self.arms) :] for name, one in found.items()})

        def measure(half: int, trained: Dense) -> Frame:
            network, theta = shrunk(trained)
            nu = method.estimate(flat(network.parameters()), own + 2 * width + 10)
            return frame({"nu": nu, "bits_fixed": rate((theta * 256).round())}, epoch=half)

        network, theta = shrunk((yield from within(train(lanes, split, measure), 0, 0.7)))
        test, rms, curves = accuracies(network, lanes, split)[1], (theta.square().sum(1) / own).sqrt()[:, None], []
        for i, k in enumerate(ROUNDINGS):
            q = (theta / (rms * 2**-k)).round()
            load(network.weights, q * (rms * 2**-k))
            coded = rate(q), method.entropy(q, own) * own / DENSE, (q != 0).sum(1) / DENSE
            curves.append((*coded, *accuracies(network, lanes, split)))
            yield Tick(0.7 + 0.3 * i / len(ROUNDINGS))
        bits, entropy, stored, curve_valid, curve_test = (torch.stack(one, 1) for one in zip(*curves, strict=True))
        place = ((lanes.each("k", 0) - ROUNDINGS[0]) * 2).long().unsqueeze(1)
        dense = test[: len(seeds)].repeat(len(lanes.arms)).unsqueeze(1)
        at = {"bits": bits, "entropy": entropy, "accuracy_change": curve_test - dense, "weights_share": stored}
        found = {name: one.gather(1, place).squeeze(1) for name, one in at.items()}
        found |= {"curve_bits": bits, "curve_validation": curve_valid, "weights": theta[:, ::22] / rms}
        found |= {"test_accuracy": test, "accuracy_at": method.at_rates(bits, curve_test, torch.tensor(RATES))}
        yield frame(found | {"macs_share": found["weights_share"], "bits_share": found["bits"] / 32})


@dataclass(frozen=True)
class Formats(Experiment):
    """Round the weights of trained networks, without and with BackSlash, to 8-bit numbers, or reshape them."""

    strength: float = knob(1.0, stops=STRENGTHS, symbol="λ", help="weight of BackSlash's penalty")
    epochs: int = knob(20, low=1, high=20, step=1, help="passes over the training digits")

    # fmt: off
    arms = {
        "float32": "baseline", "RF8": "method", "E4M3": "rival", "INT8 per unit": "rival", "INT8": "further",
        "one power of two": "ablation", "RF8, 16 octaves": "ablation",
        "DeepShape": "further", "same deviation": "further", "× 0.6": "null",
    }
    outputs = {
        "change": Var("arm seed network", "change of accuracy", "test accuracy minus that in float32"),
        "error": Var("arm seed network", "relative error", "mean of |Q(w) - w|/|w| over weights that are not 0"),
        "bits": Var("arm seed network", "bits a weight", "exp-Golomb bits at step 2^-10", "bits", low=0),
    }
    views = (
        View("Formats", tuple(Dots(f"{one}: what does a format cost?", "change", (*FORMATS,), at={"network": one})
                              for one in NETWORKS)),
        View("Reshaping", tuple(Dots(f"{one}: {question}", name, ("float32", *RESHAPED), at={"network": one})
                                for one in NETWORKS
                                for question, name in (("how many bits?", "bits"), ("what is lost?", "change")))),
    )
    # fmt: on
    scaled = "large language models became a network of 8832 weights on digits; DeepShape's grid is 2^-10, not 2^-13"
    headline = "change"
    smoke = {"epochs": 1}

    def axes(self) -> dict[str, Axis]:
        """Return the networks whose weights are changed."""
        return {"network": Axis((*NETWORKS,))}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train both as one; a frame for each arm."""
        lanes, split = Lanes(NETWORKS, seeds, Compression().settings() | self.settings()), digits(seeds, TRAIN)
        network = (yield from train(lanes, split, lambda *_: Frame({}, {}))).requires_grad_(False)
        before, old, changed = accuracies(network, lanes, split)[1], flat(network.weights), copy.deepcopy(network)
        for arm in self.arms:
            if arm in FORMATS:
                load([*changed.parameters()], flat([*map(FORMATS[arm], network.weights), *network.biases]))
            else:
                load([*changed.parameters()], (RESHAPED[arm](flat(network.parameters())) / GRID).round() * GRID)
            new = flat(changed.weights)
            error, bits = (new - old).abs() / old.abs(), method.lengths((new / GRID).round()).to(new).mean(1)
            found = {"error": metrics.mean_where(error, old != 0), "bits": bits}
            found["change"] = accuracies(changed, lanes, split)[1] - before
            yield Frame({"arm": arm}, {name: lanes.split(one).T for name, one in found.items()})


EXPERIMENTS = (Compression, Formats)
