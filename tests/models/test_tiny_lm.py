"""TinyLM: the model against torch.nn, tasks and sequences by hand, what is counted in losses and accuracies."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from draws import normal
from torch import Tensor
from torch_layers import drawn, encoder_layer, layer_norm

from reglab.models import tiny_lm, transformer
from reglab.models.tiny_lm import EOS, LABELS, PAD, SEP
from reglab.models.transformer import Weights
from reglab.seeds import generator

DIGITS = torch.tensor([[3, 1, 4, 1, 5]])


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Three seeds of weights that are nowhere zero."""
    return drawn(tiny_lm.Recipe.start, 3)


@pytest.fixture(scope="module")
def tokens() -> Tensor:
    """Questions of all tasks, others for each seed: [3, 12, 13]."""
    return torch.stack([tiny_lm.exam(count=2, seed=seed)[:, ::3].flatten(0, 1) for seed in range(3)])


# ------------------------------------------------------------------------------------------------------------ the model


def test_the_model_is_that_of_torch(weights: Weights, tokens: Tensor) -> None:
    found = tiny_lm.next_token_logits(weights, tokens)
    assert found.shape == (3, 12, 13, 37)
    later = torch.ones(13, 13).triu(1).bool()
    for seed in range(3):
        hidden = F.embedding(tokens[seed], weights["token"][seed]) + weights["position"][seed]
        for number in range(2):
            hidden = encoder_layer(weights, f"block.{number}", seed)(hidden, src_mask=later)
        expected = layer_norm(weights, "norm", seed)(hidden) @ weights["head.weight"][seed]
        torch.testing.assert_close(found[seed], expected, rtol=1e-9, atol=1e-9)


def test_a_token_does_not_know_what_follows(weights: Weights, tokens: Tensor) -> None:
    found = tiny_lm.next_token_logits(weights, tokens)
    for place in (1, 6, 12):
        changed = tokens.clone()
        changed[..., place:] = (changed[..., place:] + 5) % 37
        other = tiny_lm.next_token_logits(weights, changed)
        assert torch.equal(other[..., :place, :], found[..., :place, :])
        assert not torch.isclose(other[..., place, :], found[..., place, :]).any(-1).all()
    torch.testing.assert_close(tiny_lm.next_token_logits(weights, tokens[..., :7]), found[..., :7, :])


def test_seeds_side_by_side_see_what_each_sees_alone(weights: Weights, tokens: Tensor) -> None:
    together = tiny_lm.next_token_logits(weights, tokens)
    for seed in range(3):
        alone = {name: value[seed : seed + 1] for name, value in weights.items()}
        torch.testing.assert_close(together[seed], tiny_lm.next_token_logits(alone, tokens[seed : seed + 1])[0])
    one = {name: value[:1] for name, value in weights.items()}
    torch.testing.assert_close(tiny_lm.next_token_logits(one, tokens)[0], together[0])


def test_states_are_the_stream_between_embeddings_and_logits(weights: Weights, tokens: Tensor) -> None:
    called = set()

    def noted(weights: Weights, name: str, hidden: Tensor) -> Tensor:
        called.add(name)
        return transformer.linear(weights, name, hidden)

    embedded = tiny_lm.embed(weights, tokens)
    stream = tiny_lm.states(weights, embedded, noted)
    assert [state.shape for state in stream] == [(3, 12, 13, 48)] * 3 and stream[0] is embedded
    assert called == {f"block.{number}.{part}" for number in (0, 1) for part in "qkvoud"}
    logits = tiny_lm.read_out(weights, stream[-1])
    assert torch.equal(logits, tiny_lm.next_token_logits(weights, tokens))


# -------------------------------------------------------------------------------------------------------- the sequences


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("copy", [3, 1, 4, 1, 5]),
        ("reverse", [5, 1, 4, 1, 3]),
        ("inc", [4, 2, 5, 2, 6]),
        ("rotl", [1, 4, 1, 5, 3]),
        ("sort", [1, 1, 3, 4, 5]),
        ("revinc", [6, 2, 5, 2, 4]),
        ("rotr", [5, 3, 1, 4, 1]),
        ("dec", [2, 0, 3, 0, 4]),
    ],
)
def test_tasks_on_strings(task: str, answer: list[int]) -> None:
    assert tiny_lm.RULES[task](DIGITS).tolist() == [answer]


def test_digits_go_round() -> None:
    ends = torch.tensor([[9, 0, 9, 0, 1]])
    assert tiny_lm.RULES["inc"](ends).tolist() == [[0, 1, 0, 1, 2]]
    assert tiny_lm.RULES["dec"](ends).tolist() == [[8, 9, 8, 9, 0]]
    assert tiny_lm.RULES["revinc"](ends).tolist() == [[2, 1, 0, 1, 0]]


