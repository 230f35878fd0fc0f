"""The exact checks of MaskSparsity: worked numbers, autograd, a plain PyTorch loop, and networks that are cut."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from reglab import data
from reglab.effects import end
from reglab.exercise import WrongAnswerError
from reglab.knobs import Arm
from reglab.papers.weights._shared import cost
from reglab.papers.weights._shared.network import Dense, digits
from reglab.papers.weights.mask_sparsity import exercises, experiments, method
from reglab.recordings import store
from reglab.seeds import generator
from reglab.training import Lanes

SCALES = st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=12).map(torch.tensor)


def lanes(seeds: int = 2) -> Lanes:
    return Lanes({"one": Arm("method")}, tuple(range(seeds)), {})


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(seeds: int = 2) -> Dense:
    """A network whose normalizations hold numbers of all kinds, also running ones."""
    found = experiments.dense(lanes(seeds))
    found(draws(seeds, 50, 64))
    for k, norm in enumerate(experiments.normalizations(found)):
        norm.gamma.data, norm.beta.data = draws(*norm.gamma.shape, seed=k + 1), draws(*norm.beta.shape, seed=k + 3)
    return found


def masks(seeds: int = 2, count: int = 29) -> list[Tensor]:
    return [method.smallest(draws(seeds, 1, experiments.UNITS, seed=k + 5), count) for k in range(2)]


# ------------------------------------------------------------------------------------------------------- the penalty


def test_the_added_gradient_by_hand() -> None:
    """The first unit is kept, the third has γ = 0; a mask of keep flags would give the gradient (0.1, 0, 0, 0)."""
    gamma, mask = torch.tensor([0.5, -0.02, 0, 1.3]), torch.tensor([0, 1, 1, 1])
    assert method.subgradient(gamma, mask, 0.1).tolist() == pytest.approx([0, -0.1, 0, 0.1])
    assert float(method.penalty(gamma, mask, 0.1)) == pytest.approx(0.132)


@given(SCALES, st.floats(0, 0.2))
@settings(max_examples=30, deadline=None)
def test_the_added_gradient_is_autograd_s(gamma: Tensor, strength: float) -> None:
    gamma = torch.where(gamma == 0, 0.5, gamma).requires_grad_()
    for mask in (draws(len(gamma)) > 0, torch.ones(len(gamma)), torch.zeros(len(gamma))):
        (expected,) = torch.autograd.grad(method.penalty(gamma, mask, strength), gamma)
        torch.testing.assert_close(method.subgradient(gamma.detach(), mask, strength), expected)
    torch.testing.assert_close(method.penalty(gamma, torch.ones(len(gamma)), strength), strength * gamma.abs().sum())


def test_the_penalty_is_added_to_what_the_task_has_left() -> None:
    found = network()
    for norm in experiments.normalizations(found):
        norm.gamma.grad, norm.beta.grad = torch.ones_like(norm.gamma), torch.ones_like(norm.beta)
    marked = masks()
    experiments.penalize(found, marked, torch.tensor([0.1, 0.0]).reshape(-1, 1, 1))
    for norm, mask in zip(experiments.normalizations(found), marked, strict=True):
        assert norm.gamma.grad is not None and norm.beta.grad is not None
        torch.testing.assert_close(norm.gamma.grad[0], 1 + 0.1 * mask[0] * norm.gamma[0].sign())
        assert (norm.gamma.grad[1] == 1).all() and (norm.beta.grad == 1).all()


def test_without_a_task_scales_fall_in_equal_steps_and_swing_around_zero() -> None:
    rate, strength = 0.05, 0.1
    gamma, mask = torch.tensor([1.0, -0.3, 0.0021]).double(), torch.ones(3)
    paths = [gamma]
    for _ in range(300):
        paths.append(paths[-1] - rate * method.subgradient(paths[-1], mask, strength))
    sizes = torch.stack(paths).abs()
    far = sizes[:-1] > rate * strength
    torch.testing.assert_close((sizes[:-1] - sizes[1:])[far], torch.full((int(far.sum()),), rate * strength).double())
    assert (sizes[1:][~far] <= rate * strength + 1e-12).all() and (sizes[-1] > 0).any()


# --------------------------------------------------------------------------------------------------------- the masks


def test_thresholds_by_hand() -> None:
    gamma = torch.tensor([0.5, 0.01, 0.003, 0.9, 0.02])
    assert method.weakest_threshold(gamma, 1e-4) == pytest.approx(0.0065)
    assert method.weakest(gamma, 1e-4).tolist() == [False, False, True, False, False]
    assert method.at_most(gamma, 0.01).tolist() == [False, True, True, False, False]
    assert method.weakest_threshold(torch.tensor([1.0, 1.0])) == 0


def test_of_ties_the_first_are_cut() -> None:
    found = method.smallest(torch.tensor([[0.2, 0.1, 0.1, 0.2, 0.1]]), 2)
    assert found.tolist() == [[False, True, True, False, False]]


@given(SCALES, st.integers(0, 20), st.floats(0, 3), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_at_least_one_unit_survives(gamma: Tensor, count: int, threshold: float, part: float) -> None:
    for mask in (method.smallest(gamma, count), method.at_most(gamma, threshold), method.weakest(gamma, part)):
        assert mask.dtype == torch.bool and mask.shape == gamma.shape and not mask.all()
    assert int(method.smallest(gamma, count).sum()) == min(count, len(gamma) - 1)
    carried = gamma[method.weakest(gamma, part)].square().sum()
    assert float(carried) <= part * float(gamma.square().sum()) * (1 + 1e-5)


def test_arms_mark_the_smallest_the_largest_or_the_same_random_units() -> None:
    setting = experiments.Pruning(ratio=0.75)
    arms = {name: setting.arms[name] for name in ("mask", "global", "anti-mask", "random", "cut at random")}
    many = Lanes(arms, (0, 1), setting.settings())
    sizes = [draws(2, 1, experiments.UNITS, seed=k).abs() for k in range(2)]
    for size, found in zip(sizes, setting.masks(many, sizes), strict=True):
        marked = many.split(found)
        assert (marked.sum(-1) == 36).all()
        assert torch.equal(marked[0], marked[1]) and torch.equal(marked[3], marked[4])
        for seed in range(2):
            one, weak, strong = size[seed], marked[0, seed], marked[2, seed]
            assert one[weak].max() < one[~weak].min() and one[strong].min() > one[~strong].max()
        assert not torch.equal(marked[3, 0], marked[3, 1]) and not torch.equal(marked[0], marked[3])


# ----------------------------------------------------------------------------------------------------------- the cut


def test_marked_units_go_and_the_others_stay_as_they_are() -> None:
    """Cutting what a mask of keep flags marks would leave 29 units."""
    found, marked = network(), masks()
    small = experiments.cut(found, marked)
    assert cost.count([64, *(weight.shape[2] for weight in small.weights)]) == 1767
    for one, mask, before, after in zip(
        found.weights, marked, experiments.normalizations(found), experiments.normalizations(small), strict=False
    ):
        for model in range(2):
            stays = ~mask[model, 0]
            for values, left in (
                (before.gamma, after.gamma), (before.beta, after.beta), (before.mean, after.mean),
                (before.variance, after.variance),
            ):  # fmt: skip
                assert torch.equal(values[model, 0, stays], left[model, 0])
            assert one.shape[2] == len(stays)
    assert torch.equal(small.weights[0][1], found.weights[0][1][:, ~marked[0][1, 0]])


@torch.no_grad()
def test_cutting_by_mask_and_for_good_gives_the_same_logits() -> None:
    found, marked, x = network(), masks(), draws(2, 30, 64, seed=9)
    silenced = copy.deepcopy(found)
    for norm, mask in zip(experiments.normalizations(silenced), marked, strict=True):
        norm.gamma[mask], norm.beta[mask] = 0, 0
    small = experiments.evaluate(experiments.cut(found, marked), x)
    torch.testing.assert_close(small, experiments.evaluate(silenced, x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(small, experiments.evaluate(experiments.cut(silenced, marked), x), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_what_dead_units_send_can_be_absorbed() -> None:
    found, marked, x = network(), masks(), draws(2, 30, 64, seed=9)
    for norm, mask in zip(experiments.normalizations(found), marked, strict=True):
        norm.gamma[mask] = 0
    whole = experiments.evaluate(found, x)
    assert (experiments.evaluate(experiments.cut(found, marked), x) - whole).abs().max() > 0.1
    experiments.absorb(found, marked)
    torch.testing.assert_close(experiments.evaluate(experiments.cut(found, marked), x), whole, atol=1e-5, rtol=1e-5)


def test_evaluation_uses_running_statistics_and_training_goes_on() -> None:
    found, x = network(), draws(2, 30, 64, seed=9)
    alone = experiments.evaluate(found, x[:, :1])
    torch.testing.assert_close(alone, experiments.evaluate(found, x)[:, :1], atol=1e-5, rtol=1e-5)
    assert found.training and all(norm.training for norm in experiments.normalizations(found))


def test_units_fade_in_proportion_and_others_are_left_alone() -> None:
    start, now, mask = torch.tensor([2.0, -1.0]), torch.tensor([5.0, 6.0]), torch.tensor([True, False])
    assert [method.faded(start, now, mask, t).tolist() for t in (0, 0.25, 1)] == [[2, 6], [1.5, 6], [0, 6]]


# ------------------------------------------------------------------------------------------------------ the training


@dataclass
class Plain:
    """A network of torch's own layers."""

    linears: list[nn.Linear]
    norms: list[nn.BatchNorm1d]

    def whole(self) -> nn.Sequential:
        parts = [part for pair in zip(self.linears, self.norms, strict=False) for part in (*pair, nn.ReLU())]
        return nn.Sequential(*parts, self.linears[-1])

    def cut(self, doomed: list[Tensor]) -> Plain:
        found = copy.deepcopy(self)
        for layer, mask in enumerate(doomed):
            found.linears[layer].weight.data = found.linears[layer].weight.data[~mask]
            found.linears[layer + 1].weight.data = found.linears[layer + 1].weight.data[:, ~mask]
            old = self.norms[layer].state_dict()
            found.norms[layer] = nn.BatchNorm1d(int((~mask).sum()))
            found.norms[layer].load_state_dict({key: one[~mask] if one.dim() else one for key, one in old.items()})
        return found


