"""STAC: the experiments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab.data import normal
from reglab.experiment import Experiment
from reglab.knobs import knob
from reglab.models import replicas
from reglab.papers.dynamics.stochastic_actor_critic import method
from reglab.pictures.views import Curves, Dots, Line, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator

HIDDEN, BATCH, RATE, SOFT = 48, 64, 3e-3, 0.05
"""Hidden units, batch size, learning rate of both networks, soft update τ of the target critic."""


# ------------------------------------------------------------------------------------ many agents, trained as one batch


class Network(nn.Module):
    """M networks side by side: twice [linear → dropout → layer normalization → ReLU], then linear to two outputs."""

    def __init__(self, inputs: int, outputs: int, sources: Sequence[torch.Generator], copies: int) -> None:
        super().__init__()
        widths = ((inputs, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 2 * outputs))
        self.layers = nn.ModuleList(
            replicas.linear(i, o, sources, copies, weights=i**-0.5, biases=i**-0.5) for i, o in widths
        )
        models = copies * len(sources)
        self.scales = nn.ParameterList(torch.ones(models, 1, HIDDEN) for _ in range(2))
        self.shifts = nn.ParameterList(torch.zeros(models, 1, HIDDEN) for _ in range(2))

    def forward(self, x: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """[M, N, in] -> mean and standard deviation [M, N, out]; `keep` [2, S, N, 48] is the noise of dropout."""
        for i in range(2):
            x = self.layers[i](x)
            if keep is not None:
                x = (x.unflatten(0, (-1, keep.shape[1])) * keep[i]).flatten(0, 1)
            x = F.relu(torch.addcmul(self.shifts[i], F.layer_norm(x, (HIDDEN,)), self.scales[i]))
        mean, sd = method.head(self.layers[2](x))
        return mean, sd


@dataclass(frozen=True)
class Agent:
    """How an agent is careful: β in the target and in the actor, a second critic, critics that know no σ."""

    target: float = 0.0
    actor: float = 0.0
    twin: bool = False
    plain: bool = False


class Learner:
    """All agents of all seeds: policies [A·S], critics and their targets, optimizers.

    Agents with two critics come last; their second critics follow behind the first critics of all.
    """

    def __init__(
        self, seeds: Seeds, agents: Sequence[Agent], states: int, actions: int, alpha: float, discount: float
    ) -> None:
        self.seeds, self.agents, self.discount = seeds, agents, discount
        self.twins = sum(agent.twin for agent in agents) * len(seeds)
        if any(one.twin and not other.twin for one, other in itertools.pairwise(agents)):
            raise ValueError("agents with two critics come last")

        def weights(purpose: str) -> list[torch.Generator]:
            return [generator(seed, purpose) for seed in seeds]

        self.policy = Network(states, actions, weights("policy"), len(agents))
        self.critic = Network(states + actions, 1, weights("critic"), len(agents))
        if self.twins:
            second = Network(states + actions, 1, weights("second critic"), self.twins // len(seeds))
            for p, more in zip(self.critic.parameters(), second.parameters(), strict=True):
                p.data = torch.cat([p.data, more.data])
        self.target = Network(states + actions, 1, weights("critic"), len(agents))
        for p, copied in zip(self.target.parameters(), self.critic.parameters(), strict=True):
            p.data = copied.detach().clone()
            p.requires_grad_(False)
        self.of_policy = torch.optim.Adam(self.policy.parameters(), lr=RATE, fused=True)
        self.of_critic = torch.optim.Adam(self.critic.parameters(), lr=RATE, fused=True)
        self.target_beta, self.actor_beta = (
            self._each([a.target for a in agents]),
            self._each([a.actor for a in agents]),
        )
        self.plain = self.double(self._each([float(a.plain) for a in agents])) > 0
        self.alpha = torch.full((len(agents) * len(seeds), 1), alpha)

    def _each(self, values: Sequence[float]) -> Tensor:
        """Give every seed of an agent its agent's value: [A] -> [A·S, 1]."""
        return torch.tensor(values).repeat_interleave(len(self.seeds)).unsqueeze(1)

    def double(self, values: Tensor) -> Tensor:
        """Append what belongs to the second critics: [A·S, ...] -> [C, ...]."""
        return torch.cat([values, values[-self.twins :]]) if self.twins else values

    def act(self, states: Tensor, noise: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return actions and their log densities: [A·S, N, ...] -> [A·S, N, k] and [A·S, N]."""
        mean, sd = self.policy(states, keep)
        return method.squash(mean, sd, noise)

    def judge(
        self, critic: Network, states: Tensor, actions: Tensor, keep: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of every critic, the latter 1 for plain ones: [C, N] each."""
        mean, sd = critic(self.double(torch.cat([states, actions], -1)), keep)
        return mean.squeeze(-1), torch.where(self.plain, 1.0, sd.squeeze(-1))

    def value(self, mean: Tensor, sd: Tensor, beta: Tensor) -> Tensor:
        """Return every agent's value of its own, the smaller one where it has two critics: [C, N] -> [A·S, N]."""
        found = method.pessimistic(mean, sd, self.double(beta))
        if not self.twins:
            return found
        first, second = found.split([len(found) - self.twins, self.twins])
        return torch.cat([first[: -self.twins], torch.minimum(first[-self.twins :], second)])

    def update(self, batch: Batch, noise: Tensor, keep: Sequence[Tensor | None], goal: float | None = None) -> None:
        """Take one step: target, critic, soft update, actor and, with a goal for the entropy, temperature.

        `noise` [2, A·S, N, k] draws the actions of target and actor, `keep` the dropout of the five passes.
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
        parameters = list(self.policy.parameters())
        gradients = torch.autograd.grad(method.actor_loss(value, chosen, self.alpha).sum(), parameters)
        for p, gradient in zip(parameters, gradients, strict=True):
            p.grad = gradient
        self.of_policy.step()
        if goal is not None:
            self.alpha = method.new_temperature(self.alpha, -log_density.mean(-1, keepdim=True), goal, RATE)


class Batch(NamedTuple):
    """Transitions: states, actions and next states [M, N, ...], rewards and ends (1: no bootstrap) [M, N]."""

    state: Tensor
    action: Tensor
    reward: Tensor
    following: Tensor
    done: Tensor


class Memory:
    """A ring of transitions for every model, which starts full; the oldest is overwritten first."""

    def __init__(self, first: Batch) -> None:
        self.widths = [first.state.shape[-1], first.action.shape[-1], 1, first.following.shape[-1], 1]
        self.kept, self.place = self._packed(first), 0
        self.row = torch.arange(len(self.kept)).unsqueeze(1)

    def _packed(self, some: Batch) -> Tensor:
        reward, done = some.reward.unsqueeze(-1), some.done.unsqueeze(-1)
        return torch.cat([some.state, some.action, reward, some.following, done], -1)

    def store(self, one: Batch) -> None:
        """Put one transition of every model, N = 1, over the oldest."""
        self.kept[:, self.place] = self._packed(one)[:, 0]
        self.place = (self.place + 1) % self.kept.shape[1]

    def sample(self, uniform: Tensor) -> Batch:
        """Return the transitions that numbers from 0 to 1 choose: [M, N]."""
        index = (uniform * self.kept.shape[1]).long()
        state, action, reward, following, done = self.kept[self.row, index].split(self.widths, -1)
        return Batch(state, action, reward.squeeze(-1), following, done.squeeze(-1))


def uniform(seeds: Seeds, purpose: str, *shape: int) -> Tensor:
    """Draw numbers from 0 to 1 for every seed, the same whichever seeds are beside it: [S, *shape]."""
    return torch.stack([torch.rand(*shape, generator=generator(seed, purpose)) for seed in seeds])


def gaussian(seeds: Seeds, purpose: str, *shape: int) -> Tensor:
    """Draw standard normal numbers in torch's default type, as the networks are: [S, *shape]."""
    return normal(seeds, purpose, *shape).to(torch.get_default_dtype())


class Chance:
    """What happens by chance at each step, drawn for 50 steps at once; agents of a seed share it."""

    def __init__(self, seeds: Seeds, copies: int, actions: int, dropout: float) -> None:
        self.seeds, self.copies, self.actions, self.dropout = seeds, copies, actions, dropout
        self.sources = [generator(seed, "dropout") for seed in seeds]

    def __call__(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor | None]]:
        """Return normal numbers for the world [M, 5], uniform ones [M, 5], batch choices, action noise, dropout."""
        block, row = divmod(step, 50)
        if row == 0:
            width = 2 * BATCH * self.actions
            self.normals = gaussian(self.seeds, f"noise {block}", 50, 5 + width).repeat(self.copies, 1, 1)
            self.uniforms = uniform(self.seeds, f"choices {block}", 50, 5 + BATCH).repeat(self.copies, 1, 1)
        normals, uniforms = self.normals[:, row], self.uniforms[:, row]
        noise = normals[:, 5:].unflatten(1, (2, BATCH, self.actions)).transpose(0, 1)
        return normals[:, :5], uniforms[:, :5], uniforms[:, 5:], noise, self._kept()

    def _kept(self) -> list[Tensor | None]:
        if not self.dropout:
            return [None] * 5
        drawn = torch.stack([torch.rand(5, 2, BATCH, HIDDEN, generator=source) for source in self.sources], 2)
        return list((drawn >= self.dropout).float() / (1 - self.dropout))


