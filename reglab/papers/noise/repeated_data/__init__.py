"""TokenCrisis: what happens when a language model sees the same tokens again and again, and what helps.

Fuzhao Xue, Yao Fu, Wangchunshu Zhou, Zangwei Zheng, Yang You, NeurIPS 2023, arXiv 2305.13230.

Departures from the paper: a network that sees four letters of a known Markov chain instead of T5 on web text, at most
64 passes instead of 256, the loss itself instead of accuracies and downstream tasks. Dropout acts from the start, at
three places of one layer. Not built: dropout that begins late, shared layers, other objectives, data of another
quality. Strengths were chosen once, at the default setting, by the loss on a validation string.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="noise",
    slug="repeated_data",
    title="To Repeat or Not To Repeat: Insights from Scaling LLM under Token-Crisis",
    short="TokenCrisis",
    authors=("Fuzhao Xue", "Yao Fu", "Wangchunshu Zhou", "Zangwei Zheng", "Yang You"),
    venue="NeurIPS",
    year=2023,
    arxiv="2305.13230",
    code="",
    sources="the abstract, the beginning of the introduction, public summaries and a detailed reading note by others "
    "with the tables; not the sections on the experiments themselves",
    idea="When fresh text runs out a large model is shown the same tokens again and learns them by heart; of the usual "
    "regularizers the paper finds dropout to be the one that helps.",
    minutes=40,
    level="basic",
    prerequisites=("cross-entropy and entropy", "overfitting", "dropout"),
)
