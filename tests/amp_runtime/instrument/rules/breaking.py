"""A workload whose training is broken on purpose, in one way at a time."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable
from typing import Any

import torch

from amp_runtime import workloads


class Broken:
    """The digits in float16, with one part of their training replaced."""

    def __init__(self, break_it: Callable[[Broken], object]) -> None:
        self.workload: Any = workloads.digits_fp16(amp=True, seed=0)
        self.policy = self.workload.policy
        self.model = self.workload.model
        self.step = self.workload.training_step
        self.optimizer = self.step.optimizers[0]
        self.scaler = self.policy.scaler._scaler
        self.scale, self.unscale = self.policy.scale, self.policy.unscale
        self.step_all, self.update = self.policy.step, self.policy.update
        self.before_turn: Callable[[], object] = lambda: None
        break_it(self)

    def put(self, name: str, function: Callable[..., Any]) -> None:
        setattr(self.policy, name, function)

    def turns(self, count: int) -> None:
        for _ in range(count):
            self.before_turn()
            self.workload.step()

    def backward(self) -> None:
        """Run one more backward of a scaled loss."""
        with self.policy.autocast():
            out = self.model(torch.rand(4, 1, 8, 8)).float().pow(2).mean()
        self.scale(out).backward()

    def gradients(self) -> list[torch.Tensor]:
        return [one.grad for one in self.model.parameters() if one.grad is not None]


def _raw_step(made: Broken) -> None:
    def step(*optimizers: Any) -> None:
        for one in optimizers:
            one.step()

    made.put("step", step)


def _second_step(made: Broken) -> None:
    def step(*optimizers: Any) -> Any:
        done = made.step_all(*optimizers)
        for one in optimizers:
            one.step()
        return done

    made.put("step", step)


def _no_unscale(made: Broken) -> None:
    made.put("unscale", lambda *_optimizers: None)


def _no_scale(made: Broken) -> None:
    made.put("scale", lambda loss: (made.scale(loss), loss)[1])


def _part(made: Broken) -> None:
    made.put("scale", lambda loss: made.scale(loss) + 1e-3 * made.model[0].weight.pow(2).sum())


def _twice(made: Broken) -> None:
    made.put("scale", lambda loss: made.scale(made.scale(loss)))


def _no_update(made: Broken) -> None:
    made.put("update", lambda: None)


def _early_update(made: Broken) -> None:
    made.put("unscale", lambda *optimizers: (made.unscale(*optimizers), made.scaler.update()))


def _mid_accumulation(made: Broken) -> None:
    made.put("unscale", lambda *optimizers: (made.unscale(*optimizers), made.backward()))


def _update_per_microbatch(made: Broken) -> None:
    def unscale(*optimizers: Any) -> None:
        made.unscale(*optimizers)
        made.scaler.update()
        made.backward()
        made.unscale(*optimizers)

    made.put("unscale", unscale)


def _left(made: Broken) -> None:
    def unscale(*optimizers: Any) -> None:
        made.unscale(*optimizers)
        if made.step.number == 3:  # this turn ends here
            made.step.zero_grad()
            made.backward()
            made.unscale(*optimizers)

    made.put("unscale", unscale)


def _unscale_twice(made: Broken) -> None:
    made.put("unscale", lambda *optimizers: (made.unscale(*optimizers), made.unscale(*optimizers)))


class _Wrapper:
    def __init__(self, optimizer: Any) -> None:
        self.optimizer, self.param_groups = optimizer, optimizer.param_groups

    def step(self) -> None:
        self.optimizer.step()


def _wrapper(made: Broken) -> None:
    made.put("step", lambda optimizer: made.scaler.step(_Wrapper(optimizer)))


def _closure(made: Broken) -> None:
    made.put("step", lambda optimizer: made.scaler.step(optimizer, made.backward))


def _other_scaler(made: Broken) -> None:
    other = torch.amp.GradScaler("cpu", init_scale=8.0)
    other.scale(torch.ones(()))
    made.put("unscale", other.unscale_)
    made.put("step", lambda optimizer: (other.step(optimizer), other.update()))
    made.put("update", lambda: None)


def _anew(made: Broken) -> None:
    def turn() -> None:
        made.policy.scaler._scaler = torch.amp.GradScaler("cpu", init_scale=64.0)

    made.before_turn = turn


def _checkpoint(made: Broken) -> None:
    def turn() -> None:
        torch.save({"optimizer": made.optimizer.state_dict()}, io.BytesIO())

    made.before_turn = turn


def _masked(made: Broken) -> None:
    def unscale(*optimizers: Any) -> None:
        for one in made.gradients():
            torch.nan_to_num(one, out=one)
        made.unscale(*optimizers)

    made.put("unscale", unscale)


def _noise(made: Broken) -> None:
    def unscale(*optimizers: Any) -> None:
        for one in made.gradients():
            one.add_(torch.randn_like(one), alpha=1e-3)
        made.unscale(*optimizers)

    made.put("unscale", unscale)


def _observed(made: Broken) -> None:
    made.put("unscale", lambda *optimizers: (made.gradients()[0].norm().item(), made.unscale(*optimizers)))


def _loss_observed(made: Broken) -> None:
    kept: list[torch.Tensor] = []

    def scale(loss: torch.Tensor) -> torch.Tensor:
        kept.append(made.scale(loss))
        return kept[-1]

    made.put("scale", scale)
    made.before_turn = lambda: float(kept[-1].detach()) if kept else 0.0


def _cleared(made: Broken) -> None:
    made.put("unscale", lambda *optimizers: (made.unscale(*optimizers), made.model.zero_grad(set_to_none=False)))


def _idle(made: Broken) -> None:
    idle = torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1)
    made.put("step", lambda optimizer: (made.step_all(optimizer), made.scaler.step(idle))[0])


def _schedule(made: Broken) -> None:
    calls = iter(range(100))

    def scale(loss: torch.Tensor) -> torch.Tensor:
        return made.scale(loss * (math.inf if next(calls) == 2 else 1.0))

    made.put("scale", scale)
    made.step._follow = lambda _report: [one.step() for one in made.step.schedulers]


def _collapse(made: Broken) -> None:
    calls = iter(range(100))
    made.put("scale", lambda loss: made.scale(loss * (math.inf if next(calls) else 1.0)))


def _many(made: Broken) -> None:
    made.put("scale", lambda loss: made.scaler.scale(loss.half().expand(2)).sum() / 2)


def _half(made: Broken) -> None:
    made.put("scale", lambda loss: made.scale(loss.half()))


def _bfloat16(made: Broken) -> None:
    made.put("autocast", lambda: torch.autocast("cpu", dtype=torch.bfloat16))


def _float32(made: Broken) -> None:
    made.put("autocast", contextlib.nullcontext)


def _unscaled(made: Broken) -> None:
    made.put("scale", lambda loss: loss)
    _no_unscale(made)
    _raw_step(made)
    _no_update(made)


def _switched_off(made: Broken) -> None:
    made.policy.scaler._scaler = torch.amp.GradScaler("cpu", enabled=False)


def _raising_clip(made: Broken) -> None:
    def unscale(*optimizers: Any) -> None:
        made.unscale(*optimizers)
        torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0, error_if_nonfinite=True)

    made.put("unscale", unscale)


def _anomalies(made: Broken) -> None:
    made.before_turn = lambda: torch.autograd.set_detect_anomaly(True)


def _hook(made: Broken) -> None:
    weight = made.model[0].weight
    small = torch.optim.SGD([weight], lr=1e-9)
    weight.register_post_accumulate_grad_hook(lambda _one: small.step())


# with the file that holds the line: amp_runtime's own where a part of it is called wrongly
HAZARDS: list[tuple[str, Callable[[Broken], object], str]] = [
    ("AMP101", _raw_step, "breaking.py"),
    ("AMP102", _second_step, "breaking.py"),
    ("AMP103", _no_unscale, "step/gradients.py"),
    ("AMP105", _no_scale, "step/training.py"),
    ("AMP106", _part, "step/training.py"),
    ("AMP107", _twice, "scaling.py"),
    ("AMP108", _no_update, "scaling.py"),
    ("AMP109", _early_update, "breaking.py"),
    ("AMP111", _mid_accumulation, "scaling.py"),
    ("AMP112", _update_per_microbatch, "scaling.py"),
    ("AMP113", _left, "scaling.py"),
    ("AMP114", _unscale_twice, "scaling.py"),
    ("AMP115", _wrapper, "breaking.py"),
    ("AMP116", _closure, "breaking.py"),
    ("AMP117", _other_scaler, "step/training.py"),
    ("AMP118", _anew, "breaking.py"),
    ("AMP119", _checkpoint, "breaking.py"),
    ("AMP121", _masked, "breaking.py"),
    ("AMP122", _noise, "breaking.py"),
    ("AMP123", _observed, "breaking.py"),
    ("AMP124", _loss_observed, "breaking.py"),
    ("AMP126", _cleared, "breaking.py"),
    ("AMP127", _idle, "breaking.py"),
    ("AMP128", _schedule, "breaking.py"),
    ("AMP129", _collapse, "scaling.py"),
    ("AMP132", _many, "breaking.py"),
    ("AMP133", _half, "scaling.py"),
    ("AMP135", _bfloat16, "scaling.py"),
    ("AMP136", _unscaled, "step/training.py"),
    ("AMP137", _float32, "scaling.py"),
    ("AMP138", _switched_off, "breaking.py"),
    ("AMP140", _raising_clip, "breaking.py"),
    ("AMP141", _anomalies, "breaking.py"),
    ("AMP143", _hook, "breaking.py"),
]
