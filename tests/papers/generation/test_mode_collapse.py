"""The exact checks of manifold entropy estimation: values by hand, autograd, plain PyTorch loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from draws import normal
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from reglab import metrics
from reglab.exercise import WrongAnswerError
from reglab.knobs import Arm
from reglab.papers.generation.mode_collapse import exercises, experiments, method
from reglab.pictures.chart import Chart
from reglab.recordings import store
from reglab.seeds import generator
from reglab.statistics import mean_interval

SEED = st.integers(0, 2**31)


def nearest_by_hand(codes: Tensor, memory: Tensor) -> Tensor:
    """Return the nearest code by a loop over all differences."""
    return torch.stack([min(memory, key=lambda b: float((c - b).square().sum())) for c in codes])


# ----------------------------------------------------------------------------------------------------- the entropy


def test_the_entropy_by_hand() -> None:
    codes, memory = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 1.0], [3.0, 0.0]])
    partners = method.nearest(codes, memory)
    assert partners.tolist() == memory.tolist()
    assert float(method.spread(codes, partners)) == 4.25
    assert float(method.entropy_loss(codes, partners, 0.5)) == pytest.approx(-0.5 * math.log(4.25))


@given(SEED)
@settings(max_examples=25, deadline=None)
def test_the_nearest_is_found_in_each_model_s_own_memory(seed: int) -> None:
    codes, memory = normal(seed, 2, 3, 7, 4), normal(seed + 1, 2, 3, 11, 4)
    found = method.nearest(codes, memory)
    for a in range(2):
        for s in range(3):
            assert torch.equal(found[a, s], nearest_by_hand(codes[a, s], memory[a, s]))


def test_distances_far_from_the_origin_are_not_rounded_away() -> None:
    codes = torch.tensor([[1000.0, 1000.0], [-1000.0, 500.0]])
    memory = codes + torch.tensor([[0.25, 0.0], [0.0, -0.5]])
    assert float(method.spread(codes, method.nearest(codes, memory))) == (0.25**2 + 0.5**2) / 4


@given(SEED)
@settings(max_examples=25, deadline=None)
def test_the_gradient_is_that_of_a_constant_partner(seed: int) -> None:
    codes, memory, strength = normal(seed, 6, 3).requires_grad_(), normal(seed + 1, 9, 3), 0.7
    partners = method.nearest(codes, memory)
    found = torch.autograd.grad(-strength * method.spread(codes, partners).log(), codes)[0]
    nearest = nearest_by_hand(codes.detach(), memory)
    differences = codes.detach() - nearest
    mean = float(differences.square().sum(-1).mean() / 3)
    torch.testing.assert_close(found, -strength * 2 * differences / (6 * 3 * mean))
    assert float((differences * found).sum()) == pytest.approx(-2 * strength)
    smoothed = torch.autograd.grad(method.entropy_loss(codes, partners, strength), codes)[0]
    torch.testing.assert_close(smoothed, found, rtol=1e-5, atol=1e-9)


@given(SEED, st.floats(0.01, 100))
@settings(max_examples=25, deadline=None)
def test_a_scale_of_codes_and_memory_adds_twice_its_logarithm(seed: int, scale: float) -> None:
    codes, memory = normal(seed, 6, 3), normal(seed + 1, 9, 3)

    def measured(factor: float) -> tuple[float, float]:
        c = (factor * codes).requires_grad_()
        log = method.spread(c, method.nearest(c, factor * memory)).log()
        gradient = torch.autograd.grad(-0.3 * log, c)[0]
        return float(log.detach()), float((c.detach() * gradient).sum())

    (small, pull), (large, scaled_pull) = measured(1.0), measured(scale)
    assert large == pytest.approx(small + 2 * math.log(scale), abs=1e-9)
    assert scaled_pull == pytest.approx(pull, rel=1e-9)


def test_codes_that_are_remembered_have_no_distance_and_pass_no_gradient() -> None:
    codes, memory = normal(0, 4, 3), normal(1, 8, 3)
    memory[5] = codes[2]
    partners = method.nearest(codes, memory)
    assert torch.equal(partners[2], codes[2]) and not torch.equal(partners[1], codes[1])
    memory[:4] = codes
    leaves = codes.clone().requires_grad_()
    partners = method.nearest(leaves, memory)
    assert method.spread(leaves, partners).item() == 0
    loss = method.entropy_loss(leaves, partners, 0.02)
    assert loss.item() == pytest.approx(-0.02 * math.log(1e-8))
    assert (torch.autograd.grad(loss, leaves)[0] == 0).all()


@given(SEED)
@settings(max_examples=25, deadline=None)
def test_the_logarithm_of_the_mean_is_never_below_the_mean_of_logarithms(seed: int) -> None:
    points = normal(seed, 50, 2)
    assert float(method.log_of_mean_entropy(points)) >= float(metrics.knn_entropy(points))


def test_equal_distances_make_both_estimates_equal() -> None:
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert float(method.log_of_mean_entropy(points)) == pytest.approx(float(metrics.knn_entropy(points)))


# ------------------------------------------------------------------------------------------------------ the memory


@pytest.mark.parametrize(("size", "kept"), [(10, [4, 5, 6, 7, 8, 9, 100, 101, 102, 103]), (3, [101, 102, 103])])
def test_the_oldest_codes_leave_the_memory(size: int, kept: list[int]) -> None:
    memory = torch.arange(float(size)).reshape(1, size, 1)
    codes = torch.arange(100.0, 104.0).reshape(1, 4, 1).requires_grad_()
    found = method.remember(memory, codes)
    assert found.flatten().tolist() == kept
    assert not found.requires_grad


def test_a_memory_compares_some_models_with_the_batch_before_and_some_with_the_nearest() -> None:
    memory, first, second = normal(1, 3, 9, 2), normal(2, 4, 4, 2), normal(3, 4, 4, 2)
    term = experiments.Entropy(slice(1, 4), torch.full((3,), 0.3), before=1, queue=7, memory=memory)
    term.loss(first, 1.0)
    found = term.partners(second[1:])
    assert torch.equal(found[0], first[1])
    for model in (1, 2):
        queue = torch.cat([memory[model], first[model + 1]])[-7:]
        assert torch.equal(found[model], nearest_by_hand(second[model + 1], queue))
    torch.testing.assert_close(term.loss(second, 0.5), method.entropy_loss(second[1:], found, 0.15))


def test_the_memory_of_the_published_code_shrinks_to_one_row() -> None:
    found = method.official_rows(1024, 64, 19)
    assert found == [1024 - 63 * call for call in range(17)] + [1, 1, 1]
    assert found[:3] == [1024, 961, 898] and found[15:18] == [79, 16, 1]


# ------------------------------------------------------------------------------------------------ the embedding


@given(SEED)
@settings(max_examples=25, deadline=None)
def test_an_affine_discriminator_keeps_mixtures(seed: int) -> None:
    matrix, shift = normal(seed, 2, 8), normal(seed + 1, 8)
    x, fake, alpha = normal(seed + 2, 64, 2), normal(seed + 3, 64, 2), normal(seed + 4, 64, 1)
    noise = 0.05 * normal(seed + 5, 64, 8)
    codes, fake_codes = x @ matrix + shift, fake @ matrix + shift
    mixed = (alpha * x + (1 - alpha) * fake) @ matrix + shift
    exact = method.isometry_loss(mixed, codes, fake_codes, alpha, torch.zeros_like(noise))
    assert float(exact) == pytest.approx(0, abs=1e-20)
    found = method.isometry_loss(mixed, codes, fake_codes, alpha, noise)
    assert float(found) == pytest.approx(float(noise.square().mean()), rel=1e-9)
    assert float(found) == pytest.approx(0.0025, rel=6 * math.sqrt(2 / noise.numel()))


def test_targets_of_the_embedding_pass_no_gradient() -> None:
    mixed, real, fake, near = (normal(seed, 5, 3).requires_grad_() for seed in range(4))
    alpha, noise = normal(4, 5, 1), normal(5, 5, 3)
    loss = method.isometry_loss(mixed, real, fake, alpha, noise) + method.locality_loss(real, near)
    gradients = torch.autograd.grad(loss, (mixed, real, fake, near), allow_unused=True)
    target = alpha * real + (1 - alpha) * fake + noise
    torch.testing.assert_close(gradients[0], 2 * (mixed - target) / 15)
    torch.testing.assert_close(gradients[1], 2 * (real - near) / 15)
    assert gradients[2] is None and gradients[3] is None


def test_without_a_move_the_neighbors_are_the_codes() -> None:
    codes = normal(0, 3, 5, 4)
    assert (method.locality_loss(codes, codes) == 0).all()


@given(SEED)
@settings(max_examples=25, deadline=None)
def test_the_logistic_losses_are_binary_cross_entropy(seed: int) -> None:
    real, fake = 3 * normal(seed, 6, 4), 3 * normal(seed + 1, 6, 4)
    ones, zeros = torch.ones(6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64)
    score = F.binary_cross_entropy_with_logits
    expected = score(real.mean(-1), ones) + score(fake.mean(-1), zeros)
    torch.testing.assert_close(method.discriminator_loss(real, fake), expected)
    torch.testing.assert_close(method.generator_loss(fake), score(fake.mean(-1), ones))


# ------------------------------------------------------------------------------------------------------- the data


@pytest.mark.parametrize(("target", "entropy"), [("ring", 0.3121), ("grid", 0.0653), ("one", -1.7673)])
def test_the_entropy_of_the_true_modes_is_that_of_their_density(target: str, entropy: float) -> None:
    modes = experiments.Modes.of(target, 8)
    points = modes.sample((20_000,), torch.Generator().manual_seed(0)).double()
    squares = (points.unsqueeze(1) - modes.centers.double()).square().sum(-1) / modes.deviation**2
    density = (-squares / 2).exp().mean(-1) / (2 * math.pi * modes.deviation**2)
    assert modes.entropy == pytest.approx(entropy, abs=1e-4)
    assert float(-density.log().mean()) == pytest.approx(entropy, abs=4 / math.sqrt(20_000))


def test_the_places_of_the_modes() -> None:
    ring, grid, one = (experiments.Modes.of(target, 6).centers for target in ("ring", "grid", "one"))
    torch.testing.assert_close(ring.norm(dim=-1), torch.full((6,), 2.0))
    torch.testing.assert_close((ring - ring.roll(1, 0)).norm(dim=-1), torch.full((6,), 2.0))
    assert sorted(map(tuple, grid.tolist())) == [(x, y) for x in range(-2, 3) for y in range(-2, 3)]
    assert one.tolist() == [[2, 0]]


def test_a_seed_draws_the_same_noise_in_every_experiment() -> None:
    ring, grid = (experiments.draw(3, 5, experiments.Modes.of(target, 8)) for target in ("ring", "grid"))
    assert all(torch.equal(a, b) for a, b in zip(ring[1:], grid[1:], strict=True))
    assert not torch.equal(ring[0], grid[0])
    shapes = [(5, 64, 2), (5, 64, 2), (5, 64, 1), (5, 64, 8), (5, 128, 2)]
    assert [tuple(part.shape) for part in ring] == shapes
    _, *long = experiments.draw(3, 400, experiments.Modes.of("ring", 8))
    for part, deviation in zip(long, (1.0, 1.0, 0.05, 0.02), strict=True):
        assert float(part.std()) == pytest.approx(deviation, rel=5 / math.sqrt(2 * part.numel()))


# --------------------------------------------------------------------------------------------------- the training

RATE, STEPS, SEEDS = 4e-3, 20, (3, 5)
TERMS = {  # DLLE and DIsoMap, entropy of real codes, partners of fake codes, weight of R1, step size of D
    "GAN": (False, False, "", 0, 2e-3),
    "MEE": (True, True, "nearest", 0, 2e-3),
    "tuned GAN": (False, False, "", 0, 8e-3),
    "GAN + R1": (False, False, "", 1, 2e-3),
    "GAN + embedding": (True, False, "", 0, 2e-3),
    "entropy only": (False, False, "nearest", 0, 2e-3),
    "official buffer": (True, True, "before", 0, 2e-3),
}


def plain_perceptron(seed: int, purpose: str, outputs: int, activation: nn.Module) -> nn.Sequential:
    """Return a network whose weights and biases come from the seed's generator, layer by layer."""
    draws, layers = generator(seed, purpose), []
    for inputs, width in ((2, 64), (64, 64), (64, outputs)):
        layer = nn.Linear(inputs, width)
        bound = 1 / math.sqrt(inputs)
        with torch.no_grad():
            layer.weight.copy_(torch.empty(inputs, width).uniform_(-bound, bound, generator=draws).T)
            layer.bias.copy_(torch.empty(1, width).uniform_(-bound, bound, generator=draws)[0])
        layers += [layer, activation]
    return nn.Sequential(*layers[:-1])


