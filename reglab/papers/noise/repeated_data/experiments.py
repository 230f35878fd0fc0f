"""TokenCrisis: the experiments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from reglab.across import Across
from reglab.experiment import Experiment
from reglab.knobs import Arm, Knob, knob, tuned
from reglab.models.dropout import noise
from reglab.papers.noise.repeated_data import method
from reglab.pictures import Curves, Dots, Line, View
from reglab.results import Axis, Frame, Tick, Var
from reglab.seeds import Seeds, generator
from reglab.training import Lanes

V, CONTEXT, EMBEDDING, WIDTH = 12, 4, 8, 64
"""Letters, length of a context, numbers of an embedding, width of the model."""

BATCH, HELD_OUT, POINTS = 32, 2000, 30
"""Contexts of a batch, contexts that a validation or test string has, measurements of a run."""

OFF = 3 * (torch.zeros(()),)
"""The noise of no dropout."""

JUDGE = "validation_score"
"""What settings, checkpoints and pseudo-counts are chosen by."""

SHOWN = ("fresh", "repeated", "repeated + dropout", "decay")

DROP = Knob(0.2, low=0, high=0.6, step=0.1, symbol="p", help="dropout rate")
BEST = Line("y", 0, "entropy rate")


# --------------------------------------------------------------------------------------------------------- the letters


def table(source: str) -> np.ndarray:
    """Return the true T[a, b, c]: a chain of order 2, or letters drawn one by one with the chain's frequencies."""
    chain = np.random.default_rng([0, 42]).dirichlet(np.full(V, 0.3), (V, V))
    chain = 0.98 * chain + 0.02 / V
    return chain if source == "markov" else np.tile(method.pair_shares(chain).sum(0), (V, V, 1))


def strings(seeds: Seeds, purpose: str, source: str, length: int) -> np.ndarray:
    """Draw a string for each seed, after 50 letters that are thrown away: [S, length]."""
    drawn = [torch.rand(50 + length, generator=generator(seed, purpose), dtype=torch.float64) for seed in seeds]
    return np.array([method.string(table(source), one.tolist())[50:] for one in drawn])


