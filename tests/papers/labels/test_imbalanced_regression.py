"""The exact checks of ConR: worked numbers, invariances, a double loop, a plain PyTorch training loop."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from reglab import data
from reglab.exercise import WrongAnswerError
from reglab.papers.labels.imbalanced_regression import exercises, experiments, method
from reglab.recordings import store
from reglab.seeds import generator

SEED = st.integers(0, 2**31)
ROWS = 12


def batch(seed: int, views: int = 2) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return features [R, 5], labels, predictions and weights [R] of 6 examples in some views: some are confused."""
    source = torch.Generator().manual_seed(seed)
    features = torch.randn(6 * views, 5, generator=source, dtype=torch.float64)
    labels = (20 * torch.rand(6, generator=source, dtype=torch.float64)).repeat(views)
    predictions = 20 * torch.rand(6 * views, generator=source, dtype=torch.float64)
    weights = (0.5 + torch.rand(6, generator=source, dtype=torch.float64)).repeat(views)
    return features, labels, predictions, weights


def conr(rows: Iterable[Tensor], *how: Any) -> Tensor:
    features, labels, predictions, weights = rows
    return method.conr(features, labels, predictions, weights, *how)


def plain(
    features: Tensor, labels: Tensor, predictions: Tensor, weights: Tensor, window: float, push: float, tau: float,
    denominator: str,
) -> Tensor:  # fmt: skip
    """Return the loss by a double loop over rows."""
    total, rows = torch.zeros((), dtype=features.dtype), range(len(labels))
    for j in rows:
        s = [torch.cosine_similarity(features[j], features[i], dim=0) / tau for i in rows]
        far = [abs(float(labels[j] - labels[i])) for i in rows]
        positives = [i for i in rows if i != j and far[i] <= window]
        negatives = [i for i in rows if far[i] > window and abs(float(predictions[j] - predictions[i])) <= window]
        if not positives or not negatives:
            continue
        below = sum(s[i].exp() for i in positives) + (len(labels) - len(positives)) * (denominator == "official")
        below = below + sum(weights[j] * math.exp(push * far[i]) * s[i].exp() for i in negatives)
        total = total - weights[j] * sum((s[i].exp() / below).log() for i in positives) / len(positives)
    return total / len(labels)


# --------------------------------------------------------------------------------------------------------- the loss


@given(SEED, st.sampled_from([0.07, 0.5]), st.sampled_from([0.0, 0.1]), st.sampled_from(["official", "paper"]))
@settings(max_examples=20, deadline=None)
def test_the_loss_is_that_of_a_double_loop(seed: int, tau: float, push: float, denominator: str) -> None:
    rows = batch(seed)
    found = method.conr(*rows, 3.0, push, tau, denominator)
    torch.testing.assert_close(found, plain(*rows, 3.0, push, tau, denominator), atol=1e-9, rtol=1e-9)


def test_models_side_by_side_are_those_alone() -> None:
    several = [batch(seed) for seed in range(3)]
    pushes = torch.tensor([0.0, 0.02, 0.1], dtype=torch.float64)
    stacked = (torch.stack(parts) for parts in zip(*several, strict=True))
    together = conr(stacked, 3.0, pushes[:, None, None], 0.2)
    alone = [method.conr(*rows, 3.0, float(push), 0.2) for rows, push in zip(several, pushes, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone))


def test_the_pairs_of_four_rows_by_hand() -> None:
    labels, predictions = torch.tensor([0.0, 5, 11, 40]), torch.tensor([0.0, 20, 4, 18])
    positive, negative = method.pairs(labels, predictions, 5.0)
    assert positive.nonzero().tolist() == [[0, 1], [1, 0]]
    assert negative.nonzero().tolist() == [[0, 2], [1, 3], [2, 0], [3, 1]]


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_without_confusion_loss_and_gradient_are_zero(seed: int) -> None:
    features, labels, _, weights = batch(seed)
    features.requires_grad_()
    found = method.conr(features, labels, labels, weights, 3.0, 0.01, 0.2)
    (gradient,) = torch.autograd.grad(found, features)
    assert float(found.detach()) == 0 and (gradient == 0).all()


