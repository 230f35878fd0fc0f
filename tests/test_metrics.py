"""Measures against scikit-learn and NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma, gamma
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, log_loss
from sklearn.neighbors import NearestCentroid, NearestNeighbors

from reglab import metrics

SEED = st.integers(0, 2**31)


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_accuracy_is_scikit_learn_s(seed: int) -> None:
    logits = torch.randn(2, 3, 17, 4, generator=source(seed))
    labels = torch.randint(4, (3, 17), generator=source(seed))
    found = metrics.accuracy(logits, labels)
    assert found.shape == (2, 3)
    for arm in range(2):
        for s in range(3):
            expected = accuracy_score(labels[s], logits[arm, s].argmax(-1))
            np.testing.assert_allclose(found[arm, s], expected, atol=1e-6)


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_masked_means_are_numpy_s(seed: int) -> None:
    values = torch.randn(2, 3, 9, generator=source(seed), dtype=torch.float64)
    mask = torch.rand(3, 9, generator=source(seed + 1)) < 0.5
    masked = np.ma.array(values, mask=np.broadcast_to(~mask.numpy(), values.shape))
    np.testing.assert_allclose(metrics.mean_where(values, mask), masked.mean(-1).filled(np.nan), atol=1e-12)
    shares = np.ma.array(values > 0, mask=masked.mask).mean(-1).filled(np.nan)
    np.testing.assert_allclose(metrics.share_where(values > 0, mask), shares, atol=1e-6)


def test_the_mean_over_nothing_is_not_a_number() -> None:
    nothing = torch.zeros(4, dtype=torch.bool)
    assert metrics.mean_where(torch.ones(4), nothing).isnan()
    assert metrics.share_where(torch.ones(4, dtype=torch.bool), nothing).isnan()


def test_what_is_masked_does_not_count_even_if_it_is_not_a_number() -> None:
    values = torch.tensor([1.0, torch.nan, 3.0, torch.inf])
    assert metrics.mean_where(values, torch.tensor([True, False, True, False])) == 2


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_rank_correlation_is_scipy_s_also_with_ties(seed: int) -> None:
    one, other = (torch.randint(20, (2, 3, 30), generator=source(seed + k)) for k in (0, 1))
    found = metrics.rank_correlation(one, other[0])
    assert found.shape == (2, 3) and found.dtype == torch.float64
    expected = [[spearmanr(one[a, s], other[0, s]).statistic for s in range(3)] for a in range(2)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert metrics.rank_correlation(torch.ones(9), torch.arange(9)).isnan()


# -------------------------------------------------------------------------------------------- calibration, ranking


def predictions(seed: int, *shape: int, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits [A, S, N, C] and labels [S, N]; most of them are what the first arm predicts."""
    logits = 3 * torch.randn(*shape, classes, generator=source(seed), dtype=torch.float64)
    labels = torch.randint(classes, shape[-2:], generator=source(seed + 1))
    likely = torch.rand(shape[-2:], generator=source(seed + 2)) < 0.6
    return logits, torch.where(likely, logits[0].argmax(-1), labels)


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_nll_is_scikit_learn_s(seed: int) -> None:
    logits, labels = predictions(seed, 2, 3, 17)
    found = metrics.nll(logits, labels)
    assert found.shape == (2, 3)
    for arm in range(2):
        for s in range(3):
            expected = log_loss(labels[s], logits[arm, s].softmax(-1), labels=range(4))
            assert float(found[arm, s]) == pytest.approx(expected, abs=1e-12)


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_calibration_and_ranking_are_those_of_plain_loops(seed: int) -> None:
    logits, labels = predictions(seed, 2, 3, 40)
    sure, right = metrics.confidence(logits, labels)
    bins, error = metrics.confidence_bins(sure, right), metrics.ece(sure, right)
    area, excess = metrics.aurc(sure, right), metrics.e_aurc(sure, right)
    for arm in range(2):
        for s in range(3):
            p = logits[arm, s].softmax(-1).numpy()
            c, ok = p.max(1), p.argmax(1) == labels[s].numpy()
            total = 0.0
            for b in range(10):
                inside = (c > b / 10) & (c <= (b + 1) / 10)
                assert float(bins.share[arm, s, b]) == pytest.approx(inside.mean())
                assert math.isnan(bins.accuracy[arm, s, b]) == (not inside.any())
                if inside.any():
                    assert float(bins.accuracy[arm, s, b]) == pytest.approx(ok[inside].mean())
                    assert float(bins.confidence[arm, s, b]) == pytest.approx(c[inside].mean())
                    total += inside.mean() * abs(ok[inside].mean() - c[inside].mean())
            assert float(error[arm, s]) == pytest.approx(total)
            order, k = np.argsort(-c, kind="stable"), int((~ok).sum())
            plain = np.mean([(~ok[order[:m]]).mean() for m in range(1, 41)])
            assert float(area[arm, s]) == pytest.approx(plain)
            best = sum(j / (40 - k + j) for j in range(1, k + 1)) / 40
            assert float(excess[arm, s]) == pytest.approx(plain - best)


