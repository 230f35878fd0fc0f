"""The exact checks of regularized solvers: tableaus, orders, SciPy, torchdiffeq, differences with frozen steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from draws import normal
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import RK45, solve_ivp
from torch import Tensor, nn
from torchdiffeq import odeint

from reglab import data
from reglab.exercise import WrongAnswerError
from reglab.experiment import Experiment
from reglab.papers.dynamics.solver_regularization import exercises, experiments, method
from reglab.recordings import store
from reglab.seeds import generator
from reglab.statistics import mean_interval

DOPRI5 = method.Tableau(
    c=(0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1),
    a=(
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    e=(71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
)
"""The pair of Dormand and Prince, which SciPy and torchdiffeq use: another recipe for the same solver."""
PAIRS = [method.TSIT5, DOPRI5]
ZERO = torch.zeros(1, dtype=torch.float64)


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def linear(factor: float) -> method.Field:
    return lambda z, t: factor * z


def oscillator(z: Tensor, t: Tensor) -> Tensor:
    return torch.stack([z[..., 1], -z[..., 0]], -1)


def for_all(f: method.Field) -> method.Fields:
    """Return one field for all runs."""
    return lambda runs: f


def step(f: method.Field, z: Tensor, h: float, tableau: method.Tableau = method.TSIT5) -> method.Step:
    return method.runge_kutta(f, z, ZERO, ZERO + h, f(z, ZERO), tableau)


def smooth(seed: int, runs: int = 1) -> method.Field:
    """Return a field made of a small random network for each run, driven by the time."""
    W, V, c = normal(seed, runs, 3, 8), normal(seed + 1, runs, 8, 3), normal(seed + 2, runs, 1, 8)
    return lambda z, t: torch.tanh(z @ W + c * t.reshape(-1, 1, 1)) @ V


# -------------------------------------------------------------------------------------------------------- one step


@pytest.mark.parametrize("tableau", PAIRS)
def test_tableaus_satisfy_their_conditions(tableau: method.Tableau) -> None:
    c, b, e = np.array(tableau.c), np.array([*tableau.a[-1], 0]), np.array(tableau.e)
    np.testing.assert_allclose([sum(row) for row in tableau.a], c, atol=1e-14)
    np.testing.assert_allclose([b @ c**k for k in range(5)], [1 / (k + 1) for k in range(5)], atol=1e-14)
    np.testing.assert_allclose([e @ c**k for k in range(4)], 0, atol=1e-15)
    assert abs(e @ c**4) > 1e-4


def test_tsit5_s_fifth_error_condition_by_hand() -> None:
    assert np.array(method.TSIT5.e) @ np.array(method.TSIT5.c) ** 4 == pytest.approx(-5.822164e-4, rel=1e-6)


@pytest.mark.parametrize(
    ("tableau", "ends", "estimates"),
    [(method.TSIT5, (92.8, 83.4, 75.7), (34.4, 33.2, 32.6)), (DOPRI5, (71.5, 68.1, 66.2), (34.6, 33.3, 32.6))],
)
def test_orders_of_solution_and_estimate(
    tableau: method.Tableau, ends: tuple[float, ...], estimates: tuple[float, ...]
) -> None:
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    taken = {h: step(linear(-1), one, h, tableau) for h in (0.4, 0.2, 0.1, 0.05)}
    wrong = [abs(taken[h].z.item() - math.exp(-h)) for h in taken]
    delta = [abs(taken[h].delta.item()) for h in taken]
    np.testing.assert_allclose([a / b for a, b in pairwise(wrong)], ends, rtol=2e-3)
    np.testing.assert_allclose([a / b for a, b in pairwise(delta)], estimates, rtol=2e-3)


def test_dopri5_is_scipy_s_step() -> None:
    f, z, h = smooth(0), normal(9, 1, 1, 3), 0.3
    taken = step(f, z, h, DOPRI5)

    def plain(t: float, y: np.ndarray) -> np.ndarray:
        return f(torch.from_numpy(y).reshape(1, 1, 3), numbers(t)).numpy().ravel()

    solver = RK45(plain, 0, z.numpy().ravel(), 1, rtol=1e9, atol=1e9, first_step=h)
    solver.step()
    np.testing.assert_allclose(taken.z.numpy().ravel(), solver.y, atol=1e-14)
    np.testing.assert_allclose(taken.delta.numpy().ravel(), -h * solver.K.T @ solver.E, atol=1e-14)  # e = b - b~ here


def test_a_constant_slope_has_no_error_and_no_stiffness() -> None:
    z = normal(1, 1, 4, 3).requires_grad_()
    speed = normal(2, 1, 4, 3).requires_grad_()
    taken = method.runge_kutta(lambda x, t: speed + 0 * x, z, ZERO, ZERO + 0.3, speed + 0 * z)
    assert float(taken.delta.detach().abs().max()) < 1e-15
    error, stiff = method.error_estimate(taken.delta, z, taken.z, 1e-7), method.stiffness(taken, z)
    assert error.item() < 1e-8 and stiff.item() == 0
    for gradient in torch.autograd.grad((error + stiff).sum(), (z, speed)):
        assert gradient.isfinite().all()


@given(st.floats(0.01, 5), st.floats(0.01, 1), st.sampled_from([-1, 1]))
@settings(max_examples=40, deadline=None)
def test_stiffness_of_a_linear_equation_is_its_factor(size: float, h: float, sign: int) -> None:
    assume(size * h >= 0.01)
    z = torch.ones(1, 1, 1, dtype=torch.float64)
    taken = step(linear(sign * size), z, h)
    assert method.stiffness(taken, z).item() * method.STABILITY == pytest.approx(size, rel=1e-8)


def test_the_error_is_measured_in_units_of_the_tolerance() -> None:
    z, new, delta = (
        numbers(1, -3).reshape(1, 1, 2),
        numbers(2, 0).reshape(1, 1, 2),
        numbers(3e-3, 8e-3).reshape(1, 1, 2),
    )
    expected = math.sqrt((1**2 + 2**2) / 2)  # 3e-3/(1e-3·3) and 8e-3/(1e-3·4)
    assert method.error_estimate(delta, z, new, 1e-3).item() == pytest.approx(expected)


def test_the_next_size_by_hand() -> None:
    h, no, yes = numbers(1, 1, 1, 1), torch.tensor([False] * 4), torch.tensor([True] * 4)
    errors = numbers(1, 32, 1e-12, 1e6)
    np.testing.assert_allclose(method.next_size(h, errors, no), [0.9, 0.45, 10, 0.2])
    np.testing.assert_allclose(method.next_size(h, errors, yes), [0.9, 0.45, 1, 0.2])


# ------------------------------------------------------------------------------------------------------- the solver


def test_the_oscillator_ends_where_it_should() -> None:
    found = method.solve(for_all(oscillator), numbers(1, 0).reshape(1, 1, 2), 5.0, 1e-8)
    np.testing.assert_allclose(found.z.flatten(), [0.28366219, 0.95892427], atol=1e-6)
    attempts = found.sizes.shape[1]
    assert found.evaluations.item() == 1 + 6 * attempts and (found.sizes > 0).sum() <= attempts
    assert found.sizes.sum().item() == pytest.approx(5, abs=1e-12)
    assert bool((found.errors <= 1).all())


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("seed", [0, 3])
def test_dopri5_agrees_with_scipy_and_torchdiffeq(tolerance: float, seed: int) -> None:
    f, z, end = smooth(seed), 0.3 * normal(seed + 7, 1, 1, 3), 1.0
    found = method.solve(for_all(f), z, end, tolerance, DOPRI5).z.flatten()

    def plain(t: float, y: np.ndarray) -> np.ndarray:
        return f(torch.from_numpy(y).reshape(1, 1, 3), numbers(t)).numpy().ravel()

    scipy = solve_ivp(plain, (0, end), z.numpy().ravel(), method="RK45", rtol=tolerance, atol=tolerance).y[:, -1]
    np.testing.assert_allclose(found, scipy, atol=10 * tolerance)
    other = odeint(
        lambda t, y: f(y, t.reshape(1)), z, numbers(0, end), rtol=tolerance, atol=tolerance, method="dopri5",
        options={"step_t": numbers(end)},
    )[-1]  # fmt: skip
    np.testing.assert_allclose(found, other.flatten(), atol=10 * tolerance)


def test_every_run_goes_at_its_own_pace() -> None:
    W, V, c = normal(5, 4, 3, 8), normal(6, 4, 8, 3), normal(7, 4, 1, 8)
    z, ends = normal(11, 4, 6, 3), numbers(0.4, 1.0, 1.5, 1.0)

    def fields(runs: Tensor) -> method.Field:
        return lambda x, t: torch.tanh(x @ W[runs] + c[runs] * t.reshape(-1, 1, 1)) @ V[runs]

    together = method.solve(fields, z, ends, 1e-6)
    assert len(set(together.evaluations.tolist())) > 1
    for run in range(4):
        alone = method.solve(lambda runs, k=run: fields(runs + k), z[run : run + 1], float(ends[run]), 1e-6)  # type: ignore[misc]
        torch.testing.assert_close(alone.z[0], together.z[run], atol=1e-13, rtol=0)
        assert alone.evaluations[0] == together.evaluations[run]
        for name, value in method.penalties(alone).items():
            torch.testing.assert_close(value[0], method.penalties(together)[name][run], atol=1e-9, rtol=1e-7)


def test_sums_are_over_accepted_steps_only() -> None:
    def kick(z: Tensor, t: Tensor) -> Tensor:  # a sudden change makes the solver reject
        return torch.where(t.reshape(-1, 1, 1) < 0.5, 0.1, 40.0) * oscillator(z, t)

    found = method.solve(for_all(kick), numbers(1, 0).reshape(1, 1, 2), 1.0, 1e-6)
    taken = found.sizes[0] > 0
    assert taken.sum() < found.sizes.shape[1]
    E, h, paid = found.errors[0][taken], found.sizes[0][taken], method.penalties(found)
    assert not found.errors[0][~taken].any()
    assert paid["error"].item() == pytest.approx(float((E * h).mean()))
    assert paid["square"].item() == pytest.approx(float((E**2).sum()))
    assert paid["stiff"].item() == pytest.approx(float(found.stiffnesses[0][taken].sum()))
    assert paid["speed"].item() == pytest.approx(float((found.speeds[0] * found.sizes[0]).sum()))


def test_the_speed_is_the_kinetic_energy() -> None:
    """A point on a circle of radius 3 that turns once in 2π has speed 3; there are two coordinates."""
    found = method.solve(for_all(oscillator), numbers(3, 0).reshape(1, 1, 2), 2.0, 1e-8)
    assert method.penalties(found)["speed"].item() == pytest.approx(2.0 * 3**2 / 2, rel=1e-6)


def test_too_stiff_an_equation_is_refused() -> None:
    with pytest.raises(RuntimeError, match="more than 20 attempts"):
        method.solve(for_all(oscillator), numbers(1, 0).reshape(1, 1, 2), 50.0, 1e-9, most=20)


def test_gradients_are_differences_with_frozen_steps() -> None:
    W, V, z = normal(0, 1, 3, 8), normal(1, 1, 8, 3), 0.5 * normal(2, 1, 5, 3)

    def field(W: Tensor) -> method.Field:
        return lambda x, t: torch.tanh(x @ W) @ V

    leaf = W.clone().requires_grad_()
    found = method.solve(for_all(field(leaf)), z, 1.0, 1e-6)
    direction = normal(3, 1, 3, 8)
    sizes = found.sizes[0][found.sizes[0] > 0]

    def frozen(W: Tensor) -> tuple[float, float]:
        f, x = field(W), z
        slope, work = f(x, ZERO), []
        for h in sizes:
            taken = method.runge_kutta(f, x, ZERO, h.reshape(1), slope)
            work.append(method.error_estimate(taken.delta, x, taken.z, 1e-6) * h)
            x, slope = taken.z, taken.slope
        return float(torch.stack(work).mean()), float(x.sum())

    (of_error,) = torch.autograd.grad(method.penalties(found)["error"].sum(), leaf, retain_graph=True)
    (of_end,) = torch.autograd.grad(found.z.sum(), leaf)
    up, down = frozen(W + 1e-5 * direction), frozen(W - 1e-5 * direction)
    assert float((of_error * direction).sum()) == pytest.approx((up[0] - down[0]) / 2e-5, rel=1e-4)
    assert float((of_end * direction).sum()) == pytest.approx((up[1] - down[1]) / 2e-5, rel=1e-7)


# --------------------------------------------------------------------------------------------------- the experiments


def test_the_price_falls_to_a_tenth() -> None:
    assert [method.annealed(numbers(100), i, 10).item() for i in (0, 5, 10)] == pytest.approx([100, 100 / 10**0.5, 10])


PLAIN = {"rings": ((2, 4, 16, 2), 0.02), "digits": ((64, 16, 32, 10), 0.01)}
"""Sizes and Adam's rate of both tasks."""


