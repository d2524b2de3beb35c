"""AMP103 by hand, and AMP121 to 123: what programs do to gradients, and read of them, before they are unscaled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.amp_runtime.instrument.watching import Program, codes, only_alarm, program, watch

Parameters = list[torch.nn.Parameter]


def _train(made: Program, edit: Callable[[], object], *, unscale: bool = False, steps: int = 3) -> None:
    for _ in range(steps):
        made.optimizer.zero_grad()
        made.scaler.scale(made.loss()).backward()
        if unscale:
            made.scaler.unscale_(made.optimizer)
        edit()
        made.scaler.step(made.optimizer)
        made.scaler.update()


def _edited(edit: Callable[[Parameters], object], *, unscale: bool = False) -> Any:
    """Return the alarms of a training whose gradients are edited; all must be on the marked line of `edit`."""
    made = program()
    report = watch(lambda: _train(made, lambda: edit(list(made.model.parameters())), unscale=unscale))
    assert report.problems == ()
    return report.alarms


def _nan_to_num(parameters: Parameters) -> None:
    for one in parameters:
        torch.nan_to_num(one.grad, nan=0.0, posinf=1e5, neginf=-1e5, out=one.grad)  # here


def _index(parameters: Parameters) -> None:
    for one in parameters:
        assert one.grad is not None
        one.grad[~torch.isfinite(one.grad)] = 0  # here


def _masked_fill(parameters: Parameters) -> None:
    for one in parameters:
        assert one.grad is not None
        one.grad.data.masked_fill_(torch.isnan(one.grad) | torch.isinf(one.grad), 0.0)  # here


def _where(parameters: Parameters) -> None:
    for one in parameters:
        assert one.grad is not None
        one.grad = torch.where(one.grad.isfinite(), one.grad, torch.zeros_like(one.grad))  # here


def _noise(parameters: Parameters) -> None:
    for one in parameters:
        assert one.grad is not None
        one.grad.add_(torch.randn_like(one) * 0.01)  # here


def _decay(parameters: Parameters) -> None:
    torch._foreach_add_([one.grad for one in parameters], [one.detach() for one in parameters], alpha=1e-3)  # here


def _clamp(parameters: Parameters) -> None:
    for one in parameters:
        assert one.grad is not None
        one.grad.data.clamp_(-1.0, 1.0)  # here


def _normalise(parameters: Parameters) -> None:
    for one in parameters:
        assert one.grad is not None
        one.grad = one.grad / (one.grad.norm() + 1e-8)  # here


def _adaptive(parameters: Parameters) -> None:
    for one in parameters:
        assert one.grad is not None
        limit = one.detach().norm().clamp(min=1e-3) * 0.01
        norm = one.grad.detach().norm()
        clipped = one.grad * (limit / norm.clamp(min=1e-6))
        one.grad.detach().copy_(torch.where(norm < limit, one.grad, clipped))  # here


def _clip_by_tensor(parameters: Parameters) -> None:
    norm = torch.stack([one.grad.norm() for one in parameters if one.grad is not None]).norm()
    factor = torch.clamp(0.5 / (norm + 1e-6), max=1.0)
    for one in parameters:
        assert one.grad is not None
        one.grad.mul_(factor)  # here


def _clip_by_number(parameters: Parameters) -> None:
    total = 0.0
    for one in parameters:
        assert one.grad is not None
        total += one.grad.data.norm(2).item() ** 2
    factor = 0.37 / (total**0.5 + 1e-6)
    for one in parameters:
        assert one.grad is not None
        one.grad.data.mul_(factor)  # here


def _norms(parameters: Parameters) -> None:
    total = 0.0
    for one in parameters:
        assert one.grad is not None
        total += one.grad.norm().item() ** 2  # here


def _total_norm(parameters: Parameters) -> None:
    torch.nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None])  # here


def _histogram(parameters: Parameters) -> None:
    for one in parameters:
        assert one.grad is not None
        one.grad.cpu().numpy()  # here


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (_nan_to_num, "AMP121"),
        (_index, "AMP121"),
        (_masked_fill, "AMP121"),
        (_where, "AMP121"),
        (_noise, "AMP122"),
        (_decay, "AMP122"),
        (_clamp, "AMP122"),
        (_normalise, "AMP122"),
        (_adaptive, "AMP122"),
        (_clip_by_tensor, "AMP103"),
        (_clip_by_number, "AMP103"),
        (_norms, "AMP123"),
        (_total_norm, "AMP123"),
        (_histogram, "AMP123"),
    ],
)
def test_what_is_done_to_scaled_gradients(edit: Callable[[Parameters], object], code: str) -> None:
    import inspect

    lines, first = inspect.getsourcelines(edit)
    (line,) = [number for number, text in enumerate(lines, start=first) if "# here" in text]
    found = _edited(edit)
    assert [(alarm.code, alarm.frames[-1].line, alarm.values["scale"]) for alarm in found] == [(code, line, 1024.0)]
    assert _edited(edit, unscale=True) == ()


def _average(parameters: Parameters) -> None:
    for one in parameters:
        assert one.grad is not None
        one.grad.div_(2)


def _centralise(parameters: Parameters) -> None:
    for one in parameters:
        assert one.grad is not None
        one.grad.sub_(one.grad.mean())


def _look_whether_finite(parameters: Parameters) -> None:
    for one in parameters:
        assert one.grad is not None
        if not torch.isfinite(one.grad).all() or torch.isnan(one.grad.sum()) or not torch.isfinite(one.grad.norm()):
            raise ValueError


def _freeze_rows(parameters: Parameters) -> None:
    assert parameters[0].grad is not None
    parameters[0].grad[:2] = 0


def _move(parameters: Parameters) -> None:
    for one in parameters:
        assert one.grad is not None
        one.grad = one.grad.clone()


def _forget(parameters: Parameters) -> None:
    parameters[0].grad = None


def _flatten(parameters: Parameters) -> None:
    grads = [one.grad for one in parameters if one.grad is not None]
    flat = torch.cat([one.reshape(-1) for one in grads]) / 3
    for one, new in zip(grads, flat.split([one.numel() for one in grads]), strict=True):
        one.copy_(new.view_as(one))


@pytest.mark.parametrize(
    "edit", [_average, _centralise, _look_whether_finite, _freeze_rows, _move, _forget, _flatten, lambda _one: None]
)
@pytest.mark.parametrize("unscale", [False, True])
def test_what_may_be_done_to_scaled_gradients(edit: Callable[[Parameters], object], unscale: bool) -> None:
    assert _edited(edit, unscale=unscale) == ()


def test_numbers_that_are_divided_by_the_scale() -> None:
    made = program()
    seen = []

    def log() -> None:
        norm = torch.nn.utils.get_total_norm([one.grad for one in made.model.parameters() if one.grad is not None])
        seen.append(float(norm) / made.scaler.get_scale())

    assert codes(lambda: _train(made, log)) == []


def test_unscaling_by_hand() -> None:
    made = program()

    def train() -> None:
        for _ in range(14):  # past the steps that are looked at closely
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            for one in made.model.parameters():
                assert one.grad is not None
                one.grad.div_(made.scaler.get_scale())
            torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
            made.optimizer.step()

    assert codes(train) == []


@pytest.mark.parametrize("kind", ["hook", "post"])
def test_a_hook_that_clamps(kind: str) -> None:
    made = program()
    weight = made.model[0].weight

    def train() -> None:
        if kind == "hook":
            weight.register_hook(lambda grad: grad.clamp(-1.0, 1.0))  # clamps
        else:
            weight.register_post_accumulate_grad_hook(lambda one: one.grad.clamp_(-1.0, 1.0))
        _train(made, lambda: None)

    only_alarm(train, "AMP122", "# clamps" if kind == "hook" else "clamp_(")


def test_a_hook_that_watches() -> None:
    made, seen = program(), []

    def watching(grad: torch.Tensor) -> None:
        seen.append(grad.norm().item())

    def train() -> None:
        for one in made.model.parameters():
            one.register_hook(watching)
        _train(made, lambda: None)

    (alarm,) = watch(train).alarms
    assert (alarm.code, alarm.frames[-1].line) == ("AMP123", watching.__code__.co_firstlineno + 1)
    assert len(seen) == 12


def test_hooks_that_do_no_harm() -> None:
    made, seen = program(), []

    def train() -> None:
        handle = made.model[0].weight.register_hook(lambda grad: grad * 0.5)
        made.model[0].weight.register_hook(lambda grad: seen.append(grad.shape))
        _train(made, lambda: None)
        handle.remove()
        made.model[0].weight.register_hook(lambda grad: grad.clamp(-1, 1))
        made.loss(torch.bfloat16).backward()  # not scaled

    assert codes(train) == []
    assert len(seen) == 4


def test_a_mode_of_the_program_is_left_alone() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    made = program()

    def train() -> None:
        with FlopCounterMode(display=False) as counter:
            _train(made, lambda: None)
        assert counter.get_total_flops()
        for _ in range(2):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            with FlopCounterMode(display=False):
                made.scaler.unscale_(made.optimizer)
            made.scaler.step(made.optimizer)
            made.scaler.update()

    assert codes(train) == []
    assert not torch.utils._python_dispatch._get_current_dispatch_mode_stack()


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("before", [False, True])
def test_a_compiled_program_stays_compiled(inside: bool, before: bool) -> None:
    made = program()

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.float16, enabled=inside):
            return made.model(inputs)

    torch._dynamo.reset()
    compiled = torch.compile(forward, backend="aot_eager") if before else None
    seen = []

    def train() -> None:
        run = compiled or torch.compile(forward, backend="aot_eager")
        for _ in range(2):
            made.optimizer.zero_grad()
            for _micro in range(2):
                with torch.autocast("cpu", dtype=torch.float16, enabled=not inside):
                    out = run(made.inputs)
                seen.append(type(out.grad_fn).__name__)
                made.scaler.scale(out.float().pow(2).mean()).backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()

    assert not [code for code in codes(train) if code.startswith("AMP1")]
    assert set(seen) == {"CompiledFunctionBackward"}
    torch._dynamo.reset()
