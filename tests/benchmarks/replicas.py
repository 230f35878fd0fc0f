"""How much faster many seeds train as one than in a plain PyTorch loop: run `python tests/benchmarks/replicas.py`.

The arithmetic of the digits experiment (network 64-128-10, batches of 50, ELR loss, SGD with momentum and weight
decay), for 16 and 32 seeds, in one run. Each way gets the number of threads that suits it best. The share of peak is
the rate of the two layers' products, forward and backward, over that of one large matrix product.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from reglab import data
from reglab.models import replicas
from reglab.papers.labels.early_learning.method import elr_loss, update_targets
from reglab.seeds import generator

WIDTHS, BATCH, EPOCHS, STRENGTH, MEMORY = (64, 128, 10), 50, 2, 3.0, 0.7
MULTIPLY_ADDS = BATCH * (64 * 128 * 2 + 128 * 10 * 3)  # the first layer needs no gradient of its inputs


def plain(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)


class Problem:
    """Digits, noisy labels and the order of batches of S seeds."""

    def __init__(self, count: int) -> None:
        self.seeds = tuple(range(count))
        digits = data.digits(self.seeds)
        self.inputs = digits.train_inputs
        self.labels = data.symmetric_noise(digits.train_labels, 0.4, 10, self.seeds)
        self.order = torch.cat([data.batches(self.seeds, 1000, BATCH, epoch) for epoch in range(EPOCHS)])
        self.batched = replicas.mlp(WIDTHS, [generator(seed, "weights") for seed in self.seeds])
        self.stacked = replicas.Replicas([plain(seed) for seed in self.seeds])

    def loop(self, steps: int) -> None:
        """Train one model after the other, as everybody writes it."""
        for seed in self.seeds:
            model = plain(seed)
            optimizer, targets = sgd(model), torch.zeros(1000, 10)
            inputs, labels = self.inputs[seed], self.labels[seed]
            for index in self.order[:steps, seed]:
                logits = model(inputs[index])
                fresh = update_targets(targets[index], logits, MEMORY)
                targets[index] = fresh
                optimizer.zero_grad()
                elr_loss(logits, labels[index], fresh, STRENGTH).backward()
                optimizer.step()

    def together(self, model: nn.Module, steps: int) -> None:
        """Train all models as one."""
        optimizer, targets = sgd(model), torch.zeros(len(self.seeds), 1000, 10)
        row = torch.arange(len(self.seeds)).unsqueeze(1)
        for index in self.order[:steps]:
            logits: Tensor = model(self.inputs[row, index])
            fresh = update_targets(targets[row, index], logits, MEMORY)
            targets[row, index] = fresh
            optimizer.zero_grad()
            elr_loss(logits, self.labels[row, index], fresh, STRENGTH).sum().backward()
            optimizer.step()


def multiply(large: Tensor, times: int) -> None:
    for _ in range(times):
        large @ large


def best(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, tuple[float, int]]:
    """Return the shortest time of each way with its number of threads; the ways take turns and so see one load."""
    found: dict[str, tuple[float, int]] = {}
    for _ in range(rounds):
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for name, way in ways.items():
                started = time.perf_counter()
                way()
                found[name] = min(found.get(name, (float("inf"), 0)), (time.perf_counter() - started, threads))
    return found


def main() -> None:
    table = Table("seeds", "way", "threads", "seed-steps/s", "speed-up", "of peak")
    large, products, steps = torch.randn(1500, 1500), 3, EPOCHS * 1000 // BATCH
    for count in (16, 32):
        problem = Problem(count)
        problem.loop(3)
        found = best(
            {
                "plain loop": lambda p=problem: p.loop(steps),  # type: ignore[misc]
                "Replicas (vmap)": lambda p=problem: p.together(p.stacked, steps),  # type: ignore[misc]
                "mlp (batched products)": lambda p=problem: p.together(p.batched, steps),  # type: ignore[misc]
                "one large product": lambda: multiply(large, products),
            },
            rounds=6,
        )
        peak = products * 2 * 1500**3 / found.pop("one large product")[0]
        for name, (seconds, threads) in found.items():
            rate = count * steps / seconds
            ratio = found["plain loop"][0] / seconds
            share = rate * 2 * MULTIPLY_ADDS / peak
            table.add_row(str(count), name, str(threads), f"{rate:,.0f}", f"{ratio:.1f} ×", f"{share:.1%}")
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    main()
