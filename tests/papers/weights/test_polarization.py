"""The exact checks of polarization: worked numbers, autograd, torch's own layers and optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reglab import data
from reglab.exercise import WrongAnswerError
from reglab.knobs import Arm
from reglab.papers.weights.polarization import exercises, experiments, method
from reglab.papers.weights.polarization.experiments import BLOCKS, Conversion, Gates, Models
from reglab.recordings import store
from reglab.training import Lanes

SEED = st.integers(0, 2**31)


def binary(seed: int, *shape: int) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    shares = torch.rand(shape[-1], generator=draws, dtype=torch.float64)
    return (torch.rand(shape, generator=draws, dtype=torch.float64) < shares).double()


def models(arms: dict[str, Arm], seeds: int, *, gated: bool, attached: bool = False) -> Models:
    return Models(Lanes(arms, tuple(range(seeds)), {}), gated, 24, "sigmoid", attached)


def column(*gates: float) -> Tensor:
    return torch.tensor(gates, dtype=torch.float64).unsqueeze(1)


# ---------------------------------------------------------------------------------------------------- the penalties


@pytest.mark.parametrize(
    ("gates", "expected"), [((1, 1, 0, 0), 0.25), ((1, 1, 1, 0), 0.1875), ((1, 1, 1, 1), 0.0), ((0, 0, 0, 0), 0.0)]
)
def test_polarization_by_hand(gates: tuple[float, ...], expected: float) -> None:
    assert float(method.polarization(column(*gates))) == expected


@given(SEED, st.integers(1, 40), st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_polarization_is_the_population_variance_of_binary_gates(seed: int, batch: int, units: int) -> None:
    gates = binary(seed, batch, units)
    torch.testing.assert_close(method.polarization(gates), gates.var(0, correction=0).mean(), atol=1e-14, rtol=0)
    assert 0 <= float(method.polarization(gates)) <= 0.25
    assert 0 <= float(method.activation(gates)) <= 1


@pytest.mark.parametrize(("gates", "expected"), [((1, 1, 1, 0), -0.125), ((1, 1, 0, 0), 0.0), ((1, 0, 0, 0), 0.125)])
def test_its_gradient_is_the_majority_s_pull(gates: tuple[float, ...], expected: float) -> None:
    one = column(*gates).requires_grad_()
    (slope,) = torch.autograd.grad(method.polarization(one), one)
    assert slope.flatten().tolist() == [expected] * 4


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_both_gradients_are_those_of_their_formulas(seed: int) -> None:
    gates, zero, one = binary(seed, 12, 5).requires_grad_(), torch.tensor(0.0), torch.tensor(1.0)
    (slope,) = torch.autograd.grad(method.penalty(gates, zero, one, 0.3), gates)
    torch.testing.assert_close(slope, ((1 - 2 * gates.mean(0)) / 60).expand(12, -1).detach())
    (slope,) = torch.autograd.grad(method.penalty(gates, one, zero, 0.3), gates)
    torch.testing.assert_close(slope, (2 * (gates.mean() - 0.3) / 60).expand(12, 5).detach().double())


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_a_batch_of_one_has_no_polarization(seed: int) -> None:
    assert not method.polarization(binary(seed, 30, 1, 7)).any()


def test_free_scores_go_to_their_first_majority() -> None:
    scores = torch.randn(20, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    majority = (scores > 0).double().mean(0)
    assert (majority == 0.5).any()
    scores.requires_grad_()
    for _ in range(3000):
        (slope,) = torch.autograd.grad(method.polarization(method.gates(scores)), scores)
        scores.data -= 20 * slope
    last = (scores.detach() > 0).double()
    undecided = majority == 0.5  # the gradient is 0 there
    assert torch.equal(last.mean(0)[~undecided], (majority > 0.5).double()[~undecided])
    assert (last.mean(0)[undecided] == 0.5).all()


# --------------------------------------------------------------------------------------------- gates, blocks, units


def test_gates_are_binary_and_pass_the_sigmoid_s_gradient() -> None:
    scores = torch.tensor([0.4, 0.0, -2.0], dtype=torch.float64, requires_grad=True)
    assert method.gates(scores).tolist() == [1, 0, 0]
    for surrogate, expected in (("sigmoid", [0.2402607, 0.25, 0.1049936]), ("identity", [1, 1, 1])):
        (slope,) = torch.autograd.grad(3 * method.gates(scores, surrogate).sum(), scores)
        assert (slope / 3).tolist() == pytest.approx(expected, abs=1e-7)


def test_a_closed_layer_gate_makes_a_block_the_identity() -> None:
    draws = torch.Generator().manual_seed(0)
    h, a, b = (torch.randn(*shape, generator=draws) for shape in ((7, 4), (4, 6), (6, 4)))
    a0, b0, gates = torch.ones(1, 6), torch.ones(1, 4), torch.ones(7, 6)
    assert torch.equal(method.block(h, gates, a, a0, b, b0, 0), h)
    torch.testing.assert_close(method.block(h, gates, a, a0, b, b0), h + (h @ a + a0).relu() @ b + b0)
    torch.testing.assert_close(method.block(h, 0 * gates, a, a0, b, b0), h + b0)


def test_consensus_ambiguous_and_the_choice_of_units_by_hand() -> None:
    means = torch.tensor([0.0, 0.02, 0.03, 0.5, 0.51, 0.97, 1.0], dtype=torch.float64)
    assert method.consensus(means).tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert float(method.ambiguous(means)) == pytest.approx(4 / 7)
    chosen = method.largest(torch.tensor([[3.0, 1, 3, 2], [3, 1, 3, 2]]), torch.tensor([1, 3]))
    assert chosen.tolist() == [[1, 0, 0, 0], [1, 0, 1, 1]]
    blocks = method.in_turn(torch.tensor([[5.0, 6, 4], [1, 2, 3]]))
    assert method.largest(blocks, torch.tensor(3)).tolist() == [1, 1, 0, 0, 0, 1]
    assert method.largest(blocks, torch.tensor(4)).tolist() == [1, 1, 0, 0, 1, 1]


@pytest.mark.usefixtures("double_precision")
def test_deleting_units_is_closing_their_gates() -> None:
    network = models({"a": Arm("method"), "b": Arm("null")}, 2, gated=True)
    x, gates = torch.randn(4, 50, 2, generator=torch.Generator().manual_seed(0)), binary(3, 4, BLOCKS * 24)
    with torch.no_grad():
        static = network(x, gates.unsqueeze(1))[0]
        torch.testing.assert_close(network.without_gates(x, gates), static, atol=1e-12, rtol=1e-12)
        # scores that no input changes: the network with its own gates is the static one
        network.weights["score"].zero_()
        network.weights["score_bias"].copy_(gates.unflatten(1, (BLOCKS, 1, 24)) - 0.5)
        own, found = network(x)
        assert torch.equal(found, gates.unsqueeze(1).expand(-1, 50, -1)) and torch.equal(own, static)
        assert torch.equal(method.consensus(found.mean(1)), gates)


@pytest.mark.usefixtures("double_precision")
def test_a_network_without_units_is_linear() -> None:
    network = models({"linear": Conversion.arms["linear"]}, 2, gated=False)
    x, y = torch.randn(2, 2, 30, 2, generator=torch.Generator().manual_seed(0))
    middle = (network(x)[0] + network(y)[0]) / 2
    torch.testing.assert_close(network((x + y) / 2)[0], middle, atol=1e-12, rtol=1e-12)
    assert not network(x)[1].any()


def test_first_weights_have_their_spread() -> None:
    network = models({"dense": Arm("baseline")}, 40, gated=True)
    expected = {"trunk": 1.0, "up": 2 / 16, "down": 0.25 * 2 / 24, "hidden": 2 / 16, "score": 0.25 * 2 / 16}
    for name, variance in (expected | {"classifier": 0.49 * 2 / 16}).items():
        assert float(network.weights[name].detach().square().mean()) == pytest.approx(variance, rel=0.12), name
        assert (network.weights[f"{name}_bias"] == (name == "score")).all()


def test_only_what_is_attached_sends_gradients_into_the_trunk() -> None:
    for attached in (False, True):
        network = models({"polar": Arm("method")}, 1, gated=True, attached=attached)
        gates = network(torch.randn(1, 50, 2, generator=torch.Generator().manual_seed(0)))[1]
        found = torch.autograd.grad(
            method.polarization(gates).sum(), [network.weights["score"], network.weights["trunk"]], allow_unused=True
        )
        assert found[0].any()
        # a gate of a later block depends on the trunk through gates of earlier blocks only when it is attached
        assert (found[1] is not None and bool(found[1].any())) == attached


# ------------------------------------------------------------------------------------------------------ the training


def test_the_spiral_has_the_arms_that_it_says() -> None:
    (x, labels), (alone, _) = experiments.spiral((3, 7), "train", 2000), experiments.spiral((7,), "train", 2000)
    assert torch.equal(x[1], alone[0])
    radius = x.norm(dim=-1) / 2
    turned = torch.atan2(x[..., 1], x[..., 0]) - 2 * torch.pi * (labels / 5 + radius)
    off = torch.remainder(turned + torch.pi, 2 * torch.pi) - torch.pi
    assert float(off.std()) == pytest.approx(0.2, rel=0.05) and float(off.mean()) == pytest.approx(0, abs=0.02)
    assert 0.15 <= float(radius.min()) < 0.16 and 0.99 < float(radius.max()) <= 1
    assert labels[0].bincount().tolist() == [400] * 5


def reference(seed: int, arm: str, epochs: int, count: int) -> tuple[Tensor, Tensor]:
    """Train one network of one arm in a plain loop; return the accuracy with its own gates and its mean gates."""
    known = Conversion().settings() | {"epochs": epochs}
    get = {
        key: Conversion.arms[arm].value(key, known)
        for key in ("rate", "tuning", "activ", "polar", "target", "l1", "scored")
    }
    gated, cut = "gated" in Conversion.arms[arm].settings, round(Conversion.arms[arm].value("cut", known) * epochs)
    points = experiments.draw((seed,))
    (x, y), (test, answers) = ((one[0] for one in points[part]) for part in ("train", "test"))

    def first(name: str, scale: float, *shape: int) -> Tensor:
        return (data.normal((seed,), f"weights of {name}", *shape)[0] * scale * (2 / shape[-2]) ** 0.5).requires_grad_()

    trunk, up, down = first("trunk", 1, 2, 16), first("up", 1, 3, 16, 24), first("down", 0.5, 3, 24, 16)
    hidden, score = first("hidden", 1, 3, 16, 16), first("score", 0.5, 3, 16, 24)
    classifier = first("classifier", 0.7, 16, 5)
    biases = [torch.zeros(n, requires_grad=True) for n in (16, 5)]
    inner = [torch.zeros(3, n, requires_grad=True) for n in (24, 16, 16)]
    opened = torch.ones(3, 24, requires_grad=True)
    unit = 1 + 0.5 * data.normal((seed,), "scores", 1, 72)[0, 0] * bool(get["scored"])
    unit.requires_grad_()
    weights = [trunk, up, down, hidden, score, classifier, *biases, *inner, opened, unit]
    mask = torch.ones(72)

    def straight(s: Tensor) -> Tensor:
        sigmoid = s.sigmoid()
        return (s > 0).double() + (sigmoid - sigmoid.detach())

    def run(points: Tensor) -> tuple[Tensor, Tensor]:
        h, found = points @ trunk + biases[0], []
        for i in range(3):
            part = slice(24 * i, 24 * (i + 1))
            if gated:
                g = straight((h.detach() @ hidden[i] + inner[2][i]).relu() @ score[i] + opened[i])
            else:
                g = (straight(unit[part]) if get["scored"] else mask[part]).expand(len(h), -1)
            found.append(g)
            h = h + (g * (unit[part] if get["l1"] else 1) * (h @ up[i] + inner[0][i]).relu()) @ down[i] + inner[1][i]
        return h @ classifier + biases[1], torch.cat(found, 1)

    optimizer, late = torch.optim.Adam(weights, lr=get["rate"]), False
    for epoch in range(1, epochs + 1):
        for index in data.batches((seed,), 800, 100, epoch)[:, 0]:
            z, g = run(x[index])
            loss = F.cross_entropy(z, y[index])
            if not late:
                m = g.mean(0)
                loss = loss + get["activ"] * (m.mean() - get["target"]) ** 2 + get["polar"] * (m * (1 - m)).mean()
                loss = loss + get["l1"] * unit.abs().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch == cut:
            late, optimizer = True, torch.optim.Adam(weights, lr=get["tuning"] or get["rate"])
            importance = run(x)[1].detach().mean(0) if gated else unit.detach().abs()
            mask, gated = torch.zeros(72), False
            mask[importance.argsort(descending=True, stable=True)[:count]] = 1
    with torch.no_grad():
        return (run(test)[0].argmax(-1) == answers).double().mean(), run(x)[1].mean(0)


@pytest.mark.parametrize("arm", ["dense", "polar", "activ", "static gates", "L1 + fine-tune", "activ + fine-tune"])
@pytest.mark.usefixtures("double_precision")
def test_batched_training_equals_a_plain_loop(arm: str) -> None:
    seed, epochs = 5, 4
    results = Conversion(epochs=epochs).only([arm, "polar"]).run([3, seed]).sel(seed=seed)
    kept = round(72 * float(results.kept.sel(arm="polar")))
    accuracy, means = reference(seed, arm, epochs, kept)
    found = results.sel(arm=arm)
    assert float(found.dynamic.isel(epoch=-1)) == pytest.approx(float(accuracy), abs=1e-6)
    assert float(found.kept) == pytest.approx(float((means > 0.5).double().mean()), abs=1e-6)
    between = (means > 0.02) & (means < 0.98)
    assert float(found.ambiguous.isel(epoch=-1)) == pytest.approx(float(between.double().mean()), abs=1e-6)
    shares = np.histogram(means, bins=10, range=(0, 1))[0] / 72
    np.testing.assert_allclose(found.spectrum, shares, atol=1e-6)


@pytest.fixture(scope="module")
def short() -> Any:
    return Conversion(epochs=3).run(2)


def test_without_polarization_it_is_activ(short: Any) -> None:
    results = Conversion(epochs=3, polar=0).only(["polar", "activ"]).run(2)
    for name in ("ambiguous", "dynamic", "static", "kept"):
        np.testing.assert_allclose(results[name].sel(arm="polar"), results[name].sel(arm="activ"), err_msg=name)
        np.testing.assert_allclose(results[name].sel(arm="activ"), short[name].sel(arm="activ"), atol=1e-6)


def test_rivals_have_as_many_units_and_cost_what_is_counted(short: Any) -> None:
    for name, arm in Conversion.arms.items():
        if "size" in arm.settings:
            assert short.kept.sel(arm=name).equals(short.kept.sel(arm="polar").drop_vars("arm").assign_coords(arm=name))
    assert (short.macs_share.sel(arm="dense") == 1).all() and (short.kept.sel(arm="linear") == 0).all()
    units = short.kept * 72
    # 2·16 and 16·5 weights outside the blocks, 16 to and 16 from each unit
    np.testing.assert_allclose(short.macs_share, (112 + 32 * units) / 2416, atol=1e-6)
    assert short.bits_share.equals(short.macs_share) and short.weights_share.equals(short.macs_share)
    change = short.static.isel(epoch=-1) - short.static.isel(epoch=-1).sel(arm="dense")
    np.testing.assert_allclose(short.accuracy_change, change, atol=1e-6)


def test_constant_gates_are_converted_for_free(short: Any) -> None:
    constant = [name for name, arm in Conversion.arms.items() if "gated" not in arm.settings]
    assert not short.ambiguous.sel(arm=constant).any()
    assert short.static.sel(arm=constant).equals(short.dynamic.sel(arm=constant))
    np.testing.assert_allclose(short.spectrum.sum("bin"), 1, atol=1e-6)


def test_which_units_the_sized_arms_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Largest mean gates, largest factors, in each block the largest outgoing weights, those of `polar`, or random."""
    seen: dict[str, list[Tensor]] = {}
    before: dict[str, dict[str, Tensor]] = {}

    def watch(self: Conversion, lanes: Lanes, network: Models, points: Any) -> dict[str, Tensor]:
        x = lanes.repeat(points["train"][0])
        values = {
            "means": network(x)[1].mean(1),
            "unit": network.unit[:, 0].abs(),
            "down": network.weights["down"].norm(dim=-1),
        }
        for k, name in enumerate(lanes.arms):
            seen.setdefault(name, []).append(network.mask[2 * k : 2 * k + 2, 0].clone())
            if seen[name][-1].all():
                before[name] = {key: value[2 * k : 2 * k + 2] for key, value in values.items()}
        return {"static": torch.zeros(len(lanes))}

    monkeypatch.setattr(Conversion, "measured", watch)
    Conversion(epochs=2).run(2)
    polar = (before["polar"]["means"] > 0.5).float()
    assert torch.equal(seen["retrained"][-1], polar) and not torch.equal(seen["random"][-1], polar)
    for name, masks in seen.items():
        if "size" in Conversion.arms[name].settings:
            assert torch.equal(masks[-1].sum(-1), polar.sum(-1)), name
    for name, key in (("activ + fine-tune", "means"), ("L1 + fine-tune", "unit")):
        kept = seen[name][-1] > 0
        for row, values in zip(kept, before[name][key], strict=True):
            assert values[row].min() >= values[~row].max(), name
    blocks = seen["magnitude"][-1].unflatten(1, (3, 24))
    assert (blocks.sum(-1).amax(-1) - blocks.sum(-1).amin(-1) <= 1).all()
    for row, norms in zip(blocks.flatten(0, 1) > 0, before["magnitude"]["down"].flatten(0, 1), strict=True):
        assert norms[row].min() >= norms[~row].max()


