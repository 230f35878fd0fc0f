"""GG priors: a generalized Gaussian as the prior of weights, from their start to the format that stores them.

Jun Wu, Yirong Xiong, Jiangtao Wen, Yuxing Han, 2025, arXiv 2506.00486; its penalty is BackSlash (arXiv 2504.16968).

Departures from the paper: a small ReLU network on digits instead of language models; the step of the penalty is ηλ
times the gradient of the rate, not λ/n times, so that λ does not depend on the size; the start takes the inputs of a
layer, not its outputs, as n; DeepShape takes exact quantiles and a grid of 2^-10. Bits are those of an exp-Golomb code
at a step that follows the scale of the weights. That rounding, the rivals and the nulls are ours, and strengths and
roundings are chosen on validation digits. The papers' method sections were not at hand.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="weights",
    slug="generalized_gaussian",
    title="It Takes a Good Model to Train a Good Model: Generalized Gaussian Priors for Optimized LLMs",
    short="GG priors",
    authors=("Jun Wu", "Yirong Xiong", "Jiangtao Wen", "Yuxing Han"),
    venue="arXiv",
    year=2025,
    arxiv="2506.00486",
    code="https://huggingface.co/spaces/shifeng3711/gg_prior",
    sources="abstracts and introductions of this paper and of BackSlash, and the official code; no more of the papers",
    idea="Trained weights have a sharper peak and heavier tails than a Gaussian, so a prior of that shape guides their "
    "start, a penalty on their bits and an 8-bit format.",
    minutes=40,
    level="intermediate",
    prerequisites=("softmax and cross-entropy", "a prior as a penalty", "entropy and code length", "rounding"),
)
