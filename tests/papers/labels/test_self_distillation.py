"""The exact checks of PS-KD: closed forms, autograd, scikit-learn, plain PyTorch loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import log_loss
from torch import Tensor, nn

from reglab import data, metrics
from reglab.exercise import WrongAnswerError
from reglab.papers.labels.self_distillation import exercises, experiments, method
from reglab.recordings import store
from reglab.seeds import generator

SEED = st.integers(0, 2**31)


def predictions(seed: int, spread: float = 2.0) -> Tensor:
    """Return probabilities of 200 examples and 5 classes, [N, C]."""
    draws = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(200, 5, generator=draws, dtype=torch.float64)).softmax(-1)


def one_hot(seed: int) -> Tensor:
    return F.one_hot(torch.randint(5, (200,), generator=torch.Generator().manual_seed(seed)), 5).double()


# ------------------------------------------------------------------------------------------------------ the targets


def test_the_weight_grows_to_its_last_value() -> None:
    assert [method.growing(0.8, t, 5) for t in range(1, 6)] == pytest.approx([0.16, 0.32, 0.48, 0.64, 0.8])


@given(SEED, st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_targets_are_probabilities(seed: int, weight: float) -> None:
    labels, previous = one_hot(seed), predictions(seed)
    for targets in (method.soft_targets(labels, previous, weight), method.smoothed(labels, weight)):
        assert (targets >= 0).all()
        torch.testing.assert_close(targets.sum(-1), torch.ones(200, dtype=torch.float64))
    assert torch.equal(method.soft_targets(labels, previous, 0), labels)
    torch.testing.assert_close(method.smoothed(labels, 0.3).amax(-1), torch.full((200,), 0.76).double())


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_the_gradient_is_autograd_s_and_the_loss_pytorch_s(seed: int) -> None:
    logits = predictions(seed).log().requires_grad_()
    targets = method.soft_targets(one_hot(seed + 1), predictions(seed + 2), 0.6)
    loss = method.cross_entropy(logits, targets)
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets))
    expected = torch.autograd.grad(loss, logits)[0]
    torch.testing.assert_close(method.gradient(logits.detach(), targets), expected)


# ---------------------------------------------------------------------------------------- the size of the gradient


def test_the_size_of_the_gradient_by_hand() -> None:
    now, before = torch.tensor([0.6, 0.3, 0.1]).double(), torch.tensor([0.5, 0.3, 0.2]).double()
    label = torch.tensor([1, 0, 0]).double()
    targets = method.soft_targets(label, before, 0.4)
    torch.testing.assert_close(now - targets, torch.tensor([-0.2, 0.18, 0.02]).double(), atol=1e-7, rtol=0)
    soft, hard = (float(method.l1(now, one)) for one in (targets, label))
    assert (soft, hard) == pytest.approx((0.4, 0.8), abs=1e-7)
    doubts = method.doubt(now, label), method.doubt(before, label)
    assert [float(one) for one in doubts] == pytest.approx([0.4, 0.5], abs=1e-7)
    assert float(method.rescaling(*doubts, 0.4)) == pytest.approx(0.5, abs=1e-7)
    assert method.is_exact(now, before, label, 0.4)


@given(SEED, st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_the_ratio_of_sizes_is_rho_where_it_says_so_and_never_smaller(seed: int, alpha: float) -> None:
    now, before, labels = predictions(seed), predictions(seed + 1), one_hot(seed + 2)
    ratio = method.l1(now, method.soft_targets(labels, before, alpha)) / method.l1(now, labels)
    rho = method.rescaling(method.doubt(now, labels), method.doubt(before, labels), alpha)
    exact = method.is_exact(now, before, labels, alpha)
    torch.testing.assert_close(ratio[exact], rho[exact], atol=1e-9, rtol=1e-9)
    assert (ratio >= rho.abs() - 1e-9).all()
    assert (rho[exact] >= 0).all()


@given(SEED, st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_who_stands_still_is_scaled_by_one_minus_alpha(seed: int, alpha: float) -> None:
    now, labels = predictions(seed), one_hot(seed + 1)
    doubt = method.doubt(now, labels)
    torch.testing.assert_close(doubt, 1 - (now * labels).sum(-1))
    torch.testing.assert_close(method.rescaling(doubt, doubt, alpha), torch.full((200,), 1 - alpha).double())
    assert method.is_exact(now, now, labels, alpha).all()


# ------------------------------------------------------------------------------------------------------- the parts


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_nobody_gets_its_own_memory_and_all_get_one_of_their_class(seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.arange(10), torch.randint(10, (90,), generator=draws), torch.arange(10)])
    found = method.partners(labels, torch.rand(110, generator=draws))
    assert (found != torch.arange(110)).all()
    assert torch.equal(labels[found], labels) and torch.equal(found.sort().values, torch.arange(110))


def test_scores_are_those_of_the_core() -> None:
    _, validation, test = experiments.mixture((0, 1))
    logits = test[2] + 0.5 * test[0][..., :10]
    found = experiments.scores(2 * validation[2], logits, validation[1], test[1])
    temperature = metrics.best_temperature(2 * validation[2], validation[1])[:, None, None]
    scaled = logits / temperature
    expected = {
        "nll_scaled": [log_loss(test[1][k], scaled[k].double().softmax(-1)) for k in range(2)],
        "held_out": -metrics.nll(2 * validation[2] / temperature, validation[1]),
        "ece": 100 * metrics.ece(*metrics.confidence(logits, test[1])),
        "ece_scaled": 100 * metrics.ece(*metrics.confidence(scaled, test[1])),
        "error": 1 - metrics.accuracy(logits, test[1]),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], np.asarray(values), rtol=1e-4, err_msg=name)
    torch.testing.assert_close(found["risk"][:, -1], found["error"])


def test_percent_and_thousandths_by_hand() -> None:
    logits, labels = torch.tensor([[[0.85, 0.15], [0.45, 0.55]]]).log(), torch.tensor([[1, 1]])
    found = experiments.scores(logits, logits, labels, labels)
    assert [float(found[name]) for name in ("ece", "aurc", "error")] == pytest.approx([65, 750, 0.5], abs=1e-4)
    assert found["risk"][0].tolist() == pytest.approx([1] * 14 + [0.5] * 6, abs=1e-6)


def test_the_memory_s_rank_is_scipy_s_class_by_class() -> None:
    labels = torch.cat(
        [torch.arange(10).repeat(6), torch.randint(10, (40,), generator=torch.Generator().manual_seed(0))]
    )
    taught = torch.rand(100, generator=torch.Generator().manual_seed(1))
    classes = [(labels == c).numpy() for c in range(10)]
    points = (torch.empty(1, 100, 0), labels[None], torch.randn(1, 100, 10, generator=torch.Generator().manual_seed(3)))
    known = experiments.known(points)
    expected = np.mean([spearmanr(taught[one], known[0, one]).statistic for one in classes])
    found = experiments.memory_rank(torch.stack([taught, known[0], torch.ones(100)])[:, None], points)
    assert found[:2, 0].tolist() == pytest.approx([expected, 1]) and found[2].isnan()


def test_quarters_are_those_of_lowest_and_of_highest_posterior() -> None:
    train = experiments.mixture((0, 1))[0]
    truth = experiments.known(train)
    assert [float(one) for one in truth[0, :3]] == pytest.approx(
        [float(p[c]) for p, c in zip(train[2][0, :3].softmax(-1), train[1][0, :3], strict=True)]
    )
    found = experiments.quarters(truth.expand(3, -1, -1), train)
    ranked = truth.sort(-1).values
    for arm in found:
        torch.testing.assert_close(arm, torch.stack([ranked[:, :125].sum(-1), ranked[:, -125:].sum(-1)], -1))


@pytest.mark.usefixtures("double_precision")
def test_the_posterior_of_the_mixture_is_calibrated() -> None:
    parts = experiments.mixture(tuple(range(20)))
    for inputs, labels, posterior in parts:
        assert inputs.shape[:2] == labels.shape == posterior.shape[:2]
        sure, right = metrics.confidence(posterior, labels)
        assert float(sure.mean()) == pytest.approx(float(right.double().mean()), abs=0.02)
    test = parts[2]
    assert float(metrics.best_temperature(test[2].flatten(0, 1), test[1].flatten())) == pytest.approx(1, rel=0.06)
    alone = experiments.mixture((7,))
    assert all(torch.equal(one[k][0], many[k][7]) for one, many in zip(alone, parts, strict=True) for k in range(3))


# ------------------------------------------------------------------------------------------------------ the training

KINDS = experiments.Distillation.arms
ARMS: dict[str, dict[str, Any]] = {
    "CE": {},
    "PS-KD": {"alpha": 0.8, "grows": True},
    "fixed α": {"alpha": KINDS["fixed α"].settings["alpha"]},
    "label smoothing": {"epsilon": KINDS["label smoothing"].settings["epsilon"]},
    "more decay": {"decay": KINDS["more decay"].settings["decay"]},
    "another's memory": {"alpha": 0.8, "grows": True, "foreign": True},
}


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.usefixtures("double_precision")
def test_batched_training_equals_a_plain_loop(arm: str) -> None:
    seed, epochs, setting = 5, 4, ARMS[arm]
    results = experiments.Distillation(epochs=epochs).run([3, seed]).sel(arm=arm, seed=seed)
    (x, labels, posterior), _, (test, test_labels, _) = (
        [one[0] for one in part] for part in experiments.mixture((seed,))
    )
    layers = nn.Linear(20, 128), nn.Linear(128, 10)
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1])
    with torch.no_grad():
        for layer in layers:
            wide, narrow = layer.in_features, layer.out_features
            drawn = torch.randn(wide, narrow, generator=generator(seed, f"weights {wide}"))
            layer.weight.copy_(drawn.T * (2 / wide) ** 0.5)
            layer.bias.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=setting.get("decay", 0.01))
    epsilon, weight = setting.get("epsilon", 0), setting.get("alpha", 0)
    y = (1 - epsilon) * torch.eye(10)[labels] + epsilon / 10
    memory = y.clone()
    for epoch in range(1, epochs + 1):
        optimizer.param_groups[0]["lr"] = {1: 0.1, 2: 0.1, 3: 0.01, 4: 0.001}[epoch]
        noisy = x + 0.4 * torch.randn(500, 20, generator=generator(seed, f"input noise {epoch}"))
        partner, before = torch.arange(500), memory.clone()
        if setting.get("foreign"):
            partner = method.partners(labels, torch.randn(500, generator=generator(seed, f"partners {epoch}")))
        alpha = weight * epoch / epochs if setting.get("grows") else weight
        for index in data.batches((seed,), 500, 50, epoch)[:, 0]:
            z = model(noisy[index])
            loss = F.cross_entropy(z, (1 - alpha) * y[index] + alpha * before[partner[index]])
            memory[index] = z.softmax(-1).detach()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        z = model(test)
    targets = ((1 - alpha) * y + alpha * before[partner])[torch.arange(500), labels]
    assert float(results.error) == pytest.approx(float((z.argmax(-1) != test_labels).double().mean()), abs=1e-6)
    sure, right = metrics.confidence(z, test_labels)
    assert float(results.aurc) == pytest.approx(1000 * float(metrics.aurc(sure, right)), abs=1e-6)
    order = experiments.known((x[None], labels[None], posterior[None]))[0].argsort()
    expected = [float(targets[part].mean()) for part in (order[:125], order[-125:])]
    assert results.target.isel(epoch=-1).values.tolist() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("cls", experiments.EXPERIMENTS)
def test_without_weight_it_is_cross_entropy_bit_by_bit(cls: Any) -> None:
    results = cls(alpha=0, epochs=3).run(2)
    for arm in (arm for arm, one in cls.arms.items() if one.settings.get("alpha") == "alpha"):
        for name in (name for name, var in cls.outputs.items() if "arm" in var.dims):
            assert results[name].sel(arm=arm).drop_vars("arm").equals(results[name].sel(arm="CE").drop_vars("arm"))


def test_the_first_epoch_is_cross_entropy_for_every_weight() -> None:
    """The store holds the labels then; the null gets one of the same class, so the same."""
    after: list[Tensor] = []

    def watch(epoch: int, network: nn.Module, state: dict[str, Tensor]) -> Any:
        after.append(state["now"].unflatten(0, (4, 2)))
        return experiments.Frame({}, {})

    for alpha in (0.3, 1.0):
        lanes = experiments.Microscope(alpha=alpha).lanes((0, 1))
        for _ in experiments.distill(lanes, experiments.mixture((0, 1))[0], lambda epoch: 0.01, 0.0, 1, watch):
            pass
        for arm in after[-1]:
            torch.testing.assert_close(arm, after[-1][0])


def test_who_does_not_learn_says_the_priors() -> None:
    results = experiments.Distillation(epochs=2).run(2).sel(arm="constant")
    np.testing.assert_allclose(results.nll_scaled, np.log(10), rtol=1e-6)
    assert (results.ece < 5).all() and (results.target == 1).all()


def test_no_gradient_flows_into_the_store() -> None:
    seen: list[Tensor] = []

    def watch(epoch: int, network: nn.Module, state: dict[str, Tensor]) -> Any:
        seen.extend(state.values())
        return experiments.Frame({}, {})

    lanes = experiments.Microscope().lanes((0,))
    for _ in experiments.distill(lanes, experiments.mixture((0,))[0], lambda epoch: 0.01, 0.0, 2, watch):
        pass
    assert len(seen) == 12 and not any(one.requires_grad for one in seen)


def test_what_settings_are_chosen_by_depends_on_no_test_data(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = experiments.mixture

    def other_test_points(seeds: Any) -> Any:
        train, validation, (inputs, labels, posterior) = drawn(seeds)
        return [train, validation, (inputs.flip(1) + 1, labels, posterior)]

    setting = experiments.Distillation(epochs=2)
    here = setting.run(2)
    monkeypatch.setattr(experiments, "mixture", other_test_points)
    there = setting.run(2)
    assert here.held_out.equals(there.held_out) and not here.aurc.equals(there.aurc)


# ---------------------------------------------------------------------------------------------------- exercises


def solution(now: Tensor, before: Tensor, labels: Tensor, alpha: float) -> Tensor:
    return 1 - alpha * (before * (1 - labels)).sum(-1) / (now * (1 - labels)).sum(-1)


def test_right_answers_are_accepted() -> None:
    assert "smoothing" in exercises.check_start((0.28, 0.976))
    assert "easier" in exercises.check_rho(solution)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda now, before, labels, alpha: solution(before, now, labels, alpha), "exchanged"),
        (lambda now, before, labels, alpha: solution(now, before, 1 - labels, alpha), "one minus"),
        (lambda now, before, labels, alpha: solution(now, before, labels, 1.0), "take it from 1"),
        (lambda now, before, labels, alpha: solution(now, before, labels, alpha).mean(), "shape"),
    ],
)
def test_a_wrong_rho_gets_a_hint(answer: Any, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_rho(answer)


def test_wrong_targets_get_a_hint_and_no_answer_none() -> None:
    with pytest.raises(WrongAnswerError, match="a part, too"):
        exercises.check_start((0.2, 0.976))
    with pytest.raises(WrongAnswerError, match="this epoch"):
        exercises.check_start((0.28, 0.28))
    for nothing in ((None, None), (0.28, None)):
        with pytest.raises(NotImplementedError):
            exercises.check_start(nothing)
    with pytest.raises(NotImplementedError):
        exercises.check_rho(lambda now, before, labels, alpha: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(NotImplementedError):
        exercises.check_gains((None, None))


def test_the_gains_in_ece_are_those_of_the_recording() -> None:
    grid = store.read(experiments.Distillation)
    assert grid is not None
    ece = grid.ece.sel(alpha=0.8).mean("seed")
    gains = [float(ece.sel(arm="PS-KD", decay=decay) - ece.sel(arm="CE", decay=decay)) for decay in (0.002, 0.02)]
    assert gains[0] < 0 < gains[1]
    assert "overconfident" in exercises.check_gains(gains)
    with pytest.raises(WrongAnswerError, match=r"at decay 0\.02 "):
        exercises.check_gains((gains[0], -gains[1]))
