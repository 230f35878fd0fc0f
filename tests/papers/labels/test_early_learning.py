"""The exact checks of early-learning regularization: closed forms, autograd, plain PyTorch loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from reglab import data
from reglab.exercise import WrongAnswerError
from reglab.models import replicas
from reglab.papers.labels.early_learning import exercises, experiments, method
from reglab.pictures import words
from reglab.pictures.chart import Chart
from reglab.recordings import store
from reglab.seeds import generator

SEED = st.integers(0, 2**31)


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def examples(seed: int, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return logits and targets of 6 examples and 5 classes; the targets sum to 0.8."""
    return spread * draw(seed, 6, 5), 0.8 * draw(seed + 1, 6, 5).softmax(-1)


def autograd(function: object, logits: Tensor, *rest: Tensor) -> Tensor:
    """Return the gradient of the sum over examples of a loss that averages over its batch of one."""
    z = logits.clone().requires_grad_()
    losses = function(z.unsqueeze(-2), *(t.unsqueeze(-2) for t in rest))  # type: ignore[operator]
    return torch.autograd.grad(losses.sum(), z)[0]


# --------------------------------------------------------------------------------------------------------- the loss


def test_without_strength_the_loss_is_cross_entropy() -> None:
    logits, targets = examples(0)
    labels = torch.tensor([0, 4, 2, 2, 1, 3])
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    found = method.elr_loss(ours, labels, targets, 0.0)
    expected = F.cross_entropy(theirs, labels)
    found.backward()
    expected.backward()
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=0)
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-7, rtol=0)


@given(SEED, st.sampled_from([0.5, 3.0, 12.0]))
@settings(max_examples=50, deadline=None)
def test_the_gradient_is_autograd_s_also_where_it_clamps(seed: int, spread: float) -> None:
    logits, targets = examples(seed, spread)
    found = method.elr_gradient(logits, targets)
    torch.testing.assert_close(found, autograd(method.elr_regularizer, logits, targets), atol=1e-10, rtol=1e-8)
    torch.testing.assert_close(found.sum(-1), torch.zeros(6, dtype=torch.float64), atol=1e-12, rtol=0)


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_without_clamping_the_gradient_is_lemma_2(seed: int) -> None:
    logits, targets = examples(seed, 0.5)
    p = logits.softmax(-1)
    assert ((p > method.SMALLEST) & (p < 1 - method.SMALLEST)).all()
    inner = (p * targets).sum(-1, keepdim=True)
    torch.testing.assert_close(method.elr_gradient(logits, targets), p * (inner - targets) / (1 - inner))


def test_equal_targets_for_all_classes_pull_nowhere() -> None:
    logits, _ = examples(1)
    found = method.elr_gradient(logits, torch.full((6, 5), 0.15, dtype=torch.float64))
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-15, rtol=0)


def test_two_classes_by_hand() -> None:
    p, t = torch.tensor([[0.6, 0.4]], dtype=torch.float64), torch.tensor([[0.9, 0.1]], dtype=torch.float64)
    assert float((p * t).sum()) == pytest.approx(0.58)
    assert float(method.elr_regularizer(p.log(), t)) == pytest.approx(-0.867501, abs=1e-6)
    assert method.elr_gradient(p.log(), t)[0].tolist() == pytest.approx([-0.457143, 0.457143], abs=1e-6)


def test_the_first_visit_by_hand() -> None:
    p = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    target = method.update_targets(torch.zeros_like(p), p.log(), 0.7)
    torch.testing.assert_close(target, 0.3 * p)
    loss = method.elr_loss(p.log(), torch.tensor([1]), target, 3.0)
    assert float(loss) == pytest.approx(-math.log(0.3) + 3 * math.log(1 - 0.3 * (0.25 + 0.09 + 0.04)))


def test_the_first_visit_by_hand_where_it_clamps() -> None:
    p = torch.tensor([[1 - 2e-6, 1e-6, 1e-6]], dtype=torch.float64)
    clamped = torch.tensor([[1 - 1e-4, 1e-4, 1e-4]], dtype=torch.float64)
    target = method.update_targets(torch.zeros_like(p), p.log(), 0.7)
    torch.testing.assert_close(target, 0.3 * clamped / clamped.sum())
    inner = 0.3 * float(clamped.square().sum() / clamped.sum())
    assert float(method.elr_regularizer(p.log(), target)) == pytest.approx(math.log(1 - inner), rel=1e-9)


