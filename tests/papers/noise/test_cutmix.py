"""The exact checks of CutMix: worked boxes, conserved pixels, integrals, plain loops in PyTorch, flood fill."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from draws import normal
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
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
    expected = images.clone()
    expected[:, 2:6, 4:8] = 0
    assert method.cutout(images, torch.tensor([4, 6])).equal(expected)
    expected[:, 0:2, 6:8] = 0
    clipped = method.cutout(images, torch.tensor([0, 7]))
    assert (clipped[:, 0:2, 5:8] == 0).all() and int((clipped == 0).sum()) == 4 * 6


def test_several_seeds_at_once_are_each_alone() -> None:
    images = torch.stack([batch(seed)[0] for seed in range(3)])
    order = torch.stack([batch(seed)[1] for seed in range(3)])
    lam, center = torch.tensor([0.1, 0.6, 0.9]).double(), torch.tensor([[0, 3], [6, 6], [11, 2]])
    mixed, visible = method.cutmix(images, order, lam, center)
    for s in range(3):
        alone, weight = method.cutmix(images[s], order[s], lam[s], center[s])
        assert mixed[s].equal(alone) and visible[s] == weight
        assert method.mixup(images, order, lam)[s].equal(method.mixup(images[s], order[s], lam[s]))
        assert method.cutout(images, center)[s].equal(method.cutout(images[s], center[s]))


@given(SEED, st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_two_losses_are_one_loss_with_the_mixed_label(seed: int, lam: float) -> None:
    logits, labels = 3 * normal(seed, 6, 5), torch.tensor([0, 1, 2, 3, 4, 0])
    others = labels.roll(1)
    target = lam * F.one_hot(labels, 5).double() + (1 - lam) * F.one_hot(others, 5).double()
    found = method.mixed_cross_entropy(logits, labels, others, number(lam))
    assert float(found) == pytest.approx(float(F.cross_entropy(logits, target)), abs=1e-12)


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
    drawn = experiments.draw((0, 1, 2, 3), 500, 5, alpha, (8, 8))
    lam = torch.stack([one.lam for one in drawn]).flatten().numpy()
    assert stats.kstest(lam, stats.beta(alpha, alpha).cdf).pvalue > 0.01
    assert {float(one.coin.min()) >= 0 and float(one.coin.max()) < 1 for one in drawn} == {True}


def test_centers_are_uniform_and_orders_are_orders() -> None:
    drawn = experiments.draw((0, 1, 2, 3), 1000, 5, 1.0, (8, 4))
    rows, columns = torch.stack([one.center for one in drawn]).flatten(0, 1).T
    for places, count in ((rows, 8), (columns, 4)):
        assert stats.chisquare(torch.bincount(places, minlength=count).numpy()).pvalue > 0.01
    orders = torch.stack([one.order for one in drawn])
    assert (orders.sort(-1).values == torch.arange(5)).all()
    assert len({tuple(row) for row in orders.flatten(0, 1).tolist()}) == math.factorial(5)


def test_another_probability_or_level_moves_the_same_draws() -> None:
    first, second = (experiments.draw((0, 7), 50, 5, alpha, (8, 8)) for alpha in (0.5, 2.0))
    for a, b in zip(first, second, strict=True):
        assert a.coin.equal(b.coin) and a.center.equal(b.center) and a.order.equal(b.order)
        assert ((a.lam - 0.5).sign() == (b.lam - 0.5).sign()).all()
    alone = experiments.draw((7,), 50, 5, 0.5, (8, 8))
    assert all(x[0].equal(y[1]) for a, b in zip(alone, first, strict=True) for x, y in zip(a, b, strict=True))


# ------------------------------------------------------------------------------------------------------ the networks


def plain_network(seed: int) -> nn.Sequential:
    """Return the network of the digits from PyTorch's own layers, with the first weights of a seed."""
    digits = experiments.Digits().only(["plain"])
    return convolutional(digits.layers, 10, digits.network((seed,)), 0)


