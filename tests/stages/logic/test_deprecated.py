"""The rewritten call means what the old one meant, for every way of passing its arguments."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.logic.deprecated import is_deprecated, rewritten, today

CUDA_AMP: Any = torch.cuda.amp
CPU_AMP: Any = torch.cpu.amp
OLD: dict[str, Any] = {
    "torch.cuda.amp.autocast": CUDA_AMP.autocast,
    "torch.cpu.amp.autocast": CPU_AMP.autocast,
    "torch.cuda.amp.GradScaler": CUDA_AMP.GradScaler,
    "torch.cpu.amp.GradScaler": CPU_AMP.GradScaler,
}
NEW: dict[str, Any] = {"autocast": torch.amp.autocast, "GradScaler": torch.amp.GradScaler}


def call_of(text: str) -> ast.Call:
    node = ast.parse(text, mode="eval").body
    assert isinstance(node, ast.Call)
    return node


def bound(target: Any, call: ast.Call) -> dict[str, Any]:
    """Return which parameter gets which argument, as Python binds them."""
    signature = inspect.signature(target.__init__)
    arguments = [ast.unparse(item) for item in call.args]
    keywords = {item.arg: ast.unparse(item.value) for item in call.keywords if item.arg}
    return {name: value for name, value in signature.bind(None, *arguments, **keywords).arguments.items() if value}


@given(st.sampled_from(sorted(OLD)), st.integers(0, 3), st.integers(0, 3))
def test_every_argument_keeps_its_parameter(name: str, positional: int, extra: int) -> None:
    parameters = list(inspect.signature(OLD[name].__init__).parameters)[1:]
    by_name = parameters[positional : positional + extra]
    call = call_of(f"{name}({', '.join([*(f'v{i}' for i in range(positional)), *(f'{n}=w_{n}' for n in by_name)])})")
    new = call_of(rewritten(call, name))
    assert len(new.args) == 1
    device = ast.literal_eval(new.args[0])
    assert device in name
    got = bound(NEW[name.rpartition(".")[2]], new)
    del got["device_type" if "autocast" in name else "device"]
    assert got == bound(OLD[name], call)


def test_a_bare_decorator_becomes_a_call_with_its_device() -> None:
    assert rewritten(None, "torch.cuda.amp.custom_bwd") == 'torch.amp.custom_bwd(device_type="cuda")'
    call = call_of("custom_fwd(cast_inputs=torch.float32)")
    expected = 'torch.amp.custom_fwd(cast_inputs=torch.float32, device_type="cuda")'
    assert rewritten(call, "torch.cuda.amp.custom_fwd") == expected


@pytest.mark.parametrize("kind", ["gpu", "cpu"])
def test_getters_and_setters_take_the_device_first(kind: str) -> None:
    name = f"torch.set_autocast_{kind}_dtype"
    assert is_deprecated(name)
    assert today(name) == "torch.set_autocast_dtype"
    device = "cuda" if kind == "gpu" else "cpu"
    assert rewritten(call_of(f"{name}(dtype)"), name) == f"torch.set_autocast_dtype('{device}', dtype)"


def test_what_is_new_is_not_deprecated() -> None:
    for name in ("torch.amp.autocast", "torch.autocast", "torch.is_autocast_enabled", "torch.get_autocast_dtype"):
        assert not is_deprecated(name)
