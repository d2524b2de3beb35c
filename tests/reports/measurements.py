"""Decides what stage 4 found in the accepted reports and pictures: three workloads, one of them compiled."""

from __future__ import annotations

import math
import random
from typing import Any

_MIB = 2**20
MACHINE = "cpu-x86_64-amd-epyc-25-17-2t"


def facts() -> dict[str, Any]:
    measured = [
        workload("amp_runtime.workloads:char_lm", 0.104, 1.62, 1200, compiled=True),
        workload("amp_runtime.workloads:digits", 0.0042, 0.93, 30, busy=True),
        workload("amp_runtime.workloads:line_gru", 0.021, 1.12, 260, native=False),
    ]
    return {
        "device": "cpu",
        "measurements": measured,
        "requirements": [{"name": "speedup", "text": ">=1.5 on cuda, >=1.0 on cpu", "only": [], "line": 12}],
        "baselines": [baseline([one["name"] for one in measured])],
        "limitations": [],
    }


def workload(
    name: str, step_s: float, gain: float, size: int, *, compiled: bool = False, busy: bool = False, native: bool = True
) -> dict[str, Any]:
    draw = random.Random(size)
    fp32 = [step_s * math.exp(abs(draw.gauss(0, 0.05)) + 0.4 * (draw.random() < 0.06)) for _ in range(40)]
    amp = [one / gain * math.exp(draw.gauss(0, 0.02)) for one in fp32]
    warnings = ["other processes had 68% of the processor time, so absolute times are too long"] if busy else []
    modes = {"fp32": _mode(step_s, size, 1.0), "amp": _mode(step_s / gain, size, 0.55)}
    figures = {
        "speedup": _figure(gain, 0.03, "x", 40),
        "throughput": _figure(gain / step_s, 0.05, "steps/s", 40),
        "memory-reduction": _figure(0.45, 0.0, "share", 1),
        "roofline-share": _figure(0.31, 0.06, "share", 40),
        "accuracy-difference": {**_figure(0.002, 0.0, "", 5), "low": -0.004, "high": 0.006, "confidence": 0.9375},
    }
    comparisons = [_comparison("fp32", "amp", fp32, amp, warnings)]
    if compiled:
        modes["amp-compiled"] = {**_mode(step_s / gain / 1.3, size, 0.5), "first_step_s": 21.4}
        figures["compile-speedup"] = _figure(1.3, 0.02, "x", 40)
        comparisons.append(_comparison("amp", "amp-compiled", amp, [one / 1.3 for one in amp], warnings))
    return {
        "name": name,
        "kind": "workload",
        "device": "cpu",
        "device_name": "AMD EPYC 9R14",
        "precision": "bf16",
        "native": native,
        "native_reason": "avx512_bf16" if native else "the CPU has neither avx512_bf16 nor AMX",
        "torch": "2.13.0+cpu",
        "threads": 2,
        "fp32_matmul": "highest",
        "machine_class": MACHINE,
        "modes": modes,
        "roofline": {
            "peak_gflops": 180.0,
            "bandwidth_gbps": 22.0,
            "profile": ".verify/calibration/cpu.json",
            "attainable_s": step_s / gain * 0.31,
            "bound_by": "compute",
        },
        "comparisons": comparisons,
        "figures": figures,
        "missing": {} if compiled else {"compile-speedup": "no requirement asks for it"},
    }


def _mode(step_s: float, size: int, share: float) -> dict[str, Any]:
    memory = {
        "weights": 3 * size * 1000,
        "gradients": 3 * size * 1000,
        "optimizer_state": 6 * size * 1000,
        "activations": int(20 * size * 1000 * share),
        "weight_copies": 0 if share == 1 else int(1.5 * size * 1000),
        "allocator_peak": None,
    }
    memory["whole"] = sum(value for value in memory.values() if value)
    return {
        "step_s": step_s,
        "steps_per_s": 1 / step_s,
        "import_s": 0.8 if share == 1 else 0.0,
        "build_s": 0.12,
        "first_step_s": 3 * step_s,
        "memory": memory,
        "flops": int(5.2e10 * step_s),
        "bytes": int(2e9 * step_s * (1 + size / 1000)),
    }


def _figure(value: float, width: float, unit: str, samples: int) -> dict[str, Any]:
    return {
        "value": value,
        "low": value * (1 - width),
        "high": value * (1 + width),
        "confidence": 0.99 if width else 1,
        "samples": samples,
        "unit": unit,
        "method": "pairs in random order, Wilcoxon signed-rank interval" if width else "counted in one step",
        "device": "cpu",
        "dtype": "bf16",
    }


def _comparison(
    first: str, second: str, before: list[float], after: list[float], warnings: list[str]
) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "ratio": 0.6,
        "low": 0.58,
        "high": 0.62,
        "confidence": 0.99,
        "outcome": "inconclusive" if warnings else "pass",
        "samples": len(before),
        "noise": {
            "spread": 0.3 if warnings else 0.04,
            "drift": 0.01,
            "others": 0.68 if warnings else 0.02,
            "throttled": 0.0,
        },
        "warnings": warnings,
        "first_s": before,
        "second_s": after,
    }


def baseline(names: list[str]) -> dict[str, Any]:
    steps = [4.0, 4.05, 3.97, 4.02, 3.31, 3.28, 3.33]
    points = [
        {
            "saved_at": f"2026-0{n + 2}-03T10:00:00Z",
            "commit": "abc",
            "step": step,
            "low": 0.98 * step,
            "high": 1.02 * step,
        }
        | {"level": 1 if step > 3.5 else 2}
        for n, step in enumerate(steps)
    ]
    compared = {
        "mode": "amp",
        "low": 0.99,
        "high": 1.04,
        "probability": 0.2,
        "spread": 0.012,
        "runs": 3,
        "processes": 1,
    }
    return {
        "path": f".verify-baselines/T035/{MACHINE}-torch2.13-2threads.json",
        "key": {"machine": MACHINE, "torch": "2.13", "threads": 2, "reference": 1},
        "runs": 7,
        "comparisons": [
            {"name": names[0], **compared, "ratio": 1.01, "outcome": "no regression", "activations": 100}
            | {"last_activations": 100, "accuracy": 0.91, "last_accuracy": 0.912},
            {
                "name": names[1],
                **compared,
                "ratio": 1.16,
                "low": 1.12,
                "high": 1.2,
                "processes": 3,
                "outcome": "regression",
            },
        ],
        "history": [{"name": name, "mode": "amp", "points": points} for name in names[:2]],
        "now": [
            {"name": names[0], "mode": "amp", "step": 3.34, "low": 3.3, "high": 3.4},
            {"name": names[1], "mode": "amp", "step": 3.85, "low": 3.8, "high": 3.9},
        ],
    }
