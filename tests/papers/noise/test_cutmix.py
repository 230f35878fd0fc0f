"""The exact checks of CutMix: worked boxes, conserved pixels, integrals, plain loops in PyTorch, flood fill."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from draws import normal
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch_layers import convolutional

from reglab import data
from reglab.exercise import WrongAnswerError
from reglab.papers.noise.cutmix import exercises, experiments, method
from reglab.results import Tick
from reglab.seeds import generator

SEED = st.integers(0, 2**31)


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def box(lam: float, row: int, column: int, size: method.Size = (32, 32)) -> list[int]:
    first, end = method.cut_box(number(lam), torch.tensor([row, column]), size)
    return [*first.tolist(), *end.tolist()]


def batch(seed: int, count: int = 5, size: method.Size = (12, 12)) -> tuple[Tensor, Tensor]:
    """Return pictures that differ in every pixel, and an order of them."""
    source = torch.Generator().manual_seed(seed)
    return normal(seed, count, *size), torch.randperm(count, generator=source)


# ---------------------------------------------------------------------------------------------------- boxes, pictures


def test_worked_boxes() -> None:
    assert box(0.75, 16, 16) == [8, 8, 24, 24]
    assert box(0.75, 0, 0) == [0, 0, 8, 8]
    assert box(0.0, 16, 16) == [0, 0, 32, 32]
    assert box(0.0, 0, 0) == [0, 0, 16, 16]
    assert box(0.75, 31, 16) == [23, 8, 32, 24]
    assert box(1.0, 16, 16) == [16, 16, 16, 16]


@pytest.mark.parametrize(
    ("lam", "center", "visible"), [(0.75, 16, 0.75), (0.75, 0, 0.9375), (1.0, 16, 1.0), (0.0, 16, 0.0), (0.0, 0, 0.75)]
)
def test_worked_labels(lam: float, center: int, visible: float) -> None:
    images, order = batch(0, 4, (32, 32))
    mixed, found = method.cutmix(images, order, number(lam), torch.tensor([center, center]))
    assert float(found) == visible
    if visible == 1:
        assert mixed.equal(images)
    if visible == 0:
        assert mixed.equal(images[order])


@given(st.floats(0, 1), st.integers(4, 40), st.integers(4, 40), st.data())
def test_an_odd_side_loses_a_pixel_and_rectangles_keep_their_shape(
    lam: float, height: int, width: int, data: st.DataObject
) -> None:
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    expected = []
    for length, middle in ((height, row), (width, column)):
        half = int(length * math.sqrt(1 - lam)) // 2
        inside = [pixel for pixel in range(length) if middle - half <= pixel < middle + half]
        expected.append((inside[0], inside[-1] + 1) if inside else (middle, middle))
    (top, bottom), (left, right) = expected
    assert box(lam, row, column, (height, width)) == [top, left, bottom, right]


@given(SEED, st.floats(0, 1), st.integers(0, 11), st.integers(0, 11))
@settings(max_examples=50, deadline=None)
def test_every_pixel_is_one_of_two_and_the_label_counts_them(seed: int, lam: float, row: int, column: int) -> None:
    images, order = batch(seed)
    mixed, visible = method.cutmix(images, order, number(lam), torch.tensor([row, column]))
    from_a, from_b = mixed == images, mixed == images[order]
    assert (from_a | from_b).all()
    for i, partner in enumerate(order.tolist()):
        share = 1.0 if i == partner else int(from_a[i].sum()) / 144
        assert share == (1.0 if i == partner else pytest.approx(float(visible), abs=1e-15))


def test_with_itself_as_partner_nothing_changes() -> None:
    images, _ = batch(1)
    same, center = torch.arange(5), torch.tensor([6, 6])
    assert method.cutmix(images, same, number(0.3), center)[0].equal(images)
    torch.testing.assert_close(method.mixup(images, same, number(0.3)), images)


def test_two_pictures_exchange_their_boxes() -> None:
    images, _ = batch(2, 2)
    before, swap, center = images.clone(), torch.tensor([1, 0]), torch.tensor([5, 4])
    mixed, visible = method.cutmix(images, swap, number(0.75), center)
    expected = before.clone()
    expected[:, 2:8, 1:7] = before[[1, 0], 2:8, 1:7]
    assert mixed.equal(expected) and images.equal(before) and float(visible) == 0.75
    assert method.cutmix(mixed, swap, number(0.75), center)[0].equal(before)


def test_mixup_and_cutout_by_hand() -> None:
    images, order = batch(3, 4, (8, 8))
    torch.testing.assert_close(method.mixup(images, order, number(0.3)), 0.3 * images + 0.7 * images[order])
    for side, (top, left, bottom, right) in {4: (2, 4, 6, 8), 3: (3, 5, 6, 8), 5: (2, 4, 7, 8)}.items():
        expected = images.clone()
        expected[:, top:bottom, left:right] = 0
        assert method.cutout(images, torch.tensor([4, 6]), side).equal(expected)
    clipped = method.cutout(images, torch.tensor([0, 7]), 4)
    assert (clipped[:, 0:2, 5:8] == 0).all() and int((clipped == 0).sum()) == 4 * 6


@given(SEED)
@settings(max_examples=30, deadline=None)
def test_a_shift_moves_each_picture_and_fills_up_with_zero(seed: int) -> None:
    images = normal(seed, 2, 3, 6, 5)
    offsets = torch.randint(-2, 3, (2, 3, 2), generator=torch.Generator().manual_seed(seed))
    found = method.shifted(images, offsets)
    for s, n, r, c in itertools.product(range(2), range(3), range(6), range(5)):
        row, column = (int(place) for place in torch.tensor([r, c]) - offsets[s, n])
        inside = 0 <= row < 6 and 0 <= column < 5
        assert found[s, n, r, c] == (images[s, n, row, column] if inside else 0)


def test_several_seeds_at_once_are_each_alone() -> None:
    images = torch.stack([batch(seed)[0] for seed in range(3)])
    order = torch.stack([batch(seed)[1] for seed in range(3)])
    lam, center = torch.tensor([0.1, 0.6, 0.9]).double(), torch.tensor([[0, 3], [6, 6], [11, 2]])
    mixed, visible = method.cutmix(images, order, lam, center)
    for s in range(3):
        alone, weight = method.cutmix(images[s], order[s], lam[s], center[s])
        assert mixed[s].equal(alone) and visible[s] == weight
        assert method.mixup(images, order, lam)[s].equal(method.mixup(images[s], order[s], lam[s]))
        assert method.cutout(images, center, 4)[s].equal(method.cutout(images[s], center[s], 4))


@given(SEED, st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_two_losses_are_one_loss_with_the_mixed_label(seed: int, lam: float) -> None:
    logits, labels = 3 * normal(seed, 6, 5), torch.tensor([0, 1, 2, 3, 4, 0])
    others = labels.roll(1)
    target = lam * F.one_hot(labels, 5).double() + (1 - lam) * F.one_hot(others, 5).double()
    found = method.mixed_cross_entropy(logits, labels, others, number(lam))
    assert float(found) == pytest.approx(float(F.cross_entropy(logits, target)), abs=1e-12)


@given(SEED, st.floats(0, 0.9), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_smoothed_labels_are_those_of_pytorch(seed: int, share: float, lam: float) -> None:
    logits, labels, others = 3 * normal(seed, 6, 5), torch.tensor([0, 1, 2, 3, 4, 0]), torch.tensor([1, 1, 0, 4, 2, 3])
    loss = method.mixed_cross_entropy(logits, labels, others, number(lam))
    target = lam * F.one_hot(labels, 5).double() + (1 - lam) * F.one_hot(others, 5).double()
    expected = F.cross_entropy(logits, target, label_smoothing=share)
    assert float(method.smooth_labels(loss, logits, number(share))) == pytest.approx(float(expected), abs=1e-12)


@given(SEED)
@settings(max_examples=30, deadline=None)
def test_auroc_is_that_of_scikit_learn(seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    known, unknown = (torch.randint(5, (2, count), generator=source).double() for count in (7, 4))
    for found, above, below in zip(method.auroc(known, unknown), known, unknown, strict=True):
        truth = [1] * 7 + [0] * 4
        assert float(found) == pytest.approx(roc_auc_score(truth, torch.cat([above, below]).numpy()))
    assert float(method.auroc(torch.ones(3), torch.ones(2))) == 0.5


# ------------------------------------------------------------------------------------------------------- the clipping


def test_the_clipped_area_is_the_integral() -> None:
    value, error = quad(lambda s: (s - s**2 / 4) ** 2 * 2 * s, 0, 1)
    assert pytest.approx(value, abs=10 * error) == exercises.CLIPPED
    assert round(exercises.CLIPPED, 4) == 0.3208
    side = 0.6
    covered, _ = quad(lambda r: min(1, r + side / 2) - max(0, r - side / 2), 0, 1, points=[side / 2, 1 - side / 2])
    assert covered == pytest.approx(side - side**2 / 4)


@pytest.mark.parametrize(("size", "area"), [(8, 0.233), (16, 0.277), (32, 0.299), (224, 0.318)])
def test_whole_pixels_make_the_area_smaller_on_small_pictures(size: int, area: float) -> None:
    lam = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    middle = torch.arange(size).unsqueeze(-1).expand(-1, 2)
    first, end = method.cut_box(lam.unsqueeze(-1), middle, (size, size))
    length = (end - first)[..., 0].double().mean(-1)  # the mean over all centers, for each λ
    found = float((length / size).square().mean())
    assert found == pytest.approx(area, abs=6e-4)
    assert found < exercises.CLIPPED


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_levels_follow_the_beta_distribution(alpha: float) -> None:
    drawn = experiments.draw((0, 1, 2, 3), 500, 5, (8, 8))
    lam = torch.stack([experiments.level(one.uniform, alpha) for one in drawn]).flatten().numpy()
    assert stats.kstest(lam, stats.beta(alpha, alpha).cdf).pvalue > 0.01
    assert {float(one.coin.min()) >= 0 and float(one.coin.max()) < 1 for one in drawn} == {True}


def test_centers_are_uniform_and_orders_are_orders() -> None:
    drawn = experiments.draw((0, 1, 2, 3), 1000, 5, (8, 4))
    rows, columns = torch.stack([one.center for one in drawn]).flatten(0, 1).T
    for places, count in ((rows, 8), (columns, 4)):
        assert stats.chisquare(torch.bincount(places, minlength=count).numpy()).pvalue > 0.01
    orders = torch.stack([one.order for one in drawn])
    assert (orders.sort(-1).values == torch.arange(5)).all()
    assert len({tuple(row) for row in orders.flatten(0, 1).tolist()}) == math.factorial(5)


def test_another_level_moves_the_same_draws_and_a_seed_draws_the_same_alone() -> None:
    first = experiments.draw((0, 7), 50, 5, (8, 8))
    for one in first:
        low, high = (experiments.level(one.uniform, alpha) for alpha in (0.5, 2.0))
        assert ((low - 0.5).sign() == (high - 0.5).sign()).all()
    alone = experiments.draw((7,), 50, 5, (8, 8))
    assert all(x[0].equal(y[1]) for a, b in zip(alone, first, strict=True) for x, y in zip(a, b, strict=True))


def test_shifts_go_to_all_places_alike() -> None:
    offset = torch.stack([one.offset for one in experiments.draw((0, 1), 500, 5, (8, 8))])
    moved = (offset * 3).long() - 1
    places = (moved[..., 0] * 3 + moved[..., 1] + 4).flatten()
    assert stats.chisquare(torch.bincount(places, minlength=9).numpy()).pvalue > 0.01


# ------------------------------------------------------------------------------------------------------ the networks


def plain_network(seed: int) -> nn.Sequential:
    """Return the network of the digits from PyTorch's own layers, with the first weights of a seed."""
    digits = experiments.Digits().only(["plain"])
    return convolutional(digits.layers, 10, digits.network((seed,)), 0)


