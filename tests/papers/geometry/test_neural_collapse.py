"""The exact checks of neural collapse: closed forms, autograd, a plain PyTorch loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from draws import normal
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from reglab import data, metrics
from reglab.exercise import WrongAnswerError
from reglab.papers.geometry.neural_collapse import exercises, experiments, method
from reglab.seeds import generator

SEED = st.integers(0, 2**31)
K, D, N_EACH = 4, 10, 5
Y = experiments.class_targets(K, N_EACH)


def directions(seed: int) -> Tensor:
    return torch.linalg.qr(normal(seed, D, K)).Q


def minimum(H0: Tensor, Y: Tensor, lambda_W: float, lambda_H: float, beta: float) -> tuple[Tensor, Tensor]:
    """Return W and H at the end of the alternating minimization."""
    *_, (W, H) = method.alternate(H0, Y, lambda_W, lambda_H, beta)
    return W, H


def objective(W: Tensor, H: Tensor, H0: Tensor, lambda_W: float, lambda_H: float, beta: float) -> Tensor:
    """Return f(W, H; H₀) of Eq. 2; with β = 0 it is Eq. 1."""
    fit = (W @ H - Y).square().sum() + lambda_H * H.square().sum() + beta * (H - H0).square().sum()
    return fit / (2 * K * N_EACH) + lambda_W * W.square().sum() / (2 * K)


def value(W: Tensor, H: Tensor, H0: Tensor, lambda_W: float, lambda_H: float, beta: float) -> float:
    return float(objective(W, H, H0, lambda_W, lambda_H, beta))


def radius_velocity(r: Tensor, lambda_W: float, lambda_H: float) -> Tensor:
    """Return ṙ, the flow where all class means have length √r and right angles."""
    return 2 * r * (lambda_W / (r + lambda_W) ** 2 - lambda_H)


# ------------------------------------------------------------------------------------------------ the free features


def test_collapsed_features_minimize_the_free_model() -> None:
    lambda_W, lambda_H = 0.5, 0.05
    W, H = (x.requires_grad_() for x in method.collapsed(directions(0), N_EACH, lambda_W, lambda_H))
    f = objective(W, H, torch.zeros_like(H), lambda_W, lambda_H, 0.0)
    gradients = torch.autograd.grad(f, (W, H))
    c = math.sqrt(lambda_H * lambda_W)
    assert c == pytest.approx(0.1581, abs=1e-4)
    assert f.item() == pytest.approx(c - c**2 / 2, abs=1e-12)
    assert f.item() == pytest.approx(0.14561, abs=1e-5)
    assert all(float(gradient.abs().max()) < 1e-14 for gradient in gradients)


@given(SEED)
@settings(max_examples=10, deadline=None)
def test_no_other_features_are_better(seed: int) -> None:
    W, H = method.collapsed(directions(seed), N_EACH, 0.5, 0.05)
    best = value(W, H, H, 0.5, 0.05, 0.0)
    for size in (1e-3, 0.1, 1.0):
        other_W, other_H = W + size * normal(seed + 1, K, D), H + size * normal(seed + 2, D, K * N_EACH)
        assert value(other_W, other_H, H, 0.5, 0.05, 0.0) > best


def test_dear_features_and_classifier_vanish() -> None:
    W, H = method.collapsed(directions(0), N_EACH, 2.0, 1.0)
    assert not W.any() and not H.any()
    _, found = minimum(normal(1, D, K * N_EACH), Y, 2.0, 1.0, 0.0)
    assert float(found.norm()) < 1e-9


@pytest.mark.parametrize("beta", [0.03, 1.0, 100.0])
def test_tied_to_a_minimizer_it_stays_there(beta: float) -> None:
    W, H = method.collapsed(directions(3), N_EACH, 0.5, 0.05)
    found_W, found_H = minimum(H, Y, 0.5, 0.05, beta)
    torch.testing.assert_close(found_H, H, atol=1e-11, rtol=0)
    torch.testing.assert_close(found_W, W, atol=1e-11, rtol=0)
    away = H + 0.1 * normal(4, D, K * N_EACH)
    assert value(W, H, H, 0.5, 0.05, beta) < value(method.best_weights(away, Y, N_EACH, 0.5), away, H, 0.5, 0.05, beta)


# -------------------------------------------------------------------------------------------------------- the flow


def test_squared_length_of_the_means_by_hand() -> None:
    slope = lambda r: radius_velocity(r, 0.5, 0.05)  # noqa: E731
    r, found = torch.tensor(0.3, dtype=torch.float64), {}
    for step in range(1, 40_001):
        r = method.runge_kutta(slope, r, 1e-3)
        if step in (1000, 10_000, 40_000):
            found[step] = float(r)
    assert found == pytest.approx({1000: 0.739592, 10_000: 2.306678, 40_000: 2.660081}, abs=1e-6)
    assert float(slope(torch.tensor(2.662278, dtype=torch.float64))) == pytest.approx(0, abs=1e-7)


def test_features_flow_as_their_length_does() -> None:
    R, r = directions(5), torch.tensor(0.3, dtype=torch.float64)
    H = math.sqrt(0.3) * R.repeat_interleave(N_EACH, -1)
    deviations = normal(6, D, K * N_EACH)
    deviations = deviations - experiments.class_means(deviations)
    outside = H + deviations - R @ (R.T @ deviations)
    start = experiments.scatter(outside)[0]
    for _ in range(200):  # until t = 10
        H, outside = (
            method.runge_kutta(lambda h: method.velocity(h, Y, N_EACH, 0.5, 0.05), x, 0.05) for x in (H, outside)
        )
        r = method.runge_kutta(lambda x: radius_velocity(x, 0.5, 0.05), r, 0.05)
    expected = torch.sqrt(r) * R.repeat_interleave(N_EACH, -1)
    torch.testing.assert_close(H, expected, atol=1e-10, rtol=0)
    # deviations at right angles to all means decay as exp(-λ_H t) and do not disturb them
    torch.testing.assert_close(experiments.class_means(outside), expected, atol=1e-8, rtol=0)
    left = experiments.scatter(outside)[0] / start
    assert float(left) == pytest.approx(math.exp(-2 * 0.05 * 10), rel=1e-8)


@given(SEED, st.floats(0.05, 2), st.floats(0, 1))
@settings(max_examples=10, deadline=None)
def test_the_flow_is_the_gradient_at_the_best_classifier(seed: int, lambda_W: float, lambda_H: float) -> None:
    H = normal(seed, D, K * N_EACH).requires_grad_()
    loss = objective(method.best_weights(H, Y, N_EACH, lambda_W), H, H.detach(), lambda_W, lambda_H, 0.0)
    (gradient,) = torch.autograd.grad(loss, H)  # through W*(H), too
    torch.testing.assert_close(method.velocity(H.detach(), Y, N_EACH, lambda_W, lambda_H), -K * N_EACH * gradient)


# ----------------------------------------------------------------------------------------------- the tied minimizer


@given(SEED, st.floats(0.05, 10))
@settings(max_examples=8, deadline=None)
def test_alternating_never_rises_and_ends_where_the_gradient_is_zero(seed: int, beta: float) -> None:
    H0 = experiments.noisy_means((seed,), N_EACH, 1.0)[0]
    values, (W, H) = [], (torch.empty(0), torch.empty(0))
    for W, H in method.alternate(H0, Y, 0.5, 0.05, beta):
        values.append(value(W, H, H0, 0.5, 0.05, beta))
    assert max(np.diff(values), default=0) < 1e-14
    W, H = W.requires_grad_(), H.requires_grad_()
    f = objective(W, H, H0, 0.5, 0.05, beta)
    assert all(float(gradient.abs().max()) < 1e-10 for gradient in torch.autograd.grad(f, (W, H)))


@given(SEED, st.sampled_from([0.03, 0.3, 3.0, 100.0]), st.floats(0.01, 1), st.floats(0.05, 2))
@settings(max_examples=12, deadline=None)
def test_deviations_contract_as_derived(seed: int, beta: float, lambda_H: float, lambda_W: float) -> None:
    H0 = experiments.noisy_means((seed,), N_EACH, 1.0)[0]
    W, H = minimum(H0, Y, lambda_W, lambda_H, beta)
    before, after = H0 - experiments.class_means(H0), H - experiments.class_means(H)
    matrix = W.T @ W + (lambda_H + beta) * torch.eye(D, dtype=torch.float64)
    torch.testing.assert_close(after, beta * torch.linalg.solve(matrix, before), atol=1e-9, rtol=0)
    bound = (beta / (beta + lambda_H)) ** 2
    assert float(after.square().sum()) <= bound * float(before.square().sum()) * (1 + 1e-9)


# -------------------------------------------------------------------------------------------------------- the response


def test_the_staircase_of_the_first_figure() -> None:
    lambda_W, lambda_H, beta, n = math.sqrt(2), 0.3, 100.0, 10
    targets = experiments.class_targets(K, n)
    W, H = method.collapsed(directions(7), n, lambda_W, lambda_H)
    answer = method.response(W, H, targets, lambda_W, lambda_H, beta)
    own, other = answer[: D * n, : D * n], answer[: D * n, D * n : 2 * D * n]
    exact = [1.0] * 6 + [0.9979168] * 3 + [0.9970090] * 54 + [0.9958337] + [0.9954153] * 36
    torch.testing.assert_close(torch.linalg.svdvals(own), torch.tensor(exact, dtype=torch.float64), atol=1e-7, rtol=0)
    torch.testing.assert_close(method.staircase(beta, lambda_W, lambda_H, K, D, n), torch.linalg.svdvals(own))
    between = torch.linalg.svdvals(other)
    assert float(between[0]) == pytest.approx(0.00208315, abs=1e-8)
    assert float(between[1]) < 1e-12  # rank one
    # Theorem 4.2 gives the leading order in 1/β
    assert 1 - float(torch.linalg.svdvals(own)[-1]) == pytest.approx(math.sqrt(lambda_H / lambda_W) / beta, rel=0.01)
    assert float(between[0]) == pytest.approx(2 * lambda_H * (1 - math.sqrt(lambda_H * lambda_W)) / beta, rel=0.01)


def test_leading_order_of_the_response() -> None:
    """For large β: F ≈ I - λ_H/β - (1/β) I ⊗ W*ᵀW* + (1/β) Z*, here through its numbers for the first figure."""
    lambda_W, lambda_H, beta = math.sqrt(2), 0.3, 100.0
    c, root = math.sqrt(lambda_H * lambda_W), math.sqrt(lambda_H / lambda_W)
    inside, outside = 1 - root / beta, 1 - lambda_H / beta
    assert (inside, outside) == pytest.approx((0.9953942, 0.997), abs=1e-7)
    s = 1 - 4 * lambda_H * (1 - c) / beta
    assert ((1 + s) / 2, s) == pytest.approx((0.9979081, 0.9958163), abs=1e-7)
    assert (1 - s) / 2 == pytest.approx(0.00209187, abs=1e-8)
    assert method.factors(beta, lambda_W, lambda_H) == pytest.approx((inside, outside, s), abs=beta**-2)


@pytest.mark.parametrize("beta", [0.1, 1.0, 30.0])
def test_the_response_is_the_derivative_of_the_minimizer(beta: float) -> None:
    n, lambda_W, lambda_H = 2, 0.5, 0.05
    targets, step = experiments.class_targets(K, n), 1e-5
    H0 = experiments.noisy_means((2,), n, 0.5)[0]  # the formula holds at every minimizer, not only at collapse
    W, H = minimum(H0, targets, lambda_W, lambda_H, beta)
    answer = method.response(W, H, targets, lambda_W, lambda_H, beta)
    change = normal(8, D, K * n)
    up, down = (minimum(H0 + sign * step * change, targets, lambda_W, lambda_H, beta)[1] for sign in (1, -1))
    predicted = answer @ change.T.flatten()  # vec stacks columns
    torch.testing.assert_close((up - down).T.flatten() / (2 * step), predicted, atol=2e-5, rtol=0)


@given(SEED, st.floats(0.03, 100), st.floats(0.0125, 0.4), st.floats(0.125, 2))
@settings(max_examples=10, deadline=None)
def test_factors_describe_the_answer_of_collapsed_features(
    seed: int, beta: float, lambda_H: float, lambda_W: float
) -> None:
    R = directions(seed)
    W, H = method.collapsed(R, N_EACH, lambda_W, lambda_H)
    answer = method.response(W, H, Y, lambda_W, lambda_H, beta)
    a, b, s = method.factors(beta, lambda_W, lambda_H)
    change = normal(seed + 1, D, K * N_EACH)
    inner = change - experiments.class_means(change)
    means = experiments.by_class(change.T, K).mean(1).T
    P, A = R @ R.T, R.T @ means
    moved = means - P @ means + R @ ((A - A.T) / 2 + s * (A + A.T) / 2)
    expected = a * P @ inner + b * (inner - P @ inner) + moved.repeat_interleave(N_EACH, -1)
    torch.testing.assert_close(answer @ change.T.flatten(), expected.T.flatten(), atol=1e-9, rtol=0)
    assert method.factors(beta, 2 * lambda_W, lambda_H)[0] > a and method.factors(beta, 2 * lambda_W, lambda_H)[1] == b
    assert all(
        twice < once for twice, once in zip(method.factors(beta, lambda_W, 2 * lambda_H)[:2], (a, b), strict=True)
    )


@pytest.mark.parametrize("settings", [{}, {"beta": 0.3, "lambda_H": 0.1}, {"beta": 10.0, "lambda_W": 2.0}])
def test_scatter_left_near_collapse_follows_from_the_factors(settings: dict[str, float]) -> None:
    """K/d a² + (d - K)/d b² for noise in all directions alike; the rest is the draw of 100 points."""
    experiment = experiments.ExactModel(**settings, duration=2)
    left = experiment.run(16).left.mean("seed")
    for name, arm in experiment.arms.items():
        times_H, times_W = (arm.settings.get(one, 1) for one in ("lambda_H", "lambda_W"))
        a, b, _ = method.factors(experiment.beta, times_W * experiment.lambda_W, times_H * experiment.lambda_H)
        assert float(left.sel(arm=name)) == pytest.approx(K / D * a**2 + (D - K) / D * b**2, rel=0.02)


# --------------------------------------------------------------------------------------------- the network on digits


def test_fifty_digits_of_each_class_and_others_for_testing() -> None:
    split = experiments.few_digits((0, 3))
    assert split.train_labels.tolist() == [[k for k in range(10) for _ in range(50)]] * 2
    assert split.test_inputs.shape == (2, 800, 64)
    for inputs, new in zip(split.train_inputs, split.test_inputs, strict=True):
        torch.testing.assert_close(inputs.mean(0), torch.zeros(64), atol=1e-5, rtol=0)
        assert float(inputs.std()) == pytest.approx(1, abs=1e-4)
        assert not {tuple(row) for row in inputs.tolist()} & {tuple(row) for row in new.tolist()}
    assert torch.equal(experiments.few_digits((3,)).train_inputs[0], split.train_inputs[1])


def test_first_weights_have_he_s_variance() -> None:
    layers, head = experiments.network([generator(0, "weights")], 2, 40)
    parameters = [[p.detach() for p in layer.parameters()] for layer in layers]
    weights = torch.stack([weight for weight, _ in parameters])
    assert float(weights.var()) == pytest.approx(2 / 64, rel=0.02) and torch.equal(weights[:, 0], weights[:, 1])
    assert not any(bias.any() for _, bias in parameters)
    assert float(head.weight.detach().abs().max()) <= 1 / 8 and head.bias is None


def plain_training(arm: str, epochs: int, decays: tuple[float, float], norm: float = 0.0) -> list[dict[str, float]]:
    """Train seed 3 with torch's own layers and weight decay; return what is measured after each epoch."""
    digits = experiments.few_digits((3,))
    x, y, source = digits.train_inputs[0], digits.train_labels[0], generator(3, "weights")
    if arm == "shuffled labels":
        x = x[torch.randperm(500, generator=generator(3, arm))]
    layers: list[nn.Module] = []
    for _ in range(3):
        linear = nn.Linear(64, 64)
        linear.weight.data = (torch.randn(64, 64, generator=source) * (2 / 64) ** 0.5).T.contiguous()
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    head = nn.Linear(64, 10, bias=False)
    head.weight.data = torch.empty(64, 10).uniform_(-1 / 8, 1 / 8, generator=source).T.contiguous()
    body, found = nn.Sequential(*layers), []
    groups = [
        {"params": part.parameters(), "weight_decay": decay}
        for part, decay in zip((body, head), decays, strict=True)
    ]  # fmt: skip
    optimizer = torch.optim.SGD(groups, lr=0.03, momentum=0.9)
    for epoch in range(1, epochs + 1):
        for group in optimizer.param_groups:
            group["lr"] = 0.03 * 0.1 ** ((epoch > epochs / 2) + (epoch > epochs * 5 / 6))
        for index in data.batches((3,), 500, 50, epoch)[:, 0]:
            optimizer.zero_grad()
            h = body(x[index])
            wrong = 0.5 * (head(h) - F.one_hot(y[index], 10)).square().sum(-1).mean()
            (wrong + norm / 2 * h.square().sum(-1).mean()).backward()
            optimizer.step()
        with torch.no_grad():
            features = experiments.by_class(body(x))
            right = (head(body(digits.test_inputs[0])).argmax(-1) == digits.test_labels[0]).double()
            found.append({
                "variability": float(metrics.nc1_ratio(features)),
                "nc3": float(metrics.nc3(features, head.weight)),
                "nc3_plain": float(metrics.nc3(features, head.weight, centered=False)),
                "test_accuracy": float(right.mean()),
            })  # fmt: skip
    return found