def test_classes_are_of_the_sum_of_two_digits() -> None:
    assert tiny_lm.CODEBOOK.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 5]
    assert tiny_lm.RULES["cls"](DIGITS).tolist() == [2]  # 3 + 5
    assert tiny_lm.RULES["cls24"](DIGITS).tolist() == [0]  # 1 + 1
    every = torch.cartesian_prod(*[torch.arange(10)] * 2)
    shares = tiny_lm.CODEBOOK[every.sum(-1)].bincount() / 100
    assert shares.tolist() == pytest.approx([0.10, 0.18, 0.17, 0.19, 0.21, 0.15])


def test_sequences_by_hand() -> None:
    assert tiny_lm.prompts("reverse", DIGITS).tolist() == [[16, 3, 1, 4, 1, 5, 11, 5, 1, 4, 1, 3, 12]]
    assert tiny_lm.prompts("cls", DIGITS, synonym=2).tolist() == [[30, 3, 1, 4, 1, 5, 11, 33, 12, 10, 10, 10, 10]]
    assert tiny_lm.prompts("revinc", DIGITS, "reverse", 1).tolist() == [[17, 3, 1, 4, 1, 5, 11, 6, 2, 5, 2, 4, 12]]
    several = tiny_lm.prompts("copy", DIGITS.expand(3, -1), synonym=torch.tensor([0, 2, 1]))
    assert several[:, 0].tolist() == [13, 15, 14]
    assert (PAD, SEP, EOS, LABELS, tiny_lm.VOCABULARY) == (10, 11, 12, 31, 37)


@pytest.mark.parametrize(("task", "word"), [("revinc", ""), ("dec", "revinc"), ("cls24", "cls24")])
def test_a_new_task_needs_a_word_of_an_old_one(task: str, word: str) -> None:
    with pytest.raises(ValueError, match=r"no task word .*copy, reverse, inc, rotl, sort, cls"):
        tiny_lm.prompts(task, DIGITS, word)


def test_strings_of_a_class_are_uniform_among_all_of_it() -> None:
    classes = torch.arange(6).repeat(2000)
    drawn = tiny_lm.strings_of(classes, generator(0, "strings"))
    assert torch.equal(tiny_lm.RULES["cls"](drawn), classes)
    of_zero = drawn[classes == 0]
    pairs = (10 * of_zero[:, 0] + of_zero[:, 4]).bincount(minlength=100)  # 00 01 02 03 10 11 12 20 21 30
    assert (pairs > 0).sum() == 10 and pairs[pairs > 0].tolist() == pytest.approx([200] * 10, abs=60)
    assert of_zero[:, 2].bincount(minlength=10).tolist() == pytest.approx([200] * 10, abs=60)
    other = tiny_lm.strings_of(classes, generator(0, "strings"), tiny_lm.RULES["cls24"])
    assert torch.equal(tiny_lm.RULES["cls24"](other), classes)
    with pytest.raises(ValueError, match="no string in class 6"):
        tiny_lm.strings_of(torch.tensor([0, 6]), generator(0, "strings"))


def test_an_exam_asks_every_task_in_all_wordings() -> None:
    questions = tiny_lm.exam(count=50, seed=3)
    assert questions.shape == (6, 150, 13)
    assert questions[:, ::50, 0].flatten().tolist() == list(range(13, 31))
    for sheet, task in zip(questions, tiny_lm.TASKS, strict=True):
        answers = tiny_lm.RULES[task](sheet[:, 1:6])
        expected = answers if answers.dim() == 2 else answers[:, None] + 31
        assert torch.equal(sheet[:, 7 : 7 + expected.shape[1]], expected)
        assert torch.equal(sheet[:50, 1:], sheet[50:100, 1:])
    some = tiny_lm.exam(("cls", "copy"), count=50, seed=3)
    assert torch.equal(some, questions[[5, 0]]), "the questions of a task do not depend on the other tasks"
    assert tiny_lm.retained("reverse") == ("copy", "inc", "rotl", "sort", "cls")


# ----------------------------------------------------------------------------------------------------- loss and figures


def test_the_loss_is_that_of_torch_over_the_answers_only(tokens: Tensor) -> None:
    logits = normal(7, 3, 12, 13, 37)
    found = tiny_lm.answer_losses(logits, tokens)
    for seed in range(3):
        theirs = F.cross_entropy(logits[seed, :, 6:12].flatten(0, 1), tokens[seed, :, 7:].flatten(), ignore_index=PAD)
        torch.testing.assert_close(found[seed], theirs)
    elsewhere = logits.clone()
    elsewhere[..., :6, :] = 0
    elsewhere[..., 12, :] = 0
    torch.testing.assert_close(tiny_lm.answer_losses(elsewhere, tokens), found)