def plain_entropy(codes: Tensor, memory: Tensor, kind: str) -> Tensor:
    """Return log(Ê + 1e-8) with the partners of a kind: the memory itself, or the nearest in it."""
    if kind == "before":
        return (F.mse_loss(codes, memory) + 1e-8).log()
    squares = (codes.unsqueeze(1) - memory).square().mean(-1)
    return (squares.min(1).values.mean() + 1e-8).log()


def plain_training(arm: str, seed: int, target: str) -> tuple[nn.Sequential, nn.Sequential]:
    """Train one model of an arm with ordinary modules, one loss after the other."""
    embedding, real_entropy, kind, penalty, rate = TERMS[arm]
    modes = experiments.Modes.of(target, 8)
    draws = experiments.draw(seed, STEPS, modes)
    maker = plain_perceptron(seed, "generator", 2, nn.ReLU())
    judge = plain_perceptron(seed, "discriminator", 8, nn.LeakyReLU(0.2))
    players = [
        torch.optim.Adam(network.parameters(), lr=lr, betas=(0.5, 0.9))
        for network, lr in ((maker, RATE), (judge, rate))
    ]
    decay = [torch.optim.lr_scheduler.LambdaLR(one, lambda t: min(1, 2 * (1 - t / STEPS))) for one in players]
    rows = 64 if kind == "before" else 128
    memories = {
        name: torch.empty(rows, 8).uniform_(-1, 1, generator=generator(seed, f"{name} memory"))
        for name in ("real", "fake")
    }
    for time in range(STEPS):
        x, z, alpha, noise, shift = (part[time] for part in draws)
        warm = min(1, time / (0.1 * STEPS))
        fake = maker(z)
        c, c_fake = judge(x), judge(fake.detach())
        loss = F.softplus(-c.mean(1)).mean() + F.softplus(c_fake.mean(1)).mean()
        if embedding:
            loss = loss + F.mse_loss(c, judge(x + shift[:64]).detach())
            loss = loss + F.mse_loss(c_fake, judge(fake + shift[64:]).detach())
            goal = alpha * c + (1 - alpha) * c_fake + noise
            loss = loss + 0.003 * F.mse_loss(judge(alpha * x + (1 - alpha) * fake.detach()), goal.detach())
        if penalty:
            points = x.clone().requires_grad_()
            slopes = torch.autograd.grad(judge(points).mean(1).sum(), points, create_graph=True)[0]
            loss = loss + penalty / 2 * (slopes**2).sum(1).mean()
        if real_entropy:
            loss = loss - warm * 0.001 * plain_entropy(c, memories["real"], kind)
            memories["real"] = torch.cat([memories["real"], c.detach()])[-rows:]
        players[1].zero_grad()
        loss.backward()
        players[1].step()
        codes = judge(fake)
        loss = F.softplus(-codes.mean(1)).mean()
        if kind:
            loss = loss - warm * 0.02 * plain_entropy(codes, memories["fake"], kind)
            memories["fake"] = torch.cat([memories["fake"], codes.detach()])[-rows:]
        players[0].zero_grad()
        loss.backward()
        players[0].step()
        for one in decay:
            one.step()
    return maker, judge