@pytest.mark.usefixtures("double_precision")
def test_batched_training_is_a_plain_loop() -> None:
    """Seed 3 of some arms, against torch's own layers and weight decay."""
    results = experiments.WeightDecay(epochs=4).run((0, 3)).sel(seed=3)
    for arm, times, decays, norm in (
        ("hidden layers", 1, (4e-3, 2e-3), 0.0),
        ("last, same penalty", 1, (2e-3, 48 * 2e-3), 0.0),
        ("feature norm", 1, (2e-3, 2e-3), 0.1),
        ("4 × epochs", 4, (2e-3, 2e-3), 0.0),
        ("shuffled labels", 4, (2e-3, 2e-3), 0.0),
    ):
        found = plain_training(arm, 4 * times, decays, norm)
        for epoch in range(1, 5):
            here = results.sel(arm=arm, epoch=epoch)
            for name, right in found[epoch * times - 1].items():
                assert float(here[name]) == pytest.approx(right, rel=1e-7), f"{name} of {arm} after {epoch}"


@pytest.mark.usefixtures("double_precision")
def test_each_arm_changes_its_own_decay() -> None:
    """Without decay in the base, only what is multiplied could differ: nothing does."""
    results = experiments.WeightDecay(decay=0.0, epochs=2).run(1)
    for arm in experiments.LEVERS:
        np.testing.assert_allclose(results.variability.sel(arm=arm), results.variability.sel(arm="base"), atol=1e-12)
    moved = abs(experiments.WeightDecay(decay=1e-2, epochs=2).run(1)["shift"])
    assert bool((moved.sel(arm=list(experiments.LEVERS)) > 1e-7).all())
    one, other = (
        experiments.WeightDecay(epochs=2).only(arms).run(1) for arms in (["base", "4 × epochs"], ["4 × epochs"])
    )
    np.testing.assert_allclose(
        one.sel(arm=["4 × epochs"])["shift"], other["shift"]
    )  # base is known without being shown


