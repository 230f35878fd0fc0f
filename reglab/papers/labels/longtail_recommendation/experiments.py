"""SSL-CFM: the experiments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned
from reglab.metrics import mean_where
from reglab.models.dropout import noise
from reglab.papers.labels.longtail_recommendation import method
from reglab.pictures import Dots, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator
from reglab.training import Lanes, minibatches

ITEMS, HEAD, GROUPS, VALUES = 600, 60, 16, 48
"""Items, those of the head, hidden groups, values of a feature: three belong to each group."""

FEATURES = ("f1", "f2", "f3", "f4", "f5", "f6", "f7")
"""f1, f2 and the four tags f7 follow the first hidden group, f4, f5 the second; f3 and f6 are publisher and twin."""

FAITHFUL, CERTAIN, LIKING, TIED = 0.85, 0.9, 2.5, 0.6
"""How often features of items and of queries follow the group, log demand of an equal group, how often b = π(a)."""

TAU, BATCH, RATE, EVERY = 0.1, 100, 5e-3, 2
"""Both temperatures, size of a batch, learning rate of Adam, epochs between two measurements."""

TOP = 50
"""An item is found where it is among so many of the 600."""

ASKED = {"test": (1500, True), "uniform": (1500, False), "validation": (300, True)}
"""Clicks that nobody learns from: how many, and whether popular items are in greater demand."""

PRIORS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


# ------------------------------------------------------------------------------------------------------------- the shop


class Pairs(NamedTuple):
    """What was asked and what was clicked: queries [S, n, 2], items [S, n]."""

    queries: Tensor
    items: Tensor


class Shop(NamedTuple):
    """Items of every seed: features [S, K, 10], hidden groups [S, 2, K], popularity [S, K], and π [S, 16]."""

    features: Tensor
    groups: Tensor
    popularity: Tensor
    partner: Tensor


def second_group(first: Tensor, partner: Tensor, draws: torch.Generator) -> Tensor:
    """Draw the second hidden group: π(a) with probability 0.6, else any."""
    tied = torch.rand(first.shape, generator=draws) < TIED
    return torch.where(tied, partner[first], torch.randint(GROUPS, first.shape, generator=draws))


def value(group: Tensor, faithful: float, draws: torch.Generator) -> Tensor:
    """Draw a feature: one of the three values of the group with this probability, else any of 48."""
    own = 3 * group + torch.randint(3, group.shape, generator=draws)
    follows = torch.rand(group.shape, generator=draws) < faithful
    return torch.where(follows, own, torch.randint(VALUES, group.shape, generator=draws))


def shop(seeds: Seeds, zipf: float) -> Shop:
    """Draw the items of every seed; popularity is rank^-zipf, in random order."""
    drawn = []
    for seed in seeds:
        draws = generator(seed, "shop")
        partner = torch.randperm(GROUPS, generator=draws)
        a = torch.randint(GROUPS, (ITEMS,), generator=draws)
        b = second_group(a, partner, draws)
        publisher, twins = torch.randint(VALUES, (ITEMS,), generator=draws), torch.randperm(VALUES, generator=draws)
        first, second = ([value(group, FAITHFUL, draws) for _ in range(2)] for group in (a, b))
        tags = [value(a, 0.5, draws) for _ in range(4)]
        rank = 1 + torch.randperm(ITEMS, generator=draws)
        features = torch.stack([*first, publisher, *second, twins[publisher], *tags], -1)
        drawn.append((features, torch.stack([a, b]), rank.double() ** -zipf, partner))
    return Shop(*(torch.stack(several) for several in zip(*drawn, strict=True)))


def demand(a: Tensor, b: Tensor, groups: Tensor, popularity: Tensor) -> Tensor:
    """Return how likely each item is for a query of hidden groups a, b [n], up to a factor: [2, K], [K] -> [n, K]."""
    equal = (groups[0] == a.unsqueeze(-1)).double() + (groups[1] == b.unsqueeze(-1)).double()
    return popularity * (LIKING * equal).exp()


def clicks(stock: Shop, seeds: Seeds, purpose: str, count: int, popular: bool = True) -> Pairs:
    """Draw queries and the item that each clicks on; without `popular` all items are equally popular."""
    drawn = []
    for seed, groups, popularity, partner in zip(seeds, *stock[1:], strict=True):
        draws = generator(seed, purpose)
        a = torch.randint(GROUPS, (count,), generator=draws)
        b = second_group(a, partner, draws)
        sums = demand(a, b, groups, popularity if popular else torch.ones_like(popularity)).cumsum(-1)
        places = torch.rand(count, 1, generator=draws, dtype=torch.float64) * sums[:, -1:]
        queries = torch.stack([value(a, CERTAIN, draws), value(b, CERTAIN, draws)], -1)
        drawn.append((queries, torch.searchsorted(sums, places, right=True).squeeze(-1)))
    return Pairs(*(torch.stack(several) for several in zip(*drawn, strict=True)))


def best_scores(stock: Shop, queries: Tensor, popular: bool) -> Tensor:
    """Return how likely each item is, given the two features of a query and the true law: [S, Q, 2] -> [S, Q, K]."""
    g = torch.arange(GROUPS)
    likely = CERTAIN / 3 * (queries.unsqueeze(-1) // 3 == g).double() + (1 - CERTAIN) / VALUES
    found = []
    for (a, b), groups, popularity, partner in zip(likely.movedim(2, 1), *stock[1:], strict=True):
        prior = TIED * (partner.unsqueeze(-1) == g).double() + (1 - TIED) / GROUPS
        worth = popularity if popular else torch.ones_like(popularity)
        law = demand(g.repeat_interleave(GROUPS), g.repeat(GROUPS), groups, worth)
        posterior = a.unsqueeze(-1) * prior * b.unsqueeze(-2)
        found.append(posterior.flatten(-2) @ (law / law.sum(-1, keepdim=True)))
    return torch.stack(found)


# ------------------------------------------------------------------------------------------------ what is drawn, asked


class Views(NamedTuple):
    """A batch of the second task: items [M, B], whose features are shown in the second view, F_m of both, kept tags.

    `shown` is [M, B], `masks` [M, 2, 7], `keep` [M, 2B, 4], first views first.
    """

    items: Tensor
    shown: Tensor
    masks: Tensor
    keep: Tensor


def second_views(lanes: Lanes, masks: Tensor, clicked: Tensor) -> Iterator[Views]:
    """Draw batches of the second task without end, from the masks of CFM [S, 7, 7] and all clicked items [S, n]."""
    tags, other = lanes.each("tags"), lanes.each("other", 1) > 0
    from_log, correlated, random = (lanes.each(name, 1) > 0 for name in ("from_log", "correlated", "random"))
    batches, patterns = lanes.generators("second task"), lanes.generators("masks")
    while True:
        u, p = noise(batches, 2 * BATCH, 6), noise(patterns, 8)
        logged = clicked.gather(1, (u[:, :BATCH, 0] * clicked.shape[1]).long())
        items = torch.where(from_log, lanes.repeat(logged), lanes.repeat((u[:, :BATCH, 1] * ITEMS).long()))
        away = 1 + (u[:, BATCH:, 0] * (ITEMS - 1)).long()
        shown = torch.where(other, (items + lanes.repeat(away)) % ITEMS, items)
        seed_feature = (p[:, 0] * len(FEATURES)).long()
        f = lanes.repeat(masks[torch.arange(len(masks)), seed_feature]) & correlated
        f = f | lanes.repeat(method.random_mask(p[:, 1:])) & random
        yield Views(items, shown, torch.stack([f, ~f & (correlated | random)], 1), lanes.repeat(u[..., 2:]) >= tags)


@dataclass(frozen=True)
class Judge:
    """Clicks that nobody learned from, by what they are for, and how often each item was clicked in training [S, K]."""

    stock: Shop
    asked: Mapping[str, Pairs]
    counts: Tensor

    def best(self) -> dict[str, Tensor]:
        """Measure who knows the law of demand: [S] each."""
        names = {"best_recall": "test", "best_recall_uniform": "uniform"}
        return {
            name: self.found(best_scores(self.stock, self.asked[what].queries, what == "test"), what).mean(-1)
            for name, what in names.items()
        }

    def found(self, scores: Tensor, what: str) -> Tensor:
        """Tell which items are among the best 50: [..., S, Q, K] -> 0 or 1, [..., S, Q]."""
        items = self.asked[what].items
        return (method.ranks(scores, items.expand(scores.shape[:-1])) <= TOP).to(scores.dtype)

    def slices(self, hits: Tensor, what: str) -> dict[str, Tensor]:
        """Measure Recall@50 of all, of head, tail and unseen items: [S, Q] -> [S] each."""
        items = self.asked[what].items
        count = self.counts.gather(1, items)
        head = self.place(self.counts).gather(1, items) < HEAD
        return {
            "recall": hits.mean(-1),
            "recall_head": mean_where(hits, head),
            "recall_tail": mean_where(hits, ~head),
            "recall_unseen": mean_where(hits, count == 0),
        }

    def place(self, popularity: Tensor) -> Tensor:
        """Return the place of each item by popularity, 0 the most popular: [S, K] -> [S, K]."""
        return popularity.argsort(dim=-1, descending=True, stable=True).argsort(-1)

    def numbers(self, scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Measure an arm at the end, from its scores [S, Q, K] of all that is asked: [S, ...] each."""
        test, uniform = self.asked["test"], self.asked["uniform"]
        tenths = self.place(self.stock.popularity).gather(1, uniform.items) * 10 // ITEMS
        hits, liked = self.found(scores["uniform"], "uniform"), self.counts.log1p().unsqueeze(1)
        validation = self.slices(self.found(scores["validation"], "validation"), "validation")
        prior = {
            what: torch.stack([self.found(scores[what] + weight * liked, what).mean(-1) for weight in PRIORS], -1)
            for what in ("test", "validation")
        }
        return {
            "average_precision": method.average_precision(method.ranks(scores["test"], test.items)).mean(-1),
            "recall_uniform": hits.mean(-1),
            "recall_decile": torch.stack([mean_where(hits, tenths == tenth) for tenth in range(10)], -1),
            "validation": (validation["recall_head"] + validation["recall_tail"]) / 2,
            "recall_prior": prior["test"],
            "recall_prior_validation": prior["validation"],
        }

    def geometry(self, embeddings: Tensor) -> dict[str, Tensor]:
        """Measure how the embeddings of items lie: [S, K, d] -> [S] each."""
        rare = self.counts <= 1
        a, b = (mean_where(method.purity(embeddings, self.stock.groups[:, i]), rare) for i in range(2))
        return {"purity_a": a, "purity_b": b, "mean_cosine": method.mean_cosine(embeddings)}


