"""How many miscompilations the comparison with float64 catches, and how often it blames an honest compiler.

Prints what docs/compile.md states. Every injected error is a change to one operator of the ATen graph; honest backends
are eager, aot_eager and, with a C++ compiler, inductor. The same tensors are given to two rules in common use.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch._dynamo.utils import same

from amp_runtime.compile.compiler import CompilerWatch, undisturbed_compiler
from amp_runtime.compile.equivalence import Subject, compare_pass, try_eager
from amp_runtime.compile.reference import RandomDtypes, Widened, reference_of, take_over, widen
from amp_runtime.compile.running import Conditions, run_once
from amp_runtime.compile.state import Buffers, preserved
from amp_runtime.compile.toolchain import missing_for
from amp_runtime.compile.trees import Sample
from tests.amp_runtime.compile import miscompiling as wrong
from tests.amp_runtime.compile.models import MODELS, made

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.timeout(7200),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PRECISIONS = ("fp32", "bf16", "fp16")
CPU = torch.device("cpu")
RULES = ("this rule", "assert_close", "dynamo same")
# name -> forward change, backward change
INJECTED = {
    "product x 1.001": (wrong.scaled(1.001), None),
    "product x 1.01": (wrong.scaled(1.01), None),
    "product x 1.03": (wrong.scaled(1.03), None),
    "product x 1.1": (wrong.scaled(1.1), None),
    "last row x 1.1": (wrong.last_row_off(1.1), None),
    "bias dropped": (wrong.without_bias, None),
    "residual dropped": (wrong.without_term, None),
    "norm eps x 100": (wrong.other_eps(100.0), None),
    "bfloat16 accumulator": (wrong.accumulated_in_bfloat16, None),
    "operands swapped": (wrong.swapped, None),
    "dropout scale": (wrong.other_dropout_scale, None),
    "stale buffers": (wrong.stale_buffers, None),
    "backward x 1.001": (None, wrong.scaled(1.001)),
    "backward x 1.01": (None, wrong.scaled(1.01)),
    "backward x 1.03": (None, wrong.scaled(1.03)),
    "backward sum dropped": (None, wrong.without_term),
}


def _judged(name, backend, precision, seeds, which="train", options=None):
    """Yield for each seed what the three rules say: whether they hold the compiled model for wrong."""
    torch._dynamo.reset()
    model, _ = made(name)
    model.train(which == "train")
    with undisturbed_compiler(), preserved(model):
        compiled = torch.compile(model, backend=backend, options=options)
        reference = reference_of(model)
        for seed in seeds:
            fresh, given = made(name, seed)
            model.load_state_dict(fresh.state_dict())
            sample = Sample.of(given, model)
            conditions = Conditions(precision=precision, which=which, device=CPU, seed=seed)
            conditions, _random = try_eager(model, sample, conditions)
            subject = Subject(compiled=compiled, model=model, reference=reference)
            seen = compare_pass(subject, sample, conditions, samples=8, watch=CompilerWatch())
            yield seen, (not seen.holds, *_others(subject, sample, conditions))


def _others(subject, sample, conditions):
    """Return what the two common rules say of outputs, gradients and buffers of one call."""
    buffers = Buffers(subject.model)
    with RandomDtypes() as drawn:
        eager = run_once(subject.model, subject.model, sample, conditions)
    buffers.restore()
    compiled = run_once(subject.compiled, subject.model, sample, conditions)
    buffers.restore()
    take_over(subject.reference, subject.model)
    plain = replace(conditions, precision="fp32")
    with Widened(drawn.seen):
        exact = run_once(subject.reference, subject.reference, sample.changed(widen), plain)
    close = dynamo = True
    for key, one in eager.tensors.items():
        if one.values is None:
            continue
        other, truth = (found.tensors[key].values for found in (compiled, exact))
        first, second = one.values.to(one.dtype), other.to(one.dtype)
        try:
            torch.testing.assert_close(second, first, equal_nan=True)
        except AssertionError:
            close = False
        if one.dtype.is_floating_point:
            tolerance = 1e-4 if conditions.precision == "fp32" else 1e-3
            dynamo = dynamo and same(
                first, second, fp64_ref=truth, tol=tolerance, equal_nan=True, log_error=lambda *_: None
            )
    return not close, not dynamo


@pytest.mark.parametrize("precision", PRECISIONS)
def test_injected_miscompilations(precision):
    print(f"\n{precision}: caught of injected, by {', '.join(RULES)}; where this rule missed one")
    for label, (forward, backward) in INJECTED.items():
        caught, total, missed = [0, 0, 0], 0, []
        for name in MODELS:
            backend = wrong.Miscompiling(forward, backward)
            for _seen, verdicts in _judged(name, backend, precision, range(2)):
                if not backend.applied:
                    break
                total += 1
                caught = [a + b for a, b in zip(caught, verdicts, strict=True)]
                missed += [] if verdicts[0] else [name]
        print(f"  {label:22} of {total}: {caught} {', '.join(sorted(set(missed)))}", flush=True)


def _honest(backend, precision, seeds, options=None):
    alarms, total, worst = [0, 0, 0], 0, 0.0
    print()
    for name in MODELS:
        for which in ("train", "eval"):
            for seen, verdicts in _judged(name, backend, precision, seeds, which, options):
                total += 1
                alarms = [a + b for a, b in zip(alarms, verdicts, strict=True)]
                worst = max(worst, seen.worst_ratio)
                for reason in seen.reasons[:1]:
                    print(f"    {name} {which}: {reason}", flush=True)
        print(f"  {backend} {precision}, up to {name}: {alarms} of {total} passes, worst ratio {worst:.2f}", flush=True)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_honest_backends(backend, precision):
    _honest(backend, precision, range(10))


@pytest.mark.skipif(bool(missing_for("inductor", "cpu")), reason="no C++ compiler")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_inductor(precision):
    _honest("inductor", precision, range(20), {"fallback_random": True})