def coverage_by_hand(samples: Tensor, modes: experiments.Modes) -> dict[str, Tensor]:
    """Count what lies near the centers."""
    lengths = (samples.unsqueeze(1) - modes.centers).norm(dim=-1)
    near, shares = lengths.min(1).values, lengths.argmin(1).bincount(minlength=len(modes.centers)) / len(samples)
    good = lengths.argmin(1)[near <= 3 * modes.deviation].bincount(minlength=len(modes.centers))
    return {
        "covered": (good * len(modes.centers) >= len(samples) / 2).sum(),
        "quality": (near <= 3 * modes.deviation).float().mean(),
        "divergence": torch.special.xlogy(shares, shares * len(modes.centers)).sum(),
        "distance": near.mean(),
    }


@pytest.mark.parametrize("arm", TERMS)
@pytest.mark.usefixtures("double_precision")
def test_batched_training_equals_a_plain_loop(arm: str) -> None:
    results = experiments.ModeCollapse(steps=STEPS, target="grid").run(SEEDS).sel(arm=arm).isel(step=-1)
    modes = experiments.Modes.of("grid")
    for seed in SEEDS:
        maker, judge = plain_training(arm, seed, "grid")
        with torch.no_grad():
            samples = maker(torch.randn(2000, 2, generator=generator(seed, "probe latent")))
            held_out = maker(torch.randn(2000, 2, generator=generator(seed, "validation latent")))
            real = judge(modes.sample((192,), generator(seed, "probe")))
            fake = judge(samples[:192])
        validation = coverage_by_hand(held_out, modes)
        expected = {
            **coverage_by_hand(samples, modes),
            "fake_entropy": plain_entropy(fake[:64], fake[64:], "nearest"),
            "real_entropy": plain_entropy(real[:64], real[64:], "nearest"),
            "validation": validation["covered"] * validation["quality"],
        }
        found = {name: float(results[name].sel(seed=seed)) for name in expected}
        assert found == pytest.approx({name: float(value) for name, value in expected.items()}, abs=1e-6)
        if seed == SEEDS[0]:
            np.testing.assert_allclose(results.samples, samples[:500], atol=1e-8)
        rho = NearestNeighbors(n_neighbors=1).fit(samples.double()).kneighbors()[0][:, 0]
        estimate = digamma(2000) - digamma(1) + math.log(math.pi) + 2 * np.log(rho).mean()
        assert float(results.entropy.sel(seed=seed)) == pytest.approx(estimate, abs=1e-6)


