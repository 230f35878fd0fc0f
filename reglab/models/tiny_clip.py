"""TinyCLIP: an image encoder and a text encoder for 8x8 pictures, pretrained on captions as CLIP is.

It knows ten digits (real handwriting) and ten drawn glyphs by name; four more glyphs it has never seen. All weights,
by name, without their leading axis of seeds (62,977 numbers):

- `patch.weight` (16, 48), `patch.bias`: the linear map of a 4x4 patch; `class` (48): the class token;
  `image.position` (10, 48);
- `image.0.q.weight` (48, 48), `image.0.q.bias` and in the same way k, v, o, u (48, 96), d (96, 48), for blocks 0 and 1;
  `image.0.norm1.gain`, `image.0.norm1.bias`, `image.0.norm2.*`; then `image.norm.*`;
- `image.projection.weight` (48, 32), without bias;
- `text.token` (27, 48), `text.position` (4, 48), `text.0.*` as a block of the image encoder, `text.norm.*`,
  `text.projection.weight` (48, 32);
- `logit_scale` (1): the logarithm of the number that multiplies cosines.

The function `linear` that the encoder of images takes is called for `patch` and the q, k, v, o, u, d of both blocks.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import data
from reglab.metrics import accuracy
from reglab.models import transformer
from reglab.models.transformer import WIDTH, Linear, Start, Weights, block, linear, norm, product
from reglab.seeds import generator

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GLYPHS = ("ring", "cross", "ex", "hbars", "vbars", "checker", "tri", "corner", "tee", "frame")
UNNAMED = ("diag", "cup", "arrow", "dots")
"""Glyphs that are never shown and never named in pretraining."""
CONCEPTS = DIGITS + GLYPHS
"""All that has a word in the text encoder: a digit's place in the tuple is its value."""
STYLES = ("plain", "noisy", "faint", "shifted")
"""How a picture may be disturbed; each has a word too."""

TEMPLATES = {
    "ring": "011110 100001 100001 100001 100001 011110",
    "cross": "001100 001100 111111 111111 001100 001100",
    "ex": "100001 010010 001100 001100 010010 100001",
    "hbars": "111111 000000 111111 000000 111111 000000",
    "vbars": "101010 101010 101010 101010 101010 101010",
    "checker": "110011 110011 001100 001100 110011 110011",
    "tri": "000000 001100 001100 011110 011110 111111",
    "corner": "110000 110000 110000 110000 111111 111111",
    "tee": "111111 111111 001100 001100 001100 001100",
    "frame": "111111 100001 100001 100001 100001 111111",
    "diag": "110000 111000 011100 001110 000111 000011",
    "cup": "110011 110011 110011 110011 111111 011110",
    "arrow": "001100 011110 111111 001100 001100 001100",
    "dots": "110011 110011 000000 000000 110011 110011",
}
"""Every glyph: six rows of six pixels from top to bottom, 1 is ink."""

OUTPUTS = 32
"""Width of a feature, in which pictures and captions are compared."""
BLOCKS = 2
PATCH, STRIDE = 4, 2
LARGEST_SCALE = 100.0
BOS, EOS = 0, 1
WORDS = ("BOS", "EOS", "photo", *STYLES, *CONCEPTS)
"""The vocabulary: a token's number is its place. The word `photo` stands for any style."""


# --------------------------------------------------------------------------------------------------------- the encoders


def class_features(weights: Weights, images: Tensor, linear: Linear = linear) -> Tensor:
    """Return the class token after the last layer norm, before its projection: images [S, N, 8, 8] -> [S, N, 48].

    Nine overlapping patches of 4x4 pixels, a class token before them, two blocks. Pixels are in [0, 1], 1 is ink.
    """
    images = images.to(weights["class"].dtype)
    patches = images.unfold(-2, PATCH, STRIDE).unfold(-2, PATCH, STRIDE).flatten(-2).flatten(-3, -2)  # [S, N, 9, 16]
    hidden = F.pad(linear(weights, "patch", (patches - 0.3) / 0.35), (0, 0, 1, 0))  # a place for the class token
    first = F.pad(weights["class"][:, None], (0, 0, 0, hidden.shape[-2] - 1))
    hidden = hidden + (first + weights["image.position"])[:, None]
    for number in range(BLOCKS):
        hidden = block(weights, f"image.{number}", hidden, linear)
    return norm(weights, "image.norm", hidden[..., 0, :])


