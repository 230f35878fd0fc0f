"""TinyCLIP: encoders against torch.nn, pictures and captions as specified, targets shared among equal captions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.nn.functional as F
from draws import normal
from sklearn.datasets import load_digits
from torch import Tensor
from torch_layers import drawn, encoder_layer, layer_norm

from reglab.models import tiny_clip, transformer
from reglab.models.transformer import Weights
from reglab.seeds import generator

SPECIFIED = {
    "ring": "011110/100001/100001/100001/100001/011110",
    "cross": "001100/001100/111111/111111/001100/001100",
    "ex": "100001/010010/001100/001100/010010/100001",
    "hbars": "111111/000000/111111/000000/111111/000000",
    "vbars": "101010 x6",
    "checker": "110011/110011/001100/001100/110011/110011",
    "tri": "000000/001100/001100/011110/011110/111111",
    "corner": "110000 x4/111111 x2",
    "tee": "111111 x2/001100 x4",
    "frame": "111111/100001 x4/111111",
    "diag": "110000/111000/011100/001110/000111/000011",
    "cup": "110011 x4/111111/011110",
    "arrow": "001100/011110/111111/001100 x3",
    "dots": "110011 x2/000000 x2/110011 x2",
}


def specified(name: str) -> Tensor:
    rows: list[list[int]] = []
    for row in SPECIFIED[name].split("/"):
        pixels, _, times = row.partition(" x")
        rows += [[int(pixel) for pixel in pixels]] * int(times or 1)
    return torch.tensor(rows)


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Three seeds of weights that are nowhere zero."""
    return drawn(tiny_clip.Recipe.start, 3)


# --------------------------------------------------------------------------------------------------------- the encoders


def test_the_image_encoder_is_that_of_torch(weights: Weights) -> None:
    images = normal(1, 3, 6, 8, 8)
    features, unit = tiny_clip.class_features(weights, images), tiny_clip.encode_images(weights, images)
    assert features.shape == (3, 6, 48) and unit.shape == (3, 6, 32)
    for seed in range(3):
        kernel = weights["patch.weight"][seed].T.reshape(48, 1, 4, 4)
        patches = F.conv2d((images[seed, :, None] - 0.3) / 0.35, kernel, weights["patch.bias"][seed], stride=2)
        first = weights["class"][seed].expand(6, 1, -1)
        hidden = torch.cat([first, patches.flatten(2).mT], 1) + weights["image.position"][seed]
        for number in range(2):
            hidden = encoder_layer(weights, f"image.{number}", seed)(hidden)
        expected = layer_norm(weights, "image.norm", seed)(hidden[:, 0])
        torch.testing.assert_close(features[seed], expected, rtol=1e-9, atol=1e-9)
        expected = expected @ weights["image.projection.weight"][seed]
        torch.testing.assert_close(unit[seed], expected / expected.norm(dim=-1, keepdim=True), rtol=1e-9, atol=1e-9)


