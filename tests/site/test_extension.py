"""The Sphinx extension."""

from __future__ import annotations

from reglab.site import extension


def test_markdown_in_docstrings_becomes_plain_text_and_code() -> None:
    lines = ["Shapes [*, N] of `a_b` and log|x_t|."]
    extension._docstring(None, "function", "f", None, None, lines)
    assert lines == ["Shapes [\\*, N] of ``a_b``\\  and log\\|x\\_t\\|."]


def test_indented_lines_of_a_docstring_are_shown_as_they_are() -> None:
    lines = ["What_for.", "", "    a_b = `c` *", "    d", "", "More_of it.", ""]
    extension._docstring(None, "function", "f", None, None, lines)
    assert lines == ["What\\_for.", "", "::", "", "    a_b = `c` *", "    d", "", "More\\_of it.", ""]