def encode_images(weights: Weights, images: Tensor, linear: Linear = linear) -> Tensor:
    """Return the features of pictures, of length 1: [S, N, 8, 8] -> [S, N, 32]."""
    features = class_features(weights, images, linear)
    return F.normalize(product(features, weights["image.projection.weight"]), dim=-1)


def encode_text(weights: Weights, tokens: Tensor) -> Tensor:
    """Return the features of captions, of length 1: tokens [K, 4] -> [S, K, 32].

    [S, K, 4], other captions for every seed, are possible too.
    """
    tokens = tokens if tokens.dim() == 3 else tokens[None]
    one_hot = F.one_hot(tokens, len(WORDS)).to(weights["text.token"].dtype)
    hidden = product(one_hot, weights["text.token"]) + weights["text.position"][:, None]
    hidden = norm(weights, "text.norm", block(weights, "text.0", hidden)[..., -1, :])
    return F.normalize(product(hidden, weights["text.projection.weight"]), dim=-1)


def clip_logits(weights: Weights, image_features: Tensor, text_features: Tensor) -> Tensor:
    """Return cosines times exp(logit scale), a factor of at most 100: [S, N, 32], [S, K, 32] -> [S, N, K]."""
    scale = weights["logit_scale"].clamp(max=math.log(LARGEST_SCALE)).exp()
    return scale[..., None] * (image_features @ text_features.mT)


def caption(style: str, concept: str) -> list[int]:
    """Return the four tokens of a caption, for example `caption("photo", "ring")`; `ValueError` for an unknown word."""
    for word, known in ((style, ("photo", *STYLES)), (concept, CONCEPTS)):
        if word not in known:
            raise ValueError(f"TinyCLIP has no word {word!r} here; it knows: {', '.join(known)}")
    return [BOS, WORDS.index(style), WORDS.index(concept), EOS]


def prompts(concepts: Iterable[str], style: str = "photo") -> Tensor:
    """Return the captions "photo concept" of some concepts, the classes of a zero-shot classifier: [K, 4]."""
    return torch.tensor([caption(style, concept) for concept in concepts])


def zero_shot(weights: Weights, images: Tensor, concepts: Iterable[str], linear: Linear = linear) -> Tensor:
    """Return the logits of pictures for the captions "photo concept": [S, N, 8, 8] -> [S, N, K]."""
    return clip_logits(weights, encode_images(weights, images, linear), encode_text(weights, prompts(concepts)))


# ----------------------------------------------------------------------------------------------------------- the images


class Pictures(NamedTuple):
    """Pictures [n, 8, 8] float32 and their labels [n] int64."""

    images: Tensor
    labels: Tensor


class DigitSplit(NamedTuple):
    """The 1797 digits, divided once for all: 900 for pretraining, 400 to adapt with, 497 to test.

    Do not change its tensors: every caller gets the same ones.
    """

    pretraining: Pictures
    few_shot: Pictures
    test: Pictures


@functools.cache
def digit_split() -> DigitSplit:
    """Return the digits of `reglab.data.digits`, pixels in [0, 1], labels 0 to 9, always split alike."""
    split = data.digits((1234,), train=900, standardize=False)
    first = Pictures(split.train_inputs[0].float().unflatten(-1, (8, 8)), split.train_labels[0])
    rest = Pictures(split.test_inputs[0].float().unflatten(-1, (8, 8)), split.test_labels[0])
    return DigitSplit(first, Pictures(*(part[:400] for part in rest)), Pictures(*(part[400:] for part in rest)))


def few_shot(count: int, seeds: Sequence[int], classes: Sequence[int] = range(10), degrees: float = 0.0) -> Pictures:
    """Choose `count` digits of each class from the few-shot pool for every seed: [S, K·count, 8, 8], [S, K·count].

    Labels are places in `classes`; pictures come class by class, turned by `degrees`. A larger count has the pictures
    of a smaller one among its own. Raises `ValueError` when the pool does not have so many.
    """
    return _chosen(seeds, classes, degrees, slice(count), count)


def held_out(count: int, seeds: Sequence[int], classes: Sequence[int] = range(10), degrees: float = 0.0) -> Pictures:
    """Return what `few_shot` leaves of these classes in the pool: [S, N - K·count, 8, 8], [S, N - K·count].

    Arguments, labels and errors are those of `few_shot`.
    """
    return _chosen(seeds, classes, degrees, slice(count, None), count)


