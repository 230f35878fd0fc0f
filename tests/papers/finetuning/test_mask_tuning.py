"""The exact checks of mask tuning: worked numbers, autograd, plain PyTorch layers and a plain training loop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

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
from reglab.papers.finetuning.mask_tuning import claims, exercises, experiments, method
from reglab.recordings import store
from reglab.results import Frame
from reglab.seeds import generator
from reglab.statistics import mean_interval
from reglab.training import Lanes

SMALL = experiments.Masks.make(experiments.Masks.smoke)


MASKED = {name: arm for name, arm in experiments.Masks.arms.items() if "masks" in arm.settings}


def trained(
    seeds: tuple[int, ...],
    arms: Mapping[str, Arm],
    shots: int = 2,
    matrices: tuple[str, ...] = experiments.ATTENTION,
    **settings: Any,
) -> tuple[experiments.Task, experiments.Models]:
    """Train some arms; return the task and the models."""
    experiment = experiments.Masks.make({**experiments.Masks.smoke, "shots": shots, **settings})
    task = experiments.new_task(seeds, 0, shots)
    models = experiments.new_models(task.weights, Lanes(arms, seeds, experiment.settings()), matrices)
    for _ in experiment.train(task, models):
        pass
    return task, models


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


def test_at_the_start_every_model_is_the_zero_shot_model() -> None:
    task = experiments.new_task((0, 1), 0, 2)
    lanes = Lanes(experiments.Masks.arms, (0, 1), SMALL.settings())
    models = experiments.new_models(task.weights, lanes, experiments.ATTENTION + experiments.MLP)
    assert {*models.masks.arms, *models.tuned.arms} == {*lanes.arms} - {"zero-shot", "random mask"}
    for arm in (arm for arm in lanes.arms if arm != "zero-shot"):
        weights = models.of(arm, task.weights, 0.005)
        logits = experiments.logits_of(weights, task.classes, task.images)
        torch.testing.assert_close(logits, task.teacher, atol=1e-5, rtol=1e-6)


def test_the_matrices_that_are_learned_are_those_of_the_attention() -> None:
    weights, lanes = pretrained.load("tiny_clip"), Lanes(experiments.Masks.arms, (0,), SMALL.settings())
    models = experiments.new_models(weights, lanes)
    for learned in (models.scores, models.weights):
        assert sum(one[0].numel() for one in learned.values()) == 16 * 48 + 8 * 48 * 48 == 19_200
    assert not [name for name in models.scores if name != "patch" and name.split(".")[2] not in "qkvo"]
    both = experiments.new_models(weights, lanes, experiments.ATTENTION + experiments.MLP)
    assert sum(score[0].numel() for score in both.scores.values()) == 19_200 + 4 * 48 * 96


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


def dropout(a: Tensor, b: Tensor, uniform: Tensor, strength: float) -> Tensor:
    return method.gradient_dropout(a, method.keep_probability(a, b), uniform, strength)


@pytest.mark.parametrize(
    ("a", "b", "p"), [(2, -1, 2 / 3), (-2, 1, 2 / 3), (1, 3, 1), (-1, -3, 1), (1, -3, 0.25), (0, 5, 0.5), (0, 0, 0.5)]
)
def test_the_probability_to_keep_by_hand(a: float, b: float, p: float) -> None:
    one, other = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    assert float(method.keep_probability(one, other)) == pytest.approx(p, abs=1e-7)
    assert a or float(dropout(one, other, torch.tensor([0.1]), 1.0)) == 0


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
    assert torch.equal(dropout(a, b, uniform, 0.0), a)
    found, kept = dropout(a, b, uniform, 0.3), dropout(a, b, uniform, 1.0) != 0
    torch.testing.assert_close(found, torch.where(kept, a, 0.7 * a))


def test_where_the_teacher_has_no_opinion_nothing_is_dropped_but_what_is_next_to_zero() -> None:
    a = torch.tensor([1e-3, -1e-3, 0.5, -7.0], dtype=torch.float64)
    p = method.keep_probability(a, torch.zeros_like(a))
    torch.testing.assert_close(1 - p, 0.5e-8 / (a.abs() + 1e-8), atol=1e-12, rtol=1e-6)
    assert (p >= 0.999994).all()
    assert torch.equal(dropout(a, torch.zeros_like(a), torch.full_like(a, 0.999), 1.0), a)
    tiny = torch.tensor([1e-8], dtype=torch.float64)
    assert float(method.keep_probability(tiny, torch.zeros_like(tiny))) == pytest.approx(0.75)


def test_many_draws_keep_what_the_probability_says() -> None:
    a, b, uniform = (
        torch.full((100_000,), 2.0),
        torch.full((100_000,), -1.0),
        torch.rand(100_000, generator=generator(0, "u")),
    )
    share = float((dropout(a, b, uniform, 1.0) == a).float().mean())
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
    """Train one arm of one seed with PyTorch's own pieces; return the final scores, or weights of fine-tuning."""
    weights, names, threshold = pretrained.load("tiny_clip"), experiments.ATTENTION, SMALL.threshold
    settings, tunes = experiments.Masks.arms[arm].settings, arm.startswith("fine-tune")
    images, labels = tiny_clip.few_shot(SMALL.shots, (seed,), range(10), 25)
    learned = {
        name: (weights[f"{name}.weight"].clone() if tunes else torch.full_like(weights[f"{name}.weight"], 0.01))
        for name in names
    }
    optimizer = torch.optim.Adam(
        [one.requires_grad_() for one in learned.values()], lr=float(settings["rate"]) if tunes else SMALL.learning_rate
    )
    schedule, draws = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps), generator(seed, "gradient dropout")
    for step in range(steps):
        index = data.batches((seed,), 40, 32, step)[0, 0]
        used = {
            name: (one.detach() if tunes else weights[f"{name}.weight"] * (one > threshold)).requires_grad_()
            for name, one in learned.items()
        }
        new = {f"{name}.weight": one for name, one in used.items()}
        student = tiny_clip.zero_shot({**weights, **new}, images[:, index], tiny_clip.DIGITS)[0]
        teacher = tiny_clip.zero_shot(weights, images[:, index], tiny_clip.DIGITS)[0]
        a = torch.autograd.grad(F.cross_entropy(student, labels[0, index]), list(used.values()), retain_graph=True)
        b = torch.autograd.grad(F.cross_entropy(student, teacher.softmax(-1)), list(used.values()))
        for (name, score), of_task, of_teacher in zip(learned.items(), a, b, strict=True):
            if tunes:
                score.grad = of_task + float(settings.get("adds", 0)) * of_teacher
                continue
            weight = weights[f"{name}.weight"]
            one, other, u = weight * of_task, weight * of_teacher, torch.rand(score.shape[1:], generator=draws)
            if arm != "MT":
                one = one + 1e-4 * score.detach() / score.detach().norm()
            p = (1 + one.sign() * (one + other) / (one.abs() + other.abs() + 1e-8)) / 2
            score.grad = {"MT": one, "KL-sum": one + other, "R-AMT": torch.where(p > u, one, 0)}[arm]
        optimizer.step()
        schedule.step()
    return {name: one.detach() for name, one in learned.items()}