# ---------------------------------------------------------------------------------------------------- the line, exactly


MODE = method.NODES // 2


def temporal_sd(leads: Tensor, value: Tensor, noise: Tensor, discount: float = method.DISCOUNT) -> Tensor:
    """Return σ*, the standard deviation of r + γ value(s', a') at every state and action of the grid.

    σ*² = σ_r² + γ² Var(value): leads [M, 61, K, 61], value of the target at each (s', a') [M, 61, K], σ_r [61].
    """
    first, second = value @ method.WEIGHTS, value.square() @ method.WEIGHTS
    mean, square = ((leads @ one[:, None, :, None]).squeeze(-1) for one in (first, second))
    return (noise.square().unsqueeze(-1) + discount**2 * (square - mean.square()).clamp(min=0)).sqrt()


@torch.no_grad()
def examine(learner: Learner, world: method.World) -> dict[str, Tensor]:
    """Compare what the agents believe with what is true for their present policies: everything [A·S] or [A·S, 61]."""
    models = len(learner.alpha)
    states = method.STATES.to(learner.alpha).repeat_interleave(method.NODES).expand(models, -1).unsqueeze(-1)
    noise = method.EPSILONS.to(learner.alpha).repeat(method.GRID).unsqueeze(-1)

    def table(values: Tensor) -> Tensor:
        return values.double().unflatten(1, (method.GRID, method.NODES))

    action, log_density = learner.act(states, noise)
    mean, sd = learner.judge(learner.critic, states, action)
    believed = table(learner.value(mean, sd, 0 * learner.actor_beta))
    sigma = table(torch.where(learner.plain, torch.nan, sd)[:models])
    slow = table(learner.value(*learner.judge(learner.target, states, action), learner.target_beta))
    a, soft = table(action.squeeze(-1)), learner.alpha.double().unsqueeze(-1) * table(log_density)
    leads, reward = method.transitions(a, world), method.mean_reward(method.STATES.unsqueeze(-1), a)
    exact = reward + method.solve_values(leads, reward - soft)[0]
    star = temporal_sd(leads, slow - soft, world.noise_at(method.STATES))
    return {
        "overestimation": ((believed - exact) @ method.WEIGHTS).mean(-1),
        "sigma": (sigma @ method.WEIGHTS).mean(-1),
        "sigma_star": (star @ method.WEIGHTS).mean(-1),
        "value": method.solve_values(leads, reward)[1].mean(-1),
        "believed": believed[..., MODE],
        "exact": exact[..., MODE],
        "sigma_at": sigma[..., MODE],
        "sigma_star_at": star[..., MODE],
    }


