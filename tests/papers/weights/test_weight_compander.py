"""WC, checked exactly: worked numbers, inverses, autograd, ordinary differential equations, a plain PyTorch loop."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.stats import kurtosis
from torch import Tensor, nn

from reglab import data
from reglab.exercise import WrongAnswerError
from reglab.knobs import Arm
from reglab.papers.weights._shared.network import Dense, digits
from reglab.papers.weights.weight_compander import exercises, method
from reglab.papers.weights.weight_compander.experiments import WIDTHS, Companded, OneStep, WrongLabels
from reglab.recordings import store
from reglab.training import Lanes

SCALES = st.floats(0.05, 20)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---------------------------------------------------------------------------------------------------------- the map


def test_the_map_by_hand() -> None:
    v = torch.tensor([0.0, 0.2, -0.2], dtype=torch.float64)
    assert method.psi(v, 0.3, 0.2).tolist() == pytest.approx([0, 0.3 * math.pi / 4, -0.3 * math.pi / 4], abs=1e-15)
    assert float(method.psi(v, 0.3, 0.2)[1]) == pytest.approx(0.2356194, abs=1e-7)
    assert method.psi_slope(v, 0.3, 0.2).tolist() == pytest.approx([1.5, 0.75, 0.75])
    assert method.scale(0.45, 50) == pytest.approx(0.45 * 0.2)


@given(SCALES, SCALES)
@settings(max_examples=30, deadline=None)
def test_the_map_is_odd_bounded_and_has_its_inverse_and_slope(a: float, b: float) -> None:
    v = b * torch.linspace(-50, 50, 401, dtype=torch.float64)
    w = method.psi(v, a, b)
    torch.testing.assert_close(w.flip(0), -w, rtol=1e-12, atol=1e-15)
    assert (w.abs() < method.bound(a)).all() and (w.diff() > 0).all()
    torch.testing.assert_close(method.psi_inverse(w, a, b), v, rtol=1e-9, atol=1e-12)
    slope = method.psi_slope(v, a, b)
    torch.testing.assert_close(slope, a / b * torch.cos(w / a) ** 2, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(slope**2, method.speed(w, a, b), rtol=1e-10, atol=1e-12)


def test_gradients_are_autograd_s() -> None:
    v, g = normal(7, 5).requires_grad_(), normal(7, 5, seed=1)
    a, b = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.7, 0.3))
    (g * method.psi(v, a, b)).sum().backward()
    with torch.no_grad():
        expected = g * method.psi_slope(v, a, b), (g * torch.atan(v / b)).sum(), -(g * a * v / (b**2 + v**2)).sum()
    for one, right in zip((v, a, b), expected, strict=True):
        torch.testing.assert_close(one.grad, right)


def test_a_very_wide_map_is_a_plain_layer() -> None:
    x, v = normal(6, 4), normal(4, 3, seed=1).requires_grad_()
    found = x @ method.psi(v, 1e4, 1e4)
    torch.testing.assert_close(found, x @ v, rtol=1e-6, atol=1e-9)
    gradients = [torch.autograd.grad(one.square().sum(), v)[0] for one in (found, x @ v)]
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("slope", [0.5, 1.0, 4.0])
def test_one_step_moves_weights_as_the_formula_says(slope: float) -> None:
    results = OneStep(slope=slope).run(2)
    assert float(results.gap.max()) < 1e-4
    np.testing.assert_allclose(results.moved.sel(stored=0), slope**2, rtol=1e-5)
    assert (results.speed <= slope**2 + 1e-12).all()


def flow(target: float, times: list[float], a: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Follow L = (w - target)²/2 down the gradient in v with a = b, and in plain weights: w at some times."""

    def rate(_: float, v: np.ndarray) -> np.ndarray:
        at = torch.from_numpy(v)
        return (-method.psi_slope(at, a, a) * (method.psi(at, a, a) - target)).numpy()

    ends = (0, times[-1])
    solved = solve_ivp(rate, ends, [0.0], "LSODA", times, rtol=1e-10, atol=1e-12)
    plain = solve_ivp(lambda _, w: target - w, ends, [0.0], "LSODA", times, rtol=1e-10, atol=1e-12)
    return method.psi(torch.from_numpy(solved.y[0]), a, a).numpy(), plain.y[0]


