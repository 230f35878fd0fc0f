"""What a page of the website costs a reader."""

from __future__ import annotations

import gzip
from pathlib import Path


def weight(page: Path) -> int:
    """Return the bytes of a page, all its pictures and its grids, compressed one by one as a server would send them."""
    return sum(len(gzip.compress(file.read_bytes())) for file in [page, *page.parent.glob(f"{page.stem}-*.*")])
