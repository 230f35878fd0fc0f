"""PS-KD: the experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned
from reglab.models import replicas
from reglab.papers.labels.self_distillation import method
from reglab.pictures import Curves, Dots, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator
from reglab.training import Lanes, fit, minibatches

CLASSES, DIMENSIONS, TRAIN, TEST = 10, 20, 500, 2000
"""The mixture: classes, dimensions, training (and validation) points, test points."""

GROUPS = ("hard", "easy")
DECAYS = (5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 3e-2, 5e-2)
CONFIDENCES, COVERAGES = tuple((b + 0.5) / 10 for b in range(10)), tuple(k / 20 for k in range(1, 21))

CURVE = "arm seed epoch"
SHOWN, TAUGHT = ("CE", "PS-KD", "label smoothing"), ("PS-KD", "fixed α", "label smoothing", "another's memory")
LEARNED = ("CE", "PS-KD", "fixed α", "label smoothing", "more decay", "another's memory")

Points = tuple[Tensor, Tensor, Tensor]
"""Points of S seeds: inputs [S, n, D], labels [S, n], Bayes logits [S, n, C]."""


def mixture(seeds: Seeds) -> list[Points]:
    """Draw ten Gaussian classes in 20 dimensions for training, validation and test.

    Means have norm 2.5, covariances are the identity, priors are equal. Since all means have one norm, the Bayes
    posterior is softmax(x·μ_c).
    """
    means = data.normal(seeds, "means", CLASSES, DIMENSIONS)
    means *= 2.5 / means.norm(dim=-1, keepdim=True)
    found = []
    for part, count in (("training", TRAIN), ("validation", TRAIN), ("test", TEST)):
        drawn = [torch.randint(CLASSES, (count,), generator=generator(seed, f"{part} labels")) for seed in seeds]
        labels = torch.stack(drawn)
        inputs = means[torch.arange(len(seeds)).unsqueeze(1), labels] + data.normal(seeds, part, count, DIMENSIONS)
        dtype = torch.get_default_dtype()
        found.append((inputs.to(dtype), labels, (inputs @ means.mT).to(dtype)))
    return found


def distill(
    lanes: Lanes, train: Points, rate: Callable[[int], float], noise: float, epochs: int,
    measure: Callable[[int, nn.Module, dict[str, Tensor]], Frame],
) -> Iterator[Frame | Tick]:  # fmt: skip
    """Train a network 20-128-10 with ReLU for each arm and seed, towards targets that mix labels and past predictions.

    SGD with momentum 0.9, batches of 50, learning rate `rate(epoch)`; fresh input noise at every visit. Past
    predictions are those of the training passes of the epoch before, and in the first epoch the labels. After each
    epoch `measure` gets the epoch, the M models and, of that epoch, their `targets`, the past predictions in them
    (`before`, in the null those of another point), the new ones (`now`) [M, N, C] each, and the weights `alpha`.
    """
    inputs, labels, _ = train
    layers, trained = list[nn.Module](), 1 - lanes.each("constant")
    for wide, narrow in ((DIMENSIONS, 128), (128, CLASSES)):
        drawn = data.normal(lanes.seeds, f"weights {wide}", wide, narrow).to(inputs) * (2 / wide) ** 0.5
        layers += [
            replicas.Linear(trained * lanes.repeat(drawn), inputs.new_zeros(len(lanes), 1, narrow)),
            nn.ReLU(inplace=True),
        ]
    network = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    grows, foreign, decay = (lanes.each(setting) for setting in ("grows", "foreign", "decay"))
    # in double precision, so that the size of a small gradient keeps its digits
    last, epsilon = (lanes.each(setting, dtype=torch.float64) for setting in ("alpha", "epsilon"))
    hard = method.smoothed(lanes.repeat(F.one_hot(labels, CLASSES)), epsilon)
    state = {"targets": hard, "before": hard, "now": hard.clone(), "alpha": torch.zeros_like(last)}
    row, noisy, batches = torch.arange(len(lanes)).unsqueeze(1), inputs, minibatches(lanes, TRAIN, 50)

    def begin(epoch: int) -> Tensor:
        nonlocal noisy
        keys = data.normal(lanes.seeds, f"partners {epoch}", TRAIN)
        others = torch.stack([method.partners(*one) for one in zip(labels, keys, strict=True)])
        whose = torch.where(foreign[..., 0] > 0, lanes.repeat(others), torch.arange(TRAIN))
        state["before"] = state["now"][row, whose]
        state["alpha"] = torch.where(grows > 0, method.growing(last, epoch, epochs), last)
        state["targets"] = method.soft_targets(hard, state["before"], state["alpha"])
        noisy = inputs + noise * data.normal(lanes.seeds, f"input noise {epoch}", TRAIN, DIMENSIONS).to(inputs)
        optimizer.param_groups[0]["lr"] = rate(epoch)
        return batches(epoch)

    def losses(index: Tensor) -> Tensor:
        seen, logits = (row, lanes.repeat(index)), network(lanes.pick(noisy, index))
        state["now"][seen] = logits.detach().double().softmax(-1)
        squared = torch.stack([weights.square().sum((1, 2)) for weights in network.parameters()]).sum(0)
        loss = method.cross_entropy(logits, state["targets"][seen].to(logits)) + decay.flatten() / 2 * squared
        return trained.flatten() * loss

    yield from fit(optimizer, losses, begin, lambda epoch: measure(epoch, network, state), epochs=epochs)


def scores(validation: Tensor, test: Tensor, held_out: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Measure what is made of logits on validation and test points, [..., n, C], whose labels are [S, n]: [...] each.

    One temperature for each [...], fitted on the validation points, gives the scaled scores.
    """
    temperature = metrics.best_temperature(validation, held_out)[..., None, None]
    sure, right = metrics.confidence(test, labels)
    risks = metrics.risks(sure, right)
    return {
        "error": 1 - metrics.accuracy(test, labels),
        "nll_scaled": metrics.nll(test / temperature, labels),
        "held_out": -metrics.nll(validation / temperature, held_out),
        "ece": 100 * metrics.ece(sure, right),
        "ece_scaled": 100 * metrics.ece(*metrics.confidence(test / temperature, labels)),
        "aurc": 1000 * metrics.aurc(sure, right),
        "bin_accuracy": metrics.confidence_bins(sure, right).accuracy,
        "risk": risks[..., [max(round(c * risks.shape[-1]), 1) - 1 for c in COVERAGES]],
    }


