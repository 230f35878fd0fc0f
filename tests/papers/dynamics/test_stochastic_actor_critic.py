"""The exact checks of stochastic actor-critic: worked numbers, torch.distributions, rollouts, plain loops."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from draws import normal
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from reglab.effects import end, late
from reglab.exercise import WrongAnswerError
from reglab.knobs import Arm
from reglab.papers.dynamics.stochastic_actor_critic import claims, exercises, experiments, method
from reglab.recordings import store
from reglab.training import Lanes

SEED = st.integers(0, 2**31)
RISKY = method.World((0.1, 0.1), (0.1, 2.1))
JUMPY = method.World((0.05, 0.4), (1.0, 1.0))


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# ------------------------------------------------------------------------------------------------------ the method


def test_the_target_of_a_worked_example() -> None:
    value = method.pessimistic(numbers(2.0), numbers(0.5), 0.4)
    for done, expected in ((0.0, 2.647), (1.0, 1.0)):
        found = method.soft_target(numbers(1.0), numbers(done), value, numbers(-0.3), 0.1, 0.9)
        assert float(found) == pytest.approx(expected, abs=1e-12)


def test_the_head_of_worked_examples() -> None:
    raw = numbers(0.3, 0.0)
    mean, sd = method.head(raw)
    assert (float(mean), float(sd)) == pytest.approx((0.3, math.log(2)))
    low = numbers(0.3, -10.0).requires_grad_()
    sd = method.head(low)[1]
    assert float(sd.detach()) == pytest.approx(0.00671535, abs=1e-8)
    sd.sum().backward()
    assert low.grad is not None and low.grad.tolist() == [0.0, 0.0]


@given(SEED, st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_the_density_of_an_action_is_that_of_torch(seed: int, actions: int) -> None:
    mean, sd = normal(seed, 5, actions), normal(seed + 1, 5, actions).exp()
    u = 6 * torch.rand(5, actions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 3
    a, found = method.squash(mean, sd, (u - mean) / sd)
    expected = TransformedDistribution(Normal(mean, sd), [TanhTransform()]).log_prob(a).sum(-1)
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-10)
    torch.testing.assert_close(a, u.tanh())


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 1.0), (0.7, 0.3), (-1.0, 0.5)])
def test_the_density_agrees_with_torch_to_ten_digits_and_integrates_to_one(mean: float, sd: float) -> None:
    u = torch.linspace(-3, 3, 101, dtype=torch.float64).unsqueeze(1)
    a, found = method.squash(numbers(mean), numbers(sd), (u - mean) / sd)
    expected = TransformedDistribution(Normal(numbers(mean), numbers(sd)), [TanhTransform()]).log_prob(a).sum(-1)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
    # points dense near both ends of (-1, 1), where they are spaced like the density's own tails
    wide = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    places, density = method.squash(numbers(mean), numbers(sd), ((wide - mean) / sd).unsqueeze(1))
    heights = density.exp() * (1 - places[:, 0] ** 2)  # da = (1 - a²) du
    assert float(torch.trapezoid(heights, wide)) == pytest.approx(1, abs=1e-8)


def test_the_density_is_finite_where_a_rounds_to_one() -> None:
    a, found = method.squash(numbers(0.0), numbers(1.0), numbers(40.0))
    assert float(a) == 1 and float(found) == pytest.approx(-800 - 0.5 * math.log(2 * math.pi) - 2 * math.log(2) + 80)


@given(SEED)
@settings(max_examples=30, deadline=None)
def test_the_gradient_of_the_likelihood_in_the_mean(seed: int) -> None:
    mean, sd, y = normal(seed, 7).requires_grad_(), normal(seed + 1, 7).exp(), normal(seed + 2, 7)
    method.critic_loss(y.unsqueeze(-1), mean.unsqueeze(-1), sd.unsqueeze(-1)).sum().backward()
    torch.testing.assert_close(mean.grad, ((mean - y) / sd**2).detach())


def test_the_likelihood_is_largest_at_the_distance_and_at_mean_and_sd() -> None:
    sds = torch.linspace(0.1, 3, 2901, dtype=torch.float64)
    single = method.critic_loss(numbers(2.0).expand(2901, 1), numbers(0.75).expand(2901, 1), sds.unsqueeze(1))
    assert float(sds[single.argmin()]) == pytest.approx(1.25, abs=1e-9)
    y = normal(3, 50)
    fitted = torch.stack([y.mean(), y.std(unbiased=False)]).requires_grad_()
    loss = method.critic_loss(y, fitted[0], fitted[1])
    (gradient,) = torch.autograd.grad(loss, fitted)
    torch.testing.assert_close(gradient, torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)
    expected = -Normal(fitted[0], fitted[1]).log_prob(y).mean()
    torch.testing.assert_close(loss, expected)


def test_a_critic_with_a_fixed_spread_minimizes_half_the_squared_error() -> None:
    y, mean = normal(0, 9), normal(1, 9)
    found = method.critic_loss(y, mean, torch.ones(9, dtype=torch.float64))
    expected = 0.5 * F.mse_loss(mean, y) + 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(found, expected)


def test_the_actor_feels_both_mean_and_spread() -> None:
    mean, sd, log_density = numbers(1.0, 2.0), numbers(0.5, 0.1), numbers(-0.2, 0.4)
    for one in (mean, sd, log_density):
        one.requires_grad_()
    loss = method.actor_loss(method.pessimistic(mean, sd, 0.4), log_density, 0.1)
    assert float(loss.detach()) == pytest.approx((-0.02 - 0.8 + 0.04 - 1.96) / 2)
    loss.backward()
    for one, expected in ((mean, -0.5), (sd, 0.2), (log_density, 0.05)):
        torch.testing.assert_close(one.grad, numbers(expected, expected))


def test_the_temperature_of_a_worked_example() -> None:
    found = method.new_temperature(numbers(0.2), numbers(0.5), -1.0, 3e-4)
    assert float(found) == pytest.approx(0.199982, abs=1e-9)
    assert float(method.new_temperature(numbers(0.2), numbers(-2.0), -1.0, 3e-4)) > 0.2


# ------------------------------------------------------------------------------------------------ the exact values


def policy(seed: int) -> tuple[Tensor, Tensor]:
    """Return actions [1, 61, 9] and log densities of a smooth policy that differs from state to state."""
    s = method.STATES
    mean, sd = 1.5 * torch.sin(3 * s + seed), 0.4 + 0.2 * torch.cos(2 * s)
    noise = method.EPSILONS.expand(method.GRID, -1).unsqueeze(-1)
    a, log_density = method.squash(mean[:, None, None], sd[:, None, None], noise)
    return a.squeeze(-1).unsqueeze(0), log_density.unsqueeze(0)


@pytest.mark.parametrize("world", [RISKY, JUMPY])
def test_transitions_are_probabilities_with_the_right_mean(world: method.World) -> None:
    a = policy(0)[0]
    leads = method.transitions(a, world)
    assert leads.min() >= -1e-12
    torch.testing.assert_close(leads.sum(-1), torch.ones_like(a))
    inside = (a * 0.3 + method.STATES.unsqueeze(-1)).abs() < 1 - 4.6 * world.shake[1]
    expected = method.STATES.unsqueeze(-1) + 0.3 * a
    assert inside.sum() > 0 or world is JUMPY
    torch.testing.assert_close((leads @ method.STATES)[inside], expected[inside])


def test_the_variance_of_a_transition_is_that_of_its_noise_and_of_the_grid() -> None:
    a = torch.zeros(1, method.GRID, 1, dtype=torch.float64)
    leads = method.transitions(a, RISKY)[0, 30, 0]
    variance = float(leads @ method.STATES**2)
    assert 0.01 <= variance <= 0.01 + (1 / 30) ** 2 / 4  # linear interpolation adds at most a quarter of a cell squared


@pytest.mark.parametrize("world", [RISKY, JUMPY])
def test_the_solution_is_the_limit_of_sweeps(world: method.World) -> None:
    a, log_density = policy(1)
    leads, reward = (
        method.transitions(a, world),
        method.mean_reward(method.STATES.unsqueeze(-1), a) - 0.05 * log_density,
    )
    ahead, V = method.solve_values(leads, reward)
    swept = torch.zeros_like(V)
    for _ in range(150):
        q = reward + method.DISCOUNT * torch.einsum("mgkh,mh->mgk", leads, swept)
        swept = q @ method.WEIGHTS
    torch.testing.assert_close(V, swept, atol=1e-9, rtol=0)
    torch.testing.assert_close(reward + ahead, q, atol=1e-9, rtol=0)


def test_a_constant_reward_is_worth_its_geometric_sum() -> None:
    leads = method.transitions(policy(2)[0], RISKY)
    reward = torch.full((1, method.GRID, method.NODES), 0.7, dtype=torch.float64)
    ahead, V = method.solve_values(leads, reward)
    torch.testing.assert_close(V, torch.full_like(V, 0.7 / 0.15), atol=1e-9, rtol=0)
    torch.testing.assert_close(reward + ahead, torch.full_like(reward, 0.7 / 0.15), atol=1e-9, rtol=0)


@pytest.mark.parametrize(("world", "error"), [(RISKY, 0.01), (JUMPY, 0.05)])  # the grid smears the jump of the noise
def test_exact_values_are_those_of_many_rollouts(world: method.World, error: float) -> None:
    a, _ = policy(3)
    V = method.solve_values(method.transitions(a, world), method.mean_reward(method.STATES.unsqueeze(-1), a))[1][0]
    many, draws = 20_000, torch.Generator().manual_seed(5)
    for index in (5, 18, 30, 44, 57):
        s, total = method.STATES[index].expand(many), torch.zeros(many, dtype=torch.float64)
        for t in range(60):
            u = 1.5 * torch.sin(3 * s + 3) + (0.4 + 0.2 * torch.cos(2 * s)) * torch.randn(
                many, generator=draws, dtype=torch.float64
            )
            noise = torch.randn(many, 2, generator=draws, dtype=torch.float64)
            noise[:, 0] = 0
            reward, s = world.step(s, u.tanh(), noise)
            total += method.DISCOUNT**t * reward
        assert abs(float(total.mean() - V[index])) < 3 * float(total.std()) / many**0.5 + error


def test_a_finer_grid_gives_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def values() -> Tensor:
        a, _ = policy(4)
        return method.solve_values(method.transitions(a, RISKY), method.mean_reward(method.STATES.unsqueeze(-1), a))[1][
            0
        ]

    coarse = values()
    monkeypatch.setattr(method, "GRID", 121)
    monkeypatch.setattr(method, "STATES", torch.linspace(-1, 1, 121, dtype=torch.float64))
    assert float((values()[::2] - coarse).abs().max()) < 0.01 * float(coarse.abs().max())


def test_the_temporal_sd_is_that_of_many_targets() -> None:
    a, _ = policy(5)
    leads = method.transitions(a, RISKY)
    value = torch.sin(2 * method.STATES).unsqueeze(-1) + 0.3 * method.EPSILONS  # a value that depends on s' and on ε'
    star = method.temporal_sd(leads, value.unsqueeze(0), method.of_side(method.STATES, *RISKY.reward_noise))
    draws = torch.Generator().manual_seed(1)
    for index in (10, 30, 50):
        noise = torch.randn(200_000, 3, generator=draws, dtype=torch.float64)
        reward, following = RISKY.step(
            method.STATES[index].expand(200_000), a[0, index, 2].expand(200_000), noise[:, :2]
        )
        y = reward + method.DISCOUNT * (torch.sin(2 * following) + 0.3 * noise[:, 2])
        assert float(star[0, index, 2]) == pytest.approx(float(y.std()), rel=0.015)


def test_without_noise_only_the_next_value_varies() -> None:
    leads = method.transitions(policy(6)[0], method.World((0, 0), (0, 0)))
    flat = torch.full((1, method.GRID, method.NODES), 3.0, dtype=torch.float64)
    torch.testing.assert_close(
        method.temporal_sd(leads, flat, numbers(0.7).expand(method.GRID)), torch.full_like(flat, 0.7), atol=1e-7, rtol=0
    )


# ------------------------------------------------------------------------------------------------------ the worlds


def test_the_hills_and_the_noise_of_the_line() -> None:
    s = numbers(0.6, -0.6, 0.2, 0.21)
    assert float(method.mean_reward(s[0], numbers(0.0))) == pytest.approx(0.65, abs=1e-6)
    assert float(method.mean_reward(s[1], numbers(1.0))) == pytest.approx(0.4, abs=1e-6)
    assert method.of_side(s, *RISKY.reward_noise).tolist() == [2.1, 0.1, 0.1, 2.1]
    assert method.of_side(s, *JUMPY.shake).tolist() == [0.4, 0.05, 0.05, 0.4]
    reward, following = RISKY.step(s[:2], numbers(1.0, -1.0), torch.tensor([[1.0, 3.0], [0.0, -9.0]]).double())
    assert following.tolist() == [1.0, -1.0]
    assert float(reward[0]) == pytest.approx(0.6 + 2.1, abs=1e-6)


def test_variants_of_the_line() -> None:
    assert experiments.Actors().world() == method.World((0.1, 0.1), (0.1, 2.1))
    assert experiments.Actors(variant="noisy", reward_noise=1).world() == method.World((0.05, 0.4), (1.0, 1.0))
    assert experiments.Actors(variant="still").world() == method.World((0, 0), (0, 0))


def test_a_step_in_the_plane() -> None:
    state = torch.tensor([[0.5, 0.5], [0.5, 0.79], [0.5, 0.81], [0.03, 0.03]])
    assert experiments.danger(state).tolist() == pytest.approx([0.1, 0.1 * math.exp(-4 * 0.29**2 / 0.09), 0, 0])
    action = torch.tensor([[1.0, -1.0], [0, 0], [0, 0], [-1, -1]])
    found = experiments.point_step(
        state, action, torch.tensor([[0.099, 0.5, 1.0], [0.05, 0, 0], [0, 0, 0], [0, 0.5, 0.5]])
    )
    norms = state.norm(dim=-1)
    torch.testing.assert_close(found.reward, -norms - 0.1 - torch.tensor([10.0, 0, 0, 0]))
    assert found.done.tolist() == [0, 0, 0, 1]
    expected = torch.tensor([[0.6, 0.402], [0.498, 0.788], [0.498, 0.808], [0, 0]])
    torch.testing.assert_close(found.following, expected)


def test_no_episode_starts_in_danger() -> None:
    found = experiments.starts((0, 3), 300)
    assert found.shape == (2, 300, 2) and found.min() >= 0.3 and found.max() <= 1
    assert ((found - 0.5).norm(dim=-1) > 0.3).all()
    torch.testing.assert_close(experiments.starts((3,), 300)[0], found[1])


# ---------------------------------------------------------------------------------------------- the batched agents


def test_the_buffer_forgets_the_oldest() -> None:
    one = experiments.Learner(lanes([Arm("")], (0, 1)), 1, 1, 0.1, 0.9)
    zeros, row = torch.zeros(2, 3, 1), torch.zeros(2, 3)
    memory = experiments.Batch(zeros.clone(), zeros.clone(), row.clone(), zeros.clone(), row.clone())
    seen = []

    def move(s: Tensor, a: Tensor, normals: Tensor, uniforms: Tensor) -> tuple[experiments.Batch, Tensor]:
        seen.append(a.clone())
        number = torch.full((2, 1), float(len(seen)))
        return experiments.Batch(s, a, 10 * number, 2 * s, number / 10), number.unsqueeze(-1)

    for _ in experiments.train(one, memory, torch.zeros(2, 1, 1), move, dict, [0, 4]):
        pass
    assert len(seen) == 4
    assert memory.reward.tolist() == 2 * [[40, 20, 30]]
    assert memory.state.squeeze(-1).tolist() == 2 * [[3, 1, 2]]
    assert memory.following.squeeze(-1).tolist() == 2 * [[6, 2, 4]]
    torch.testing.assert_close(memory.action, torch.cat([seen[3], seen[1], seen[2]], 1))
    torch.testing.assert_close(memory.done[0], torch.tensor([0.4, 0.2, 0.3]))


def lanes(agents: list[Arm], seeds: tuple[int, ...] = (0, 1)) -> Lanes:
    return Lanes({str(i): agent for i, agent in enumerate(agents)}, seeds, {})


def learner(agents: list[Arm], seeds: tuple[int, ...] = (0, 1)) -> experiments.Learner:
    return experiments.Learner(lanes(agents, seeds), 2, 1, 0.1, 0.9)


def some(models: int, seed: int = 0) -> tuple[experiments.Batch, Tensor]:
    """Return transitions and action noise that all models share."""

    def drawn(number: int, *shape: int) -> Tensor:
        return normal(seed + number, *shape).expand(models, *shape).clone()

    size = experiments.BATCH
    batch = experiments.Batch(
        drawn(0, size, 2), drawn(1, size, 1).tanh(), drawn(2, size), drawn(3, size, 2), (drawn(4, size) > 1).double()
    )
    return batch, torch.stack([drawn(5, size, 1), drawn(6, size, 1)])


class Plain(nn.Module):
    """The official network for one seed, with the weights of one of many."""

    def __init__(self, source: experiments.Network, model: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        weights = [p.detach()[model] for p in source.layers.parameters()]
        with torch.no_grad():
            for i, (weight, bias) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
                linear = nn.Linear(*weight.shape)
                linear.weight.copy_(weight.T)
                linear.bias.copy_(bias[0])
                parts.append(linear)
                if i < 2:
                    norm = nn.LayerNorm(experiments.HIDDEN)
                    norm.weight.copy_(source.scales[i][model, 0])
                    norm.bias.copy_(source.shifts[i][model, 0])
                    parts += [nn.Identity(), norm, nn.ReLU()]
        self.net = nn.Sequential(*parts)

    def forward(self, *inputs: Tensor) -> Normal:
        mean, spread = self.net(torch.cat(inputs, -1)).chunk(2, -1)
        return Normal(mean, F.softplus(spread.clamp(min=-5)))


AGENTS = {
    "STAC": Arm("", target=0.25, actor=0.25),
    "target only": Arm("", target=0.25),
    "actor only": Arm("", actor=0.25),
    "constant": Arm("", target=0.25, actor=0.25, flat=1),
    "slow target": Arm("", soft=0.01),
    "min of two": Arm("", twin=1),
    "SAC": Arm("", twin=1, plain=1),
}


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.usefixtures("double_precision")
def test_two_updates_equal_those_of_a_plain_agent(name: str) -> None:
    agents = list(AGENTS.values())
    batched = learner(agents)
    target_beta, actor_beta, twin, plain = (AGENTS[name].value(x, {}) for x in ("target", "actor", "twin", "plain"))
    flat, soft = AGENTS[name].value("flat", {}), AGENTS[name].value("soft", {}, 0.05)
    model, models = 2 * list(AGENTS).index(name) + 1, 2 * len(agents)  # the second seed
    policy, critics = Plain(batched.policy, model), [Plain(batched.critic, model)]
    if twin:
        critics.append(Plain(batched.critic, model + 4))
    targets = [Plain(batched.critic, model)] + ([Plain(batched.critic, model + 4)] if twin else [])
    optimizers = [torch.optim.Adam(net.parameters(), lr=3e-3) for net in (policy, *critics)]

    def sampled(states: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        base = policy(states)
        u = base.mean + base.stddev * noise
        return u.tanh(), TransformedDistribution(base, [TanhTransform(cache_size=1)]).log_prob(u.tanh()).sum(-1)

    def valued(nets: list[Plain], states: Tensor, actions: Tensor, beta: float) -> Tensor:
        judged = [net(states, actions) for net in nets]
        spreads = [one.stddev.mean().detach() if flat else one.stddev for one in judged]
        lowered = [one.mean - beta * sd for one, sd in zip(judged, spreads, strict=True)]
        return torch.stack([one.squeeze(-1) for one in lowered]).amin(0)

    alpha = 0.1
    for round in range(2):
        batch, noise = some(models, 100 * round)
        state, action, reward, following, done = (one[model] for one in batch)
        with torch.no_grad():
            ahead, log_density = sampled(following, noise[0, model])
            y = reward + 0.9 * (1 - done) * (valued(targets, following, ahead, target_beta) - alpha * log_density)
        for net, target, optimizer in zip(critics, targets, optimizers[1:], strict=True):
            judged = net(state, action)
            mean = judged.mean.squeeze(-1)
            loss = 0.5 * F.mse_loss(mean, y) if plain else -judged.log_prob(y.unsqueeze(-1)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for slow, quick in zip(target.parameters(), net.parameters(), strict=True):
                    slow.copy_(soft * quick + (1 - soft) * slow)
        a, chosen = sampled(state, noise[1, model])
        optimizers[0].zero_grad()
        (alpha * chosen - valued(critics, state, a, actor_beta)).mean().backward()
        optimizers[0].step()
        batched.update(batch, noise, [None] * 5, goal=-1.0)
        alpha *= math.exp(3e-3 * alpha * (-1.0 + float(chosen.detach().mean())))

    assert float(batched.alpha[model]) == pytest.approx(alpha, rel=1e-9)
    second = model + 4 * int(twin)
    pairs = [(policy, batched.policy, model), (critics[0], batched.critic, model), (targets[0], batched.target, model)]
    pairs += [(critics[-1], batched.critic, second), (targets[-1], batched.target, second)]
    for net, source, number in pairs:
        inputs = batch.state[model] if net is policy else torch.cat([batch.state, batch.action], -1)[model]
        torch.testing.assert_close(net.net(inputs), Plain(source, number).net(inputs), atol=1e-8, rtol=1e-7)


@pytest.mark.usefixtures("double_precision")
def test_the_target_never_receives_gradients_and_the_actor_leaves_the_critic_alone() -> None:
    one = learner([Arm("", target=0.5, actor=0.5)])
    batch, noise = some(2)
    one.update(batch, noise, [None] * 5)
    assert all(p.grad is None and not p.requires_grad for p in one.target.parameters())
    alone = learner([Arm("", target=0.5)])
    alone.update(batch, noise, [None] * 5)
    for p, q in zip(one.critic.parameters(), alone.critic.parameters(), strict=True):
        assert p.grad is not None and torch.equal(p, q)  # the actor's β changed the policy only
    assert any(not torch.equal(p, q) for p, q in zip(one.policy.parameters(), alone.policy.parameters(), strict=True))


@pytest.mark.usefixtures("double_precision")
def test_seeds_and_agents_beside_it_change_nothing() -> None:
    agents = [Arm("", target=0.25, actor=0.25), Arm("", twin=1)]
    together, alone = learner(agents, (0, 1, 2)), learner(agents[:1], (2,))
    for round in range(3):
        batch, noise = some(6, 10 * round)
        together.update(batch, noise, [None] * 5)
        batch, noise = some(1, 10 * round)
        alone.update(batch, noise, [None] * 5)
    for p, q in zip(together.critic.parameters(), alone.critic.parameters(), strict=True):
        torch.testing.assert_close(p[2], q[0], atol=1e-9, rtol=1e-7)
    turned = learner(agents[::-1], (0, 1, 2))
    for round in range(3):
        batch, noise = some(6, 10 * round)
        turned.update(batch, noise, [None] * 5)
    for p, q in zip(together.critic.parameters(), turned.critic.parameters(), strict=True):
        torch.testing.assert_close(p[:3], q[3:6], atol=1e-9, rtol=1e-7)
        torch.testing.assert_close(p[3:6], q[:3], atol=1e-9, rtol=1e-7)
        torch.testing.assert_close(p[6:], q[6:], atol=1e-9, rtol=1e-7)


@pytest.mark.usefixtures("double_precision")
def test_an_idle_agent_never_learns() -> None:
    one = learner([Arm(""), Arm("", idle=1)])
    before = [p.clone() for net in (one.policy, one.critic, one.target) for p in net.parameters()]
    batch, noise = some(4)
    for _ in range(3):
        one.update(batch, noise, [None] * 5)
    after = [p for net in (one.policy, one.critic, one.target) for p in net.parameters()]
    for p, q in zip(before, after, strict=True):
        assert torch.equal(p[2:], q[2:])
    assert all(not torch.equal(p[:2], q[:2]) for p, q in zip(before, after, strict=True))


@pytest.mark.usefixtures("double_precision")
def test_a_constant_gives_the_actor_no_gradient() -> None:
    one, other = learner([Arm("", actor=0.5, flat=1)]), learner([Arm("")])
    batch, noise = some(2)
    for each in (one, other):
        each.update(batch, noise, [None] * 5)
    for p, q in zip(one.policy.parameters(), other.policy.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-12, rtol=0)


def drawn(copies: int, seeds: tuple[int, ...], dropout: float, step: int = 0) -> experiments.Noise:
    """Return the random numbers of one step for some copies of one action."""
    return next(itertools.islice(experiments.noise(lanes([Arm("")] * copies, seeds), 1, dropout), step, None))


def test_dropout_is_off_at_zero_and_scales_what_it_keeps() -> None:
    assert drawn(3, (0, 1), 0.0)[-1] == [None] * 5
    kept = drawn(3, (0, 1), 0.25)[-1]
    assert len(kept) == 5
    for one in kept:
        assert one is not None and one.shape == (2, 2, experiments.BATCH, experiments.HIDDEN)
        assert one.unique().tolist() == pytest.approx([0, 4 / 3])
        assert float((one == 0).float().mean()) == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / one.numel()))
    beside = drawn(3, (1,), 0.25)[-1][0]
    assert beside is not None and kept[0] is not None and torch.equal(beside[:, 0], kept[0][:, 1])
    assert not torch.equal(beside, drawn(3, (1,), 0.25, step=1)[-1][0])  # type: ignore[arg-type]


@pytest.mark.usefixtures("double_precision")
def test_dropout_acts_before_the_normalization() -> None:
    net = learner([Arm("")]).policy
    keep = drawn(1, (0, 1), 0.25)[-1][0]
    assert keep is not None
    x = normal(0, 2, experiments.BATCH, 2)
    mean, sd = net(x, keep)
    for model in range(2):
        plain = Plain(net, model).net
        hidden = plain[0](x[model]) * keep[0, model]
        hidden = plain[4](plain[3](plain[2](hidden))) * keep[1, model]
        expected = method.head(plain[8](plain[7](plain[6](hidden))))
        torch.testing.assert_close((mean[model], sd[model]), expected, atol=1e-10, rtol=1e-8)


def test_random_numbers_do_not_depend_on_who_is_beside() -> None:
    for step in (0, 49, 50):
        one, many = drawn(1, (4,), 0.0, step), drawn(3, (2, 4), 0.0, step)
        for mine, ours in zip(one[:3], many[:3], strict=True):
            assert torch.equal(ours[1], mine[0]) and torch.equal(ours[5], mine[0])
        assert torch.equal(many[3][:, 1], one[3][:, 0])
    assert not torch.equal(drawn(1, (4,), 0.0, 0)[0], drawn(1, (4,), 0.0, 50)[0])


# -------------------------------------------------------------------------------------------------- what is measured


@pytest.mark.usefixtures("double_precision")
def test_beliefs_are_compared_with_the_truth() -> None:
    agents = lanes([Arm("", target=0.5, actor=0.5), Arm("", twin=1)], (0, 7))
    one = experiments.Learner(agents, 1, 1, 0.05, method.DISCOUNT)
    for target in one.target.parameters():
        target.data += 0.05  # so that target and critic differ
    found = experiments.examine(one, RISKY)
    critic, slow, actor = Plain(one.critic, 1), Plain(one.target, 1), Plain(one.policy, 1)
    with torch.no_grad():
        states = method.STATES.unsqueeze(-1)
        base = actor(states)
        table = [method.squash(base.mean, base.stddev, torch.full((method.GRID, 1), float(e))) for e in method.EPSILONS]
        a, log_density = (
            torch.stack([pair[i].reshape(method.GRID) for pair in table], 1).double()[None] for i in range(2)
        )
        leads, reward = method.transitions(a, RISKY), method.mean_reward(method.STATES.unsqueeze(-1), a)
        V = torch.zeros(method.GRID, dtype=torch.float64)
        for _ in range(150):
            Q = reward[0] + method.DISCOUNT * leads[0] @ V
            V = (Q - 0.05 * log_density[0]) @ method.WEIGHTS
        judged = [critic(states, a[0, :, k : k + 1]) for k in range(method.NODES)]
        ahead = [slow(states, a[0, :, k : k + 1]) for k in range(method.NODES)]
    believed = torch.cat([one.mean for one in judged], 1)
    sigma = torch.cat([one.stddev for one in judged], 1)
    y = torch.cat([one.mean - 0.5 * one.stddev for one in ahead], 1) - 0.05 * log_density[0]
    first, second = leads[0] @ (y @ method.WEIGHTS), leads[0] @ (y**2 @ method.WEIGHTS)
    star = (method.of_side(method.STATES, *RISKY.reward_noise)[:, None] ** 2 + 0.85**2 * (second - first**2)).sqrt()
    for name, expected in {
        "overestimation": ((believed - Q) @ method.WEIGHTS).mean(),
        "gap": believed[:, 4] - Q[:, 4],
        "sigma_at": sigma[:, 4],
        "sigma_star_at": star[:, 4],
    }.items():
        torch.testing.assert_close(found[name][1], expected, atol=1e-6, rtol=1e-6, msg=name)


def test_where_an_agent_is_agrees_with_many_rollouts() -> None:
    one = experiments.Learner(lanes([Arm("")], (3,)), 1, 1, 0.02, method.DISCOUNT)
    found, draws, many = experiments.examine(one, RISKY), torch.Generator().manual_seed(7), 20_000
    visited, total, s = [], torch.zeros(many), method.STATES[torch.randint(61, (many,), generator=draws)].float()
    with torch.no_grad():
        for t in range(60):
            a = one.act(s.reshape(1, -1, 1), torch.randn(1, many, 1, generator=draws))[0].reshape(-1)
            noise = torch.randn(many, 2, generator=draws)
            total += method.DISCOUNT**t * method.mean_reward(s, a)
            s = RISKY.step(s, a, noise)[1]
            visited.append(s)
    everywhere = torch.stack(visited)
    assert float(found["value"][0]) == pytest.approx(float(total.mean()), abs=0.03)
    assert float(found["right"][0]) == pytest.approx(float((everywhere > 0.2 + 1 / 60).double().mean()), abs=0.02)
    density = found["occupancy"][0]
    assert float(density.sum()) / 30 == pytest.approx(1, abs=1e-9)
    left = float((everywhere < -0.5 + 1 / 60).double().mean())
    assert float(density[:16].sum()) / 30 == pytest.approx(left, abs=0.02)


def test_where_a_sure_policy_leads() -> None:
    leads = torch.zeros(1, method.GRID, method.NODES, method.GRID, dtype=torch.float64)
    leads[..., 40] = 1
    expected = torch.zeros(1, method.GRID, dtype=torch.float64)
    expected[0, 40] = 1
    torch.testing.assert_close(method.occupancy(leads, 5), expected)


def test_a_deterministic_critic_has_no_sigma_and_maps_are_shares() -> None:
    results = experiments.Actors(steps=20, buffer=100).run(2)
    assert results.sigma_at.sel(arm="SAC").isnull().all() and results.sigma_at.sel(arm="min of two").notnull().all()
    plane = experiments.PointMass(steps=20).run(1)
    np.testing.assert_allclose(plane["map"].sum(("row", "column")), 1, atol=1e-5)


@pytest.mark.usefixtures("double_precision")
def test_time_in_danger_is_that_of_the_steps_of_the_past_quarter(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, step = [], experiments.point_step

    def watched(*arguments: Tensor) -> experiments.Batch:
        seen.append(arguments[0][:, 0])
        return step(*arguments)

    monkeypatch.setattr(experiments, "point_step", watched)
    plane = experiments.PointMass(steps=40).run((5,))
    inside = (experiments.danger(torch.stack(seen[1:])) > 0).double()  # the first call fills the buffer
    for last in plane.step.values:
        expected = inside[max(0, last - 10) : last].sum(0) / 10
        np.testing.assert_allclose(plane.inside.sel(step=last).isel(seed=0), expected, atol=1e-6)
    cells = (torch.stack(seen[1:]) * experiments.CELLS).long().clamp(max=experiments.CELLS - 1)
    for arm in range(4):
        count = np.zeros((experiments.CELLS, experiments.CELLS))
        np.add.at(count, (cells[:, arm, 1].numpy(), cells[:, arm, 0].numpy()), 1 / 40)
        np.testing.assert_allclose(plane["map"].isel(arm=arm, seed=0), count, atol=1e-6)


# ----------------------------------------------------------------------------------------------------- the bandit


@pytest.mark.parametrize(("count", "expected"), [(1, 0.0), (2, math.pi**-0.5), (10, 1.5387527308)])
def test_the_largest_of_some_normal_numbers(count: int, expected: float) -> None:
    assert method.expected_maximum(count) == pytest.approx(expected, abs=1e-6)


def test_the_best_of_two_equal_means_is_too_high() -> None:
    rewards = 0.3 + 2 * torch.randn(100_000, 2, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    surplus = (1 - 0.6) * method.best_of_means(rewards, 0.0, 0.6) - 0.3
    error = float(surplus.std()) / 100_000**0.5
    assert abs(float(surplus.mean()) - 2 / (math.pi * 5) ** 0.5) < 3 * error  # ρ/√(πn)


def test_the_best_mean_bootstraps_from_itself() -> None:
    rewards = normal(4, 3, 6, 50)
    mean, sd = rewards.mean(-1).amax(-1), rewards.var(-1).mean(-1).sqrt()
    m = torch.zeros(3, dtype=torch.float64)
    for _ in range(400):
        m = mean + 0.85 * method.pessimistic(m, sd, 0.25)
    torch.testing.assert_close(method.best_of_means(rewards, 0.25, 0.85), m)


def test_a_bandit_measures_what_is_derived() -> None:
    for actions in (2, 10):
        found = experiments.Bandit(beta=0.25, actions=actions).run(8)
        spread = found.bias.std("seed", ddof=1) / 8**0.5
        sampled = abs(found.bias.mean("seed") - found.derived)
        assert (sampled.sel(arm="β = 0") < 4 * spread.sel(arm="β = 0")).all()
        assert (sampled.sel(arm="two halves") < 4 * spread.sel(arm="two halves")).all()
        assert (sampled.sel(arm="STAC", samples=128) < 4 * spread.sel(arm="STAC", samples=128)).all()


def test_effects_are_those_of_their_words() -> None:
    results = experiments.Actors(steps=20, buffer=100).run(3)
    results.overestimation[:] = 0.0
    for arm, number in {"β = 0": 0.9, "STAC": -0.1, experiments.CONSTANT: -0.3, "min of two": 0.2}.items():
        results.overestimation.loc[{"arm": arm}] = number
    other = results.copy(deep=True)
    other.overestimation.loc[{"arm": "STAC"}] = 0.05
    assert claims.bias("STAC", results, other) == pytest.approx(0.05)
    assert claims.lowered(results).values.tolist() == pytest.approx(3 * [-1.0])
    results.overestimation.loc[{"arm": experiments.CONSTANT, "seed": 1}] = 2.0
    assert claims.lowered(results).values.tolist() == pytest.approx([-1.0, 1.1, -1.0])
    results.value.loc[{"arm": "STAC"}] = np.array([1.0, 2.0, 3.0])[:, None]
    doubled = results.copy(deep=True)
    doubled["value"] = 2 * results.value
    assert claims.steadier(results, doubled) == pytest.approx(1.0)
    sigma, star = (results[name].sel(arm="STAC", seed=1).values for name in ("sigma_at", "sigma_star_at"))
    expected = np.corrcoef(sigma, star)[0, 1]
    assert float(claims.agreement(results).sel(seed=1)) == pytest.approx(expected)


def test_late_is_the_mean_of_the_checkpoints_in_the_last_two_thirds() -> None:
    trace = xr.Dataset(
        {"right": (("arm", "seed", "step"), [[[9.0, 9.0, 1.0, 2.0], [9.0, 9.0, 3.0, 5.0]], [[0.0] * 4, [1.0] * 4]])},
        {"arm": ["STAC", "SAC"], "step": [0, 200, 300, 900]},
    )
    assert late("right", "STAC")(trace).values.tolist() == [1.5, 4.0]
    assert claims.more("right", "STAC", "SAC")(trace).values.tolist() == [1.5, 3.0]


# ------------------------------------------------------------------------------------------------------- exercises


def solution(mean: float, noise: float, beta: float, discount: float) -> float:
    return (mean - discount * beta * noise) / (1 - discount)


@given(st.floats(-2, 2), st.floats(0, 3), st.floats(0, 0.5), st.floats(0, 0.95))
@settings(max_examples=25, deadline=None)
def test_the_critic_settles_at_the_fixed_point(mean: float, noise: float, beta: float, discount: float) -> None:
    found = exercises.fixed_point(mean, noise, beta, discount)
    assert found == pytest.approx(solution(mean, noise, beta, discount), abs=1e-6)


def test_the_right_fixed_point_is_accepted() -> None:
    assert "settles there" in exercises.check_fixed_point(solution)
    assert "settles there" in exercises.check_fixed_point(lambda r, n, b, g: torch.tensor(solution(r, n, b, g)))  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda r, n, b, g: r / (1 - g), "where is the pessimism"),
        (lambda r, n, b, g: (r - b * n) / (1 - g), "not the reward"),
        (lambda r, n, b, g: (r - g * b * n**2) / (1 - g), "not variances"),
        (lambda r, n, b, g: r / (1 - g) - g * b * n, "the one after it"),
        (lambda r, n, b, g: 17.0, "both sides"),
        (lambda r, n, b, g: [1.0, 2.0], "one number"),
        (lambda r, n, b, g: "much", "one number"),
    ],
)
def test_wrong_fixed_points_get_a_hint(answer: Callable[..., float], hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_fixed_point(answer)


def test_no_answer_is_no_answer() -> None:
    with pytest.raises(NotImplementedError):
        exercises.check_fixed_point(lambda r, n, b, g: None)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [(0, "noise of the target stays"), (2, "varies as well"), (3.35, "not standard deviations"), (7, "take the root")],
)
def test_the_limit_of_sigma(answer: float, hint: str) -> None:
    assert "not how little is known" in exercises.check_limit(2.41)
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_limit(answer)
    with pytest.raises(NotImplementedError):
        exercises.check_limit(None)  # type: ignore[arg-type]


def test_the_share_that_is_read_off_is_the_recorded_one() -> None:
    recorded = store.at(experiments.Actors(beta=0.5, reward_noise=0))
    assert recorded is not None
    right = float(end("right", "STAC")(recorded).mean())
    assert "higher hill" in exercises.check_return(right)
    for wrong in (right - 0.4, 0.0, 1.0):
        with pytest.raises(WrongAnswerError, match="ends elsewhere"):
            exercises.check_return(wrong)
    with pytest.raises(NotImplementedError):
        exercises.check_return(None)  # type: ignore[arg-type]