def test_a_target_beyond_the_bound_is_approached_and_the_bound_never_passed() -> None:
    w, _ = flow(2.0, [1, 1e2, 1e4, 1e6, 1e9])
    assert (np.diff(w) > 0).all() and (w < math.pi / 2).all()
    assert w[-1] == pytest.approx(math.pi / 2, abs=2e-3)


def test_a_target_inside_is_reached_more_slowly_than_plain() -> None:
    w, plain = flow(0.8, [0.5, 1, 2, 4, 200])
    assert (0.8 - w[:4] > 0.8 - plain[:4]).all()
    assert w[-1] == pytest.approx(0.8, abs=1e-6)


# ---------------------------------------------------------------------------------------------------- distributions


def test_a_bell_curve_pressed_by_arctan() -> None:
    z = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0))
    pressed = method.psi(z, 1.0, 1.0)
    assert float(pressed.square().mean()) == pytest.approx(0.4497, rel=0.01)
    found = method.shape(method.relative(torch.stack([pressed, z])))
    assert found["kurtosis"].tolist() == pytest.approx([1.776, 3], rel=0.01)
    assert found["participation"].tolist() == pytest.approx([0.8725, 0.7979], rel=0.01)


def test_shapes_by_hand_and_scipy() -> None:
    found = method.shape(method.relative(torch.tensor([[1.0, -1, 1, -1], [3, -0.1, 0, 0]])))
    assert found["kurtosis"].tolist() == pytest.approx([1, 2 * (81 + 1e-4) / 9.01**2])
    assert found["near_zero"].tolist() == [0, 0.5]
    assert found["participation"].tolist() == pytest.approx([1, 1.55 / (9.01 / 2) ** 0.5])
    assert found["largest"].tolist() == pytest.approx([1, 3 / (9.01 / 2) ** 0.5])
    w = normal(500)
    both = torch.cat([w, -w])  # scipy's is about the mean
    assert float(method.shape(method.relative(both))["kurtosis"]) == pytest.approx(kurtosis(both.numpy(), fisher=False))


def test_exactly_so_many_of_the_largest_weights_go() -> None:
    weights = [torch.full((1, 10, 5), 0.5), torch.cat([torch.full((1, 5, 9), -0.5), torch.full((1, 5, 1), 2.0)], 2)]
    first, second = method.without_largest(weights, 0.07)
    assert int((first == 0).sum()) == 2 and int((second == 0).sum()) == 5 and (second[..., -1] == 0).all()
    inert = [F.pad(weight, (0, 0, 0, 30)) for weight in weights]
    assert sum(int((one != 0).sum()) for one in method.without_largest(inert, 0.07)) == 93


def test_the_map_at_the_end_keeps_the_norm_of_each_layer() -> None:
    w = normal(3, 20, 30)
    found = method.map_at_the_end(w, torch.tensor(0.4), torch.tensor(0.4))
    torch.testing.assert_close(found.norm(dim=(1, 2)), w.norm(dim=(1, 2)))
    torch.testing.assert_close(found / found[:, :1, :1], method.psi(w, 0.4, 0.4) / method.psi(w, 0.4, 0.4)[:, :1, :1])


# ------------------------------------------------------------------------------------------------------ the training

ARMS = WrongLabels.arms


def network(*arms: str, seeds: tuple[int, ...] = (0, 1)) -> Companded:
    return Companded(Lanes({arm: ARMS[arm] for arm in arms}, seeds, WrongLabels().settings()))


def test_finished_weights_in_ordinary_layers_give_the_same_outputs() -> None:
    made, x = network("WC", "learned", "baseline"), torch.randn(6, 20, 64)
    for model in range(6):
        linear = [nn.Linear(n, m) for n, m in itertools.pairwise(WIDTHS)]
        for layer, (one, w) in enumerate(zip(linear, made.finished(), strict=True)):
            one.weight.data, one.bias.data = w[model].T.detach(), made.biases[layer][model, 0].detach()
        plain = nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2])
        torch.testing.assert_close(plain(x[model]), made(x)[model], rtol=1e-4, atol=1e-5)


