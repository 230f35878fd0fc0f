"""STAC: the experiments."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab.data import normal
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob
from reglab.models import replicas
from reglab.papers.dynamics.stochastic_actor_critic import method
from reglab.pictures import Curves, Dots, Images, Line, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator
from reglab.training import Lanes, within

HIDDEN, BATCH, RATE, SOFT = 48, 64, 3e-3, 0.05
"""Hidden units, batch size, learning rate of both networks, soft update τ of the target critic."""


class Network(nn.Module):
    """M networks side by side: twice [linear → dropout → layer normalization → ReLU], then linear to two outputs."""

    def __init__(self, inputs: int, outputs: int, sources: Sequence[torch.Generator], copies: int) -> None:
        super().__init__()
        widths, shape = (inputs, HIDDEN, HIDDEN, 2 * outputs), (copies * len(sources), 1, HIDDEN)
        linear = functools.partial(replicas.linear, generators=sources, copies=copies)
        ends = itertools.pairwise(widths)
        self.layers = nn.ModuleList(linear(i, o, weights=i**-0.5, biases=i**-0.5) for i, o in ends)
        self.scales = nn.ParameterList(torch.ones(shape) for _ in range(2))
        self.shifts = nn.ParameterList(torch.zeros(shape) for _ in range(2))

    def forward(self, x: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """[M, N, in] -> mean and standard deviation [M, N, out]; `keep` [2, S, N, 48] is the noise of dropout."""
        for i in range(2):
            x = self.layers[i](x)
            if keep is not None:
                x = (x.unflatten(0, (-1, keep.shape[1])) * keep[i]).flatten(0, 1)
            x = F.relu(torch.addcmul(self.shifts[i], F.layer_norm(x, (HIDDEN,)), self.scales[i]))
        return method.head(self.layers[2](x))


class Batch(NamedTuple):
    """Transitions: states, actions and next states [M, N, ...], rewards and ends (1: no bootstrap) [M, N]."""

    state: Tensor
    action: Tensor
    reward: Tensor
    following: Tensor
    done: Tensor


class Learner:
    """All agents of all seeds: policies [M], critics and their targets [C], optimizers.

    Settings of an arm say how its agent is careful: β in the `target` and in the `actor`, a second critic (`twin`),
    critics that know no σ (`plain`). Arms with two critics come last; second critics follow behind the first of all.
    """

    def __init__(self, lanes: Lanes, states: int, actions: int, alpha: float, discount: float) -> None:
        self.lanes, self.discount, copies = lanes, discount, len(lanes.arms)
        twins = lanes.each("twin", 0).tolist()
        if twins != sorted(twins):
            raise ValueError("agents with two critics come last")
        self.twins, inputs = int(sum(twins)), states + actions
        self.policy = Network(states, actions, lanes.generators("policy"), copies)
        self.critic = Network(inputs, 1, lanes.generators("critic"), copies)
        if self.twins:
            second = Network(inputs, 1, lanes.generators("second critic"), self.twins // len(lanes.seeds))
            for p, more in zip(self.critic.parameters(), second.parameters(), strict=True):
                p.data = torch.cat([p.data, more.data])
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.of_policy = torch.optim.Adam(self.policy.parameters(), lr=RATE, fused=True)
        self.of_critic = torch.optim.Adam(self.critic.parameters(), lr=RATE, fused=True)
        self.target_beta, self.actor_beta = (lanes.each(name, 1) for name in ("target", "actor"))
        self.plain = self.double(lanes.each("plain", 1)) > 0
        self.alpha = torch.full((len(lanes), 1), alpha)

    def double(self, values: Tensor) -> Tensor:
        """Append what belongs to the second critics: [M, ...] -> [C, ...]."""
        return torch.cat([values, values[-self.twins :]]) if self.twins else values

    def act(self, states: Tensor, noise: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return actions and their log densities: [M, N, ...] -> [M, N, k] and [M, N]."""
        mean, sd = self.policy(states, keep)
        return method.squash(mean, sd, noise)

    def judge(self, critic: Network, s: Tensor, a: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of every critic, the latter 1 for plain ones: [C, N] each."""
        mean, sd = critic(self.double(torch.cat([s, a], -1)), keep)
        return mean.squeeze(-1), torch.where(self.plain, 1.0, sd.squeeze(-1))

    def value(self, mean: Tensor, sd: Tensor, beta: Tensor) -> Tensor:
        """Return every agent's value of its own, the smaller one where it has two critics: [C, N] -> [M, N]."""
        found, models = method.pessimistic(mean, sd, self.double(beta)), len(self.lanes)
        single = models - self.twins
        return torch.cat([found[:single], torch.minimum(found[single:models], found[models:])])

    def update(self, batch: Batch, noise: Tensor, keep: Sequence[Tensor | None], goal: float | None = None) -> None:
        """Take one step: target, critic, soft update, actor and, with a goal for the entropy, temperature.

        `noise` [2, M, N, k] draws the actions of target and actor, `keep` the dropout of the five passes.
        """
        with torch.no_grad():
            action, log_density = self.act(batch.following, noise[0], keep[0])
            value = self.value(*self.judge(self.target, batch.following, action, keep[1]), self.target_beta)
            target = method.soft_target(batch.reward, batch.done, value, log_density, self.alpha, self.discount)
        loss = method.critic_loss(self.double(target), *self.judge(self.critic, batch.state, batch.action, keep[2]))
        self.of_critic.zero_grad()
        loss.sum().backward()
        self.of_critic.step()
        with torch.no_grad():
            for slow, quick in zip(self.target.parameters(), self.critic.parameters(), strict=True):
                slow.lerp_(quick, SOFT)
        action, chosen = self.act(batch.state, noise[1], keep[3])
        value = self.value(*self.judge(self.critic, batch.state, action, keep[4]), self.actor_beta)
        self.of_policy.zero_grad()
        method.actor_loss(value, chosen, self.alpha).sum().backward(inputs=list(self.policy.parameters()))
        self.of_policy.step()
        if goal is not None:
            self.alpha = method.new_temperature(self.alpha, -log_density.mean(-1, keepdim=True), goal, RATE)


class Memory:
    """A ring of transitions for every model, which starts full; the oldest is overwritten first."""

    def __init__(self, first: Batch) -> None:
        self.kept, self.place = [one.clone() for one in first], 0
        self.row = torch.arange(len(first.reward)).unsqueeze(1)

    def store(self, one: Batch) -> None:
        """Put one transition of every model, N = 1, over the oldest."""
        for kept, new in zip(self.kept, one, strict=True):
            kept[:, self.place] = new[:, 0]
        self.place = (self.place + 1) % self.kept[0].shape[1]

    def sample(self, uniform: Tensor) -> Batch:
        """Return the transitions that numbers from 0 to 1 choose: [M, N]."""
        index = (uniform * self.kept[0].shape[1]).long()
        return Batch(*(kept[self.row, index] for kept in self.kept))


def uniform(seeds: Seeds, purpose: str, *shape: int) -> Tensor:
    """Draw numbers from 0 to 1 for every seed, the same whichever seeds are beside it: [S, *shape]."""
    return torch.stack([torch.rand(*shape, generator=generator(seed, purpose)) for seed in seeds])


def gaussian(seeds: Seeds, purpose: str, *shape: int) -> Tensor:
    """Draw standard normal numbers in torch's default type, as the networks are: [S, *shape]."""
    return normal(seeds, purpose, *shape).to(torch.get_default_dtype())


Noise = tuple[Tensor, Tensor, Tensor, Tensor, Sequence[Tensor | None]]
"""The random numbers of a step: normal and uniform ones for the world [M, 5], choices of a batch, actions, dropout."""


def noise(lanes: Lanes, actions: int, dropout: float) -> Iterator[Noise]:
    """Draw the random numbers of each step, for 50 steps at once; agents of a seed share them."""
    sources, keep, shape = lanes.generators("dropout"), [None] * 5, (5, 2, BATCH, HIDDEN)
    for block in itertools.count():
        normals = lanes.repeat(gaussian(lanes.seeds, f"noise {block}", 50, 5 + 2 * BATCH * actions))
        uniforms = lanes.repeat(uniform(lanes.seeds, f"choices {block}", 50, 5 + BATCH))
        for n, u in zip(normals.unbind(1), uniforms.unbind(1), strict=True):
            if dropout:
                drawn = torch.stack([torch.rand(*shape, generator=source) for source in sources], 2)
                keep = list((drawn >= dropout).float() / (1 - dropout))
            yield n[:, :5], u[:, :5], u[:, 5:], n[:, 5:].unflatten(1, (2, BATCH, -1)).transpose(0, 1), keep


Measured = Generator[Tick, None, dict[str, Tensor]]
"""Ticks while something is measured, then its values [M, ...] by name."""


def train(
    learner: Learner, memory: Memory, state: Tensor, move: Callable[..., tuple[Batch, Tensor]],
    measure: Callable[[], Measured], checkpoints: Sequence[int], dropout: float = 0.0, goal: float | None = None,
) -> Iterator[Frame | Tick]:  # fmt: skip
    """Act, remember and learn at each step, from states [M, 1, k] on; a frame at every checkpoint, the last one too.

    `move` takes states, actions [M, 1, k], normal and uniform numbers; it returns what happened and the new states.
    """
    steps, lanes, width = checkpoints[-1], learner.lanes, state.shape[-1]
    drawn = noise(lanes, width, dropout)
    for step in range(steps + 1):
        later = (step + 0.5) / (steps + 1)
        if step in checkpoints:
            values: dict[str, Tensor] = yield from within(measure(), step / (steps + 1), later)
            yield Frame({"step": checkpoints.index(step)}, {name: lanes.split(one) for name, one in values.items()})
        if step % 4 == 0:
            yield Tick(later)
        if step < steps:
            normals, uniforms, choices, actions, keep = next(drawn)
            with torch.no_grad():
                action = learner.act(state, normals[:, None, :width])[0]
            happened, state = move(state, action, normals, uniforms)
            memory.store(happened)
            learner.update(memory.sample(choices), actions, keep, goal)


# ---------------------------------------------------------------------------------------------------- the line, exactly

MODE = method.NODES // 2
"""The node of the policy's middle action."""

ROLLOUTS, LENGTH, PLACES = 128, 60, 40
"""Rollouts for each model, their steps, bins of the occupancy."""


def temporal_sd(leads: Tensor, value: Tensor, noise: Tensor, discount: float = method.DISCOUNT) -> Tensor:
    """Return σ*, the standard deviation of r + γ value(s', a') at every state and action of the grid.

    σ*² = σ_r² + γ² Var(value): leads [M, 61, K, 61], value of the target at each (s', a') [M, 61, K], σ_r [61].
    """
    first, second = value @ method.WEIGHTS, value.square() @ method.WEIGHTS
    mean, square = ((leads @ one[:, None, :, None]).squeeze(-1) for one in (first, second))
    return (noise.square().unsqueeze(-1) + discount**2 * (square - mean.square()).clamp(min=0)).sqrt()


@torch.no_grad()
def examine(learner: Learner, world: method.World) -> dict[str, Tensor]:
    """Compare what the agents believe with what is true for their present policies: everything [M] or [M, 61]."""
    models = len(learner.lanes)
    states = method.STATES.to(learner.alpha).repeat_interleave(method.NODES).expand(models, -1).unsqueeze(-1)
    epsilons = method.EPSILONS.to(learner.alpha).repeat(method.GRID).unsqueeze(-1)

    def table(values: Tensor) -> Tensor:
        return values.double().unflatten(1, (method.GRID, method.NODES))

    action, log_density = learner.act(states, epsilons)
    mean, sd = learner.judge(learner.critic, states, action)
    believed = table(learner.value(mean, sd, 0 * learner.actor_beta))
    sigma = table(torch.where(learner.plain, torch.nan, sd)[:models])
    slow = table(learner.value(*learner.judge(learner.target, states, action), learner.target_beta))
    a, soft = table(action.squeeze(-1)), learner.alpha.double().unsqueeze(-1) * table(log_density)
    leads, reward = method.transitions(a, world), method.mean_reward(method.STATES.unsqueeze(-1), a)
    exact = reward + method.solve_values(leads, reward - soft)[0]
    star = temporal_sd(leads, slow - soft, world.noise_at(method.STATES))
    along = {"believed": believed, "exact": exact, "sigma_at": sigma, "sigma_star_at": star}
    return {
        "overestimation": ((believed - exact) @ method.WEIGHTS).mean(-1),
        "value": method.solve_values(leads, reward)[1].mean(-1),
        **{name: values[..., MODE] for name, values in along.items()},
    }


@torch.no_grad()
def rollouts(learner: Learner, world: method.World) -> dict[str, Tensor]:
    """Let agents act from uniform starts; those of a seed share starts and noise: everything [M] or [M, 40]."""
    lanes = learner.lanes
    normals = lanes.repeat(gaussian(lanes.seeds, "rollouts", LENGTH, ROLLOUTS, 3))
    s = lanes.repeat(2 * uniform(lanes.seeds, "rollouts from", ROLLOUTS) - 1)
    total, seen = torch.zeros_like(s), []
    for t in range(LENGTH):
        a = learner.act(s.unsqueeze(-1), normals[:, t, :, :1])[0].squeeze(-1)
        reward, s = world.step(s, a, normals[:, t, :, 1:])
        total += method.DISCOUNT**t * reward
        seen.append(s)
    visited = torch.stack(seen, 1).flatten(1)
    bins = ((visited + 1) / 2 * PLACES).long().clamp(max=PLACES - 1)
    counts = torch.zeros(len(s), PLACES).scatter_add_(1, bins, torch.ones_like(visited))
    return {
        "right": (visited > method.BORDER).float().mean(1),
        "return_sd": total.std(1),
        "occupancy": counts / visited.shape[1] * PLACES / 2,
    }


CURVE, ALONG = "arm seed step", "arm seed state"

TRUTH, HILL = Line("y", 0, ""), Line("x", method.BORDER, " right hill")

TOO_MUCH, RISK = "Does the critic promise too much?", "How often does it take the risk?"


def careful(*betas: float) -> dict[str, Arm]:
    """Return arms that differ in β, which stands in the target and in the actor."""
    roles = {0: "baseline", 0.25: "method"}
    return {f"β = {beta:g}": Arm(roles.get(beta, "further"), target=beta, actor=beta) for beta in betas}


@dataclass(frozen=True)
class OnLine(Experiment):
    """Two hills on a line: the right one is higher, and its rewards may be noisy. What experiments on it share."""

    # fmt: off
    reward_noise: float = knob(2.0, low=0, high=4, step=0.5, symbol="ρ",
                               help="standard deviation of the rewards: right hill, or everywhere")
    variant: str = knob("risky", choices=("risky", "noisy", "still"),
                        help="rewards noisy right only, rewards noisy everywhere and states right, or no noise")
    buffer: int = knob(600, stops=(100, 200, 600, 1000, 2000), help="transitions that the agent remembers")
    dropout: float = knob(0.0, stops=(0, 0.01, 0.05, 0.1), symbol="p", help="share of hidden units dropped in training")
    alpha: float = knob(0.02, stops=(0, 0.005, 0.02, 0.05, 0.1, 0.2), symbol="α", help="temperature of the entropy")
    steps: int = knob(600, low=20, high=2000, step=20, help="steps in the world and of training")
    # fmt: on

    outputs = {
        "overestimation": Var(CURVE, "overestimation", "mean of the critic's value minus the exact soft value"),
        "value": Var(CURVE, "policy value", "mean exact discounted reward of the policy, from all states"),
        "right": share(CURVE, "share of time right", "share of time with s > 0.2 in rollouts"),
        "return_sd": Var(CURVE, "sd of returns", "standard deviation of the discounted return over rollouts", low=0),
        "believed": Var(ALONG, "critic's value", "mean that the critic predicts for the policy's middle action"),
        "exact": Var(ALONG, "exact value", "exact soft value of the policy's middle action"),
        "sigma_at": Var(ALONG, "critic's σ", "standard deviation that the critic predicts there", low=0),
        "sigma_star_at": Var(ALONG, "exact σ", "exact standard deviation of the critic's target there", low=0),
        "occupancy": Var("arm seed place", "density", "how often rollouts are at a place; integrates to 1", low=0),
    }
    headline = "overestimation"
    scaled = (
        "locomotion in MuJoCo became a line with known values; networks, losses, order of updates and dropout are kept"
    )
    smoke = {"steps": 20, "buffer": 100}
    may_be_nan = ("sigma_at",)  # a deterministic critic knows no σ

    def world(self) -> method.World:
        """Return the noise of this variant."""
        extra = self.reward_noise
        return {
            "risky": method.World((0.1, 0.1), (0.1, 0.1 + extra)),
            "noisy": method.World((0.05, 0.4), (extra, extra)),
            "still": method.World((0.0, 0.0), (0.0, 0.0)),
        }[self.variant]

    def axes(self) -> dict[str, Axis]:
        """Every hundredth step and the last; the grid of states; bins of the line."""
        return {
            "step": Axis([*range(0, self.steps, 100), self.steps], label="step"),
            "state": Axis(method.STATES.numpy(), label="state s"),
            "place": Axis((np.arange(PLACES) + 0.5) * 2 / PLACES - 1, label="state s"),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every checkpoint."""
        lanes, world = self.lanes(seeds), self.world()
        learner = Learner(lanes, 1, 1, self.alpha, method.DISCOUNT)

        def transition(s: Tensor, a: Tensor, noise: Tensor) -> Batch:
            reward, following = world.step(s, a, noise)
            return Batch(s.unsqueeze(-1), a.unsqueeze(-1), reward, following.unsqueeze(-1), torch.zeros_like(s))

        def move(s: Tensor, a: Tensor, normals: Tensor, uniforms: Tensor) -> tuple[Batch, Tensor]:
            happened = transition(s.squeeze(-1), a.squeeze(-1), normals[:, None, 1:3])
            again, start = uniforms[:, :1, None] < 0.05, 2 * uniforms[:, 1:2, None] - 1
            return happened, torch.where(again, start, happened.following)

        def measure() -> Measured:
            found = examine(learner, world)
            yield Tick(0.6)
            return found | rollouts(learner, world)

        s, a = lanes.repeat(2 * uniform(seeds, "first transitions", 2, self.buffer) - 1).unbind(1)
        memory = Memory(transition(s, a, lanes.repeat(gaussian(seeds, "first noise", self.buffer, 2))))
        start = lanes.repeat(2 * uniform(seeds, "start", 1, 1) - 1)
        checkpoints = list(self.axes()["step"].values)
        yield from train(learner, memory, start, move, measure, checkpoints, self.dropout)


@dataclass(frozen=True)
class Actors(OnLine):
    """Train actors and critics on the line: without and with pessimism, with half of it, and with two critics.

    600 steps, one update of batch 64 each, Adam with rate 0.003. Arms of a seed share first weights, noise, the order
    of batches and the random transitions in the buffer.
    """

    beta: float = knob(
        0.125, stops=(0, 0.0625, 0.125, 0.25, 0.375, 0.5), symbol="β", help="standard deviations that are subtracted"
    )

    arms = {
        "β = 0": Arm("baseline"),
        "STAC": Arm("method", target="beta", actor="beta"),
        "target only": Arm("ablation", target="beta"),
        "actor only": Arm("ablation", actor="beta"),
        "min of two": Arm("further", twin=1),
        "SAC": Arm("further", twin=1, plain=1),
    }
    # fmt: off
    views = (
        View("Bias and risk", tuple(
            Curves(question, [variable], ("β = 0", "STAC", "min of two", "SAC"), lines=lines)
            for question, variable, lines in ((TOO_MUCH, "overestimation", [TRUTH]), (RISK, "right", []))
        ), height=3.2),
        View("What the critic knows", tuple(
            Curves(f"STAC: {question}?", variables, ["STAC"], y, [HILL]) for question, variables, y in (
                ("are its values right", ("believed", "exact"), "value"),
                ("does it know the noise", ("sigma_at", "sigma_star_at"), "standard deviation"),
            )
        ), height=3),
        View("Which half counts", (
            Dots("How much is promised too much?", "overestimation", lines=[Line("x", 0, "")]), Dots(RISK, "right"),
        ), height=3),
        View("What it is worth", (Dots("How much reward on average?", "value"),
                                  Dots("How much does it vary?", "return_sd")), height=3),
    )
    # fmt: on
    grid = {"beta": (0, 0.0625, 0.125, 0.25, 0.375, 0.5), "reward_noise": (0, 1, 2, 3, 4)}
    equals_baseline = tuple(({"beta": 0}, arm) for arm in ("STAC", "target only", "actor only"))


@dataclass(frozen=True)
class Pessimism(OnLine):
    """Train with four strengths of pessimism, and with the smaller of two critics, on the same line."""

    arms = {**careful(0, 0.125, 0.25, 0.5), "min of two": Arm("further", twin=1)}
    # fmt: off
    views = (
        View("Overestimation", (
            Curves(TOO_MUCH, ["overestimation"], lines=[TRUTH]),
            Scatter("Does a right critic act better?", "overestimation", "value"),
        ), height=3.4),
        View("Risk", (
            Curves("Where is the agent?", ["occupancy"], ("β = 0", "β = 0.5"), lines=[HILL]), Dots(RISK, "right"),
        ), height=3),
    )
    # fmt: on


# ------------------------------------------------------------------------------------------------ a danger in the plane

CENTER, RADIUS, CELLS, EPISODE, WALKS = 0.5, 0.3, 20, 200, 256
"""Center and radius of the danger zone, cells of the map along each axis, steps and number of test episodes."""


def danger(state: Tensor) -> Tensor:
    """Return the probability of a penalty of 10: 0.1 exp(-4d²/0.3²) within d ≤ 0.3 of the center: [..., 2] -> [...]."""
    squared = (state - CENTER).square().sum(-1)
    return torch.where(squared <= RADIUS**2, 0.1 * (-4 * squared / RADIUS**2).exp(), 0.0)


def point_step(state: Tensor, action: Tensor, drawn: Tensor) -> Batch:
    """Move a point in the unit square: [..., 2], three uniform numbers [..., 3] -> the transition.

    s' = clip(s + 0.1(a + U(-0.02, 0.02))), reward -‖s‖ - 0.1 and the penalty; done within 0.05 of the origin.
    """
    distance = state.norm(dim=-1)
    reward = -distance - 0.1 - 10 * (drawn[..., 0] < danger(state)).float()
    following = (state + 0.1 * (action + 0.04 * (drawn[..., 1:] - 0.5))).clamp(0, 1)
    return Batch(state, action, reward, following, (distance < 0.05).float())


def starts(seeds: Seeds, purpose: str, count: int) -> Tensor:
    """Return uniform starts in [0.3, 1]² outside the danger zone: [S, count, 2]."""
    drawn = 0.3 + 0.7 * uniform(seeds, purpose, 8 * count + 40, 2)
    return torch.stack([one[(one - CENTER).norm(dim=-1) > RADIUS][:count] for one in drawn])


@dataclass(frozen=True)
class PointMass(Experiment):
    """Walk to the origin past a danger zone, with five strengths of pessimism (the paper's RiskyPointMass).

    γ = 0.99, no dropout; the temperature starts at 0.2 and follows the entropy. The buffer of 4000 starts full.
    """

    steps: int = knob(3000, low=20, high=10000, step=20, help="steps in the world and of training")

    arms = careful(0, 0.125, 0.25, 0.375, 0.5)
    outputs = {
        "inside": Var(CURVE, "steps in danger", "steps inside the danger zone for each episode", "steps", low=0),
        "arrived": share(CURVE, "share arrived", "share of 256 episodes that reach the goal"),
        "map": share("arm seed row column", "share of time", "share of the time in each cell of the square"),
    }
    # fmt: off
    views = (
        View("Danger", (Curves("How long is it in danger?", ["inside"]), Curves("Does it arrive?", ["arrived"]))),
        View("Maps", (Images("Bright is often: where does it walk?", "map", limits=(0, 0.01)),), height=2),
    )
    # fmt: on
    headline = "inside"
    scaled = "48 hidden units, 3000 steps; the world is the official one, without starts inside the danger zone"
    smoke = {"steps": 20}

    def axes(self) -> dict[str, Axis]:
        """Every 500th step and the last; cells of the map."""
        centers = (np.arange(CELLS) + 0.5) / CELLS
        return {
            "step": Axis([*range(0, self.steps, 500), self.steps], label="step"),
            "row": Axis(centers, label="second coordinate"),
            "column": Axis(centers, label="first coordinate"),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every checkpoint."""
        lanes = self.lanes(seeds)
        learner = Learner(lanes, 2, 2, 0.2, 0.99)
        first = lanes.repeat(uniform(seeds, "first transitions", 4000, 7))
        memory = Memory(point_step(first[..., :2], 2 * first[..., 2:4] - 1, first[..., 4:]))
        begin = lanes.repeat(starts(seeds, "starts", 1 + self.steps // 10))
        every, age = torch.arange(len(lanes)), torch.zeros(len(lanes))
        episode = torch.zeros_like(every)

        def move(s: Tensor, a: Tensor, normals: Tensor, uniforms: Tensor) -> tuple[Batch, Tensor]:
            nonlocal episode, age
            happened, age = point_step(s, a, uniforms[:, None, :3]), age + 1
            over = (happened.done[:, 0] > 0) | (age >= EPISODE)
            episode, age = (episode + over) % begin.shape[1], torch.where(over, 0, age)
            return happened, torch.where(over[:, None, None], begin[every, episode, None], happened.following)

        checkpoints = list(self.axes()["step"].values)
        yield from train(learner, memory, begin[:, :1], move, lambda: walk(learner), checkpoints, goal=-2.0)


@torch.no_grad()
def walk(learner: Learner) -> Measured:
    """Take the middle action in 256 episodes and note where the time is spent."""
    lanes = learner.lanes
    s = lanes.repeat(starts(lanes.seeds, "test starts", WALKS))
    drawn = lanes.repeat(uniform(lanes.seeds, "test noise", EPISODE, WALKS, 3))
    alive, inside, counts = torch.ones(s.shape[:2]), torch.zeros(s.shape[:2]), torch.zeros(len(s), CELLS * CELLS)
    for t in range(EPISODE):
        inside += alive * (danger(s) > 0)
        cell = (s * CELLS).long().clamp(max=CELLS - 1)
        counts.scatter_add_(1, cell[..., 1] * CELLS + cell[..., 0], alive)
        moved = point_step(s, learner.policy(s)[0].tanh(), drawn[:, t])
        s, alive = moved.following, alive * (1 - moved.done)
        if not alive.any():
            break
        if t % 20 == 19:
            yield Tick(t / EPISODE)
    shares = (counts / counts.sum(1, keepdim=True)).unflatten(1, (CELLS, CELLS))
    return {"inside": inside.mean(1), "arrived": 1 - alive.mean(1), "map": shares}


EXPERIMENTS = (Actors, Pessimism, PointMass)
