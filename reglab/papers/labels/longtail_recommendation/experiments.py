"""SSL-CFM: the experiments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned
from reglab.models.dropout import noise
from reglab.papers.labels.longtail_recommendation import method
from reglab.pictures import Curves, Dots, Heatmap, Line, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator
from reglab.training import Lanes, minibatches

ITEMS, TOP, HEAD, GROUPS, VALUES = 600, 50, 60, 16, 48
"""Items, how many may be shown, those of the head, hidden groups, values of a feature: three belong to each group."""

FEATURES = ("f1", "f2", "f3", "f4", "f5", "f6", "f7")
"""f1, f2 and the four tags f7 follow the first hidden group, f4, f5 the second; f3 and f6 are publisher and twin."""

TAU, BATCH = 0.1, 100
"""Both temperatures, size of a batch."""

ASKED = {"test": (1500, True), "uniform": (1500, False), "validation": (300, True)}
"""Clicks that nobody learns from: how many, and whether popular items are in greater demand."""

Pairs = tuple[Tensor, Tensor]
Answers = dict[str, Tensor]

PRIORS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


# ------------------------------------------------------------------------------------------------------------- the shop


class Shop(NamedTuple):
    """Items of every seed: features [S, K, 10], hidden groups a and b [S, 2, K], popularity [S, K], and π [S, 16]."""

    features: Tensor
    groups: Tensor
    popularity: Tensor
    partner: Tensor


def mostly(likely: Tensor, probability: float, count: int, draws: torch.Generator) -> Tensor:
    """Return what is likely with this probability, else any of `count`."""
    fresh = torch.randint(count, likely.shape, generator=draws)
    return torch.where(torch.rand(likely.shape, generator=draws) < probability, likely, fresh)


def value(group: Tensor, probability: float, draws: torch.Generator) -> Tensor:
    """Draw a feature: with this probability one of the three values of the group, else any."""
    return mostly(3 * group + torch.randint(3, group.shape, generator=draws), probability, VALUES, draws)


def both_groups(count: int, partner: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw the hidden groups, a uniformly, b = π(a) with probability 0.6, else uniformly, too: [count] each."""
    a = torch.randint(GROUPS, (count,), generator=draws)
    return a, mostly(partner[a], 0.6, GROUPS, draws)


def shop(seeds: Seeds, zipf: float) -> Shop:
    """Draw the items of every seed; popularity is rank^-zipf, in random order."""
    drawn = []
    for seed in seeds:
        draws = generator(seed, "shop")
        partner, twin = (torch.randperm(count, generator=draws) for count in (GROUPS, VALUES))
        a, b = both_groups(ITEMS, partner, draws)
        f1, f2, f4, f5 = (value(group, 0.85, draws) for group in (a, a, b, b))
        f3, tags = torch.randint(VALUES, a.shape, generator=draws), (value(a, 0.5, draws) for _ in range(4))
        rank = 1 + torch.randperm(ITEMS, generator=draws)
        features = torch.stack([f1, f2, f3, f4, f5, twin[f3], *tags], -1)
        drawn.append((features, torch.stack([a, b]), rank.double() ** -zipf, partner))
    return Shop(*(torch.stack(several) for several in zip(*drawn, strict=True)))


def demand(stock: Shop, popular: bool) -> Tensor:
    """Return how likely an item is for a query of hidden groups a and b, up to a factor: [S, 16, 16, K] float64.

    It is the popularity of the item, without `popular` 1, times exp(2.5) for each group that is the query's.
    """
    a, b = (stock.groups.unsqueeze(-2) == torch.arange(GROUPS).unsqueeze(-1)).double().unbind(1)
    return (2.5 * (a.unsqueeze(-2) + b.unsqueeze(-3))).exp() * stock.popularity[:, None, None] ** int(popular)


def clicks(stock: Shop, seeds: Seeds, purpose: str, count: int, popular: bool = True) -> Pairs:
    """Draw queries [S, n, 2] and the item that each clicks on, [S, n]."""
    drawn = []
    for sums, partner, seed in zip(demand(stock, popular).cumsum(-1), stock.partner, seeds, strict=True):
        draws = generator(seed, purpose)
        a, b = both_groups(count, partner, draws)
        places = torch.rand(count, 1, generator=draws, dtype=torch.float64) * sums[a, b, -1:]
        items = torch.searchsorted(sums[a, b], places, right=True).squeeze(-1)
        drawn.append((torch.stack([value(group, 0.9, draws) for group in (a, b)], -1), items))
    queries, clicked = (torch.stack(several) for several in zip(*drawn, strict=True))
    return queries, clicked