# ------------------------------------------------------------------------------------------------------- the experiment

SHOWN = ("base", "CFM", "feature dropout", "SO", "most clicked")
STRENGTHS, RATES = (0.1, 0.3, 1, 2, 3), (0.1, 0.2, 0.3, 0.4, 0.5)
CURVE, NUMBER = "arm seed epoch", "arm seed"


@dataclass(frozen=True)
class Shopping(Experiment):
    """Learn from clicks which items belong to which queries, with and without a second task on the items' features.

    Two towers, batches of 100 pairs, and of 100 items for the second task; Adam. All arms of a seed share shop, clicks,
    first weights, batches and all other draws. Strengths are chosen by 300 clicks that nothing else uses.
    """

    # fmt: off
    alpha: float = knob(tuned(1, STRENGTHS, "validation"), stops=(0, 0.1, 0.3, 1, 2, 3), symbol="α",
                        help="weight of the second task")
    pairs: int = knob(2000, stops=(500, 1000, 2000, 4000, 8000, 16000), help="clicks to learn from")
    zipf: float = knob(1.1, low=0, high=1.6, step=0.1, help="popularity is rank to the power of minus this")
    tag_dropout: float = knob(0.3, low=0, high=0.8, step=0.1, symbol="p_d",
                              help="probability that a tag is dropped in a view")
    epochs: int = knob(12, low=1, high=24, step=1, help="passes over the clicks")

    arms = {
        "base": Arm("baseline"),
        "CFM": Arm("method", alpha="alpha", tags="tag_dropout", correlated=1),
        "RFM": Arm("ablation", alpha="alpha", tags="tag_dropout", random=1),
        "CFM from log": Arm("ablation", alpha="alpha", tags="tag_dropout", correlated=1, from_log=1),
        "feature dropout": Arm("rival", drop=tuned(0.3, RATES, "validation")),
        "most clicked": Arm("rival", list=1),
        "SO": Arm("null", alpha="alpha"),
        "other item's features": Arm("null", alpha="alpha", tags="tag_dropout", correlated=1, other=1),
    }
    outputs = {
        "recall": share(CURVE, "Recall@50, all clicks", "share of test clicks whose item is among the best 50"),
        "recall_head": share(CURVE, "Recall@50, head", "the same for the 60 items with the most training clicks"),
        "recall_tail": share(CURVE, "Recall@50, tail", "the same for the other 540 items"),
        "recall_unseen": share(CURVE, "Recall@50, unseen", "the same for items without a training click"),
        "matching": share(CURVE, "right pairs", "share of pairs of views that are found among the 100 of a batch"),
        "main_loss": Var(CURVE, "main loss", "mean of the epoch", "nats", low=0),
        "self_loss": Var(CURVE, "self-supervised loss", "mean of the epoch", "nats", low=0),
        "average_precision": share(NUMBER, "AP@10", "one over the rank of the item, if among the best 10"),
        "recall_uniform": share(NUMBER, "Recall@50, uniform demand", "share found where all items are equally popular"),
        "recall_decile": share("arm seed decile", "Recall@50", "share found under uniform demand, by popularity"),
        "purity_a": share(NUMBER, "purity a", "share of 5 nearest neighbors of rare items with the same group a"),
        "purity_b": share(NUMBER, "purity b", "share of 5 nearest neighbors of rare items with the same group b"),
        "mean_cosine": Var(NUMBER, "mean cosine", "mean cosine of two different items", low=-1, high=1),
        "recall_prior": share("arm seed prior", "Recall@50", "share of test clicks found with popularity in the score"),
        "recall_prior_validation": share("arm seed prior", "Recall@50", "the same share of validation clicks"),
        "validation": share(NUMBER, "validation", "mean Recall@50 of head and tail on the 300 validation clicks"),
        "mutual_information": Var("seed feature feature_2", "mutual information", "of two features of items", "nats",
                                  low=0),
        "hidden": share("seed feature feature_2", "hidden with it", "share of seeds that mask one with the other"),
        "best_recall": share("seed", "best possible", "Recall@50 on test clicks of who knows the law of demand"),
        "best_recall_uniform": share("seed", "best possible", "Recall@50 under uniform demand of who knows the law"),
    }
    views = (
        View("Found", (
            Dots("Who finds the right tail item among 50 of 600?", "recall_tail"),
            Dots("And where all items are in equal demand?", "recall_uniform"),
        ), columns=1),
    )
    scaled = "two logs of up to a billion clicks became a shop of 600 items and 2000 clicks; losses and masks are kept"
    headline = "recall_tail"
    grid = {"alpha": (0, 0.1, 0.3, 1, 3), "pairs": (500, 1000, 2000, 4000, 8000)}
    smoke = {"epochs": 1, "pairs": 500}
    equals_baseline = tuple(
        ({"alpha": 0}, arm) for arm in ("CFM", "RFM", "CFM from log", "SO", "other item's features")
    )
    # there may be no second task, no unseen or rare items, no embeddings
    may_be_nan = ("recall_unseen", "matching", "main_loss", "self_loss", "purity_a", "purity_b", "mean_cosine")
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """Every second epoch, features, tenths of the items by popularity, and weights of popularity in the score."""
        when = sorted({*range(EVERY, self.epochs + 1, EVERY), self.epochs})
        return {
            "epoch": Axis(when, unit="epochs", label="epoch"),
            "feature": Axis(FEATURES, label="feature"),
            "feature_2": Axis(FEATURES, label="other feature"),
            "decile": Axis(range(1, 11), label="tenth of the items, from popular to rare"),
            "prior": Axis(PRIORS, label="weight γ of log(clicks + 1) in the score"),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one batch of models; a frame at every second epoch, and more at the end."""
        stock = shop(seeds, self.zipf)
        log = clicks(stock, seeds, "training clicks", self.pairs)
        asked = {what: clicks(stock, seeds, f"{what} clicks", *how) for what, how in ASKED.items()}
        counts = F.one_hot(log.items, ITEMS).sum(1)
        judge = Judge(stock, asked, counts)
        information = method.mutual_information(stock.features[..., : len(FEATURES)], VALUES)  # of f7 the first tag
        masks = method.correlated_masks(information)
        yield Frame({}, {"mutual_information": information, "hidden": masks, **judge.best()})
        trained = {name: arm for name, arm in self.arms.items() if "list" not in arm.settings}
        lanes = Lanes(trained, seeds, self.settings())
        items, queries = (
            method.Tower(features, tags, VALUES, lanes.generators(f"{name} tower"), len(trained))
            for name, features, tags in (("item", len(FEATURES), 4), ("query", 2, 1))
        )
        optimizer = torch.optim.Adam([*items.parameters(), *queries.parameters()], lr=RATE)
        views, drops = second_views(lanes, masks, log.items), lanes.generators("feature dropout")
        alpha, drop, model = lanes.each("alpha", 0), lanes.each("drop"), lanes.repeat(torch.arange(len(seeds)))[:, None]

        def losses(index: Tensor) -> Tensor:
            """Return main loss, second loss and the share of right pairs: [3, M]."""
            one, clicked = next(views), lanes.pick(log.items, index)
            dropped = lanes.repeat(noise(drops, BATCH, len(FEATURES))) < drop
            values = stock.features[model, torch.cat([clicked, one.items, one.shown], 1)]
            mask = torch.cat([dropped, one.masks.repeat_interleave(BATCH, 1)], 1)
            keep = torch.cat([torch.ones_like(one.keep[:, :BATCH]), one.keep], 1)
            x, first, second = items(values, mask, keep).split(BATCH, 1)
            main = method.batch_softmax(method.contrast(queries(lanes.pick(log.queries, index)), x, TAU))
            pairs = method.contrast(first, second, TAU, one.items)
            return torch.stack([main, method.batch_softmax(pairs), method.matched(pairs)])

        when = list(self.axes()["epoch"].values)
        for epoch in range(1, self.epochs + 1):
            seen, batches = [], minibatches(lanes, self.pairs, BATCH)(epoch)
            for step, index in enumerate(batches, 1):
                optimizer.zero_grad()
                found = losses(index)
                (found[0] + alpha * found[1]).sum().backward()
                optimizer.step()
                seen.append(found.detach())
                yield Tick((epoch - 1 + step / len(batches)) / self.epochs)
            if epoch not in when:
                continue
            at, means = {"epoch": when.index(epoch)}, torch.stack(seen).mean(0)
            means[1:] = means[1:].where(alpha > 0, torch.nan)
            told = dict(zip(("main_loss", "self_loss", "matching"), map(lanes.split, means), strict=True))
            yield Frame({"arm": list(trained), **at}, told)
            wanted = asked if epoch == self.epochs else ("test",)
            with torch.no_grad():
                z = dict(zip(trained, lanes.split(items(lanes.repeat(stock.features))), strict=True))
                q = {what: lanes.split(queries(lanes.repeat(asked[what].queries))) for what in wanted}
            for arm in self.arms:
                if arm in trained:
                    i = list(trained).index(arm)
                    scores = {what: method.similarity(q[what][i], z[arm]) for what in wanted}
                else:
                    scores = {what: counts.log1p().unsqueeze(1).expand(-1, q[what].shape[2], -1) for what in wanted}
                yield Frame({"arm": arm, **at}, judge.slices(judge.found(scores["test"], "test"), "test"))
                if epoch == self.epochs:
                    yield Frame({"arm": arm}, judge.numbers(scores))
                    if arm in trained:
                        yield Frame({"arm": arm}, judge.geometry(z[arm]))


EXPERIMENTS = (Shopping,)
