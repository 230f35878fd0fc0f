"""Ordered low rank, checked exactly: a worked number, automatic differentiation, a plain PyTorch loop."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab import data
from reglab.exercise import WrongAnswerError
from reglab.models import replicas
from reglab.papers.weights.ordered_low_rank import exercises, experiments, method
from reglab.seeds import generator


# WRITE: numbers worked by hand, identities and limits of the paper's equations
def test_the_regularizer_of_a_worked_example() -> None:
    logits = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    torch.testing.assert_close(method.regularizer(logits), torch.tensor(13.0))


def test_cross_entropy_is_that_of_torch() -> None:
    logits, labels = torch.randn(6, 5, generator=generator(0, "logits")), torch.tensor([0, 4, 2, 2, 1, 3])
    torch.testing.assert_close(method.cross_entropy(logits, labels), F.cross_entropy(logits, labels))


# WRITE: the training loop as the paper has it, for one arm and one seed, in plain PyTorch
@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(
    ("arm", "strength", "decay"), [("baseline", 0.0, 0.0), ("method", 0.03, 0.0), ("L2 penalty", 0.0, 0.001)]
)
def test_training_equals_a_plain_loop(arm: str, strength: float, decay: float) -> None:
    results = experiments.Digits(epochs=2).run([3]).sel(arm=arm, seed=3)
    digits = data.digits((3,))
    labels = data.symmetric_noise(digits.train_labels, 0.4, 10, (3,))[0]
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    drawn = list(replicas.mlp((64, 128, 10), [generator(3, "weights")]).parameters())
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), drawn, strict=True):
            parameter.copy_(value[0].T if parameter.dim() == 2 else value[0, 0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for epoch in (1, 2):
        for index in data.batches((3,), 1000, 50, epoch)[:, 0]:
            logits = model(digits.train_inputs[0, index])
            loss = F.cross_entropy(logits, labels[index]) + strength * logits.square().sum(-1).mean()
            loss = loss + decay * sum(parameter.square().sum() for parameter in model.parameters())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        expected = (model(digits.test_inputs[0]).argmax(-1) == digits.test_labels[0]).float().mean()
    assert float(results.test_accuracy.isel(epoch=-1)) == pytest.approx(float(expected), abs=1e-8)


def test_a_right_gradient_is_accepted() -> None:
    assert "automatic differentiation" in exercises.check_gradient(lambda z: 2 * z / len(z))


@pytest.mark.parametrize(
    ("answer", "hint"), [(lambda z: 2 * z, "mean"), (lambda z: z, "chain rule"), (lambda z: 1.0, "shape")]
)
def test_a_wrong_gradient_gets_a_hint(answer: object, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        exercises.check_gradient(answer)  # type: ignore[arg-type]


def test_no_answer_is_no_mistake() -> None:
    def unanswered(logits: Tensor) -> Tensor:
        return None  # type: ignore[return-value]

    with pytest.raises(NotImplementedError):
        exercises.check_gradient(unanswered)