def test_arms_start_from_the_same_draw() -> None:
    made = network("baseline", "WC", "clip", "small start", "map at the end")
    stored, acting = made.weights[1].detach().unflatten(0, (5, 2)), made.finished()[1].detach().unflatten(0, (5, 2))
    for arm in (1, 2, 4):
        assert torch.equal(stored[arm], stored[0])
    a = 0.45 * (2 / 100) ** 0.5
    pressed = method.psi(stored[0], a, a)
    for found in (acting[1], stored[3], acting[3]):
        torch.testing.assert_close(found, pressed)
    torch.testing.assert_close(acting[4], method.map_at_the_end(stored[0], a, a))
    made.clamp()
    limit = math.pi / 2 * 0.3 * (2 / 100) ** 0.5
    assert float(made.weights[1][4:6].detach().abs().max()) == pytest.approx(limit, rel=1e-6)
    assert torch.equal(made.weights[1][:4].detach(), stored[:2].flatten(0, 1))


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("arm", ARMS)
def test_training_equals_a_plain_loop(arm: str) -> None:
    seed, epochs, held = 3, 5, 60
    results = WrongLabels(epochs=epochs, held_out=held, slope=2.0).run([seed]).sel(arm=arm, seed=seed)
    split, settings = digits((seed,), 300), ARMS[arm].settings
    labels = data.symmetric_noise(split.train_labels, 4 / 9, 10, (seed,))[0]
    width = int(settings.get("width", 100))
    lanes = Lanes({"one": Arm("method", width=width)}, (seed,), {})
    v = [
        w[0, : (64, width, width)[i], : (width, width, 10)[i]].detach()
        for i, w in enumerate(Dense(WIDTHS, lanes).weights)
    ]
    scale = [0.45 * (2 / n) ** 0.5 for n in (64, 100, 100)]
    if arm == "small start":
        v = [s * torch.atan(w / (s / 2)) for w, s in zip(v, scale, strict=True)]
    v = [w.clone().requires_grad_() for w in v]
    biases = [torch.zeros(w.shape[1], requires_grad=True) for w in v]
    a, b = ([torch.tensor(math.log(s / k), requires_grad=True) for s in scale] for k in (1, 2))
    groups: list[dict[str, Any]] = [{"params": v, "weight_decay": 0.04 if arm == "tuned decay" else 5e-4}]
    optimizer = torch.optim.SGD([*groups, {"params": biases}], lr=0.05, momentum=0.9)
    slow = torch.optim.SGD([*a, *b], lr=0.005 if arm == "learned" else 0, momentum=0.9)

    def acting() -> list[Tensor]:
        if arm in ("WC", "learned"):
            return [one.exp() * torch.atan(w / other.exp()) for w, one, other in zip(v, a, b, strict=True)]
        return v

    def logits(x: Tensor, weights: list[Tensor]) -> Tensor:
        for layer, w in enumerate(weights):
            x = (x.relu() if layer else x) @ w + biases[layer]
        return x

    def right(weights: list[Tensor], x: Tensor, y: Tensor) -> float:
        return float((logits(x, weights).argmax(-1) == y).double().mean())

    @torch.no_grad()
    def measure() -> tuple[float, float, float]:
        weights = acting()
        if arm == "map at the end":
            pressed = [s * torch.atan(w / (s / 2)) for w, s in zip(v, scale, strict=True)]
            weights = [one * w.norm() / one.norm() for one, w in zip(pressed, v, strict=True)]
        loss = float(F.cross_entropy(logits(split.train[0, :240], weights), labels[:240]))
        return (
            right(weights, split.train[0, 240:], labels[240:]),
            right(weights, split.test[0], split.test_labels[0]),
            loss,
        )

    found = [measure()]
    for epoch in range(1, epochs + 1):
        for index in data.batches((seed,), 240, 50, epoch)[:, 0]:
            loss = F.cross_entropy(logits(split.train[0, index], acting()), labels[index])
            optimizer.zero_grad()
            slow.zero_grad()
            loss.backward()
            optimizer.step()
            slow.step()
            for w, s in zip(v, scale, strict=True):
                limit = math.pi / 2 * s * 0.3 / 0.45 if arm == "clip" else math.inf
                w.data.clamp_(-limit, limit)
        found.append(measure())
    assert float(results.train_loss.isel(epoch=-1)) == pytest.approx(found[-1][2], abs=1e-8)
    assert results.test_accuracy.values == pytest.approx([one[1] for one in found], abs=1e-6)
    best = max(one[0] for one in found)
    stopped = next(one[1] for one in found if one[0] == best)
    assert float(results.stopped_accuracy) == pytest.approx(stopped, abs=1e-6)


