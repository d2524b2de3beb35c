"""Every workload is clean under the sanitizer, and each hazard put into one is the only thing that is reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from amp_runtime import workloads
from amp_runtime.instrument.faults import Plan
from amp_runtime.instrument.sanitizer import Sanitizer
from amp_runtime.workloads import adversarial
from tests.amp_runtime.instrument.rules.breaking import HAZARDS, Broken
from tests.amp_runtime.instrument.rules.saying import said

pytest.importorskip("sklearn")

_ALL = ("char_lm", "digits", "digits_fp16", "encoder_fp16", "gan_fp16", "line_gru")


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("name", _ALL)
def test_a_workload_is_clean(name: str, amp: bool) -> None:
    scaled = amp and name.endswith("_fp16")
    sanitizer = Sanitizer(faults=Plan(overflow_at=3, nan_batch_at=5) if scaled else None)
    with sanitizer:
        workload = getattr(workloads, name)(amp=amp, seed=0)
        for _ in range(6 if scaled else 3):
            workload.step()
        workload.evaluate()
    report = sanitizer.report()
    assert report.alarms == ()
    assert not any("not planted" in problem for problem in report.problems)
    assert report.watched.steps >= 3


@pytest.mark.parametrize(("code", "break_it", "file"), HAZARDS, ids=[code for code, _break, _file in HAZARDS])
def test_a_hazard_in_a_workload(code: str, break_it: Callable[[Broken], object], file: str) -> None:
    turns = {"AMP129": 10, "AMP116": 2}.get(code, 5)
    try:
        report = said(lambda: Broken(break_it).turns(turns))
    finally:
        torch.autograd.set_detect_anomaly(False)
    assert [alarm.code for alarm in report.alarms] == [code], report.alarms
    assert report.alarms[0].frames[-1].path.endswith(f"/{file}")


def test_a_penalty_that_forgets_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    def scaled(policy: Any, loss: torch.Tensor, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(policy.scale(loss), [inputs], create_graph=True)

    monkeypatch.setattr(adversarial, "true_gradients", scaled)
    sanitizer = Sanitizer()
    with sanitizer:
        workload = workloads.gan_fp16(amp=True, seed=0)
        for _ in range(3):
            workload.step()
    assert [(alarm.code, alarm.frames[-1].line) for alarm in sanitizer.alarms] == [
        ("AMP125", scaled.__code__.co_firstlineno + 1)
    ]
