"""What torch really does with the arguments that AMP134, AMP702 and AMP703 report."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

CPU_AMP: Any = torch.cpu.amp


def _after_one_step(scaler: torch.amp.GradScaler) -> float:
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    loss: Any = scaler.scale(weight.sum())
    loss.backward()
    scaler.step(optimizer)
    return weight.item()


def test_a_flag_by_position_is_the_old_scalers_scale_and_ruins_the_weights() -> None:
    with pytest.warns(FutureWarning, match="GradScaler"):
        scaler = CPU_AMP.GradScaler(False)
    assert scaler.is_enabled()
    assert math.isnan(_after_one_step(scaler))


def test_a_flag_by_position_leaves_the_new_scaler_on() -> None:
    assert torch.amp.GradScaler("cpu").is_enabled()
    assert torch.amp.GradScaler(False).is_enabled()  # type: ignore[arg-type]


def test_a_whole_number_given_to_update_raises() -> None:
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(torch.ones(()))
    with pytest.raises(AttributeError):
        scaler.update(1024)


def test_a_flag_in_the_place_of_a_dtype_raises() -> None:
    with pytest.warns(UserWarning, match="not supported"):
        context = torch.amp.autocast("cpu", True)  # type: ignore[arg-type]
    with pytest.raises(TypeError), context:
        pass


def test_a_scaler_with_bfloat16_only_grows() -> None:
    scaler = torch.amp.GradScaler("cpu", growth_interval=1)
    weight = torch.nn.Parameter(torch.ones(4, 4))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    for _ in range(20):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = (weight @ torch.ones(4, 4)).sum()
        scaled: Any = scaler.scale(loss)
        scaled.backward()
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == 2.0**36