def windows(letters: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return all contexts of strings and the letters that follow them: [S, N + 4] -> [S, N, 4], [S, N]."""
    cut = torch.from_numpy(np.lib.stride_tricks.sliding_window_view(letters, CONTEXT + 1, -1).copy())
    return cut[..., :CONTEXT], cut[..., CONTEXT]


def distinct(contexts: Tensor) -> tuple[Tensor, Tensor]:
    """Return each different context once, filled up for all seeds alike, and which of them each context is.

    [S, N, 4] -> [S, K, 4], [S, N]. Half of the contexts of a test string have been seen in it before.
    """
    powers = V ** torch.arange(CONTEXT)
    kinds, places = zip(*(one.unique(return_inverse=True) for one in (contexts * powers).sum(-1)), strict=True)
    return torch.nn.utils.rnn.pad_sequence(list(kinds), True)[..., None] // powers % V, torch.stack(places)


@torch.no_grad()
def measured(weights: method.Weights, contexts: Tensor) -> Tensor:
    """Return log q without dropout and gradient: [M, N, 4] -> [M, N, V]."""
    return method.predict(weights, contexts, OFF, OFF[0])[0]


def table_losses(model: np.ndarray, letters: np.ndarray) -> np.ndarray:
    """Return the loss of each letter of a string under q(c|ab), from the fifth letter on: [V, V, V], [N + 4] -> [N]."""
    return -np.log(model[letters[CONTEXT - 2 : -2], letters[CONTEXT - 1 : -1], letters[CONTEXT:]])


# ------------------------------------------------------------------------------------------------------- the experiment


@dataclass(frozen=True)
class Repetition(Experiment):
    """Train small language models for equally many steps on fresh and on repeated letters.

    The source is a chain of order 2 on 12 letters, the same for all seeds. AdamW, batches of 32 contexts, peak rate
    0.003. Arms of a seed share strings, first weights and noise. Strengths were chosen on a validation string.
    """

    # fmt: off
    unique: int = knob(2000, stops=(500, 1000, 2000, 4000, 8000, 16000, 32000), symbol="U", unit="tokens",
                       help="different training contexts, at most as many as the budget")
    drop: float = knob(replace(DROP, tuned=tuned(0.2, (0.05, 0.1, 0.2, 0.3, 0.5), JUDGE)))
    hidden: int = knob(128, stops=(8, 16, 32, 64, 128, 256, 512), symbol="H", help="hidden units of the model")
    budget: int = knob(32000, low=1600, high=64000, step=1600, symbol="D", unit="tokens", help="contexts in all")
    experts: int = knob(1, low=1, high=8, step=1, symbol="E", help="experts that share the hidden units")
    source: str = knob("markov", choices=("markov", "letters"), help="what the letters are drawn from")

    arms = {
        "repeated": Arm("baseline", pool="unique"),
        "repeated + dropout": Arm("method", pool="unique", drop="drop"),
        "fresh": Arm("ablation", pool="budget"),
        "fresh + dropout": Arm("ablation", pool="budget", drop="drop"),
        "decay": Arm("rival", pool="unique", decay=tuned(2, (0.3, 1, 2, 4, 8), JUDGE)),
        "label smoothing": Arm("further", pool="unique", smoothing=tuned(0.4, (0.1, 0.3, 0.4, 0.5, 0.6), JUDGE)),
        "counts": Arm("rival", counted="unique"),
        "letter frequencies": Arm("null"),
    }
    outputs = {
        "test_curve": Var("arm seed tokens", "test excess", "loss on a test string minus the entropy rate", "nats"),
        "train_curve": Var("arm seed tokens", "training excess", "training loss minus the entropy rate", "nats"),
        JUDGE: Var("arm seed tokens", "validation", "entropy rate minus the loss on a validation string", "nats"),
        "test_excess": Var("arm seed", "test excess", "test loss minus the entropy rate in the end", "nats"),
        "best_checkpoint": Var("arm seed", "test excess", "the same where the validation loss is smallest", "nats"),
        "truth": Var("seed", "true table", "test excess of the true table in standard errors"),
    }
    views: ClassVar[tuple[View, ...]] = (
        View("Fresh and repeated", (
            Curves("How far from the best possible on new letters?", ["test_curve"], SHOWN, lines=[
                BEST, *(Line("y", "test_excess", name, name) for name in ("counts", "letter frequencies"))]),
            Curves("And on letters it was trained on?", ["train_curve"], SHOWN, lines=[BEST])), height=3.2),
        View("All arms", (Dots("Who ends closest to the best possible?", "test_excess"),
                          Dots("And at its best checkpoint?", "best_checkpoint")), height=3.2),
    )
    # fmt: on
    scaled = "T5 on web text became a window of four letters of a known chain; equal steps, MoE and dropout are kept"
    headline = "test_excess"
    grid = {"unique": (1000, 2000, 4000, 8000, 16000, 32000), "drop": (0, 0.1, 0.2, 0.3, 0.5)}
    smoke = {"budget": 1600, "unique": 500}
    equals_baseline = (({"drop": 0}, "repeated + dropout"), ({"unique": 32000}, "fresh"))

    def axes(self) -> dict[str, Axis]:
        """Tokens seen at each of 30 measurements."""
        steps = [round(self.budget // BATCH * (i + 1) / POINTS) for i in range(POINTS)]
        return {"tokens": Axis([BATCH * step for step in steps], unit="tokens", label="tokens seen")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Fit the tables; then train all other arms and seeds as one, with a frame at each of 30 measurements."""
        lengths = {"training": self.budget, "validation": HELD_OUT, "test": HELD_OUT}
        drawn = {purpose: strings(seeds, purpose, self.source, n + CONTEXT) for purpose, n in lengths.items()}
        yield from self._tables(drawn)
        if trained := {name: arm for name, arm in self.arms.items() if "pool" in arm.settings}:
            yield from self._train(Lanes(trained, seeds, self.settings()), drawn)

    def frame(self, arms: Sequence[str], losses: Tensor) -> Frame:
        """Return what is asked for of the losses on the validation, test and training strings: [A, S, T, 3]."""
        judged, test, fitted = (losses - method.expected_loss(*2 * [table(self.source)])).unbind(-1)
        found = {"test_curve": test, "train_curve": fitted, JUDGE: -judged, "test_excess": test[..., -1]}
        found["best_checkpoint"] = test.gather(-1, judged.argmin(-1, keepdim=True))[..., 0]
        return Frame({"arm": arms}, {name: found[name] for name in found if name in self.outputs})

    def _tables(self, drawn: Mapping[str, np.ndarray]) -> Iterator[Frame]:
        """Measure the true table, and the arms that need no training, which stay the same at all times.

        The null knows the true frequencies of the letters, `counts` the triples among the unique training letters.
        """
        true = table(self.source)
        surplus = np.array([table_losses(true, one) for one in drawn["test"]]) - method.expected_loss(true, true)
        if "truth" in self.outputs:
            yield Frame({}, {"truth": surplus.mean(1) / surplus.std(1) * HELD_OUT**0.5})
        for name in [name for name, arm in self.arms.items() if "pool" not in arm.settings]:
            unique, found = min(int(self.arms[name].value("counted", self.settings())), self.budget), []
            for letters, judge, new in zip(*drawn.values(), strict=True):
                models = [method.counts(letters[: unique + CONTEXT], V, delta) for delta in (0.03, 0.1, 0.3, 1, 3)]
                models = models if unique else [table("letters")]
                best = min(models, key=lambda model: table_losses(model, judge).mean())
                fitted = letters[: min(unique or HELD_OUT, HELD_OUT) + CONTEXT]
                found.append([table_losses(best, one).mean() for one in (judge, new, fitted)])
            yield self.frame([name], torch.tensor(found)[None, :, None].expand(-1, -1, POINTS, -1))

    def weights(self, lanes: Lanes) -> dict[str, Tensor]:
        """Draw the first weights of all models, those of a seed equal: He-normal, embeddings N(0, 1), biases 0."""
        shapes = {
            "letters": (V, EMBEDDING), "project": (CONTEXT * EMBEDDING, WIDTH), "scores": (WIDTH, V),
            "up": (WIDTH, self.hidden), "down": (self.hidden, WIDTH), "router": (WIDTH, self.experts),
        }  # fmt: skip
        first, sources = {}, lanes.generators("weights")
        for name, shape in shapes.items():
            drawn = torch.stack([torch.randn(shape, generator=source) for source in sources])
            first[name] = lanes.repeat(drawn if name == "letters" else drawn * (2 / shape[0]) ** 0.5)
            if name not in ("letters", "router"):
                first[f"{name}_bias"] = torch.zeros(len(lanes), self.experts if name == "down" else 1, shape[1])
        return {name: one.requires_grad_() for name, one in first.items()}

    def _train(self, lanes: Lanes, drawn: Mapping[str, np.ndarray]) -> Iterator[Frame | Tick]:
        """Train M models as one; measure without dropout, and in the end only where no curve is asked for."""
        weights, steps, widths = self.weights(lanes), self.budget // BATCH, (WIDTH, self.hidden, WIDTH)
        rate, decay, smoothing = lanes.each("drop"), lanes.each("decay"), lanes.each("smoothing", 0)
        pools = [min(int(arm.value("pool", lanes.knobs)), self.budget) for arm in lanes.arms.values()]
        draws = {pool: noise(lanes.generators("orders"), -(-steps * BATCH // pool), pool) for pool in pools}
        orders = torch.cat([method.visits(draws[pool], steps, BATCH) for pool in pools])
        contexts, following = windows(drawn["training"])
        model, row = torch.arange(len(lanes))[:, None], lanes.repeat(torch.arange(len(lanes.seeds))[:, None])
        held = [windows(drawn[purpose][:, : HELD_OUT + CONTEXT]) for purpose in ("validation", "test", "training")]
        shown, target = (torch.cat(one, 1) for one in zip(*held, strict=True))
        kinds, place = distinct(shown)
        # of the training contexts the first 2000, or again and again those that there are
        again = torch.arange(HELD_OUT) % torch.tensor(pools).repeat_interleave(len(lanes.seeds))[:, None]
        pick = torch.cat([torch.arange(2 * HELD_OUT).expand(len(lanes), -1), 2 * HELD_OUT + again], 1)
        place, target = place[row, pick], target[row, pick]
        optimizer = torch.optim.AdamW(weights.values(), weight_decay=0, fused=True)
        when = [tokens // BATCH for tokens in self.axes()["tokens"].values]
        sources, known = lanes.generators("dropout"), torch.full((len(lanes), POINTS, 3), torch.nan)
        for step in range(steps):
            index, dropped = orders[:, step], OFF
            if rate.any():
                dropped = lanes.repeat(noise(sources, BATCH, sum(widths))).split(widths, -1)
            log_q, balance = method.predict(weights, contexts[row, index], dropped, rate)
            loss = method.smoothed(log_q, following[row, index], smoothing) + 0.01 * balance
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.param_groups[0]["lr"] = now = method.learning_rate(step, steps)
            method.shrink(weights.values(), now, decay)
            optimizer.step()
            yield (tick := Tick((step + 1) / steps))
            if step + 1 in when and ("test_curve" in self.outputs or step + 1 == steps):
                found = []
                for piece in kinds.split(500, 1):
                    found.append(measured(weights, lanes.repeat(piece)))
                    yield tick
                losses = -torch.cat(found, 1)[model, place, target].unflatten(-1, (3, HELD_OUT)).mean(-1)
                known[:, when.index(step + 1)] = losses
                yield self.frame(list(lanes.arms), lanes.split(known))


@dataclass(frozen=True)
class Few(Repetition):
    """The same with four arms, measured in the end."""

    drop: float = knob(DROP)

    arms = {name: Repetition.arms[name] for name in SHOWN[:3]} | {"decay": Arm("rival", pool="unique", decay=2)}
    outputs = {"test_excess": Repetition.outputs["test_excess"]}
    views = (View("Four arms", (Dots("How far from the best possible in the end?", "test_excess"),), 1),)
    grid = {}


SIZES = Axis((16, 128, 512), label="hidden units H", log=True)


class AcrossHidden(Across, sibling=Few, knob="hidden", values=SIZES, outputs=("test_excess",)):
    """Train small and large models: is larger better when data repeat?"""

    views = (View("Model size", (Curves("Is larger better when letters repeat?", ["test_excess"], SHOWN),), 1, 3.2),)
    headline = "test_excess"
    smoke = Repetition.smoke


EXPERIMENTS = (Repetition, Few, AcrossHidden)
