"""Ordered low rank. WRITE: one line: what the method does, and the idea behind it.

WRITE: authors, where and when it appeared, number at arXiv.

Departures from the paper: WRITE: what is done otherwise here than in the paper, and why.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="weights",
    slug="ordered_low_rank",
    title="WRITE: the title, as the paper has it",
    short="WRITE: a short name",
    authors=("WRITE: each author with first name and surname",),
    venue="WRITE: where it appeared, such as NeurIPS",
    year=0,  # WRITE: the year in which it appeared there
    arxiv="",  # WRITE: the number at arXiv, such as 2007.00151; where there is none, leave ""
    code="",  # WRITE: the address of the authors' code; where there is none, leave ""
    sources="WRITE: what you have read for this page: the full text, an appendix, the code, or the abstract alone",
    idea="WRITE: one sentence of 10 to 40 words for the map of the lab: what the method does, and why that helps.",
    minutes=30,  # WRITE: how long a student needs for the page
    prerequisites=("softmax and cross-entropy", "WRITE: up to five things to know first, each in a few words"),
)