def _chosen(seeds: Sequence[int], classes: Sequence[int], degrees: float, part: slice, count: int) -> Pictures:
    """Return a part of each class of the few-shot pool, in the random order of each seed."""
    pool = digit_split().few_shot
    most = min(int((pool.labels == one).sum()) for one in classes)
    if not 1 <= count <= most:
        raise ValueError(f"count = {count}: the few-shot pool gives 1 to {most} pictures of each of these classes")
    images, chosen = rotated(pool.images, degrees), []
    for seed in seeds:
        order = torch.randperm(len(pool.labels), generator=generator(seed, "few shots"))
        chosen.append(torch.cat([order[pool.labels[order] == one][part] for one in classes]))
    index = torch.stack(chosen)
    places = torch.tensor([list(classes).index(int(label)) if label in classes else -1 for label in pool.labels])
    return Pictures(images[index], places[index])


def rotated(images: Tensor, degrees: float) -> Tensor:
    """Turn pictures [..., 8, 8] counterclockwise about their center, linearly interpolated, with 0 around them."""
    from scipy.ndimage import rotate

    turned = rotate(images.numpy(), degrees, axes=(-2, -1), reshape=False, order=1)
    return torch.from_numpy(turned)


@functools.cache
def _placed() -> Tensor:
    """Return every glyph at its nine places on the canvas: [14, 9, 8, 8]."""
    small = torch.tensor([[[int(pixel) for pixel in row] for row in rows.split()] for rows in TEMPLATES.values()])
    places = [F.pad(small, (dx, 2 - dx, dy, 2 - dy)) for dy in range(3) for dx in range(3)]
    return torch.stack(places, 1).float()


def draw_glyphs(which: Tensor, source: torch.Generator) -> Tensor:
    """Draw glyphs by their place in `TEMPLATES`: [n] -> [n, 8, 8].

    Each at one of nine places of the canvas, times a brightness in [0.7, 1], each pixel halved with probability 0.1.
    """
    places = torch.randint(9, which.shape, generator=source)
    brightness = 0.7 + 0.3 * torch.rand(len(which), 1, 1, generator=source)
    halved = torch.rand(len(which), 8, 8, generator=source) < 0.1
    return _placed()[which, places] * brightness * torch.where(halved, 0.5, 1.0)


def glyphs(names: Sequence[str] = GLYPHS, count: int = 300, seed: int = 77) -> Pictures:
    """Draw `count` glyphs of some names in turn; labels are places in `names`. The default is the test set."""
    labels = torch.arange(count) % len(names)
    which = torch.tensor([list(TEMPLATES).index(name) for name in names])
    return Pictures(draw_glyphs(which[labels], generator(seed, "glyphs")), labels)


