"""Brings the calibration of `amp_runtime` to `verify calibrate`: the file that starts it, and nothing of torch."""

from __future__ import annotations

from collections.abc import Iterable

from verifier.api import Calibrator, hookimpl


@hookimpl
def verifier_calibrators() -> Iterable[Calibrator]:
    from amp_runtime.calibration import PROGRAM  # noqa: PLC0415 - every other command does without it

    return (Calibrator(name="amp_runtime", program=PROGRAM),)
