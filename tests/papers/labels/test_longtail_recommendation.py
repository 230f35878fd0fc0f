"""The exact checks of SSL-CFM: closed forms, scikit-learn, a plain PyTorch loop, the law of the shop."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import mutual_info_score
from torch import Tensor, nn

from reglab import data
from reglab.exercise import WrongAnswerError
from reglab.papers.labels.longtail_recommendation import exercises, experiments, method
from reglab.recordings import store
from reglab.seeds import generator
from reglab.training import Lanes

SMALL = experiments.Shopping(**experiments.Shopping.smoke)
TRAINED = [arm for arm in SMALL.arms if arm != "most clicked"]
SECOND = ["CFM", "RFM", "CFM from log", "SO", "other item's features"]


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loss(u: Tensor, v: Tensor, temperature: float, items: Tensor | None = None) -> float:
    items = torch.arange(len(u)) if items is None else items
    return float(method.batch_softmax(method.contrast(u, v, temperature, items)).detach())


# ----------------------------------------------------------------------------------------------------------- the losses


def test_the_loss_of_orthogonal_and_of_equal_embeddings() -> None:
    n, tau = 5, 0.1
    eye, same = torch.eye(n, dtype=torch.float64), torch.ones(n, 3, dtype=torch.float64)
    assert loss(eye, eye, tau) == pytest.approx(math.log1p((n - 1) * math.exp(-1 / tau)), abs=1e-12)
    assert loss(same, same, tau) == pytest.approx(math.log(n), abs=1e-12)


def test_a_worked_loss_of_two_items() -> None:
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert loss(z, z, 1.0) == pytest.approx(0.313262, abs=1e-6)


def test_the_loss_is_cross_entropy_and_knows_no_scale() -> None:
    u, v = draw(0, 6, 4), draw(1, 6, 4)
    cosines = torch.stack([F.cosine_similarity(one[None], v, dim=-1) for one in u])
    assert loss(u, v, 0.1) == pytest.approx(float(F.cross_entropy(cosines / 0.1, torch.arange(6))), abs=1e-12)
    assert loss(7 * u, 0.2 * v, 0.1) == pytest.approx(loss(u, v, 0.1), abs=1e-12)


def test_an_item_that_occurs_twice_is_not_its_own_negative() -> None:
    u, v, items = draw(0, 4, 3), draw(1, 4, 3), torch.tensor([3, 5, 3, 9])
    scores = method.similarity(u, v) / 0.1
    terms = []
    for i in range(4):
        others = [j for j in range(4) if j == i or items[j] != items[i]]
        terms.append(torch.logsumexp(scores[i, others], 0) - scores[i, i])
    assert loss(u, v, 0.1, items) == pytest.approx(float(torch.stack(terms).mean()), abs=1e-12)


def test_losses_of_many_models_are_those_of_each_alone() -> None:
    u, v, items = draw(0, 3, 6, 4), draw(1, 3, 6, 4), torch.arange(18).reshape(3, 6) % 5
    together = method.batch_softmax(method.contrast(u, v, 0.1, items))
    for m in range(3):
        assert float(together[m]) == pytest.approx(loss(u[m], v[m], 0.1, items[m]), abs=1e-12)


# ------------------------------------------------------------------------------------------------------------ the views


def features(*seeds: int) -> Tensor:
    return experiments.shop(seeds, 1.1).features[..., :7]


def test_mutual_information_is_that_of_scikit_learn() -> None:
    seen = features(0, 1)
    found = method.mutual_information(seen, 48)
    for s, i, j in itertools.product(range(2), range(7), range(7)):
        assert float(found[s, i, j]) == pytest.approx(mutual_info_score(seen[s, :, i], seen[s, :, j]), abs=1e-9)
    shares = torch.stack([F.one_hot(seen[0, :, i], 48).double().mean(0) for i in range(7)])
    entropy = -torch.special.xlogy(shares, shares).sum(-1)
    torch.testing.assert_close(found[0].diagonal(), entropy)
    torch.testing.assert_close(found[0, 2, 5], entropy[2])  # the twin tells all about the publisher


def test_masks_of_correlated_features() -> None:
    masks = method.correlated_masks(method.mutual_information(features(*range(8)), 48))
    assert (masks.sum(-1) == 4).all() and masks.diagonal(dim1=-2, dim2=-1).all()
    assert (masks[..., 2] == masks[..., 5]).all(), "a view would give the other away"
    assert masks[:, 2, 5].all() and masks[:, 5, 2].all()
    assert masks[:, 0, 1].all() and masks[:, 3, 4].all()


def test_random_masks_have_half_of_the_features_uniformly() -> None:
    masks = method.random_mask(torch.rand(7000, 7, generator=generator(0, "noise")))
    assert (masks.sum(-1) == 3).all()
    assert ((masks.double().mean(0) - 3 / 7).abs() < 4 * math.sqrt(12 / 49 / 7000)).all()


def towers(copies: int = 1) -> method.Tower:
    return method.Tower(7, 4, 48, [generator(0, "tower")], copies)


def test_a_fully_masked_item_is_every_item() -> None:
    seen, tower = experiments.shop((0,), 1.1).features[:, :20], towers()
    mask, none = torch.ones(1, 20, 7, dtype=torch.bool), torch.zeros(1, 20, 4, dtype=torch.bool)
    hidden = tower(seen, mask, none)
    torch.testing.assert_close(hidden, hidden[:, :1].expand_as(hidden))
    assert loss(hidden[0], hidden[0], 0.1) == pytest.approx(math.log(20), abs=1e-5)


def test_without_masks_and_dropout_both_views_are_the_item() -> None:
    seen, tower = experiments.shop((0,), 1.1).features, towers()
    mask, keep = torch.zeros(1, 1, 7, dtype=torch.bool), torch.ones(1, 600, 4, dtype=torch.bool)
    torch.testing.assert_close(tower(seen, mask, keep), tower(seen))


@pytest.mark.parametrize("keep", [*itertools.product([False, True], repeat=4)])
def test_tags_are_averaged_over_those_that_are_kept(keep: tuple[bool, ...]) -> None:
    tags = draw(0, 4, 8)
    expected = tags[list(keep)].mean(0) if any(keep) else torch.zeros(8, dtype=torch.float64)
    torch.testing.assert_close((method.tag_weights(torch.tensor(keep)).double()[:, None] * tags).sum(0), expected)


def views(*arms: str, seeds: tuple[int, ...] = (0, 1)) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return a batch of some arms, and what was clicked."""
    lanes = Lanes({arm: SMALL.arms[arm] for arm in arms}, seeds, SMALL.settings())
    stock = experiments.shop(seeds, 1.1)
    clicked = experiments.clicks(stock, seeds, "training clicks", 500)[1]
    masks = method.correlated_masks(method.mutual_information(stock.features[..., :7], 48))
    return next(experiments.second_views(lanes, masks, clicked)), clicked