def test_calibration_and_ranking_by_hand() -> None:
    sure, right = torch.tensor([0.85, 0.55]), torch.tensor([False, True])
    assert float(metrics.ece(sure, right)) == pytest.approx(0.5 * 0.85 + 0.5 * 0.45)
    assert metrics.risks(sure, right).tolist() == [1, 0.5]
    assert float(metrics.aurc(sure, right)) == pytest.approx(0.75)
    assert float(metrics.e_aurc(sure, right)) == pytest.approx(0.5)


def test_what_is_sure_and_right_has_no_error() -> None:
    labels = torch.tensor([2, 0, 1])
    sure, right = metrics.confidence(1e3 * torch.eye(3)[labels], labels)
    assert right.all() and (sure == 1).all()
    assert all(float(measure(sure, right)) == 0 for measure in (metrics.ece, metrics.aurc, metrics.e_aurc))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bins_are_closed_on_the_right(dtype: torch.dtype) -> None:
    edges = torch.linspace(0, 1, 11, dtype=dtype)[1:]
    above = torch.nextafter(edges[:-1], torch.ones(9, dtype=dtype))
    assert metrics.confidence_bins(edges, edges > 0).share.tolist() == pytest.approx([0.1] * 10)
    assert metrics.confidence_bins(above, above > 0).share.tolist() == pytest.approx([0] + [1 / 9] * 9)


def test_examples_of_equal_confidence_stay_in_their_order() -> None:
    right = torch.tensor([False, True] * 20)
    expected = [math.ceil(m / 2) / m for m in range(1, 41)]
    assert metrics.risks(torch.full((40,), 0.1), right).tolist() == pytest.approx(expected)


@given(SEED, st.integers(0, 59))
@settings(max_examples=20, deadline=None)
def test_the_best_temperature_undoes_a_scale(seed: int, place: int) -> None:
    """Logits that are too large by a factor need that factor more; no temperature tried has a lower NLL."""
    logits, labels = predictions(seed, 2, 3, 60)
    t = metrics.best_temperature(logits, labels)
    assert t.shape == (2, 3)
    found = metrics.nll(logits / t[..., None, None], labels)
    assert (found <= metrics.nll(logits / metrics.TEMPERATURES[place], labels)).all()
    scaled = metrics.best_temperature(2 * logits, labels, [2 * value for value in metrics.TEMPERATURES])
    torch.testing.assert_close(scaled, 2 * t)


def test_outcomes_drawn_from_a_softmax_need_temperature_one() -> None:
    logits = 2 * torch.randn(40_000, 5, generator=source(0), dtype=torch.float64)
    labels = logits.softmax(-1).multinomial(1, generator=source(1)).squeeze(-1)
    for scale in (1.0, 2.5):
        assert float(metrics.best_temperature(scale * logits, labels)) == pytest.approx(scale, rel=0.06)
    assert float(metrics.ece(*metrics.confidence(logits, labels))) < 0.01


# ------------------------------------------------------------------------------------------------- neural collapse


def clusters(seed: int, *shape: int) -> torch.Tensor:
    """Return features [*shape] around class means that differ: [..., K, n, d]."""
    means = 2 * torch.randn(*shape[:-2], 1, shape[-1], generator=source(seed), dtype=torch.float64)
    return means + torch.randn(*shape, generator=source(seed + 1), dtype=torch.float64)