def test_untrained_never_moves_and_shuffled_labels_are_no_labels() -> None:
    results = experiments.WeightDecay(epochs=2).run(2)
    untrained = results.sel(arm="untrained")
    for name in ("variability", "nc2", "test_accuracy"):
        np.testing.assert_allclose(untrained[name], untrained[name].isel(epoch=[0] * 3))
    start = results.variability.isel(epoch=0)
    assert bool(
        (start.sel(arm="shuffled labels") > 10 * start.sel(arm="base")).all()
    )  # means of mixed digits are close


def test_the_same_penalty_is_the_same() -> None:
    """Doubling hidden layers adds λ‖W‖² of theirs; the last layer's decay grows by that over its own ‖W‖²."""
    ratio = experiments.WeightDecay(epochs=90).only(["base"]).run(4).penalized.sel(arm="base")
    factor = experiments.WeightDecay.arms["last, same penalty"].settings["factor"]
    assert float(ratio.mean()) == pytest.approx(float(factor) - 1, rel=0.15)


def test_a_layer_is_built_on_a_frozen_one() -> None:
    """The second layer's training leaves the first as it was: the depths before it keep their measured values."""
    shown: list[float] = []
    for snapshot in experiments.LayerWise(epochs=4).stream(1):
        second = snapshot.data.variability.sel(arm="untrained", depth=2)
        if snapshot.grew and bool(second.notnull().all()):
            shown.append(float(snapshot.data.variability.sel(arm="trained", depth=1).item()))
    assert len(shown) > 2 and len(set(shown)) == 1