def plain(arm: str, seed: int, strength: float, rate: float) -> Iterator[tuple[str, float]]:
    """Go through all stages, an epoch each, with torch's own layers, one network at a time; yield what is measured."""
    split = digits((seed,), experiments.TRAIN)
    x, labels, test, test_labels = split.train[0], split.train_labels[0], split.test[0], split.test_labels[0]

    def train(model: Plain, epoch: int, mask: list[Tensor], lr: float, falling: bool, fade: bool = False) -> None:
        whole, scales = model.whole().train(), [(norm.weight, norm.bias) for norm in model.norms]
        weights = [linear.weight for linear in model.linears]
        rest = [one for pair in scales for one in pair] + [model.linears[-1].bias]
        groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": 5e-4}, {"params": rest}]
        optimizer = torch.optim.SGD(groups, lr=lr, momentum=0.9)
        begun = [(gamma.detach().clone(), beta.detach().clone()) for gamma, beta in scales]
        batches = data.batches((seed,), experiments.TRAIN, experiments.BATCH, epoch)[:, 0]
        for step, index in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = lr * (1 + math.cos(math.pi * step / len(batches))) / 2 if falling else lr
            optimizer.zero_grad()
            F.cross_entropy(whole(x[index]), labels[index]).backward()
            for (gamma, _), marked in zip(scales, mask, strict=True):
                if not fade and gamma.grad is not None:
                    gamma.grad += strength * marked * gamma.detach().sign()
            optimizer.step()
            left = 1 - (step + 1) / len(batches)
            for pair, marked, before in zip(scales, mask, begun, strict=True):
                for values, first in zip(pair, before, strict=True):
                    if fade:
                        values.data[marked] = first[marked] * left

    sizes = ((64, 48), (48, 48), (48, 10))
    model = Plain([nn.Linear(*size, bias=size[1] == 10) for size in sizes], [nn.BatchNorm1d(48), nn.BatchNorm1d(48)])
    model.linears[-1].bias.data.zero_()
    for layer, (linear, size) in enumerate(zip(model.linears, sizes, strict=True)):
        drawn = torch.randn(*size, generator=generator(seed, f"weights of layer {layer}"))
        linear.weight.data = (drawn * (2 / size[0]) ** 0.5).T
    none, everybody = [torch.zeros(48, dtype=torch.bool)] * 2, [torch.ones(48, dtype=torch.bool)] * 2
    train(model, 1, none, 0.05, True)
    judge = copy.deepcopy(model)
    train(judge, 2, everybody, 0.05, False)
    orders = [norm.weight.detach().abs().argsort(stable=True) for norm in judge.norms]
    doomed = [torch.zeros(48, dtype=torch.bool).index_fill(0, order[:29], True) for order in orders]
    pushed = {"none": none, "mask": doomed, "global": everybody, "fade-out": doomed}[arm]
    train(model, 2, pushed, 0.05, False, arm == "fade-out")
    gamma, gone = torch.cat([norm.weight.detach().abs() for norm in model.norms]), torch.cat(doomed)
    yield "kept_gamma", float(gamma[~gone].mean())
    yield "doomed_gamma", float(gamma[gone].mean())
    with torch.no_grad():
        yield "loss_b", float(F.cross_entropy(model.whole().eval()(x), labels))
    small = model.cut(doomed)
    for name in ("accuracy_cut", "accuracy"):
        with torch.no_grad():
            yield name, float((small.whole().eval()(test).argmax(-1) == test_labels).double().mean())
        train(small, 3, [torch.zeros(19, dtype=torch.bool)] * 2, rate, True)


