"""Small trainings that tests run under the sanitizer, and what it said of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from amp_runtime.instrument.sanitizer import Sanitizer

if TYPE_CHECKING:
    from amp_runtime.instrument.records import Alarm, SanitizerReport


@dataclass
class Program:
    """A model, an optimizer, a scaler and data, small enough for a test."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    scaler: Any
    inputs: torch.Tensor
    targets: torch.Tensor

    def loss(self, dtype: torch.dtype = torch.float16) -> torch.Tensor:
        with torch.autocast("cpu", dtype=dtype):
            return torch.nn.functional.mse_loss(self.model(self.inputs).float(), self.targets)


def program(*, lr: float = 0.01, adam: bool = False, init_scale: float = 2.0**10) -> Program:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    kind: Any = torch.optim.Adam if adam else torch.optim.SGD
    return Program(
        model=model,
        optimizer=kind(model.parameters(), lr=lr),
        scaler=torch.amp.GradScaler("cpu", init_scale=init_scale),
        inputs=torch.randn(4, 8),
        targets=torch.randn(4, 1),
    )


def watch(train: Callable[[], object]) -> SanitizerReport:
    """Run a training under the sanitizer; what it raises is its own affair."""
    sanitizer = Sanitizer(roots=())
    try:
        with sanitizer:
            train()
    except (RuntimeError, AssertionError, ValueError, AttributeError, TypeError):
        pass
    return sanitizer.report()


def only_alarm(train: Callable[[], object], code: str, text: str) -> Alarm:
    """Return the one alarm of a training, which must be `code` on the line of `train` that holds `text`."""
    report = watch(train)
    assert [alarm.code for alarm in report.alarms] == [code], [alarm.message for alarm in report.alarms]
    (alarm,) = report.alarms
    assert alarm.frames, alarm
    assert (alarm.frames[-1].path, alarm.frames[-1].line) == (train.__code__.co_filename, line_of(train, text))
    return alarm


def codes(train: Callable[[], object]) -> list[str]:
    return sorted({alarm.code for alarm in watch(train).alarms})


def line_of(function: Callable[..., object], text: str) -> int:
    """Return the line of this file's caller on which `text` stands, in the source of `function`."""
    import inspect

    lines, first = inspect.getsourcelines(function)
    (found,) = [number for number, line in enumerate(lines, start=first) if text in line]
    return found
