"""Stochastic actor-critic (STAC): one critic that knows the noise of its own target, and an actor that avoids it.

Uğurcan Özalp, 2026, arXiv 2601.00737.

Departures from the paper: two toy worlds instead of MuJoCo and Box2D, 48 hidden units instead of 256, batches of 64, a
learning rate of 3e-3 and a soft update of 0.05, so that a run takes seconds. On the line the temperature is fixed and
the buffer starts full of random transitions. Values are exact, from a grid; the paper takes returns of an episode. In
the plane episodes never start inside the danger zone, which the official code means to do but does not.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab.catalogue import Paper
from reglab.claims import Claim
from reglab.data import Seeds, generator, normal
from reglab.exercise import Wrong
from reglab.experiment import Axis, Experiment, Frame, Tick, Var, knob, share
from reglab.models import replicas
from reglab.pictures.views import WIDE, Curves, Dots, Line, View, styles

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

PAPER = Paper(
    part="dynamics",
    slug="stochastic_actor_critic",
    title="Stochastic Actor-Critic: Mitigating Overestimation via Temporal Aleatoric Uncertainty",
    short="STAC",
    authors=("Uğurcan Özalp",),
    venue="arXiv",
    year=2026,
    arxiv="2601.00737",
    code="https://github.com/ugurcanozalp/stochastic-actor-critic",
    sources=(
        "abstract and opening of the paper, the complete official code of the algorithm and of its point mass, the "
        "tables, settings and launch scripts of the official results; not the paper's derivations"
    ),
    idea=(
        "An actor exploits the errors of its critic, so let one critic also predict how noisy its own target is, and "
        "be pessimistic in proportion to that noise."
    ),
    minutes=50,
    prerequisites=("Markov decision processes", "Q-learning", "policy gradients with reparameterization"),
)

LOWEST = -5.0
"""Raw standard deviations are cut off here, as in the official code."""
HIDDEN, BATCH, RATE, SOFT = 48, 64, 3e-3, 0.05
"""Hidden units, batch size, learning rate of both networks, soft update τ of the target critic."""


# ---------------------------------------------------------------------------------------------------- the method


def head(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation softplus(max(raw, -5)) from a network's outputs: [..., 2k] -> two [..., k]."""
    mean, spread = raw.chunk(2, -1)
    return mean, F.softplus(spread.clamp(min=LOWEST))