def test_no_gradient_flows_through_predictions() -> None:
    features, labels, predictions, weights = batch(0)
    predictions.requires_grad_()
    found = method.conr(features.requires_grad_(), labels, predictions, weights, 3.0, 0.01, 0.2)
    found.backward()
    assert predictions.grad is None and features.grad is not None and (features.grad != 0).any()


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_lengths_of_features_and_order_of_rows_do_not_matter(seed: int) -> None:
    rows = batch(seed)
    expected = method.conr(*rows, 3.0, 0.05, 0.2)
    source = torch.Generator().manual_seed(seed)
    lengths = 0.1 + torch.rand(ROWS, 1, generator=source, dtype=torch.float64)
    torch.testing.assert_close(method.conr(lengths * rows[0], *rows[1:], 3.0, 0.05, 0.2), expected)
    order = torch.randperm(ROWS, generator=source)
    torch.testing.assert_close(conr((part[order] for part in rows), 3.0, 0.05, 0.2), expected)


@pytest.mark.parametrize(
    ("denominator", "push", "expected"),
    [("paper", 0.0, 0.551445), ("official", 0.0, 1.043592), ("paper", 0.1, math.log(3))],
)
def test_two_examples_in_two_views_by_hand(denominator: str, push: float, expected: float) -> None:
    features = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]], dtype=torch.float64)
    labels, equal = torch.tensor([0.0, 10, 0, 10], dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    found = method.conr(features, labels, equal, torch.ones_like(labels), 1.0, push, 1.0, denominator)
    assert float(found) == pytest.approx(expected, abs=1e-6)
    # with weights 2 the outer weight and the push double: not simply twice the loss
    doubled = method.conr(features, labels, equal, 2 * torch.ones_like(labels), 1.0, push, 1.0, denominator)
    others = 3 * (denominator == "official") + 4 * math.exp(10 * push)
    assert float(doubled) == pytest.approx(2 * math.log((math.e + others) / math.e))


def test_the_push_of_a_pair_by_hand() -> None:
    found = method.pushes(torch.tensor([0.0, 10, 30]), torch.tensor([1.0, 2, 3]), 0.1)
    expected = [[1, math.e, math.e**3], [2 * math.e, 2, 2 * math.e**2], [3 * math.e**3, 3 * math.e**2, 3]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_rows_without_a_positive_count_nothing() -> None:
    features, _, predictions, weights = batch(1, views=1)
    labels = torch.arange(6, dtype=torch.float64) * 10
    features.requires_grad_()
    found = method.conr(features, labels, 0 * predictions, weights, 3.0, 0.01, 0.2)
    (gradient,) = torch.autograd.grad(found, features)
    assert float(found.detach()) == 0 and (gradient == 0).all()


# ------------------------------------------------------------------------------------------- weights and measures


def test_the_weights_of_six_labels_by_hand() -> None:
    labels = torch.tensor([0.0, 1, 2, 4.9, 5, 99.9], dtype=torch.float64)
    expected = torch.tensor([0.5, 0.5, 0.5, 0.5, 1, 1], dtype=torch.float64) * 6 / 4
    torch.testing.assert_close(method.label_weights(labels, 0.5), expected)
    torch.testing.assert_close(method.label_weights(labels, 0.0), torch.ones_like(expected))


def test_the_distance_to_neighbors_is_that_of_scikit_learn() -> None:
    from sklearn.neighbors import NearestNeighbors

    features, labels, _, _ = batch(2)
    queries, theirs, _, _ = batch(3)
    places = NearestNeighbors(n_neighbors=5, metric="cosine").fit(features.numpy()).kneighbors(queries.numpy())[1]
    expected = abs(labels.numpy()[places] - theirs.numpy()[:, None]).mean(-1)
    np.testing.assert_allclose(method.neighbor_distance(queries, theirs, features, labels), expected)


def test_principal_components_are_those_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import normalize

    features = batch(4)[0]
    expected = PCA(2).fit_transform(normalize(features.numpy()))
    found = method.principal(features).numpy()
    np.testing.assert_allclose(found * np.sign((found * expected).sum(0)), expected, atol=1e-10)


# ---------------------------------------------------------------------------------------------------- the experiment


def test_labels_are_drawn_from_their_density() -> None:
    """The 20000 pooled labels follow the density within the bound of Dvoretzky, Kiefer and Wolfowitz."""
    for mass in (0.05, 10.0):
        train, further, test, even = experiments.draw(tuple(range(8)), mass)
        drawn = torch.cat([train[1], further[1]], 1).flatten().sort().values
        grid = torch.linspace(0, 100, 100_001)[:-1] + 0.0005
        levels = experiments.density(grid, mass).cumsum(0)
        expected = (levels / levels[-1])[(drawn * 1000).long().clamp(max=99_999)]
        ranks = torch.arange(1, len(drawn) + 1) / len(drawn)
        bound = math.sqrt(math.log(2 / 1e-9) / (2 * len(drawn)))
        assert float(abs(ranks - expected).max()) < bound + 1e-3
        assert test[1].shape == (8, 1000) and ((test[1] >= 0) & (test[1] < 100)).all()
        assert even[1][0].tolist() == pytest.approx(np.arange(0.25, 100, 0.5))
        assert train[0].shape == (8, 600, 24) and further[0].shape == (8, 2000, 24)


ARMS = {  # weight of ConR, power of the weights, views of L1; what takes the place of labels and predictions
    "L1": (0.0, 0.0, 3, ""),
    "ConR": (40.0, 0.0, 3, ""),
    "all negatives": (40.0, 0.0, 3, "every"),
    "ConR, 1 view": (40.0, 0.0, 1, ""),
    "re-weighting + ConR": (40.0, 0.25, 3, ""),
    "shuffled labels": (40.0, 0.0, 3, "shuffle"),
}


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.usefixtures("double_precision")
def test_batched_training_equals_a_plain_loop(arm: str) -> None:
    seed, (beta, power, views, other) = 5, ARMS[arm]
    results = experiments.Regression(epochs=2).only([arm]).run([3, seed]).sel(arm=arm, seed=seed)
    (x, y), (fx, fy), (tx, ty), _ = ((inputs[0], labels[0]) for inputs, labels in experiments.draw((seed,), 0.05))
    source, layers = generator(seed, "weights"), [nn.Linear(24, 64), nn.Linear(64, 32), nn.Linear(32, 1)]
    with torch.no_grad():
        for layer in layers:
            drawn = torch.randn(layer.in_features, layer.out_features, generator=source)
            layer.weight.copy_(drawn.T * math.sqrt(2 / layer.in_features))
            layer.bias.zero_()
    encoder, head = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU()), layers[2]
    counts = torch.tensor([float(((y // 5) == (one // 5)).sum()) for one in y])
    weights = counts**-power / (counts**-power).mean()
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], weight_decay=1e-4)
    noise = generator(seed, "views")
    for epoch, rate in ((1, 2e-3), (2, 2e-4)):
        optimizer.param_groups[0]["lr"] = rate
        for index in data.batches((seed,), 600, 64, epoch)[:, 0]:
            features = encoder(x[index].repeat(3, 1) + 0.2 * torch.randn(192, 24, generator=noise))
            said = 100 * head(features)[:, 0]
            errors = (weights[index] * abs(said.reshape(3, 64) - y[index])).mean(-1)
            now, close = y[index], said[:128].detach()
            if other == "shuffle":
                now, close = now.roll(1), torch.cat([close[:64].roll(1), close[64:].roll(1)])
            if other == "every":
                close = torch.zeros(128)
            rows = (features[:128], now.repeat(2), close, weights[index].repeat(2))
            loss = errors[3 - views :].mean() + beta * method.conr(*rows, 5.0, 0.01, 0.2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        own, features, guessed = encoder(x), encoder(tx), 100 * head(encoder(fx))[:, 0]
        error = 100 * head(features)[:, 0] - ty
    rare = (ty < 10) | (ty > 50)
    between, bell = ((ty >= 10) & (ty < 20)) | ((ty > 40) & (ty <= 50)), torch.exp(-((fy - 30) ** 2) / 200)
    near = method.neighbor_distance(features[rare], ty[rare], own, y)
    third = (ty >= 10) & (ty < 15)
    expected = {
        "mae": abs(error).mean(),
        "few": abs(error)[rare].mean(),
        "median": abs(error)[between].mean(),
        "many": abs(error)[~rare & ~between].mean(),
        "pull": torch.where(ty < 30, error, -error)[rare].mean(),
        "neighbor_distance": near.mean(),
        "validation": -((guessed - fy).abs() / (0.05 + bell)).sum() / (1 / (0.05 + bell)).sum(),
    }
    found = {name: float(results[name].isel(epoch=-1) if "epoch" in results[name].dims else results[name])
             for name in expected}  # fmt: skip
    assert found == pytest.approx({name: float(value) for name, value in expected.items()}, abs=1e-7)
    assert float(results.mae_bin.sel(bin=12.5)) == pytest.approx(float(abs(error)[third].mean()), abs=1e-7)


def test_confusions_by_label_are_symmetric_and_never_near_the_diagonal() -> None:
    results = experiments.Regression(epochs=1).only(["L1", "ConR"]).run(2)
    found = results.confused.values
    np.testing.assert_array_equal(found, found.swapaxes(-1, -2))
    assert (np.diagonal(found, axis1=-2, axis2=-1) == 0).all()
    np.testing.assert_allclose(found.mean((-1, -2)), results.confusions.isel(epoch=-1), rtol=1e-5)
    assert (results.label_histogram.sum("bin") == 600).all()


def test_a_constant_knows_nothing_and_has_no_neighbors() -> None:
    results = experiments.Regression(epochs=2).only(["L1", "constant"]).run(2).sel(arm="constant")
    _, _, (_, truth), _ = experiments.draw((0, 1), 0.05)
    np.testing.assert_allclose(results.mae, abs(truth - 50).mean(-1)[:, None].expand(-1, 3), rtol=1e-5)
    assert results.neighbor_distance.isnull().all()


def test_what_settings_are_chosen_by_depends_on_no_test_data(monkeypatch: pytest.MonkeyPatch) -> None:
    here = experiments.Regression(epochs=1).run(2)
    draw = experiments.draw

    def other(*arguments: Any) -> list[experiments.Sample]:
        train, further, (inputs, labels), even = draw(*arguments)
        return [train, further, (inputs.flip(1), labels), even]

    monkeypatch.setattr(experiments, "draw", other)
    there = experiments.Regression(epochs=1).run(2)
    assert here.validation.equals(there.validation) and not here.mae.equals(there.mae)


# ---------------------------------------------------------------------------------------------------- exercises


def loop(s: Tensor, positive: Tensor, negative: Tensor, push: Tensor, eta: Tensor) -> Tensor:
    total = torch.zeros(())
    for j in range(len(s)):
        if negative[j].any():
            below = s[j][positive[j]].exp().sum() + (push[j] * s[j].exp())[negative[j]].sum()
            total = total - eta[j] * (s[j][positive[j]].exp() / below).log().mean()
    return total / len(s)


def slope(s: Tensor, positive: Tensor, negative: Tensor, push: Tensor, eta: Tensor) -> Tensor:
    pushed = negative * push * s.exp()
    below = (positive * s.exp() + pushed).sum(-1, keepdim=True)
    return eta[:, None] * pushed / below / len(s)


def test_right_answers_are_accepted() -> None:
    assert "confused" in exercises.check_pairs([60, 80])
    assert "pushed" in exercises.check_push((loop, slope))


@pytest.mark.parametrize(
    ("answer", "hint"), [([24, 60, 80], "positive"), ([60, 80, 90], "all far"), ([60], "more than ω")]
)
def test_wrong_pairs_get_a_hint(answer: Any, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_pairs(answer)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ((method.contrast, slope), "authors"),
        ((lambda s, positive, negative, push, _: loop(s, positive, negative, push, torch.ones(8)), slope), "missing"),
        ((lambda *rows: 8 * loop(*rows), slope), "not a sum"),
        ((lambda *rows: -loop(*rows), slope), "one anchor"),
        ((loop, lambda *rows: 8 * slope(*rows)), "divide"),
        ((loop, lambda *rows: -slope(*rows)), "raises"),
        ((loop, lambda *rows: 2 * slope(*rows)), "logarithm"),
        ((loop, lambda *rows: 1.0), "shape"),
    ],
)
def test_wrong_pushes_get_a_hint(answer: Any, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_push(answer)


def test_the_numbers_of_the_sweep_are_those_of_the_recording() -> None:
    shown = []
    for name in ("neighbor_distance", "few"):
        for beta in (0, 20, 80):
            found = store.at(experiments.Regression(beta=beta))
            assert found is not None
            values = found[name].sel(arm="ConR")
            shown.append(float((values.isel(epoch=-1) if "epoch" in values.dims else values).mean()))
    assert "purer" in exercises.check_sweep(shown)
    with pytest.raises(WrongAnswerError, match="at β = 80"):
        exercises.check_sweep([*shown[:2], 30.0, *shown[3:]])


def test_no_answer_is_no_mistake() -> None:
    def nothing(*rows: Tensor) -> None:
        return None

    for answer in ((nothing, nothing), (loop, nothing)):
        with pytest.raises(NotImplementedError):
            exercises.check_push(answer)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError):
        exercises.check_sweep((None,) * 6)