ROLLOUTS, LENGTH, PLACES = 128, 60, 40
"""Rollouts for each model, their steps, bins of the occupancy."""


@torch.no_grad()
def rollouts(learner: Learner, world: method.World) -> dict[str, Tensor]:
    """Let agents act from uniform starts; those of a seed share starts and noise: everything [A·S] or [A·S, 40]."""
    seeds, copies = learner.seeds, len(learner.agents)
    noise = gaussian(seeds, "rollouts", LENGTH, ROLLOUTS, 3).repeat(copies, 1, 1, 1)
    s = (2 * uniform(seeds, "rollouts from", ROLLOUTS) - 1).repeat(copies, 1)
    total, seen = torch.zeros_like(s), []
    for t in range(LENGTH):
        a = learner.act(s.unsqueeze(-1), noise[:, t, :, :1])[0].squeeze(-1)
        reward, s = world.step(s, a, noise[:, t, :, 1:])
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


# ---------------------------------------------------------------------------------------------- experiments on the line


CURVE, ALONG = "arm seed step", "arm seed state"


@dataclass(frozen=True)
class OnLine(Experiment):
    """Two hills on a line: the right one is higher, and its rewards may be noisy. What experiments on it share."""

    reward_noise: float = knob(
        2.0, low=0, high=4, step=0.5, symbol="ρ", help="standard deviation of the rewards: right hill, or everywhere"
    )
    variant: str = knob(
        "risky",
        choices=("risky", "noisy", "still"),
        help="rewards noisy right only, rewards noisy everywhere and states right, or no noise",
    )
    buffer: int = knob(600, stops=(100, 200, 600, 1000, 2000), help="transitions that the agent remembers")
    dropout: float = knob(0.0, stops=(0, 0.01, 0.05, 0.1), symbol="p", help="share of hidden units dropped in training")
    alpha: float = knob(0.02, stops=(0, 0.005, 0.02, 0.05, 0.1, 0.2), symbol="α", help="temperature of the entropy")
    steps: int = knob(600, low=20, high=2000, step=20, help="steps in the world and of training")

    outputs = {
        "overestimation": Var(CURVE, "overestimation", "mean of the critic's value minus the exact soft value"),
        "sigma": Var(CURVE, "σ of the critic", "mean standard deviation that the critic predicts", low=0),
        "sigma_star": Var(CURVE, "exact σ", "mean exact standard deviation of the critic's target", low=0),
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
    may_be_nan = ("sigma", "sigma_at")  # a deterministic critic knows no σ

    def agents(self) -> Sequence[Agent]:
        """Return the agent of every arm."""
        raise NotImplementedError

    def world(self) -> method.World:
        """Return the noise of this variant."""
        if self.variant == "risky":
            return method.World((0.1, 0.1), (0.1, 0.1 + self.reward_noise))
        if self.variant == "noisy":
            return method.World((0.05, 0.4), (self.reward_noise, self.reward_noise))
        return method.World((0.0, 0.0), (0.0, 0.0))

    def checkpoints(self) -> list[int]:
        """Return the steps after which everything is measured."""
        return [*range(0, self.steps, 100), self.steps]

    def axes(self) -> dict[str, Axis]:
        """Every hundredth step and the last; the grid of states; bins of the line."""
        centers = (np.arange(PLACES) + 0.5) * 2 / PLACES - 1
        return {
            "step": Axis(self.checkpoints(), label="step"),
            "state": Axis(method.STATES.numpy(), label="state s"),
            "place": Axis(centers, label="state s"),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every checkpoint."""
        learner, world = Learner(seeds, self.agents(), 1, 1, self.alpha, method.DISCOUNT), self.world()
        copies, checkpoints = len(learner.agents), self.checkpoints()
        chance = Chance(seeds, copies, 1, self.dropout)

        def transition(s: Tensor, a: Tensor, noise: Tensor) -> Batch:
            reward, following = world.step(s, a, noise)
            return Batch(s.unsqueeze(-1), a.unsqueeze(-1), reward, following.unsqueeze(-1), torch.zeros_like(s))

        s, a = (2 * uniform(seeds, "first transitions", 2, self.buffer) - 1).repeat(copies, 1, 1).unbind(1)
        noise = gaussian(seeds, "first noise", self.buffer, 2).repeat(copies, 1, 1)
        memory = Memory(transition(s, a, noise))
        s = (2 * uniform(seeds, "start", 1) - 1).repeat(copies, 1)
        for step in range(self.steps + 1):
            if step in checkpoints:
                found = examine(learner, world)
                yield Tick((step + 0.3) / (self.steps + 1))
                found |= rollouts(learner, world)
                values = {name: one.unflatten(0, (copies, -1)) for name, one in found.items()}
                yield Frame({"step": checkpoints.index(step)}, values)
            if step % 4 == 0:
                yield Tick((step + 0.5) / (self.steps + 1))
            if step == self.steps:
                break
            normals, uniforms, choices, action_noise, keep = chance(step)
            with torch.no_grad():
                a = learner.act(s.unsqueeze(-1), normals[:, :1, None])[0].squeeze(-1)
            happened = transition(s, a, normals[:, None, 1:3])
            memory.store(happened)
            s = torch.where(uniforms[:, :1] < 0.05, 2 * uniforms[:, 1:2] - 1, happened.following.squeeze(-1))
            learner.update(memory.sample(choices), action_noise, keep)


BESIDE = ("β = 0", "STAC", "min of two", "SAC")


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
        "β = 0": "baseline",
        "STAC": "method",
        "target only": "ablation",
        "actor only": "ablation",
        "min of two": "further",
        "SAC": "further",
    }
    # fmt: off
    views = (
        View("Bias and risk", (
            Curves("Does the critic promise too much?", ["overestimation"], BESIDE, lines=[Line("y", 0, "")]),
            Curves("How often does it take the risk?", ["right"], BESIDE),
        ), height=3.2),
        View("What the critic knows", (
            Curves("STAC: are its values right?", ["believed", "exact"], ["STAC"], "value",
                   [Line("x", method.BORDER, " right hill")]),
            Curves("STAC: does it know the noise?", ["sigma_at", "sigma_star_at"], ["STAC"], "standard deviation",
                   [Line("x", method.BORDER, " right hill")]),
        ), height=3),
        View("Which half counts", (
            Dots("How much is promised too much?", "overestimation", lines=[Line("x", 0, "")]),
            Dots("How often does it take the risk?", "right"),
        ), height=3),
        View("What it is worth", (
            Dots("How much reward on average?", "value"),
            Dots("How much does it vary?", "return_sd"),
        ), height=3),
    )
    # fmt: on
    grid = {"beta": (0, 0.0625, 0.125, 0.25, 0.375, 0.5), "reward_noise": (0, 1, 2, 3, 4)}
    equals_baseline = (({"beta": 0}, "STAC"), ({"beta": 0}, "target only"), ({"beta": 0}, "actor only"))

    def agents(self) -> Sequence[Agent]:
        """Return the agent of every arm."""
        b = self.beta
        return Agent(), Agent(b, b), Agent(b, 0), Agent(0, b), Agent(twin=True), Agent(twin=True, plain=True)


BETAS = {"β = 0": 0.0, "β = 0.125": 0.125, "β = 0.25": 0.25, "β = 0.5": 0.5}


@dataclass(frozen=True)
class Pessimism(OnLine):
    """Train with four strengths of pessimism, and with the smaller of two critics, on the same line."""

    arms = {
        "β = 0": "baseline", "β = 0.125": "further", "β = 0.25": "method", "β = 0.5": "further", "min of two": "further"
    }  # fmt: skip
    views = (
        View(
            "Overestimation",
            (Curves("Does the critic promise too much?", ["overestimation"], lines=[Line("y", 0, "")]),),
            columns=1,
            height=3.4,
        ),
        View(
            "Risk",
            (Dots("How often does it take the risk?", "right"), Dots("How much do its returns vary?", "return_sd")),
            height=3,
        ),
    )

    def agents(self) -> Sequence[Agent]:
        """Return the agent of every arm."""
        return *(Agent(beta, beta) for beta in BETAS.values()), Agent(twin=True)


# ------------------------------------------------------------------------------------------------ a danger in the plane


CENTER, RADIUS, CELLS, EPISODE, WALKS = 0.5, 0.3, 20, 200, 256
"""Center and radius of the danger zone, cells of the map along each axis, steps and number of test episodes."""


def danger(state: Tensor) -> Tensor:
    """Return the probability of a penalty of 10: 0.1 exp(-4d²/0.3²) within d ≤ 0.3 of the center: [..., 2] -> [...]."""
    squared = (state - CENTER).square().sum(-1)
    return torch.where(squared <= RADIUS**2, 0.1 * (-4 * squared / RADIUS**2).exp(), 0.0)


def point_step(state: Tensor, action: Tensor, chance: Tensor) -> Batch:
    """Move a point in the unit square: [..., 2], three uniform numbers [..., 3] -> the transition.

    s' = clip(s + 0.1(a + U(-0.02, 0.02))), reward -‖s‖ - 0.1 and the penalty; done within 0.05 of the origin.
    """
    distance = state.norm(dim=-1)
    reward = -distance - 0.1 - 10 * (chance[..., 0] < danger(state)).float()
    following = (state + 0.1 * (action + 0.04 * (chance[..., 1:] - 0.5))).clamp(0, 1)
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

    arms = {
        "β = 0": "baseline",
        "β = 0.125": "further",
        "β = 0.25": "method",
        "β = 0.375": "further",
        "β = 0.5": "further",
    }
    outputs = {
        "inside": Var(CURVE, "steps in danger", "steps inside the danger zone for each episode", "steps", low=0),
        "arrived": share(CURVE, "share arrived", "share of 256 episodes that reach the goal"),
        "reward": Var(CURVE, "mean return", "mean undiscounted return of an episode, with expected penalties"),
        "map": share("arm seed row column", "share of time", "share of the time in each cell of the square"),
    }
    views = (
        View(
            "Danger",
            (Curves("How long is it in danger?", ["inside"]), Curves("Does it arrive?", ["arrived"])),
            height=3.2,
        ),
    )
    headline = "inside"
    scaled = "48 hidden units, 3000 steps; the world is the official one, without starts inside the danger zone"
    smoke = {"steps": 20}
    betas = (0.0, 0.125, 0.25, 0.375, 0.5)

    def checkpoints(self) -> list[int]:
        """Return the steps after which everything is measured."""
        return [*range(0, self.steps, 500), self.steps]

    def axes(self) -> dict[str, Axis]:
        """Every 500th step and the last; cells of the map."""
        centers = (np.arange(CELLS) + 0.5) / CELLS
        return {
            "step": Axis(self.checkpoints(), label="step"),
            "row": Axis(centers, label="second coordinate"),
            "column": Axis(centers, label="first coordinate"),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every checkpoint."""
        learner = Learner(seeds, [Agent(beta, beta) for beta in self.betas], 2, 2, 0.2, 0.99)
        copies, models = len(self.betas), len(self.betas) * len(seeds)
        first = uniform(seeds, "first transitions", 4000, 7).repeat(copies, 1, 1)
        memory = Memory(point_step(first[..., :2], 2 * first[..., 2:4] - 1, first[..., 4:]))
        begin = starts(seeds, "starts", 1 + self.steps // 10).repeat(copies, 1, 1)
        episode, age, every = torch.zeros(models, dtype=torch.long), torch.zeros(models), torch.arange(models)
        s, chance, checkpoints = begin[:, 0], Chance(seeds, copies, 2, 0.0), self.checkpoints()
        for step in range(self.steps + 1):
            if step in checkpoints:
                yield from self._walk(learner, step)
            if step % 4 == 0:
                yield Tick((step + 0.5) / (self.steps + 1))
            if step == self.steps:
                break
            normals, uniforms, choices, noise, keep = chance(step)
            with torch.no_grad():
                a = learner.act(s.unsqueeze(1), normals[:, None, :2])[0]
            happened = point_step(s.unsqueeze(1), a, uniforms[:, None, :3])
            memory.store(happened)
            age = age + 1
            over = (happened.done[:, 0] > 0) | (age >= EPISODE)
            episode = (episode + over) % begin.shape[1]
            age = torch.where(over, 0, age)
            s = torch.where(over.unsqueeze(-1), begin[every, episode], happened.following[:, 0])
            learner.update(memory.sample(choices), noise, keep, goal=-2.0)

    @torch.no_grad()
    def _walk(self, learner: Learner, step: int) -> Iterator[Frame | Tick]:
        """Take the middle action in 256 episodes and note where the time is spent; one frame at the end."""
        copies = len(self.betas)
        s = starts(learner.seeds, "test starts", WALKS).repeat(copies, 1, 1)
        chance = uniform(learner.seeds, "test noise", EPISODE, WALKS, 3).repeat(copies, 1, 1, 1)
        alive, total, inside = (torch.full(s.shape[:2], one) for one in (1.0, 0.0, 0.0))
        counts = torch.zeros(len(s), CELLS * CELLS)
        for t in range(EPISODE):
            total += alive * (-s.norm(dim=-1) - 0.1 - 10 * danger(s))
            inside += alive * (danger(s) > 0)
            cell = (s * CELLS).long().clamp(max=CELLS - 1)
            counts.scatter_add_(1, cell[..., 1] * CELLS + cell[..., 0], alive)
            action = learner.policy(s)[0].tanh()
            moved = point_step(s, action, chance[:, t])
            alive = alive * (1 - moved.done)
            s = moved.following
            if not alive.any():
                break
            if t % 20 == 19:
                yield Tick((step + 0.4 * t / EPISODE) / (self.steps + 1))
        values = {
            "inside": inside.mean(1),
            "arrived": 1 - alive.mean(1),
            "reward": total.mean(1),
            "map": (counts / counts.sum(1, keepdim=True)).unflatten(1, (CELLS, CELLS)),
        }
        place = {"step": self.checkpoints().index(step)}
        yield Frame(place, {name: one.unflatten(0, (copies, -1)) for name, one in values.items()})


EXPERIMENTS = (Actors, Pessimism, PointMass)
