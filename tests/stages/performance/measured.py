"""Decides how a test makes a measurement in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amp_runtime.wire import DeviceSeen, Timed
from stages.performance.figures import Figure
from stages.performance.measurement import Measurement
from verifier.api import Location
from verifier.requirements import read_requirements

if TYPE_CHECKING:
    from verifier.model.requirement import Requirement

NAME = "pkg.train:small"
PLACE = Location(path="pyproject.toml")


def figure(value: float = 2.0, low: float | None = None, high: float | None = None, **fields: Any) -> Figure:
    low, high = value if low is None else low, value if high is None else high
    defaults: dict[str, Any] = {"confidence": 0.99, "samples": 20, "unit": "x", "method": "pairs"}
    return Figure(value=value, low=low, high=high, **(defaults | fields))


def device(name: str = "cuda:0", *, native: bool | None = True, precision: str | None = "bf16") -> DeviceSeen:
    return DeviceSeen(
        device=name,
        name=f"a {name}",
        precision=precision,
        native=native,
        reason="a table says so",
        torch="2.9",
        threads=2,
        fp32_matmul="highest",
    )


def timed(first_s: tuple[float, ...] = (0.2, 0.2), second_s: tuple[float, ...] = (0.1, 0.1), **fields: Any) -> Timed:
    defaults: dict[str, Any] = {
        "first": "fp32",
        "second": "amp",
        "second_led": tuple(number % 2 == 0 for number in range(len(first_s))),
        "calls": 1,
        "ratio": 0.5,
        "low": 0.4,
        "high": 0.6,
        "confidence": 0.99,
        "outcome": "pass",
        "looks": (16,),
        "elapsed_s": 1.0,
        "method": "pairs",
        "reason": "answered",
        "skipped": 0.0,
        "noise": {"spread": 0.1},
        "warnings": (),
    }
    return Timed(first_s=first_s, second_s=second_s, **(defaults | fields))


def measurement(name: str = NAME, **fields: Any) -> Measurement:
    defaults: dict[str, Any] = {"kind": "workload", "location": PLACE, "device": device(), "timed": (timed(),)}
    return Measurement(name=name, **(defaults | fields))


def requirement(name: str, said: object, *, measured: tuple[str, ...] = (NAME,)) -> Requirement:
    problems: list[object] = []
    read = read_requirements({name: said}, measured, lambda _: 7, lambda keys, text: problems.append((keys, text)))
    assert problems == []
    return read[0]
