"""SCL, checked exactly: numbers by hand, closed forms, SciPy, scikit-learn, a plain PyTorch loop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_selection import f_classif
from torch import Tensor

from reglab import data, metrics
from reglab.exercise import WrongAnswerError
from reglab.knobs import Arm
from reglab.papers.weights._shared import cost
from reglab.papers.weights._shared.network import Dense
from reglab.papers.weights.sparse_connectivity import exercises, experiments, method
from reglab.recordings import store
from reglab.training import Lanes

POSITIVE, UNSAFE = ("identity", "leaky", "softplus"), ("relu", "clip", "frozen")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ------------------------------------------------------------------------------------------------------- the mask


def test_the_forward_pass_uses_exactly_zero_and_one_and_closed_weights_get_no_gradient() -> None:
    weights, scores = drawn(3, 5, 4).requires_grad_(), drawn(3, 5, 4, seed=1)
    scores[0, 0, 0] = 0  # closed
    scores.requires_grad_()
    acting = method.masked(weights, scores)
    assert torch.equal(acting, torch.where(scores > 0, weights, 0))
    acting.backward(drawn(3, 5, 4, seed=2))
    assert weights.grad is not None and scores.grad is not None
    assert (weights.grad[scores <= 0] == 0).all() and (weights.grad[scores > 0] != 0).all()
    torch.testing.assert_close(scores.grad, drawn(3, 5, 4, seed=2) * weights.detach())


def test_the_proxy_gradients_of_a_worked_example() -> None:
    """Two inputs and one output: W = (2, -3), ∂L/∂W̃ = (0.5, 0.5), m = (0.1, -0.2)."""
    weights, scores = torch.tensor([[2.0], [-3.0]]), torch.tensor([[0.1], [-0.2]]).requires_grad_()
    method.masked(weights, scores).backward(torch.full((2, 1), 0.5))
    assert scores.grad is not None and scores.grad.flatten().tolist() == [1, -1.5]
    expected = {
        "identity": (1, -1.5),
        "relu": (1, 0),
        "leaky": (1, -0.15),
        "softplus": (0.52498, -0.67525),
        "clip": (1, -1.5),
        "frozen": (0, 0),
    }
    for name, proxy in method.PROXIES.items():
        found = method.raw_gradient(scores.grad, 0, proxy(scores.detach()))
        assert found.flatten().tolist() == pytest.approx(expected[name], abs=1e-5), name


def test_proxies_that_are_positive_everywhere_and_those_that_are_not() -> None:
    places = torch.linspace(-20, 20, 401)
    for name in POSITIVE:
        assert (method.PROXIES[name](places) > 0).all()
    for name in UNSAFE:
        assert (method.PROXIES[name](places) == 0).any() and (method.PROXIES[name](places) >= 0).all()
    softplus = F.softplus(places.double().requires_grad_())
    (slope,) = torch.autograd.grad(softplus.sum(), softplus.grad_fn.next_functions[0][0].variable)  # type: ignore[union-attr]
    torch.testing.assert_close(method.PROXIES["softplus"](places.double()), slope)


def test_normalized_gradients_have_length_one_for_each_unit_whatever_its_scale() -> None:
    task = drawn(2, 6, 5)
    task[1, :, 3] = 0
    lengths = method.normalized(task).norm(dim=1)
    expected = torch.ones(2, 5).double()
    expected[1, 3] = 0
    torch.testing.assert_close(lengths, expected, atol=1e-7, rtol=0)
    scaled = task.clone()
    scaled[0, :, 2] *= 100
    torch.testing.assert_close(method.score_gradient(scaled, 0.3), method.score_gradient(task, 0.3), atol=1e-7, rtol=0)
    assert not torch.allclose(method.raw_gradient(scaled, 0.3), method.raw_gradient(task, 0.3))


def test_the_price_is_added_after_normalization() -> None:
    task = torch.tensor([[3.0], [4.0], [0.0], [0.0]])
    found = method.score_gradient(task, 0.4, torch.tensor([[1.0], [0.5], [1.0], [0.0]]))
    assert found.flatten().tolist() == pytest.approx([0.8, 0.5, 0.2, 0])
    assert method.raw_gradient(task, 0.4).flatten().tolist() == pytest.approx([3.4, 4.4, 0.4, 0.4])


def test_a_masked_product_is_that_of_a_sparse_matrix() -> None:
    weights, scores, inputs = drawn(40, 30), drawn(40, 30, seed=1), drawn(8, 40, seed=2)
    sparse: Any = scipy.sparse.csr_matrix(np.where(scores > 0, weights, 0))
    np.testing.assert_allclose(inputs @ method.masked(weights, scores), inputs.numpy() @ sparse, atol=1e-6)
    assert sparse.nnz == int((scores > 0).sum())


# ------------------------------------------------------------------------------------------------- one switch


@pytest.mark.parametrize("cost", [-1.0, 1.0])
def test_a_switch_turns_at_the_step_that_theory_says(cost: float) -> None:
    paths = {name: method.descend(0.35 * cost, lambda b: cost, one, 0.01, 500) for name, one in method.PROXIES.items()}
    turned = {name: [k for k, m in enumerate(path) if (m > 0) == (cost < 0)] for name, path in paths.items()}
    assert turned["identity"][0] in (35, 36) and turned["leaky"][0] in ((350, 351) if cost < 0 else (35, 36))
    assert turned["frozen"] == [] and turned["clip"][0] in (35, 36)
    assert turned["relu"] == [] if cost < 0 else turned["relu"][0] in (35, 36)


@given(st.sampled_from(POSITIVE), st.floats(-1, 1), st.floats(-2, 2).filter(lambda c: abs(c) > 0.1))
@settings(max_examples=40, deadline=None)
def test_a_positive_proxy_reaches_the_least_loss_within_the_bound(proxy: str, start: float, cost: float) -> None:
    lowest = {"identity": 1, "leaky": 0.1, "softplus": float(torch.sigmoid(torch.tensor(-1.0)))}[proxy]
    steps = math.ceil(abs(start) / (0.05 * abs(cost) * lowest)) + 1
    path = method.descend(start, lambda b: cost, method.PROXIES[proxy], 0.05, steps + 20)
    assert all((m > 0) == (cost < 0) for m in path[steps:])


@pytest.mark.parametrize("proxy", ["relu", "frozen"])
def test_a_proxy_that_is_zero_for_closed_switches_leaves_them_closed(proxy: str) -> None:
    assert set(method.descend(-0.35, lambda b: -1, method.PROXIES[proxy], 0.01, 1000)) == {-0.35}


@pytest.mark.parametrize(("target", "share"), [(0.3, 0.3), (0.7, 0.7), (-0.2, 0.0), (0.0, 0.0), (1.0, 1.0), (1.4, 1.0)])
def test_the_share_of_open_steps_tends_to_the_best_soft_weight(target: float, share: float) -> None:
    """0.5(w·H(m) - y)² with w = 1 and y = `target`."""
    path = method.descend(0.0, lambda b: b - target, torch.ones_like, 0.013, 4000)
    assert np.mean([m > 0 for m in path]) == pytest.approx(share, abs=0.01)


def test_without_a_task_all_connections_close_at_one_step() -> None:
    """Price only, no momentum: m falls by η_m·λ/√D a step."""
    price, rate, inputs = 0.3, 0.02, 128
    score, closed = torch.full((inputs, 3), 0.5).double(), math.ceil(0.5 * inputs**0.5 / (rate * price))
    for step in range(1, closed + 1):
        score -= rate * method.score_gradient(torch.zeros(inputs, 3).double(), price)
        assert bool((score > 0).all()) == (step < closed) and len(score.unique()) == 1
    torch.testing.assert_close(score[0, 0], torch.tensor(0.5 - closed * rate * price / inputs**0.5).double())


# ------------------------------------------------------------------------------------------------------ rivals


def test_the_f_statistic_is_scikit_learn_s() -> None:
    split = experiments.with_noise((0, 1), 32)
    found = method.anova_f(split.train.double(), split.train_labels)
    for k in range(2):
        varies = split.train[k].std(0) > 1e-6
        expected = f_classif(split.train[k][:, varies].double().numpy(), split.train_labels[k].numpy())[0]
        np.testing.assert_allclose(found[k][varies], expected, rtol=1e-6)
        assert 0 < int((~varies).sum()) < 10 and (found[k][~varies] == 0).all()


def test_the_share_that_is_kept_falls_from_one_to_its_end() -> None:
    end = torch.tensor([0.1, 0.5])
    for progress, expected in ((-0.2, 1.0), (0, 1.0), (0.5, 0.1 + 0.9 / 8), (1, 0.1), (3, 0.1)):
        assert float(method.kept_share(progress, end)[0]) == pytest.approx(expected)


# ---------------------------------------------------------------------------------------------------- the training


def test_noise_inputs_are_standard_normal_and_those_of_fewer_are_among_those_of_more() -> None:
    many, few = experiments.with_noise((0, 5), 128), experiments.with_noise((0, 5), 16)
    for name in ("train", "valid", "test"):
        noise = getattr(many, name)[..., 64:]
        assert torch.equal(noise[..., :16], getattr(few, name)[..., 64:])
        assert float(noise.mean()) == pytest.approx(0, abs=0.03) and float(noise.std()) == pytest.approx(1, abs=0.02)
        assert torch.equal(getattr(many, name)[..., :64], getattr(few, name)[..., :64])
    assert not torch.equal(many.train[0, :100, 64:], many.test[0, :100, 64:])
    assert float(many.train[..., :64].std()) == pytest.approx(1, abs=0.02)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("arm", ["dense", "SCL", "raw gradients", "tuned decay", "F-test"])
def test_training_equals_a_plain_loop(arm: str) -> None:
    seed, epochs, experiment = 3, 2, experiments.Connectivity(epochs=2, start=0.2)
    setting = {name: experiment.arms[arm].value(name, experiment.settings()) for name in ("decay", "price", "lr_m")}
    results = experiment.only([arm]).run([1, seed]).sel(arm=arm, seed=seed)
    split = experiments.with_noise((seed,), 64)
    drawn = Dense((128, 64, 64, 10), Lanes({"dense": Arm("baseline")}, (seed,), {})).weights
    weights = [weight[0].detach().clone().requires_grad_() for weight in drawn]
    biases = [torch.zeros(w.shape[1], requires_grad=True) for w in weights]
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": setting["decay"]}, {"params": biases}]
    optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 16 * epochs)
    scores, speed = [torch.full_like(w, 0.2) for w in weights], [torch.zeros_like(w) for w in weights]
    if arm == "F-test":
        found = np.nan_to_num(f_classif(split.train[0].numpy(), split.train_labels[0].numpy())[0])
        found[split.train[0].std(0) < 1e-6] = 0
        scores[0][np.argsort(found)[:-48]] = -1

    def forward(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        acting = [(w * (m > 0)) for w, m in zip(weights, scores, strict=True)]
        for one in acting:
            one.retain_grad()
        hidden = ((x @ acting[0] + biases[0]).relu() @ acting[1] + biases[1]).relu()
        return hidden @ acting[2] + biases[2], acting

    for epoch in range(1, epochs + 1):
        for index in data.batches((seed,), 800, 50, epoch)[:, 0]:
            logits, acting = forward(split.train[0, index])
            optimizer.zero_grad()
            F.cross_entropy(logits, split.train_labels[0, index]).backward()
            for i, (one, weight) in enumerate(zip(acting, weights, strict=True)):
                assert one.grad is not None
                task = one.grad * weight.detach()
                price = setting["price"]
                if arm == "SCL":
                    task, price = task / (task.norm(dim=0) + 1e-8), price / len(weight) ** 0.5
                speed[i] = 0.9 * speed[i] + setting["lr_m"] * (task + price)
                scores[i] = scores[i] - speed[i]
            optimizer.step()
            falling.step()
    test, train = (forward(one[0])[0].detach() for one in (split.test, split.train))
    share = sum(int((m > 0).sum()) for m in scores) / cost.count((128, 64, 64, 10))
    accuracy, loss = metrics.accuracy(test, split.test_labels[0]), F.cross_entropy(train, split.train_labels[0])
    assert float(results.test_accuracy[-1]) == pytest.approx(float(accuracy), abs=1e-6)
    assert float(results.train_loss) == pytest.approx(float(loss), abs=1e-8)
    assert float(results.macs_share) == pytest.approx(share, abs=1e-8)
    assert share < 0.99 or arm in ("dense", "tuned decay")
    if arm == "SCL":
        first = scores[0] > 0
        np.testing.assert_allclose(results.input_map.values.ravel(), first[:64].sum(1), atol=1e-8)
        assert float(results.pixel_share) == pytest.approx(float(first[:64].sum() / first.sum()), abs=1e-8)


def test_without_price_and_learning_scl_is_dense_bit_by_bit() -> None:
    results = experiments.Connectivity(price=0, lr_m=0, decay=5e-4, epochs=3).only(["dense", "SCL"]).run(2)
    for name in ("test_accuracy", "train_loss", "held_out", "pixel_share", "accuracy_change", "macs_share"):
        here, there = (results[name].sel(arm=arm).drop_vars("arm") for arm in ("SCL", "dense"))
        assert here.equals(there), name


def test_who_follows_scl_has_as_many_weights_seed_by_seed() -> None:
    results = experiments.Connectivity(epochs=6, price=1).run(2)
    assert (results.pixel_share >= 0).all()
    size, share = cost.count((128, 64, 64, 10)), results.macs_share
    scl = share.sel(arm="SCL")
    np.testing.assert_allclose(share.sel(arm="magnitude"), scl, atol=1e-6)
    for layer in experiments.LAYERS:
        ends = results[f"open_{layer}"].isel(epoch=-1)
        np.testing.assert_allclose(ends.sel(arm="random mask"), ends.sel(arm="SCL"), atol=1e-6)
    for k in range(2):
        width = cost.width_for(round(float(scl[k]) * size), 128)
        assert float(share.sel(arm="small dense")[k]) == pytest.approx(cost.count((128, width, width, 10)) / size)
    np.testing.assert_allclose(share.sel(arm="F-test"), (48 * 64 + 64 * 64 + 640) / size, atol=1e-6)
    bits = results.bits_share - share
    for arm, extra in (("dense", 0), ("small dense", 0), ("SCL", 1), ("magnitude", 1)):
        np.testing.assert_allclose(bits.sel(arm=arm), extra / 32, atol=1e-6)


def test_a_relu_never_opens_again_and_a_frozen_mask_stays() -> None:
    results = experiments.Reopening(epochs=3).run(2)
    for arm in ("relu", "frozen"):
        assert (results.reopened.sel(arm=arm) == 0).all()
    assert (results.reopened.isel(epoch=-1).sel(arm=["identity", "leaky", "softplus"]) > 0).all()
    frozen = results.open_share.sel(arm="frozen")
    assert (frozen == frozen.isel(epoch=0)).all()
    np.testing.assert_allclose(frozen, 0.5, atol=0.02)


# ------------------------------------------------------------------------------------------------------- exercises


def share(weight: float, targets: Tensor) -> Tensor:
    return (targets / weight).clamp(0, 1)


def test_right_answers_are_accepted() -> None:
    for steps in ((35, 350), (36, 351)):
        assert "forever" in exercises.check_steps(steps)
    assert "soft weight" in exercises.check_share(share)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda w, y: y / w, "between 0 and 1"),
        (lambda w, y: share(1, w / y), "exchanged"),
        (lambda w, y: 1 - share(w, y), "closed"),
        (lambda w, y: share(w, y) / 2, "cancel"),
        (lambda w, y: 0.5, "shape"),
    ],
)
def test_a_wrong_share_gets_a_hint(answer: Any, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_share(answer)


def test_wrong_steps_get_a_hint_and_no_answer_none() -> None:
    with pytest.raises(WrongAnswerError, match="length of a step"):
        exercises.check_steps((35, 35))
    for checker in (exercises.check_steps, exercises.check_prices):
        with pytest.raises(NotImplementedError):
            checker((None, None))
    with pytest.raises(NotImplementedError):
        exercises.check_share(lambda w, y: None)  # type: ignore[arg-type,return-value]


def test_the_price_is_that_of_the_recording() -> None:
    grid = store.read(experiments.Connectivity)
    assert grid is not None
    last = grid.test_accuracy.isel(epoch=-1).mean("seed")
    gain = last.sel(arm="SCL") - last.sel(arm="dense")
    best = float(gain.price[(gain.sel(noise_inputs=64) >= 0).values][-1])
    change = float(gain.sel(noise_inputs=0, price=0.3))
    assert change < 0 and "costs accuracy" in exercises.check_prices((best, change))
    for price, hint in ((0.03, "still is more accurate"), (0.5, "recorded")):
        with pytest.raises(WrongAnswerError, match=hint):
            exercises.check_prices((price, change))
    with pytest.raises(WrongAnswerError, match="without noise inputs"):
        exercises.check_prices((best, -change))
