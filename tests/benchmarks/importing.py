"""What `import reglab` costs: run `python tests/benchmarks/importing.py`.

Fresh processes import torch, torch and reglab, and torch and the first paper, in turn; the medians are compared.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from rich.console import Console
from rich.table import Table

CODES = {
    "torch": "import torch",
    "torch, reglab": "import torch, reglab",
    "torch, reglab and its core": (
        "import torch, reglab.experiment, reglab.models.replicas, reglab.claims, reglab.pictures.views"
    ),
    "torch, a paper": "import torch, reglab.papers.labels.early_learning.experiments",
}
ROUNDS = 7


def seconds(code: str) -> float:
    timed = f"import time; started = time.perf_counter(); {code}; print(time.perf_counter() - started)"
    return float(subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in CODES}
    for _ in range(ROUNDS):
        for name, code in CODES.items():
            times[name].append(seconds(code))
    table = Table("import", "median", "beyond torch")
    base = statistics.median(times["torch"])
    for name, found in times.items():
        median = statistics.median(found)
        table.add_row(name, f"{median:.2f} s", f"{median - base:+.3f} s")
    Console().print(table)


if __name__ == "__main__":
    main()