def test_bounds_shares_and_changes() -> None:
    results = WrongLabels(epochs=2).run(2)
    assert results.stopped_accuracy.isnull().all()
    assert (results.bound_excess.sel(arm=["WC", "learned"]) < 0).all()
    assert (results.bound_excess.sel(arm="clip")[:, 1:] <= 1e-7).all()
    assert (results.bound_excess.sel(arm="map at the end") > 0).all()
    assert results.bound_excess.sel(arm=["baseline", "small start", "tuned decay", "small dense"]).isnull().all()
    assert results.macs_share.sel(arm="small dense").values == pytest.approx((64 * 40 + 1600 + 400) / 17400)
    assert (results.weights_share.drop_sel(arm="small dense") == 1).all()
    last = results.test_accuracy.isel(epoch=-1)
    np.testing.assert_allclose(results.accuracy_change, last - last.sel(arm="baseline"), atol=1e-6)
    alone = WrongLabels(epochs=2).only(["clip"]).run(2)
    np.testing.assert_allclose(alone.accuracy_change, results.accuracy_change.sel(arm=["clip"]), atol=2e-3)
    sample = results.weights.sel(arm=["baseline", "small dense"])
    np.testing.assert_allclose((sample**2).mean("weight"), 1, atol=0.1)
    missing = 1 - (64 * 40 + 1600) / 16400
    np.testing.assert_allclose(sample.isnull().mean(("seed", "weight")), np.array([0, missing]), atol=0.01)


# ---------------------------------------------------------------------------------------------------- exercises


def half(a: float) -> float:
    return a * math.acos(2**-0.25)


def test_right_answers_are_accepted() -> None:
    assert "bound" in exercises.check_decay((0.6366, 0.0673))
    assert half(1.0) == pytest.approx(0.572, abs=1e-3) and "half the speed" in exercises.check_half(half)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda a: a * math.pi / 4, "square"),
        (lambda a: math.tan(half(1.0)) * a, "stored v"),
        (lambda a: half(1.0), "solve"),
        (lambda a: "w", "one number"),
    ],
)
def test_a_wrong_half_gets_a_hint(answer: Any, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_half(answer)


@pytest.mark.parametrize(
    ("answer", "hint"), [((1.0, 1.0), "share of v"), ((0.5, 0.0673), "w itself"), ((0.6366, 0.6366), "divide")]
)
def test_a_wrong_decay_gets_a_hint(answer: Any, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_decay(answer)


def test_no_answer_is_no_mistake() -> None:
    for check, nothing in ((exercises.check_decay, (None, None)), (exercises.check_best, (None, None))):
        with pytest.raises(NotImplementedError):
            check(nothing)
    with pytest.raises(NotImplementedError):
        exercises.check_half(lambda a: None)  # type: ignore[arg-type,return-value]


def test_the_best_kappa_is_that_of_the_recording() -> None:
    grid = store.read(WrongLabels)
    assert grid is not None
    ends = grid.test_accuracy.sel(arm="WC", label_noise=0.4).isel(epoch=-1).mean("seed")
    best, gain = (
        float(ends.kappa[int(ends.argmax())]),
        float(grid.accuracy_change.sel(arm="WC", label_noise=0, kappa=0.45).mean("seed")),
    )
    assert "costs" in exercises.check_best((best, gain))
    with pytest.raises(WrongAnswerError, match="another κ"):
        exercises.check_best((3, gain))
    with pytest.raises(WrongAnswerError, match="label noise to 0"):
        exercises.check_best((best, gain + 0.1))