@given(st.floats(0, 0.97), st.integers(1, 12))
@settings(deadline=None)
def test_after_k_visits_the_target_holds_one_minus_beta_to_the_k(beta: float, visits: int) -> None:
    logits = torch.tensor([[0.3, -0.2, 0.9]], dtype=torch.float64)
    target = torch.zeros_like(logits)
    for _ in range(visits):
        target = method.update_targets(target, logits, beta)
    torch.testing.assert_close(target, (1 - beta**visits) * logits.softmax(-1))


def test_targets_carry_no_gradient() -> None:
    logits = draw(2, 3, 4).requires_grad_()
    assert not method.update_targets(torch.zeros(3, 4), logits, 0.5).requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_saturated_example_stays_finite_and_passes_only_cross_entropy(dtype: torch.dtype) -> None:
    logits = torch.tensor([[200.0, 0, 0, 0]], dtype=dtype)
    target = torch.zeros_like(logits)
    for _ in range(200):
        target = method.update_targets(target, logits, 0.7)
    found = method.elr_regularizer(logits, target)
    clamped = [1 - 1e-4, 1e-4, 1e-4, 1e-4]
    assert float(found) == pytest.approx(math.log(1 - sum(c * c for c in clamped) / sum(clamped)), rel=1e-4)
    assert float(found) >= math.log(1e-4)
    assert (autograd(method.elr_regularizer, logits, target) == 0).all()
    assert (method.elr_gradient(logits, target) == 0).all()
    z = logits.clone().requires_grad_()
    method.elr_loss(z, torch.tensor([1]), target, 3.0).backward()
    torch.testing.assert_close(z.grad, torch.tensor([[1.0, -1, 0, 0]], dtype=dtype))


