"""The exact checks of feature compression: enumerated masks, normal equations, plain PyTorch loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch import Tensor, nn

from reglab import data
from reglab.exercise import WrongAnswerError
from reglab.knobs import Arm
from reglab.models import dropout
from reglab.papers.labels.feature_compression import exercises, experiments, method
from reglab.recordings import store
from reglab.seeds import generator
from reglab.training import Lanes

SEED = st.integers(0, 2**31)


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---------------------------------------------------------------------------------------------------------- prefixes


def test_probabilities_by_hand() -> None:
    found = method.prefix_probabilities(torch.tensor([2.5], dtype=torch.float64), 3)[0]
    weights = torch.tensor([1, math.exp(-0.48), math.exp(-1.28)], dtype=torch.float64)
    torch.testing.assert_close(found, weights / weights.sum(), atol=1e-7, rtol=0)


@given(st.floats(0.5, 64), st.integers(1, 32))
@settings(deadline=None)
def test_probabilities_sum_to_one_and_fall(std: float, features: int) -> None:
    found = method.prefix_probabilities(std, features)
    assert float(found.sum()) == pytest.approx(1, abs=1e-5)
    assert (found.diff() <= 0).all()


def test_a_very_large_std_keeps_each_number_of_features_as_often() -> None:
    torch.testing.assert_close(method.prefix_probabilities(1e6, 7), torch.full((7,), 1 / 7))


def test_quantiles_of_uniform_numbers_have_the_probabilities() -> None:
    probabilities, count = method.prefix_probabilities(12.0, 32), 100_000
    drawn = method.draw_prefix((torch.arange(count) + 0.5) / count, probabilities)
    shares = torch.bincount(drawn, minlength=33)[1:] / count
    torch.testing.assert_close(shares, probabilities, atol=2e-5, rtol=0)
    assert method.draw_prefix(torch.tensor([0.0, 1.0]), probabilities).tolist() == [1, 32]


def test_a_mask_keeps_the_first_features_and_is_not_rescaled() -> None:
    found = method.prefix_mask(torch.tensor([1, 3, 4]), 4)
    assert found.tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]


def test_all_prefixes_at_once_are_each_mask_alone() -> None:
    h, weights = draw(0, 3, 5, 4), draw(1, 3, 4, 2)
    found = method.prefix_logits(h, weights)
    for k in range(1, 5):
        masked = h * method.prefix_mask(torch.tensor(k), 4)
        torch.testing.assert_close(found[:, :, k - 1], masked @ weights)
    torch.testing.assert_close(found[:, :, 3], h @ weights)


def test_features_above_k_and_their_weights_get_no_gradient() -> None:
    h, weights = draw(0, 5, 4).requires_grad_(), draw(1, 4, 3).requires_grad_()
    logits = h * method.prefix_mask(torch.tensor(2), 4).double() @ weights
    method.cross_entropy(logits, torch.tensor([0, 1, 2, 0, 1])).mean().backward()
    assert h.grad is not None and weights.grad is not None
    assert (h.grad[:, 2:] == 0).all() and (weights.grad[2:] == 0).all()
    assert (h.grad[:, :2] != 0).all() and (weights.grad[:2] != 0).all()


def test_the_smaller_of_two_equal_prefixes_is_kept() -> None:
    accuracies = torch.tensor([[0.1, 0.9, 0.9, 0.8], [0.1, 0.2, 0.3, 0.905], [0.5, 0.5, 0.5, 0.5]])
    assert method.best_prefix(accuracies).tolist() == [2, 4, 1]
    assert method.best_prefix(torch.tensor([0.9, 0.9 + 2e-5])).item() == 2


# -------------------------------------------------------------------------------------- what compression minimizes


def test_the_nested_loss_over_enumerated_k_is_the_weighted_sum() -> None:
    h, weights, targets, count = draw(0, 6, 4), draw(1, 4), draw(2, 6), 10_000
    probabilities = method.prefix_probabilities(2.5, 4).double()
    losses = (method.prefix_logits(h, weights.unsqueeze(-1))[..., 0] - targets[:, None]).square().mean(0)
    drawn = method.draw_prefix((torch.arange(count) + 0.5) / count, probabilities)
    assert float(losses[drawn - 1].mean()) == pytest.approx(float(probabilities @ losses), rel=1e-3)


@pytest.mark.parametrize("drop", [0.1, 0.5, 0.9])
def test_on_average_over_all_masks_dropout_is_a_ridge_that_the_data_set(drop: float) -> None:
    """For a linear layer: E loss = loss + q/(1-q) · mean of Σ_j h_j²w_j²."""
    h, weights, targets = draw(0, 6, 4), draw(1, 4), draw(2, 6)
    total = torch.zeros((), dtype=torch.float64)
    # masks are drawn for each example on its own, so the mean of one example's loss is over its 16 masks
    for mask in itertools.product((0.0, 1.0), repeat=4):
        m = torch.tensor(mask, dtype=torch.float64)
        probability = drop ** (4 - m.sum()) * (1 - drop) ** m.sum()
        masked = dropout.dropout(h, m.expand(6, 4), drop)
        total = total + probability * (masked @ weights - targets).square().mean()
    ridge = drop / (1 - drop) * (h * weights).square().sum(-1).mean()
    torch.testing.assert_close(total, (h @ weights - targets).square().mean() + ridge)


def nested_loss(weights: Tensor, h: Tensor, targets: Tensor, probabilities: Tensor) -> Tensor:
    losses = [(h[:, :k] @ weights[:k] - targets).square().mean() for k in range(1, len(weights) + 1)]
    return (probabilities * torch.stack(losses)).sum()


@given(SEED, st.floats(1, 64))
@settings(max_examples=20, deadline=None)
def test_the_nested_optimum_has_no_gradient(seed: int, std: float) -> None:
    h, targets, probabilities = draw(seed, 9, 4), draw(seed + 1, 9), method.prefix_probabilities(std, 4).double()
    found = method.nested_optimum(h, targets, probabilities).requires_grad_()
    gradient = torch.autograd.grad(nested_loss(found, h, targets, probabilities), found)[0]
    torch.testing.assert_close(gradient, torch.zeros(4, dtype=torch.float64), atol=1e-9, rtol=0)


def test_the_nested_optimum_is_that_of_stacked_least_squares() -> None:
    h, targets, probabilities = draw(3, 9, 3), draw(4, 9), method.prefix_probabilities(2.0, 3).double()
    rows = [p.sqrt() * h * method.prefix_mask(torch.tensor(k), 3) for k, p in enumerate(probabilities, 1)]
    right = [p.sqrt() * targets for p in probabilities]
    expected = np.linalg.lstsq(torch.cat(rows).numpy(), torch.cat(right).numpy())[0]
    np.testing.assert_allclose(method.nested_optimum(h, targets, probabilities), expected, atol=1e-10)


@pytest.mark.parametrize("std", [1.0, 3.0, 1e6])
def test_orthonormal_features_have_the_least_squares_optimum_and_correlated_ones_another(std: float) -> None:
    h, targets, probabilities = draw(5, 8, 4), draw(6, 8), method.prefix_probabilities(std, 4).double()
    orthonormal = torch.linalg.qr(h).Q
    torch.testing.assert_close(method.nested_optimum(orthonormal, targets, probabilities), orthonormal.T @ targets)
    plain = torch.linalg.lstsq(h, targets).solution
    assert float((method.nested_optimum(h, targets, probabilities) - plain).abs().max()) > 0.01


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_bias_and_variance_add_up_to_the_mean_squared_error(seed: int) -> None:
    predictions, truth = 3 * draw(seed, 2, 12, 20), draw(seed + 1, 20)
    bias2, variance, error = method.bias_variance(predictions, truth)
    np.testing.assert_allclose(variance, np.var(predictions.numpy(), axis=-2), atol=1e-12)
    np.testing.assert_allclose(error, np.mean((predictions - truth).numpy() ** 2, axis=-2), atol=1e-12)
    torch.testing.assert_close(bias2 + variance, error, atol=1e-10, rtol=0)


def test_principal_axes_are_those_of_scikit_learn() -> None:
    h = draw(7, 2, 30, 5)
    mean, axes = method.principal_axes(h)
    for one in range(2):
        reference = PCA().fit(h[one].numpy())
        np.testing.assert_allclose(mean[one, 0], reference.mean_)
        np.testing.assert_allclose(abs(np.sum(axes[one].numpy().T * reference.components_, 1)), 1, atol=1e-10)


# ----------------------------------------------------------------------------------------------------- co-teaching


def test_selection_by_hand() -> None:
    losses = torch.tensor([0.1, 0.9, 0.5, 0.3])
    assert method.keep_smallest(losses, torch.tensor([0.5])).tolist() == [True, False, False, True]
    assert method.keep_smallest(losses, torch.tensor([0.0])).all()


@given(st.integers(0, 60), st.integers(1, 80))
@settings(deadline=None)
def test_as_many_are_kept_as_the_formula_says(percent: int, size: int) -> None:
    kept = method.keep_smallest(draw(percent, size), torch.tensor([percent / 100]))
    assert int(kept.sum()) == (100 - percent) * size // 100


def test_the_exchange_gives_each_network_what_belongs_to_the_other() -> None:
    values = torch.arange(12).reshape(12, 1)  # 2 arms, 2 networks, 3 seeds
    assert method.exchange(values, 3).flatten().tolist() == [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]


@given(st.sampled_from([0.0, 0.1, 0.3, 0.4, 0.6]), SEED)
@settings(max_examples=20, deadline=None)
def test_in_every_class_the_same_share_of_labels_is_wrong(rate: float, seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (2, 300), generator=draws)
    order, shift = torch.rand(2, 300, generator=draws), torch.randint(1, 10, (2, 300), generator=draws)
    noisy = method.flip_labels(labels, rate, order, shift)
    for row, one in zip(labels, noisy, strict=True):
        for label in range(10):
            count = int((row == label).sum())
            assert int((one != row)[row == label].sum()) == round(10 * rate) * count // 10
    assert ((noisy >= 0) & (noisy < 10)).all()


def test_wrong_labels_are_uniform_over_the_other_classes() -> None:
    labels, draws = torch.full((1, 90), 4), torch.Generator().manual_seed(0)
    shift = torch.arange(1, 10).repeat(10).unsqueeze(0)
    noisy = method.flip_labels(labels, 1.0, torch.rand(1, 90, generator=draws), shift)
    assert torch.bincount(noisy.flatten(), minlength=10).tolist() == [10, 10, 10, 10, 0, 10, 10, 10, 10, 10]


# --------------------------------------------------------------------------------------------------- the experiment


def pairs(stage: int = 2, seeds: tuple[int, ...] = (0, 1), noise: float = 0.4) -> experiments.Pairs:
    """Return pairs with first weights that choose by small loss."""
    made = experiments.Pairs(Lanes({"a": Arm("baseline", forget=0.4)}, seeds + seeds, {}), noise, stage)
    made.measure(0.4)
    return made


@pytest.mark.usefixtures("double_precision")
def test_a_network_is_taught_by_the_half_and_the_choice_of_the_other() -> None:
    index = data.batches((0, 1), 1000, 100, 1)[0].unflatten(-1, (2, 50)).transpose(0, 1).flatten(0, 1)

    def gradients(changed: int | None) -> Tensor:
        """Return the gradient of the classifiers, [network, seed, ...], with other images in one half."""
        made = pairs()
        if changed is not None:
            half = index.unflatten(0, (2, 2))[changed]
            made.train.unflatten(0, (2, 2))[:, torch.arange(2).unsqueeze(1), half] += 1
        made.taught(index).sum().backward()
        assert made.head.grad is not None
        return made.head.grad.unflatten(0, (2, 2))

    before, first, second = gradients(None), gradients(0), gradients(1)
    assert (first[0] == before[0]).all() and not torch.allclose(first[1], before[1])
    assert (second[1] == before[1]).all() and not torch.allclose(second[0], before[0])


@pytest.mark.usefixtures("double_precision")
def test_who_forgets_nothing_trains_on_all_of_the_other_half() -> None:
    some = experiments.Compression(forget=0, epochs=1, epochs_two=2).run(2)
    for one, other in (("CE", "CE + Co-teaching"), ("Nested", "random selection")):
        np.testing.assert_allclose(some.accuracy.sel(arm=one), some.accuracy.sel(arm=other), atol=1e-8)


def test_a_point_mass_at_the_last_feature_is_no_mask() -> None:
    mask = method.prefix_mask(method.draw_prefix(torch.rand(9), torch.eye(32)[-1]), 32)
    assert (mask == 1).all()


def test_networks_of_a_pair_start_apart_and_keep_the_same_features_in_stage_two() -> None:
    for stage, same in ((1, False), (2, True)):
        made = pairs(stage)
        uniform = dropout.noise(made.prefix, 5).unflatten(0, (2, 2))
        assert torch.equal(uniform[0], uniform[1]) == same
        mask = dropout.noise(made.mask, 5).unflatten(0, (2, 2))
        assert not torch.equal(mask[0], mask[1])
    first, *_ = made.network.parameters()
    assert not torch.equal(*first.unflatten(0, (2, 2)))


def plain(sizes: list[int], seed: int, purpose: str) -> nn.Sequential:
    """Return a network in plain PyTorch with the first weights of the experiment."""
    modules: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        modules += [nn.Linear(inputs, outputs, bias=outputs != sizes[-1]), nn.ReLU()]
    source = generator(seed, purpose)
    for module in modules:
        if isinstance(module, nn.Linear):
            limit = (3 / module.in_features) ** 0.5
            drawn = torch.empty(module.in_features, module.out_features).uniform_(-limit, limit, generator=source)
            module.weight.data = 2**0.5 * drawn.T
            if module.bias is not None:
                module.bias.data.zero_()
    return nn.Sequential(*modules[:-1])


def head(model: nn.Sequential) -> Tensor:
    """Return the weights of the last layer: [K, C]."""
    last = model[-1]
    assert isinstance(last, nn.Linear)
    return last.weight.T


class PlainPair:
    """A pair of networks trained as the official code does it, in plain loops."""

    def __init__(self, seed: int, std: float, drop: float, decay: float, forget: float, random: bool) -> None:
        self.seed, self.std, self.drop, self.decay, self.forget, self.random = seed, std, drop, decay, forget, random
        self.task = pairs(2, (seed,))
        self.models = [plain([64, 128, 32, 10], seed, f"weights of {which}") for which in (0, 1)]

    def sgd(self, rate: float) -> list[torch.optim.SGD]:
        return [
            torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=self.decay) for model in self.models
        ]

    def keep(self, uniform: Tensor) -> int:
        if not self.std:
            return 32
        weights = np.exp(-((np.arange(1, 33) / self.std) ** 2))
        return int(np.searchsorted(np.cumsum(weights) / weights.sum(), float(uniform), side="right")) + 1

    def loss(self, model: nn.Sequential, index: Tensor, kept: int, mask: Tensor) -> Tensor:
        h = model[:-1](self.task.train[0, index])
        h = torch.where(mask >= self.drop, h / (1 - self.drop), 0)
        h = torch.cat([h[:, :kept], torch.zeros(len(h), 32 - kept)], 1)
        return F.cross_entropy(h @ head(model), self.task.observed[0, index])

    def chosen(self) -> int:
        if not self.std:
            return 32
        scores = []
        for k in range(1, 33):
            right = self.logits(self.task.valid[0], k).argmax(-1) == self.task.valid_labels[0]
            scores.append(float(right.double().mean()) - 1e-5 * k)
        return int(np.argmax(scores)) + 1

    @torch.no_grad()
    def logits(self, inputs: Tensor, kept: int) -> Tensor:
        return torch.stack([model[:-1](inputs)[:, :kept] @ head(model)[:kept] for model in self.models]).mean(0)

    def stage_one(self, epochs: int) -> None:
        optimizers = self.sgd(0.05)
        for which in (0, 1):
            prefix = generator(self.seed, f"prefix of {which}")
            dropped = generator(self.seed, f"mask of {which} in stage 1")
            for epoch in range(1, epochs + 1):
                optimizers[which].param_groups[0]["lr"] = 0.05 if epoch <= epochs * 2 / 3 else 0.005
                for index in data.batches((self.seed,), 1000, 50, 2 * epoch + which)[:, 0]:
                    optimizers[which].zero_grad()
                    kept, mask = self.keep(torch.rand(1, generator=prefix)), torch.rand(50, 32, generator=dropped)
                    self.loss(self.models[which], index, kept, mask).backward()
                    optimizers[which].step()

    def stage_two(self, before: int, epochs: int) -> None:
        optimizers, prefix = self.sgd(0.005), generator(self.seed, "prefix of both")
        dropped = [generator(self.seed, f"mask of {which} in stage 2") for which in (0, 1)]
        choices = [generator(self.seed, f"choice of {which}") for which in (0, 1)]
        for epoch in range(1, epochs + 1):
            kept_pair = self.chosen()
            for index in data.batches((self.seed,), 1000, 100, 2 * (before + epoch))[:, 0]:
                chosen = []
                for which, half in enumerate((index[:50], index[50:])):
                    with torch.no_grad():
                        h = self.models[which][:-1](self.task.train[0, half])
                        logits = h[:, :kept_pair] @ head(self.models[which])[:kept_pair]
                        scores = F.cross_entropy(logits, self.task.observed[0, half], reduction="none")
                    uniform = torch.rand(50, generator=choices[which])
                    count = 50 - round(50 * self.forget)
                    chosen.append((uniform if self.random else scores).argsort()[:count])
                kept = self.keep(torch.rand(1, generator=prefix))
                for which, half in ((0, index[50:]), (1, index[:50])):
                    mask, those = torch.rand(50, 32, generator=dropped[which]), chosen[1 - which]
                    optimizers[which].zero_grad()
                    self.loss(self.models[which], half[those], kept, mask[those]).backward()
                    optimizers[which].step()

    def accuracy(self) -> float:
        right = self.logits(self.task.test[0], self.chosen()).argmax(-1) == self.task.test_labels[0]
        return float(right.double().mean())


ARMS = {  # η, q, decay, τ, random
    "CE": (0, 0, 5e-4, 0, False),
    "CE + Co-teaching": (0, 0, 5e-4, 0.4, False),
    "Dropout": (0, 0.6, 5e-4, 0, False),
    "Nested": (12, 0, 5e-4, 0, False),
    "Dropout + Co-teaching": (0, 0.6, 5e-4, 0.4, False),
    "Nested + Co-teaching": (12, 0, 5e-4, 0.4, False),
    "CE, tuned decay": (0, 0, float(experiments.Compression.arms["CE, tuned decay"].settings["decay"]), 0, False),
    "random selection": (12, 0, 5e-4, 0.4, True),
}


@pytest.mark.usefixtures("double_precision")
def test_batched_training_equals_plain_loops() -> None:
    results = experiments.Compression(epochs=3, epochs_two=2).run([3, 5])
    assert list(results.arm.values) == list(ARMS)
    for arm, options in ARMS.items():
        plain = PlainPair(5, *options)
        plain.stage_one(3)
        found = results.sel(arm=arm, seed=5)
        assert float(found.accuracy.sel(epoch=3)) == pytest.approx(plain.accuracy(), abs=1e-6), arm
        assert float(found.best_prefix.sel(epoch=3)) == plain.chosen(), arm
        plain.stage_two(3, 2)
        assert float(found.accuracy.sel(epoch=5)) == pytest.approx(plain.accuracy(), abs=1e-6), arm


def test_the_digits_are_split_and_labeled_as_declared() -> None:
    task = pairs(2, (0, 4))
    assert [one.shape[1] for one in (task.train, task.valid, task.test)] == [1000, 200, 597]
    wrong = (task.observed != task.truth).double().mean(1)
    assert ((wrong > 0.395) & (wrong <= 0.4)).all()
    whole = torch.cat([task.train, task.valid, task.test], 1)
    assert len(torch.unique(whole[0], dim=0)) > 1700, "no digit is in two parts"
    torch.testing.assert_close(task.train.mean(1), torch.zeros(4, 64), atol=1e-5, rtol=0)
    for values in (task.train, task.observed, task.valid_labels, task.test_labels):
        assert torch.equal(*values.unflatten(0, (2, 2))), "both networks have the same data"


@pytest.mark.usefixtures("double_precision")
def test_curves_are_fitted_as_by_a_plain_loop() -> None:
    results = experiments.BiasVariance(steps=20).run([2])
    x, grid = torch.linspace(-1, 1, 40).unsqueeze(1), torch.tensor(results.x.values).unsqueeze(1)
    labels = experiments.curve(x) + 0.5 * data.normal((2,), "noise of the labels", 12, 40, 1)[0, 0]
    for arm, drop, kept in (("plain", 0.0, 32), ("Dropout", 0.5, 32), ("Nested", 0.0, 8)):
        model = plain([1, 32, 32, 32, 1], 2, "weights")
        first = model[0]
        assert isinstance(first, nn.Linear)
        first.weight.data *= 4
        first.bias.data = 8 * torch.rand(32, generator=generator(2, "biases")) - 4
        optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
        prefix, dropped = generator(2, "prefix"), generator(2, "mask")
        for _ in range(20):
            uniform, mask = torch.rand(1, generator=prefix), torch.rand(40, 32, generator=dropped)
            k = 32
            if arm == "Nested":
                weights = np.exp(-((np.arange(1, 33) / 10) ** 2))
                k = int(np.searchsorted(np.cumsum(weights) / weights.sum(), float(uniform), side="right")) + 1
            h = torch.where(mask >= drop, model[:-1](x) / (1 - drop), 0)[:, :k]
            optimizer.zero_grad()
            (h @ head(model)[:k] - labels).square().mean().backward()
            optimizer.step()
        with torch.no_grad():
            fit = model[:-1](grid)[:, :kept] @ head(model)[:kept]
        np.testing.assert_allclose(results.curve.sel(arm=arm, seed=2), fit[:, 0], atol=1e-8, err_msg=arm)
    mean = float(labels.mean())
    np.testing.assert_allclose(results.curve.sel(arm="constant", seed=2), mean, atol=1e-12)


def test_the_mean_label_has_the_variance_of_the_noise_and_the_bias_of_a_constant() -> None:
    results = experiments.BiasVariance(steps=10).run([2]).sel(arm="constant", seed=2)
    truth, points = results.truth.values, experiments.curve(torch.linspace(-1, 1, 40, dtype=torch.float64)).numpy()
    means = points.mean() + 0.5 * data.normal((2,), "noise of the labels", 12, 40, 1)[0, :, :, 0].numpy().mean(1)
    assert float(results.variance) == pytest.approx(means.var(), abs=1e-6) == float(results.all_variance)
    assert float(results.bias2) == pytest.approx(((means.mean() - truth) ** 2).mean(), abs=1e-6)


# ------------------------------------------------------------------------------------------------------- exercises


def solution(h: Tensor, targets: Tensor, probabilities: Tensor) -> Tensor:
    there = probabilities.flip(0).cumsum(0).flip(0)
    j = torch.arange(len(there))
    together = there[torch.maximum(j, j[:, None])]
    return torch.linalg.solve(h.T @ h * together, h.T @ targets * there)


def test_right_answers_are_accepted() -> None:
    assert "seven" in exercises.check_reach(0.147)
    assert "correlated" in exercises.check_optimum(solution)


@pytest.mark.parametrize(("answer", "hint"), [(0.853, "not there"), (1 / 3, "equally"), (0.5, "sum to 1")])
def test_a_wrong_share_gets_a_hint(answer: float, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_reach(answer)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda h, y, p: torch.linalg.lstsq(h, y[:, None]).solution[:, 0], "orthonormal features only"),
        (lambda h, y, p: h.T @ y * p, "gradient"),
        (lambda h, y, p: 0.0, "shape"),
    ],
)
def test_a_wrong_optimum_gets_a_hint(answer: object, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_optimum(answer)  # type: ignore[arg-type]


def test_the_ends_that_are_read_off_are_those_of_the_recording() -> None:
    shown = []
    for noise in (0.0, 0.4):
        recorded = store.at(experiments.Compression(noise=noise, std=6.0))
        assert recorded is not None
        shown += [float(recorded.accuracy.sel(arm=arm).isel(epoch=-1).mean()) for arm in ("CE", "Nested")]
    assert "costs" in exercises.check_sweep(shown)
    with pytest.raises(WrongAnswerError, match=r"r = 0\.4 .* Nested"):
        exercises.check_sweep([*shown[:3], 0.1])
    with pytest.raises(WrongAnswerError, match="four numbers"):
        exercises.check_sweep(shown[:2])


def test_no_answer_is_no_mistake() -> None:
    for unanswered in (
        lambda: exercises.check_reach(None),  # type: ignore[arg-type]
        lambda: exercises.check_optimum(lambda *_: None),  # type: ignore[arg-type]
        lambda: exercises.check_sweep((None,) * 4),
    ):
        with pytest.raises(NotImplementedError):
            unanswered()