def test_the_text_encoder_is_that_of_torch(weights: Weights) -> None:
    tokens = tiny_clip.prompts(tiny_clip.CONCEPTS)
    found = tiny_clip.encode_text(weights, tokens)
    assert found.shape == (3, 20, 32)
    for seed in range(3):
        hidden = F.embedding(tokens, weights["text.token"][seed]) + weights["text.position"][seed]
        hidden = encoder_layer(weights, "text.0", seed)(hidden)[:, -1]
        expected = layer_norm(weights, "text.norm", seed)(hidden) @ weights["text.projection.weight"][seed]
        torch.testing.assert_close(found[seed], F.normalize(expected, dim=-1), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(tiny_clip.encode_text(weights, tokens.expand(3, -1, -1)), found)


def test_seeds_side_by_side_see_what_each_sees_alone(weights: Weights) -> None:
    images = normal(2, 1, 5, 8, 8)
    together = tiny_clip.zero_shot(weights, images, tiny_clip.DIGITS)
    for seed in range(3):
        alone = {name: value[seed : seed + 1] for name, value in weights.items()}
        torch.testing.assert_close(together[seed], tiny_clip.zero_shot(alone, images, tiny_clip.DIGITS)[0])
    one = {name: value[:1] for name, value in weights.items()}
    many = tiny_clip.encode_images(one, images.expand(4, -1, -1, -1))
    torch.testing.assert_close(many, tiny_clip.encode_images(one, images).expand(4, -1, -1))


def test_the_hook_computes_the_patches_and_six_maps_of_each_block(weights: Weights) -> None:
    called: dict[str, torch.Size] = {}

    def without_values(weights: Weights, name: str, hidden: Tensor) -> Tensor:
        called[name] = weights[f"{name}.weight"].shape[1:]
        mapped = transformer.linear(weights, name, hidden)
        return 0 * mapped if name == "image.1.v" else mapped

    images = normal(3, 3, 2, 8, 8)
    found = tiny_clip.encode_images(weights, images, without_values)
    assert called["patch"] == (16, 48) and called["image.0.u"] == (48, 96) and called["image.1.d"] == (96, 48)
    assert set(called) == {"patch", *(f"image.{number}.{part}" for number in (0, 1) for part in "qkvoud")}
    zeros = {name: torch.zeros_like(weights[name]) for name in ("image.1.v.weight", "image.1.v.bias")}
    torch.testing.assert_close(found, tiny_clip.encode_images(weights | zeros, images))


def test_logits_are_scaled_cosines() -> None:
    pictures, texts = F.normalize(normal(4, 2, 3, 32), dim=-1), F.normalize(normal(5, 2, 4, 32), dim=-1)
    scales = {"logit_scale": torch.tensor([[math.log(7.0)], [9.0]], dtype=torch.float64)}
    found = tiny_clip.clip_logits(scales, pictures, texts)
    for seed, scale in enumerate((7, 100)):
        cosines = F.cosine_similarity(pictures[seed, :, None], texts[seed], dim=-1)
        torch.testing.assert_close(found[seed], scale * cosines)


# --------------------------------------------------------------------------------------------------------- the captions


def test_captions_have_the_specified_tokens() -> None:
    assert len(tiny_clip.WORDS) == len(set(tiny_clip.WORDS)) == 27
    assert tiny_clip.caption("photo", "zero") == [0, 2, 7, 1]
    assert tiny_clip.caption("shifted", "frame") == [0, 6, 26, 1]
    assert tiny_clip.caption("plain", "ring") == [0, 3, 17, 1]
    assert tiny_clip.prompts(("nine", "ring")).tolist() == [[0, 2, 16, 1], [0, 2, 17, 1]]
    assert tiny_clip.prompts(["two"], "noisy").tolist() == [[0, 4, 9, 1]]


@pytest.mark.parametrize(
    ("style", "concept"), [("photo", "diag"), ("photo", "plain"), ("ring", "ring"), ("BOS", "two")]
)
def test_words_that_it_does_not_know_are_refused(style: str, concept: str) -> None:
    with pytest.raises(ValueError, match="it knows: "):
        tiny_clip.caption(style, concept)


# --------------------------------------------------------------------------------------------------------- the pictures


def test_templates_are_those_of_the_specification() -> None:
    assert tuple(SPECIFIED) == tuple(tiny_clip.TEMPLATES) == (*tiny_clip.GLYPHS, *tiny_clip.UNNAMED)
    for name, rows in tiny_clip.TEMPLATES.items():
        ours = torch.tensor([[int(pixel) for pixel in row] for row in rows.split()])
        assert torch.equal(ours, specified(name)), name


def test_a_glyph_is_its_template_somewhere_on_the_canvas() -> None:
    images, labels = tiny_clip.glyphs(tuple(SPECIFIED), count=1400, seed=5)
    assert images.shape == (1400, 8, 8) and labels.bincount().tolist() == [100] * 14
    places: list[tuple[int, int]] = []
    halved = inked = 0
    for image, label in zip(images, labels.tolist(), strict=True):
        template = specified(tuple(SPECIFIED)[label]).bool()
        fits = []
        for dy in range(3):
            for dx in range(3):
                canvas = torch.zeros(8, 8, dtype=torch.bool)
                canvas[dy : dy + 6, dx : dx + 6] = template
                fits += [(dy, dx)] if torch.equal(image > 0, canvas) else []
        places += fits[:1]
        ink = image[image > 0]
        assert 0.7 <= float(ink.max()) <= 1
        assert ((ink == ink.max()) | (ink == ink.max() / 2)).all()
        halved, inked = halved + int((ink < ink.max()).sum()), inked + len(ink)
    assert len(places) == 1400 and len(set(places)) == 9
    assert halved / inked == pytest.approx(0.1, abs=4 * math.sqrt(0.09 / inked))


def test_test_glyphs_are_the_same_every_time() -> None:
    images, labels = tiny_clip.glyphs()
    assert len(images) == 300 and labels.bincount().tolist() == [30] * 10
    assert torch.equal(images, tiny_clip.glyphs(tiny_clip.GLYPHS, 300, 77).images)
    assert not torch.equal(images, tiny_clip.glyphs(seed=78).images)
    unnamed = tiny_clip.glyphs(tiny_clip.UNNAMED, 8)
    assert torch.equal(
        (unnamed.images > 0).sum((1, 2))[:4], torch.stack([specified(n).sum() for n in tiny_clip.UNNAMED])
    )


def test_every_digit_is_in_one_part_of_the_split() -> None:
    split = tiny_clip.digit_split()
    assert [len(part.labels) for part in split] == [900, 400, 497]
    ours = torch.cat([torch.cat([part.labels[:, None], part.images.flatten(1) * 16], 1) for part in split])
    images, labels = load_digits(return_X_y=True)
    theirs = np.concatenate([labels[:, None], images], 1)
    assert sorted(map(tuple, ours.round().int().tolist())) == sorted(map(tuple, theirs.astype(int).tolist()))
    assert all(part.images.min() == 0 and part.images.max() == 1 for part in split)


def test_few_shots_are_of_the_asked_classes_and_nested() -> None:
    pool = tiny_clip.digit_split().few_shot
    classes = (7, 2, 5)
    images, labels = tiny_clip.few_shot(4, (3, 1), classes)
    assert images.shape == (2, 12, 8, 8) and labels.tolist() == [[0] * 4 + [1] * 4 + [2] * 4] * 2
    known = {image.numpy().tobytes(): int(label) for image, label in zip(*pool, strict=True)}
    for row in range(2):
        assert [known[image.numpy().tobytes()] for image in images[row]] == [classes[label] for label in labels[row]]
    assert torch.equal(tiny_clip.few_shot(4, (1,), classes).images[0], images[1])
    assert not torch.equal(images[0], images[1])
    less = tiny_clip.few_shot(1, (3,), classes).images
    assert torch.equal(less[0], images[0, ::4])
    turned = tiny_clip.few_shot(4, (3,), classes, degrees=25).images
    torch.testing.assert_close(turned[0], tiny_clip.rotated(images[0], 25))


def test_too_many_few_shots_are_refused() -> None:
    most = int(tiny_clip.digit_split().few_shot.labels.bincount().min())
    assert tiny_clip.few_shot(most, (0,)).labels.shape == (1, 10 * most)
    with pytest.raises(ValueError, match=rf"count = {most + 1}: .* {most}"):
        tiny_clip.few_shot(most + 1, (0,))


def test_what_few_shots_leave_in_the_pool_is_held_out() -> None:
    pool, classes = tiny_clip.digit_split().few_shot, (7, 2, 5)
    drawn, held = tiny_clip.few_shot(4, (3, 1), classes), tiny_clip.held_out(4, (3, 1), classes)
    expected = sorted(image.numpy().tobytes() for image in pool.images[torch.isin(pool.labels, torch.tensor(classes))])
    known = {image.numpy().tobytes(): int(label) for image, label in zip(*pool, strict=True)}
    for row in range(2):
        both = [image.numpy().tobytes() for image in torch.cat([drawn.images[row], held.images[row]])]
        assert sorted(both) == expected
        assert [known[image.numpy().tobytes()] for image in held.images[row]] == [classes[i] for i in held.labels[row]]


def test_pictures_turn_as_scipy_turns_each_one() -> None:
    images = tiny_clip.digit_split().test.images[:6]
    for degrees in (25, -30, 40):
        found = tiny_clip.rotated(images.unflatten(0, (2, 3)), degrees)
        for place, image in enumerate(images):
            expected = scipy.ndimage.rotate(image.numpy(), degrees, reshape=False, order=1)
            np.testing.assert_allclose(found.flatten(0, 1)[place], expected, atol=1e-6)
    assert torch.equal(tiny_clip.rotated(images, 0), images)
    torch.testing.assert_close(tiny_clip.rotated(images, 90), images.rot90(1, (1, 2)), atol=1e-6, rtol=0)


def test_styles_disturb_as_they_say() -> None:
    images = torch.rand(400, 8, 8, generator=torch.Generator().manual_seed(1))

    def styled(style: str) -> Tensor:
        which = torch.full((400,), tiny_clip.STYLES.index(style))
        return tiny_clip.styled(images, which, torch.Generator().manual_seed(2))

    assert torch.equal(styled("plain"), images)
    assert torch.equal(styled("faint"), images / 2)
    noise = styled("noisy") - images
    assert float(noise.std()) == pytest.approx(0.15, rel=0.03) and abs(float(noise.mean())) < 0.005
    shifts = set()
    for before, after in zip(images, styled("shifted"), strict=True):
        fits = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if torch.equal(before.roll((y, x), (0, 1)), after)]
        assert len(fits) == 1
        shifts |= set(fits)
    assert len(shifts) == 9
    mixed = tiny_clip.styled(images, torch.arange(400) % 4, torch.Generator().manual_seed(2))
    for number, style in enumerate(tiny_clip.STYLES):
        assert torch.equal(mixed[number::4], styled(style)[number::4]), "a style does not depend on its neighbors"