@functools.cache
def trained_at_once(steps: int, seeds: tuple[int, ...]) -> xr.Dataset:
    """Return the results of all arms, computed once for the tests of all, in their precision."""
    return experiments.Digits(steps=steps).run(seeds)


@pytest.mark.parametrize("arm", experiments.Digits.arms)
@pytest.mark.usefixtures("double_precision")
def test_training_all_at_once_equals_a_plain_loop(arm: str) -> None:
    seed, steps = 5, 25
    results = trained_at_once(steps, (3, seed)).sel(arm=arm, seed=seed)

    digits = data.digits((seed,), 200, standardize=False)
    x, y = digits.train_inputs[0].reshape(200, 1, 8, 8), digits.train_labels[0]
    held_out, held_labels = x[100:], y[100:]
    test, truth = digits.test_inputs[0, :900].reshape(900, 1, 8, 8), digits.test_labels[0, :900]
    settings = experiments.Digits.arms[arm].settings
    smoothing, chances = float(settings.get("smoothing", 0)), {"CutMix": 0.75, "one label": 0.75}
    chances |= {name: float(experiments.Digits.arms[name].settings["probability"]) for name in ("Mixup", "Cutout")}
    model = plain_network(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005, weight_decay=1e-3)
    drawn, losses = experiments.draw((seed,), steps, 25, (8, 8)), []
    order = [index[0] for epoch in range(1, steps // 4 + 2) for index in data.batches((seed,), 100, 25, epoch)]
    for step, one in enumerate(drawn):
        optimizer.param_groups[0]["lr"] = 0.0025 * (1 + math.cos(math.pi * step / steps))
        images, labels, lam = x[order[step]].clone(), y[order[step]], 1.0
        partner, (row, column), uniform = one.order[0], one.center[0].tolist(), float(one.uniform[0])
        if arm == "shifts":
            for i, (down, right) in enumerate((3 * one.offset[0]).floor().long().tolist()):
                padded = F.pad(images[i, 0], (1, 1, 1, 1))
                images[i, 0] = padded[2 - down : 10 - down, 2 - right : 10 - right]
        if float(one.coin[0]) < chances.get(arm, 0):
            alpha = 0.5 if arm in ("CutMix", "one label") else float(experiments.Digits.arms["Mixup"].settings["blend"])
            level = float(stats.beta(alpha, alpha).ppf(uniform))
            side = int(experiments.Digits.arms["Cutout"].settings["side"])
            half = side // 2 if arm == "Cutout" else int(8 * math.sqrt(1 - level)) // 2
            width = side if arm == "Cutout" else 2 * half
            rows = slice(max(0, row - half), max(0, row - half + width))
            columns = slice(max(0, column - half), max(0, column - half + width))
            if arm == "Cutout":
                images[:, :, rows, columns] = 0
            elif arm == "Mixup":
                images, lam = level * images + (1 - level) * images[partner], level
            else:
                changed = images[partner][:, :, rows, columns]
                images[:, :, rows, columns] = changed
                lam = 1 - changed[0].numel() / 64 if arm == "CutMix" else 1.0
        logits = model(images)
        own, other = (F.cross_entropy(logits, y, label_smoothing=smoothing) for y in (labels, labels[partner]))
        loss = lam * own + (1 - lam) * other
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        (loss * (arm != "untrained")).backward()
        optimizer.step()

    model.eval()
    attacked = test[:300].clone().requires_grad_()
    gradient = torch.autograd.grad(F.cross_entropy(model(attacked), truth[:300]), attacked)[0]
    noise, holed, inside = torch.rand(300, 1, 8, 8, generator=generator(seed, "noise")), test.clone(), test.clone()
    holed[:, :, 2:6, 2:6] = 0
    inside[:, :, [0, -1]], inside[:, :, :, [0, -1]] = 0, 0
    with torch.no_grad():

        def accuracy(images: Tensor) -> float:
            return float((model(images).argmax(-1) == truth[: len(images)]).float().mean())

        expected = {
            "accuracy": accuracy(test),
            "hidden": accuracy(holed),
            "inside": accuracy(inside),
            "attacked": accuracy((test[:300] + 0.1 * gradient.sign()).clamp(0, 1)),
            "loss": sum(losses[20:]) / 5,  # since the last but one measurement
            "nll": float(F.cross_entropy(model(test), truth)),
            "auroc": roc_auc_score([1] * 300 + [0] * 300, model(torch.cat([test[:300], noise])).softmax(-1).amax(-1)),
            "validation_accuracy": float((model(held_out).argmax(-1) == held_labels).float().mean()),
        }
    found = {name: results[name].isel(step=-1) if "step" in results[name].dims else results[name] for name in expected}
    found["hidden"] = found["hidden"].sel(hole=4)
    # the shares are computed in single precision, whatever the precision of the training
    assert {name: float(found[name]) for name in expected} == pytest.approx(expected, abs=1e-6)


@pytest.mark.usefixtures("double_precision")
def test_an_attack_moves_each_pixel_up_the_loss_of_its_own_network() -> None:
    source = generator(0, "test")
    images, labels = torch.rand(2, 6, 8, 8, generator=source), torch.randint(10, (2, 6), generator=source)
    network = experiments.Digits().only(["plain", "CutMix"]).network((3, 4)).eval()
    found = method.attack(network, images.repeat(2, 1, 1, 1), labels.repeat(2, 1), 0.1).unflatten(0, (2, 2))
    assert not found.requires_grad and found.shape == (2, 2, 6, 8, 8)
    for s, seed in enumerate((3, 4)):
        model = plain_network(seed).eval()
        x = images[s].unsqueeze(1).requires_grad_()
        up = torch.autograd.grad(F.cross_entropy(model(x), labels[s]), x)[0].sign()
        assert up.abs().mean() > 0.99
        moved = (x + 0.1 * up).clamp(0, 1).detach()
        assert float((moved - x.detach()).abs().max()) <= 0.1 + 1e-6
        with torch.no_grad():
            torch.testing.assert_close(found[:, s], moved.squeeze(1).expand(2, -1, -1, -1), atol=1e-9, rtol=1e-7)
            assert F.cross_entropy(model(moved), labels[s]) > F.cross_entropy(model(x), labels[s])


@pytest.mark.usefixtures("double_precision")
def test_the_mean_of_a_map_and_the_bias_are_the_logit() -> None:
    network = experiments.Localization().only(["plain", "CutMix"]).network((0, 1)).eval()
    images = torch.randn(4, 5, 16, 16, generator=generator(0, "test"))
    bias = network.logits.bias
    assert bias is not None
    with torch.no_grad():
        logits = network(images)
        for c in range(6):
            maps = experiments.class_maps(network, images, torch.full((4, 5), c))
            assert maps.shape == (4, 5, 8, 8)
            torch.testing.assert_close(maps.mean((-2, -1)) + bias[..., c], logits[..., c], atol=1e-9, rtol=1e-7)


@pytest.mark.usefixtures("double_precision")
def test_what_is_measured_piece_by_piece_is_that_of_all_at_once() -> None:
    network = experiments.Localization().only(["plain", "CutMix"]).network((0, 1))
    images = torch.randn(2, experiments.CHUNK + 7, 16, 16, generator=generator(0, "test"))
    pieces, found = experiments.measure(network, network, Tick(0.5), images), None
    ticks = 0
    while found is None:
        try:
            assert next(pieces).fraction == 0.5
            ticks += 1
        except StopIteration as done:
            found = done.value
    assert ticks == 2 and not network.training
    torch.testing.assert_close(found.flatten(0, 1), network(images.repeat(2, 1, 1, 1)), atol=1e-9, rtol=1e-7)


def test_an_activation_map_by_hand() -> None:
    features = torch.tensor([[[1.0, 0], [2, 0]], [[0, 3.0], [0, 1]]])
    found = method.class_activation_map(features, torch.tensor([2.0, -1]))
    assert found.tolist() == [[2, -3], [4, -1]]
    warm = method.heat(found.unsqueeze(0), (2, 2))
    assert warm[0].tolist() == [[0.5, 0], [1, 0]]
    enlarged = method.heat(torch.tensor([[[0.0, 1.0]]]), (1, 4))
    assert enlarged[0, 0].tolist() == pytest.approx([0, 0.25, 0.75, 1])
    assert (method.heat(-torch.ones(1, 2, 2), (4, 4)) == 0).all()


# ------------------------------------------------------------------------------------------------------------ boxes


def flood(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """Return the groups of connected pixels of a mask, found by walking from pixel to pixel."""
    left, groups = {(int(r), int(c)) for r, c in np.argwhere(mask)}, []
    while left:
        group, edge = set(), [left.pop()]
        while edge:
            r, c = edge.pop()
            group.add((r, c))
            for near in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                if near in left:
                    left.remove(near)
                    edge.append(near)
        groups.append(group)
    return groups


@given(SEED, st.floats(0.2, 0.8))
@settings(max_examples=40, deadline=None)
def test_the_box_is_that_around_the_largest_piece_of_a_flood(seed: int, level: float) -> None:
    maps = np.random.default_rng(seed).random((6, 7, 9))
    maps[0] = 0
    boxes = method.found_box(maps, level)
    assert (boxes[0] == 0).all()
    for one, box in zip(maps[1:], boxes[1:], strict=True):
        groups = flood(one >= level)
        around = []
        for group in groups:
            rows, columns = zip(*group, strict=True)
            around.append((len(group), [min(rows), min(columns), max(rows) + 1, max(columns) + 1]))
        largest = max((size for size, _ in around), default=0)
        assert box.tolist() in [edges for size, edges in around if size == largest] or not groups


@given(SEED)
@settings(max_examples=40, deadline=None)
def test_overlap_counts_shared_pixels(seed: int) -> None:
    first = np.random.default_rng(seed).integers(0, 8, (2, 5, 2))
    boxes = np.concatenate([first, first + 1 + np.random.default_rng(seed + 1).integers(0, 8, (2, 5, 2))], -1)
    for a, b, found in zip(*boxes, method.overlap(*boxes), strict=True):
        pixels = [set(itertools.product(range(x[0], x[2]), range(x[1], x[3]))) for x in (a, b)]
        assert found == pytest.approx(len(pixels[0] & pixels[1]) / len(pixels[0] | pixels[1]))


def test_no_box_overlaps_nothing() -> None:
    assert method.overlap(np.zeros((1, 4)), np.array([[2, 2, 6, 6]]))[0] == 0


# ----------------------------------------------------------------------------------------------------------- the scenes


@pytest.mark.parametrize(("length", "sides"), [(12, {12, 8}), (6, {6, 4}), (15, {15, 10})])
def test_scenes_are_made_of_their_patterns(length: int, sides: set[int]) -> None:
    drawn = experiments.scenes(generator(0, "test"), 400, length, 0.3, 16)
    rng = np.random.default_rng(1234)
    heads, bodies = np.sign(rng.normal(size=(6, 4, 4))), np.sign(rng.normal(size=(6, 4, 4)))
    rest, corners = drawn.images.numpy().copy(), set()
    for i in range(400):
        top, left, bottom, right = drawn.boxes[i].tolist()
        assert {bottom - top, right - left} == sides and min(top, left) >= 0 and max(bottom, right) <= 16
        c = int(drawn.labels[i])
        (head_top, head_left), head_end = (
            np.argwhere(drawn.heads[i].numpy())[0],
            np.argwhere(drawn.heads[i].numpy())[-1],
        )
        assert head_end.tolist() == [head_top + 3, head_left + 3]
        assert head_top in (top, bottom - 4) and head_left in (left, right - 4)
        corners.add((head_top == top, head_left == left))
        for r, k in itertools.product(range(top, bottom), range(left, right)):
            on_head = head_top <= r < head_top + 4 and head_left <= k < head_left + 4
            body = 0.3 * bodies[c, (r - top) % 4, (k - left) % 4]
            rest[i, r, k] -= heads[c, r - head_top, k - head_left] if on_head else body
        assert int(drawn.objects[i].sum()) == math.prod(sides) and drawn.objects[i, top, left]
    assert (drawn.objects | ~drawn.heads).all()
    count = rest.size
    assert abs(rest.mean()) < 4 * 0.25 / math.sqrt(count)
    assert rest.std() == pytest.approx(0.25, rel=4 / math.sqrt(2 * count))
    assert stats.kstest(rest.ravel(), stats.norm(0, 0.25).cdf).pvalue > 0.001
    # an object of 6x4 pixels is as narrow as its head, so that two corners are one
    assert len(corners) == (4 if min(sides) > 4 else 3) and set(drawn.labels.tolist()) == set(range(6))


class OneScene(experiments.Localization):
    """The same with one test scene, which is in the picture."""

    tests = 1


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_boxes_are_those_of_the_map_shown(seed: int) -> None:
    experiment = OneScene(steps=25, threshold=0.3)
    results = experiment.run([seed])
    test = experiments.scenes_of((seed,), "test scenes", 1, 12, 0.25, 16)
    true = np.zeros((16, 16))
    top, left, bottom, right = test.boxes[0, 0].tolist()
    true[top:bottom, left:right] = 1
    scene = test.images[0, 0].numpy()
    np.testing.assert_allclose(results.scene, np.stack([scene, scene * true]), atol=1e-6)
    for arm in experiment.arms:
        one = results.sel(arm=arm)
        warm, shown = one["map"].values, one.boxes.values
        groups = flood(warm >= 0.3)
        if [len(group) for group in groups].count(max(map(len, groups))) == 1:
            rows, columns = zip(*max(groups, key=len), strict=True)
            found = np.zeros((16, 16))
            found[min(rows) : max(rows) + 1, min(columns) : max(columns) + 1] = 1
            np.testing.assert_array_equal(shown, (true + found) / 2)
        iou = (shown == 1).sum() / (shown > 0).sum()
        assert float(one.localization.sel(tau=0.3).isel(seed=0)) == (iou >= 0.5)


@pytest.mark.usefixtures("double_precision")
def test_an_untrained_arm_stays_as_it_was() -> None:
    experiment = experiments.Localization(steps=25).only(["untrained"])
    network = experiment.network((3,))
    before = [weight.detach().clone() for weight in network.parameters()]
    (images, labels, *_), _ = experiment.sets((3,))
    for _ in experiment.train(network, images, labels, (3,)):
        pass
    for old, new in zip(before, network.parameters(), strict=True):  # but for 25 steps of weight decay
        torch.testing.assert_close(new.detach(), old, atol=0, rtol=25 * 0.01 * 1e-3)


@pytest.mark.parametrize(("canvas", "share"), [(16, 0.6), (20, 3 / 13), (24, 27 / 221)])
def test_a_square_in_the_middle_is_the_best_fixed_box(canvas: int, share: float) -> None:
    """All places of an object of 12x8 or 8x12 pixels, against all boxes around the middle."""
    places = [
        (r, c, r + height, c + width)
        for height, width in ((12, 8), (8, 12))
        for r, c in itertools.product(range(canvas - height + 1), range(canvas - width + 1))
    ]
    true, found = np.array(places), {}
    for height, width in itertools.product(range(6, 16), repeat=2):
        top, left = (canvas - height) // 2, (canvas - width) // 2
        box = np.array([[top, left, top + height, left + width]])
        found[height, width] = (method.overlap(box, true) >= 0.5).mean()
    assert found[12, 12] == max(found.values()) == pytest.approx(share)


@pytest.mark.usefixtures("double_precision")
def test_each_strength_of_the_body_is_an_experiment_of_its_own() -> None:
    sweep = experiments.Contrast(steps=25).run([1])
    one = experiments.Localization(steps=25, contrast=0.4).run([1])
    for arm in experiments.Contrast.arms:
        np.testing.assert_allclose(sweep.headless.sel(arm=arm, contrast=0.4), one.headless.sel(arm=arm), atol=1e-6)


# -------------------------------------------------------------------------------------------- pictures and exercises


def test_the_picture_shown_is_mixed_as_its_label_says() -> None:
    results = experiments.Digits(steps=25).run([0, 5])
    split = data.digits((0, 5), 100, standardize=False)
    hole = int(experiments.Digits.arms["Cutout"].settings["side"])
    for s in range(2):
        sample, own = results["sample"].isel(seed=s), results.own.isel(seed=s)
        images, labels = split.train_inputs[s].reshape(-1, 8, 8).numpy(), split.train_labels[s].tolist()
        second = next(i for i, label in enumerate(labels) if label != labels[0])
        box, holed = images[0].copy(), images[0].copy()
        box[1:5, 1:5] = images[second][1:5, 1:5]
        holed[3 - hole // 2 : 3 - hole // 2 + hole, 3 - hole // 2 : 3 - hole // 2 + hole] = 0
        expected = {
            "plain": (images[0], 1),
            "Cutout": (holed, 1),
            "Mixup": (0.6 * images[0] + 0.4 * images[second], 0.6),
            "CutMix": (box, 0.75),
            "one label": (box, 1),
        }
        for arm, (picture, weight) in expected.items():
            np.testing.assert_allclose(sample.sel(arm=arm), picture, atol=1e-6)
            assert float(own.sel(arm=arm)) == pytest.approx(weight)
    assert (results.gap.sel(arm=["plain", "CutMix"]) == 0).all() and (results.gap.sel(arm="one label") > 0.2).all()


def simulate(draws: int, clip: bool = True, root: bool = True) -> float:
    rng = np.random.default_rng(0)
    lam, center = rng.random(draws), rng.random((2, draws))
    side = np.sqrt(1 - lam) if root else 1 - lam
    first, end = center - side / 2, center + side / 2
    lengths = end.clip(max=1) - first.clip(min=0) if clip else end - first
    return float(lengths.prod(0).mean())


def test_the_simulation_is_checked() -> None:
    assert "0.3208" in exercises.check_clipping(simulate)
    for answer, hint in (
        (lambda draws: simulate(draws, clip=False), "before clipping"),
        (lambda draws: 1 - simulate(draws), "share of picture A"),
        (lambda draws: simulate(draws, root=False), "√"),
        (lambda draws: 0.9, "not the mean area"),
        (lambda draws: "a lot", "return one number"),
    ):
        with pytest.raises(WrongAnswerError, match=hint):
            exercises.check_clipping(answer)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError):
        exercises.check_clipping(lambda draws: None)  # type: ignore[arg-type, return-value]


def test_the_label_of_a_clipped_box_is_checked() -> None:
    assert "5.3 times" in exercises.check_label((0.75, 9 / 64))
    for answer, hint in (
        ((0.25, 9 / 64), "share of label A"),
        ((0.75, 55 / 64), "share of A"),
        ((0.75, 36 / 64), "three quarters"),
        ((0.75, 0.3), "without its fraction"),
        (0.75, "two numbers"),
    ):
        with pytest.raises(WrongAnswerError, match=hint):
            exercises.check_label(answer)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError):
        exercises.check_label((None, None))


def test_the_strength_with_the_largest_gain_is_read_from_the_run() -> None:
    gains = np.array(
        [[0.0, 0.1, 0.15, 0.1, 0.1, 0.0], [0.0, 0.1, 0.17, 0.1, 0.1, 0.02], [0.0, 0.0, 0.16, 0.2, 0.1, 0.0]]
    )
    headless = np.stack([np.zeros_like(gains), gains])
    coordinates = {"arm": ["plain", "CutMix"], "seed": [0, 1, 2], "contrast": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}
    sweep = xr.Dataset({"headless": (tuple(coordinates), headless)}, coordinates)
    for strength in (0.3, 0.4):
        assert "is at 0.3" in exercises.check_strength((sweep, strength))
    for strength, hint in ((0.1, "farther apart"), (0.6, "farther apart"), (0.35, "one of the strengths")):
        with pytest.raises(WrongAnswerError, match=hint):
            exercises.check_strength((sweep, strength))
    for unanswered in ((None, 0.3), (sweep, None)):
        with pytest.raises(NotImplementedError):
            exercises.check_strength(unanswered)