def test_the_second_view_hides_what_the_first_one_shows() -> None:
    found, _ = views("CFM", "RFM", "SO")
    items, shown, mask, keep = found
    first, second = mask.squeeze(2).unflatten(0, (3, 2)).unbind(2)
    assert (first[:2] ^ second[:2]).all()
    assert (first[0].sum(-1) == 4).all() and (first[1].sum(-1) == 3).all()
    assert not first[2].any() and not second[2].any() and keep[4:].all()
    assert (items == shown).all()
    assert float(keep[:4].float().mean()) == pytest.approx(0.7, abs=4 * math.sqrt(0.21 / 1600))


def test_items_of_the_second_task_are_uniform_or_from_the_log() -> None:
    (items, shown, *_), clicked = views("CFM", "CFM from log", "other item's features")
    uniform, logged, other = items.unflatten(0, (3, 2))
    assert (uniform == other).all() and (shown[4:] != items[4:]).all()
    for s in range(2):
        assert set(logged[s].tolist()) <= set(clicked[s].tolist())
        assert not set(uniform[s].tolist()) <= set(clicked[s].tolist())


# ------------------------------------------------------------------------------------------------------------ retrieval


def test_places_of_a_hand_table() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.5, 0.3], [0.2, 0.2, 0.2, 0.7], [0.0, 0.0, 0.0, 0.0]])
    places = method.ranks(scores, torch.tensor([2, 0, 1]))
    assert places.tolist() == [2, 3, 2.5]
    assert experiments.found(scores.repeat(1, 25), torch.tensor([2, 0, 1])).tolist() == [1, 0, 0]


def test_purity_by_hand() -> None:
    angles = torch.tensor([0.0, 0.1, 0.25, 2.0, 2.1], dtype=torch.float64)
    z, groups = torch.stack([angles.cos(), angles.sin()], -1), torch.tensor([0, 0, 1, 1, 1])
    assert method.purity(3 * z, groups, 2).tolist() == [0.5, 0.5, 0, 1, 1]


# ------------------------------------------------------------------------------------------------------------- the shop


