"""What a path knows about the autocast context that its loss was computed in."""

from __future__ import annotations

from typing import Any

from stages.logic.engine.contexts import forward_cast
from stages.logic.engine.events import Backward, Scaled, ScalerMade
from stages.logic.engine.values import Autocast
from tests.stages.logic.recording import followed, of

_STEP = """
    import torch

    def train(model, loader, optimizer, flag, wants_bf16):
        scaler = torch.amp.GradScaler("cuda", enabled=flag)
        for batch in loader:
            {forward}
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
"""


def dtypes(forward: str, kind: type = Backward) -> set[tuple[bool | None, str | None]]:
    """Return, of every path, whether the scaler is on and in which dtype the forward ran."""
    seen = followed(_STEP.replace("{forward}", forward.replace("\n", "\n            ")))
    return {(_scales(event), _dtype(event)) for event in of(seen, kind)}


def _scales(event: Any) -> bool | None:
    return event.scaler.enabled if isinstance(event, Scaled) else event.carries is not None


def _dtype(event: Any) -> str | None:
    active = forward_cast(event.state)
    return active.context.dtype if active is not None and isinstance(active.context, Autocast) else None


def test_backward_knows_the_context_that_was_left_before_it() -> None:
    forward = "with torch.autocast('cuda', dtype=torch.bfloat16):\n    loss = model(batch)"
    assert dtypes(forward) == {(True, "bfloat16"), (False, "bfloat16")}


def test_a_context_that_shares_its_flag_with_the_scaler_is_on_when_the_scaler_is() -> None:
    forward = "with torch.autocast('cuda', enabled=flag):\n    loss = model(batch)"
    assert dtypes(forward, Scaled) == {(True, "float16"), (False, None)}


def test_a_context_that_is_off_or_wants_no_gradient_is_not_the_forward() -> None:
    forward = (
        "with torch.no_grad(), torch.autocast('cuda'):\n    model(batch)\n"
        "with torch.autocast('cuda', enabled=False):\n    loss = model(batch)"
    )
    assert dtypes(forward, Scaled) == {(True, None), (False, None)}


def test_a_step_ends_what_a_context_tells_about_the_next_loss() -> None:
    forward = "loss = model(batch)\nscaler.step(optimizer)\nloss = model(batch)"
    assert {dtype for _, dtype in dtypes(forward)} == {None}


def test_paths_with_different_half_dtypes_stay_apart() -> None:
    forward = (
        "dtype = torch.bfloat16 if wants_bf16 else torch.float16\n"
        "with torch.autocast('cuda', dtype=dtype):\n    loss = model(batch)"
    )
    assert {dtype for _, dtype in dtypes(forward)} == {"bfloat16", "float16"}


def test_a_scaler_is_for_cuda_unless_it_is_told() -> None:
    seen = followed("""
        import torch

        first = torch.amp.GradScaler()
        second = torch.amp.GradScaler("cpu")
        third = torch.cpu.amp.GradScaler()
        fourth = torch.cuda.amp.GradScaler()
    """)
    assert [event.scaler.device for event in of(seen, ScalerMade)] == ["cuda", "cpu", "cpu", "cuda"]


def test_a_dtype_is_told_from_another_one() -> None:
    forward = (
        "dtype = torch.bfloat16 if wants_bf16 else torch.half\n"
        "with torch.autocast('cuda', enabled=dtype is torch.float16):\n    loss = model(batch)\n"
        "if dtype == torch.bfloat16:\n    continue"
    )
    assert {dtype for _, dtype in dtypes(forward)} == {"float16"}