def squash(mean: Tensor, sd: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return the action a = tanh(u), u = μ + σε, and log π(a): [..., k] -> [..., k] and [...].

    log π = Σ_i [log N(u_i) - 2(log 2 - u_i - softplus(-2u_i))]; this form of log(1 - a²) is exact for every u.
    """
    u = mean + sd * noise
    log_normal = -0.5 * noise.square() - sd.log() - 0.5 * math.log(2 * math.pi)
    return u.tanh(), (log_normal - 2 * (math.log(2) - u - F.softplus(-2 * u))).sum(-1)


def pessimistic(mean: Tensor, sd: Tensor, beta: float | Tensor) -> Tensor:
    """Return μ - βσ, a value lowered by β standard deviations."""
    return mean - beta * sd


def soft_target(
    reward: Tensor, done: Tensor, value: Tensor, log_density: Tensor, alpha: float | Tensor, discount: float
) -> Tensor:
    """Return y = r + γ(1 - done)[value - α log π(a'|s')], with the pessimistic value of (s', a'): all [..., N]."""
    return reward + discount * (1 - done) * (value - alpha * log_density)


def critic_loss(target: Tensor, mean: Tensor, sd: Tensor) -> Tensor:
    """Return the Gaussian negative log-likelihood of the targets, averaged over the batch: [..., N] -> [...]."""
    return (0.5 * ((target - mean) / sd).square() + sd.log() + 0.5 * math.log(2 * math.pi)).mean(-1)


def actor_loss(value: Tensor, log_density: Tensor, alpha: float | Tensor) -> Tensor:
    """Return the mean of α log π(a|s) - value, with the pessimistic value of (s, a): [..., N] -> [...]."""
    return (alpha * log_density - value).mean(-1)


def new_temperature(alpha: Tensor, entropy: Tensor, goal: float, rate: float) -> Tensor:
    """Return α exp(ηα(H̄ - Ĥ)): the temperature rises while the entropy Ĥ is below its goal H̄."""
    return alpha * (rate * alpha * (goal - entropy)).exp()


# ----------------------------------------------------------------------------- many agents, trained as one batch


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
        mean, sd = head(self.layers[2](x))
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
        return squash(mean, sd, noise)

    def judge(
        self, critic: Network, states: Tensor, actions: Tensor, keep: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of every critic, the latter 1 for plain ones: [C, N] each."""
        mean, sd = critic(self.double(torch.cat([states, actions], -1)), keep)
        return mean.squeeze(-1), torch.where(self.plain, 1.0, sd.squeeze(-1))

    def value(self, mean: Tensor, sd: Tensor, beta: Tensor) -> Tensor:
        """Return every agent's value of its own, the smaller one where it has two critics: [C, N] -> [A·S, N]."""
        found = pessimistic(mean, sd, self.double(beta))
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
            target = soft_target(batch.reward, batch.done, value, log_density, self.alpha, self.discount)
        loss = critic_loss(self.double(target), *self.judge(self.critic, batch.state, batch.action, keep[2]))
        self.of_critic.zero_grad()
        loss.sum().backward()
        self.of_critic.step()
        with torch.no_grad():
            for slow, quick in zip(self.target.parameters(), self.critic.parameters(), strict=True):
                slow.lerp_(quick, SOFT)
        action, chosen = self.act(batch.state, noise[1], keep[3])
        value = self.value(*self.judge(self.critic, batch.state, action, keep[4]), self.actor_beta)
        parameters = list(self.policy.parameters())
        gradients = torch.autograd.grad(actor_loss(value, chosen, self.alpha).sum(), parameters)
        for p, gradient in zip(parameters, gradients, strict=True):
            p.grad = gradient
        self.of_policy.step()
        if goal is not None:
            self.alpha = new_temperature(self.alpha, -log_density.mean(-1, keepdim=True), goal, RATE)


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


# ------------------------------------------------------------------------------------------- the line, exactly


GRID, NODES, BORDER, DISCOUNT = 61, 9, 0.2, 0.85
"""States of the grid on [-1, 1], nodes of Gauss-Hermite quadrature, where the right side begins, γ."""
STATES = torch.linspace(-1, 1, GRID, dtype=torch.float64)


def _gauss_hermite() -> tuple[Tensor, Tensor]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return torch.tensor(nodes), torch.tensor(weights / weights.sum())


EPSILONS, WEIGHTS = _gauss_hermite()
"""Where and with which weights the mean over a standard normal number is taken; the middle node is 0."""
MODE = NODES // 2


class World(NamedTuple):
    """Noise of the line left and right of s = 0.2: standard deviations of next state and reward."""

    shake: tuple[float, float]
    reward_noise: tuple[float, float]

    def shake_at(self, s: Tensor) -> Tensor:
        """Return σ_s(s)."""
        return _beyond(s, *self.shake)

    def noise_at(self, s: Tensor) -> Tensor:
        """Return σ_r(s)."""
        return _beyond(s, *self.reward_noise)

    def step(self, s: Tensor, a: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return reward and next state; `noise` [..., 2] holds standard normal numbers for both."""
        reward = mean_reward(s, a) + self.noise_at(s) * noise[..., 0]
        return reward, (s + 0.3 * a + self.shake_at(s) * noise[..., 1]).clamp(-1, 1)


def _beyond(s: Tensor, left: float, right: float) -> Tensor:
    return left + (right - left) * (s > BORDER).to(s.dtype)


def mean_reward(s: Tensor, a: Tensor) -> Tensor:
    """Return r̄: a hill of height 1 around s = 0.6 and one of 0.8 around s = -0.6, minus 0.05a² and 0.35."""
    hills = (-(((s - 0.6) / 0.25) ** 2)).exp() + 0.8 * (-(((s + 0.6) / 0.25) ** 2)).exp()
    return hills - 0.05 * a**2 - 0.35


def transitions(actions: Tensor, world: World) -> Tensor:
    """Return where each action leads from each state of the grid, as weights on the grid: [M, 61, K] -> [M, 61, K, 61].

    The mean over the noise is taken at nine nodes; a next state between two grid states goes to both in proportion.
    """
    s = STATES.reshape(-1, 1, 1)
    following = (s + 0.3 * actions.unsqueeze(-1) + world.shake_at(s) * EPSILONS).clamp(-1, 1)
    position = (following + 1) / 2 * (GRID - 1)
    low = position.floor().clamp(max=GRID - 2)
    above = position - low
    found = torch.zeros(*actions.shape, GRID, dtype=actions.dtype)
    found.scatter_add_(-1, low.long(), (1 - above) * WEIGHTS)
    return found.scatter_add_(-1, low.long() + 1, above * WEIGHTS)


def solve_values(leads: Tensor, reward: Tensor, discount: float = DISCOUNT) -> tuple[Tensor, Tensor]:
    """Solve V(s) = E_a[reward + γ E V(s')] on the grid; return Q without the reward of its own entropy, and V.

    leads [M, 61, K, 61], reward [M, 61, K] (with -α log π for a soft value) -> E V(s') [M, 61, K] times γ, V [M, 61].
    """
    step = torch.einsum("mgkh,k->mgh", leads, WEIGHTS)
    V = torch.linalg.solve(torch.eye(GRID, dtype=leads.dtype) - discount * step, reward @ WEIGHTS)
    return discount * (leads @ V[:, None, :, None]).squeeze(-1), V


def temporal_sd(leads: Tensor, value: Tensor, noise: Tensor, discount: float = DISCOUNT) -> Tensor:
    """Return σ*, the standard deviation of r + γ value(s', a') at every state and action of the grid.

    σ*² = σ_r² + γ² Var(value): leads [M, 61, K, 61], value of the target at each (s', a') [M, 61, K], σ_r [61].
    """
    first, second = value @ WEIGHTS, value.square() @ WEIGHTS
    mean, square = ((leads @ one[:, None, :, None]).squeeze(-1) for one in (first, second))
    return (noise.square().unsqueeze(-1) + discount**2 * (square - mean.square()).clamp(min=0)).sqrt()


@torch.no_grad()
def examine(learner: Learner, world: World) -> dict[str, Tensor]:
    """Compare what the agents believe with what is true for their present policies: everything [A·S] or [A·S, 61]."""
    models = len(learner.alpha)
    states = STATES.to(learner.alpha).repeat_interleave(NODES).expand(models, -1).unsqueeze(-1)
    noise = EPSILONS.to(learner.alpha).repeat(GRID).unsqueeze(-1)

    def table(values: Tensor) -> Tensor:
        return values.double().unflatten(1, (GRID, NODES))

    action, log_density = learner.act(states, noise)
    mean, sd = learner.judge(learner.critic, states, action)
    believed = table(learner.value(mean, sd, 0 * learner.actor_beta))
    sigma = table(torch.where(learner.plain, torch.nan, sd)[:models])
    slow = table(learner.value(*learner.judge(learner.target, states, action), learner.target_beta))
    a, soft = table(action.squeeze(-1)), learner.alpha.double().unsqueeze(-1) * table(log_density)
    leads, reward = transitions(a, world), mean_reward(STATES.unsqueeze(-1), a)
    exact = reward + solve_values(leads, reward - soft)[0]
    star = temporal_sd(leads, slow - soft, world.noise_at(STATES))
    return {
        "overestimation": ((believed - exact) @ WEIGHTS).mean(-1),
        "sigma": (sigma @ WEIGHTS).mean(-1),
        "sigma_star": (star @ WEIGHTS).mean(-1),
        "value": solve_values(leads, reward)[1].mean(-1),
        "believed": believed[..., MODE],
        "exact": exact[..., MODE],
        "sigma_at": sigma[..., MODE],
        "sigma_star_at": star[..., MODE],
    }


ROLLOUTS, LENGTH, PLACES = 128, 60, 40
"""Rollouts for each model, their steps, bins of the occupancy."""


@torch.no_grad()
def rollouts(learner: Learner, world: World) -> dict[str, Tensor]:
    """Let agents act from uniform starts; those of a seed share starts and noise: everything [A·S] or [A·S, 40]."""
    seeds, copies = learner.seeds, len(learner.agents)
    noise = gaussian(seeds, "rollouts", LENGTH, ROLLOUTS, 3).repeat(copies, 1, 1, 1)
    s = (2 * uniform(seeds, "rollouts from", ROLLOUTS) - 1).repeat(copies, 1)
    total, seen = torch.zeros_like(s), []
    for t in range(LENGTH):
        a = learner.act(s.unsqueeze(-1), noise[:, t, :, :1])[0].squeeze(-1)
        reward, s = world.step(s, a, noise[:, t, :, 1:])
        total += DISCOUNT**t * reward
        seen.append(s)
    visited = torch.stack(seen, 1).flatten(1)
    bins = ((visited + 1) / 2 * PLACES).long().clamp(max=PLACES - 1)
    counts = torch.zeros(len(s), PLACES).scatter_add_(1, bins, torch.ones_like(visited))
    return {
        "right": (visited > BORDER).float().mean(1),
        "return_sd": total.std(1),
        "occupancy": counts / visited.shape[1] * PLACES / 2,
    }


# ------------------------------------------------------------------------------------- experiments on the line


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

    def world(self) -> World:
        """Return the noise of this variant."""
        if self.variant == "risky":
            return World((0.1, 0.1), (0.1, 0.1 + self.reward_noise))
        if self.variant == "noisy":
            return World((0.05, 0.4), (self.reward_noise, self.reward_noise))
        return World((0.0, 0.0), (0.0, 0.0))

    def checkpoints(self) -> list[int]:
        """Return the steps after which everything is measured."""
        return [*range(0, self.steps, 100), self.steps]

    def axes(self) -> dict[str, Axis]:
        """Every hundredth step and the last; the grid of states; bins of the line."""
        centers = (np.arange(PLACES) + 0.5) * 2 / PLACES - 1
        return {
            "step": Axis(self.checkpoints(), label="step"),
            "state": Axis(STATES.numpy(), label="state s"),
            "place": Axis(centers, label="state s"),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every checkpoint."""
        learner, world = Learner(seeds, self.agents(), 1, 1, self.alpha, DISCOUNT), self.world()
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
                   [Line("x", BORDER, " right hill")]),
            Curves("STAC: does it know the noise?", ["sigma_at", "sigma_star_at"], ["STAC"], "standard deviation",
                   [Line("x", BORDER, " right hill")]),
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


# -------------------------------------------------------------------------------------------- a danger in the plane


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


# ---------------------------------------------------------------------------------- pictures that occur only once


def draw_band(figure: Figure, results: xr.Dataset) -> str:
    """Draw the exact value of the first seed's policy, and what the critic believes with its ±σ, along the line."""
    wide, arms = figure.get_figwidth() >= WIDE, ("β = 0", "STAC")
    axes = figure.subplots(*((1, 2) if wide else (2, 1)), sharex=True, sharey=True)
    s, said = results.state.values, []
    for axis, arm in zip(axes, arms, strict=True):
        one, look = results.sel(arm=arm).isel(seed=0), styles(Actors.arms)[arm]
        believed, sigma = one.believed.values, one.sigma_at.values
        axis.axvspan(BORDER, 1, color="#999999", alpha=0.18, lw=0)
        axis.fill_between(s, believed - sigma, believed + sigma, color=look.color, alpha=0.3, lw=0, label="±σ")
        axis.plot(s, believed, color=look.color, lw=2.5, label="critic's μ")
        axis.plot(s, one.exact.values, color="black", lw=1.8, ls=(0, (4, 2)), label="exact value")
        axis.set_title(f"{arm}: what does the critic know?")
        right = s > BORDER
        said.append(
            f"{arm}: mean σ {sigma[~right].mean():.2f} left and {sigma[right].mean():.2f} right of {BORDER}, mean of "
            f"critic minus exact {(believed - one.exact.values).mean():.2f}"
        )
    axes[0].set_ylabel("value")
    axes[-1].set_xlabel("state s")
    if wide:
        axes[0].set_xlabel("state s")
    axes[0].legend(fontsize=9, loc="lower left")
    return f"Value along the line for the first seed, noisy rewards on the right. {'; '.join(said)}."


def draw_occupancy(figure: Figure, results: xr.Dataset) -> str:
    """Draw where on the line the agents are, one panel for each β, the mean of all seeds as bars."""
    axes = figure.subplots(*((1, 4) if figure.get_figwidth() >= WIDE else (2, 2)), sharex=True, sharey=True)
    look, said = styles(Pessimism.arms), []
    for axis, arm in zip(axes.flat, BETAS, strict=True):
        density = results.occupancy.sel(arm=arm).mean("seed").values
        axis.axvspan(BORDER, 1, color="#999999", alpha=0.18, lw=0)
        axis.bar(results.place.values, density, width=2 / PLACES, color=look[arm].color)
        axis.set_title(arm, fontsize=10, fontweight="normal")
        axis.set(xlim=(-1, 1), xticks=(-0.6, 0.6), xlabel="state s", ylabel="density")
        axis.label_outer()
        said.append(
            f"{arm}: {float(results.right.sel(arm=arm).isel(step=-1).mean()):.2f} of the time right of {BORDER}"
        )
    figure.suptitle("Where is the agent?", fontsize=11, fontweight="bold")
    return f"How often agents are where on the line, mean of all seeds, right hill shaded. {'; '.join(said)}."


def draw_tradeoff(figure: Figure, results: xr.Dataset) -> str:
    """Draw the exact value of every policy against its critic's overestimation, one dot for each run."""
    axes, said = figure.subplots(), []
    for arm, look in styles(Pessimism.arms).items():
        bias, value = (results[name].sel(arm=arm).isel(step=-1).values for name in ("overestimation", "value"))
        axes.plot(bias, value, look.marker, color=look.color, ms=7, mec="white", mew=0.5, label=arm)
        said.append(f"{arm}: overestimation {bias.mean():.2f}, value {value.mean():.2f}")
    axes.axvline(0, color="black", lw=0.8)
    axes.set(xlabel="overestimation", ylabel="policy value", title="Does a right critic act better?")
    axes.legend(fontsize=9, loc="best", ncols=1 if figure.get_figwidth() >= WIDE else 2)
    return f"Each dot is a run. Means: {'; '.join(said)}."


def draw_maps(figure: Figure, results: xr.Dataset) -> str:
    """Draw where the first seed's agents spend their time in the square, with the danger zone as a circle."""
    from matplotlib.patches import Circle

    wide, arms = figure.get_figwidth() >= WIDE, list(PointMass.arms)
    axes, said = figure.subplots(*((1, 5) if wide else (2, 3)), sharex=True, sharey=True), []
    for axis in axes.flat[len(arms) :]:
        axis.axis("off")
    for axis, arm in zip(axes.flat, arms, strict=False):
        shares = results["map"].sel(arm=arm).isel(seed=0).values
        axis.imshow(shares, origin="lower", extent=(0, 1, 0, 1), cmap="viridis", vmin=0, vmax=0.01)
        axis.add_patch(Circle((CENTER, CENTER), RADIUS, fill=False, color="white", lw=1.5, ls="--"))
        axis.set_title(arm, fontsize=10, fontweight="normal")
        axis.set(xticks=(0, 1), yticks=(0, 1))
        axis.grid(False)
        steps = float(results.inside.sel(arm=arm).isel(seed=0, step=-1))
        said.append(f"{arm}: {steps:.1f} steps in danger for each episode")
    figure.suptitle("Where does the agent walk? Bright: often", fontsize=11, fontweight="bold")
    return f"Maps of the time spent in the unit square, goal at the origin, danger inside a circle. {'; '.join(said)}."


# ------------------------------------------------------------------------------------------------------- claims


NOISY = {"variant": "noisy", "reward_noise": 1.0, "buffer": 200, "steps": 900}
"""Little data, noisy rewards everywhere, noisy moves on the right."""
STILL = {"variant": "still", "buffer": 2000}
"""No noise, much data."""


def late(results: xr.Dataset, name: str, arm: str) -> xr.DataArray:
    """Return a quantity of one arm, mean of the checkpoints in the last two thirds of training: one for each seed.

    The agents change their habits until the end, so one checkpoint says less than the mean of several.
    """
    trace = results[name].sel(arm=arm)
    return trace.where(trace.step >= int(trace.step[-1]) / 3).mean("step")


def more(results: xr.Dataset, name: str, arm: str, other: str) -> xr.DataArray:
    """Return by how much a quantity of one arm exceeds that of another late in training."""
    return late(results, name, arm) - late(results, name, other)


def falling(results: xr.Dataset) -> float:
    """Return in how many seeds the least-squares slope of overestimation over β = 0, 0.25, 0.5 is negative."""
    arms = ["β = 0", "β = 0.25", "β = 0.5"]
    bias = np.stack([late(results, "overestimation", arm).values for arm in arms])
    slopes = np.polyfit([BETAS[arm] for arm in arms], bias, 1)[0]
    return float((slopes < 0).sum())


def beside_min(results: xr.Dataset) -> float:
    """Return the smallest |overestimation| of the four β minus that of the smaller of two critics, means of seeds."""
    size = {arm: abs(float(late(results, "overestimation", arm).mean())) for arm in Pessimism.arms}
    return min(size[arm] for arm in BETAS) - size["min of two"]


def step_up(results: xr.Dataset) -> xr.DataArray:
    """Return the critic's mean σ right of s = 0.2 minus left of it, for STAC."""
    sigma = results.sigma_at.sel(arm="STAC")
    return sigma.where(sigma.state > BORDER).mean("state") - sigma.where(sigma.state < BORDER).mean("state")


def agreement(results: xr.Dataset) -> np.ndarray:
    """Return the correlation over the grid of the critic's σ with the exact one, for STAC: one for each seed."""
    both = [results[name].sel(arm="STAC").transpose("seed", "state").values for name in ("sigma_at", "sigma_star_at")]
    return np.array([np.corrcoef(one, two)[0, 1] for one, two in zip(*both, strict=True)])


def steadier(without: xr.Dataset, dropped: xr.Dataset) -> float:
    """Return by how much dropout changes the standard deviation over seeds of the policy value at β = 0.25."""
    before, after = (float(late(one, "value", "β = 0.25").std("seed", ddof=1)) for one in (without, dropped))
    return after - before


DROPOUT = "Dropout 0.01 against none: Hopper 3364 to 1005, Humanoid 8278 to 8301, Hardcore 119 to 103"

NOT_STEADIER = (
    "Policies with dropout differ more here, not less; but a standard deviation of eight seeds is uncertain itself."
)

# fmt: off
CLAIMS = (
    Claim("overestimation", Pessimism,
          "Without pessimism the critic promises too much where data are scarce and noisy: overestimation late in "
          "training",
          "Off-policy actor-critics overestimate (abstract)",
          lambda r: late(r, "overestimation", "β = 0"), {"noisy": NOISY}, above=0, essential=True),
    Claim("falls with β", Pessimism,
          "Overestimation late in training falls with β: number of seeds out of eight with a negative slope over "
          "β = 0, 0.25, 0.5",
          "Subtracting β standard deviations mitigates overestimation (abstract)",
          falling, {"noisy": NOISY}, above=6.5, rule="exact", essential=True),
    Claim("σ is higher right", Actors,
          "The critic of STAC knows where rewards are noisy: mean σ right of s = 0.2 minus left of it",
          "The critic models temporal aleatoric uncertainty (abstract)",
          step_up, above=1, essential=True),
    Claim("σ follows the exact one", Actors,
          "The σ of the critic of STAC follows the exact one of its target: correlation over the line",
          "The critic models temporal aleatoric uncertainty (abstract)",
          agreement, above=0.8, essential=True, robust=True),
    Claim("risk aversion", Pessimism,
          "The agent avoids the noisy hill as β grows: share of time there late in training at β = 0.5 minus that at "
          "β = 0",
          "On RiskyPointMass the agent avoids the danger more and more from β = 0 to 0.5 (occupancy maps)",
          lambda r: more(r, "right", "β = 0.5", "β = 0"), below=0, essential=True),
    Claim("one critic suffices", Pessimism,
          "Some β has no larger bias than the smaller of two critics, which has twice the weights: difference of "
          "absolute mean overestimations late in training",
          "One critic mitigates overestimation without an ensemble (abstract)",
          beside_min, {"noisy": NOISY}, below=0, rule="bootstrap",
          why="In the mean β = 0.125 is nearer to zero than the smaller of two critics, but the seeds differ so much "
              "that this may be chance."),
    Claim("too much pessimism", Pessimism,
          "At β = 0.5 values are underestimated where all is noisy: overestimation late in training",
          "LunarLander 266 at β = 0, −78 at β = 0.5",
          lambda r: late(r, "overestimation", "β = 0.5"), {"noisy": NOISY}, below=-1, essential=True),
    Claim("no noise, no bias", Pessimism,
          "Without noise β hardly matters: overestimation late in training at β = 0.5 minus that at β = 0",
          "Follows from the method: σ is that of the target",
          lambda r: more(r, "overestimation", "β = 0.5", "β = 0"), {"still": STILL}, within=(-0.3, 0.3),
          essential=True),
    Claim("no noise, same behavior", Pessimism,
          "Without noise the agent goes where it would go anyway: share of time right late in training at β = 0.5 "
          "minus that at β = 0",
          "Follows from the method: σ is that of the target",
          lambda r: more(r, "right", "β = 0.5", "β = 0"), {"still": STILL}, within=(-0.1, 0.1)),
    Claim("dropout 0.01 steadies", Pessimism,
          "Dropout of 0.01 lowers the spread of the policy value over seeds at β = 0.25: change of its standard "
          "deviation late in training",
          DROPOUT,
          steadier, {"none": NOISY, "dropout": {**NOISY, "dropout": 0.01}}, below=0, rule="bootstrap",
          why=NOT_STEADIER),
    Claim("dropout 0.05 steadies", Pessimism,
          "Dropout of 0.05 lowers the spread of the policy value over seeds at β = 0.25: change of its standard "
          "deviation late in training",
          DROPOUT,
          steadier, {"none": NOISY, "dropout": {**NOISY, "dropout": 0.05}}, below=0, rule="bootstrap",
          why=NOT_STEADIER),
    Claim("the target lowers values", Actors,
          "Pessimism in the actor alone leaves the bias: overestimation of STAC late in training minus that of "
          "actor only",
          "β stands in the target and in the actor (official code; no ablation)",
          lambda r: more(r, "overestimation", "STAC", "actor only"), below=0,
          why="The mean points the right way, but the seeds differ so much that this may be chance."),
    Claim("the actor avoids", Actors,
          "Pessimism in the target alone takes more risk: share of time right of STAC late in training minus that of "
          "target only",
          "β stands in the target and in the actor (official code; no ablation)",
          lambda r: more(r, "right", "STAC", "target only"), below=0,
          why="Pessimism in the target alone avoids the hill as well: the values of states on the way there hold the "
              "pessimism of all later steps, so the actor turns away in time."),
    Claim("danger avoided", PointMass,
          "In the plane the agent spends less time in danger: steps of an episode inside late in training at β = 0.5 "
          "minus at β = 0",
          "Occupancy maps avoid the danger disc more and more as β grows (one seed)",
          lambda r: more(r, "inside", "β = 0.5", "β = 0"), below=0,
          why="The mean points the right way, but a detour costs about as much as the danger, and after 3000 steps a "
              "small critic knows only a blurred map of the noise."),
)
# fmt: on


# ------------------------------------------------------------------------------------------- checks of the exercises


def fixed_point(mean: float, noise: float, beta: float, discount: float, rounds: int = 400) -> float:
    """Return where the pessimistic mean of a one-state problem settles (α = 0), by fitting the critic again and again.

    The reward is mean ± noise with equal chances; each round fits μ and σ to the targets, as the likelihood asks.
    """
    reward = torch.tensor([mean - noise, mean + noise], dtype=torch.float64)
    mu = sd = none = torch.zeros((), dtype=torch.float64)
    for _ in range(rounds):
        target = soft_target(reward, none, pessimistic(mu, sd, beta), none, 0.0, discount)
        mu, sd = target.mean(), target.std(unbiased=False)
    return float(mu)


def check_fixed_point(answer: Callable[[float, float, float, float], float]) -> str:
    """Check a student's fixed point of the pessimistic mean, a function of mean reward, its sd ρ, β and γ."""
    for mean, noise, beta, discount in ((1.0, 0.5, 0.4, 0.9), (-0.3, 2.0, 0.25, 0.85), (0.2, 3.0, 0.125, 0.5)):
        found = answer(mean, noise, beta, discount)
        if found is None:
            raise NotImplementedError
        if not isinstance(found, int | float | np.generic | Tensor) or np.asarray(found).size != 1:
            raise Wrong("return one number.")
        right = fixed_point(mean, noise, beta, discount)
        if abs(float(found) - right) < 1e-3:
            continue
        mistakes = {
            mean / (1 - discount): "this is the true value; where is the pessimism?",
            (mean - beta * noise) / (1 - discount): "only the next value is lowered, not the reward of this step.",
            (mean - discount * beta * noise**2) / (1 - discount): "subtract standard deviations, not variances.",
            mean / (1 - discount)
            - discount * beta * noise: "the next target is lowered as well, and the one after it.",
        }
        for value, hint in mistakes.items():
            if abs(float(found) - value) < 1e-3:
                raise Wrong(hint)
        raise Wrong(
            f"for r̄ = {mean}, ρ = {noise}, β = {beta}, γ = {discount} the mean settles at {right:.3f}. "
            "Write the mean of y with μ on both sides, and solve for μ."
        )
    return "The critic settles there at every setting we tried."