def test_identities_hold_at_every_moment() -> None:
    results = Gates(epochs=3).run(2)
    assert float(results.variance_gap.max()) < 1e-6 and float(results.deletion_gap.max()) < 1e-5
    assert (results.closed.mean("point").diff("unit") >= -1e-9).all(), "units come sorted"


def test_what_settings_are_chosen_by_depends_on_no_test_data(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = experiments.draw

    def other_test_points(seeds: Any) -> Any:
        return {**drawn(seeds), "test": drawn(tuple(seed + 50 for seed in seeds))["test"]}

    here = Conversion(epochs=2).run(2)
    monkeypatch.setattr(experiments, "draw", other_test_points)
    there = Conversion(epochs=2).run(2)
    for name in ("held_out", "kept"):
        assert here[name].equals(there[name])
    assert not here.static.equals(there.static)


# -------------------------------------------------------------------------------------------------------- exercises


def test_right_answers_are_accepted() -> None:
    assert "disagree" in exercises.check_batch((0.1875, 0))
    assert "majority" in exercises.check_pull(lambda g: ((1 - 2 * g.mean(0)) / g.numel()).expand_as(g))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda g: ((1 - 2 * g.mean(0)) / len(g)).expand_as(g), "divide by N"),
        (lambda g: ((2 * g.mean(0) - 1) / g.numel()).expand_as(g), "sign"),
        (lambda g: (1 - 2 * g) / g.numel(), "mean over the batch"),
        (lambda g: 1 - 2 * g.mean(0), "shape"),
        (lambda g: 0 * g, "chain rule"),
    ],
)
def test_a_wrong_pull_gets_a_hint(answer: Any, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_pull(answer)


def test_wrong_numbers_get_a_hint_and_no_answer_none() -> None:
    with pytest.raises(WrongAnswerError, match="before the parabola"):
        exercises.check_batch((0.0, 0.0))
    with pytest.raises(WrongAnswerError, match="single gate"):
        exercises.check_batch((0.1875, 0.1875))
    for nothing in ((None, None), (0.1875, None)):
        with pytest.raises(NotImplementedError):
            exercises.check_batch(nothing)
    with pytest.raises(NotImplementedError):
        exercises.check_pull(lambda gates: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(NotImplementedError):
        exercises.check_conversion((None, None, None))


def test_the_accuracies_are_those_of_the_recording() -> None:
    grid = store.read(Conversion)
    assert grid is not None
    static = grid.static.sel(target=0.15).isel(epoch=-1).mean("seed")
    answers = [float(static.sel(arm=arm, polar=polar)) for arm, polar in (("polar", 0), ("polar", 30), ("random", 30))]
    assert answers[0] < 0.4 < 0.8 < min(answers[1:])
    assert "free" in exercises.check_conversion(answers)
    with pytest.raises(WrongAnswerError, match="polar at λ_polar = 30"):
        exercises.check_conversion((answers[0], answers[0], answers[2]))
