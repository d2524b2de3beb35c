"""AMP211, 212, 217, 218, 226, 602, 701, 702, 703: how contexts and scalers are made and used."""

from __future__ import annotations

import pytest
import torch

from tests.amp_runtime.instrument.rules.saying import only_alarm, silent
from tests.amp_runtime.instrument.watching import Program, program


def _loss(x: torch.Tensor) -> torch.Tensor:
    return x.mean()


def test_the_class_as_a_decorator() -> None:
    def train() -> None:
        torch.autocast(_loss)  # type: ignore[arg-type]

    alarm = only_alarm(train, "AMP211", "torch.autocast(")
    assert "_loss" in alarm.message


def test_the_old_class_as_a_decorator() -> None:
    def train() -> None:
        decorated = torch.cuda.amp.autocast(_loss)
        decorated(torch.zeros(2))

    only_alarm(train, "AMP211", "torch.cuda.amp.autocast(")


def test_a_context_called_on_a_module() -> None:
    made = program()

    def train() -> None:
        torch.autocast("cpu", dtype=torch.bfloat16)(made.model)

    alarm = only_alarm(train, "AMP212", "torch.autocast(")
    assert "Sequential" in alarm.message


def test_contexts_that_decorate_functions_are_fine() -> None:
    def train() -> None:
        torch.autocast("cpu", dtype=torch.bfloat16)(_loss)(torch.zeros(2))

    silent(train, "AMP212")


def test_a_context_of_one_half_type_in_the_other() -> None:
    made = program()

    def train() -> None:
        with torch.autocast("cpu", dtype=torch.float16):
            made.model(made.inputs)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                made.model(made.inputs)

    alarm = only_alarm(train, "AMP217", "bfloat16")
    assert "BFloat16 and Half" in alarm.message


def test_two_half_types_that_share_no_weights_are_fine() -> None:
    made, other = program(), program()

    def train() -> None:
        with torch.autocast("cpu", dtype=torch.float16):
            first = made.model(made.inputs).float()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                second = other.model(made.inputs).float()
        (first + second).mean().backward()

    silent(train)


@pytest.mark.parametrize("dtype", [torch.float32, "bfloat16"])
def test_a_type_that_autocast_has_not(dtype: torch.dtype) -> None:
    made = program()

    def train() -> None:
        with torch.autocast("cpu", dtype=dtype):
            made.model(made.inputs)

    only_alarm(train, "AMP218", "torch.autocast(")


def test_autocast_that_is_turned_off_may_have_any_type() -> None:
    def train() -> None:
        with torch.autocast("cpu", dtype=torch.float32, enabled=False):
            pass

    silent(train, "AMP218")


def _train(made: Program, steps: int = 2) -> None:
    for _ in range(steps):
        made.optimizer.zero_grad()
        made.scaler.scale(made.loss()).backward()
        made.scaler.step(made.optimizer)
        made.scaler.update()


def test_an_evaluation_without_autocast() -> None:
    made = program()

    def train() -> None:
        for _ in range(2):
            _train(made)
            made.model.eval()
            with torch.no_grad():
                made.model(made.inputs)
            made.model.train()

    alarm = only_alarm(train, "AMP226", "made.model(made.inputs)")
    assert alarm.count == 2


def test_an_evaluation_under_autocast_or_after_training_without_it_is_fine() -> None:
    made, plain = program(), program()

    def train() -> None:
        _train(made)
        made.model.eval()
        with torch.no_grad():
            made.loss()
        plain.model(made.inputs).mean().backward()
        plain.optimizer.step()
        plain.model.eval()
        plain.model(made.inputs)

    silent(train, "AMP226")


def test_a_module_that_enters_autocast_itself_is_evaluated_under_it() -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(8, 1)

        @torch.autocast("cpu", dtype=torch.bfloat16)
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x).float()

    made, net = program(), Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def train() -> None:
        net(made.inputs).mean().backward()
        optimizer.step()
        net.eval()
        net(made.inputs)

    silent(train, "AMP226")


def test_tracing_in_a_context_that_caches() -> None:
    made = program()

    def train() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.jit.trace(made.model, made.inputs)

    only_alarm(train, "AMP602", "torch.jit.trace")


def test_tracing_in_a_context_that_does_not_is_fine() -> None:
    made = program()

    def train() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
            torch.jit.trace(made.model, made.inputs)

    silent(train)


def test_the_old_names() -> None:
    made = program()

    def train() -> None:
        with torch.cpu.amp.autocast():
            made.model(made.inputs)

    def scale() -> None:
        torch.cpu.amp.GradScaler()

    assert 'torch.amp.autocast("cpu")' in only_alarm(train, "AMP701", "autocast()").message
    assert 'torch.amp.GradScaler("cpu")' in only_alarm(scale, "AMP701", "GradScaler()").message


@pytest.mark.parametrize("arguments", [("cpu", True), (True,), ("cpu", torch.bfloat16, torch.bfloat16)])
def test_arguments_of_autocast_in_the_wrong_place(arguments: tuple[object, ...]) -> None:
    made = program()

    def train() -> None:
        with torch.autocast(*arguments):  # type: ignore[arg-type]
            made.model(made.inputs)

    only_alarm(train, "AMP702", "torch.autocast(")


def test_a_type_for_a_flag_of_the_old_class() -> None:
    made = program()

    def train() -> None:
        with torch.cpu.amp.autocast(torch.bfloat16):  # type: ignore[arg-type]
            made.model(made.inputs)

    only_alarm(train, "AMP702", "autocast(")


def test_arguments_of_autocast_in_their_place_are_fine() -> None:
    def train() -> None:
        with torch.autocast("cpu", torch.bfloat16, True, False), torch.autocast("cpu", dtype=None):
            pass

    silent(train, "AMP702")


def test_a_flag_for_the_device_of_a_scaler() -> None:
    alarm = only_alarm(lambda: torch.amp.GradScaler(False), "AMP703", "AMP703")
    assert "its scale is 65536" in alarm.message


def test_a_flag_for_the_scale_of_the_old_scaler() -> None:
    def train() -> None:
        torch.cpu.amp.GradScaler(True)

    alarm = only_alarm(train, "AMP703", "GradScaler(")
    assert "True as init_scale" in alarm.message
    assert alarm.message.endswith("; its scale is 1.")


def test_scalers_whose_arguments_are_in_their_place_are_fine() -> None:
    def train() -> None:
        torch.amp.GradScaler("cpu", 2.0**14)
        torch.amp.GradScaler("cpu", enabled=False)
        torch.amp.GradScaler(device="cpu", init_scale=1024.0)

    silent(train, "AMP703")
