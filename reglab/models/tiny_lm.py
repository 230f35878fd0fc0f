"""TinyLM: a decoder-only language model that transforms strings of five digits, pretrained on six tasks.

A sequence has 13 tokens: the word of a task, five digits x1..x5, SEP, the answer y1..y5 and EOS; where the task asks
for a class, the answer is one label word, EOS and four times PAD. Each task has three words that mean the same.

All weights, by name, without their leading axis of seeds (42,192 numbers): `token` (37, 48), `position` (13, 48), the
blocks `block.0` and `block.1` (`block.0.q.weight` (48, 48), `block.0.q.bias` and in the same way k, v, o, u (48, 96),
d (96, 48); `block.0.norm1.gain`, `.bias`, `block.0.norm2.*`), `norm.*`, and `head.weight` (48, 37) without bias.
The function `linear` is called for the q, k, v, o, u, d of both blocks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from reglab.models import transformer
from reglab.models.transformer import WIDTH, Linear, Start, Weights, block, linear, norm, product
from reglab.seeds import generator

PAD, SEP, EOS = 10, 11, 12
TASKS = ("copy", "reverse", "inc", "rotl", "sort", "cls")
"""What the model is pretrained on: copy, reverse, each digit + 1 mod 10, rotate left by one, sort, classify."""
SYNONYMS, CLASSES, DIGITS = 3, 6, 5
LABELS = len(TASKS) * SYNONYMS + EOS + 1
"""The token of class 0; those of the other five follow."""
VOCABULARY = LABELS + CLASSES
LENGTH = 13
ANSWER = 7
"""Where the answer begins; it is predicted from the position before."""
BLOCKS = 2

CODEBOOK = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 5])
"""The class of each sum of two digits, 0 to 18."""

Rule = Callable[[Tensor], Tensor]
"""From strings [..., 5] to answers [..., 5], or to classes [...]."""

RULES: Mapping[str, Rule] = {
    "copy": lambda x: x,
    "reverse": lambda x: x.flip(-1),
    "inc": lambda x: (x + 1) % 10,
    "rotl": lambda x: x.roll(-1, -1),
    "sort": lambda x: x.sort(-1).values,
    "cls": lambda x: CODEBOOK[x[..., 0] + x[..., 4]],
    # new tasks, which are not pretrained but can be reached from there
    "revinc": lambda x: (x.flip(-1) + 1) % 10,
    "rotr": lambda x: x.roll(1, -1),
    "dec": lambda x: (x - 1) % 10,
    "cls24": lambda x: CODEBOOK[x[..., 1] + x[..., 3]],
}
"""What each task answers."""


# ------------------------------------------------------------------------------------------------------------ the model


def embed(weights: Weights, tokens: Tensor) -> Tensor:
    """Return the sum of the embeddings of tokens and positions: [S, N, T] with T up to 13 -> [S, N, T, 48]."""
    one_hot = F.one_hot(tokens, VOCABULARY).to(weights["token"].dtype)
    return product(one_hot, weights["token"]) + weights["position"][:, None, : tokens.shape[-1]]


def states(weights: Weights, embedded: Tensor, linear: Linear = linear) -> list[Tensor]:
    """Return the stream of hidden states: the embeddings, then what it is after each block, [S, N, T, 48] each."""
    stream = [embedded]
    for number in range(BLOCKS):
        stream.append(block(weights, f"block.{number}", stream[-1], linear, causal=True))
    return stream


def read_out(weights: Weights, hidden: Tensor) -> Tensor:
    """Return the logits of the next token from the last hidden states: [S, N, T, 48] -> [S, N, T, 37]."""
    return product(norm(weights, "norm", hidden), weights["head.weight"])


def next_token_logits(weights: Weights, tokens: Tensor, linear: Linear = linear) -> Tensor:
    """Return at each position the logits of the token that follows: [S, N, T] -> [S, N, T, 37]."""
    return read_out(weights, states(weights, embed(weights, tokens), linear)[-1])


def answer_losses(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the mean cross-entropy of the answer, its EOS included: [S, N, 13, 37], [S, N, 13] -> [S].

    Every token of an answer weighs the same, so an answer of one label weighs less than one of five digits; PAD counts
    nothing.
    """
    targets = tokens[..., ANSWER:]
    right = logits[..., ANSWER - 1 : -1, :].log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    asked = targets != PAD
    return -(right * asked).sum((-2, -1)) / asked.sum((-2, -1))