@given(SEED, st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_a_constant_added_to_all_logits_changes_nothing(seed: int, constant: float) -> None:
    logits, targets = examples(seed, 3.0)
    found, shifted = method.elr_gradient(logits, targets), method.elr_gradient(logits + constant, targets)
    torch.testing.assert_close(found, shifted, atol=1e-9, rtol=1e-7)


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_the_gradient_of_kl_is_autograd_s(seed: int) -> None:
    logits, targets = examples(seed, 3.0)
    torch.testing.assert_close(method.kl_gradient(logits, targets), autograd(method.kl_regularizer, logits, targets))


def test_losses_of_stacked_models_are_those_of_each_alone() -> None:
    logits, targets = draw(3, 2, 3, 7, 5), draw(4, 2, 3, 7, 5).softmax(-1)
    labels = torch.randint(5, (2, 3, 7), generator=torch.Generator().manual_seed(0))
    stacked = method.elr_loss(logits, labels, targets, 2.0)
    assert stacked.shape == (2, 3)
    for a, s in itertools.product(range(2), range(3)):
        torch.testing.assert_close(stacked[a, s], method.elr_loss(logits[a, s], labels[a, s], targets[a, s], 2.0))


# --------------------------------------------------------------------------------------------------- the digits

KINDS = experiments.Memorization.arms
ARMS = {  # strength of ELR, of KL, memory, weight decay
    "cross-entropy": (0.0, 0.0, 0.0, 1e-3),
    "ELR": (3.0, 0.0, 0.7, 1e-3),
    "early stopping": (0.0, 0.0, 0.0, 1e-3),
    "weight decay": (0.0, 0.0, 0.0, 1e-3 + KINDS["weight decay"].settings["decay"]),
    "KL": (0.0, KINDS["KL"].settings["kl"], 0.7, 1e-3),
    "ELR, no memory": (3.0, 0.0, 0.0, 1e-3),
    "shuffled targets": (3.0, 0.0, 0.7, 1e-3),
}


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.usefixtures("double_precision")
def test_batched_training_equals_a_plain_loop(arm: str) -> None:
    seed, epochs, (strength, kl_strength, beta, decay) = 5, 3, ARMS[arm]
    results = experiments.Memorization(epochs=epochs, learning_rate=0.1).run([3, seed]).sel(arm=arm, seed=seed)

    digits = data.digits((seed,))
    noisy = data.symmetric_noise(digits.train_labels, 0.4, 10, (seed,))[0]
    (x, held_out), (y, held_out_labels), truth = (
        digits.train_inputs[0].split(800), noisy.split(800), digits.train_labels[0, :800]
    )  # fmt: skip
    partner = torch.arange(800)
    if arm == "shuffled targets":
        partner = torch.randperm(800, generator=generator(seed, "shuffled targets"))
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    drawn = list(replicas.mlp((64, 128, 10), [generator(seed, "weights")]).parameters())
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), drawn, strict=True):
            parameter.copy_(value[0].T if parameter.dim() == 2 else value[0, 0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=decay)
    t, measured = torch.zeros(800, 10), []
    for epoch in range(epochs + 1):
        for index in data.batches((seed,), 800, 50, epoch)[:, 0] if epoch else ():
            z = model(x[index])
            p = z.softmax(-1).clamp(1e-4, 1 - 1e-4)
            t[index] = beta * t[index] + (1 - beta) * (p / p.sum(-1, keepdim=True)).detach()
            held = t[partner[index]]
            loss = F.cross_entropy(z, y[index]) + strength * (1 - (p * held).sum(-1)).log().mean()
            loss = loss - kl_strength * (held * z.log_softmax(-1)).sum(-1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        z, held = model(x), t[partner]
        terms = strength * (1 - (z.softmax(-1).clamp(1e-4, 1 - 1e-4) * held).sum(-1)).log()
        pull = torch.autograd.grad((terms - kl_strength * (held * z.log_softmax(-1)).sum(-1)).sum(), z)[0]
        with torch.no_grad():
            p, wrong = model(x).softmax(-1), y != truth
            now = {
                "held_out_accuracy": (model(held_out).argmax(-1) == held_out_labels).float().mean(),
                "test_accuracy": (model(digits.test_inputs[0]).argmax(-1) == digits.test_labels[0]).float().mean(),
                "wrong_push": p[wrong, truth[wrong]].mean(),
                "wrong_pull": pull[wrong, truth[wrong]].mean(),
                "wrong_memorized": (p.argmax(-1) == y)[wrong].float().mean(),
            }
        measured.append({name: float(value) for name, value in now.items()})
    last = max(measured, key=lambda one: one["held_out_accuracy"]) if arm == "early stopping" else measured[-1]
    found = {name: float(results[name].isel(epoch=-1)) for name in last}
    assert found == pytest.approx(last, abs=1e-8)


def test_early_stopping_keeps_the_first_of_the_best_epochs_seed_by_seed() -> None:
    stops = torch.tensor([[False, False], [True, True]])
    kept: dict[str, Tensor] = {}
    found = []
    for epoch, scores in enumerate([[1.0, 5.0], [2.0, 4.0], [2.0, 6.0], [0.0, 0.0]]):
        now = {"score": torch.tensor([scores, scores]), "other": torch.full((2, 2), float(epoch))}
        kept = experiments.best_so_far(kept or now, now, stops, "score")
        found.append(kept["other"].tolist())
    assert found == [[[0, 0], [0, 0]], [[1, 1], [1, 0]], [[2, 2], [1, 2]], [[3, 3], [1, 2]]]


def test_shares_sum_to_one() -> None:
    results = experiments.Memorization(epochs=1).run(3)
    np.testing.assert_allclose(results.wrong_true + results.wrong_memorized + results.wrong_other, 1, atol=1e-6)
    np.testing.assert_allclose(results.clean_true + results.clean_other, 1, atol=1e-6)
    np.testing.assert_allclose(results.wrong_push + results.wrong_pull, results.wrong_total, atol=1e-5)


def test_without_noise_nothing_is_wrong_and_every_picture_is_drawn() -> None:
    for experiment in (
        experiments.Memorization(noise=0, epochs=1),
        experiments.LinearTheory(noise=0, steps=50, ratio=0.3),
    ):
        results = experiment.run(2)
        assert results.wrong_true.isnull().all() and results.clean_true.notnull().all()
        for view in experiment.views:
            assert Chart(results, view, experiment.arms).png(dpi=40).startswith(b"\x89PNG")
        assert "cross-entropy" in words.sentence(results, experiment.headline, experiment.arms)


# ---------------------------------------------------------------------------------------------- the linear theory


def plain_loss(theta: Tensor, x: Tensor, signs: Tensor) -> Tensor:
    return F.softplus(-2 * signs * (x @ theta)).mean() / 2


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_the_linear_gradient_is_autograd_s(seed: int) -> None:
    x, theta, signs = draw(seed, 9, 4), draw(seed + 1, 4).requires_grad_(), draw(seed + 2, 9).sign()
    expected = torch.autograd.grad(plain_loss(theta, x, signs), theta)[0]
    found = method.linear_gradient(x, method.kappa(x @ theta.detach(), signs))
    torch.testing.assert_close(found, expected)


def test_the_linear_gradient_at_zero() -> None:
    x, signs = draw(0, 9, 4), draw(1, 9).sign()
    coefficients = method.kappa(torch.zeros(9, dtype=torch.float64), signs)
    assert (coefficients == -signs).all()
    torch.testing.assert_close(-method.linear_gradient(x, coefficients), (signs[:, None] * x).sum(0) / 18)


@pytest.mark.parametrize("spread", [0.1, 0.4, 1.0])
def test_the_exact_accuracy_is_that_of_many_samples(spread: float) -> None:
    count = 100_000
    theta = torch.tensor([0.3, 1.0, -0.5, 0.2], dtype=torch.float64)
    x = spread * draw(7, count, 4)
    x[:, 0] += 1
    measured = float((x @ theta > 0).double().mean())
    exact = float(method.linear_accuracy(theta, spread))
    assert abs(measured - exact) < 3 * math.sqrt(exact * (1 - exact) / count)


def test_the_best_direction_has_the_accuracy_of_bayes() -> None:
    from scipy.stats import norm

    best = method.linear_accuracy(torch.tensor([2.0, 0, 0], dtype=torch.float64), 0.4)
    assert float(best) == pytest.approx(norm.cdf(1 / 0.4))


def test_the_gaussians_are_those_of_section_3() -> None:
    problem = experiments.gaussians(tuple(range(40)), 0.25, 0.2, 0.4)
    torch.testing.assert_close(problem.weights.norm(dim=-1), torch.full((40,), 2.0, dtype=torch.float64))
    assert (problem.weights[:, 0] == 0).all()
    noise = problem.inputs.clone()
    noise[..., 0] -= problem.truth
    assert float(noise.mean()) == pytest.approx(0, abs=4 * 0.2 / math.sqrt(noise.numel()))
    assert float(noise.std()) == pytest.approx(0.2, rel=4 / math.sqrt(2 * noise.numel()))
    assert float(problem.wrong.double().mean()) == pytest.approx(0.2, abs=4 * math.sqrt(0.2 * 0.8 / 8000))
    assert set(problem.truth.unique().tolist()) == {-1.0, 1.0}


def linear_path(problem: method.Gaussians, steps: int, strength: float) -> list[Tensor]:
    """Return all weights of plain gradient descent through autograd for the first seed."""
    x, labels = problem.inputs[0], (problem.observed[0] < 0).long()
    theta, target, path = problem.weights[0], torch.zeros(len(x), 2, dtype=torch.float64), []
    for _ in range(steps + 1):
        path.append(theta)
        theta = theta.detach().requires_grad_()
        z = torch.stack([x @ theta, -(x @ theta)], -1)
        p = z.softmax(-1).clamp(1e-4, 1 - 1e-4)
        target = 0.7 * target + 0.3 * (p / p.sum(-1, keepdim=True)).detach()
        loss = (F.cross_entropy(z, labels) + strength * (1 - (p * target).sum(-1)).log().mean()) / 2
        theta = theta.detach() - 0.1 * torch.autograd.grad(loss, theta)[0]
    return path


@pytest.mark.parametrize(("arm", "strength"), [("cross-entropy", 0.0), ("ELR", 3.0)])
def test_the_linear_theory_equals_a_plain_loop(arm: str, strength: float) -> None:
    results = experiments.LinearTheory(steps=100, ratio=0.3).run([4]).sel(arm=arm, seed=4)
    problem = experiments.gaussians((4,), 0.3, 0.2, 0.4)
    path = linear_path(problem, 101, strength)
    theta, following = (torch.stack([path[t + more] for t in results.time.values]) for more in (0, 1))
    scores, truth, observed = theta @ problem.inputs[0].T, problem.truth[0], problem.observed[0]
    squares, step, wrong = (scores.tanh() - observed).square(), following - theta, problem.wrong[0]
    expected = {
        "along_truth": theta[:, 0],
        "cosine": step[:, 0] / step.norm(dim=-1),
        "clean_kappa": squares[:, ~wrong].mean(-1),
        "wrong_kappa": squares[:, wrong].mean(-1),
        "clean_true": (scores.sign() == truth)[:, ~wrong].double().mean(-1),
        "wrong_true": (scores.sign() == truth)[:, wrong].double().mean(-1),
        "wrong_memorized": (scores.sign() == observed)[:, wrong].double().mean(-1),
        "test_accuracy": method.linear_accuracy(theta, 0.2),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(results[name], values, atol=1e-6, err_msg=name)
    assert float(results.stopping_time) == next(t for t, theta in enumerate(path) if theta[0] >= 0.1 and t)


def test_cross_entropy_follows_the_closed_gradient() -> None:
    problem = experiments.gaussians((0,), 0.3, 0.2, 0.4)
    theta = problem.weights
    for expected in linear_path(problem, 20, 0.0):
        torch.testing.assert_close(theta[0], expected, atol=1e-10, rtol=0)
        scores = (problem.inputs @ theta.unsqueeze(-1)).squeeze(-1)
        theta = theta - 0.1 * method.linear_gradient(problem.inputs, method.kappa(scores, problem.observed))


def test_the_stopping_time_is_the_first_crossing() -> None:
    results = experiments.LinearTheory(steps=50, ratio=0.3, learning_rate=0.02).run(3).sel(arm="cross-entropy")
    times, theta = method.stopping_time(experiments.gaussians((0, 1, 2), 0.3, 0.2, 0.4), 0.02)
    crossed = (results.along_truth >= 0.1).argmax("time")
    np.testing.assert_array_equal(times, results.time[crossed])
    np.testing.assert_array_equal(times, results.stopping_time)
    assert ((theta[:, 0] >= 0.1) & (theta[:, 0] < 0.11)).all()


def test_early_learning_is_measured_at_its_end_for_every_spread() -> None:
    seeds = (0, 1, 2)
    shares = experiments.EarlyAccuracy(ratio=0.3).run(seeds)
    for spread in experiments.SPREADS.values:
        problem = experiments.gaussians(seeds, 0.3, spread, 0.4)
        theta = method.stopping_time(problem, 0.1)[1]
        for s, (x, truth, wrong) in enumerate(zip(problem.inputs, problem.truth, problem.wrong, strict=True)):
            right = (x @ theta[s]).sign() == truth
            found = shares.sel(spread=spread).isel(seed=s)
            assert float(found.measured) == pytest.approx(float(right[wrong].double().mean()), abs=1e-6)
            assert float(found.formula) == pytest.approx(float(method.linear_accuracy(theta[s], spread)))


def test_a_stopping_time_that_is_not_reached_is_not_a_number() -> None:
    times, _ = method.stopping_time(experiments.gaussians((0, 1), 0.3, 0.2, 0.4), 0.02, most=1)
    assert times.isnan().all()


# ---------------------------------------------------------------------------------------------------- exercises


def solution(logits: Tensor, targets: Tensor) -> Tensor:
    p = logits.softmax(-1)
    inner = (p * targets).sum(-1, keepdim=True)
    return p * (inner - targets) / (1 - inner)


def test_right_answers_are_accepted() -> None:
    assert "automatic differentiation" in exercises.check_gradient(solution)
    assert "cancel" in exercises.check_strength(lambda q: 2 * q / (2 * q - 1))
    assert "logarithm" in exercises.check_pulls((-0.49, -0.009702))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda z, t: -solution(z, t), "sign"),
        (lambda z, t: solution(z, t) / len(z), "average"),
        (lambda z, t: solution(z, t).mean(0), "shape"),
        (lambda z, t: z.softmax(-1) - t, "sum to zero"),
        (lambda z, t: solution(z, t) * 2, "chain rule"),
        (lambda z, t: 3.0, "shape"),
    ],
)
def test_wrong_gradients_get_a_hint(answer: object, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_gradient(answer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [((0.49, 0.0097), "sign"), ((-0.49, -0.49), "without"), ((-0.0097, -0.0097), "with the log"), (-0.49, "two")],
)
def test_wrong_pulls_get_a_hint(answer: object, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_pulls(answer)  # type: ignore[arg-type]


def test_the_accuracies_of_the_sweep_are_those_of_the_recording() -> None:
    shown = [
        float(found.test_accuracy.sel(arm="ELR").isel(epoch=-1).mean())
        for strength in (1, 3, 15)
        if (found := store.at(experiments.Memorization(strength=strength))) is not None
    ]
    assert "between" in exercises.check_sweep(shown)
    with pytest.raises(WrongAnswerError, match="at λ = 15"):
        exercises.check_sweep([*shown[:2], 0.1])
    with pytest.raises(WrongAnswerError, match="three numbers"):
        exercises.check_sweep(shown[:2])
    with pytest.raises(NotImplementedError):
        exercises.check_sweep((None, None, None))


def test_a_wrong_strength_gets_a_hint_and_no_answer_none() -> None:
    with pytest.raises(WrongAnswerError, match=r"q = 0\.6"):
        exercises.check_strength(lambda q: 2.0)
    with pytest.raises(NotImplementedError):
        exercises.check_strength(lambda q: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(NotImplementedError):
        exercises.check_gradient(lambda z, t: None)  # type: ignore[arg-type,return-value]
