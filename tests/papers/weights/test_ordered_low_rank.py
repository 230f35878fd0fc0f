"""The exact checks of Maestro: closed forms, NumPy's SVD, SciPy's minimizer, plain PyTorch loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor, nn

from reglab import data, metrics
from reglab.exercise import WrongAnswerError
from reglab.knobs import Arm
from reglab.papers.weights._shared import cost, network
from reglab.papers.weights.ordered_low_rank import exercises, experiments, method
from reglab.recordings import store
from reglab.seeds import generator
from reglab.training import Lanes

SEED = st.integers(0, 2**31)
WORKED = torch.diag(torch.tensor([3.0, 2.0, 1.0])).double()
EYE = torch.eye(3).double()


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spread(seed: int, size: int) -> Tensor:
    """Return a covariance that is not isotropic."""
    mixed = normal(seed, size, size)
    return mixed @ mixed.mT / size + 0.1 * torch.eye(size).double()


# ------------------------------------------------------------------------------------------------------ the SVD start


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_the_start_is_the_weight_and_its_prefixes_are_numpy_s_best_approximations(seed: int) -> None:
    weight, x, bias = normal(seed, 6, 9), normal(seed + 1, 20, 9), normal(seed + 2, 6)
    u, v = method.start(weight)
    left, values, right = np.linalg.svd(weight.numpy())
    for k in range(1, 7):
        best = torch.from_numpy((left[:, :k] * values[:k]) @ right[:k])
        torch.testing.assert_close(x @ v[:, :k] @ u[:, :k].mT + bias, x @ best.mT + bias, atol=1e-5, rtol=0)
        torch.testing.assert_close(method.best_rank(weight, k), best)
        torch.testing.assert_close(method.prefixes(u, v)[k - 1], best)
    torch.testing.assert_close(u @ v.mT, weight)
    torch.testing.assert_close(method.importance(u, v), torch.from_numpy(values))


# ----------------------------------------------------------------------------------------------------- the loss F


def test_the_worked_example() -> None:
    u, v = method.start(WORKED)
    reverse = u.flip(-1), v.flip(-1)
    assert float(method.ordered_loss(u, v, WORKED, EYE)) == pytest.approx(2)
    assert float(method.ordered_loss(*reverse, WORKED, EYE)) == pytest.approx(22 / 3)
    for pair in ((u, v), reverse):
        assert float(method.error(pair[0] @ pair[1].mT, WORKED, EYE)) == pytest.approx(0)
    assert experiments.identity_gap() < 1e-10


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_at_the_svd_the_gradient_is_zero_and_the_loss_its_lower_bound(seed: int) -> None:
    target, identity = normal(seed, 4, 5), torch.eye(5).double()
    u, v = (one.requires_grad_() for one in method.start(target))
    loss = method.ordered_loss(u, v, target, identity)
    for slope in torch.autograd.grad(loss, (u, v)):
        torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-10, rtol=0)
    squares = torch.linalg.svdvals(target).square()
    assert float(loss.detach()) == pytest.approx(float(sum(squares[b:].sum() for b in range(1, 5)) / 4))


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_the_error_is_the_mean_over_inputs(seed: int) -> None:
    target, product, x = normal(seed, 3, 5), normal(seed + 1, 3, 5), normal(seed + 2, 50, 5)
    expected = (x @ (target - product).mT).square().sum(-1).mean()
    torch.testing.assert_close(method.error(product, target, x.mT @ x / 50), expected)


@given(SEED, st.floats(0.2, 5))
@settings(max_examples=20, deadline=None)
def test_scaling_a_column_changes_the_penalty_but_neither_loss_nor_importance(seed: int, scale: float) -> None:
    u, v, target, covariance = normal(seed, 4, 3), normal(seed + 1, 5, 3), normal(seed + 2, 4, 5), spread(seed + 3, 5)
    factor = torch.tensor([1.0, scale, 1.0]).double()
    other = u * factor, v / factor
    before, after = (method.ordered_loss(*pair, target, covariance) for pair in ((u, v), other))
    torch.testing.assert_close(before, after)
    torch.testing.assert_close(method.importance(u, v), method.importance(*other))
    if abs(scale - 1) > 0.1 and abs(scale - float(v[:, 1].norm() / u[:, 1].norm())) > 0.1:
        assert abs(float(method.group_lasso(u, v) - method.group_lasso(*other))) > 1e-6


@pytest.mark.parametrize("start", range(5))
def test_a_numerical_minimizer_finds_the_closed_form_for_every_rank(start: int) -> None:
    target, covariance = normal(7, 3, 4), spread(8, 4)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        values = torch.tensor(flat, requires_grad=True)
        found = method.ordered_loss(values[:9].reshape(3, 3), values[9:].reshape(4, 3), target, covariance)
        return float(found.detach()), torch.autograd.grad(found, values)[0].numpy()

    options: Any = {"maxiter": 20000, "maxfun": 50000, "ftol": 1e-16, "gtol": 1e-10}
    found = minimize(loss, normal(20 + start, 21).numpy(), jac=True, method="L-BFGS-B", options=options)
    u, v = torch.tensor(found.x[:9]).reshape(3, 3), torch.tensor(found.x[9:]).reshape(4, 3)
    for b in (1, 2, 3):
        expected = method.best_prefix(target, covariance, b)
        torch.testing.assert_close(u[:, :b] @ v[:, :b].mT, expected, atol=1e-6, rtol=0)
    assert float((expected - method.best_rank(target, 3)).abs().max()) < 1e-6
    assert float((method.best_prefix(target, covariance, 1) - method.best_rank(target, 1)).abs().max()) > 0.05


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_the_best_prefix_does_not_depend_on_the_root_and_is_pca_for_the_identity(seed: int) -> None:
    target, covariance = normal(seed, 3, 4), spread(seed + 1, 4)
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.sqrt() @ vectors.mT
    expected = method.best_rank(target @ root, 2) @ torch.linalg.inv(root)
    torch.testing.assert_close(method.best_prefix(target, covariance, 2), expected)
    torch.testing.assert_close(method.best_prefix(target, torch.eye(4).double(), 2), method.best_rank(target, 2))
    first = vectors[:, -2:]
    torch.testing.assert_close(method.best_prefix(torch.eye(4).double(), covariance, 2), first @ first.mT)


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_the_whitened_svd_has_the_nearest_outputs(seed: int) -> None:
    weight, inputs = normal(seed, 5, 4), normal(seed + 1, 30, 5) * torch.tensor([3, 1, 1, 0.3, 1]).double()
    own, svd = (inputs @ (weight - one) for one in (method.whitened(weight, inputs, 2), method.best_rank(weight, 2)))
    least = torch.linalg.svdvals(inputs @ weight)[2:].square().sum()
    assert float(own.square().sum()) == pytest.approx(float(least), rel=1e-3)
    assert own.square().sum() <= svd.square().sum() * (1 + 1e-6)
    torch.testing.assert_close(method.whitened(weight, inputs, 4), weight, atol=1e-6, rtol=0)


# ---------------------------------------------------------------------------------------- the penalty and the sampler


def test_the_group_lasso_by_hand() -> None:
    u = torch.eye(2).double()
    assert float(method.group_lasso(u, u)) == pytest.approx(2 * (2**0.5 + 1), abs=1e-6)
    assert float(2 * u.norm(dim=0).sum()) == 4  # of a plain group lasso


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_the_group_lasso_sums_the_norms_of_all_tails_and_has_a_gradient_at_zero(seed: int) -> None:
    u, v = normal(seed, 4, 5), normal(seed + 1, 6, 5)
    tails = sum(one[:, b:].norm() for one in (u, v) for b in range(5))
    torch.testing.assert_close(method.group_lasso(u, v), torch.as_tensor(tails), atol=1e-6, rtol=0)
    weighted = sum(float(one.flip(-1).square().sum(0).cumsum(0).sqrt().sum()) for one in (u, v))
    assert float(method.group_lasso(u, v)) == pytest.approx(weighted, abs=1e-6)
    zero = torch.zeros(4, 5, requires_grad=True)
    (slope,) = torch.autograd.grad(method.group_lasso(zero, zero), zero)
    assert slope.isfinite().all()


def test_one_pass_cuts_every_layer_at_every_rank_once() -> None:
    kept, ranks = method.truncations(experiments.RANKS), torch.tensor(experiments.RANKS)
    assert len(kept) == 106 and len(kept.unique(dim=0)) == 106 - 2  # all layers whole is there once for each layer
    assert ((kept != ranks).sum(1) <= 1).all() and (kept >= 1).all() and (kept <= ranks).all()
    assert [sorted(kept[(kept != ranks)[:, i], i].tolist()) for i in range(3)] == [[*range(1, r)] for r in ranks]
    seen = method.visits(torch.Generator().manual_seed(0), 106, 250)
    assert len(seen) == 250
    for first in (0, 106):
        assert seen[first : first + 106].sort().values.tolist() == list(range(106))
    assert not torch.equal(seen[:106], seen[106:212])


# ------------------------------------------------------------------------------------------- cutting and its cost


def lanes(**arms: Arm) -> Lanes:
    return Lanes(arms, (0, 1), {})


def test_all_networks_of_a_seed_begin_as_one_function() -> None:
    nets = experiments.Network(lanes(dense=Arm("baseline"), factors=Arm("method", factored=1)))
    x = torch.randn(4, 5, 64, generator=torch.Generator().manual_seed(0))
    x[2:] = x[:2]
    dense, factors = nets(x)[:2], nets(x)[2:]
    torch.testing.assert_close(dense, factors, atol=1e-5, rtol=1e-4)


def test_columns_that_do_not_count_can_be_taken_away() -> None:
    nets = experiments.Network(lanes(factors=Arm("method", factored=1)))
    x = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0))
    nets.keep = torch.tensor([[24, 48, 2]])
    cut, values = nets(x), x
    for i, k in enumerate((24, 48, 2)):
        u, v = nets.u[i][..., :k], nets.v[i][..., :k]
        assert u.shape[1:] == (experiments.WIDTHS[i + 1], k) and v.shape[1:] == (experiments.WIDTHS[i], k)
        values = (values.relu() if i else values) @ v @ u.mT + nets.biases[i]
    torch.testing.assert_close(cut, values, atol=1e-5, rtol=1e-4)


def test_ranks_and_costs_by_hand() -> None:
    setting, whole = experiments.Digits(), experiments.Digits(whole_head=True)
    assert [setting.ranks(f) for f in (1, 0.5, 0.25, 0.125)] == [[48, 48, 10], [24, 24, 5], [12, 12, 2], [6, 6, 1]]
    assert [whole.ranks(f) for f in (0.5, 0.25)] == [[24, 24, 10], [12, 12, 10]]
    method_arm, small = setting.arms["LoD"], setting.arms["small dense"]
    assert [setting.size(method_arm, f)[1] for f in (1, 0.5, 0.25)] == [5856, 2688 + 2304 + 290, 1344 + 1152 + 116]
    assert [setting.size(small, f) for f in (1, 0.5, 0.25, 0.125)] == [(48, 5856), (45, 5355), (27, 2727), (15, 1335)]
    shares = experiments.Digits(epochs=1).run(1).macs_share.isel(seed=0)
    assert shares.sel(arm="LoD").values.tolist() == pytest.approx([0.223, 0.446, 0.902, 1], abs=1e-3)
    assert (shares.sel(arm="small dense") >= shares.sel(arm="LoD") - 1e-9).all()


# ------------------------------------------------------------------------------------------------------ the training


def test_plain_training_and_lod_of_a_map_equal_a_plain_loop() -> None:
    seed, steps = 3, 40
    results = experiments.Linear(steps=steps).run([1, seed]).sel(seed=seed)
    C = (data.normal([seed], "A", 6, 3) @ data.normal([seed], "B", 3, 9))[0].float()
    for arm in ("full", "LoD"):
        first = [
            (2 * torch.rand(n, 6, generator=generator(seed, f"{n} rows")) - 1) / n**0.5 for n in (6, 9)
        ]  # uniform in ±1/√n
        u, v = (one.clone().requires_grad_() for one in first)
        source = generator(seed, "ranks")
        ranks = torch.cat([torch.randperm(6, generator=source) for _ in range(7)])[:steps] + 1
        for step in range(steps):
            b = int(ranks[step]) if arm == "LoD" else 6
            loss = (torch.eye(9) @ v[:, :b] @ u[:, :b].T - C.T).square().mean()
            for one, slope in zip((u, v), torch.autograd.grad(loss, (u, v)), strict=True):
                one.data -= 0.5 * slope
        u, v = u.detach(), v.detach()
        error = [float((u[:, :b] @ v[:, :b].T - method.best_rank(C, b)).norm() / C.norm()) for b in range(1, 7)]
        assert results.prefix_error.sel(arm=arm).values.tolist() == pytest.approx(error, abs=1e-4)
        expected = (u.norm(dim=0) * v.norm(dim=0)).tolist()
        assert results.importance.sel(arm=arm).values.tolist() == pytest.approx(expected, rel=1e-3)


def test_the_autoencoder_equals_a_plain_loop_and_the_excess_is_that_over_scikit_learn_s_pca() -> None:
    from sklearn.decomposition import PCA

    seed, steps = 2, 30
    results = experiments.Components(steps=steps).run([0, seed]).sel(seed=seed)
    images = data.digits([seed], train=1200).train_inputs[0].double()
    images -= images.mean(0)
    left = 1 - PCA(12).fit(images.numpy()).explained_variance_ratio_.cumsum()
    covariance = images.T @ images / 1200
    for arm in ("full", "LoD"):
        u, v = ((data.normal([seed], name, 64, 12)[0] / 8).float().double().requires_grad_() for name in "UV")
        source = generator(seed, "ranks")
        ranks = torch.cat([torch.randperm(12, generator=source) for _ in range(3)])[:steps] + 1
        optimizer = torch.optim.SGD([u, v], lr=0.004, momentum=0.9)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

        def share(b: int, pair: Any = (u, v)) -> Tensor:  # unexplained, of the variance
            gap = images - images @ pair[1][:, :b] @ pair[0][:, :b].T
            return gap.square().sum() / images.square().sum()

        for step in range(steps):
            loss = covariance.trace() * share(int(ranks[step]) if arm == "LoD" else 12)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
        expected = [float(share(k).detach()) - left[k - 1] for k in experiments.COUNTS]
        assert results.excess.sel(arm=arm).values.tolist() == pytest.approx(expected, abs=1e-4)


KINDS: dict[str, dict[str, Any]] = {
    "dense": {},
    "LoD": {"sampled": True},
    "LoD + lasso": {"sampled": True, "lasso": 3e-3},
    "factors": {},
}


@pytest.mark.parametrize("arm", KINDS)
@pytest.mark.usefixtures("double_precision")
def test_batched_training_equals_a_plain_loop(arm: str) -> None:
    seed, epochs, images = 4, 2, 300
    results = experiments.Digits(epochs=epochs, images=images).run([2, seed]).sel(arm=arm, seed=seed)
    digits = network.digits((seed,), images)
    decay, lasso = experiments.Digits.arms[arm].settings["decay"], KINDS[arm].get("lasso", 0)
    weights, biases = [], [torch.zeros(n, requires_grad=True) for n in (48, 48, 10)]
    for i, (n, m) in enumerate(zip(experiments.WIDTHS, experiments.WIDTHS[1:], strict=False)):
        w = torch.randn(n, m, generator=generator(seed, f"weights of layer {i}")) * (2 / n) ** 0.5
        weights.append([w] if arm == "dense" else list(method.start(w.mT)))
    layers = [[one.clone().requires_grad_() for one in layer] for layer in weights]
    decayed = [one for layer in layers for one in layer]
    groups: list[Any] = [{"params": decayed, "weight_decay": decay}, {"params": biases}]
    optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
    steps = epochs * 3
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    cuts = method.truncations((48, 48, 10))[method.visits(generator(seed, "ranks"), 106, steps)].tolist()

    def logits(x: Tensor, ranks: list[int]) -> Tensor:
        for i, (layer, k) in enumerate(zip(layers, ranks, strict=True)):
            x = x.relu() if i else x
            x = x @ (layer[0] if arm == "dense" else layer[1][:, :k] @ layer[0][:, :k].T) + biases[i]
        return x

    step = 0
    for epoch in range(1, epochs + 1):
        for index in data.batches((seed,), images, 100, epoch)[:, 0]:
            ranks = cuts[step] if KINDS[arm].get("sampled") else [48, 48, 10]
            loss = nn.functional.cross_entropy(logits(digits.train[0, index], ranks), digits.train_labels[0, index])
            if lasso:
                loss = loss + lasso * sum(method.group_lasso(*layer) for layer in layers)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
            step += 1
    with torch.no_grad():
        found = metrics.accuracy(logits(digits.test[0], [48, 48, 10]), digits.test_labels[0])
        half = metrics.accuracy(logits(digits.test[0], [24, 24, 5]), digits.test_labels[0])
    assert float(results.accuracy.sel(share=1)) == pytest.approx(float(found), abs=1e-6)
    if arm != "dense":
        assert float(results.half_accuracy) == pytest.approx(float(half), abs=1e-6)


@pytest.mark.usefixtures("double_precision")
def test_without_lasso_it_is_lod_and_with_all_ranks_alone_is_factors() -> None:
    results = experiments.Digits(lasso=0, epochs=1).run(2)
    for one, other, shares in (
        ("LoD + lasso", "LoD", experiments.SHARES),
        ("that rank alone", "factors", (1,)),
        ("random columns", "LoD", (1,)),
        ("LoD, SVD", "LoD", (1,)),
    ):
        found, expected = (results.accuracy.sel(arm=arm, share=list(shares)).values for arm in (one, other))
        np.testing.assert_allclose(found, expected, atol=1e-8, err_msg=one)
    assert (results.accuracy_change.sel(arm="dense", share=1) == 0).all()


# ---------------------------------------------------------------------------------------------------- exercises


def mixed(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    turn = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 1]])
    return u @ turn, v @ torch.linalg.inv(turn).mT


def prefix(target: Tensor, covariance: Tensor, b: int) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.sqrt() @ vectors.mT
    left, singular, right = torch.linalg.svd(target @ root)
    return (left[:, :b] * singular[:b]) @ right[:b] @ torch.linalg.inv(root)


def test_right_answers_are_accepted() -> None:
    assert "cuts" in exercises.check_mixed(mixed)
    assert "compromise" in exercises.check_prefix(prefix)


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    [
        (exercises.check_mixed, lambda u, v: (u @ mixed(u, v)[0][:3, :3], v), "undo"),
        (exercises.check_mixed, lambda u, v: (2 * u, v / 2), "only scale"),
        (exercises.check_prefix, lambda C, S, b: method.best_rank(C, b), "multiple of I"),
        (exercises.check_prefix, lambda C, S, b: method.best_rank(C @ torch.linalg.cholesky(S), b), "apply"),
    ],
)
def test_a_wrong_answer_gets_a_hint(check: Any, answer: Any, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        check(answer)


def test_no_answer_is_none() -> None:
    for check in (exercises.check_mixed, exercises.check_prefix):
        with pytest.raises(NotImplementedError):
            check(lambda *arguments: None)
    with pytest.raises(NotImplementedError):
        exercises.check_half((None,) * 6)


def test_the_numbers_at_half_rank_are_those_of_the_recording() -> None:
    grid = store.at(experiments.Digits())
    assert grid is not None
    means = [float(grid.half_accuracy.sel(arm=arm).mean()) for arm in ("factors", "dense", "LoD")]
    assert means[0] < means[1] < means[2]
    assert "square" in exercises.check_half([*means, 2688, 2304, 290])
    with pytest.raises(WrongAnswerError, match="not more than"):
        exercises.check_half([*means, 2688, 24 * 96 + 1000, 290])
    with pytest.raises(WrongAnswerError, match="factors"):
        exercises.check_half([means[2], *means[1:], 2688, 2304, 290])
    assert cost.factored(48, 48, 24) == 2304