@given(SEED, st.integers(2, 5), st.integers(2, 8))
@settings(max_examples=20, deadline=None)
def test_collapse_is_numpy_s_straight_from_the_definitions(seed: int, classes: int, dimensions: int) -> None:
    h = clusters(seed, 3, classes, 6, dimensions)
    weights = torch.randn(3, classes, dimensions, generator=source(seed + 2), dtype=torch.float64)
    measured = metrics.nc1_ratio(h), metrics.nc1(h), metrics.nc2(h), metrics.nc3(h, weights)
    for model in range(3):
        x, w = h[model].numpy(), weights[model].numpy()
        means = x.mean(1)
        m = means - means.mean(0)
        within = sum(np.outer(e, e) for k in range(classes) for e in x[k] - means[k]) / (classes * 6)
        between = sum(np.outer(e, e) for e in m) / classes
        gram, w = m @ m.T, w - w.mean(0)
        simplex = (np.eye(classes) - 1 / classes) / math.sqrt(classes - 1)
        expected = (
            np.trace(within) / np.trace(between),
            np.trace(within @ np.linalg.pinv(between, rcond=1e-6, hermitian=True)) / classes,
            np.linalg.norm(gram / np.linalg.norm(gram) - simplex),
            np.linalg.norm(w / np.linalg.norm(w) - m / np.linalg.norm(m)),
        )
        np.testing.assert_allclose([value[model] for value in measured], expected, rtol=1e-6, atol=1e-9)


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_the_nearest_mean_is_scikit_learn_s(seed: int) -> None:
    h, weights = clusters(seed, 4, 6, 3), torch.randn(4, 3, generator=source(seed), dtype=torch.float64)
    flat, labels = h.flatten(0, 1).numpy(), np.repeat(np.arange(4), 6)
    nearest = NearestCentroid().fit(flat, labels).predict(flat)
    assert float(metrics.nc4(h, weights)) == pytest.approx(np.mean(nearest != (flat @ weights.numpy().T).argmax(1)))


def test_a_simplex_is_collapsed() -> None:
    means = torch.linalg.qr(torch.randn(6, 4, generator=source(0), dtype=torch.float64)).Q.T  # right angles, [K, d]
    h = 3 * means.unsqueeze(1).expand(4, 5, 6) + 7
    for value in (
        metrics.nc1_ratio(h),
        metrics.nc1(h),
        metrics.nc2(h),
        metrics.nc3(h, 2 * means),
        metrics.nc4(h - 7, means),
    ):
        assert abs(float(value)) < 1e-12
    assert float(metrics.nc3(h, 2 * means, centered=False)) > 0.1  # right angles are no simplex until centered
    assert float(metrics.nc3(h, -means)) == pytest.approx(2)


@given(SEED, st.floats(0.1, 10))
@settings(max_examples=20, deadline=None)
def test_collapse_does_not_feel_turns_shifts_and_scale(seed: int, scale: float) -> None:
    h, draws = clusters(seed, 4, 6, 5), source(seed + 2)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=draws, dtype=torch.float64)).Q
    other = scale * h @ turn + torch.randn(5, generator=draws, dtype=torch.float64)
    for measure in (metrics.nc1_ratio, metrics.nc1, metrics.nc2):
        torch.testing.assert_close(measure(other), measure(h), rtol=1e-8, atol=1e-10)


def test_nc1_feels_a_general_map_unless_features_fill_the_span_of_the_means() -> None:
    general = torch.randn(5, 5, generator=source(9), dtype=torch.float64)
    wide, narrow = clusters(3, 4, 6, 5), clusters(3, 6, 6, 5)  # K - 1 = 3 < 5 and K - 1 = 5
    assert float(metrics.nc1(wide @ general)) != pytest.approx(float(metrics.nc1(wide)), rel=1e-2)
    assert float(metrics.nc1(narrow @ general)) == pytest.approx(float(metrics.nc1(narrow)), rel=1e-8)


# -------------------------------------------------------------------------------------------- coverage and entropy


def ring(modes: int) -> torch.Tensor:
    angles = 2 * math.pi * torch.arange(modes) / modes
    return 2 * torch.stack([angles.cos(), angles.sin()], -1)