@pytest.mark.parametrize("arm", ["R-AMT", "MT", "KL-sum", "fine-tune", "fine-tune + KL"])
@pytest.mark.usefixtures("double_precision")
def test_batched_training_equals_a_plain_loop(arm: str) -> None:
    _, models = trained((3, 5), experiments.Masks.arms, SMALL.shots)
    tunes = arm in models.tuned.arms
    lanes, learned = (models.tuned, models.weights) if tunes else (models.masks, models.scores)
    for name, expected in plain(5, arm, SMALL.steps).items():
        found = experiments.of_arm(learned, lanes, arm)[f"{name}.weight" if tunes else name][1]
        torch.testing.assert_close(found, expected[0], atol=1e-9, rtol=0, msg=name)


@pytest.mark.usefixtures("double_precision")
def test_random_drop_drops_as_many_elements_as_r_amt_but_any() -> None:
    experiment, seeds = SMALL, (0, 1)
    task = experiments.new_task(seeds, 0, SMALL.shots)
    arms = {name: MASKED[name] for name in ("R-AMT", "random drop")}
    models = experiments.new_models(task.weights, Lanes(arms, seeds, SMALL.settings()))
    shares, conflicts = [], []
    for event in experiment.train(task, models):
        if isinstance(event, Frame) and event.values:
            gradients = torch.cat([score.grad.flatten(1) for score in models.scores.values()], 1)  # type: ignore[union-attr]
            shares.append((gradients == 0).double().mean(1))
            conflicts.append(event.values["dropped"])
    found, said = torch.stack(shares), torch.stack(conflicts)
    torch.testing.assert_close(found[:, :2], said.double(), atol=1e-3, rtol=0)  # what R-AMT says it drops is 0
    assert float(found[-1].min()) > 0.05
    torch.testing.assert_close(found[-1, 2:], found[-1, :2], atol=0.02, rtol=0)


@pytest.mark.usefixtures("double_precision")
def test_a_seed_is_the_same_alone() -> None:
    both, alone = SMALL.run([2, 7]), SMALL.run([7])
    for name in ("rotated", "plain", "masked", "dropped", "validation"):
        np.testing.assert_allclose(both[name].sel(seed=7), alone[name].sel(seed=7), atol=1e-6, err_msg=name)


