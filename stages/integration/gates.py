"""The gates of stage 3, and what each of them asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifier.api import Task

IMPORTS = "imports"
TESTS = "tests"
SCRIPTS = "scripts"
SANITIZER = "sanitizer"
CUDA_POLICY = "cuda-policy"
_ALWAYS: Mapping[str, str] = {
    IMPORTS: "every module of the task can be imported first in a fresh process",
    TESTS: "the declared tests are collected, run to the end and pass",
    "fp32-path": "every workload trains in FP32: losses are finite and fall by more than 5 %",
    "amp-path": "every workload trains under AMP: losses are finite and fall by more than 5 %",
    "amp-agreement": "AMP's losses end where FP32's do, within 10 % of what FP32 learned plus 1 % of its first loss",
    "amp-updates": "what reaches each parameter under AMP differs from FP32 by no more than rounding explains",
    "resume": "a run saved and resumed goes on as one that was never interrupted, bit for bit, loss scaler included",
    SCRIPTS: "every training script runs to its end, or to the step asked for, and takes training steps",
    SANITIZER: "no hazard of mixed precision happens in a real training step",
    CUDA_POLICY: "every workload takes its first steps under CUDA's autocast too, emulated where there is no GPU",
}
# What not every project has to have. A task asks for one of these by naming it in an acceptance line.
ON_REQUEST: Mapping[str, str] = {
    "autocast": "under AMP every training step runs modules under autocast, in FP32 none does",
    "grad-scaler": "every FP16 run scales its losses by an enabled GradScaler, steps and updates with it",
    "scaled-gradients": "wherever a GradScaler is at work, backward starts from its scale",
    "loss-scale-log": "the loss scale of every step is logged, and is the one that the harness saw",
    "amp-accuracy": "validation accuracy under AMP is within 0.01 of FP32's, after the same steps from the same seed",
    "step-times": "steps in FP32 and under AMP are timed against each other: warmed up, in pairs, in both orders",
    "compile-equivalence": "every workload's model is right under torch.compile: no further from float64 than eager",
    "cpu": "every workload trains on the CPU, in FP32 and under AMP",
    "cuda": "every workload trains on a CUDA device, in FP32 and under AMP",
}
GATES: Mapping[str, str] = {**_ALWAYS, **ON_REQUEST}


def requested(task: Task) -> frozenset[str]:
    """Return the gates of `ON_REQUEST` that the task's acceptance lines name, or that its requirements rest on."""
    named = {reference for criterion in task.acceptance for reference in criterion.proven_by}
    if any(requirement.name == "compile-speedup" for requirement in task.requirements):
        named.add("integration:compile-equivalence")  # how fast a wrong model is does not matter
    return frozenset(name for name in ON_REQUEST if f"integration:{name}" in named)