@given(SEED, st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_coverage_is_that_of_a_plain_count(seed: int, modes: int) -> None:
    samples, centers = 2 * torch.randn(2, 150, 2, generator=source(seed)), ring(modes)
    found = metrics.mode_coverage(samples, centers, 0.7, fair=0.1)
    for i, cloud in enumerate(samples.double().numpy()):
        lengths = [[math.dist(point, center) for center in centers.tolist()] for point in cloud]
        nearest = [row.index(min(row)) for row in lengths]
        near = [
            sum(place == m and min(row) <= 0.7 for place, row in zip(nearest, lengths, strict=True))
            for m in range(modes)
        ]
        shares = [nearest.count(m) / 150 for m in range(modes)]
        assert int(found.modes[i]) == sum(count >= 0.1 * 150 / modes for count in near)
        assert float(found.quality[i]) == pytest.approx(sum(near) / 150, abs=1e-6)
        assert float(found.divergence[i]) == pytest.approx(sum(p * math.log(p * modes) for p in shares if p), abs=1e-5)
        assert float(found.distance[i]) == pytest.approx(sum(map(min, lengths)) / 150, abs=1e-5)


def test_exact_samples_of_a_ring_cover_it() -> None:
    count, centers = 200_000, ring(8)
    places = torch.randint(8, (count,), generator=source(0))
    found = metrics.mode_coverage(centers[places] + 0.1 * torch.randn(count, 2, generator=source(1)), centers, 0.3)
    assert int(found.modes) == 8
    within = 1 - math.exp(-4.5)
    assert float(found.quality) == pytest.approx(within, abs=4 * math.sqrt(within * (1 - within) / count))
    assert float(found.divergence) == pytest.approx(0, abs=1e-3)
    assert float(found.distance) == pytest.approx(0.1 * math.sqrt(math.pi / 2), abs=1e-3)


def test_samples_at_one_of_eight_modes_diverge_by_log_eight() -> None:
    centers = ring(8)
    found = metrics.mode_coverage(centers[3].expand(2000, 2), centers, 0.3)
    assert (int(found.modes), float(found.quality), float(found.distance)) == (1, 1, 0)
    assert float(found.divergence) == pytest.approx(math.log(8))


@pytest.mark.parametrize(("near", "covered"), [(124, 1), (125, 2)])
def test_a_mode_needs_half_of_its_fair_share(near: int, covered: int) -> None:
    centers = ring(8)
    samples = centers[0].repeat(2000, 1)
    samples[:near] = centers[1]
    assert int(metrics.mode_coverage(samples, centers, 0.3).modes) == covered


@given(SEED, st.integers(1, 4), st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_nearest_neighbor_entropy_is_that_of_scikit_learn_s_neighbors(seed: int, dimensions: int, k: int) -> None:
    points = torch.randn(2, 3, 40, dimensions, generator=source(seed), dtype=torch.float64)
    found = metrics.knn_entropy(points, k)
    assert found.shape == (2, 3) and found.dtype == torch.float64
    volume = math.pi ** (dimensions / 2) / gamma(dimensions / 2 + 1)
    for a in range(2):
        for s in range(3):
            cloud = points[a, s].numpy()
            rho = NearestNeighbors(n_neighbors=k).fit(cloud).kneighbors()[0][:, -1]
            expected = digamma(40) - digamma(k) + math.log(volume) + dimensions * np.log(rho).mean()
            assert float(found[a, s]) == pytest.approx(expected, abs=1e-10)


def test_nearest_neighbor_entropy_by_hand() -> None:
    found = metrics.knn_entropy(torch.tensor([[0.0], [1.0], [3.0]]))
    assert float(found) == pytest.approx(1.5 + math.log(2) + math.log(2) / 3, abs=1e-12)
    assert float(found) == pytest.approx(2.42420, abs=1e-5)


@given(SEED, st.integers(1, 3), st.floats(0.01, 100), st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_entropy_moves_with_scale_only(seed: int, dimensions: int, scale: float, shift: float) -> None:
    points = torch.randn(30, dimensions, generator=source(seed), dtype=torch.float64)
    found = float(metrics.knn_entropy(points))
    assert float(metrics.knn_entropy(points + shift)) == pytest.approx(found, abs=1e-8)
    assert float(metrics.knn_entropy(scale * points)) == pytest.approx(found + dimensions * math.log(scale), abs=1e-8)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_entropy_of_a_gaussian(dimensions: int) -> None:
    points = torch.randn(20, 1000, dimensions, generator=source(3), dtype=torch.float64)
    exact = dimensions / 2 * math.log(2 * math.pi * math.e)
    assert float(metrics.knn_entropy(points).mean()) == pytest.approx(exact, abs=0.05)


def test_a_set_with_an_infinite_point_has_no_distances() -> None:
    points = torch.randn(3, 10, 2, generator=source(0))
    points[1, 4, 0] = torch.inf
    assert metrics.neighbor_distances(points).isnan().all(-1).tolist() == [False, True, False]


def test_twins_have_no_entropy_unless_a_smallest_distance_is_given() -> None:
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    assert float(metrics.knn_entropy(points)) == -math.inf
    expected = metrics.knn_constant(3, 2) + 2 * (2 * math.log(1e-3) + 0) / 3
    assert float(metrics.knn_entropy(points, smallest=1e-3)) == pytest.approx(expected)