def test_without_weights_mee_is_the_gan_bit_for_bit() -> None:
    kind, modes, off = experiments.ModeCollapse, experiments.Modes.of("ring"), {"isometry": 0, "real": 0, "fake": 0}
    arms = {"GAN": Arm("baseline", ratio=0.5), "MEE": Arm("method", ratio=0.5, **off)}
    draws = [torch.stack([part, part], 1) for part in experiments.draw(0, 60, modes)]
    training = experiments.Training(arms, (0, 0), kind().settings(), draws)
    training.embedded = slice(0, 0)  # DLLE has the fixed weight 1
    for step in range(60):
        training.step(step)
    for layer in (*training.generator, *training.discriminator):
        gan, mee = layer.detach().chunk(2)
        assert torch.equal(gan, mee)


@pytest.mark.usefixtures("double_precision")
def test_the_tuned_gan_does_not_feel_the_ratio_of_the_others() -> None:
    slow, fast = (experiments.ModeCollapse(rate_ratio=ratio, steps=40).run(2) for ratio in (0.125, 2))
    xr.testing.assert_allclose(slow.sel(arm="tuned GAN"), fast.sel(arm="tuned GAN"), rtol=0, atol=1e-6)
    assert not np.array_equal(slow.samples.sel(arm="GAN"), fast.samples.sel(arm="GAN"))