@pytest.mark.parametrize("arm", ["none", "mask", "global", "fade-out"])
@pytest.mark.usefixtures("double_precision")
def test_all_stages_equal_a_plain_loop(arm: str) -> None:
    setting = experiments.Pruning(strength=0.1, rate=0.1, epochs_a=1, epochs_b=1, epochs_d=1)
    results = setting.only([arm]).run([3, 5]).sel(arm=arm, seed=5)
    for name, expected in plain(arm, 5, 0.1, 0.1):
        found = results[name].isel(epoch=-1) if "epoch" in results[name].dims else results[name]
        assert float(found) == pytest.approx(expected, abs=1e-7), name


def test_a_full_mask_is_the_global_penalty_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The masks of all arms mark everybody while they are trained."""
    setting = experiments.Pruning(epochs_a=1, epochs_b=2, epochs_d=1).only(["mask", "global"])
    penalize = experiments.penalize

    def everybody(found: Dense, marked: list[Tensor], strength: Tensor) -> None:
        penalize(found, [torch.ones_like(one) for one in marked], strength)

    monkeypatch.setattr(experiments, "penalize", everybody)
    results = setting.run(2)
    for name in ("gamma", "kept_gamma", "loss_b", "accuracy_b"):
        mask, whole = (results[name].sel(arm=arm, drop=True) for arm in ("mask", "global"))
        assert mask.equals(whole), name


def test_without_a_penalty_or_a_mask_training_is_that_of_none_bit_by_bit() -> None:
    short = {"epochs_a": 2, "epochs_b": 2, "epochs_d": 1}
    for knobs in ({"strength": 0.0}, {"ratio": 0.0}):
        results = experiments.Pruning.make({**short, **knobs}).run(2)
        for name in ("gamma", "loss_b", "accuracy_b"):
            mask, none = (results[name].sel(arm=arm, drop=True) for arm in ("mask", "none"))
            assert mask.equals(none), name


def test_the_small_network_costs_what_is_left_after_the_cut() -> None:
    for ratio, kept in ((0.0, 48), (0.6, 19), (0.75, 12), (0.9, 5)):
        setting = experiments.Pruning(ratio=ratio, epochs_a=1, epochs_b=1, epochs_d=1)
        assert setting.kept == kept
        results = setting.only(["mask", "small dense"]).run(1)
        for name in ("weights_share", "macs_share", "bits_share"):
            assert results[name].values == pytest.approx(cost.count((64, kept, kept, 10)) / 5856)


# ---------------------------------------------------------------------------------------------------- exercises


def test_right_answers_are_accepted() -> None:
    assert "quarter" in exercises.check_undo(0.2554)
    assert "no logit" in exercises.check_absorb(lambda beta, mask, weight: (beta.clamp(min=0) * mask) @ weight)


def test_the_best_shrinking_is_the_lowest_of_all() -> None:
    factors = torch.linspace(0.01, 1, 10_000, dtype=torch.float64)
    losses = 0.06 * factors + 5e-4 / 2 * 2 / factors.square()
    assert "quarter" in exercises.check_undo(float(factors[losses.argmin()]))


@pytest.mark.parametrize(
    ("answer", "hint"), [(0.0167, "cube root"), (0.2027, "−2/c³"), (0.0645, "divide Σw²"), (0.5, "derivative of λc")]
)
def test_a_wrong_factor_gets_a_hint(answer: float, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_undo(answer)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda beta, mask, weight: (beta * mask) @ weight, "negative"),
        (lambda beta, mask, weight: (beta.relu() * ~mask) @ weight, "not those"),
        (lambda beta, mask, weight: beta.relu() @ weight, "only dead"),
        (lambda beta, mask, weight: -(beta.relu() * mask) @ weight, "running mean"),
        (lambda beta, mask, weight: beta, "shape"),
        (lambda beta, mask, weight: 2 * (beta.relu() * mask) @ weight, "goes through"),
    ],
)
def test_a_wrong_constant_gets_a_hint(answer: Any, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_absorb(answer)


def test_no_answer_is_no_mistake() -> None:
    with pytest.raises(NotImplementedError):
        exercises.check_undo(None)
    with pytest.raises(NotImplementedError):
        exercises.check_absorb(lambda beta, mask, weight: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(NotImplementedError):
        exercises.check_levels((None,) * 6)


def test_the_levels_are_those_of_the_recording() -> None:
    recorded = store.at(experiments.Pruning(ratio=0.75))
    assert recorded is not None
    places = [(name, arm) for name in ("accuracy_cut", "accuracy") for arm in ("global", "random", "mask")]
    levels = [float(end(name, arm)(recorded).mean()) for name, arm in places]
    assert "report both" in exercises.check_levels(levels)
    with pytest.raises(WrongAnswerError, match="mask after the cut"):
        exercises.check_levels([*levels[:2], levels[2] - 0.2, *levels[3:]])