@pytest.mark.usefixtures("double_precision")
def test_a_rate_of_its_own_for_each_arm_is_that_rate() -> None:
    several = {str(rate): Arm("method", masks=1, drops=1, norms=1, rate=rate) for rate in (1e-4, 4e-4)}
    together, apart = trained((0,), several)[1], trained((0,), {"one": several["0.0004"]})[1]
    for name, score in apart.scores.items():
        torch.testing.assert_close(together.scores[name][1:], score, atol=1e-9, rtol=0)


@pytest.mark.usefixtures("double_precision")
def test_frozen_tensors_stay_and_all_scores_move() -> None:
    before = {name: value.clone() for name, value in pretrained.load("tiny_clip").items()}
    task, models = trained((0,), {"MT": MASKED["MT"], "fine-tune": experiments.Masks.arms["fine-tune"]})
    assert all(torch.equal(task.weights[name], value) for name, value in before.items())
    assert all(float((score != method.START).float().mean()) > 0.95 for score in models.scores.values())
    assert not any(torch.equal(weight, before[name]) for name, weight in models.weights.items())


@pytest.mark.usefixtures("double_precision")
def test_without_strength_and_norms_r_amt_is_mask_tuning() -> None:
    arms = {"R-AMT": Arm("method", masks=1, rate=4e-4, drops="strength"), "MT": MASKED["MT"]}
    for name, score in trained((0,), arms, strength=0.0)[1].scores.items():
        torch.testing.assert_close(score[0], score[1], atol=0, rtol=0, msg=name)


@pytest.mark.usefixtures("double_precision")
def test_a_small_learning_rate_switches_nothing_off() -> None:
    results = experiments.Masks(learning_rate=1e-4, shots=2).only([*MASKED, "zero-shot", "random mask"]).run(1)
    assert (results.masked == 0).all() and (results.moved == 0).all()
    assert results.rotated.std("arm").max() < 1e-6


@pytest.mark.usefixtures("double_precision")
def test_a_path_has_at_each_rate_what_a_run_at_this_rate_has() -> None:
    fronts = experiments.Fronts.make({**experiments.Fronts.smoke}).run([1])
    one = experiments.Masks.make({**experiments.Masks.smoke, "learning_rate": 4e-4}).run([1])
    arms = ["zero-shot", "R-AMT", "KL-sum", "random mask"]
    for name in ("rotated", "plain", "glyphs", "validation", "masked", "moved"):
        last = one[name].isel(moment=-1) if "moment" in one[name].dims else one[name]
        for here, rate in ((arms, 4.0), (["fine-tune", "fine-tune + KL"], 30.0)):
            path = fronts[name].sel(arm=here, rate=rate)
            np.testing.assert_allclose(path, last.sel(arm=here), atol=1e-6, err_msg=name)
    for arm, rates in experiments.PATHS.items():
        there = fronts.rate.values[fronts.rotated.sel(arm=arm, seed=1).notnull()]
        assert [round(1e4 * rate, 1) for rate in rates] == list(there)


@pytest.mark.usefixtures("double_precision")
def test_changes_are_measured_over_all_weights() -> None:
    task, models = trained((0, 1), experiments.Masks.arms, SMALL.shots)
    results = SMALL.run(2)
    for arm in ("R-AMT", "fine-tune", "random mask"):
        weights = models.of(arm, task.weights, SMALL.threshold)
        names = [f"{name}.weight" for name in experiments.ATTENTION]
        changes = torch.cat([(weights[name] - task.weights[name]).flatten(1) for name in names], 1)
        np.testing.assert_allclose(results.moved.sel(arm=arm), changes.norm(dim=1), rtol=1e-6)
        if arm != "fine-tune":
            off = torch.cat([(weights[name] == 0).flatten(1) for name in names], 1).double().mean(1)
            np.testing.assert_allclose(results.masked.sel(arm=arm).isel(moment=-1), off, rtol=1e-6)
    assert (results.masked.sel(arm="fine-tune") == 0).all()


@pytest.mark.usefixtures("double_precision")
def test_what_settings_are_chosen_by_depends_on_no_test_data() -> None:
    task = experiments.new_task((0,), 0, 2)
    images, labels, _ = task.tests["rotated"]
    shuffled = task._replace(tests={**task.tests, "rotated": (images.flip(0), labels.roll(7), task.classes)})
    found = [results_of(one, task.weights) for one in (task, shuffled)]
    assert float(found[0]["rotated"]) != float(found[1]["rotated"])
    assert torch.equal(found[0]["validation"], found[1]["validation"])
    drawn = {image.numpy().tobytes() for image in task.images[0]}
    tested = {image.numpy().tobytes() for image in images}
    held = [image.numpy().tobytes() for image in task.tests["validation"][0][0]]
    assert len(held) == 380 and not {*held} & (drawn | tested)