@pytest.mark.parametrize("arms", [["MEE"], ["GAN + R1"], ["blurred annulus"], ["entropy only", "uniform square"]])
@pytest.mark.usefixtures("double_precision")
def test_a_few_arms_alone_are_those_of_the_whole_run(arms: list[str]) -> None:
    whole, some = experiments.ModeCollapse(steps=20).run(2), experiments.ModeCollapse(steps=20).only(arms).run(2)
    xr.testing.assert_allclose(some, whole.sel(arm=arms), rtol=0, atol=1e-6)


def test_without_a_memory_mee_is_the_official_buffer() -> None:
    results = experiments.ModeCollapse(memory=0, steps=40).run(2)
    for name in ("distance", "fake_entropy", "samples"):
        np.testing.assert_array_equal(results[name].sel(arm="MEE"), results[name].sel(arm="official buffer"))
    with_memory = experiments.ModeCollapse(steps=40).run(2)
    np.testing.assert_array_equal(
        results.samples.sel(arm="official buffer"), with_memory.samples.sel(arm="official buffer")
    )
    assert not np.array_equal(results.samples.sel(arm="MEE"), with_memory.samples.sel(arm="MEE"))


@pytest.mark.parametrize(
    ("target", "side", "quality"), [("ring", 6, 8 * math.pi * 0.09), ("grid", 5, 25 * math.pi * 0.0225)]
)
def test_a_uniform_square_has_the_quality_of_its_area(target: str, side: int, quality: float) -> None:
    points = experiments.ignorant("uniform square", target, tuple(range(50)))
    assert points.shape == (50, 2000, 2) and float(points.abs().max()) <= side / 2
    found, share = experiments.cover(points, experiments.Modes.of(target)), quality / side**2
    assert float(found["quality"].mean()) == pytest.approx(share, abs=4 * math.sqrt(share / 100_000))
    assert (found["covered"] == 0).all()


