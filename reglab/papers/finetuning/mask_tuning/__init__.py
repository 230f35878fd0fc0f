"""Regularized mask tuning (R-AMT): adapt a frozen model by switching single weights off, and mind what it knew.

Kecheng Zheng, Wei Wu, Ruili Feng, Kai Zhu, Jiawei Liu, Deli Zhao, Zheng-Jun Zha, Wei Chen, Yujun Shen, ICCV 2023,
arXiv 2307.15049.

Departures from the paper: a model of 63 thousand weights, pretrained on digits and drawn glyphs, in place of CLIP; the
new data are rotated digits, without augmentation; 80 steps and a larger learning rate, so that the scores travel as far
as in the paper; the cosine falls at every step, not once an epoch. Masks, straight-through gradients, both losses, the
gradient dropout and Adam follow the official code. The rivals, fine-tuning with and without the old model's loss, and
the arms with random masks and random dropout are ours.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="finetuning",
    slug="mask_tuning",
    title="Regularized Mask Tuning: Uncovering Hidden Knowledge in Pre-trained Vision-Language Models",
    short="R-AMT",
    authors=(
        "Kecheng Zheng", "Wei Wu", "Ruili Feng", "Kai Zhu", "Jiawei Liu", "Deli Zhao", "Zheng-Jun Zha", "Wei Chen",
        "Yujun Shen",
    ),
    venue="ICCV",
    year=2023,
    arxiv="2307.15049",
    code="https://github.com/wuw2019/R-AMT",
    sources=(
        "the official code in full (trainer, masked layers, losses, configuration, scripts); of the paper the abstract "
        "and the introduction, so no equation numbers are quoted"
    ),
    idea=(
        "A pretrained model may already hold what a new task needs, so freeze every weight and learn which ones to "
        "switch off, but ignore at random the gradients that its old predictions contradict."
    ),
    minutes=40,
    level="intermediate",
    prerequisites=("softmax and cross-entropy", "attention layers", "the Adam optimizer", "zero-shot classification"),
    flagship=True,
)  # fmt: skip
