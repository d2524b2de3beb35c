"""AMP201, 202, 503, 603: forwards that use half copies of weights from before a write."""

from __future__ import annotations

import pytest
import torch

from tests.amp_runtime.instrument.rules.saying import only_alarm, silent
from tests.amp_runtime.instrument.watching import Program, program


def _step(made: Program) -> None:
    made.optimizer.zero_grad()
    torch.nn.functional.mse_loss(made.model(made.inputs).float(), made.targets).backward()
    made.optimizer.step()


def _autocast(**options: object) -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, **options)


def test_a_context_around_the_loop() -> None:
    made = program()

    def train() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for _ in range(3):
                _step(made)

    alarm = only_alarm(train, "AMP201", "torch.autocast(")
    assert alarm.values == {"stale": 4.0, "weights": 4.0}
    assert (alarm.step, alarm.count) == (2, 2)
    assert "SGD.step()" in alarm.message


def test_a_context_around_the_loop_and_one_in_each_turn_with_a_scaler() -> None:
    made = program(adam=True)

    def train() -> None:
        with torch.autocast("cpu", enabled=False):
            for _ in range(2):
                made.optimizer.zero_grad()
                made.scaler.scale(made.loss()).backward()
                made.scaler.step(made.optimizer)
                made.scaler.update()

    only_alarm(train, "AMP201", "torch.autocast(")


def test_contexts_that_no_step_changes_weights_in_are_fine() -> None:
    made = program()

    def train() -> None:
        for _ in range(2):
            with _autocast():
                _step(made)  # one step, and the context is left
        with _autocast(cache_enabled=False):
            _step(made)
            _step(made)
        with torch.no_grad(), _autocast():  # an evaluation
            for _ in range(3):
                made.model(made.inputs)
        with _autocast():
            for _ in range(3):
                made.model(made.inputs).mean().backward()
        made.optimizer.step()

    silent(train)


def test_masters_in_bfloat16_and_compiled_models_are_not_cached() -> None:
    made = program()
    made.model.to(torch.bfloat16)
    optimizer = torch.optim.SGD(made.model.parameters(), lr=1.0)

    def train() -> None:
        with _autocast():
            for _ in range(2):
                made.model(made.inputs).mean().backward()
                optimizer.step()

    silent(train)


def test_a_compiled_model_hides_it() -> None:
    made = program()
    compiled = torch.compile(made.model, backend="aot_eager")

    def train() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for _ in range(2):
                compiled(made.inputs).mean().backward()
                made.optimizer.step()

    only_alarm(train, "AMP603", "torch.autocast(")


def test_loading_between_two_forwards_without_gradients() -> None:
    made, other = program(), program()
    with torch.no_grad():
        other.model[0].weight.add_(1.0)

    def train() -> None:
        with torch.no_grad(), _autocast():
            made.model(made.inputs)
            made.model.load_state_dict(other.model.state_dict())
            made.model(made.inputs)

    alarm = only_alarm(train, "AMP202", "load_state_dict")
    assert alarm.values == {"stale": 1.0}


def test_loading_before_any_forward_is_fine() -> None:
    made, other = program(), program()
    with torch.no_grad():
        other.model[0].weight.add_(1.0)

    def train() -> None:
        with torch.no_grad(), _autocast():
            made.model.load_state_dict(other.model.state_dict())
            made.model(made.inputs)

    silent(train)


def test_weights_perturbed_between_two_forwards() -> None:
    made = program()

    def train() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            first = made.model(made.inputs).mean()
            gradients = torch.autograd.grad(first, list(made.model.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(made.model.parameters(), gradients, strict=True):
                    parameter.add_(gradient)
            second = made.model(made.inputs).mean()
        second.backward()

    alarm = only_alarm(train, "AMP202", "torch.autocast(")
    assert alarm.values == {"stale": 4.0}


def test_weights_perturbed_between_two_contexts_are_fine() -> None:
    made = program()

    def train() -> None:
        with _autocast():
            first = made.model(made.inputs).mean()
        gradients = torch.autograd.grad(first, list(made.model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(made.model.parameters(), gradients, strict=True):
                parameter.add_(gradient)
        with _autocast():
            made.model(made.inputs).mean().backward()

    silent(train)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_context_of_accelerate_around_the_loop() -> None:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)  # it is one for the process, whatever tests ran before
    made = program()
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    model, optimizer = accelerator.prepare(made.model, made.optimizer)

    def train() -> None:
        with accelerator.autocast():
            for _ in range(2):
                optimizer.zero_grad()
                accelerator.backward(model(made.inputs).mean())
                optimizer.step()

    only_alarm(train, "AMP503", "accelerator.autocast(")

    def right() -> None:
        for _ in range(2):
            with accelerator.autocast():
                loss = model(made.inputs).mean()
            accelerator.backward(loss)
            optimizer.step()

    silent(right)