def test_a_model_that_knows_nothing_has_the_loss_of_37_words(tokens: Tensor) -> None:
    losses = tiny_lm.answer_losses(torch.zeros(3, 12, 13, 37), tokens)
    assert losses.tolist() == pytest.approx([math.log(37)] * 3)


def test_accuracies_by_hand() -> None:
    """One string with one wrong digit, one with a wrong EOS, one right label, one wrong label."""
    tokens = torch.cat([tiny_lm.prompts("copy", DIGITS.expand(2, -1)), tiny_lm.prompts("cls", DIGITS.expand(2, -1))])[
        None
    ]
    said = tokens.clone()
    said[0, 0, 9], said[0, 1, 12], said[0, 3, 7] = 0, 0, 0
    said[0, :, :7] = 0  # what is said about the question does not count
    said[0, 2:, 9:] = 5  # nor what is said after the end
    logits = torch.zeros(1, 4, 13, 37)
    logits[:, :, :-1] = F.one_hot(said[:, :, 1:], 37).float()
    assert float(tiny_lm.token_accuracy(logits, tokens)) == pytest.approx((4 + 5 + 1 + 0) / 12)
    assert float(tiny_lm.exact_match(logits, tokens)) == pytest.approx(1 / 4)


def test_exam_accuracy_is_the_token_accuracy_of_each_task(weights: Weights) -> None:
    questions = tiny_lm.exam(("copy", "cls"), count=20)
    found = tiny_lm.exam_accuracy(weights, questions)
    assert found.shape == (3, 2)
    for place, sheet in enumerate(questions):
        logits = tiny_lm.next_token_logits(weights, sheet[None])
        assert torch.equal(found[:, place], tiny_lm.token_accuracy(logits, sheet[None]))


# ---------------------------------------------------------------------------------------------------------- pretraining


def test_a_batch_has_as_many_sequences_of_each_task_in_all_wordings() -> None:
    (batch,) = tiny_lm.Recipe(batch=5400).draw(generator(0, "batch"))
    assert batch[:, 0].bincount(minlength=31)[13:].tolist() == pytest.approx([300] * 18, abs=70)
    for number, task in enumerate(tiny_lm.TASKS):
        rows = batch[900 * number : 900 * (number + 1)]
        answers = tiny_lm.RULES[task](rows[:, 1:6])
        expected = answers if answers.dim() == 2 else answers[:, None] + 31
        assert torch.equal(rows[:, 7 : 7 + expected.shape[1]], expected)
        assert rows[:, 1:6].flatten().bincount().tolist() == pytest.approx([450] * 10, abs=110)


def test_prior_and_label_noise_spoil_the_classes_only() -> None:
    prior = (0.55, 0.20, 0.10, 0.06, 0.05, 0.04)
    (batch,) = tiny_lm.Recipe(batch=24_000, prior=prior, label_noise=0.3).draw(generator(0, "batch"))
    strings, classes = batch[:20_000], batch[20_000:]
    for number, task in enumerate(tiny_lm.TASKS[:5]):
        rows = strings[4000 * number : 4000 * (number + 1)]
        assert torch.equal(tiny_lm.RULES[task](rows[:, 1:6]), rows[:, 7:12])
    true, given = tiny_lm.RULES["cls"](classes[:, 1:6]), classes[:, 7] - 31
    assert (true.bincount() / 4000).tolist() == pytest.approx(prior, abs=0.03)
    assert float((given != true).float().mean()) == pytest.approx(0.3 * 5 / 6, abs=0.03)
    wrong = given[given != true]
    assert (wrong.bincount(minlength=6) > 20).all()


def test_a_spoiled_recipe_trains_and_says_so() -> None:
    recipe = tiny_lm.Recipe(steps=3, prior=(0.5, 0.1, 0.1, 0.1, 0.1, 0.1), label_noise=0.3)
    assert recipe.describe()["prior"] == [0.5, 0.1, 0.1, 0.1, 0.1, 0.1] and recipe.describe()["label_noise"] == 0.3
    assert recipe.describe() != tiny_lm.Recipe(steps=3).describe()
    spoiled, clean = recipe.train((0,)), tiny_lm.Recipe(steps=3).train((0,))
    assert not torch.equal(spoiled["token"], clean["token"])


@pytest.mark.parametrize(
    "settings", [{"prior": (0.5, 0.5)}, {"prior": (1, 1, 1, 1, 1, -1)}, {"label_noise": 1.5}, {"batch": 100}]
)
def test_recipes_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=rf"^{next(iter(settings))} = "):
        tiny_lm.Recipe(**settings)  # type: ignore[arg-type]
