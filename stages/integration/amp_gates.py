"""Judge what acceptance lines ask of AMP, by what the harness itself saw while the workloads trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.integration.gates import GATES
from stages.integration.rules import run017_acceptance_not_met
from stages.integration.training_runs import training_cause
from verifier.api import Gate, GateStatus

if TYPE_CHECKING:
    from amp_runtime.wire import Observed
    from stages.integration.causes import Cause
    from stages.integration.training_runs import Run

MOST_DIFFERENCE = 0.01  # of accuracy, a share from 0 to 1
_HALF = ("bfloat16", "float16")
_REMEDY = "Make the training do what the acceptance line says, or correct the line."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one workload shows for one gate."""

    run: Run
    status: GateStatus
    evidence: str
    lacks: tuple[str, ...] = ()


Pair = tuple["Run", "Run"]  # in FP32, and under AMP
Judge = Callable[[Pair], "_Seen | None"]  # None: the gate does not concern this workload


def amp_gates(pairs: Sequence[Pair], requested: frozenset[str]) -> tuple[list[Gate], list[Cause]]:
    """Return the requested gates that training runs decide, and a cause for each workload that fails one."""
    gates, causes = [], []
    for name, (judge, none) in _JUDGES.items():
        if name not in requested:
            continue
        seen = [found for pair in pairs if (found := judge(pair)) is not None]
        gates.append(_gate(name, seen, none))
        causes += [_cause(name, one) for one in seen if one.status is GateStatus.FAIL and one.run.learned]
    return gates, causes


def device_gate(kind: str, runs: Sequence[Run]) -> tuple[list[Gate], list[Cause]]:
    """Return the gate of one kind of device, decided by all runs that were made for it."""
    seen = [_on_device(kind, run) for run in runs]
    causes = [_cause(kind, one) for one in seen if one.status is GateStatus.FAIL and one.run.learned]
    return [_gate(kind, seen, "no workload was run")], causes


def _gate(name: str, seen: Sequence[_Seen], none: str) -> Gate:
    statuses = {one.status for one in seen} or {GateStatus.DEFERRED}
    status = GateStatus.PASS
    if GateStatus.FAIL in statuses:
        status = GateStatus.FAIL
    elif GateStatus.DEFERRED in statuses:
        status = GateStatus.DEFERRED
    said = "; ".join(dict.fromkeys(one.evidence for one in seen)) or none
    lacks = tuple(dict.fromkeys(kind for one in seen for kind in one.lacks))
    return Gate(name=name, requirement=GATES[name], status=status, evidence=said, lacks=lacks)


def _cause(gate: str, seen: _Seen) -> Cause:
    message = f"{seen.evidence}; the acceptance criteria ask for integration:{gate}, {GATES[gate]}."
    key = (gate, seen.run.workload.factory)
    return training_cause(run017_acceptance_not_met.RULE, seen.run.subject, key, message, _REMEDY)


def _passed(run: Run, evidence: str) -> _Seen:
    return _Seen(run=run, status=GateStatus.PASS, evidence=f"{run.workload.factory}: {evidence}")


def _failed(run: Run, evidence: str) -> _Seen:
    return _Seen(run=run, status=GateStatus.FAIL, evidence=f"{run.workload.factory}: {evidence}")


def _deferred(run: Run, evidence: str) -> _Seen:
    return _Seen(run=run, status=GateStatus.DEFERRED, evidence=f"{run.workload.factory}: {evidence}")


def _heard(run: Run) -> Observed | None:
    """Return what was seen of a run that came to its end; a broken one proves nothing."""
    return run.observed if run.finished else None


def _autocast(pair: Pair) -> _Seen:
    fp32, amp = pair
    exact, low = _heard(fp32), _heard(amp)
    if exact is None or low is None:
        return _failed(amp, "not proven, for a run is broken")
    if not low.with_modules:
        return _deferred(amp, "no torch module was called in a step, so nothing can be said of autocast")
    if amp.precision == "fp32":
        return _deferred(amp, "trains in fp32 under AMP too, so there is no autocast to see")
    if exact.under_autocast:
        return _failed(fp32, f"in FP32, modules ran under autocast to {', '.join(exact.under_autocast)}")
    reached = {dtype: low.under_autocast.get(dtype, 0) for dtype in _HALF}
    dtype = max(reached, key=lambda name: reached[name])
    said = f"modules ran under autocast in {reached[dtype]} of {low.steps} steps"
    if reached[dtype] < low.steps:
        return _failed(amp, said)
    return _passed(amp, f"{said}, to {dtype}; in FP32 in none")


