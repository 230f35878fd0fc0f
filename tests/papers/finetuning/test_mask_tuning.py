"""The exact checks of mask tuning: worked numbers, autograd, plain PyTorch layers and a plain training loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from draws import normal as draw
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reglab import data
from reglab.exercise import WrongAnswerError
from reglab.knobs import Arm
from reglab.models import pretrained, tiny_clip
from reglab.papers.finetuning.mask_tuning import exercises, experiments, method
from reglab.seeds import generator
from reglab.training import Lanes

SMALL = experiments.Masks.make(experiments.Masks.smoke)


def tuned(
    seeds: tuple[int, ...],
    arms: list[Arm],
    rates: list[float],
    shots: int = 2,
    matrices: tuple[str, ...] = experiments.ATTENTION,
    **settings: float,
) -> tuple[experiments.Task, Lanes, experiments.Tensors]:
    """Tune masks of some arms, each with a rate of its own; return task, lanes and scores."""
    experiment = experiments.Masks.make({**experiments.Masks.smoke, "shots": shots, **settings})
    task = experiments.new_task(seeds, 0, shots, 10)
    lanes = Lanes({str(i): arm for i, arm in enumerate(arms)}, seeds, {})
    scores = experiments.fresh_scores(task.weights, matrices, len(lanes))
    for _ in experiment.tune(task, lanes, scores, torch.tensor(rates).repeat_interleave(len(seeds))):
        pass
    return task, lanes, scores


# --------------------------------------------------------------------------------------------------------- masks


def test_a_score_at_the_threshold_is_off() -> None:
    scores = torch.tensor([0.005, 0.005 + 1e-6, 0.01, -1.0, 0.004])
    assert method.binary_mask(scores, 0.005).tolist() == [0, 1, 1, 0, 0]


def test_the_straight_through_gradient_of_a_layer_is_the_weight_times_the_inputs() -> None:
    weight, inputs = draw(0, 4, 3), draw(1, 7, 4)
    scores = (0.01 * draw(2, 4, 3)).requires_grad_()
    mask = method.binary_mask(scores, 0.005)
    assert 0 < mask.sum() < 12
    gradient = torch.autograd.grad((inputs @ (weight * mask)).sum(), scores)[0]
    torch.testing.assert_close(gradient, weight * inputs.sum(0).unsqueeze(1))


def test_only_matrices_with_scores_are_masked() -> None:
    weights = {"a.weight": draw(0, 1, 2, 3), "b.weight": draw(1, 1, 3, 3), "a.bias": draw(2, 1, 3)}
    scores = torch.tensor([[[1.0, 0, 1], [0, 1, 1]], [[0, 0, 0], [1, 1, 0]]], dtype=torch.float64)
    found = method.masked(weights, {"a": scores}, 0.5)
    torch.testing.assert_close(found["a.weight"], weights["a.weight"] * scores)
    assert found["b.weight"] is weights["b.weight"] and found["a.bias"] is weights["a.bias"]


def test_at_the_start_the_model_is_the_zero_shot_model() -> None:
    task = experiments.new_task((0, 1), 0, 2, 10)
    scores = experiments.fresh_scores(task.weights, experiments.ATTENTION + experiments.MLP, 2)
    logits = experiments.logits_of(method.masked(task.weights, scores, 0.005), task.classes, task.images)
    torch.testing.assert_close(logits, task.teacher, atol=1e-5, rtol=1e-6)
    assert not experiments.switched_off(scores, 0.005).any()


def test_the_masked_matrices_are_those_of_the_attention() -> None:
    weights = pretrained.load("tiny_clip")
    scores = experiments.fresh_scores(weights, experiments.ATTENTION, 1)
    assert sum(score.numel() for score in scores.values()) == 16 * 48 + 8 * 48 * 48 == 19_200
    assert not [name for name in scores if name not in ("patch",) and name.split(".")[2] not in "qkvo"]
    found = experiments.fresh_scores(weights, experiments.ATTENTION + experiments.MLP, 1)
    assert sum(score.numel() for score in found.values()) == 19_200 + 4 * 48 * 96


# -------------------------------------------------------------------------------------------------------- losses


def test_the_task_loss_is_cross_entropy_plus_norms_that_are_not_squared() -> None:
    logits, labels = draw(0, 2, 5, 4), torch.tensor([[0, 3, 1, 1, 2], [2, 2, 0, 1, 3]])
    scores = {"p": draw(1, 2, 3, 4), "q": draw(2, 2, 4, 4)}
    found = method.task_loss(logits, labels, scores, torch.tensor([0.0, 0.1]))
    norms = torch.linalg.matrix_norm(scores["p"][1]) + torch.linalg.matrix_norm(scores["q"][1])
    assert float(found[0]) == pytest.approx(float(F.cross_entropy(logits[0], labels[0])))
    assert float(found[1]) == pytest.approx(float(F.cross_entropy(logits[1], labels[1]) + 0.1 * norms))


def test_at_equality_the_teacher_pulls_nowhere() -> None:
    logits = draw(0, 3, 5, 4).requires_grad_()
    loss = method.teacher_loss(logits, logits.detach())
    torch.testing.assert_close(torch.autograd.grad(loss.sum(), logits)[0], torch.zeros(3, 5, 4, dtype=torch.float64))
    assert (loss > 0).all()  # the entropy of the teacher stays


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_teacher_loss_has_the_gradient_of_the_divergence(temperature: float) -> None:
    teacher, logits = draw(0, 2, 5, 4), draw(1, 2, 5, 4).requires_grad_()
    found = torch.autograd.grad(method.teacher_loss(logits, teacher, temperature).sum(), logits)[0]
    log_p, wanted = (logits / temperature).log_softmax(-1), (teacher / temperature).log_softmax(-1)
    kl = temperature**2 * F.kl_div(log_p, wanted, reduction="none", log_target=True).sum(-1).mean(-1)
    torch.testing.assert_close(found, torch.autograd.grad(kl.sum(), logits)[0])


# --------------------------------------------------------------------------------------------- gradient dropout


@pytest.mark.parametrize(
    ("a", "b", "p"), [(2, -1, 2 / 3), (-2, 1, 2 / 3), (1, 3, 1), (-1, -3, 1), (1, -3, 0.25), (0, 5, 0.5), (0, 0, 0.5)]
)
def test_the_probability_to_keep_by_hand(a: float, b: float, p: float) -> None:
    one, other = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    assert float(method.keep_probability(one, other)) == pytest.approx(p, abs=1e-7)
    assert a or float(method.gradient_dropout(one, other, torch.tensor([0.1]), 1.0)) == 0


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_signs_decide_and_conflicts_are_kept_in_proportion(seed: int) -> None:
    a, b = draw(seed, 50), draw(seed + 1, 50)
    found, agree = method.keep_probability(a, b), a * b > 0
    torch.testing.assert_close(found[agree], torch.ones_like(found[agree]), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[~agree], (a.abs() / (a.abs() + b.abs()))[~agree], atol=1e-5, rtol=1e-5)


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_without_strength_the_gradient_stays_as_it_is(seed: int) -> None:
    a, b, uniform = draw(seed, 30), draw(seed + 1, 30), torch.rand(30, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(method.gradient_dropout(a, b, uniform, 0.0), a)
    found, kept = method.gradient_dropout(a, b, uniform, 0.3), method.gradient_dropout(a, b, uniform, 1.0) != 0
    torch.testing.assert_close(found, torch.where(kept, a, 0.7 * a))


def test_where_the_teacher_has_no_opinion_nothing_is_dropped_but_what_is_next_to_zero() -> None:
    a = torch.tensor([1e-3, -1e-3, 0.5, -7.0], dtype=torch.float64)
    p = method.keep_probability(a, torch.zeros_like(a))
    torch.testing.assert_close(1 - p, 0.5e-8 / (a.abs() + 1e-8), atol=1e-12, rtol=1e-6)
    assert (p >= 0.999994).all()
    assert torch.equal(method.gradient_dropout(a, torch.zeros_like(a), torch.full_like(a, 0.999), 1.0), a)
    tiny = torch.tensor([1e-8], dtype=torch.float64)
    assert float(method.keep_probability(tiny, torch.zeros_like(tiny))) == pytest.approx(0.75)


def test_many_draws_keep_what_the_probability_says() -> None:
    a, b, uniform = (
        torch.full((100_000,), 2.0),
        torch.full((100_000,), -1.0),
        torch.rand(100_000, generator=generator(0, "u")),
    )
    share = float((method.gradient_dropout(a, b, uniform, 1.0) == a).float().mean())
    assert share == pytest.approx(2 / 3, abs=3 * math.sqrt(2 / 9 / 100_000))


# ------------------------------------------------------------------------------------------------ when masks flip


@pytest.mark.parametrize(("rate", "steps"), [(1e-3, (5, 6)), (3e-3, (2,)), (2e-3, (3,)), (7e-4, (8,)), (8e-5, (63,))])
def test_under_adam_a_steady_gradient_flips_the_mask_after_five_thousandths_of_travel(
    rate: float, steps: tuple[int, ...]
) -> None:
    score = torch.tensor([method.START]).requires_grad_()
    optimizer, step = torch.optim.Adam([score], lr=rate), 0
    while method.binary_mask(score, 0.005).item():
        score.grad, step = torch.tensor([0.37]), step + 1
        optimizer.step()
    assert step in steps


@given(st.integers(1, 300))
@settings(max_examples=20, deadline=None)
def test_the_learning_rates_of_a_cosine_sum_to_half(steps: int) -> None:
    factors = [method.cosine_rate(step, steps) for step in range(steps)]
    assert factors[0] == 1 and factors == sorted(factors, reverse=True) and factors[-1] > 0
    assert sum(factors) == pytest.approx((steps + 1) / 2)


def test_a_random_mask_has_the_counts_of_the_other_and_nothing_else_of_it() -> None:
    scores = {"a": 0.01 * draw(0, 3, 20, 30), "b": 0.01 * draw(1, 3, 10, 10) - 0.01}
    rankings = {
        name: torch.stack([torch.randperm(score[0].numel(), generator=generator(s, name)) for s in range(3)])
        for name, score in scores.items()
    }
    found = method.random_scores(scores, 0.005, rankings)
    for name, score in scores.items():
        off, random = (score <= 0.005).flatten(1), (found[name] <= 0.005).flatten(1)
        assert off.sum(1).tolist() == random.sum(1).tolist()
        expected = off.double().mean() ** 2
        assert float((off & random).double().mean()) == pytest.approx(float(expected), abs=0.06)


# ----------------------------------------------------------------------------------------------------- training


def plain(seed: int, arm: str, steps: int) -> dict[str, Tensor]:
    """Train one arm of one seed with PyTorch's own pieces; return the final scores."""
    weights, rate, threshold = pretrained.load("tiny_clip"), SMALL.learning_rate, SMALL.threshold
    images, labels = tiny_clip.few_shot(SMALL.shots, (seed,), range(10), 25)
    scores = {name: torch.full_like(weights[f"{name}.weight"], 0.01).requires_grad_() for name in experiments.ATTENTION}
    optimizer = torch.optim.Adam(scores.values(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    names, draws = tiny_clip.DIGITS, generator(seed, "gradient dropout")
    for step in range(steps):
        index = data.batches((seed,), 40, 32, step)[0, 0]
        hard = {f"{name}.weight": weights[f"{name}.weight"] * (one > threshold) for name, one in scores.items()}
        for matrix in hard.values():
            matrix.requires_grad_()
        student = tiny_clip.zero_shot({**weights, **hard}, images[:, index], names)[0]
        teacher = tiny_clip.zero_shot(weights, images[:, index], names)[0]
        a = torch.autograd.grad(F.cross_entropy(student, labels[0, index]), list(hard.values()), retain_graph=True)
        b = torch.autograd.grad(F.cross_entropy(student, teacher.softmax(-1)), list(hard.values()))
        for (name, score), of_task, of_teacher in zip(scores.items(), a, b, strict=True):
            weight = weights[f"{name}.weight"]
            one, other, u = weight * of_task, weight * of_teacher, torch.rand(score.shape[1:], generator=draws)
            if arm != "MT":
                one = one + 1e-4 * score.detach() / score.detach().norm()
            p = (1 + one.sign() * (one + other) / (one.abs() + other.abs() + 1e-8)) / 2
            score.grad = {"MT": one, "KL-sum": one + other, "R-AMT": torch.where(p > u, one, 0)}[arm]
        optimizer.step()
        schedule.step()
    return {name: score.detach() for name, score in scores.items()}


@pytest.mark.parametrize("arm", ["R-AMT", "MT", "KL-sum"])
@pytest.mark.usefixtures("double_precision")
def test_batched_training_equals_a_plain_loop(arm: str) -> None:
    arms = {"MT": Arm("ablation"), "R-AMT": Arm("method", drops=1, norms=1), "KL-sum": Arm("ablation", adds=1, norms=1)}
    _, lanes, scores = tuned((3, 5), list(arms.values()), [SMALL.learning_rate] * 3, SMALL.shots)
    place = list(arms).index(arm)
    for name, expected in plain(5, arm, SMALL.steps).items():
        found = experiments.of_arm(scores, lanes, place)[name][1]
        torch.testing.assert_close(found, expected[0], atol=1e-9, rtol=0, msg=name)


@pytest.mark.usefixtures("double_precision")
def test_a_seed_is_the_same_alone() -> None:
    both, alone = SMALL.run([2, 7]), SMALL.run([7])
    for name in ("rotated", "plain", "masked", "dropped"):
        np.testing.assert_allclose(both[name].sel(seed=7), alone[name].sel(seed=7), atol=1e-6, err_msg=name)


@pytest.mark.usefixtures("double_precision")
def test_a_rate_of_its_own_for_each_rule_is_that_rate() -> None:
    arm = Arm("method", drops=1, norms=1)
    together, apart = tuned((0,), [arm, arm], [1e-4, 4e-4])[2], tuned((0,), [arm], [4e-4])[2]
    for name, score in apart.items():
        torch.testing.assert_close(together[name][1:], score, atol=1e-9, rtol=0)


@pytest.mark.usefixtures("double_precision")
def test_frozen_tensors_stay_and_all_scores_move() -> None:
    before = {name: value.clone() for name, value in pretrained.load("tiny_clip").items()}
    task, _, scores = tuned((0,), [Arm("ablation", norms=1)], [1e-3])
    assert all(torch.equal(task.weights[name], value) for name, value in before.items())
    assert all(float((score != method.START).float().mean()) > 0.95 for score in scores.values())


@pytest.mark.usefixtures("double_precision")
def test_without_strength_and_norms_r_amt_is_mask_tuning() -> None:
    _, _, scores = tuned((0,), [Arm("method", drops=1), Arm("ablation")], [4e-4] * 2, strength=0)
    for name, score in scores.items():
        torch.testing.assert_close(score[0], score[1], atol=0, rtol=0, msg=name)


@pytest.mark.usefixtures("double_precision")
def test_a_small_learning_rate_switches_nothing_off() -> None:
    results = experiments.Masks(learning_rate=1e-4, shots=2).run(1)
    assert (results.masked == 0).all()
    assert results.rotated.std("arm").max() < 1e-6


@pytest.mark.usefixtures("double_precision")
def test_base_and_novel_are_told_apart_among_five() -> None:
    task = experiments.new_task((0,), 0, 1, 10)
    found: dict[str, Tensor] = {}
    iterator = experiments.tested(task, task.weights, 1, 0.0)
    try:
        while True:
            next(iterator)
    except StopIteration as end:
        found = end.value
    images, labels = task.tests["rotated"]
    for name, digits in (("base", range(5)), ("novel", range(5, 10))):
        mine = torch.isin(labels, torch.tensor(list(digits)))
        logits = tiny_clip.zero_shot(task.weights, images[mine][None], [tiny_clip.DIGITS[i] for i in digits])
        right = logits[0].argmax(-1) + digits[0] == labels[mine]
        assert float(found[name]) == pytest.approx(float(right.float().mean()))


def test_the_tests_are_the_digits_that_the_model_has_not_seen_turned_by_scipy() -> None:
    from scipy.ndimage import rotate

    task = experiments.new_task((0,), 0, 1, 10)
    plain_image, turned = (task.tests[name].images[3].numpy() for name in ("plain", "rotated"))
    np.testing.assert_allclose(turned, rotate(plain_image, 25, reshape=False, order=1), atol=1e-6)


def test_with_five_classes_only_they_are_learned() -> None:
    task = experiments.new_task((0, 1), 0, 3, 5)
    assert task.teacher.shape == (2, 15, 5) and task.labels.max() == 4
    results = experiments.Masks.make({**experiments.Masks.smoke, "classes": "digits 0-4"}).run(1)
    assert results.novel.notnull().all()


def test_every_moment_is_measured_also_when_steps_are_odd() -> None:
    results = experiments.Masks.make({**experiments.Masks.smoke, "steps": 11}).run(1)
    assert list(results.moment.values) == [0, 2, 5, 8, 11]
    assert results.rotated.notnull().all()


@pytest.mark.usefixtures("double_precision")
def test_the_mlp_is_masked_on_demand() -> None:
    matrices = experiments.ATTENTION + experiments.MLP
    results = experiments.Masks.make({**experiments.Masks.smoke, "mask_mlp": True}).run(1)
    _, _, scores = tuned((0,), [Arm("method", drops=1, norms=1)], [SMALL.learning_rate], SMALL.shots, matrices)
    assert all((score <= SMALL.threshold).any() for score in scores.values())
    off = experiments.switched_off(scores, SMALL.threshold)
    assert off.shape[1] == 19_200 + sum(pretrained.load("tiny_clip")[f"{name}.weight"].numel() for name in matrices[9:])
    assert float(results.masked.sel(arm="R-AMT", seed=0).isel(moment=-1)) == pytest.approx(float(off.double().mean()))


@pytest.mark.usefixtures("double_precision")
def test_masks_are_compared_with_that_of_r_amt() -> None:
    results = SMALL.run(2)
    np.testing.assert_allclose(results.masked.sel(arm="random mask"), results.masked.sel(arm="R-AMT"), atol=1e-7)
    assert (results.overlap.sel(arm="R-AMT") == 1).all() and (results.overlap.sel(arm="zero-shot") == 0).all()
    assert float(results.overlap.sel(arm="MT").min()) > float(results.overlap.sel(arm="random mask").max())


@pytest.mark.usefixtures("double_precision")
def test_the_matrix_looked_into_is_that_of_a_plain_loop() -> None:
    results = experiments.QueryMatrix.make(experiments.QueryMatrix.smoke).run([5])
    last = results.off.sel(seed=5).isel(moment=-1)
    np.testing.assert_array_equal(last, plain(5, "R-AMT", SMALL.steps)[experiments.QUERY][0] <= SMALL.threshold)
    assert (results.off.isel(moment=0) == 0).all() and last.any()

    one = results.sel(seed=5)
    kept = one.wanted.sel(arm="kept").notnull()
    assert (kept != one.wanted.sel(arm="dropped").notnull()).all()
    np.testing.assert_allclose(one.part, [kept.mean(), 1 - kept.mean()])
    a, b = (torch.from_numpy(part.max("arm").values) for part in (one.wanted, one.opposed))
    assert float(a.square().mean()) == pytest.approx(1)
    agree, conflict = (a * b > 0).numpy(), ((a * b < 0) & (b.abs() > 1e-3 * a.abs())).numpy()
    assert kept.values[agree].all()
    p = method.keep_probability(a, b).numpy()[conflict]
    assert abs(kept.values[conflict].sum() - p.sum()) < 4 * math.sqrt((p * (1 - p)).sum())

    assert float(results.probability.sel(seed=5, a=2, b=-1)) == pytest.approx(2 / 3)
    assert float(results.probability.sel(seed=5, a=1, b=3)) == pytest.approx(1)
    assert float(results.probability.sel(seed=5, a=-1, b=3)) == pytest.approx(0.25)


# ---------------------------------------------------------------------------------------------------- exercises


def my_mask(weight: Tensor, scores: Tensor, threshold: float) -> Tensor:
    hard = (scores > threshold).float()
    return weight * (hard + scores - scores.detach())


def my_dropout(a: Tensor, b: Tensor, uniform: Tensor, strength: float) -> Tensor:
    p = (1 + a.sign() * (a + b) / (a.abs() + b.abs() + 1e-8)) / 2
    return torch.where(p > uniform, a, (1 - strength) * a)


def test_right_answers_are_accepted() -> None:
    assert "also where the weight is off" in exercises.check_mask(my_mask)
    assert "right elements" in exercises.check_dropout(my_dropout)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda w, s, t: w * (s > t), "no gradient"),
        (lambda w, s, t: w * ((s >= t).float() + s - s.detach()), "equal to the threshold"),
        (lambda w, s, t: w * ((s > t).float() * (1 + s - s.detach())), "never come back"),
        (lambda w, s, t: w * torch.sigmoid(s), "kept as it is"),
        (lambda w, s, t: w * ((s > t).float() + 2 * (s - s.detach())), "nothing more"),
        (lambda w, s, t: w.sum(), "shape"),
    ],
)
def test_wrong_masks_get_a_hint(answer: object, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_mask(answer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda a, b, u, s: my_dropout(a, b, u, s) + b, "never added"),
        (lambda a, b, u, s: a + b, "never added"),
        (lambda a, b, u, s: torch.where(a * b > 0, a, 0), "not always dropped"),
        (lambda a, b, u, s: 2 * a, "kept as it is"),
        (lambda a, b, u, s: torch.where((a * b > 0) | (u < 0.5), a, 0), "2/3"),
        (lambda a, b, u, s: my_dropout(a, b, u, 1.0), "30 %"),
        (lambda a, b, u, s: a.sum(), "each element"),
    ],
)
def test_wrong_dropouts_get_a_hint(answer: object, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_dropout(answer)  # type: ignore[arg-type]


def test_no_answer_is_no_mistake() -> None:
    for unanswered in (
        lambda: exercises.check_mask(lambda w, s, t: None),  # type: ignore[arg-type,return-value]
        lambda: exercises.check_dropout(lambda a, b, u, s: None),  # type: ignore[arg-type,return-value]
    ):
        with pytest.raises(NotImplementedError):
            unanswered()