def test_a_blurred_annulus_has_the_quality_of_its_density() -> None:
    points = experiments.ignorant("blurred annulus", "ring", tuple(range(50)))
    squares = points.square().sum(-1)
    assert float(squares.mean()) == pytest.approx(4 + 2 * 0.25, rel=0.01)
    # the density at a center: that of N(0, 0.25 I) at distances from the points of the circle, averaged
    angles = torch.linspace(0, 2 * math.pi, 10_001)[:-1]
    circle = 2 * torch.stack([angles.cos(), angles.sin()], -1)
    around = 0.3 * torch.rand(10_000, generator=generator(0, "disc")).sqrt()
    turn = 2 * math.pi * torch.rand(10_000, generator=generator(1, "disc"))
    disc = torch.stack([2 + around * turn.cos(), around * turn.sin()], -1)[:500]
    density = (-(disc.unsqueeze(1) - circle).square().sum(-1) / 0.5).exp().mean() / (2 * math.pi * 0.25)
    found = experiments.cover(points, experiments.Modes.of("ring"))
    assert float(found["quality"].mean()) == pytest.approx(8 * math.pi * 0.09 * float(density), rel=0.03)
    assert (found["covered"] == 0).all()


def test_the_penalty_is_the_squared_slope_of_the_score() -> None:
    points = normal(0, 3, 7, 2).requires_grad_()
    direction = torch.tensor([[[3.0, 4.0]], [[0.0, 1.0]], [[0.0, 0.0]]], dtype=torch.float64)
    found = method.gradient_penalty((points * direction).sum(-1), points)
    assert found.tolist() == pytest.approx([12.5, 0.5, 0])
    curved = method.gradient_penalty(points.square().sum(-1) / 2, points)
    torch.testing.assert_close(curved, points.detach().square().sum(-1).mean(-1) / 2)
    torch.testing.assert_close(torch.autograd.grad(curved.sum(), points)[0], points.detach() / 7)


def test_all_samples_of_a_collapsed_generator_have_a_finite_entropy() -> None:
    assert math.isfinite(float(metrics.knn_entropy(torch.zeros(50, 2), smallest=experiments.TWIN)))
    assert float(experiments.log_entropy(torch.zeros(192, 8))) == pytest.approx(math.log(1e-8))


# -------------------------------------------------------------------------------------------------- the estimators


def test_errors_of_the_estimators_are_those_of_scikit_learn_s_neighbors() -> None:
    results = experiments.Estimators().run([4]).isel(seed=0)
    exact = {"plane": 2.837877, "8 dimensions": 11.351508, "square": 0.0, "ring": 0.312142}
    for name in experiments.Estimators.distributions:
        for count in (64, 1000):
            points, entropy = experiments.known(name, count, generator(4, f"{name} {count}"))
            assert entropy == pytest.approx(exact[name], abs=1e-5)
            d = points.shape[1]
            rho = NearestNeighbors(n_neighbors=4).fit(points.double()).kneighbors()[0]
            volume = d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1)
            expected = {
                "nearest neighbor": digamma(count) - digamma(1) + volume + d * np.log(rho[:, 0]).mean() - entropy,
                "log of mean": digamma(count)
                - digamma(1)
                + volume
                + d / 2 * math.log((rho[:, 0] ** 2).mean())
                - entropy,
                "4th neighbor": digamma(count) - digamma(4) + volume + d * np.log(rho[:, 3]).mean() - entropy,
            }
            found = {arm: float(results.error.sel(arm=arm, distribution=name, examples=count)) for arm in expected}
            assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", experiments.Estimators.distributions)
def test_known_distributions_have_the_entropy_that_is_said(name: str) -> None:
    points, entropy = experiments.known(name, 4000, torch.Generator().manual_seed(0))
    assert float(metrics.knn_entropy(points, 4)) == pytest.approx(entropy, abs=0.1)


# ---------------------------------------------------------------------------------------------- pictures and claims