# --------------------------------------------------------------------------------------------------------- exercises


def deviations(given: Tensor, W: Tensor, lambda_H: float, beta: float) -> Tensor:
    matrix = W.T @ W + (lambda_H + beta) * torch.eye(len(given), dtype=given.dtype)
    return beta * torch.linalg.solve(matrix, given)


def score(lambda_W: float, lambda_H: float) -> float:
    return max(0.0, 1 - math.sqrt(lambda_H * lambda_W))


def test_right_answers_are_accepted() -> None:
    assert "every β" in exercises.check_contraction(deviations)
    assert "nothing at all" in exercises.check_score(score)
    found = [
        float(experiments.ExactModel(lambda_W=lambda_W, duration=2).run(16).left.sel(arm="λ_H").mean())
        for lambda_W in (0.125, 2.0)
    ]
    assert found == pytest.approx([0.69, 0.84], abs=0.01)
    assert "cheap classifier" in exercises.check_sweep((found[0], found[1]))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda g, W, h, b: deviations(g, W, h, b) / b, "multiply by β"),
        (lambda g, W, h, b: b / (b + h) * g, "W is missing"),
        (lambda g, W, h, b: deviations(g, W, 0.0, b), "λ_H is missing"),
        (lambda g, W, h, b: b * (W.T @ W @ g + (h + b) * g), "solve with the matrix"),
        (lambda g, W, h, b: deviations(g, W, h, b)[:1], "shape"),
        (lambda g, W, h, b: g, "gradient"),
    ],
)
def test_wrong_deviations_get_a_hint(answer: object, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_contraction(answer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda w, h: 1 - math.sqrt(h * w), "cannot be negative"),
        (lambda w, h: 1 - h * w, "square root"),
        (lambda w, h: 1.0, "derivative"),
    ],
)
def test_wrong_scores_get_a_hint(answer: object, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_score(answer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "hint"), [((0.84, 0.69), "λ_W = 0.125"), ((0.69, 0.42), "λ_W = 2"), ((0.69,), "two numbers")]
)
def test_a_wrong_sweep_gets_a_hint(answer: tuple[float, ...], hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_sweep(answer)


def test_no_answer_is_no_mistake() -> None:
    for check in (exercises.check_contraction, exercises.check_score):
        with pytest.raises(NotImplementedError):
            check(lambda *_: None)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError):
        exercises.check_sweep((None, None))