def styled(images: Tensor, styles: Tensor, source: torch.Generator) -> Tensor:
    """Disturb each picture [n, 8, 8] by its style [n], a place in `STYLES`.

    noisy: plus normal noise of deviation 0.15; faint: times 0.5; shifted: rolled by -1, 0 or 1 pixels in x and in y.
    """
    noise = 0.15 * torch.randn(images.shape, generator=source)
    shifts = torch.randint(-1, 2, (2, len(images), 1), generator=source)
    noisy, faint, shifted = (styles == STYLES.index(style) for style in STYLES[1:])
    rows, columns = (torch.arange(8) - shifts * shifted[:, None]) % 8
    images = images[torch.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return images * torch.where(faint, 0.5, 1.0)[:, None, None] + noise * noisy[:, None, None]


# ---------------------------------------------------------------------------------------------------------- pretraining


def shared_targets(captions: Tensor) -> Tensor:
    """Return which captions a picture may be matched with: tokens [S, N, 4] -> [S, N, N], each row sums to 1.

    Pictures with the same caption share its mass equally. Otherwise a batch in which every concept occurs many times
    would punish right answers.
    """
    same = (captions[..., :, None, :] == captions[..., None, :, :]).all(-1).float()
    return same / same.sum(-1, keepdim=True)


def contrastive_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of the two cross-entropies, over captions and over pictures: [S, N, N] twice -> [S]."""
    over_captions, over_pictures = (-(targets * side.log_softmax(-1)).sum(-1) for side in (logits, logits.mT))
    return (over_captions + over_pictures).mean(-1) / 2


def _start() -> dict[str, Start]:
    embedding, root = functools.partial(Start, deviation=0.02), transformer
    return {
        **root.start_linear("patch", PATCH * PATCH, WIDTH),
        "class": embedding((WIDTH,)),
        "image.position": embedding((10, WIDTH)),
        **root.start_blocks("image", BLOCKS),
        **root.start_norm("image.norm"),
        **root.start_linear("image.projection", WIDTH, OUTPUTS, bias=False),
        "text.token": embedding((len(WORDS), WIDTH)),
        "text.position": embedding((4, WIDTH)),
        **root.start_blocks("text", 1),
        **root.start_norm("text.norm"),
        **root.start_linear("text.projection", WIDTH, OUTPUTS, bias=False),
        "logit_scale": Start((1,), mean=math.log(1 / 0.07)),
    }


@dataclass(frozen=True)
class Recipe(transformer.Recipe):
    """Pretraining of TinyCLIP: concepts and styles uniform, captions as careless as those of the web.

    The word of the style is `photo` with probability `any_style`; the word of the concept is a random one with
    probability `wrong_word`.
    """

    name = "tiny_clip"
    start = _start()
    targets: ClassVar[Mapping[str, float]] = {
        "digits": 0.95,
        "glyphs": 0.95,
        "digits among 20": 0.93,
        "noisy digits among 20": 0.93,
    }

    steps: int = 900
    batch: int = 128
    learning_rate: float = 3e-3
    warmup: int = 40
    any_style: float = 0.5
    wrong_word: float = 0.1

    def draw(self, source: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw pictures [N, 8, 8] and captions [N, 4]."""
        images, labels = digit_split().pretraining
        concepts = torch.randint(len(CONCEPTS), (self.batch,), generator=source)
        styles = torch.randint(len(STYLES), (self.batch,), generator=source)
        places = torch.rand(self.batch, generator=source)
        order, counts = labels.argsort(stable=True), labels.bincount()  # the digits of a class lie side by side
        digit = concepts % 10
        chosen = order[counts.cumsum(0)[digit] - counts[digit] + (places * counts[digit]).long()]
        drawn = draw_glyphs(digit, source)  # the glyphs of the lab are the first ten templates
        pictures = torch.where((concepts < 10)[:, None, None], images[chosen], drawn)
        photo = torch.rand(self.batch, generator=source) < self.any_style
        wrong = torch.rand(self.batch, generator=source) < self.wrong_word
        words = torch.where(wrong, torch.randint(len(CONCEPTS), (self.batch,), generator=source), concepts)
        style_words = torch.where(photo, WORDS.index("photo"), styles + WORDS.index(STYLES[0]))
        bos, eos = torch.full_like(words, BOS), torch.full_like(words, EOS)
        captions = torch.stack((bos, style_words, words + WORDS.index(CONCEPTS[0]), eos), -1)
        return styled(pictures, styles, source), captions

    def losses(self, weights: Weights, *batch: Tensor) -> Tensor:
        """Return the contrastive loss, with targets shared among equal captions: [S]."""
        images, captions = batch
        logits = clip_logits(weights, encode_images(weights, images), encode_text(weights, captions))
        return contrastive_losses(logits, shared_targets(captions))

    def quality(self, weights: Weights) -> dict[str, Tensor]:
        """Measure zero-shot accuracy on the 497 test digits, in every style and turned, and on 300 glyphs: [S] each.

        Every style is drawn eight times, so that its figure does not depend on one draw of the noise.
        """
        digits, drawn = digit_split().test, glyphs()
        figures = {"glyphs": accuracy(zero_shot(weights, drawn.images[None], GLYPHS), drawn.labels)}
        labels = digits.labels.repeat(8)
        for number, style in enumerate(STYLES):
            source = generator(77, f"{style} test digits")
            images = styled(digits.images.repeat(8, 1, 1), torch.full_like(labels, number), source)
            logits, title = zero_shot(weights, images[None], CONCEPTS), f"{style} digits".removeprefix("plain ")
            figures |= {title: accuracy(logits[..., :10], labels), f"{title} among 20": accuracy(logits, labels)}
        logits, low = zero_shot(weights, rotated(digits.images, 25)[None], DIGITS), digits.labels < 5
        figures["turned digits"] = accuracy(logits, digits.labels)
        figures["turned digits 0 to 4"] = accuracy(logits[:, low, :5], digits.labels[low])
        figures["turned digits 5 to 9"] = accuracy(logits[:, ~low, 5:], digits.labels[~low] - 5)
        return figures
