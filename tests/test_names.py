"""Hints at names: the nearest one, or nothing."""

from __future__ import annotations

import pytest

from reglab.names import nearest

KNOWN = ("noise", "strength", "epochs")


@pytest.mark.parametrize(("wrong", "meant"), [("noize", "noise"), ("strenght", "strength"), ("epoch", "epochs")])
def test_the_nearest_name_is_suggested(wrong: str, meant: str) -> None:
    assert nearest(wrong, KNOWN) == f"did you mean {meant!r}?"
    assert nearest(wrong, dict.fromkeys(KNOWN), before="; ") == f"; did you mean {meant!r}?"


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    assert nearest("zzz", KNOWN, before="; ") == nearest("noise", ()) == ""
