"""Hazards of autocast and of parameters put into a workload, one at a time: each is the only thing that is reported."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from amp_runtime import workloads
from tests.amp_runtime.instrument.rules.saying import only_alarm

pytest.importorskip("sklearn")

IMAGES = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def _turns(workload: Any, count: int = 3) -> None:
    for _ in range(count):
        workload.step()


def around_all_steps(workload: Any) -> None:
    workload.training_step._refuse_outer_autocast = lambda: None  # our own step sees this one itself
    with torch.autocast("cpu", dtype=torch.bfloat16):  # AMP201
        _turns(workload)


def weights_loaded_inside(workload: Any) -> None:
    _turns(workload)
    other = {name: value + 1 for name, value in workload.model.state_dict().items()}
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        workload.model(IMAGES)
        workload.model.load_state_dict(other)  # AMP202
        workload.model(IMAGES)


def switched_on_for_all(workload: Any) -> None:
    torch.set_autocast_enabled("cpu", True)  # AMP203
    try:
        _turns(workload, 1)
    finally:
        torch.set_autocast_enabled("cpu", False)


def computed_in_a_thread(workload: Any) -> None:
    _turns(workload)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        thread = threading.Thread(target=workload.model, args=(IMAGES,))
        thread.start()  # AMP206
        thread.join()


def for_another_device(workload: Any) -> None:
    @contextlib.contextmanager
    def autocast() -> Iterator[None]:
        with torch.autocast("xpu", dtype=torch.bfloat16):  # AMP209
            yield

    workload.policy.autocast = autocast
    _turns(workload)


def made_and_dropped(workload: Any) -> None:
    _turns(workload)
    torch.autocast("cpu", dtype=torch.bfloat16)  # AMP210
    _turns(workload)


def around_the_module(workload: Any) -> None:
    _turns(workload)
    torch.autocast("cpu", dtype=torch.bfloat16)(workload.model)  # AMP212


def of_a_type_it_has_not(workload: Any) -> None:
    _turns(workload)
    with torch.autocast("cpu", dtype=torch.float64):  # AMP218
        workload.model(IMAGES)


def halved_and_back(workload: Any) -> None:
    _turns(workload)
    workload.model.half().state_dict()  # AMP405
    workload.model.float()
    _turns(workload)


def cast_between_steps(workload: Any) -> None:
    _turns(workload)
    workload.model.to(torch.bfloat16)  # AMP406
    _turns(workload)


def loaded_in_half(workload: Any) -> None:
    _turns(workload)
    half = {name: value.half() for name, value in workload.model.state_dict().items()}
    workload.model.load_state_dict(half, assign=True)  # AMP413
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = workload.model(IMAGES).float().mean()
    loss.backward()


def of_the_old_class(workload: Any) -> None:
    workload.policy.autocast = lambda: torch.cpu.amp.autocast(dtype=torch.bfloat16)  # AMP701
    _turns(workload)


HAZARDS: dict[str, Callable[[Any], None]] = {
    "AMP201": around_all_steps,
    "AMP202": weights_loaded_inside,
    "AMP203": switched_on_for_all,
    "AMP206": computed_in_a_thread,
    "AMP209": for_another_device,
    "AMP210": made_and_dropped,
    "AMP212": around_the_module,
    "AMP218": of_a_type_it_has_not,
    "AMP405": halved_and_back,
    "AMP406": cast_between_steps,
    "AMP413": loaded_in_half,
    "AMP701": of_the_old_class,
}


@pytest.mark.parametrize("code", HAZARDS)
def test_a_hazard_in_a_workload(code: str) -> None:
    hazard = HAZARDS[code]
    only_alarm(lambda: hazard(workloads.digits(amp=True, seed=0)), code, f"# {code}", within=hazard)