@pytest.mark.parametrize(("settings_", "places"), [({"target": "grid"}, 25), ({"target": "one"}, 1), ({"modes": 3}, 3)])
def test_pictures_know_how_many_modes_there_are(settings_: dict[str, int | str], places: int) -> None:
    results = experiments.ModeCollapse(steps=25, **settings_).run(2)  # type: ignore[arg-type]
    said = Chart(results, experiments.ModeCollapse.views[0], experiments.ModeCollapse.arms).describe()
    assert f"of {places} crosses" in said


# ------------------------------------------------------------------------------------------------------- exercises


def estimate(points: Tensor, *, leave: int = 1, squares: bool = False, log_of_mean: bool = False) -> float:
    """Return a student's estimate, right, or with one of the typical mistakes."""
    count, d = points.shape
    rho = torch.cdist(points.double(), points.double()).sort(-1).values[:, leave]
    logs = (rho.square() if squares else rho).log().mean()
    logs = rho.square().mean().log() / 2 if log_of_mean else logs
    volume = d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1)
    return float(torch.digamma(torch.tensor(float(count))) + 0.577216 + volume + d * logs)


def slope(codes: Tensor, partners: Tensor, strength: float) -> Tensor:
    differences = codes - partners
    return -strength * 2 * differences / (codes.numel() * differences.square().mean())


def test_right_answers_are_accepted() -> None:
    assert "2.42420" in exercises.check_entropy(estimate)  # type: ignore[arg-type]
    assert "−2λ" in exercises.check_gradient(slope)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda p: estimate(p, leave=0), "its own nearest"),
        (lambda p: estimate(p, squares=True), "not of their squares"),
        (lambda p: estimate(p, log_of_mean=True), "mean of the logarithms"),
        (lambda p: estimate(p) - math.log(2), "volume"),
        (lambda p: estimate(p) - 0.577216, "2.42420"),
        (lambda p: estimate(p) - 0.922784 + math.log(3), "2.42420"),
        (lambda p: estimate(p) + 1, "2.42420"),
        (lambda p: estimate(p) if p.shape[1] == 1 else estimate(p) / 2, "in the plane"),
    ],
)
def test_wrong_estimates_get_a_hint(answer: object, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_entropy(answer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda c, b, s: -slope(c, b, s), "sign"),
        (lambda c, b, s: c.numel() * slope(c, b, s), "mean over all"),
        (lambda c, b, s: len(c) * slope(c, b, s), "mean over all"),
        (lambda c, b, s: slope(c, b, s) / 2, "chain rule"),
        (lambda c, b, s: slope(c, b, s) * (c - b).square().mean(), "logarithm is missing"),
        (lambda c, b, s: slope(c, b, 1), "chain rule"),
        (lambda c, b, s: slope(c, b, s).sum(), "shape"),
        (lambda c, b, s: c - b, "chain rule"),
    ],
)
def test_wrong_gradients_get_a_hint(answer: object, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_gradient(answer)  # type: ignore[arg-type]


@pytest.mark.parametrize(("answer", "hint"), [(0.66, "λ = 0.02"), (1.1, "below one half"), (0.2, "row of MEE")])
def test_wrong_readings_get_a_hint(answer: float, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_haze(answer)


def test_what_the_recording_shows_is_a_right_reading() -> None:
    shown = store.at(experiments.ModeCollapse(strength=0.5))
    assert shown is not None
    quality = shown.quality.sel(arm="MEE").isel(step=-1)
    for end in mean_interval(quality.values):
        assert "third" in exercises.check_haze(float(end))


def test_no_answer_is_no_mistake() -> None:
    with pytest.raises(NotImplementedError):
        exercises.check_haze(None)  # type: ignore[arg-type]
    for check in (exercises.check_entropy, exercises.check_gradient):
        with pytest.raises(NotImplementedError):
            check(lambda *_: None)  # type: ignore[arg-type]


def test_what_settings_are_chosen_by_depends_on_no_test_data(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, setting = experiments.latents, experiments.ModeCollapse(steps=20)
    here = setting.run(2)
    monkeypatch.setattr(experiments, "latents", lambda seeds, what: drawn(seeds, what) + (what == "probe latent"))
    there = setting.run(2)
    assert not here.distance.equals(there.distance) and here.validation.equals(there.validation)