def _grad_scaler(pair: Pair) -> _Seen | None:
    _, amp = pair
    seen = _heard(amp)
    if amp.precision != "fp16" and not (seen is not None and seen.scaled):
        return None
    if seen is None:
        return _failed(amp, "not proven, for the run is broken")
    said = (
        f"{seen.scaled} losses were scaled in {seen.steps} steps, by {_range(seen.scales)}; "
        f"scaler.step() ran {seen.scaler_steps} times, update() {seen.scaler_updates} times"
    )
    good = len(seen.scales) == seen.steps <= min(seen.scaler_steps, seen.scaler_updates)
    return _passed(amp, said) if good else _failed(amp, said)


def _scaled_gradients(pair: Pair) -> _Seen | None:
    _, amp = pair
    seen = _heard(amp)
    if seen is None:
        return _failed(amp, "not proven, for the run is broken")
    if not seen.scaled:
        return None
    said = f"backward started from the loss scale for {seen.from_scale} of {seen.scaled} scaled losses"
    if seen.otherwise:
        said += f", and from something else for {seen.otherwise}"
    return _passed(amp, said) if seen.from_scale == seen.scaled and not seen.otherwise else _failed(amp, said)


def _loss_scale_log(pair: Pair) -> _Seen | None:
    _, amp = pair
    seen = _heard(amp)
    if seen is None:
        return _failed(amp, "not proven, for the run is broken")
    if not seen.scales:
        return None
    if seen.logged is None:
        return _failed(amp, "it shows no log of its loss scale (attribute `loss_scales`, one number a step)")
    if seen.logged == seen.scales:
        return _passed(
            amp, f"all {len(seen.logged)} logged loss scales are those that were seen, {_range(seen.scales)}"
        )
    wrong = next((n for n, (a, b) in enumerate(zip(seen.logged, seen.scales, strict=False)) if a != b), None)
    if wrong is None:
        return _failed(amp, f"{len(seen.logged)} loss scales were logged, and {len(seen.scales)} were seen")
    return _failed(amp, f"step {wrong + 1} logged loss scale {seen.logged[wrong]:g}; it was {seen.scales[wrong]:g}")


def _accuracy(pair: Pair) -> _Seen | None:
    fp32, amp = pair
    if not (fp32.finished and amp.finished):
        return _failed(amp, "not proven, for a run is broken")
    exact, low = fp32.metrics.get("accuracy"), amp.metrics.get("accuracy")
    if exact is None or low is None:
        return None
    said = (
        f"accuracy {low:.4f} under AMP ({amp.precision or 'precision not stated'}, {amp.device}), {exact:.4f} in FP32"
    )
    said += f", after {len(amp.losses)} steps from seed {amp.workload.seed}"
    return _passed(amp, said) if abs(low - exact) < MOST_DIFFERENCE else _failed(amp, said)


def _cuda(pair: Pair) -> _Seen:
    return min((_on_device("cuda", run) for run in pair), key=lambda seen: seen.status is not GateStatus.FAIL)


def _on_device(kind: str, run: Run) -> _Seen:
    device = (run.device or "").partition(":")[0]
    if kind == "cuda" and run.observed is not None and not run.observed.cuda:
        said = "needs a CUDA device, and PyTorch sees none here"
        return _Seen(run=run, status=GateStatus.DEFERRED, evidence=said, lacks=("cuda",))
    mode = f"under AMP ({run.precision or 'precision not stated'})" if run.workload.amp else "in FP32"
    if not run.learned:
        return _failed(run, f"did not train {mode} on {run.device or 'any device'}")
    return (
        _passed(run, f"trains on {run.device}") if device == kind else _failed(run, f"trains {mode} on {device} only")
    )


def _range(values: Iterable[float]) -> str:
    found = sorted(set(values))
    if not found:
        return "nothing"
    return f"{found[0]:g}" if len(found) == 1 else f"{found[0]:g} to {found[-1]:g}"


_NO_SCALER = "no workload used a GradScaler here, and only FP16 needs one"
_JUDGES: dict[str, tuple[Judge, str]] = {
    "autocast": (_autocast, "no workload was run"),
    "grad-scaler": (_grad_scaler, _NO_SCALER),
    "scaled-gradients": (_scaled_gradients, _NO_SCALER),
    "loss-scale-log": (_loss_scale_log, _NO_SCALER),
    "amp-accuracy": (_accuracy, "no workload's evaluate() gives an accuracy"),
    "cuda": (_cuda, "no workload was run"),
}
