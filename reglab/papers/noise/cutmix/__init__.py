"""CutMix: fill a box of each picture with the same box of another picture, and mix the labels by area.

Sangdoo Yun, Dongyoon Han, Seong Joon Oh, Sanghyuk Chun, Junsuk Choe, Youngjoon Yoo, ICCV 2019, arXiv 1905.04899.

Departures from the paper: digits of 8x8 pixels and drawn scenes of 16x16 pixels instead of photographs, networks of two
or three layers, AdamW instead of SGD, no other augmentation: shifts are an arm of their own. All settings were chosen
on further digits: CutMix changes a batch with probability 0.75 and α = 0.5 (the paper: 0.5 on CIFAR, 1 on ImageNet, and
α = 1). Cutout cuts one square for the whole batch, as probable as was best, and fills it with 0, which is the
background of a digit and the mean of a scene.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="noise",
    slug="cutmix",
    title="CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
    short="CutMix",
    authors=("Sangdoo Yun", "Dongyoon Han", "Seong Joon Oh", "Sanghyuk Chun", "Junsuk Choe", "Youngjoon Yoo"),
    venue="ICCV",
    year=2019,
    arxiv="1905.04899",
    code="https://github.com/clovaai/CutMix-PyTorch",
    sources="abstract, first table, start of introduction, code with tables; not occlusion, attacks, unknown pictures",
    idea="Fill a box of each training picture with the same box of another one and mix the labels by area, so that no "
    "pixel is wasted and no single part of an object is enough.",
    minutes=45,
    level="intermediate",
    prerequisites=("convolutional networks", "softmax and cross-entropy", "data augmentation"),
    flagship=True,
)
