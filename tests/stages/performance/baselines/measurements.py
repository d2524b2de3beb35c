"""Decides how a test writes a measurement as the facts of stage 4 have it."""

from __future__ import annotations

from typing import Any

CPU = "cpu-x86_64-test-2t"


def comparison(
    ratio: float = 4.0, *, mode: str = "amp", half_width: float = 0.01, warnings: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "first": "reference",
        "second": mode,
        "ratio": ratio,
        "low": ratio / (1 + half_width),
        "high": ratio * (1 + half_width),
        "confidence": 0.99,
        "samples": 40,
        "warnings": list(warnings),
        "first_s": [0.002] * 4,
        "second_s": [0.002 * ratio] * 4,
    }


def measurement(
    name: str = "work:toy", *comparisons: dict[str, Any], activations: int = 1000, **fields: Any
) -> dict[str, Any]:
    memory = {"activations": activations, "whole": 10 * activations}
    defaults: dict[str, Any] = {
        "name": name,
        "machine_class": CPU,
        "torch": "2.13.0+cpu",
        "threads": 2,
        "modes": {"amp": {"memory": memory}},
        "quality": {"amp": [{"accuracy": 0.9}, {"accuracy": 0.8}]},
        "comparisons": list(comparisons) or [comparison()],
    }
    return defaults | fields
