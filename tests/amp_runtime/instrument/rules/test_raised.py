"""AMP215, 216, 219, 220, 222 to 225: what torch refuses under autocast, and the line it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.amp_runtime.instrument.rules.saying import only_alarm, said, silent
from tests.amp_runtime.instrument.watching import program

_PLACES = torch.tensor([0, 1, 2, 3])


def _autocast() -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16)


def test_a_numpy_array_of_bfloat16() -> None:
    made = program()

    def train() -> None:
        with _autocast():
            out = made.model(made.inputs)
        out.detach().numpy()

    only_alarm(train, "AMP215", ".numpy()")


def test_a_half_tensor_in_a_region_that_is_off() -> None:
    made = program()

    def train() -> None:
        with _autocast():
            hidden = made.model[0](made.inputs)
            with torch.autocast("cpu", enabled=False):
                made.model[2](hidden)

    alarm = only_alarm(train, "AMP213", "made.model[2]")
    assert "BFloat16 and Float" in alarm.message


def test_a_constant_that_masked_fill_refuses() -> None:
    def train() -> None:
        torch.zeros(3, dtype=torch.float16).masked_fill(torch.ones(3) > 0, -1e9)

    only_alarm(train, "AMP301", "-1e9")


def test_bce_under_autocast() -> None:
    made = program()

    def train() -> None:
        with _autocast():
            probabilities = torch.sigmoid(1000 * made.model(made.inputs)).float()
            loss = torch.nn.functional.binary_cross_entropy(probabilities, torch.ones(4, 1))
        loss.backward()

    alarm = only_alarm(train, "AMP216", "torch.nn.functional.binary_cross_entropy")
    assert alarm.values["rounded"] > 0


def test_bce_outside_of_it_or_with_logits_is_fine() -> None:
    made = program()

    def train() -> None:
        with _autocast():
            logits = made.model(made.inputs)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.ones(4, 1))
        (loss + torch.nn.functional.binary_cross_entropy(torch.sigmoid(logits.float()), torch.ones(4, 1))).backward()

    silent(train, "AMP216")


def test_a_product_into_a_given_tensor() -> None:
    made = program()

    def train() -> None:
        with _autocast(), torch.no_grad():
            hidden = made.model[0](made.inputs)
            torch.zeros(4, 4).addmm_(hidden, hidden.t())

    only_alarm(train, "AMP219", "addmm_")


def test_a_product_out_of_place_is_fine() -> None:
    made = program()

    def train() -> None:
        with _autocast():
            hidden = made.model[0](made.inputs)
            loss = torch.addmm(torch.zeros(4, 4), hidden, hidden.t()).mean()
        loss.backward()

    silent(train)


@pytest.mark.parametrize(
    "put",
    [
        lambda buffer, half: buffer.__setitem__(_PLACES, half),
        lambda buffer, half: buffer.scatter_(0, torch.zeros(4, 16, dtype=torch.long), half),
        lambda buffer, half: buffer.scatter_add_(0, torch.zeros(4, 16, dtype=torch.long), half),
        lambda buffer, half: buffer.index_add_(0, _PLACES, half),
        lambda buffer, half: buffer.index_copy_(0, _PLACES, half),
        lambda buffer, half: buffer.masked_scatter_(torch.ones(4, 16, dtype=torch.bool), half),
    ],
)
def test_half_values_scattered_into_float32(put: Callable[[torch.Tensor, torch.Tensor], object]) -> None:
    made = program()

    def train(cast: bool) -> None:
        with _autocast():
            half = made.model[0](made.inputs)
            put(torch.zeros(4, 16), half.float() if cast else half)

    assert [alarm.code for alarm in said(lambda: train(False)).alarms] == ["AMP220"]
    silent(lambda: train(True))


def test_float64_data() -> None:
    made = program()

    def train() -> None:
        with _autocast():
            made.model(made.inputs.double())

    only_alarm(train, "AMP222", "double()")


class _Plain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        x, w = ctx.saved_tensors
        return gradient @ w.t(), x.t() @ gradient


class _Half(_Plain):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return _Plain.forward(ctx, x, w)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return _Plain.backward(ctx, gradient)


class _Other(_Plain):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(ctx: Any, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return _Plain.forward(ctx, x.float(), w)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return tuple(one.float() for one in _Plain.backward(ctx, gradient))


class _Right(_Plain):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx: Any, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return _Plain.forward(ctx, x, w)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return _Plain.backward(ctx, gradient)


def _through(function: Any) -> Callable[[], None]:
    made, weight = program(), torch.randn(8, 8, requires_grad=True)

    def train() -> None:
        x = made.inputs.clone().requires_grad_()
        with _autocast():
            loss = function.apply(x, weight).float().mean()
        loss.backward()

    return train


def test_a_function_that_says_nothing_of_autocast() -> None:
    alarm = only_alarm(_through(_Plain), "AMP223", "def forward", within=_Plain)  # type: ignore[arg-type]
    assert "_Plain" in alarm.message


def test_custom_bwd_without_custom_fwd() -> None:
    only_alarm(_through(_Half), "AMP224", "def forward", within=_Half)  # type: ignore[arg-type]


def test_custom_fwd_for_another_device() -> None:
    alarm = only_alarm(_through(_Other), "AMP225", "custom_fwd", within=_Other)  # type: ignore[arg-type]
    assert "is for cuda, and runs on cpu" in alarm.message


def test_a_function_with_both_decorators_is_fine() -> None:
    silent(_through(_Right), "AMP225")