# ------------------------------------------------------------------------------------------- what is drawn and measured


def second_views(lanes: Lanes, masks: Tensor, clicked: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Draw batches of the second task without end, from the masks of CFM [S, 7, 7] and all clicked items [S, n].

    Yields the items [M, B], those whose features the second view shows [M, B], what each view masks [M, 2, 1, 7], and
    which tags it keeps [M, 2, B, 4].
    """
    log, other, correlated, random = (lanes.each(name, 1) > 0 for name in ("log", "other", "correlated", "random"))
    tags, batches, patterns = lanes.each("tags", 3), lanes.generators("second task"), lanes.generators("masks")
    while True:
        u, p = noise(batches, 2, BATCH, 6), noise(patterns, 8)
        logged = clicked.gather(1, (u[:, 0, :, 0] * clicked.shape[1]).long())
        items = torch.where(log, lanes.repeat(logged), lanes.repeat((u[:, 0, :, 1] * ITEMS).long()))
        others = (items + lanes.repeat(1 + (u[:, 1, :, 0] * (ITEMS - 1)).long())) % ITEMS
        related = masks[torch.arange(len(masks)), (p[:, 0] * len(FEATURES)).long()]
        f = lanes.repeat(related) & correlated | lanes.repeat(method.random_mask(p[:, 1:])) & random
        mask = torch.stack([f, ~f & (correlated | random)], 1).unsqueeze(2)
        yield items, torch.where(other, others, items), mask, lanes.repeat(u[..., 2:]) >= tags


def place(popularity: Tensor) -> Tensor:
    """Return the place of each item by popularity, 0 the most popular: [S, K] -> [S, K]."""
    return popularity.argsort(dim=-1, descending=True, stable=True).argsort(-1)


def found(scores: Tensor, items: Tensor) -> Tensor:
    """Tell whether the right item is among the best 50, 1 or 0: [S, Q, K], [S, Q] -> [S, Q]."""
    return (method.ranks(scores, items) <= TOP).to(scores.dtype)


def slices(scores: Tensor, items: Tensor, counts: Tensor) -> Answers:
    """Measure Recall@50 of all, head and tail items from scores, right items and training clicks: [S] each."""
    hits, head = found(scores, items), place(counts).gather(1, items) < HEAD
    tail = metrics.mean_where(hits, ~head)
    return {"recall": hits.mean(-1), "recall_head": metrics.mean_where(hits, head), "recall_tail": tail}


def final(scores: Answers, asked: dict[str, Pairs], counts: Tensor, stock: Shop) -> Answers:
    """Measure an arm at the end, from its scores [S, Q, K] of all that is asked: [S, ...] each."""
    items = {what: clicked for what, (_, clicked) in asked.items()}
    hits, tenths = found(scores["uniform"], items["uniform"]), place(stock.popularity) * 10 // ITEMS
    where, liked = tenths.gather(1, items["uniform"]), counts.log1p().unsqueeze(1)
    prior, by = (torch.stack([found(scores[what] + weight * liked, items[what]).mean(-1) for weight in PRIORS], -1)
                 for what in ("test", "validation"))  # fmt: skip
    held_out = slices(scores["validation"], items["validation"], counts)
    return {
        "recall_uniform": hits.mean(-1),
        "recall_decile": torch.stack([metrics.mean_where(hits, where == tenth) for tenth in range(10)], -1),
        "validation": (held_out["recall_head"] + held_out["recall_tail"]) / 2,
        "recall_prior": prior,
        "recall_best_prior": prior.gather(-1, by.argmax(-1, keepdim=True)).squeeze(-1),
    }


# ------------------------------------------------------------------------------------------------------- the experiment

SHOWN = ("base", "CFM", "feature dropout", "SO", "most clicked")
SECOND = ("CFM", "RFM", "CFM from log", "other item's features")
CURVE, NUMBER, TABLE = "arm seed epoch", "arm seed", "seed feature feature_2"


@dataclass(frozen=True)
class Shopping(Experiment):
    """Learn from clicks which items belong to which queries, with and without a second task on the items' features.

    Two towers, batches of 100 pairs, and of 100 items for the second task; Adam with learning rate 5e-3. All arms of a
    seed share shop, clicks, first weights, batches and all other draws. Strengths are chosen by 300 further clicks.
    """

    # fmt: off
    alpha: float = knob(tuned(1, (0.1, 0.3, 1, 2, 3), "validation"), stops=(0, 0.1, 0.3, 1, 2, 3), symbol="α",
                        label="second task", help="weight of the second task")
    pairs: int = knob(2000, stops=(500, 1000, 2000, 4000, 8000, 16000), label="clicks", help="clicks to learn from")
    zipf: float = knob(1.1, low=0, high=1.6, step=0.1, help="popularity is rank to the power of minus this")
    tag_dropout: float = knob(0.3, low=0, high=0.8, step=0.1, symbol="p_d", help="share of tags dropped in a view")
    epochs: int = knob(12, low=1, high=24, step=1, help="passes over the clicks")

    arms = {
        "base": Arm("baseline"),
        "CFM": Arm("method", alpha="alpha", tags="tag_dropout", correlated=1),
        "RFM": Arm("ablation", alpha="alpha", tags="tag_dropout", random=1),
        "CFM from log": Arm("ablation", alpha="alpha", tags="tag_dropout", correlated=1, log=1),
        "feature dropout": Arm("rival", drop=tuned(0.5, (0.2, 0.3, 0.4, 0.5, 0.6), "validation")),
        "most clicked": Arm("rival", list=1),
        "SO": Arm("null", alpha="alpha"),
        "other item's features": Arm("null", alpha="alpha", tags="tag_dropout", correlated=1, other=1),
    }
    outputs = {
        "recall": share(CURVE, "Recall@50, all clicks", "share of test clicks whose item is among the best 50"),
        "recall_head": share(CURVE, "Recall@50, head", "the same for the 60 items with the most training clicks"),
        "recall_tail": Var(CURVE, "Recall@50, tail", "the same for the other 540 items"),
        "matching": share(CURVE, "right pairs", "share of items whose second view is found among the 100 of a batch"),
        "recall_uniform": Var(NUMBER, "Recall@50, uniform demand", "share found where all items are equally popular"),
        "recall_decile": Var("arm seed decile", "Recall@50", "share found under uniform demand, by popularity"),
        "purity_a": share(NUMBER, "purity a", "share of 5 nearest neighbors of rare items with the same group a"),
        "purity_b": share(NUMBER, "purity b", "share of 5 nearest neighbors of rare items with the same group b"),
        "recall_prior": Var("arm seed prior", "Recall@50, all clicks", "share found with popularity in the score"),
        "recall_best_prior": share(NUMBER, "Recall@50, all clicks", "the same at the γ best on validation clicks"),
        "validation": share(NUMBER, "validation", "mean Recall@50 of head and tail on the 300 validation clicks"),
        "mutual_information": Var(TABLE, "mutual information", "of two features of items", "nats", low=0),
        "hidden": share(TABLE, "masked", "share of seeds where CFM masks one feature with the other"),
    }
    views = (
        View("Rare items", (
            Dots("Who finds the right tail item?", "recall_tail", lines=[Line("x", TOP / ITEMS, "guess")]),
            Dots("Who finds it where all are in equal demand?", "recall_uniform")), 1, 2.9),
        View("Popular and rare", (Curves("Which items are found?", ["recall_decile"], SHOWN),
                                  Curves("And with popularity in the score?", ["recall_prior"], SHOWN))),
        View("The second task", (Curves("Are the two halves matched?", ["matching"], SECOND),
                                 Curves("And are tail items found?", ["recall_tail"], ("base", *SECOND[:3])))),
    )
    scaled = "two logs of up to a billion clicks became a shop of 600 items and 2000 clicks; losses and masks are kept"
    headline = "recall_tail"
    grid = {"alpha": (0, 0.1, 0.3, 1, 3), "pairs": (500, 1000, 2000, 4000, 8000)}
    smoke = {"epochs": 1, "pairs": 500}
    equals_baseline = tuple(({"alpha": 0}, arm) for arm in (*SECOND, "SO"))
    may_be_nan = ("matching", "purity_a", "purity_b")  # without a second task; without rare items or embeddings
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """At most 30 moments, features, tenths of the items by popularity, and weights of popularity in the score."""
        # fmt: off
        return {"epoch": Axis([step * BATCH / self.pairs for step in self.moments()], unit="epochs", label="epoch"),
                "feature": Axis(FEATURES, label="feature"), "feature_2": Axis(FEATURES, label="other feature"),
                "decile": Axis(range(1, 11), label="tenth of the items, from popular to rare"),
                "prior": Axis(PRIORS, label="weight γ of log(clicks + 1) in the score")}
        # fmt: on

    def moments(self) -> list[int]:
        """Return after which training steps is measured: at most 30 times."""
        return sorted({max(1, round(self.epochs * (self.pairs // BATCH) * i / 30)) for i in range(1, 31)})

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one batch of models; frames at up to 30 moments, and more at the end."""
        stock = shop(seeds, self.zipf)
        wants, log = clicks(stock, seeds, "training clicks", self.pairs)
        asked = {what: clicks(stock, seeds, f"{what} clicks", *how) for what, how in ASKED.items()}
        information = method.mutual_information(stock.features[..., : len(FEATURES)], VALUES)  # of f7 the first tag
        masks, counts = method.correlated_masks(information), F.one_hot(log, ITEMS).sum(1)
        yield Frame({}, {"mutual_information": information, "hidden": masks})
        trained = [arm for arm, one in self.arms.items() if "list" not in one.settings]
        lanes = Lanes({arm: self.arms[arm] for arm in trained}, seeds, self.settings())
        items = method.Tower(len(FEATURES), 4, VALUES, lanes.generators("item tower"), len(trained))
        queries = method.Tower(2, 1, VALUES, lanes.generators("query tower"), len(trained))
        optimizer = torch.optim.Adam([*items.parameters(), *queries.parameters()], lr=5e-3)
        views, drops = second_views(lanes, masks, log), lanes.generators("feature dropout")
        alpha, drop, model = lanes.each("alpha", 0), lanes.each("drop"), lanes.repeat(torch.arange(len(seeds)))[:, None]

        def losses(index: Tensor) -> tuple[Tensor, Tensor]:
            """Return the loss of Eq. 5 and the share of right pairs of views: [M] each."""
            one, two, mask, keep = next(views)
            dropped = lanes.repeat(noise(drops, BATCH, len(FEATURES))) < drop
            x = items(stock.features[model, lanes.pick(log, index)], dropped)
            first, second = (items(stock.features[model, w], mask[:, i], keep[:, i]) for i, w in enumerate((one, two)))
            main = method.contrast(queries(lanes.pick(wants, index)), x, TAU, torch.arange(BATCH))
            both = method.contrast(first, second, TAU, one)
            right = metrics.accuracy(both, torch.arange(BATCH))
            return method.batch_softmax(main) + alpha * method.batch_softmax(both), right.where(alpha > 0, torch.nan)

        when, popular, matching = self.moments(), counts.log1p().unsqueeze(1), list[Tensor]()
        batches = minibatches(lanes, self.pairs, BATCH)
        for step, index in enumerate((one for epoch in range(self.epochs) for one in batches(epoch + 1)), 1):
            optimizer.zero_grad()
            loss, right = losses(index)
            loss.sum().backward()
            optimizer.step()
            matching.append(right)
            yield Tick(step / when[-1])
            if step in when:
                at, told = {"epoch": when.index(step)}, asked if step == when[-1] else {"test": asked["test"]}
                right = torch.stack(matching[-(self.pairs // BATCH) :]).mean(0)
                with torch.no_grad():
                    z = lanes.split(items(lanes.repeat(stock.features)))
                    q = {what: lanes.split(queries(lanes.repeat(told[what][0]))) for what in told}
                yield Frame({"arm": trained, **at}, {"matching": lanes.split(right)})
                for arm in self.arms:
                    m = trained.index(arm) if arm in trained else None
                    scores = {what: popular.expand(*told[what][1].shape, -1) if m is None else
                              method.similarity(q[what][m], z[m]) for what in told}  # fmt: skip
                    yield Frame({"arm": arm, **at}, slices(scores["test"], asked["test"][1], counts))
                    if step == when[-1]:
                        yield Frame({"arm": arm}, final(scores, asked, counts, stock))
        a, b = (metrics.mean_where(method.purity(z, groups), counts <= 1) for groups in stock.groups.unbind(1))
        yield Frame({"arm": trained}, {"purity_a": a, "purity_b": b})


# not among the views: no slider moves it
FEATURES_SEEN = View("Features", (
    Heatmap("What does one tell of another?", "mutual_information", "feature_2", "feature"),
    Heatmap("What is masked together?", "hidden", "feature_2", "feature")))  # fmt: skip

EXPERIMENTS = (Shopping,)
