"""Small transformers: the block against torch.nn, broadcasting over seeds, how training starts and goes on."""

from __future__ import annotations

import math

import pytest
import torch
from draws import normal
from torch import Tensor, nn
from torch_layers import drawn, encoder_layer

from reglab.models import tiny_clip, tiny_lm, transformer
from reglab.models.transformer import HEADS, HIDDEN, WIDTH, Recipe, Weights

RECIPES = (tiny_clip.Recipe(batch=24), tiny_lm.Recipe(batch=12))


def names(recipe: Recipe) -> str:
    return recipe.name


# ---------------------------------------------------------------------------------------------------- the forward pass


@pytest.mark.parametrize("causal", [False, True])
def test_a_block_is_that_of_torch(causal: bool) -> None:
    weights, hidden = drawn(transformer.start_blocks("block", 1), 3), normal(1, 3, 5, 7, WIDTH)
    found = transformer.block(weights, "block.0", hidden, causal=causal)
    later = torch.ones(7, 7).triu(1).bool() if causal else None
    for seed in range(3):
        layer = encoder_layer(weights, "block.0", seed)
        torch.testing.assert_close(found[seed], layer(hidden[seed], src_mask=later), rtol=1e-10, atol=1e-10)


def test_attention_is_that_of_torch() -> None:
    weights, hidden = drawn(transformer.start_blocks("block", 1), 1), normal(2, 1, 4, 6, WIDTH)
    theirs = encoder_layer(weights, "block.0", 0).self_attn
    assert isinstance(theirs, nn.MultiheadAttention) and theirs.num_heads == HEADS
    expected, _ = theirs(hidden[0], hidden[0], hidden[0])
    torch.testing.assert_close(transformer.attention(weights, "block.0", hidden)[0], expected, rtol=1e-10, atol=1e-10)


def test_a_linear_map_is_one_matrix_for_each_seed() -> None:
    weights = drawn(transformer.start_linear("map", 4, 3) | transformer.start_linear("plain", 4, 3, bias=False), 2)
    for shape in ((2, 4), (2, 5, 4), (2, 5, 6, 4)):
        hidden = normal(3, *shape)
        found, plain = transformer.linear(weights, "map", hidden), transformer.linear(weights, "plain", hidden)
        for seed in range(2):
            expected = hidden[seed] @ weights["map.weight"][seed] + weights["map.bias"][seed]
            torch.testing.assert_close(found[seed], expected)
            torch.testing.assert_close(plain[seed], hidden[seed] @ weights["plain.weight"][seed])


@pytest.mark.parametrize("shared", ["weights", "hidden"])
def test_what_has_one_seed_broadcasts(shared: str) -> None:
    weights = drawn(transformer.start_blocks("block", 1), 1 if shared == "weights" else 3)
    hidden = normal(4, 3 if shared == "weights" else 1, 2, 5, WIDTH)
    wide = {name: value.expand(3, *value.shape[1:]) for name, value in weights.items()}
    found = transformer.block(weights, "block.0", hidden)
    torch.testing.assert_close(found, transformer.block(wide, "block.0", hidden.expand(3, -1, -1, -1)))


def test_one_adapted_map_is_enough_to_have_seeds() -> None:
    weights, hidden = drawn(transformer.start_blocks("block", 1), 1), normal(5, 1, 2, 5, WIDTH)
    extra = normal(6, 3, WIDTH, WIDTH)

    def adapted(weights: Weights, name: str, hidden: Tensor) -> Tensor:
        mapped = transformer.linear(weights, name, hidden)
        return mapped + transformer.product(hidden, extra) if name == "block.0.q" else mapped

    found = transformer.block(weights, "block.0", hidden, adapted)
    for seed in range(3):
        changed = weights | {"block.0.q.weight": weights["block.0.q.weight"] + extra[seed]}
        torch.testing.assert_close(found[seed], transformer.block(changed, "block.0", hidden)[0])


# --------------------------------------------------------------------------------------------------------- pretraining


@pytest.mark.parametrize(("recipe", "count"), [(RECIPES[0], 62_977), (RECIPES[1], 42_192)], ids=["clip", "lm"])
def test_first_weights(recipe: Recipe, count: int) -> None:
    weights = recipe.initial((3, 5))
    assert sum(value[0].numel() for value in weights.values()) == count
    alone = recipe.initial((5,))
    for name, value in weights.items():
        assert value.dtype == torch.float32 and torch.equal(value[1], alone[name][0]), name
    first = "image.1" if recipe.name == "tiny_clip" else "block.1"
    for part, deviation in (("q", WIDTH**-0.5), ("u", WIDTH**-0.5), ("o", WIDTH**-0.5 / 2), ("d", HIDDEN**-0.5 / 2)):
        matrix = weights[f"{first}.{part}.weight"]
        assert float(matrix.std()) == pytest.approx(deviation, rel=5 / math.sqrt(2 * matrix.numel()))
        assert not weights[f"{first}.{part}.bias"].any()
    assert (weights[f"{first}.norm1.gain"] == 1).all() and not weights[f"{first}.norm1.bias"].any()


def test_the_learning_rate_warms_up_and_falls_along_a_cosine_to_a_floor() -> None:
    recipe = tiny_lm.Recipe(steps=250, warmup=50, learning_rate=4e-3)
    assert recipe.rate(0) == pytest.approx(4e-3 / 50)
    assert recipe.rate(24) == pytest.approx(2e-3)
    assert recipe.rate(49) == recipe.rate(50) == 4e-3
    assert recipe.rate(100) == pytest.approx(4e-3 * (2 + math.sqrt(2)) / 4)  # a quarter of the way down
    assert recipe.rate(150) == pytest.approx(2e-3)
    assert recipe.rate(249) == pytest.approx(0.02 * 4e-3)


@pytest.mark.parametrize("recipe", RECIPES, ids=names)
def test_a_step_is_that_of_torch_with_clipped_gradients(recipe: Recipe) -> None:
    weights = {name: value.requires_grad_() for name, value in recipe.initial((4,)).items()}
    optimizer = torch.optim.AdamW(list(weights.values()), recipe.rate(0), betas=(0.9, 0.98), weight_decay=0.01)
    source = transformer.generator(4, f"{recipe.name}: batches")
    loss = recipe.losses(weights, *(part[None] for part in recipe.draw(source))).sum()
    loss.backward()
    nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
    optimizer.step()
    found, losses = next(recipe.training((4,)))
    assert float(losses) == pytest.approx(float(loss.detach()))
    for name, value in weights.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-7)


@pytest.mark.parametrize("recipe", RECIPES, ids=names)
def test_seeds_side_by_side_train_as_if_alone(recipe: Recipe) -> None:
    def after(seeds: tuple[int, ...]) -> tuple[Weights, Tensor]:
        steps = recipe.training(seeds)
        for _ in range(5):
            weights, losses = next(steps)
        return weights, losses

    torch.manual_seed(0)
    before = torch.get_rng_state()
    together, losses = after((2, 0, 1))
    assert torch.equal(before, torch.get_rng_state()), "the global random state is nobody's business"
    for place, seed in enumerate((2, 0, 1)):
        alone, loss = after((seed,))
        assert float(losses[place]) == pytest.approx(float(loss), abs=1e-5)
        for name, value in together.items():
            # a bias of all keys changes no attention: its gradient is rounding, which Adam blows up to whole steps
            if not name.endswith(".k.bias"):
                torch.testing.assert_close(value[place], alone[name][0], rtol=0, atol=1e-5)