# ---------------------------------------------------------------------------------------------------------- pretraining


def test_a_batch_shows_what_its_captions_say() -> None:
    recipe = tiny_clip.Recipe(batch=2000, any_style=0, wrong_word=0)
    images, captions = recipe.draw(generator(0, "batch"))
    bos, styles, concepts, eos = captions.T
    assert (bos == 0).all() and (eos == 1).all()
    assert styles.bincount(minlength=7)[3:].tolist() == pytest.approx([500] * 4, abs=100)
    assert concepts.bincount(minlength=27)[7:].tolist() == pytest.approx([100] * 20, abs=50)
    known = {
        image.numpy().tobytes(): int(label) for image, label in zip(*tiny_clip.digit_split().pretraining, strict=True)
    }
    used = set()
    for image, word in zip(images[styles == 3], concepts[styles == 3].tolist(), strict=True):
        if word < 17:
            used.add(image.numpy().tobytes())
            assert known[image.numpy().tobytes()] == word - 7
        else:
            template = specified(tiny_clip.WORDS[word])
            assert int((image > 0).sum()) == int(template.sum())
    assert len(used) > 150, "digits are chosen among all of their class"


def test_captions_are_careless_as_often_as_asked() -> None:
    recipe = tiny_clip.Recipe(batch=20_000)
    careful = tiny_clip.Recipe(batch=20_000, any_style=0, wrong_word=0)
    captions, truth = (one.draw(generator(1, "batch"))[1] for one in (recipe, careful))
    assert float((captions[:, 1] == 2).float().mean()) == pytest.approx(0.5, abs=0.02)
    assert float((captions[:, 2] != truth[:, 2]).float().mean()) == pytest.approx(0.1 * 19 / 20, abs=0.01)
    named = captions[:, 1] != 2
    assert torch.equal(captions[named, 1], truth[named, 1])