def test_demand_is_the_law() -> None:
    stock = experiments.shop((3,), 1.1)
    (a, b), popularity = stock.groups[0], stock.popularity[0]
    found = [experiments.demand(stock, popular)[0, 4, 9] for popular in (True, False)]
    for item in range(600):
        likes = math.exp(2.5 * (int(a[item]) == 4) + 2.5 * (int(b[item]) == 9))
        assert [float(one[item]) for one in found] == pytest.approx([float(popularity[item]) * likes, likes])
    assert sorted((1 / popularity).log().div(1.1).exp().round().int().tolist()) == [*range(1, 601)]


@pytest.mark.parametrize("popular", [True, False])
def test_clicks_follow_the_law(popular: bool) -> None:
    count, stock = 60000, experiments.shop((0,), 1.1)
    queries, items = experiments.clicks(stock, (0,), "many", count, popular)
    law = experiments.demand(stock, popular)[0]
    law = law / law.sum(-1, keepdim=True)
    prior = (0.6 * F.one_hot(stock.partner[0], 16).double() + 0.4 / 16) / 16
    expected = (prior.unsqueeze(-1) * law).sum((0, 1))
    seen = torch.bincount(items[0], minlength=600) / count
    assert (seen - expected).abs().max() < 5 * float((expected * (1 - expected) / count).sqrt().max())
    pairs = torch.bincount(queries[0, :, 0] // 3 * 16 + queries[0, :, 1] // 3, minlength=256).view(16, 16) / count
    blurred = 0.9 * torch.eye(16, dtype=torch.float64) + 0.1 / 16
    torch.testing.assert_close(pairs.double(), blurred @ prior @ blurred, atol=5 * math.sqrt(0.03 / count), rtol=0)


def test_features_follow_the_groups() -> None:
    stock = experiments.shop(tuple(range(10)), 1.1)
    a, b = stock.groups.unbind(1)
    assert float((b == stock.partner.gather(1, a)).double().mean()) == pytest.approx(0.6 + 0.4 / 16, abs=0.03)
    for column, group, faithful in ((0, a, 0.85), (1, a, 0.85), (3, b, 0.85), (4, b, 0.85), (6, a, 0.5), (9, a, 0.5)):
        share = float((stock.features[..., column] // 3 == group).double().mean())
        assert share == pytest.approx(faithful + (1 - faithful) / 16, abs=0.03)
    assert float((stock.features[..., 2] // 3 == a).double().mean()) == pytest.approx(1 / 16, abs=0.02)


# --------------------------------------------------------------------------------------------------------- the training


def test_without_weight_the_second_task_changes_no_bit() -> None:
    results = experiments.Shopping(alpha=0, epochs=1, pairs=500).run(2)
    for name in ("recall", "recall_tail", "recall_uniform", "purity_a", "recall_prior", "matching"):
        for arm in SECOND:
            np.testing.assert_array_equal(results[name].sel(arm=arm), results[name].sel(arm="base"))


class Plain(nn.Module):
    """A tower of one model, with an embedding layer for each feature."""

    def __init__(self, stacked: method.Tower, tags: int) -> None:
        super().__init__()
        k = int(stacked.column.max()) + 1
        self.embeddings = [nn.Embedding(49, 8) for _ in range(k)]
        self.tables = nn.ModuleList(self.embeddings)
        layers = nn.Linear(8 * k, 48), nn.Linear(48, 24)
        self.network, self.tags = nn.Sequential(layers[0], nn.ReLU(), layers[1]), tags
        with torch.no_grad():
            for table, values in zip(self.embeddings, stacked.tables[0].unflatten(0, (k, 49)), strict=True):
                table.weight.copy_(values)
            drawn = list(stacked.network.parameters())
            for layer, (weight, bias) in zip(layers, (drawn[:2], drawn[2:]), strict=True):
                layer.weight.copy_(weight[0].T)
                layer.bias.copy_(bias[0, 0])

    def forward(self, row: Tensor, mask: Tensor, keep: Tensor) -> Tensor:
        parts = []
        for j, table in enumerate(self.embeddings):
            if mask[j]:
                parts.append(table.weight[48])
            elif j < len(self.tables) - 1:
                parts.append(table(row[j]))
            else:
                kept = [table(row[j + t]) for t in range(self.tags) if keep[t]]
                parts.append(torch.stack(kept).mean(0) if kept else torch.zeros(8))
        return self.network(torch.cat(parts))


@pytest.mark.parametrize("arm", TRAINED)
@pytest.mark.usefixtures("double_precision")
def test_training_equals_a_plain_loop(arm: str) -> None:
    seed = 3
    results = SMALL.only([arm]).run([seed]).sel(arm=arm, seed=seed)
    stock = experiments.shop((seed,), 1.1)
    wants, log = experiments.clicks(stock, (seed,), "training clicks", 500)
    items, queries = (
        Plain(method.Tower(k, tags, 48, [generator(seed, f"{name} tower")], 1), tags)
        for name, k, tags in (("item", 7, 4), ("query", 2, 1))
    )
    rows, masks = stock.features[0], method.correlated_masks(method.mutual_information(stock.features[..., :7], 48))[0]
    optimizer = torch.optim.Adam([*items.parameters(), *queries.parameters()], lr=5e-3)
    batches, patterns, drops = (generator(seed, what) for what in ("second task", "masks", "feature dropout"))
    nothing, everything = torch.zeros(7, dtype=torch.bool), torch.ones(4, dtype=torch.bool)
    told = []
    for index in data.batches((seed,), 500, 100, 1)[:, 0]:
        u, p = torch.rand(2, 100, 6, generator=batches), torch.rand(8, generator=patterns)
        dropped = torch.rand(100, 7, generator=drops) < (0.5 if arm == "feature dropout" else 0)
        x = torch.stack([items(rows[log[0, n]], dropped[i], everything) for i, n in enumerate(index)])
        q = torch.stack([queries(wants[0, n], nothing, everything) for n in index])
        main = F.cross_entropy(F.normalize(q, dim=-1) @ F.normalize(x, dim=-1).T / 0.1, torch.arange(100))
        second = torch.zeros(())
        if arm in SECOND:
            hidden = masks[int(7 * p[0])] if "CFM" in arm or "other" in arm else nothing
            hidden = nothing.scatter(0, p[1:].argsort()[:3], True) if arm == "RFM" else hidden
            shown = nothing if arm == "SO" else ~hidden
            who = [int(log[0, int(500 * r[0])]) if "log" in arm else int(600 * r[1]) for r in u[0]]
            whose = [(i + 1 + int(599 * u[1, n, 0])) % 600 if "other" in arm else i for n, i in enumerate(who)]
            keep = u[..., 2:] >= (0 if arm == "SO" else 0.3)
            one = torch.stack([items(rows[i], hidden, keep[0, n]) for n, i in enumerate(who)])
            two = torch.stack([items(rows[i], shown, keep[1, n]) for n, i in enumerate(whose)])
            scores = F.normalize(one, dim=-1) @ F.normalize(two, dim=-1).T / 0.1
            twice = [[i != j and who[i] == who[j] for j in range(100)] for i in range(100)]
            scores = scores.masked_fill(torch.tensor(twice), -torch.inf)
            second = F.cross_entropy(scores, torch.arange(100))
            told.append((scores.argmax(1) == torch.arange(100)).double().mean().item())
        optimizer.zero_grad()
        (main + second).backward()
        optimizer.step()
    if arm in SECOND:
        assert float(results.matching.isel(epoch=-1)) == pytest.approx(np.mean(told), abs=1e-9)
    with torch.no_grad():
        z = torch.stack([items(row, nothing, everything) for row in rows])
    for what, count, popular, name in (("uniform", 1500, False, "recall_uniform"), ("test", 1500, True, "recall")):
        asked, right = experiments.clicks(stock, (seed,), f"{what} clicks", count, popular)
        with torch.no_grad():
            q = torch.stack([queries(one, nothing, everything) for one in asked[0]])
        scores = F.normalize(q, dim=-1) @ F.normalize(z, dim=-1).T
        found = (scores > scores.gather(1, right[0][:, None])).sum(1) < 50
        last = results[name].isel(epoch=-1) if "epoch" in results[name].dims else results[name]
        assert float(last) == pytest.approx(float(found.double().mean()), abs=1e-9)
    rare = torch.bincount(log[0], minlength=600) <= 1
    nearest = (F.normalize(z, dim=-1) @ F.normalize(z, dim=-1).T - 9 * torch.eye(600)).topk(5).indices
    for group, name in zip(stock.groups[0], ("purity_a", "purity_b"), strict=True):
        pure = (group[nearest] == group[:, None]).double().mean(1)[rare].mean()
        assert float(results[name]) == pytest.approx(float(pure), abs=1e-9)


def test_the_slices_add_up_and_the_list_finds_popular_items_only() -> None:
    results = SMALL.run(2)
    everything = results.isel(epoch=-1)
    low, high = (np.minimum, np.maximum)
    ends = [end(everything.recall_head, everything.recall_tail) for end in (low, high)]
    assert (everything.recall >= ends[0] - 1e-6).all() and (everything.recall <= ends[1] + 1e-6).all()
    np.testing.assert_allclose(results.recall_decile.mean("decile"), results.recall_uniform, atol=0.03)
    listed = everything.sel(arm="most clicked")
    # with 500 clicks some items of the tail have as many clicks as the last of the head
    assert (listed.recall_tail < 0.02).all() and (listed.recall_head > 0.8).all()
    assert (listed.recall_prior.std("prior") == 0).all()
    alone = SMALL.only(["most clicked"]).run(2)
    np.testing.assert_array_equal(alone.recall, results.recall.sel(arm=["most clicked"]))


def test_what_settings_are_chosen_by_depends_on_no_test_data(monkeypatch: pytest.MonkeyPatch) -> None:
    clicks, here = experiments.clicks, SMALL.run(2)

    def other(stock: Any, seeds: Any, purpose: str, *how: Any) -> experiments.Pairs:
        tests = purpose in ("test clicks", "uniform clicks")
        return clicks(stock, seeds, f"other {purpose}" if tests else purpose, *how)

    monkeypatch.setattr(experiments, "clicks", other)
    there = SMALL.run(2)
    assert not here.recall.equals(there.recall) and not here.recall_uniform.equals(there.recall_uniform)
    assert here.validation.equals(there.validation)


def test_the_weight_of_popularity_is_chosen_on_validation_clicks() -> None:
    stock = experiments.shop((0,), 1.1)
    asked = {what: experiments.clicks(stock, (0,), what, *how) for what, how in experiments.ASKED.items()}
    counts = torch.arange(600).unsqueeze(0) % 7
    scores = {what: draw(i, 1, items.shape[1], 600) for i, (what, (_, items)) in enumerate(asked.items())}
    found = experiments.final(scores, asked, counts, stock)
    liked = [scores["validation"] + weight * counts.log1p() for weight in experiments.PRIORS]
    best = int(np.argmax([float(experiments.found(one, asked["validation"][1]).mean()) for one in liked]))
    assert float(found["recall_best_prior"]) == float(found["recall_prior"][0, best])


# ------------------------------------------------------------------------------------------------------------ exercises


def solution(seen: Tensor, values: int) -> Tensor:
    one_hot = F.one_hot(seen, values).double()
    p = torch.einsum("niv,njw->ijvw", one_hot, one_hot) / len(seen)
    apart = p.sum(-1, keepdim=True) * p.sum(-2, keepdim=True)
    information = (p * (p / apart.clamp(min=1e-12)).clamp(min=1e-12).log()).sum((-2, -1))
    information.fill_diagonal_(torch.inf)
    rows = information.argsort(-1, descending=True)[:, : len(information) // 2 + 1]
    return torch.zeros(information.shape, dtype=torch.bool).scatter(-1, rows, True)


def test_right_answers_are_accepted() -> None:
    assert "popular" in exercises.check_visits((3.33, 0, 200))
    assert "twin" in exercises.check_masks(solution)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda seen, values: solution(seen, values) & ~torch.eye(seen.shape[1], dtype=torch.bool), "itself"),
        (lambda seen, values: torch.ones(seen.shape[1], seen.shape[1], dtype=torch.bool), "mask 4 of 7"),
        (lambda seen, values: 3.0, "shape"),
    ],
)
def test_wrong_masks_get_a_hint(answer: object, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_masks(answer)  # type: ignore[arg-type]


def test_wrong_visits_get_a_hint_and_no_answer_none() -> None:
    with pytest.raises(WrongAnswerError, match="how likely"):
        exercises.check_visits((10 / 3, 10 / 3, 200))
    with pytest.raises(WrongAnswerError, match="three"):
        exercises.check_visits((1.0,))
    with pytest.raises(NotImplementedError):
        exercises.check_visits((None, None, None))
    with pytest.raises(NotImplementedError):
        exercises.check_masks(lambda seen, values: None)  # type: ignore[arg-type,return-value]


def test_the_gains_are_those_of_the_recording() -> None:
    shown = []
    for pairs in (500, 2000, 8000):
        recorded = store.at(experiments.Shopping(pairs=pairs))
        assert recorded is not None
        tail = recorded.recall_tail.isel(epoch=-1)
        shown.append(float((tail.sel(arm="CFM") - tail.sel(arm="base")).mean()))
    assert exercises.check_gains(shown)
    with pytest.raises(WrongAnswerError, match="at 8000"):
        exercises.check_gains([*shown[:2], 0.3])
    with pytest.raises(NotImplementedError):
        exercises.check_gains((None, None, None))
