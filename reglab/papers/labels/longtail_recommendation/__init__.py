"""Self-supervised learning for item recommendation (SSL-CFM): learn rare items from the relations of their features.

Tiansheng Yao, Xinyang Yi, Derek Zhiyuan Cheng, Felix Yu, Ting Chen, Aditya Menon, Lichan Hong, Ed H. Chi, Steve Tjoa,
Jieqi Kang, Evan Ettinger, CIKM 2021, arXiv 2007.12865.

Departures from the paper: a simulated shop of 600 items and 2000 clicks instead of two logs of up to a billion; an item
has no feature that names it, so that items without clicks can be found; the mutual information of the tags is that of
the first tag. Feature dropout masks each feature of an item by itself in the main task. Its strength and that of the
second task are chosen by 300 clicks that nothing else uses. The most-clicked list, the second view with the features of
another item, and popularity added to the score are ours.
"""

from reglab.catalogue import Paper

# fmt: off
PAPER = Paper(
    part="labels", slug="longtail_recommendation",
    title="Self-supervised Learning for Large-scale Item Recommendations", short="SSL-CFM",
    authors=("Tiansheng Yao", "Xinyang Yi", "Derek Zhiyuan Cheng", "Felix Yu", "Ting Chen", "Aditya Menon",
             "Lichan Hong", "Ed H. Chi", "Steve Tjoa", "Jieqi Kang", "Evan Ettinger"),
    venue="CIKM", year=2021, arxiv="2007.12865", code="",
    sources="abstract, introduction and the method of Section 3 through detailed summaries that repeat its formulas, "
    "compared with three further notes; not the tables of Section 4 and not the training settings",
    idea="Few items get most of the clicks; teach the item tower to recognize an item from either half of its "
    "features, on items drawn uniformly, and the rare ones are learned, too.",
    minutes=35, level="intermediate", prerequisites=("softmax and cross-entropy", "embeddings", "contrastive learning"),
)
# fmt: on