@pytest.mark.parametrize("task", PLAIN)
@pytest.mark.parametrize("arm", ["ER", "speed", "decay", "STEER", "f = 0"])
def test_the_batched_training_is_a_plain_loop(task: str, arm: str) -> None:
    """Seed 2 of some arms, with torch's own layers and one solver for one network."""
    fronts = experiments.Fronts(iterations=20, tolerance=1e-6, task=task).only(["vanilla", arm])
    strength = experiments.PATHS[arm][1][-1]
    results = fronts.run((0, 2)).sel(arm=arm, seed=2, strength=strength)
    (inputs, width, hidden, classes), rate = PLAIN[task]
    source, turns, layers = generator(2, "weights"), generator(2, "end times"), []
    for ins, outs in ((inputs, width), (width, classes), (width + 1, hidden), (hidden + 1, width)):
        bound = (6 / (ins + outs)) ** 0.5
        layer = nn.Linear(ins, outs, dtype=torch.float64)
        layer.weight.data = torch.empty(ins, outs).uniform_(-bound, bound, generator=source).T.double()
        nn.init.zeros_(layer.bias)
        layers.append(layer)
    encoder, decoder, inner, outer = layers

    def field(z: Tensor, t: Tensor) -> Tensor:
        time = t.reshape(1, 1, 1).expand(1, z.shape[1], 1)
        slope = torch.tanh(outer(torch.cat([torch.tanh(inner(torch.cat([z, time], -1))), time], -1)))
        return slope if arm != "f = 0" else 0 * slope

    split = data.digits((2,), 1400, standardize=False)
    optimizer = torch.optim.Adam([p for layer in layers for p in layer.parameters()], lr=rate)
    for iteration in range(20):
        if task == "rings":
            points, labels = experiments.rings((2,), f"batch {iteration}", 64)
        else:
            index = data.batches((2,), 1200, 64, 1 + iteration // 18)[iteration % 18, 0]
            points, labels = split.train_inputs[:, index].double(), split.train_labels[:, index]
        end = 1 + strength * (2 * torch.rand(2, generator=turns)[0].item() - 1) if arm == "STEER" else 1.0
        found = method.solve(for_all(field), encoder(points), end, 1e-6)
        loss = F.cross_entropy(decoder(found.z)[0], labels[0])
        work = (found.errors * found.sizes).sum() / (found.sizes > 0).sum()
        squares = inner.weight.square().sum() + outer.weight.square().sum()
        energy = (found.speeds * found.sizes).sum()
        price = {"ER": strength * work, "decay": strength * squares, "speed": strength * energy}.get(arm, 0 * loss)
        optimizer.zero_grad()
        (loss + 0.1 ** (iteration / 20) * price).backward()
        optimizer.step()
    tests = (
        (split.test_inputs.double(), split.test_labels) if task == "digits" else experiments.rings((2,), "test", 400)
    )
    with torch.no_grad():
        found = method.solve(for_all(field), encoder(tests[0]), 1.0, 1e-6)
        right = (decoder(found.z)[0].argmax(-1) == tests[1][0]).double().mean()
        fixed = method.error_in_equal_steps(field, encoder(tests[0][:, :64]), 10, 1e-6)
    assert float(results.accuracy) == pytest.approx(float(right), abs=1e-6)
    assert float(results.evaluations) == found.evaluations.item()
    assert float(results.fixed) == pytest.approx(fixed.item(), rel=1e-4, abs=1e-9)


def test_rings_are_a_disc_and_a_ring_with_even_density() -> None:
    points, labels = experiments.rings((0, 1), "test", 20_000)
    radius = points.norm(dim=-1)
    disc, ring = radius[labels == 0], radius[labels == 1]
    assert disc.max() <= 1 and ring.min() >= 1.5 and ring.max() <= 2 and len(disc) == len(ring)
    assert float((disc < 0.5**0.5).double().mean()) == pytest.approx(0.5, abs=0.02)  # half of the area
    assert float((ring < 1.7678).double().mean()) == pytest.approx(0.5, abs=0.02)
    assert float(points.mean((0, 1)).abs().max()) < 0.05


def test_no_linear_map_tells_rings_apart() -> None:
    """What the null can do: a line through the plane has at most about two thirds on the right side."""
    points, labels = experiments.rings((0,), "test", 20_000)
    best = max(
        float(((points[0] @ numbers(1, 0) > cut).long() == labels[0]).double().mean()) for cut in np.arange(-2, 2, 0.05)
    )
    assert best < 0.75


@pytest.mark.usefixtures("double_precision")
def test_what_settings_are_chosen_by_depends_on_no_test_data(monkeypatch: pytest.MonkeyPatch) -> None:
    rings, brownian = experiments.rings, experiments.brownian
    kinds: tuple[type[Experiment], ...] = (experiments.Prices, experiments.Spiral)
    here = [kind.make(kind.smoke).run(2) for kind in kinds]
    monkeypatch.setattr(experiments, "rings", lambda s, purpose, n: rings(s, purpose.replace("test", "other"), n))
    monkeypatch.setattr(experiments, "brownian", lambda s, purpose, n: brownian(s, purpose.replace("test", "other"), n))
    for kind, before in zip(kinds, here, strict=True):
        after = kind.make(kind.smoke).run(2)
        assert not before.equals(after)
        assert before.validation.equals(after.validation)


def test_the_error_in_equal_steps_is_that_of_single_steps() -> None:
    f, z = smooth(4), normal(8, 1, 5, 3)
    found, errors = method.error_in_equal_steps(f, z, 4, 1e-5), []
    for i in range(4):
        t = ZERO + i / 4
        taken = method.runge_kutta(f, z, t, ZERO + 0.25, f(z, t))
        errors.append(method.error_estimate(taken.delta, z, taken.z, 1e-5).item())
        z = taken.z
    assert found.item() == pytest.approx(np.mean(errors) / 4)


# -------------------------------------------------------------------------------------------- the stochastic equation


def test_without_noise_the_step_is_heun_s() -> None:
    z, h = normal(0, 1, 3, 2), numbers(0.2)
    f = lambda x: torch.sin(x)  # noqa: E731
    taken = method.heun_step(f, torch.zeros_like, z, h, normal(1, 1, 3, 2), 0.01)
    ahead = z + 0.2 * f(z)
    torch.testing.assert_close(taken.z, z + 0.1 * (f(z) + f(ahead)))
    expected = method.rms(0.1 * (f(ahead) - f(z)) / 6 / (0.01 * (1 + torch.maximum(z.abs(), taken.z.abs()))))
    torch.testing.assert_close(taken.error, expected)


@given(st.floats(0.05, 1), st.floats(0.001, 0.2), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_pure_noise_by_hand(sigma: float, h: float, seed: int) -> None:
    z, dW = 1 + normal(seed, 1, 4, 2).abs(), h**0.5 * normal(seed + 1, 1, 4, 2)
    taken = method.heun_step(torch.zeros_like, lambda x: sigma * x, z, numbers(h), dW, 0.1)
    torch.testing.assert_close(taken.z, z * (1 + sigma * dW + sigma**2 * dW**2 / 2))
    scale = 0.1 * (1 + torch.maximum(z.abs(), taken.z.abs()))
    torch.testing.assert_close(taken.error, method.rms(sigma**2 * z * dW**2 / 2 / scale))


def test_a_rejection_does_not_change_the_path() -> None:
    """Geometric Brownian motion has a closed form along each path; tight or loose, the solver follows the same one."""
    W = experiments.brownian((0, 1), "test", 20)
    start = torch.full((2, 20, 2), 2.0, dtype=torch.float64)
    exact = 2 * torch.exp(-0.5 + 0.3 * W[:, -1])  # Stratonovich: no correction
    found = {
        tolerance: method.solve_noisy(lambda z: -0.5 * z, lambda z: 0.3 * z, start, W, tolerance)
        for tolerance in (1e-3, 0.1)
    }
    for tolerance, close in ((1e-3, 2e-3), (0.1, 0.05)):
        torch.testing.assert_close(found[tolerance].saved[:, -1], exact, atol=close, rtol=close)
    assert bool((found[1e-3].accepted > found[0.1].accepted).all())
    assert bool((found[1e-3].attempts > found[1e-3].accepted).any())


def test_the_fewest_steps_are_eleven() -> None:
    W = experiments.brownian((0,), "test", 3)
    found = method.solve_noisy(torch.zeros_like, torch.zeros_like, torch.ones(1, 3, 2, dtype=torch.float64), W, 0.03)
    assert found.accepted.item() == found.attempts.item() == 11  # 16, 16, 32, 64 and seven times 128 cells
    assert found.sum_Eh.item() == pytest.approx(0, abs=1e-10)


def test_moments_are_numpy_s() -> None:
    saved = normal(0, 2, 8, 50, 2)
    found = method.moments(saved).numpy()
    np.testing.assert_allclose(found[..., :2], saved.numpy().mean(2))
    np.testing.assert_allclose(found[..., 2:], saved.numpy().var(2))


def test_the_true_spiral_without_noise_keeps_its_equation() -> None:
    """The mean path of many stays near the equation without noise at the first save time, and turns clockwise."""
    paths = experiments.truth((0,))[0].numpy()
    assert paths.shape == (8, 2000, 2)
    plain = solve_ivp(
        lambda t, u: [-0.1 * u[0] ** 3 + 2 * u[1] ** 3, -2 * u[0] ** 3 - 0.1 * u[1] ** 3], (0, 1 / 8), [2, 0]
    )
    np.testing.assert_allclose(paths[0].mean(0), plain.y[:, -1], atol=0.1)


# --------------------------------------------------------------------------------------------------------- exercises


def richardson(step: Callable[[Tensor, float], Tensor], z: Tensor, h: float) -> Tensor:
    return (step(z, h) - step(step(z, h / 2), h / 2)).norm()


def test_the_right_estimate_is_accepted_and_ranks_as_the_solver_s() -> None:
    said = exercises.check_richardson(richardson)
    assert float(said.split(" is ")[1].split(":")[0]) > 0.9


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda step, z, h: (step(z, h) - step(z, h / 2)).norm(), "two of them"),
        (lambda step, z, h: step(z, h) - z, "one number"),
        (lambda step, z, h: 2 * richardson(step, z, h), "differ by"),
        (lambda step, z, h: torch.zeros(()), "differ by"),
    ],
)
def test_wrong_estimates_get_a_hint(answer: object, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_richardson(answer)  # type: ignore[arg-type]


def test_only_one_letter_is_right() -> None:
    assert "keeps the exactness" in exercises.check_tolerance("c")
    for letter, hint in (("a", "fewer evaluations"), ("b", "how large"), ("d", "choose")):
        with pytest.raises(WrongAnswerError, match=hint):
            exercises.check_tolerance(letter)


def test_the_accuracy_lost_is_read_off_within_what_the_recorded_runs_give() -> None:
    recorded = store.read(experiments.Prices)
    assert recorded is not None
    last = recorded.accuracy.isel(iteration=-1).sel({"tolerance": 1e-7})
    vanilla = last.sel(arm="vanilla", strength=0.3)
    lost = (vanilla - last.sel(arm="ER", strength=100)).values
    _, low, high = mean_interval(lost)
    assert exercises.LOST[0] <= low < high <= exercises.LOST[1]
    assert "read off" in exercises.check_collapse(float(lost.mean()))
    for wrong in (0.0, 1.0):
        with pytest.raises(WrongAnswerError, match="subtract"):
            exercises.check_collapse(wrong)


def test_no_answer_is_no_mistake() -> None:
    with pytest.raises(NotImplementedError):
        exercises.check_richardson(lambda *_: None)  # type: ignore[arg-type]