def known(points: Points) -> Tensor:
    """Return the Bayes posterior of each point's true class: [S, n]."""
    return points[2].softmax(-1).gather(-1, points[1].unsqueeze(-1)).squeeze(-1)


def quarters(values: Tensor, points: Points) -> Tensor:
    """Return the sums of values over the hard and the easy quarter of the points: [A, S, n] -> [A, S, 2].

    These have the lowest and the highest Bayes posterior of their true class: who is hard for the network itself in one
    epoch comes back to the mean in the next.
    """
    order, size = known(points).argsort(-1).expand(values.shape), values.shape[-1] // 4
    return torch.stack([values.gather(-1, part).sum(-1) for part in (order[..., :size], order[..., -size:])], -1)


def memory_rank(taught: Tensor, points: Points) -> Tensor:
    """Correlate targets of the true class with its Bayes posterior: [A, S, N] -> [A, S].

    Spearman's correlation within each class, averaged over classes; NaN where all targets of a class are equal.
    """
    posterior, found = known(points), []
    for seed, of_seed in enumerate(F.one_hot(points[1], CLASSES).bool()):
        pairs = ((taught[:, seed, of_class], posterior[seed, of_class]) for of_class in of_seed.unbind(-1))
        found.append(torch.stack([metrics.rank_correlation(*pair) for pair in pairs]).mean(0))
    return torch.stack(found, 1)