def test_equal_captions_share_their_mass() -> None:
    one, two, other = ([0, 2, 7, 1], [0, 2, 8, 1], [0, 3, 7, 1])
    targets = tiny_clip.shared_targets(torch.tensor([[one, two, one, other], [two, two, two, one]]))
    half, third = 1 / 2, 1 / 3
    expected = [
        [[half, 0, half, 0], [0, 1, 0, 0], [half, 0, half, 0], [0, 0, 0, 1]],
        [[third, third, third, 0]] * 3 + [[0, 0, 0, 1]],
    ]
    torch.testing.assert_close(targets, torch.tensor(expected))


def test_the_loss_of_two_pictures_by_hand() -> None:
    logits = torch.tensor([[[2.0, 0.0], [1.0, 3.0]]])
    alone = tiny_clip.contrastive_losses(logits, torch.eye(2)[None])
    rows = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-2))) / 2
    columns = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-3))) / 2
    assert float(alone) == pytest.approx((rows + columns) / 2)
    shared = tiny_clip.contrastive_losses(logits, torch.full((1, 2, 2), 0.5))
    assert float(shared) == pytest.approx((rows + 1 + columns + (0.5 + 1.5) / 2) / 2)


def test_the_loss_without_equal_captions_is_that_of_torch() -> None:
    logits = normal(6, 3, 5, 5)
    found = tiny_clip.contrastive_losses(logits, torch.eye(5, dtype=torch.float64).expand(3, 5, 5))
    right = torch.arange(5)
    for seed in range(3):
        expected = (F.cross_entropy(logits[seed], right) + F.cross_entropy(logits[seed].T, right)) / 2
        torch.testing.assert_close(found[seed], expected)