def token_accuracy(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the share of right digits or labels, EOS not counted: [S, N, 13, 37], [S, N, 13] -> [S].

    Each token is the likeliest of all 37, given the right ones before it (teacher forcing).
    """
    asked = (tokens[..., ANSWER:] != PAD) & (tokens[..., ANSWER:] != EOS)
    return (_right(logits, tokens) & asked).sum((-2, -1)) / asked.sum((-2, -1))


def exact_match(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the share of answers of which every token and EOS are right: [S, N, 13, 37], [S, N, 13] -> [S]."""
    return (_right(logits, tokens) | (tokens[..., ANSWER:] == PAD)).all(-1).float().mean(-1)


def _right(logits: Tensor, tokens: Tensor) -> Tensor:
    return logits[..., ANSWER - 1 : -1, :].argmax(-1) == tokens[..., ANSWER:]


# -------------------------------------------------------------------------------------------------------- the sequences


def strings(count: int, source: torch.Generator) -> Tensor:
    """Draw strings of five digits, uniformly: [count, 5]."""
    return torch.randint(10, (count, DIGITS), generator=source)


def strings_of(classes: Tensor, source: torch.Generator, rule: Rule = RULES["cls"]) -> Tensor:
    """Draw for each class [n] a string that a rule puts in this class, uniformly among all such strings: [n, 5].

    Raises `ValueError` for a class that the rule never gives.
    """
    every = torch.cartesian_prod(*[torch.arange(10)] * DIGITS)
    given = rule(every)
    order, counts = given.argsort(stable=True), given.bincount(minlength=int(classes.max()) + 1)
    if (counts[classes] == 0).any():
        raise ValueError(f"the rule puts no string in class {int(classes[counts[classes] == 0][0])}")
    places = (torch.rand(len(classes), generator=source, dtype=torch.float64) * counts[classes]).long()
    return every[order[(counts.cumsum(0) - counts)[classes] + places]]


def task_token(word: str, synonym: int | Tensor = 0) -> int | Tensor:
    """Return the token of a task's word, in the wording 0, 1 or 2; `ValueError` for a task that has no word."""
    if word not in TASKS:
        raise ValueError(f"no task word {word!r}; TinyLM knows: {', '.join(TASKS)}")
    return EOS + 1 + SYNONYMS * TASKS.index(word) + synonym


def sequences(digits: Tensor, answers: Tensor, word: str, synonym: int | Tensor = 0) -> Tensor:
    """Write out questions and answers: digits [n, 5], answers [n, 5] or classes [n] -> tokens [n, 13].

    `word` is the task word under which it is asked, `synonym` its wording, one for all or [n].
    """
    tokens = torch.full((len(digits), LENGTH), PAD)
    tokens[:, 0], tokens[:, 1:6], tokens[:, 6] = task_token(word, synonym), digits, SEP
    answers = answers if answers.dim() == 2 else answers[:, None] + LABELS
    end = ANSWER + answers.shape[1]
    tokens[:, ANSWER:end], tokens[:, end] = answers, EOS
    return tokens


def prompts(task: str, digits: Tensor, word: str = "", synonym: int | Tensor = 0) -> Tensor:
    """Write out strings [n, 5] with the right answers of a task, under its own word or another one: [n, 13]."""
    return sequences(digits, RULES[task](digits), word or task, synonym)


def exam(tasks: Iterable[str] = TASKS, count: int = 200, seed: int = 0) -> Tensor:
    """Draw fresh questions to pretraining tasks in all wordings, `count` strings each: [tasks, 3·count, 13]."""
    sheets = []
    for task in tasks:
        drawn = strings(count, generator(seed, f"tiny_lm exam: {task}"))
        sheets.append(torch.cat([prompts(task, drawn, synonym=synonym) for synonym in range(SYNONYMS)]))
    return torch.stack(sheets)


def retained(word: str) -> Sequence[str]:
    """Return the pretraining tasks that are left when a new task uses the word of one of them."""
    return tuple(task for task in TASKS if task != word)


@torch.no_grad()
def exam_accuracy(weights: Weights, questions: Tensor, linear: Linear = linear) -> Tensor:
    """Return the token accuracy in each task of an exam: [tasks, n, 13] -> [S, tasks].

    The retention of a fine-tuned model is the mean over the pretraining tasks whose word was not used again.
    """
    figures = []
    for sheet in questions:
        figures.append(token_accuracy(next_token_logits(weights, sheet[None], linear), sheet[None]))
    return torch.stack(figures, -1)


# ---------------------------------------------------------------------------------------------------------- pretraining


def _start() -> dict[str, Start]:
    embedding, root = functools.partial(Start, deviation=0.02), transformer
    return {
        "token": embedding((VOCABULARY, WIDTH)),
        "position": embedding((LENGTH, WIDTH)),
        **root.start_blocks("block", BLOCKS),
        **root.start_norm("norm"),
        **root.start_linear("head", WIDTH, VOCABULARY, bias=False),
    }


@dataclass(frozen=True)
class Recipe(transformer.Recipe):
    """Pretraining of TinyLM: a batch has as many sequences of each task, in wordings drawn uniformly.

    Two options spoil the classes on purpose: `prior` is the share of each class among the examples (uniform strings
    when it is empty), `label_noise` is the probability that a label is replaced by one drawn uniformly.
    """

    name = "tiny_lm"
    start = _start()
    targets: ClassVar[Mapping[str, float]] = dict.fromkeys(TASKS, 0.95) | {"cls": 0.93}

    steps: int = 450
    batch: int = 120
    learning_rate: float = 4e-3
    warmup: int = 50
    prior: tuple[float, ...] = ()
    label_noise: float = 0.0

    def __post_init__(self) -> None:
        if self.prior and (len(self.prior) != CLASSES or min(self.prior) < 0 or sum(self.prior) <= 0):
            raise ValueError(f"prior = {self.prior}: give a share, 0 or more, for each of the {CLASSES} classes")
        if not 0 <= self.label_noise <= 1:
            raise ValueError(f"label_noise = {self.label_noise}: give a probability from 0 to 1")
        if self.batch % len(TASKS):
            raise ValueError(f"batch = {self.batch}: give a multiple of {len(TASKS)}, as many of each task")

    def draw(self, source: torch.Generator) -> tuple[Tensor]:
        """Draw sequences [N, 13]."""
        parts = []
        for task in TASKS:
            count = self.batch // len(TASKS)
            wording = torch.randint(SYNONYMS, (count,), generator=source)
            drawn = strings(count, source)
            if task == "cls" and self.prior:
                shares = torch.tensor(self.prior)
                drawn = strings_of(torch.multinomial(shares, count, replacement=True, generator=source), source)
            answers = RULES[task](drawn)
            if task == "cls":
                noisy = torch.rand(count, generator=source) < self.label_noise
                answers = torch.where(noisy, torch.randint(CLASSES, (count,), generator=source), answers)
            parts.append(sequences(drawn, answers, task, wording))
        return (torch.cat(parts),)

    def losses(self, weights: Weights, *batch: Tensor) -> Tensor:
        """Return the cross-entropy of the answers: [S]."""
        (tokens,) = batch
        return answer_losses(next_token_logits(weights, tokens), tokens)

    def quality(self, weights: Weights) -> dict[str, Tensor]:
        """Measure the token accuracy of each task on 500 fresh strings in all wordings, and exact matches: [S] each."""
        figures = {}
        for task, sheet in zip(TASKS, exam(count=500, seed=77), strict=True):
            logits = next_token_logits(weights, sheet[None])
            figures[task] = token_accuracy(logits, sheet[None])
            figures[f"{task}, whole answers"] = exact_match(logits, sheet[None])
        return figures