@dataclass(frozen=True)
class Distillation(Experiment):
    """Learn ten Gaussian classes with a network's own past predictions as targets, and measure its confidences.

    500 training and 500 validation points; 2000 test points. Learning rate 0.1, a tenth after half of the epochs, a
    hundredth after three quarters. The rivals' strengths are chosen by the scaled NLL on the validation points; the
    default α_T = 0.8 is the paper's. All arms of a seed share points, first weights, batches and input noise.
    """

    alpha: float = knob(0.8, low=0, high=1, step=0.1, symbol="α", label="past predictions", help="last weight, α_T")
    decay: float = knob(0.01, stops=DECAYS, help="weight decay; the default is best for the raw NLL of CE")
    noise: float = knob(0.4, low=0, high=1, step=0.1, help="standard deviation of the input noise in training")
    epochs: int = knob(60, low=2, high=120, step=1, help="passes over the training points")

    arms = {
        "CE": Arm("baseline", decay="decay"),
        "PS-KD": Arm("method", decay="decay", alpha="alpha", grows=1),
        "fixed α": Arm("ablation", decay="decay", alpha=tuned(0.8, (0.2, 0.4, 0.6, 0.8, 0.9), "held_out")),
        "label smoothing": Arm("rival", decay="decay", epsilon=tuned(0.4, (0.05, 0.1, 0.2, 0.4, 0.6), "held_out")),
        "more decay": Arm("rival", decay=tuned(0.05, (0.01, 0.02, 0.03, 0.05, 0.1), "held_out")),
        "another's memory": Arm("null", decay="decay", alpha="alpha", grows=1, foreign=1),
        "constant": Arm("null", constant=1),
    }
    outputs = {
        "error": Var("arm seed", "test error", "share of test points classified wrong"),
        "nll_scaled": Var("arm seed", "NLL, scaled", "NLL with the temperature fitted on validation points", "nats"),
        "held_out": Var("arm seed", "validation score", "minus the scaled NLL on the validation points", "nats"),
        "ece": Var("arm seed", "ECE", "expected calibration error, ten bins", "%", low=0),
        "ece_scaled": Var(
            "arm seed", "ECE, scaled", "ECE with the temperature fitted on validation points", "%", low=0
        ),
        "aurc": Var("arm seed", "AURC × 1000", "area under the risk-coverage curve, times 1000"),
        "memory_rank": Var("arm seed", "rank correlation", "target of the true class with its Bayes posterior"),
        "target": share(f"{CURVE} group", "target", "mean target of the true class, a quarter of the training points"),
        "bin_accuracy": share("arm seed bin", "accuracy", "share of right predictions in a bin of confidence"),
        "calibrated": share("bin", "calibrated", "accuracy that equals the confidence"),
        "risk": Var("arm seed coverage", "errors above Bayes", "share of errors among the surest points, above Bayes"),
        "aurc_above": Var(
            "arm seed", "AURC × 1000, above Bayes", "AURC, times 1000, above that of the Bayes posterior"
        ),
        "nll_above": Var("arm seed", "scaled NLL above Bayes", "scaled NLL above that of the Bayes posterior", "nats"),
    }
    # fmt: off
    views = (
        View("Confidence", (
            Curves("Does it come true?", ["bin_accuracy"], SHOWN, theory="calibrated"),
            Dots("How far off is it?", "ece", LEARNED),
            Curves("How many errors too many?", ["risk"], (*SHOWN, "another's memory")),
            Dots("Who knows what it knows?", "aurc_above", LEARNED))),
        View("One temperature each", (Dots("How far off is it then?", "ece_scaled", LEARNED),
                                      Dots("How likely are labels?", "nll_above", LEARNED))),
        View("Targets", tuple(Curves(f"What is the target of {group} points?", ["target"], TAUGHT, at={"group": group})
                              for group in GROUPS)),
    )
    # fmt: on
    scaled = "CIFAR and ImageNet became ten Gaussian classes with a known posterior, a deep network one hidden layer"
    headline = "aurc_above"
    grid = {"alpha": (0, 0.2, 0.4, 0.6, 0.8, 1), "decay": (0.002, 0.005, 0.01, 0.02, 0.05)}
    smoke = {"epochs": 2}
    equals_baseline = tuple(({"alpha": 0}, arm) for arm in ("PS-KD", "another's memory"))
    may_be_nan = ("memory_rank", "bin_accuracy")  # equal targets have no rank, empty bins no accuracy

    def axes(self) -> dict[str, Axis]:
        """Epochs from 0 on; hard and easy points; the middle of each bin of confidence; shares of test points."""
        epochs, groups = Axis(range(self.epochs + 1), unit="epochs", label="epoch"), Axis(GROUPS)
        bins, coverages = Axis(CONFIDENCES, label="confidence"), Axis(COVERAGES, label="coverage, share answered")
        return {"epoch": epochs, "group": groups, "bin": bins, "coverage": coverages}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame for each epoch, with the scores in the last one."""
        lanes, (train, validation, test) = self.lanes(seeds), mixture(seeds)
        one_hot = F.one_hot(train[1], CLASSES).double()

        def measure(epoch: int, network: nn.Module, state: dict[str, Tensor]) -> Frame:
            taught = (lanes.split(state["targets"]) * one_hot).sum(-1)
            values = {"target": quarters(taught, train) / (TRAIN // 4)}
            if epoch == self.epochs:
                held_out, new = (lanes.split(network(lanes.repeat(inputs))) for inputs in (validation[0], test[0]))
                values |= scores(held_out, new, validation[1], test[1])
                bayes = scores(validation[2], test[2], validation[1], test[1])
                above = {name: values[name] - bayes[name] for name in ("risk", "aurc", "nll_scaled")}
                values |= {"risk": above["risk"], "aurc_above": above["aurc"], "nll_above": above["nll_scaled"]}
                values |= {"memory_rank": memory_rank(taught, train), "calibrated": torch.tensor(CONFIDENCES)}
            return Frame({"epoch": epoch}, values)

        def rate(epoch: int) -> float:
            return 0.1 * 0.1 ** ((epoch > self.epochs / 2) + (epoch > self.epochs * 3 / 4))

        yield from distill(lanes, train, rate, self.noise, self.epochs, measure)


@dataclass(frozen=True)
class Microscope(Experiment):
    """Look at the gradients of hard and easy points while a network learns from its own past predictions.

    The same points and network without input noise and weight decay, at a constant learning rate. `quarters` says which
    points are hard and easy. The factor of a quarter is ρ of its mean γ.
    """

    alpha: float = knob(0.3, low=0, high=1, step=0.1, symbol="α", label="past predictions", help="their weight")
    rate: float = knob(0.005, stops=(0.002, 0.005, 0.01, 0.02, 0.05), symbol="η", help="learning rate of SGD")
    epochs: int = knob(31, low=2, high=60, step=1, help="passes over the training points")

    arms = {
        "CE": Arm("baseline"),
        "PS-KD": Arm("method", alpha=0.8, grows=1),
        "fixed α": Arm("ablation", alpha="alpha"),
        "another's memory": Arm("null", alpha="alpha", foreign=1),
    }
    outputs = {
        "rescaling_hard": Var(CURVE, "hard", "factor ρ that soft targets put on hard points' gradients"),
        "rescaling_easy": Var(CURVE, "easy", "factor ρ that soft targets put on easy points' gradients"),
        "unchanged": Var("arm epoch", "1 − α", "factor of a point whose prediction stays as it is"),
        "hard_gain": Var(CURVE, "gain in share", "hard points' share of all gradients' sizes, soft minus hard targets"),
        "gap": Var(CURVE, "|ratio − ρ|", "largest distance of the sizes' ratio from ρ where both are equal", low=0),
    }
    # fmt: off
    views = (
        View("Gradients", tuple(
            Curves(f"{arm}: how much is left?", ["rescaling_hard", "rescaling_easy"], [arm], "factor ρ",
                   theory="unchanged") for arm in ("fixed α", "another's memory"))),
        View("Hard points", (Curves("How much weight do hard points gain?", ["hard_gain"]),), 1),
    )
    # fmt: on
    scaled = "the paper discusses this rescaling of the gradient; the quarters and the weight α = 0.3 are ours"
    headline = "hard_gain"
    smoke = {"epochs": 2}
    equals_baseline = tuple(({"alpha": 0}, arm) for arm in ("fixed α", "another's memory"))

    def axes(self) -> dict[str, Axis]:
        """Epochs from 2 on: in the first one soft targets are the labels."""
        return {"epoch": Axis(range(2, self.epochs + 1), unit="epochs", label="epoch")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame for each epoch."""
        lanes, train = self.lanes(seeds), mixture(seeds)[0]
        one_hot = F.one_hot(train[1], CLASSES).double()

        def measure(epoch: int, network: nn.Module, state: dict[str, Tensor]) -> Frame:
            now, before, alpha = (lanes.split(state[name]) for name in ("now", "before", "alpha"))
            doubts = method.doubt(now, one_hot), method.doubt(before, one_hot)
            sizes = method.l1(now, method.soft_targets(one_hot, before, alpha)), method.l1(now, one_hot)
            exact, alpha = method.is_exact(now, before, one_hot, alpha), alpha[..., 0]
            gap = (sizes[0] / sizes[1] - method.rescaling(*doubts, alpha)).abs()
            rescaling = method.rescaling(quarters(doubts[0], train), quarters(doubts[1], train), alpha)
            soft, hard = (quarters(one, train)[..., 0] / one.sum(-1) for one in sizes)
            values = {
                "rescaling_hard": rescaling[..., 0],
                "rescaling_easy": rescaling[..., 1],
                "hard_gain": soft - hard,
            }
            values |= {"gap": torch.where(exact, gap, 0).amax(-1), "unchanged": 1 - alpha[:, 0, 0]}
            return Frame({"epoch": epoch - 2}, values) if epoch > 1 else Frame({}, {})

        yield from distill(lanes, train, lambda epoch: self.rate, 0.0, self.epochs, measure)


EXPERIMENTS = (Distillation, Microscope)
