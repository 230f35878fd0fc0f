"""The exact checks of repeated data: entropy rates, count tables, the order of contexts, layers, a plain loop."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from draws import normal
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from reglab.exercise import WrongAnswerError
from reglab.models.dropout import dropout, noise
from reglab.papers.noise.repeated_data import claims, exercises, experiments, method
from reglab.results import Frame
from reglab.seeds import generator
from reglab.training import Lanes

V, TRUE = experiments.V, experiments.table("markov")
SEED = st.integers(0, 2**31)


def uniforms(seed: int, count: int) -> list[float]:
    return np.random.default_rng(seed).random(count).tolist()


def first_order(chain: np.ndarray) -> np.ndarray:
    """Return a chain of order 1 as a table [a, b, c] that does not depend on a."""
    return np.tile(chain, (len(chain), 1, 1))


def entropy(p: float) -> float:
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def weights(M: int, H: int, E: int, seed: int = 0, D: int = 6, letters: int = 5) -> dict[str, Tensor]:
    """Draw weights, biases too, in double precision: embeddings of 3 numbers, 4 letters of context."""
    shapes = {"letters": (letters, 3), "project": (12, D), "project_bias": (1, D), "router": (D, E), "up": (D, H),
              "up_bias": (1, H), "down": (H, D), "down_bias": (E, D), "scores": (D, letters),
              "scores_bias": (1, letters)}  # fmt: skip
    return {name: normal(seed + i, M, *shape) for i, (name, shape) in enumerate(shapes.items())}


# ----------------------------------------------------------------------------------------------------------- the source


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95))
@settings(max_examples=30, deadline=None)
def test_the_entropy_rate_of_two_states_is_the_closed_form(p01: float, p10: float) -> None:
    table = first_order(np.array([[1 - p01, p01], [p10, 1 - p10]]))
    expected = (p10 * entropy(p01) + p01 * entropy(p10)) / (p01 + p10)
    assert method.expected_loss(table, table) == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(method.pair_shares(table).sum(0), [p10 / (p01 + p10), p01 / (p01 + p10)], atol=1e-12)


def test_the_source_is_that_of_the_specification() -> None:
    np.testing.assert_allclose(TRUE.sum(-1), 1)
    assert TRUE.shape == (12, 12, 12) and TRUE.min() > 0.02 / 12
    assert method.expected_loss(TRUE, TRUE) == pytest.approx(1.6491, abs=5e-5)
    shares = method.pair_shares(TRUE)
    np.testing.assert_allclose(shares.sum(0), shares.sum(1), atol=1e-12)
    np.testing.assert_allclose(np.einsum("ab,abc->bc", shares, TRUE), shares, atol=1e-12)


def test_losses_of_known_tables() -> None:
    """The true table has the entropy rate, the uniform one log V, and a mixture the mean KL divergence above it."""
    entropy_rate = method.expected_loss(TRUE, TRUE)
    assert method.expected_loss(TRUE, np.full_like(TRUE, 1 / V)) == pytest.approx(math.log(V), abs=1e-12)
    assert math.log(V) - entropy_rate == pytest.approx(0.836, abs=5e-4)
    mixed = 0.8 * TRUE + 0.2 / V
    kl = (method.pair_shares(TRUE)[..., None] * TRUE * np.log(TRUE / mixed)).sum()
    assert method.expected_loss(TRUE, mixed) - entropy_rate == pytest.approx(kl, abs=1e-12)
    assert kl > 0


def test_letters_have_the_frequencies_of_the_chain_and_no_order() -> None:
    letters = experiments.table("letters")
    frequencies = letters[0, 0]
    np.testing.assert_allclose(frequencies, method.pair_shares(TRUE).sum(0), atol=1e-12)
    assert (letters == frequencies).all()
    plain = -(frequencies * np.log(frequencies)).sum()
    assert method.expected_loss(letters, letters) == pytest.approx(plain, abs=1e-12)
    assert method.expected_loss(TRUE, letters) - method.expected_loss(TRUE, TRUE) == pytest.approx(0.829, abs=5e-4)


def test_a_string_follows_its_table_by_hand() -> None:
    table = first_order(np.array([[0.25, 0.75], [0.5, 0.5]]))
    assert method.string(table, [0.2, 0.25, 0.49, 0.5, 0.999]) == [0, 1, 0, 1, 1]


def test_a_long_string_has_the_shares_of_its_table() -> None:
    table = first_order(np.array([[0.3, 0.7], [0.6, 0.4]]))
    letters = np.array(method.string(table, uniforms(0, 200_000)))
    expected = method.pair_shares(table)[..., None] * table
    found = np.zeros((2, 2, 2))
    np.add.at(found, (letters[:-2], letters[1:-1], letters[2:]), 1 / (len(letters) - 2))
    np.testing.assert_allclose(found, expected, atol=5 * 0.5 / math.sqrt(200_000 / 3))


@given(SEED, st.sampled_from([0.03, 0.1, 0.3, 1.0]))
@settings(max_examples=20, deadline=None)
def test_a_count_table_knows_its_own_string_better_than_the_truth(seed: int, delta: float) -> None:
    letters = np.array(method.string(TRUE, uniforms(seed, 2004)))
    table = method.counts(letters, V, delta)
    np.testing.assert_allclose(table.sum(-1), 1)
    own = experiments.table_losses(table, letters).mean()
    assert own < method.expected_loss(TRUE, table)


def test_counts_by_hand() -> None:
    table = method.counts(np.array([0, 1, 0, 1, 1, 0, 1, 0]), 2, 0.5)
    assert table[0, 1].tolist() == pytest.approx([2.5 / 4, 1.5 / 4])
    assert table[1, 0].tolist() == pytest.approx([0.5 / 3, 2.5 / 3])
    assert table[0, 0].tolist() == [0.5, 0.5]


def test_losses_of_a_string_are_those_of_its_letters() -> None:
    letters = np.array([3, 1, 4, 1, 5, 9, 2])
    expected = [-math.log(TRUE[4, 1, 5]), -math.log(TRUE[1, 5, 9]), -math.log(TRUE[5, 9, 2])]
    assert experiments.table_losses(TRUE, letters).tolist() == pytest.approx(expected)
    contexts, following = experiments.windows(letters[None])
    assert contexts[0].tolist() == [[3, 1, 4, 1], [1, 4, 1, 5], [4, 1, 5, 9]] and following[0].tolist() == [5, 9, 2]


# ------------------------------------------------------------------------------------------------------------ the order


@pytest.mark.parametrize("passes", [1, 2, 5, 16])
def test_every_context_is_seen_once_in_every_pass(passes: int) -> None:
    unique = 640 // passes
    index = method.visits(noise([generator(0, "a"), generator(1, "a")], passes, unique), 20, 32)
    assert index.shape == (2, 20, 32)
    for seed in range(2):
        assert (index[seed].flatten().bincount(minlength=unique) == passes).all()
        first = index[seed].flatten()[:unique]
        assert first.sort().values.tolist() == list(range(unique))


def test_a_last_pass_may_be_cut_short() -> None:
    index = method.visits(noise([generator(0, "a")], 3, 25), 2, 32)[0].flatten()
    counted = index.bincount(minlength=25)
    assert counted.sum() == 64 and set(counted.tolist()) <= {2, 3}


def test_each_different_context_is_kept_once() -> None:
    contexts = torch.randint(2, (3, 40, 4), generator=generator(0, "contexts"))
    kinds, place = experiments.distinct(contexts)
    assert kinds.shape[1] <= 16 and torch.equal(kinds[torch.arange(3)[:, None], place], contexts)


# ------------------------------------------------------------------------------------------------------------ the layer


def test_one_expert_is_the_usual_layer() -> None:
    one, states = weights(2, 8, 1), normal(50, 2, 7, 6)
    g, chosen = method.gates(states, one["router"])
    assert torch.equal(chosen, torch.ones(2, 7, 1, dtype=torch.float64)) and torch.equal(g, chosen)
    found = method.feed_forward(one, states, chosen, torch.zeros(()), torch.zeros(()))
    for m in range(2):
        usual = (states[m] @ one["up"][m] + one["up_bias"][m]).relu() @ one["down"][m] + one["down_bias"][m]
        torch.testing.assert_close(found[m], usual, atol=1e-13, rtol=0)
    assert torch.equal(method.load_balance(g, chosen), torch.ones(2, dtype=torch.float64))


def test_experts_are_networks_of_their_own() -> None:
    """Token by token: the expert with the largest gate, times its gate, as separate networks."""
    one, states, E = weights(1, 12, 3), normal(51, 1, 20, 6), 3
    found = method.feed_forward(one, states, method.gates(states, one["router"])[1], torch.zeros(()), torch.zeros(()))
    seen = set()
    for n, h in enumerate(states[0]):
        g = (h @ one["router"][0]).softmax(-1)
        e = int(g.argmax())
        part = slice(4 * e, 4 * e + 4)
        hidden = (h @ one["up"][0, :, part] + one["up_bias"][0, 0, part]).relu()
        torch.testing.assert_close(found[0, n], g[e] * (hidden @ one["down"][0, part] + one["down_bias"][0, e]))
        seen.add(e)
    assert len(seen) == E


@pytest.mark.parametrize("E", [2, 4])
def test_the_load_balance_of_even_and_of_one_sided_routing(E: int) -> None:
    even = torch.eye(E, dtype=torch.float64).repeat(3, 1)
    assert float(method.load_balance(torch.full_like(even, 1 / E), even)) == pytest.approx(1)
    alone = torch.zeros(9, E, dtype=torch.float64)
    alone[:, 0] = 1
    assert float(method.load_balance(alone, alone)) == pytest.approx(E)


def test_the_balance_moves_the_gates_and_not_the_counts() -> None:
    logits = normal(0, 9, 4).requires_grad_()
    g = logits.softmax(-1)
    chosen = g * F.one_hot(g.argmax(-1), 4)
    (found,) = torch.autograd.grad(method.load_balance(g, chosen), logits)
    share = F.one_hot(logits.argmax(-1), 4).double().mean(0)
    (expected,) = torch.autograd.grad((4 * share * logits.softmax(-1).mean(0)).sum(), logits)
    torch.testing.assert_close(found, expected)


# ------------------------------------------------------------------------------------------------------------ the model


def off(rate: float = 0.0) -> tuple[list[Tensor], Tensor]:
    return 3 * [torch.zeros(())], torch.tensor(rate)


def test_the_model_is_that_of_torch_layer_by_layer() -> None:
    one, contexts = weights(2, 8, 1), torch.randint(5, (2, 9, 4), generator=generator(0, "contexts"))
    found, _ = method.predict(one, contexts, *off())
    norm = nn.LayerNorm(6, elementwise_affine=False)
    for m in range(2):
        w = {name: value[m] for name, value in one.items()}
        x = torch.cat([w["letters"][contexts[m, :, j]] for j in range(4)], -1) @ w["project"] + w["project_bias"]
        x = x + (norm(x) @ w["up"] + w["up_bias"]).relu() @ w["down"] + w["down_bias"]
        torch.testing.assert_close(found[m], (norm(x) @ w["scores"] + w["scores_bias"]).log_softmax(-1))


@pytest.mark.parametrize("E", [1, 4])
def test_without_a_rate_noise_changes_nothing(E: int) -> None:
    one, contexts = weights(2, 8, E), torch.randint(5, (2, 9, 4), generator=generator(0, "contexts"))
    drawn = [torch.rand(2, 9, width, generator=generator(1, "noise")) for width in (6, 8, 6)]
    training, evaluation = (
        method.predict(one, contexts, drawn, torch.tensor(0.0)),
        method.predict(one, contexts, *off()),
    )
    assert torch.equal(training[0], evaluation[0])
    assert not torch.equal(method.predict(one, contexts, drawn, torch.tensor(0.5))[0], evaluation[0])


def test_dropout_keeps_the_mean_of_a_linear_layer() -> None:
    """The mean over all eight masks of three inputs, each with its probability, is what goes in without one."""
    states, matrix, p = normal(0, 3), normal(1, 3, 2), 0.2
    total = torch.zeros(2, dtype=torch.float64)
    for mask in range(8):
        kept = torch.tensor([mask >> i & 1 for i in range(3)], dtype=torch.float64)
        probability = float(torch.where(kept > 0, 1 - p, p).prod())
        total += probability * (dropout(states, kept, p) @ matrix)
    torch.testing.assert_close(total, states @ matrix)


def test_the_mean_over_many_masks_is_within_three_standard_errors() -> None:
    states, matrix, masks = normal(0, 6), normal(1, 6, 2), noise([generator(0, "masks")], 20_000, 6)[0]
    outputs = dropout(states, masks, 0.3) @ matrix
    gap = outputs.mean(0) - states @ matrix
    assert (gap.abs() < 3 * outputs.std(0) / math.sqrt(len(masks))).all()


def test_losses_are_those_of_torch() -> None:
    scores, following = normal(0, 2, 7, 5), torch.randint(5, (2, 7), generator=generator(0, "following"))
    log_q = scores.log_softmax(-1)
    found = method.losses(log_q, following)
    torch.testing.assert_close(found, F.cross_entropy(scores.mT, following, reduction="none"))
    smooth = method.smoothed(log_q, following, torch.tensor([0.0, 0.3]))
    torch.testing.assert_close(smooth[0], F.cross_entropy(scores[0], following[0]))
    torch.testing.assert_close(smooth[1], F.cross_entropy(scores[1], following[1], label_smoothing=0.3))


def test_the_rate_rises_and_falls() -> None:
    rates = [method.learning_rate(step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(3e-3 / 50) and rates[49] == pytest.approx(3e-3)
    assert rates[999] == pytest.approx(0.05 * 3e-3) and max(rates) == pytest.approx(3e-3)
    np.testing.assert_allclose(np.diff(rates[50:]), -0.95 * 3e-3 / 949)


# --------------------------------------------------------------------------------------------------------- the training

ARMS: dict[str, dict[str, Any]] = {
    "repeated": {},
    "repeated + dropout": {"rate": 0.2},
    "fresh": {"unique": 1600},
    "fresh + dropout": {"unique": 1600, "rate": 0.2},
    "decay": {"decay": experiments.Repetition.arms["decay"].settings["decay"]},
    "label smoothing": {"smoothing": experiments.Repetition.arms["label smoothing"].settings["smoothing"]},
}


@functools.cache
def trained_at_once(setting: experiments.Repetition, seeds: tuple[int, ...]) -> xr.Dataset:
    """Return the results of all arms, computed once for the tests of all, in their precision."""
    return setting.run(seeds)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("experts", [1, 3])
@pytest.mark.usefixtures("double_precision")
def test_batched_training_equals_a_plain_loop(arm: str, experts: int) -> None:
    seed, setting = 5, experiments.Repetition(budget=1600, unique=500, hidden=8, experts=experts)
    results = trained_at_once(setting, (3, seed)).sel(arm=arm, seed=seed)
    unique, rate = ARMS[arm].get("unique", 500), ARMS[arm].get("rate", 0.0)
    lanes = Lanes({arm: setting.arms[arm]}, (seed,), setting.settings())
    model = {name: nn.Parameter(value.detach()) for name, value in setting.weights(lanes).items()}
    optimizer = torch.optim.AdamW(model.values(), lr=1, weight_decay=ARMS[arm].get("decay", 0.0))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: method.learning_rate(step, 50))
    drawn = {
        purpose: experiments.strings((seed,), purpose, "markov", count + 4)[0]
        for purpose, count in (("training", 1600), ("validation", 2000), ("test", 2000))
    }

    def forward(contexts: Tensor, masks: list[Tensor], p: float) -> tuple[Tensor, Tensor]:
        w = {name: value[0] for name, value in model.items()}
        x = F.dropout(w["letters"][contexts].flatten(1) @ w["project"] + w["project_bias"], 0.0)
        x = x * (masks[0] >= p) / (1 - p)
        h = F.layer_norm(x, (64,))
        g = (h @ w["router"]).softmax(-1)
        hidden = (h @ w["up"] + w["up_bias"]).relu() * (masks[1] >= p) / (1 - p)
        branch = torch.zeros_like(x)
        for e in range(experts):
            units = [j for j in range(8) if j * experts // 8 == e]
            one = hidden[:, units] @ w["down"][units] + w["down_bias"][e]
            branch = branch + torch.where(g.argmax(-1) == e, g[:, e], 0.0)[:, None] * one
        x = x + branch * (masks[2] >= p) / (1 - p)
        share = F.one_hot(g.argmax(-1), experts).to(g.dtype).mean(0)
        balance = experts * (share * g.mean(0)).sum()
        return F.layer_norm(x, (64,)) @ w["scores"] + w["scores_bias"], balance

    passes = torch.rand(-(-1600 // unique), unique, generator=generator(seed, "orders")).argsort(-1).flatten()
    source, zeros = generator(seed, "dropout"), 3 * [torch.zeros(())]
    letters = torch.tensor(drawn["training"])
    for step in range(50):
        index = passes[32 * step : 32 * step + 32]
        contexts = torch.stack([letters[i : i + 4] for i in index.tolist()])
        masks = list(torch.rand(32, 136, generator=source).split((64, 8, 64), -1))
        scores, balance = forward(contexts, masks if rate else zeros, rate)
        smoothing = ARMS[arm].get("smoothing", 0.0)
        loss = F.cross_entropy(scores, letters[index + 4], label_smoothing=smoothing) + 0.01 * balance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    entropy_rate = method.expected_loss(TRUE, TRUE)
    expected = {}
    for name, purpose in (("test_curve", "test"), ("train_curve", "training")):
        string = torch.tensor(drawn[purpose])
        count = len(string) - 4 if purpose == "test" else unique
        contexts = torch.stack([string[i : i + 4] for i in range(count)])
        with torch.no_grad():
            losses = F.cross_entropy(forward(contexts, zeros, 0.0)[0], string[4 : 4 + count], reduction="none")
        # of a small pool some contexts are counted once more, up to 2000 in all
        again = torch.arange(2000) % count
        expected[name] = float(losses[again].mean()) - entropy_rate
    found = {name: float(results[name].isel(tokens=-1)) for name in expected}
    assert found == pytest.approx(expected, abs=1e-8)
    assert float(results.test_excess) == pytest.approx(expected["test_curve"], abs=1e-8)


def test_the_best_checkpoint_is_chosen_on_the_validation_string() -> None:
    setting = experiments.Repetition()
    entropy_rate = method.expected_loss(TRUE, TRUE)
    losses = torch.tensor([[[[2.0, 3.0, 1.0], [1.5, 2.5, 0.5], [1.8, 2.0, 0.2]]]], dtype=torch.float64)
    found = setting.frame(["repeated"], losses + entropy_rate)
    assert isinstance(found, Frame) and found.at == {"arm": ["repeated"]}
    assert float(found.values["best_checkpoint"]) == pytest.approx(2.5)
    assert float(found.values["test_excess"]) == pytest.approx(2.0)
    assert found.values["train_curve"][0, 0].tolist() == pytest.approx([1.0, 0.5, 0.2])
    assert found.values[experiments.JUDGE][0, 0].tolist() == pytest.approx([-2.0, -1.5, -1.8])


def test_tables_are_measured_as_they_are() -> None:
    results = experiments.Repetition(budget=1600, unique=500).run([7]).sel(seed=7)
    drawn = {
        purpose: experiments.strings((7,), purpose, "markov", count + 4)[0]
        for purpose, count in (("training", 1600), ("validation", 2000), ("test", 2000))
    }
    tables = [method.counts(drawn["training"][:504], V, delta) for delta in (0.03, 0.1, 0.3, 1, 3)]
    best = min(tables, key=lambda table: experiments.table_losses(table, drawn["validation"]).mean())
    entropy_rate = method.expected_loss(TRUE, TRUE)
    for arm, table in (("counts", best), ("letter frequencies", experiments.table("letters"))):
        expected = experiments.table_losses(table, drawn["test"]).mean() - entropy_rate
        assert float(results.test_excess.sel(arm=arm)) == pytest.approx(expected, abs=1e-6)
        assert float(results.best_checkpoint.sel(arm=arm)) == pytest.approx(expected, abs=1e-6)
    surplus = experiments.table_losses(TRUE, drawn["test"]) - entropy_rate
    assert float(results.truth) == pytest.approx(surplus.mean() / surplus.std() * math.sqrt(2000))


def test_few_arms_give_what_all_give() -> None:
    with_all = experiments.Repetition(budget=1600, unique=500).run(2)
    few = experiments.Few(budget=1600, unique=500).run(2)
    np.testing.assert_allclose(few.test_excess, with_all.test_excess.sel(arm=few.arm), atol=1e-5)


def test_what_settings_are_chosen_by_depends_on_no_test_data(monkeypatch: pytest.MonkeyPatch) -> None:
    setting, drawn = experiments.Repetition(budget=1600, unique=500), experiments.strings
    here = setting.run(2)

    def others(seeds: tuple[int, ...], purpose: str, source: str, length: int) -> np.ndarray:
        return drawn(seeds, "other" if purpose == "test" else purpose, source, length)

    monkeypatch.setattr(experiments, "strings", others)
    there = setting.run(2)
    assert not here.test_curve.equals(there.test_curve)
    np.testing.assert_allclose(here[experiments.JUDGE], there[experiments.JUDGE], atol=1e-5)
    # the test string changes which contexts are looked up together, and so the order of sums, but no choice
    chosen = [one[experiments.JUDGE].argmax("tokens") for one in (here, there)]
    assert chosen[0].equals(chosen[1])


# -------------------------------------------------------------------------------------------------- claims, exercises


def test_the_proxy_is_what_the_dense_model_loses_at_the_experts_best_rate() -> None:
    def made(value: float) -> xr.Dataset:
        values = np.full((len(experiments.SHOWN), 2), value)
        return xr.Dataset({"test_excess": (("arm", "seed"), values)}, {"arm": list(experiments.SHOWN)})

    dense, moe = [0.7, 0.5, 0.6, 0.9], [0.8, 0.7, 0.65, 0.9]
    assert claims.proxy(*map(made, [*dense, *moe])) == pytest.approx(0.1)
    assert claims.proxy(*map(made, [*dense, *dense])) == 0


def my_losses(letters: np.ndarray, T: np.ndarray, shares: np.ndarray) -> tuple[float, float]:
    q = 0.1 * np.ones_like(T)
    np.add.at(q, (letters[:-2], letters[1:-1], letters[2:]), 1)
    q = q / q.sum(-1, keepdims=True)
    own = -np.log(q[letters[:-2], letters[1:-1], letters[2:]]).mean()
    return own, -(shares[..., None] * T * np.log(q)).sum()


def test_right_answers_are_accepted() -> None:
    assert "about 600 nats" in exercises.check_surplus((0, 600))
    assert "at n = 20000" in exercises.check_counts(my_losses)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [((-0.3, 600), "has seen"), ((0, 0.3), "one letter"), ((0, -600), "positive"), ((0.84, 600), "truth")],
)
def test_wrong_surpluses_get_a_hint(answer: tuple[float, float], hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_surplus(answer)


def test_wrong_counts_get_a_hint_and_no_answer_none() -> None:
    with pytest.raises(WrongAnswerError, match="first give"):
        exercises.check_counts(lambda *drawn: my_losses(*drawn)[::-1])
    with pytest.raises(WrongAnswerError, match="again"):
        exercises.check_counts(lambda *drawn: 2 * my_losses(*drawn)[:1])
    with pytest.raises(WrongAnswerError, match="is 0"):
        exercises.check_counts(lambda *drawn: (1.0, 1.0))
    for unanswered in (
        lambda: exercises.check_counts(lambda *drawn: None),  # type: ignore[arg-type]
        lambda: exercises.check_surplus((None, None)),
    ):
        with pytest.raises(NotImplementedError):
            unanswered()


def test_sizes_are_read_off_the_student_s_own_run() -> None:
    values = np.tile(np.array([[0.6, 0.5, 0.4], [0.7, 0.8, 1.2], [0.7, 0.7, 0.7], [0.5, 0.5, 0.6]])[:, None], (1, 3, 1))
    names, sizes = list(experiments.SHOWN), list(experiments.SIZES.values)
    run = xr.Dataset({"test_excess": (("arm", "seed", "hidden"), values)}, {"arm": names, "hidden": sizes})
    assert "small model wins" in exercises.check_sizes((run, (0.72, 1.18, 0.6, 0.42)))
    with pytest.raises(WrongAnswerError, match="fresh, H = 16"):
        exercises.check_sizes((run, (0.72, 1.18, 1.0, 0.42)))
    with pytest.raises(NotImplementedError):
        exercises.check_sizes((run, (None, None, None, None)))
