"""STAC: the experiments."""

from __future__ import annotations

import bisect
import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from reglab.data import normal
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob
from reglab.models import replicas
from reglab.papers.dynamics.stochastic_actor_critic import method
from reglab.pictures import Curves, Dots, Images, Line, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator
from reglab.training import Lanes

HIDDEN, BATCH, RATE, SOFT = 48, 64, 3e-3, 0.05
"""Hidden units, batch size, learning rate of both networks, soft update τ of the target critic."""


class Network(nn.Module):
    """M networks side by side: twice [linear → dropout → layer normalization → ReLU], then linear to two outputs."""

    def __init__(self, inputs: int, outputs: int, sources: Sequence[torch.Generator], copies: int) -> None:
        super().__init__()
        ends, shape = itertools.pairwise((inputs, HIDDEN, HIDDEN, 2 * outputs)), (copies * len(sources), 1, HIDDEN)
        drawn = (replicas.linear(i, o, sources, copies, weights=i**-0.5, biases=i**-0.5) for i, o in ends)
        self.layers = nn.ModuleList(drawn)
        self.scales, self.shifts = (nn.ParameterList(f(shape) for _ in range(2)) for f in (torch.ones, torch.zeros))

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

    Settings of an arm say how its agent is careful: β in the `target` and in the `actor`, the same number in all states
    (`flat`), a second critic (`twin`), critics that know no σ (`plain`), another τ (`soft`); `idle` ones never learn.
    Second critics follow behind the first of all.
    """

    def __init__(self, lanes: Lanes, states: int, actions: int, alpha: float, discount: float) -> None:
        self.lanes, self.discount, copies = lanes, discount, len(lanes.arms)
        self.twins, inputs = lanes.each("twin", 0).nonzero().squeeze(1), states + actions
        self.policy = Network(states, actions, lanes.generators("policy"), copies)
        self.critic = Network(inputs, 1, lanes.generators("critic"), copies)
        second = Network(inputs, 1, lanes.generators("second critic"), len(self.twins) // len(lanes.seeds))
        for p, more in zip(self.critic.parameters(), second.parameters(), strict=True):
            p.data = torch.cat([p.data, more.data])
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.of_policy = optim.Adam(self.policy.parameters(), lr=RATE, fused=True)
        self.of_critic = optim.Adam(self.critic.parameters(), lr=RATE, fused=True)
        self.target_beta, self.actor_beta = (lanes.each(name, 1) for name in ("target", "actor"))
        self.plain, self.flat = (self.double(lanes.each(name, 1)) > 0 for name in ("plain", "flat"))
        soft = self.double(lanes.each("soft"))
        self.soft, self.learns = torch.where(soft > 0, soft, SOFT), 1 - lanes.each("idle", 0)
        self.alpha = torch.full((len(lanes), 1), alpha)

    def double(self, values: Tensor) -> Tensor:
        """Append what belongs to the second critics: [M, ...] -> [C, ...]."""
        return torch.cat([values, values[self.twins]])

    def act(self, states: Tensor, noise: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return actions and their log densities: [M, N, ...] -> [M, N, k] and [M, N]."""
        mean, sd = self.policy(states, keep)
        return method.squash(mean, sd, noise)

    def judge(self, critic: Network, s: Tensor, a: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of every critic, the latter 1 for plain ones: [C, N] each."""
        mean, sd = critic(self.double(torch.cat([s, a], -1)), keep)
        return mean.squeeze(-1), torch.where(self.plain, 1.0, sd.squeeze(-1))

    def value(self, mean: Tensor, sd: Tensor, beta: Tensor) -> Tensor:
        """Return every agent's value of its own, the smaller one where it has two critics: [C, N] -> [M, N].

        A flat agent subtracts its mean σ everywhere, as a constant: no gradient flows through that mean.
        """
        sd = torch.where(self.flat, sd.detach().mean(-1, keepdim=True), sd)
        first, second = method.pessimistic(mean, sd, self.double(beta)).tensor_split([len(self.lanes)])
        return first.index_copy(0, self.twins, torch.minimum(first[self.twins], second))

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
        (self.double(self.learns) * loss).sum().backward()
        self.of_critic.step()
        with torch.no_grad():
            for slow, quick in zip(self.target.parameters(), self.critic.parameters(), strict=True):
                slow.lerp_(quick, self.soft)
        action, log_density = self.act(batch.state, noise[1], keep[3])
        value = self.value(*self.judge(self.critic, batch.state, action, keep[4]), self.actor_beta)
        self.of_policy.zero_grad()
        loss = (self.learns * method.actor_loss(value, log_density, self.alpha)).sum()
        loss.backward(inputs=list(self.policy.parameters()))
        self.of_policy.step()
        if goal is not None:
            self.alpha = method.new_temperature(self.alpha, -log_density.detach().mean(-1, keepdim=True), goal, RATE)


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
                drawn = torch.stack([torch.rand(*shape, generator=source) for source in sources], 2) >= dropout
                keep = list(drawn / (1 - dropout))
            yield n[:, :5], u[:, :5], u[:, 5:], n[:, 5:].unflatten(1, (2, BATCH, -1)).transpose(0, 1), keep


def train(
    learner: Learner, memory: Batch, state: Tensor, move: Callable[..., tuple[Batch, Tensor]],
    measure: Callable[[], dict[str, Tensor]], checkpoints: list[int], dropout: float = 0.0, goal: float | None = None,
) -> Iterator[Frame | Tick]:  # fmt: skip
    """Act, remember and learn at each step, from states [M, 1, k] on; a frame at every checkpoint, the last one too.

    `move` takes states, actions [M, 1, k], normal and uniform numbers; it returns what happened and the new states.
    `memory` starts full, [M, size, ...]; what happens overwrites the oldest transition, in place.
    """
    lanes, width, (models, size) = learner.lanes, state.shape[-1], memory.reward.shape
    drawn, row = noise(lanes, width, dropout), torch.arange(models).unsqueeze(1)
    for step in range(checkpoints[-1] + 1):
        if step in checkpoints:
            yield Frame({"step": checkpoints.index(step)}, {name: lanes.split(x) for name, x in measure().items()})
        if step % 4 == 0:
            yield Tick((step + 0.5) / (checkpoints[-1] + 1))
        if step < checkpoints[-1]:
            normals, uniforms, choices, actions, keep = next(drawn)
            with torch.no_grad():
                action = learner.act(state, normals[:, None, :width])[0]
            happened, state = move(state, action, normals, uniforms)
            for kept, new in zip(memory, happened, strict=True):
                kept[:, step % size] = new[:, 0]
            learner.update(Batch(*(kept[row, (choices * size).long()] for kept in memory)), actions, keep, goal)


# ---------------------------------------------------------------------------------------------------- the line, exactly


@torch.no_grad()
def examine(learner: Learner, world: method.World) -> dict[str, Tensor]:
    """Compare what the agents believe with what is true for their present policies: everything [M] or [M, 61]."""
    models, right = len(learner.lanes), method.STATES > method.BORDER + 1e-6
    states = method.STATES.to(learner.alpha).repeat_interleave(method.NODES).expand(models, -1).unsqueeze(-1)
    action, log_density = learner.act(states, method.EPSILONS.to(learner.alpha).repeat(method.GRID).unsqueeze(-1))
    mean, sd = learner.judge(learner.critic, states, action)
    slow = learner.value(*learner.judge(learner.target, states, action), learner.target_beta)
    believed = learner.value(mean, sd, 0 * learner.actor_beta)
    sigma, soft = torch.where(learner.plain, torch.nan, sd)[:models], learner.alpha * log_density
    of_nodes = believed, sigma, slow, action.squeeze(-1), soft
    believed, sigma, slow, a, soft = (one.double().unflatten(1, (method.GRID, -1)) for one in of_nodes)
    leads, reward = method.transitions(a, world), method.mean_reward(method.STATES.unsqueeze(-1), a)
    gap = believed - reward - method.solve_values(leads, reward - soft)[0]
    star = method.temporal_sd(leads, slow - soft, method.of_side(method.STATES, *world.reward_noise))
    visited, middle = method.occupancy(leads, 60), method.NODES // 2
    return {
        "overestimation": (gap @ method.WEIGHTS).mean(-1), "value": method.solve_values(leads, reward)[1].mean(-1),
        "right": visited[:, right].sum(-1), "occupancy": visited * (method.GRID - 1) / 2,
        "gap": gap[..., middle], "sigma_at": sigma[..., middle], "sigma_star_at": star[..., middle],
    }  # fmt: skip


CURVE, ALONG, CONSTANT = "arm seed step", "arm seed state", "constant pessimism"
TRUTH, RIGHT, HILL = [Line("y", 0, "")], [Line("x", 0, "")], Line("x", method.BORDER, "right hill")
TOO_MUCH, RISK = "Does the critic promise too much?", "How often does it take the risk?"
KNOWN, MAIN = ("sigma_at", "sigma_star_at"), ("β = 0", "STAC", CONSTANT, "min of two", "SAC")


@dataclass(frozen=True)
class Actors(Experiment):
    """Train actors and critics on a line with two hills: the right one is higher, and its rewards may be noisy.

    One update of batch 64 for each step, Adam with rate 0.003. Arms of a seed share first weights, noise, the order of
    batches and the random transitions in the buffer.
    """

    # fmt: off
    beta: float = knob(0.125, stops=(0, 0.0625, 0.125, 0.25, 0.375, 0.5), symbol="β",
                       label="pessimism", help="standard deviations that are subtracted")
    reward_noise: float = knob(2.0, low=0, high=4, step=0.5, symbol="ρ",
                               help="standard deviation of the rewards: right hill, or everywhere")
    variant: str = knob("risky", choices=("risky", "noisy", "still"),
                        help="rewards noisy right only, rewards noisy everywhere and states right, or no noise")
    buffer: int = knob(600, stops=(100, 200, 600, 1000, 2000), help="transitions that the agent remembers")
    dropout: float = knob(0.0, stops=(0, 0.01, 0.05, 0.1), symbol="p", help="share of hidden units dropped in training")
    steps: int = knob(600, low=20, high=2000, step=20, help="steps in the world and of training")

    arms = {"β = 0": Arm("baseline"), "STAC": Arm("method", target="beta", actor="beta"),
            CONSTANT: Arm("rival", target="beta", actor="beta", flat=1),
            "target only": Arm("ablation", target="beta"), "actor only": Arm("ablation", actor="beta"),
            "slow target": Arm("further", soft=0.01), "untrained": Arm("null", idle=1),
            "min of two": Arm("further", twin=1), "SAC": Arm("rival", twin=1, plain=1)}
    outputs = {
        "overestimation": Var(CURVE, "overestimation", "mean of the critic's value minus the exact soft value"),
        "value": Var(CURVE, "policy value", "mean exact discounted reward of the policy, from all states"),
        "right": share(CURVE, "share of time right", "exact share of time with s > 0.2 in the first 60 steps"),
        "gap": Var(ALONG, "critic's value − exact value", "overestimation of the policy's middle action"),
        "sigma_at": Var(ALONG, "critic's σ", "standard deviation that the critic predicts there", low=0),
        "sigma_star_at": Var(ALONG, "exact σ", "exact standard deviation of the critic's target there", low=0),
        "occupancy": Var(ALONG, "density", "how often the agent is at a place; integrates to 1", low=0)}
    views = (
        View("Bias and risk", (Curves(TOO_MUCH, ["overestimation"], MAIN, lines=TRUTH), Curves(RISK, ["right"], MAIN))),
        View("What the critic knows", (Curves("STAC: does it know the noise?", KNOWN, ["STAC"], "σ", [HILL]),)),
        View("Where the pessimism sits", (
            Curves("Where is too much promised?", ["gap"], MAIN[:3], lines=[HILL, *TRUTH]),
            Curves("Where is the agent?", ["occupancy"], MAIN[:3], lines=[HILL]))),
        View("Every arm", (Dots(TOO_MUCH, "overestimation", lines=RIGHT), Dots(RISK, "right")), height=3.6),
        View("What it is worth", (Scatter("Does a right critic act better?", "overestimation", "value"),), height=3.6),
    )
    # fmt: on
    headline = "overestimation"
    scaled = "locomotion in MuJoCo became a line with known values; networks, losses and order of updates are kept"
    smoke = {"steps": 20, "buffer": 100}
    may_be_nan = ("sigma_at",)  # a deterministic critic knows no σ
    grid = {"beta": (0, 0.0625, 0.125, 0.25, 0.375, 0.5), "reward_noise": (0, 1, 2, 3, 4)}
    equals_baseline = tuple(({"beta": 0}, arm) for arm in ("STAC", CONSTANT, "target only", "actor only"))

    def world(self) -> method.World:
        """Return the noise of this variant."""
        shake = {"risky": (0.1, 0.1), "noisy": (0.05, 0.4), "still": (0.0, 0.0)}[self.variant]
        rho = self.reward_noise
        return method.World(shake, {"risky": (0.1, 0.1 + rho), "noisy": (rho, rho), "still": (0.0, 0.0)}[self.variant])

    def axes(self) -> dict[str, Axis]:
        """Every twentieth step and the last; the grid of states."""
        steps = Axis([*range(0, self.steps, 20), self.steps], label="step")
        return {"step": steps, "state": Axis(method.STATES.numpy(), label="state s")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every checkpoint."""
        lanes, world = self.lanes(seeds), self.world()
        learner = Learner(lanes, 1, 1, 0.02, method.DISCOUNT)

        def transition(s: Tensor, a: Tensor, noise: Tensor) -> Batch:
            reward, following = world.step(s, a, noise)
            return Batch(s.unsqueeze(-1), a.unsqueeze(-1), reward, following.unsqueeze(-1), torch.zeros_like(s))

        def move(s: Tensor, a: Tensor, normals: Tensor, uniforms: Tensor) -> tuple[Batch, Tensor]:
            one = transition(s.squeeze(-1), a.squeeze(-1), normals[:, None, 1:3])
            return one, torch.where(uniforms[:, :1, None] < 0.05, 2 * uniforms[:, 1:2, None] - 1, one.following)

        s, a = lanes.repeat(2 * uniform(seeds, "first transitions", 2, self.buffer) - 1).unbind(1)
        memory = transition(s, a, lanes.repeat(gaussian(seeds, "first noise", self.buffer, 2)))
        start, steps = lanes.repeat(2 * uniform(seeds, "start", 1, 1) - 1), list(self.axes()["step"].values)
        yield from train(learner, memory, start, move, lambda: examine(learner, world), steps, self.dropout)


# ------------------------------------------------------------------------------------------------ a danger in the plane

CENTER, RADIUS, CELLS, EPISODE = 0.5, 0.3, 16, 200
"""Center and radius of the danger zone, cells of the map along each axis, most steps of an episode."""


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


def starts(seeds: Seeds, count: int) -> Tensor:
    """Return uniform starts in [0.3, 1]² outside the danger zone: [S, count, 2]."""
    drawn = uniform(seeds, "starts", 8 * count + 40, 2)
    return torch.stack([one[danger(one) == 0][:count] for one in 0.3 + 0.7 * drawn])


@dataclass(frozen=True)
class PointMass(Experiment):
    """Walk to the origin past a danger zone (the paper's RiskyPointMass), and watch where agents are as they learn.

    γ = 0.99, no dropout; the temperature starts at 0.2 and follows the entropy. The buffer of 4000 starts full.
    """

    steps: int = knob(3000, low=20, high=10000, step=20, help="steps in the world and of training")

    arms = {
        "β = 0": Arm("baseline"), "β = 0.25": Arm("further", target=0.25, actor=0.25),
        "β = 0.5": Arm("method", target=0.5, actor=0.5), CONSTANT: Arm("rival", target=0.5, actor=0.5, flat=1),
    }  # fmt: skip
    outputs = {
        "inside": Var(CURVE, "share of time in danger", "share of the past quarter of training in the zone", low=0),
        "arrivals": Var(CURVE, "arrivals", "how often the goal was reached in the past quarter of training", low=0),
        "map": share("arm seed row column", "share of time", "share of all training steps in each cell of the square"),
    }
    views = (View("Danger", (Curves("How long is it in danger?", ["inside"]), Curves("Does it arrive?", ["arrivals"]))),
             View("Maps", (Images("Bright is often: where is it?", "map", limits=(0, 0.02)),), height=2))  # fmt: skip
    headline = "inside"
    scaled = "48 hidden units, 3000 steps; the world is the official one, without starts inside the danger zone"
    smoke = {"steps": 20}

    def axes(self) -> dict[str, Axis]:
        """At most 33 moments, eight to a quarter of training; cells of the map."""
        cells = [(cell + 0.5) / CELLS for cell in range(CELLS)]
        row, column = (Axis(cells, label=f"{which} coordinate") for which in ("second", "first"))
        steps = sorted({eighth * self.steps // 32 for eighth in range(33)})
        return {"step": Axis(steps, label="step"), "row": row, "column": column}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at each moment, of the quarter of training before it."""
        lanes = self.lanes(seeds)
        learner, models = Learner(lanes, 2, 2, 0.2, 0.99), torch.arange(len(lanes))
        first = lanes.repeat(uniform(seeds, "first transitions", 4000, 7))
        begin = lanes.repeat(starts(seeds, 1 + self.steps // 10))
        age, episode, inside, arrivals = torch.zeros(4, len(lanes)).unbind(0)
        visits = torch.zeros(len(lanes), CELLS, CELLS)

        def move(s: Tensor, a: Tensor, normals: Tensor, uniforms: Tensor) -> tuple[Batch, Tensor]:
            happened = point_step(s, a, uniforms[:, None, :3])
            column, row = (s[:, 0] * CELLS).long().clamp(max=CELLS - 1).unbind(-1)
            visits[models, row, column] += 1
            inside.add_(danger(s[:, 0]) > 0)
            arrivals.add_(happened.done[:, 0])
            over = (happened.done[:, 0] > 0) | (age.add_(1) >= EPISODE)
            age[over] = 0
            following = begin[models, episode.add_(over).long() % begin.shape[1], None]
            return happened, torch.where(over[:, None, None], following, happened.following)

        shown, counted = list(self.axes()["step"].values), list[Tensor]()

        def measure() -> dict[str, Tensor]:
            counted.append(torch.stack([inside, arrivals]))
            began = bisect.bisect(shown, max(0, shown[len(counted) - 1] - self.steps // 4)) - 1
            danger, reached = counted[-1] - counted[began]
            return {"inside": 4 * danger / self.steps, "arrivals": reached, "map": visits / self.steps}

        memory = point_step(first[..., :2], 2 * first[..., 2:4] - 1, first[..., 4:])
        yield from train(learner, memory, begin[:, :1], move, measure, shown, goal=-2.0)


@dataclass(frozen=True)
class Bandit(Experiment):
    """Believe the best of equal actions, each tried some times: the overestimation, and what pessimism makes of it."""

    beta: float = knob(0.25, low=0, high=0.5, step=0.125, symbol="β", label="pessimism", help="deviations subtracted")
    actions: int = knob(10, low=2, high=20, step=1, symbol="K", help="actions, none better than the others")

    arms = {"β = 0": Arm("baseline"), "STAC": Arm("method", beta="beta"), "two halves": Arm("rival")}
    outputs = {
        "bias": Var("arm seed samples", "overestimation", "believed minus true value, mean of 500 problems"),
        "derived": Var("arm samples", "derived", "overestimation by the formula"),
    }
    views = (View("Best of many", (Curves("Is too much promised?", ["bias"], theory="derived", lines=TRUTH),)),)
    headline = "bias"
    scaled = "one state and normal rewards stand for the values of a world"

    def axes(self) -> dict[str, Axis]:
        """How often each action is tried."""
        return {"samples": Axis((2, 4, 8, 32, 128), label="samples n of each action", log=True)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each number of samples; in "two halves" one half of them chooses, and the other judges."""
        rest, surplus = 1 - method.DISCOUNT, method.expected_maximum(self.actions)
        for place, n in enumerate(self.axes()["samples"].values):
            rewards = normal(seeds, f"bandit {n}", 500, self.actions, n)
            chooses, judges = (half.mean(-1) for half in rewards.tensor_split(2, -1))
            judged = judges.gather(-1, chooses.argmax(-1, keepdim=True)).squeeze(-1) / rest
            believed = [method.best_of_means(rewards, beta, method.DISCOUNT) for beta in (0, self.beta)]
            derived = [surplus / n**0.5 / rest, (surplus / n**0.5 - method.DISCOUNT * self.beta) / rest, 0.0]
            yield Frame({"samples": place}, {"bias": torch.stack([*believed, judged]).mean(-1), "derived": derived})
            yield Tick((place + 1) / 5)


EXPERIMENTS = (Actors, PointMass, Bandit)
