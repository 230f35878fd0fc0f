"""GG priors: the experiments."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from reglab import metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob
from reglab.papers.weights._shared import cost
from reglab.papers.weights._shared.network import Dense, Digits, digits, largest
from reglab.papers.weights.generalized_gaussian import method
from reglab.pictures import Curves, Dots, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds
from reglab.training import Lanes, fit, minibatches

WIDTHS, ETA, TRAIN = (64, 64, 64, 10), 3e-3, 1000
"""The dense network, the learning rate of Adam, and how many digits are learned."""

DENSE = cost.count(WIDTHS)

ROUNDINGS = tuple(k / 2 for k in range(-4, 13))
"""Steps of rounding: 2^-k times the root mean square of all weights of a network."""

RATES = tuple(1.25 + 0.25 * i for i in range(15))


def flat(values: list[Tensor]) -> Tensor:
    """Return what belongs to the layers as one row for each model: [M, ...] each -> [M, n]."""
    return torch.cat([one.flatten(1) for one in values], 1)


def train(
    lanes: Lanes, split: Digits, epochs: int, fine_tune: int, epsilon: float, measure: Callable[[int, Dense], Frame]
) -> Generator[Frame | Tick, None, Dense]:
    """Train all arms and seeds as one: Adam on 1000 digits in batches of 100; return the networks.

    Penalties act after each step on all parameters, in the first epochs or, where the arm says `always`, in all; when
    fine-tuning starts, arms with `keep` are pruned to so large a share of weights.
    """
    network, active = Dense(WIDTHS, lanes), max(1, epochs - fine_tune)
    shapes = lanes.each("shape")
    with torch.no_grad():
        for weight, fan in zip(network.weights, WIDTHS, strict=False):
            for m in (shapes.flatten() > 0).nonzero():
                weight[m] = method.start(weight[m] * (fan / 2) ** 0.5, shapes[m], fan)
    weights, everything = list(network.weights), list(network.parameters())
    l1, l2, keep, always = (lanes.each(one) for one in ("l1", "l2", "keep", "always"))
    gg = lanes.each("gg")
    where = (gg.flatten() > 0).nonzero().flatten()
    learns = 1 - lanes.each("still", 0)
    masks = [torch.ones_like(weight) for weight in weights]
    optimizer = torch.optim.Adam(everything, lr=ETA)
    batches, epoch_now = minibatches(lanes, TRAIN, 100), 0

    @torch.no_grad()
    def penalize(*_: object) -> None:
        on = torch.where(always > 0, 1.0, float(epoch_now <= active))
        if len(where) and bool(on[where].any()):
            nu = shape_of([one[where] for one in everything])[:, None, None]
            for one in everything:
                one[where] = method.penalized(one[where], nu, (ETA * on * gg)[where], epsilon)
        for one in everything:
            one -= ETA * on * (l1 * one.sign() + 2 * l2 * one)
        for weight, mask in zip(weights, masks, strict=True):
            weight *= mask

    optimizer.register_step_post_hook(penalize)

    def begin(epoch: int) -> Tensor:
        nonlocal epoch_now
        epoch_now = epoch
        return batches(epoch)

    def losses(index: Tensor) -> Tensor:
        logits = network(lanes.pick(split.train, index))
        return learns * metrics.nll(logits, lanes.pick(split.train_labels, index))

    def after(epoch: int) -> Frame:
        if epoch == active:
            for kept, mask, weight in zip(largest(weights, keep.flatten()), masks, weights, strict=True):
                mask.copy_(kept | (keep == 0))
                weight *= mask
        return measure(epoch, network)

    yield from fit(optimizer, losses, begin, after, epochs=epochs)
    return network


def shape_of(parameters: list[Tensor], count: Tensor | int | None = None) -> Tensor:
    """Return ν̂ over all parameters of each model [M], of which there are `count`."""
    theta = flat(parameters)
    return method.estimate(theta.square().sum(1), theta.abs().sum(1), theta.shape[1] if count is None else count)


@dataclass(frozen=True)
class Compression(Experiment):
    """Learn digits with and without a penalty on the rate of the weights, round them, and count bits and errors.
    """

    strength: float = knob(0.6, stops=(0, 0.1, 0.3, 0.6, 1, 2, 3), symbol="λ", help="weight of the rate in BackSlash")
    start_shape: float = knob(2, low=0.4, high=2.4, step=0.1, symbol="ν₀", help="shape of BackSlash's first weights")
    epsilon: float = knob(1, stops=(1e-3, 1e-2, 0.1, 1), symbol="ε", help="added to |θ| in BackSlash's penalty")
    fine_tune: int = knob(5, low=0, high=10, step=1, help="last epochs without penalty")
    epochs: int = knob(20, low=1, high=20, step=1, help="passes over the training digits")

    arms = {
        "none": Arm("baseline", k=1),
        "BackSlash": Arm("method", gg="strength", shape="start_shape", k=0),
        "no fine-tune": Arm("ablation", gg="strength", shape="start_shape", always=1, k=0),
        "GG start": Arm("ablation", shape=1, k=1.5),
        "L1": Arm("rival", l1=0.45, k=0),
        "L2": Arm("further", l2=1, k=0),
        "pruned": Arm("further", keep=0.4, k=1),
        "small dense": Arm("rival", width=36, k=1.5),
        "scale": Arm("null", scale=0.6, k=1),
        "untrained": Arm("null", shape=0.5, still=1, k=0),
    }
    outputs = {
        "nu": Var("arm seed epoch", "shape ν̂", "shape of the generalized Gaussian nearest to all parameters", low=0),
        "bits_fixed": Var("arm seed epoch", "bits at step 2⁻⁸", "exp-Golomb bits a dense weight at step 2^-8", low=0),
        "test_accuracy": share("arm seed", "test accuracy", "share of test digits classified right, not rounded"),
        "valid_accuracy": share("arm seed", "validation accuracy", "share of validation digits, not rounded"),
        "curve_bits": Var("arm seed rounding", "bits", "exp-Golomb bits a dense weight", low=0),
        "curve_entropy": Var("arm seed rounding", "entropy", "entropy in bits a dense weight", low=0),
        "curve_accuracy": share("arm seed rounding", "test accuracy", "share of test digits, rounded weights"),
        "curve_validation": share("arm seed rounding", "validation accuracy", "share of validation digits, rounded"),
        "accuracy_at": share("arm seed rate", "test accuracy", "share of test digits at a rate"),
        "bits": Var("arm seed", "bits a weight", "exp-Golomb bits a dense weight at the arm's rounding", low=0),
        "entropy": Var("arm seed", "entropy", "entropy in bits a dense weight at the arm's rounding", low=0),
        "rounded_accuracy": share("arm seed", "test accuracy", "share of test digits at the arm's rounding"),
        "weights": Var("arm seed weight", "weight / rms", "every 22nd weight over the root mean square of all"),
        **cost.outputs(),
    }
    views = (
        View("Bits", (Curves("How right at how many bits?", ["accuracy_at"], ("none", "BackSlash", "L1", "pruned", "small dense")),)),
    )
    headline = "bits"
    grid = {"strength": (0, 0.1, 0.3, 0.6, 1, 2, 3), "start_shape": (0.4, 0.8, 1.2, 1.6, 2)}
    smoke = {"epochs": 1}
    equals_baseline = (({"strength": 0, "start_shape": 2}, "BackSlash"),)

    def axes(self) -> dict[str, Axis]:
        """Epochs from 0 on; roundings k; rates; a sample of weights."""
        return {"epoch": Axis(range(self.epochs + 1), unit="epochs", label="epoch"),
                "rounding": Axis(ROUNDINGS, label="rounding k"), "rate": Axis(RATES, unit="bits", label="bits a weight"),
                "weight": Axis(range(len(range(0, DENSE, 22))))}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame for each epoch, with rounding in the last one."""
        lanes, split = self.lanes(seeds), digits(seeds, TRAIN)
        used, shrink = torch.ones(0), torch.where(lanes.each("scale") > 0, lanes.each("scale"), 1.0)
        width = lanes.each("width", 0)
        count = torch.where(width > 0, width * (64 + width + 10), float(DENSE))
        biases = torch.where(width > 0, 2 * width + 10, 138.0)
        chosen = ((lanes.each("k", 0) - ROUNDINGS[0]) * 2).long().unsqueeze(1)
        unseen = lanes.repeat(torch.cat([split.valid, split.test], 1))

        def accuracy(network: Dense) -> tuple[Tensor, Tensor]:
            logits = lanes.split(network(unseen))
            return (metrics.accuracy(logits[..., :200, :], split.valid_labels).flatten(),
                    metrics.accuracy(logits[..., 200:, :], split.test_labels).flatten())

        def measure(epoch: int, trained: Dense) -> Frame:
            nonlocal used
            network = copy.deepcopy(trained)
            for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
                weight *= shrink
                bias *= shrink ** (i + 1)
            theta = flat(list(network.weights))
            if epoch == 0:
                used = theta != 0
            rms = (theta.square().sum(1) / count).sqrt()[:, None]

            def rate(q: Tensor) -> Tensor:
                return (method.lengths(q) * used).sum(1) / DENSE

            found = {"nu": shape_of(list(network.parameters()), count + biases), "bits_fixed": rate((theta * 256).round())}
            if epoch == self.epochs:
                valid, test = accuracy(network)
                curves: list[tuple[Tensor, ...]] = []
                for k in ROUNDINGS:
                    step = rms * 2**-k
                    q = (theta / step).round()
                    parts = (q * step).split([w[0].numel() for w in network.weights], 1)
                    for weight, part in zip(network.weights, parts, strict=True):
                        weight.copy_(part.reshape(weight.shape))
                    stored = (q != 0).sum(1) / DENSE
                    curves.append((rate(q), method.entropy(q, used) * count / DENSE, *accuracy(network), stored))
                bits, entropies, valids, tests, stored = (torch.stack(one, 1) for one in zip(*curves, strict=True))
                rounded = tests.gather(1, chosen)[:, 0]
                dense = test[: len(seeds)].repeat(len(lanes.arms))
                found |= {"test_accuracy": test, "valid_accuracy": valid, "curve_bits": bits, "curve_entropy": entropies,
                          "curve_accuracy": tests, "curve_validation": valids, "bits": bits.gather(1, chosen)[:, 0],
                          "entropy": entropies.gather(1, chosen)[:, 0], "rounded_accuracy": rounded,
                          "accuracy_at": method.at_rates(bits, tests, torch.tensor(RATES)),
                          "weights": theta[:, ::22] / rms, "accuracy_change": rounded - dense,
                          "weights_share": stored.gather(1, chosen)[:, 0], "macs_share": stored.gather(1, chosen)[:, 0],
                          "bits_share": bits.gather(1, chosen)[:, 0] / 32}
            return Frame({"epoch": epoch}, {name: lanes.split(one) for name, one in found.items()})

        yield from train(lanes, split, self.epochs, self.fine_tune, self.epsilon, measure)


EXPERIMENTS = (Compression,)