def results_of(task: experiments.Task, weights: experiments.Weights) -> dict[str, Tensor]:
    """Return what is measured of a model."""
    iterator = experiments.measured(task, weights, experiments.ATTENTION, 0.0)
    try:
        while True:
            next(iterator)
    except StopIteration as end:
        return dict(end.value)


@pytest.mark.usefixtures("double_precision")
def test_novel_digits_are_told_apart_among_five() -> None:
    task = experiments.new_task((0,), 0, 1)
    images, labels, _ = task.tests["rotated"]
    logits = tiny_clip.zero_shot(task.weights, images[labels > 4][None], tiny_clip.DIGITS[5:])
    right = logits[0].argmax(-1) + 5 == labels[labels > 4]
    assert float(results_of(task, task.weights)["novel"]) == pytest.approx(float(right.float().mean()))


def test_the_tests_are_the_digits_that_the_model_has_not_seen_turned_by_scipy() -> None:
    from scipy.ndimage import rotate

    task = experiments.new_task((0,), 0, 1)
    plain_image, turned = (task.tests[name][0][3].numpy() for name in ("plain", "rotated"))
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
    results = experiments.Masks.make({**experiments.Masks.smoke, "mlp": True}).run(1)
    _, models = trained((0,), {"R-AMT": MASKED["R-AMT"]}, SMALL.shots, matrices)
    off = torch.cat([(score <= SMALL.threshold).flatten(1) for score in models.scores.values()], 1)
    assert off.shape[1] == 19_200 + 4 * 48 * 96
    assert float(results.masked.sel(arm="R-AMT", seed=0).isel(moment=-1)) == pytest.approx(float(off.double().mean()))


@pytest.mark.usefixtures("double_precision")
def test_the_matrix_looked_into_is_that_of_a_plain_loop() -> None:
    results = experiments.QueryMatrix.make(experiments.QueryMatrix.smoke).run([5])
    last = results.off.sel(seed=5).isel(moment=-1)
    np.testing.assert_array_equal(last, plain(5, "R-AMT", SMALL.steps)[experiments.QUERY][0] <= SMALL.threshold)
    assert (results.off.isel(moment=0) == 0).all() and last.any()
    assert float(results.masked.sel(seed=5).isel(moment=-1)) == pytest.approx(float(last.mean()))

    assert float(results.probability.sel(seed=5, a=2, b=-1)) == pytest.approx(2 / 3)
    assert float(results.probability.sel(seed=5, a=1, b=3)) == pytest.approx(1)
    assert float(results.probability.sel(seed=5, a=-1, b=3)) == pytest.approx(0.25)


@pytest.mark.deep
@pytest.mark.parametrize("checkpoint", [1, 2])
def test_other_checkpoints_agree_in_sign(checkpoint: int) -> None:
    results = experiments.Fronts(checkpoint=checkpoint).run(3)
    new = results.rotated.sel(rate=1.8)
    assert (new.sel(arm="R-AMT") > new.sel(arm="zero-shot")).all()
    assert (new.sel(arm="R-AMT") > new.sel(arm="random mask")).all()
    assert float((claims.tuned(results, "fine-tune") - claims.tuned(results, "R-AMT")).mean()) > 0
    assert float(claims.as_good(results, "fine-tune", "R-AMT").mean()) > 0


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


def test_numbers_are_read_off_within_what_the_recorded_runs_give() -> None:
    recorded = store.read(experiments.Masks)
    assert recorded is not None
    gain = (recorded.rotated.sel(arm="R-AMT") - recorded.rotated.sel(arm="zero-shot")).sel(strength=1).isel(moment=-1)
    parts = (gain.sel(learning_rate=1.4e-4) / gain.sel(learning_rate=4e-4)).values
    _, low, high = mean_interval(parts)
    assert exercises.EARLY[0] <= low < high <= exercises.EARLY[1]
    assert "0.3 to 0.7" in exercises.check_early(float(parts.mean()))
    assert "10 to 30" in exercises.check_farther(16.0)
    for wrong in (0.1, 1.0):
        with pytest.raises(WrongAnswerError, match="subtract"):
            exercises.check_early(wrong)
    with pytest.raises(WrongAnswerError, match="divide"):
        exercises.check_farther(1 / 16)


def test_no_answer_is_no_mistake() -> None:
    for unanswered in (
        lambda: exercises.check_mask(lambda w, s, t: None),  # type: ignore[arg-type,return-value]
        lambda: exercises.check_dropout(lambda a, b, u, s: None),  # type: ignore[arg-type,return-value]
    ):
        with pytest.raises(NotImplementedError):
            unanswered()
