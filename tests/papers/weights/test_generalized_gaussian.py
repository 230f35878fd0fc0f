"""The exact checks of GG priors: closed forms, autograd, SciPy's laws, hand-computed codes and formats."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from reglab import data, metrics
from reglab.exercise import WrongAnswerError
from reglab.papers.weights._shared.network import Digits
from reglab.papers.weights.generalized_gaussian import exercises, experiments, method
from reglab.recordings import store
from reglab.seeds import generator


def normal(count: int, seed: int = 0) -> Tensor:
    return torch.randn(1, count, generator=generator(seed, "test"), dtype=torch.float64)


# ------------------------------------------------------------------------------------------------ the law, its shape


def test_the_ratio_of_moments_has_known_values_and_falls() -> None:
    found = method.ratio(torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([math.pi / 2, 2, 10 / 3], dtype=torch.float64))
    assert (method.ratio(method.SHAPES).diff() < 0).all()
    assert len(method.SHAPES) == 290 and method.SHAPES[[0, -1]].tolist() == [0.1, 2.99]


@pytest.mark.parametrize("shape", [0.5, 1.0, 1.5, 2.0])
def test_the_shape_of_draws_is_found_at_every_scale(shape: float) -> None:
    draws = stats.gennorm(shape, scale=0.3).rvs(1_000_000, random_state=0)
    theta = torch.from_numpy(draws).unsqueeze(0)
    found = method.estimate(torch.cat([theta, 1e-3 * theta]), 1_000_000)
    assert found[0] == found[1] == pytest.approx(shape, abs=0.02)
    longer = torch.cat([theta, torch.zeros_like(theta)], 1)
    assert method.estimate(longer, 1_000_000) == found[0] > method.estimate(longer, 2_000_000)


def test_ratios_below_the_table_give_its_last_shape() -> None:
    assert float(method.estimate(torch.tensor([[1.0, -1.0, 1.0]]), 3)) == pytest.approx(2.99)


@pytest.mark.parametrize("shape", [0.4, 0.5, 1.0, 2.0, 2.4])
def test_draws_of_a_law_are_scipy_s_quantiles_of_normal_ones(shape: float) -> None:
    z = torch.linspace(-6, 6, 101, dtype=torch.float64)
    found = method.from_normal(z, torch.tensor(shape), torch.tensor(0.7))
    expected = stats.gennorm(shape, scale=0.7).isf(stats.norm.sf(z.abs().numpy())) * z.sign().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("fan", [10, 64])
def test_first_weights_have_variance_two_over_n_for_every_shape(shape: float, fan: int) -> None:
    found = method.start(normal(200_000), torch.tensor(shape), fan)
    assert float(found.var()) == pytest.approx(2 / fan, rel=0.05)
    law = stats.gennorm(shape, scale=float(method.beta_of(torch.tensor(shape), 2 / fan)))
    assert law.var() == pytest.approx(2 / fan) and stats.kstest(found[0].numpy(), law.cdf).pvalue > 0.01


def test_shape_two_is_the_start_of_he() -> None:
    assert float(method.beta_of(torch.tensor(2.0), 2 / 64)) == pytest.approx(math.sqrt(2 * 2 / 64))
    z = normal(1000)
    torch.testing.assert_close(method.start(z, torch.tensor(2.0).double(), 64), z * math.sqrt(2 / 64))


# ------------------------------------------------------------------------------------------------------- the penalty


def test_the_step_is_ridge_and_lasso_for_shapes_two_and_one() -> None:
    theta = normal(100)
    torch.testing.assert_close(method.penalized(theta, torch.tensor(2.0), 0.01, 0), theta * (1 - 2 * 0.01))
    torch.testing.assert_close(method.penalized(theta, torch.tensor(1.0), 0.01, 0), theta - 0.01 * theta.sign())


def test_the_step_by_hand() -> None:
    found = method.penalized(torch.tensor([0.21, -0.21, 0.0]).double(), torch.tensor(0.5).double(), 0.1, 1)
    assert found.tolist() == pytest.approx([0.1645455, -0.1645455, 0], abs=1e-7)


@pytest.mark.parametrize("epsilon", [1e-3, 1])
def test_the_step_is_a_gradient_step_on_the_rate_with_the_shape_held_still(epsilon: float) -> None:
    theta = normal(500)
    theta = (theta + 0.1 * theta.sign()).requires_grad_()
    nu = method.estimate(theta.detach(), 500)
    rate = (theta.abs() + epsilon).pow(nu).mean()
    (gradient,) = torch.autograd.grad(rate, theta)
    found = method.penalized(theta.detach(), nu, 0.3 / 500, epsilon)
    torch.testing.assert_close(found, theta.detach() - 0.3 * gradient, atol=1e-12, rtol=0)


# ------------------------------------------------------------------------------------------------------------ the rate


def test_lengths_of_codes_by_hand() -> None:
    q = torch.tensor([0, 1, -1, 2, -2, 3, -3, 4, 7, -7, 8])
    assert method.lengths(q.float()).tolist() == [1, 3, 3, 5, 5, 5, 5, 7, 7, 7, 9]


def test_the_entropy_is_scipy_s_and_leaves_out_what_does_not_count() -> None:
    q = (4 * normal(1000)).round()
    _, counts = q[0].unique(return_counts=True)
    longer = torch.cat([q, torch.zeros(1, 500, dtype=torch.float64)], 1)
    for numbers in (q, longer):
        found = method.entropy(numbers, torch.tensor([1000.0]))
        assert float(found) == pytest.approx(stats.entropy(counts.numpy(), base=2))
    assert float(method.entropy(torch.tensor([[1.0, 1, 1, 1, 2, 2, 3, 4]]), torch.tensor([8.0]))) == 1.75


@pytest.mark.parametrize(("shape", "bits"), [(2.0, 2.0471), (1.0, 1.9427), (0.5, 1.4319)])
def test_at_one_variance_a_peaked_law_has_less_entropy(shape: float, bits: float) -> None:
    """The differential entropy of the law, and that of fine steps, which is higher by the bits of the step."""
    beta = float(method.beta_of(torch.tensor(shape).double(), 1.0))
    assert stats.gennorm(shape, scale=beta).entropy() / math.log(2) == pytest.approx(bits, abs=1e-4)
    draws = method.from_normal(normal(400_000), torch.tensor(shape).double(), torch.tensor(beta))
    found = method.entropy((draws * 16).round(), torch.tensor([400_000.0]))
    assert float(found) - 4 == pytest.approx(bits, abs=0.02)


def test_accuracies_at_a_rate_lie_on_lines_between_roundings() -> None:
    bits, accuracy = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[0.2, 0.6, 1.0]])
    found = method.at_rates(bits, accuracy, torch.tensor([0.5, 1.0, 1.5, 2.0, 3.0, 5.0]))
    torch.testing.assert_close(found, torch.tensor([[0.2, 0.2, 0.4, 0.6, 0.8, 1.0]]))


# --------------------------------------------------------------------------------------------------- formats, reshaping


def test_rf8_by_hand() -> None:
    w = torch.tensor([1, 0.75, 1.3, 1.4, 1.45, 0.7, 0.1, 0.3, 0]).double().reshape(1, 3, 3)
    expected = torch.tensor([1, 0.75, 1.25, 1.5, 1.5, 0.75, 0.09375, 0.3125, 0]).double().reshape(1, 3, 3)
    assert torch.equal(method.residual_float(w), expected) and torch.equal(method.residual_float(-w), -expected)
    assert torch.equal(method.residual_float(w / 64), expected / 64)


def test_rf8_has_eight_mantissas_and_a_small_relative_error() -> None:
    w = torch.linspace(0, 4, 400_001, dtype=torch.float64)[:-1].exp2().reshape(1, 1, -1)
    found = method.residual_float(w)
    first = w.log2().round().exp2()
    assert (found / first).unique().tolist() == [0.75, 0.875, 0.9375, 1, 1.0625, 1.125, 1.25, 1.5]
    error = (found - w).abs() / w
    assert float(error.mean()) == pytest.approx(0.0315, abs=1e-4) and float(error.max()) == pytest.approx(
        0.108, abs=5e-4
    )
    one = (method.residual_float(w, terms=1) - w).abs() / w
    assert float(one.max()) == pytest.approx(math.sqrt(2) - 1, abs=1e-3)


def test_four_bits_of_exponent_keep_sixteen_octaves_of_each_matrix() -> None:
    w = torch.stack([2.0 ** -torch.arange(20.0), 3 * 2.0 ** -torch.arange(20.0)]).reshape(2, 4, 5)
    found = method.residual_float(w, octaves=16).flatten(1)
    assert torch.equal(found[:, :16], w.flatten(1)[:, :16]) and (found[:, 16:] == 0).all()


def test_int8_and_e4m3_round_to_their_numbers() -> None:
    w = normal(60).reshape(1, 6, 10)
    for dims, size in (((-2, -1), 60), ((-2,), 6)):
        found = method.int8(w, dims)
        steps = found / (w.abs().amax(dims, keepdim=True) / 127)
        torch.testing.assert_close(steps, steps.round())
        assert steps.abs().max() == pytest.approx(127) and w[0, :, 0].numel() * (10 if size == 60 else 1) == size
        assert ((found - w).abs() <= w.abs().amax(dims, keepdim=True) / 254 + 1e-12).all()
    found = method.scaled_e4m3(w)
    largest = w.abs().max()
    assert float(found.abs().max()) == pytest.approx(float(largest))
    large = w.abs() > largest * 2.0**-14
    assert ((found - w).abs() <= w.abs() / 16 + 1e-12)[large].all(), "three bits of mantissa"


@pytest.mark.parametrize("shape", [0.6, 1.0, 1.8])
def test_deepshape_keeps_ranks_and_gives_the_shape_that_it_should(shape: float) -> None:
    middle = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    quantiles = torch.from_numpy(stats.gennorm(shape, scale=0.2).ppf(middle.numpy())).unsqueeze(0)
    order = torch.randperm(100_000, generator=generator(0, "test"))
    theta, grid = quantiles[:, order], 2.0**-13
    same = method.reshaped(theta, grid, 1.0, 1.0)
    close = (same - theta).abs() <= 0.02 * theta.abs() + 2 * grid
    assert close.all(), "up to the grid of values and the table of shapes"
    found = method.reshaped(theta, grid)
    assert (found[:, theta[0].argsort()].diff() >= 0).all()
    assert float(method.estimate(found, 100_000)) == pytest.approx(0.8 * shape, abs=0.02)
    torch.testing.assert_close(found / grid, (found / grid).round())


# -------------------------------------------------------------------------------------------------------- the training


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("arm", ["plain", "BackSlash", "no fine-tune", "L1", "L2", "pruned", "GG start"])
def test_batched_training_equals_a_plain_loop(arm: str) -> None:
    """Two epochs, the second one of fine-tuning; accuracies on test digits and the shape."""
    seed, settings = 3, experiments.Compression.arms[arm].settings
    results = experiments.Compression(epochs=2, fine_tune=1).run([0, seed]).sel(arm=arm, seed=seed)
    split = data.digits((seed,), train=1200)
    x, y = split.train_inputs[0, :1000], split.train_labels[0, :1000]
    layers = []
    for i, (inputs, outputs) in enumerate(((64, 64), (64, 64), (64, 10))):
        z = torch.randn(inputs, outputs, generator=generator(seed, f"weights of layer {i}"))
        shape = settings["shape"] if arm == "GG start" else 2
        law = stats.gennorm(shape, scale=float(method.beta_of(torch.tensor(float(shape)), 2 / inputs)))
        layers += [torch.from_numpy(law.ppf(stats.norm.cdf(z.numpy()))).requires_grad_()]
    biases = [torch.zeros(1, width, requires_grad=True) for width in (64, 64, 10)]
    parameters = [*layers, *biases]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)

    def logits(inputs: Tensor) -> Tensor:
        hidden = (inputs @ layers[0] + biases[0]).relu()
        return ((hidden @ layers[1] + biases[1]).relu() @ layers[2]) + biases[2]

    kept = [torch.ones_like(one) for one in layers]
    for epoch in (1, 2):
        for index in data.batches((seed,), 1000, 100, epoch)[:, 0]:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(logits(x[index]), y[index]).backward()
            optimizer.step()
            with torch.no_grad():
                theta = torch.cat([one.flatten() for one in parameters])
                r = len(theta) * theta.square().sum() / theta.abs().sum() ** 2
                nu = method.SHAPES[(r - method.ratio(method.SHAPES)).abs().argmin()]
                on = 3e-3 * (epoch == 1 or arm == "no fine-tune")
                for one in parameters:
                    if arm in ("BackSlash", "no fine-tune"):
                        one -= on * 1 * nu * one.sign() * (one.abs() + 1) ** (nu - 1)
                    one -= on * (float(settings.get("l1", 0)) * one.sign() + 2 * float(settings.get("l2", 0)) * one)
                for one, mask in zip(layers, kept, strict=True):
                    one *= mask
        if epoch == 1 and arm == "pruned":
            sizes = torch.cat([one.detach().abs().flatten() for one in layers])
            least = sizes.sort(descending=True).values[round(0.4 * len(sizes)) - 1]
            for one, mask in zip(layers, kept, strict=True):
                mask.copy_(one.detach().abs() >= least)
                one.data *= mask
    theta = torch.cat([one.detach().flatten() for one in parameters])
    assert float(results.nu.isel(epoch=-1)) == pytest.approx(float(method.estimate(theta.unsqueeze(0), len(theta))))
    right = metrics.accuracy(logits(split.test_inputs[0]), split.test_labels[0])
    assert float(results.test_accuracy) == pytest.approx(float(right), abs=1e-6)
    weights = theta[:8832]
    step = weights.square().mean().sqrt() * 2.0 ** -float(settings["k"])
    assert float(results.bits) == pytest.approx(float(method.lengths((weights / step).round()).double().mean()))
    assert float(results.bits_share) == pytest.approx(float(results.bits) / 32)
    nonzero = float(((weights / step).round() != 0).double().mean())
    assert float(results.weights_share) == float(results.macs_share) == pytest.approx(nonzero)


def test_a_small_network_is_counted_without_the_units_that_it_lacks() -> None:
    results = experiments.Compression(epochs=1).run(1).sel(arm="small dense", seed=0)
    share = 32 * (64 + 32 + 10) / 8832
    assert float(results.curve_bits[0]) == pytest.approx(share, rel=0.1), "nearly all are 0, of one bit each"
    assert float(results.entropy) <= float(results.bits) < 32 * share
    assert float(results.weights_share) <= share


def test_a_common_scale_changes_neither_classes_nor_bits_but_at_a_fixed_step() -> None:
    results = experiments.Compression(epochs=2).run(2)
    here, there = (results.sel(arm=arm, drop=True) for arm in ("plain", "scale"))
    assert (abs(here.curve_bits - there.curve_bits) < 0.01).all() and (here.bits_fixed > there.bits_fixed + 1).all()
    assert (abs(here.test_accuracy - there.test_accuracy) < 0.005).all()


def test_who_does_not_learn_keeps_its_shape() -> None:
    nu = experiments.Compression(epochs=2).run(2).nu.sel(arm="untrained")
    assert (nu == nu.isel(epoch=0)).all() and (abs(nu - 0.5) < 0.05).all()


def test_float32_changes_nothing_and_a_scale_only_bits() -> None:
    results = experiments.Formats(epochs=1).run(2)
    assert (results.sel(arm="float32")[["change", "error"]].to_array() == 0).all()
    assert (results.bits.sel(arm="float32") > results.bits.sel(arm="× 0.6") + 0.5).all()
    assert (results.error.sel(arm="RF8") < 0.04).all() and (results.error.sel(arm="one power of two") > 0.1).all()


def test_what_roundings_are_chosen_by_depends_on_no_test_data(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = experiments.digits

    def other_test_digits(*arguments: Any) -> Digits:
        return drawn(*arguments)._replace(test=drawn(*arguments).test.flip(1) + 1)

    here = experiments.Compression(epochs=1).run(2)
    monkeypatch.setattr(experiments, "digits", other_test_digits)
    there = experiments.Compression(epochs=1).run(2)
    for name in ("curve_validation", "curve_bits"):
        assert here[name].equals(there[name])
    assert not here.test_accuracy.equals(there.test_accuracy)


# ----------------------------------------------------------------------------------------------------------- exercises


def solution(theta: Tensor) -> float:
    nu = torch.arange(10, 300) / 100
    rho = (torch.lgamma(1 / nu) + torch.lgamma(3 / nu) - 2 * torch.lgamma(2 / nu)).exp()
    r = len(theta) * (theta**2).sum() / theta.abs().sum() ** 2
    return float(nu[(r - rho).abs().argmin()])


def test_right_answers_are_accepted() -> None:
    assert "hardest" in exercises.check_steps((10**0.5, (1.1 / 1.01) ** 0.5))
    assert "scale" in exercises.check_shape(solution)


def test_wrong_answers_get_a_hint_and_no_answer_none() -> None:
    with pytest.raises(WrongAnswerError, match="divide"):
        exercises.check_steps((0.1**0.5, 1.04))
    with pytest.raises(WrongAnswerError, match="look up"):
        exercises.check_shape(lambda theta: 2.99)
    with pytest.raises(NotImplementedError):
        exercises.check_steps((None, None))
    with pytest.raises(NotImplementedError):
        exercises.check_shape(lambda theta: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(NotImplementedError):
        exercises.check_strengths((None, None, None))


def test_accuracies_at_two_bits_are_those_of_the_recording() -> None:
    grid = store.read(experiments.Compression)
    assert grid is not None
    values = grid.accuracy_at.sel(arm="BackSlash", rate=2, start_shape=2).mean("seed")
    found = [float(values.sel(strength=strength)) for strength in (0.1, 1, 3)]
    assert found[1] > max(found[0], found[2]) + 0.01
    assert "strong one" in exercises.check_strengths(found)
    with pytest.raises(WrongAnswerError, match=r"λ = 3 "):
        exercises.check_strengths((found[0], found[1], found[1]))
