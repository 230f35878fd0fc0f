"""Manifold entropy estimation (MEE): keep a generator from repeating itself by spreading the codes of its samples.

Haozhe Liu, Bing Li, Haoqian Wu, Hanbang Liang, Yawen Huang, Yuexiang Li, Bernard Ghanem, Yefeng Zheng, AAAI 2023,
arXiv 2208.12055.

Departures from the paper: points in the plane and small networks instead of images and a DCGAN; the logistic loss on
the mean of the code instead of the linear one; no spectral norm and no stochastic code; one generator step for each
discriminator step; smaller weights, above all of DIsoMap; in DLLE no flips, since a flip would move a point to another
mode, and a shift of 0.02 instead of 0.001. A mode counts from half its fair share of near samples on, since noise
passes smaller shares. The memory follows the paper's description (Q codes shared by all samples, the oldest leave), not
the published code, whose memory soon shrinks to the previous batch: that is the arm "official buffer", which here
starts in that final state.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="generation",
    slug="mode_collapse",
    title="Combating Mode Collapse in GANs via Manifold Entropy Estimation",
    short="MEE",
    authors=("Haozhe Liu", "Bing Li", "Haoqian Wu", "Hanbang Liang", "Yawen Huang", "Yuexiang Li", "Bernard Ghanem",
             "Yefeng Zheng"),
    venue="AAAI",
    year=2023,
    arxiv="2208.12055",
    code="https://github.com/HaozheLiu-ST/MEE",
    sources=(
        "the official code in full (training, networks, read-me, diversity score), and of the paper itself the "
        "abstract and the start of the introduction"
    ),
    idea=(
        "A generator that repeats itself fools its discriminator all the same; reward it for codes that lie far from "
        "their nearest earlier code, and it covers everything."
    ),
    minutes=50,
    level="intermediate",
    prerequisites=("generative adversarial networks", "entropy", "nearest neighbors"),
    flagship=True,
    no_rival={"Estimators": "It holds estimates of an entropy against the exact number; nothing is trained or chosen."},
)  # fmt: skip
