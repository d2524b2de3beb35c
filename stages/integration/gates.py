"""The gates of stage 3, and what each of them asks."""

from __future__ import annotations

from collections.abc import Mapping

IMPORTS = "imports"
TESTS = "tests"
GATES: Mapping[str, str] = {
    IMPORTS: "every module of the task can be imported first in a fresh process",
    TESTS: "the declared tests are collected, run to the end and pass",
    "fp32-path": "every workload trains in FP32: losses are finite and fall by more than 5 %",
    "amp-path": "every workload trains under AMP: losses are finite and fall by more than 5 %",
    "amp-agreement": "AMP's losses end where FP32's do, within 10 % of what FP32 learned plus 1 % of its first loss",
}
