"""Lanes, batches and the loop: what belongs to which model, what is trained, how far a run is."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import torch

from reglab import data
from reglab.knobs import Arm, unaffected
from reglab.results import Frame, Tick
from reglab.seeds import generator
from reglab.training import Lanes, fit, minibatches, within

ARMS = {"plain": Arm("baseline"), "new": Arm("method", pull="strength", rate=0.5), "odd": Arm("null", rate=2)}
LANES = Lanes(ARMS, (4, 7), {"strength": 3.0, "noise": 0.1})


def test_model_m_is_arm_times_seeds_plus_seed() -> None:
    assert len(LANES) == 6 and LANES.each("pull").shape == (6, 1, 1)
    assert LANES.each("pull", dims=0).tolist() == [0, 0, 3, 3, 0, 0]
    assert LANES.split(LANES.each("rate", dims=0)).tolist() == [[0, 0], [0.5, 0.5], [2, 2]]
    own = torch.arange(2 * 5).reshape(2, 5)
    assert torch.equal(LANES.split(LANES.repeat(own)), own.expand(3, 2, 5))
    index = torch.tensor([[4, 0], [1, 1]])
    assert LANES.pick(own, index).tolist() == 3 * [[4, 0], [6, 6]]
    for drawn, seed in zip(LANES.generators("noise"), (4, 7), strict=True):
        assert torch.equal(torch.rand(3, generator=drawn), torch.rand(3, generator=generator(seed, "noise")))


def test_a_setting_that_names_no_knob_is_refused() -> None:
    lanes = Lanes({"a": Arm("method", pull="strenght")}, (0,), {"strength": 1.0})
    with pytest.raises(ValueError, match=r"pull = 'strenght' .* did you mean 'strength'\? \(strength\)"):
        lanes.each("pull")


def test_arms_depend_on_the_knobs_they_name_and_on_those_that_nobody_names() -> None:
    assert unaffected(ARMS, ["strength", "noise"]) == {"strength": ("plain", "odd")}
    assert unaffected({"a": Arm("baseline", x="k"), "b": Arm("method", x="k")}, ["k"]) == {}


def test_batches_are_those_of_the_seeds() -> None:
    assert torch.equal(minibatches(LANES, 10, 3)(2), data.batches((4, 7), 10, 3, 2))


def test_fitting_descends_on_each_model_s_loss_and_ends_at_one() -> None:
    w, target = torch.zeros(6, requires_grad=True), torch.arange(6.0)
    seen: list[tuple[int, list[float]]] = []

    def measure(epoch: int) -> Frame:
        assert not torch.is_grad_enabled()
        seen.append((epoch, w.tolist()))
        return Frame({"epoch": epoch}, {})

    optimizer = torch.optim.SGD([w], lr=0.25)
    events = list(fit(optimizer, lambda step: step * (w - target) ** 2, lambda epoch: [1, 1], measure, epochs=3))
    assert [event.at["epoch"] for event in events if isinstance(event, Frame)] == [0, 1, 2, 3]
    ticks = [event.fraction for event in events if isinstance(event, Tick)]
    assert ticks == sorted(ticks) and ticks[-1] == 1
    for epoch, values in seen:
        assert values == pytest.approx(((1 - 0.25**epoch) * target).tolist())  # each of two steps halves the distance


def test_each_model_has_a_learning_rate_of_its_own() -> None:
    rates, target = (0.002, 0.02), torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    w = torch.zeros(2, 5, requires_grad=True)
    alone = [torch.zeros(5, requires_grad=True) for _ in rates]
    together = torch.optim.Adam([w], lr=1.0)
    events = fit(
        together, lambda step: (step * (w - target) ** 2).sum(1), lambda epoch: [1, 3], lambda epoch: Frame({}, {}),
        epochs=3, rates=torch.tensor(rates),
    )  # fmt: skip
    assert [type(event) for event in events].count(Frame) == 4
    for k, (one, rate) in enumerate(zip(alone, rates, strict=True)):
        optimizer = torch.optim.Adam([one], lr=rate)
        for step in 3 * [1, 3]:
            optimizer.zero_grad()
            (step * (one - target[k]) ** 2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(w, torch.stack(alone), atol=2e-6, rtol=1e-5)


def test_the_progress_of_a_part_is_that_of_its_share_of_the_run() -> None:
    frame = Frame({}, {})

    def part() -> Generator[Frame | Tick, None, str]:
        yield Tick(0)
        yield frame
        yield Tick(0.5)
        yield Tick(1)
        return "done"

    def run() -> Generator[Frame | Tick, None, None]:
        assert (yield from within(part(), 0.2, 0.6)) == "done"

    assert list(run()) == [Tick(0.2), frame, Tick(0.4), Tick(0.6)]
