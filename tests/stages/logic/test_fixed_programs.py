"""Programs still run after their fix, and train: the Bad examples, executed on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.stages.fixing import fixed, plugins, texts, write
from verifier.api import Bad

Loader = list[tuple[torch.Tensor, torch.Tensor]]


class Setting:
    """A small classifier and what its training needs."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Linear(4, 3)
        self.model.backbone, self.model.head = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.loader: Loader = [(torch.randn(8, 4), torch.randint(0, 3, (8,))) for _ in range(4)]
        self.criterion = torch.nn.CrossEntropyLoss()
        self.scaler = torch.amp.GradScaler("cpu")

    def loss_model(self) -> torch.nn.Module:
        """Return the model as one that returns its loss."""

        class WithLoss(torch.nn.Module):
            def __init__(self, inner: torch.nn.Module) -> None:
                super().__init__()
                self.inner = inner

            def forward(self, batch: Any) -> torch.Tensor:
                x = batch[0] if isinstance(batch, tuple) else batch
                loss: torch.Tensor = self.inner(x).float().pow(2).mean()
                return loss

        return WithLoss(self.model)


def usual(space: SimpleNamespace, s: Setting) -> None:
    space.train(s.model, s.loader, s.optimizer, s.criterion)


def of_loss(space: SimpleNamespace, s: Setting) -> None:
    space.train(s.loss_model(), s.loader, s.optimizer)


def with_scaler(space: SimpleNamespace, s: Setting) -> None:
    space.train(s.model, s.loader, s.optimizer, s.criterion, s.scaler)


def accumulating(space: SimpleNamespace, s: Setting) -> None:
    space.train(s.model, s.loader, s.optimizer, s.criterion, 2)


def clipping_trainer(space: SimpleNamespace, s: Setting) -> None:
    space.Trainer(s.model).step(s.model(s.loader[0][0]).mean())


def running_trainer(space: SimpleNamespace, s: Setting) -> None:
    space.Trainer(s.model).run([x for x, _ in s.loader])


def stepping_trainer(space: SimpleNamespace, s: Setting) -> None:
    space.Trainer(s.model).step(s.loader[0][0])


def two_optimizers(space: SimpleNamespace, s: Setting) -> None:
    other = torch.nn.Linear(3, 1)
    space.train(s.model, other, [x for x, _ in s.loader], s.optimizer, torch.optim.SGD(other.parameters(), lr=0.1))


def several_optimizers(space: SimpleNamespace, s: Setting) -> None:
    trainer = space.Trainer(s.model, torch.nn.Linear(3, 1))
    for x, _ in s.loader:
        trainer.step(x)


def learner(space: SimpleNamespace, s: Setting) -> None:
    space.Learner(s.model, True).learn(s.loader[0][0], torch.zeros(8, 3))


def own_optimizer(space: SimpleNamespace, s: Setting) -> None:
    space.train(s.model, s.loader, s.criterion)


def probabilities(space: SimpleNamespace, s: Setting) -> None:
    space.train(s.model, [(x, torch.rand(8, 3)) for x, _ in s.loader], s.optimizer)


def step_of_model(space: SimpleNamespace, s: Setting) -> None:
    space.step(s.model, s.loader[0][0], s.optimizer)


def multiply(space: SimpleNamespace, s: Setting) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = space.Multiply.apply(s.loader[0][0], s.model.weight.t()).float().sum()
    loss.backward()
    s.optimizer.step()


PROGRAMS: dict[tuple[str, int], Callable[[SimpleNamespace, Setting], None]] = {
    ("AMP101", 0): own_optimizer,
    ("AMP102", 0): usual,
    ("AMP103", 0): usual,
    ("AMP103", 1): clipping_trainer,
    ("AMP105", 0): usual,
    ("AMP107", 0): usual,
    ("AMP108", 0): usual,
    ("AMP108", 1): running_trainer,
    ("AMP109", 0): usual,
    ("AMP109", 1): with_scaler,
    ("AMP109", 2): accumulating,
    ("AMP110", 0): two_optimizers,
    ("AMP110", 1): several_optimizers,
    ("AMP114", 0): usual,
    ("AMP124", 0): of_loss,
    ("AMP126", 0): usual,
    ("AMP126", 1): stepping_trainer,
    ("AMP128", 0): of_loss,
    ("AMP139", 0): of_loss,
    ("AMP140", 0): usual,
    ("AMP207", 0): usual,
    ("AMP207", 1): learner,
    ("AMP210", 0): step_of_model,
    ("AMP216", 0): probabilities,
    ("AMP224", 0): multiply,
}


@pytest.mark.filterwarnings("ignore:Detected call of")  # a schedule before the first step, in an example about that
@pytest.mark.parametrize(("rule", "number"), PROGRAMS, ids=str)
def test_a_fixed_program_trains(rule: str, number: int, tmp_path: Path) -> None:
    example = plugins().rules[rule].examples[number]
    assert isinstance(example, Bad)
    done = fixed(tmp_path, write(tmp_path, example.files), only=rule)
    assert done.applied
    (text,) = texts(done.sources).values()
    space: dict[str, Any] = {}
    exec(compile(text.replace('"cuda"', '"cpu"'), rule, "exec"), space)
    setting = Setting()
    before = setting.model.weight.detach().clone()
    PROGRAMS[rule, number](SimpleNamespace(**space), setting)
    assert torch.isfinite(setting.model.weight).all()
    assert not torch.equal(setting.model.weight, before)


def result(rule: str, number: int, name: str, tmp_path: Path) -> Callable[..., torch.Tensor]:
    example = plugins().rules[rule].examples[number]
    done = fixed(tmp_path, write(tmp_path, example.files), only=rule)
    (text,) = texts(done.sources).values()
    space: dict[str, Any] = {}
    exec(compile(text.replace('"cuda"', '"cpu"'), rule, "exec"), space)
    found: Callable[..., torch.Tensor] = space[name]
    return found


def test_a_scatter_of_half_values_works_once_they_are_cast(tmp_path: Path) -> None:
    gather = result("AMP220", 0, "gather", tmp_path)
    assert gather(torch.randn(3, 8), torch.tensor([0, 1, 1]), 2).shape == (2, 8)
    masked = result("AMP220", 1, "masked", tmp_path)
    out = masked(torch.ones(2, 4), torch.ones(4, 8), torch.ones(2))
    assert torch.equal(out, torch.full((2, 8), 4.0))


def test_the_logarithm_of_a_small_probability_is_finite(tmp_path: Path) -> None:
    entropy = result("AMP304", 1, "entropy", tmp_path)
    assert torch.isfinite(entropy(torch.tensor([[0.0, 60.0]]))).all()
    doubtful = result("AMP304", 1, "doubtful", tmp_path)
    assert torch.isfinite(doubtful(torch.tensor([20.0]))).all()


def test_a_masked_score_is_no_number_beyond_half(tmp_path: Path) -> None:
    example = plugins().rules["AMP301"].examples[0]
    done = fixed(tmp_path, write(tmp_path, example.files), only="AMP301")
    (text,) = texts(done.sources).values()
    space: dict[str, Any] = {}
    exec(compile(text, "AMP301", "exec"), space)
    attention = space["Attention"](8, 2).half()
    assert torch.isfinite(attention(torch.randn(1, 3, 8).half(), torch.tensor([[1, 1, 0]]))).all()