@pytest.mark.parametrize("arm", experiments.Digits.arms)
@pytest.mark.usefixtures("double_precision")
def test_training_all_at_once_equals_a_plain_loop(arm: str) -> None:
    seed, steps = 5, 25
    results = experiments.Digits(steps=steps).run([3, seed]).sel(arm=arm, seed=seed)

    digits = data.digits((seed,), 100, standardize=False)
    x, y = digits.train_inputs[0].reshape(100, 1, 8, 8), digits.train_labels[0]
    test, truth = digits.test_inputs[0, :900].reshape(900, 1, 8, 8), digits.test_labels[0, :900]
    model = plain_network(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005, weight_decay=1e-3)
    drawn, losses = experiments.draw((seed,), steps, 25, 1.0, (8, 8)), []
    order = [index[0] for epoch in range(1, steps // 4 + 2) for index in data.batches((seed,), 100, 25, epoch)]
    for step, one in enumerate(drawn):
        optimizer.param_groups[0]["lr"] = 0.0025 * (1 + math.cos(math.pi * step / steps))
        images, labels, lam = x[order[step]].clone(), y[order[step]], 1.0
        partner, (row, column), level = one.order[0], one.center[0].tolist(), float(one.lam[0])
        if arm != "plain" and float(one.coin[0]) < 0.5:
            side = 4 if arm == "Cutout" else int(8 * math.sqrt(1 - level))
            rows = slice(max(0, row - side // 2), row + side // 2)
            columns = slice(max(0, column - side // 2), column + side // 2)
            if arm == "Cutout":
                images[:, :, rows, columns] = 0
            elif arm == "Mixup":
                images, lam = level * images + (1 - level) * images[partner], level
            else:
                changed = images[partner][:, :, rows, columns]
                images[:, :, rows, columns] = changed
                lam = 1 - changed[0].numel() / 64 if arm == "CutMix" else 1.0
        logits = model(images)
        loss = lam * F.cross_entropy(logits, labels) + (1 - lam) * F.cross_entropy(logits, labels[partner])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))

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
            "loss": sum(losses) / steps,
            "nll": float(F.cross_entropy(model(test), truth)),
            "noise_confidence": float(model(noise).softmax(-1).amax(-1).mean()),
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
def test_the_largest_component_is_that_of_a_flood(seed: int, level: float) -> None:
    masks = np.random.default_rng(seed).random((6, 7, 9)) < level
    masks[0] = False
    kept = method.largest_component(masks)
    boxes = method.tight_box(kept)
    assert not kept[0].any() and (boxes[0] == 0).all()
    for mask, found, edges in zip(masks[1:], kept[1:], boxes[1:], strict=True):
        groups, chosen = flood(mask), {(int(r), int(c)) for r, c in np.argwhere(found)}
        if groups:
            assert chosen in groups and len(chosen) == max(map(len, groups))
            rows, columns = zip(*chosen, strict=True)
            assert edges.tolist() == [min(rows), min(columns), max(rows) + 1, max(columns) + 1]


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
    drawn = experiments.scenes(generator(0, "test"), 400, length, 0.3)
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
def test_boxes_and_shares_are_those_of_the_map_shown(seed: int) -> None:
    experiment = OneScene(steps=25, threshold=0.3)
    results = experiment.run([seed])
    test = experiments.scenes_of((seed,), "test scenes", 1, 12, 0.25)
    true, on_object = np.zeros((16, 16)), test.objects[0, 0].numpy()
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
        body = warm[on_object & ~test.heads[0, 0].numpy()].sum() / warm[on_object].sum()
        assert float(one.body_share.isel(seed=0)) == pytest.approx(body, abs=1e-5)


@pytest.mark.usefixtures("double_precision")
def test_without_changes_all_arms_are_plain_but_the_one_that_always_changes() -> None:
    results = experiments.Localization(steps=25, probability=0).run(1)
    for arm in (experiments.CUTOUT, experiments.MIXUP, experiments.CUTMIX, experiments.ONE_LABEL):
        np.testing.assert_allclose(results.nll.sel(arm=arm), results.nll.sel(arm=experiments.PLAIN), atol=1e-8)
    assert abs(results.nll.sel(arm=experiments.ALWAYS) - results.nll.sel(arm=experiments.PLAIN)) > 1e-3
    always, half = experiments.Localization(steps=25, probability=1).run(1), experiments.Localization(steps=25).run(1)
    np.testing.assert_allclose(
        always.nll.sel(arm=experiments.CUTMIX), always.nll.sel(arm=experiments.ALWAYS), atol=1e-8
    )
    np.testing.assert_allclose(half.nll.sel(arm=experiments.ALWAYS), always.nll.sel(arm=experiments.ALWAYS), atol=1e-8)


@pytest.mark.usefixtures("double_precision")
def test_each_strength_of_the_body_is_an_experiment_of_its_own() -> None:
    sweep = experiments.Contrast(steps=25).run([1])
    one = experiments.Localization(steps=25, contrast=0.4).run([1])
    for arm in experiments.Contrast.arms:
        np.testing.assert_allclose(sweep.headless.sel(arm=arm, contrast=0.4), one.headless.sel(arm=arm), atol=1e-6)


# -------------------------------------------------------------------------------------------- pictures and exercises


@pytest.mark.parametrize("center", [0, 3])
def test_the_picture_shown_is_mixed_as_its_label_says(center: int) -> None:
    results = experiments.Mixing(lam=0.4, center=center).run([0, 5])
    split = data.digits((0, 5), 100, standardize=False)
    for s in range(2):
        sample, own = results["sample"].isel(seed=s), results.own.isel(seed=s)
        images, labels = split.train_inputs[s].reshape(-1, 8, 8).numpy(), split.train_labels[s].tolist()
        second = next(i for i, label in enumerate(labels) if label != labels[0])
        side, box, hole = int(8 * math.sqrt(0.6)) // 2, np.zeros((8, 8), bool), np.zeros((8, 8), bool)
        for mask, half in ((box, side), (hole, 2)):
            mask[max(0, center - half) : center + half, max(0, center - half) : center + half] = True
        pasted = np.where(box, images[second], images[0])
        expected = {
            "plain": (images[0], 1),
            "Cutout": (np.where(hole, 0, images[0]), 1),
            "Mixup": (0.4 * images[0] + 0.6 * images[second], 0.4),
            "CutMix": (pasted, 1 - box.mean()),
            "one label": (pasted, 1),
        }
        for arm, (picture, weight) in expected.items():
            np.testing.assert_allclose(sample.sel(arm=arm), picture, atol=1e-6)
            assert float(own.sel(arm=arm)) == pytest.approx(weight)


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
