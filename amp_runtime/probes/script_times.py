"""Time the training steps of a script, unmodified, by nothing but the detection of its steps."""

from __future__ import annotations

import itertools
import math
import sys
import time
from typing import TYPE_CHECKING

from ..wire import NotMeasured, ScriptTimed
from .devices import device_seen
from .scripts import end_after, load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..instrument.sanitizer import Sanitizer
    from ..wire import Request, ScriptUnit
    from .child import Reporter

_FORMATS = {"bfloat16": "bf16", "float16": "fp16"}
_now = time.perf_counter  # bound before the project can replace it


def time_script(script: ScriptUnit, request: Request, startup: frozenset[str], reporter: Reporter) -> None:
    """Run the script and report when its steps ended. No hazard is looked for: that is stage 3's."""
    if sys.modules.get("torch") is None:
        reporter.item(NotMeasured(what="steps", reason="torch is not installed, so no step can be seen"))
        return
    from ..instrument.sanitizer import Sanitizer  # noqa: PLC0415 - needs torch

    sanitizer = Sanitizer(roots=(request.root,), checks=())
    ends: list[float] = []

    def ended(step: int) -> None:
        ends.append(_now())
        end_after(script.steps, step)

    sanitizer.run.after_step.append(ended)
    program = load(script, request, startup, reporter)
    begin = _now()
    sanitizer.start()
    try:
        exit_code, stopped = program()
    finally:
        sanitizer.run.after_step.remove(ended)  # what stopping counts as a step ends no program
        devices = _devices(sanitizer)
        sanitizer.stop()
    report = sanitizer.report()
    reporter.item(device_seen(devices[0] if devices else "cpu", _precision(report.watched.autocast)))
    timeline = report.timeline[: len(ends)]
    reporter.item(
        ScriptTimed(
            start_s=ends[0] - begin if ends else _now() - begin,
            step_s=tuple(later - earlier for earlier, later in itertools.pairwise(ends)),
            losses=tuple(one.loss if one.loss is not None and math.isfinite(one.loss) else None for one in timeline),
            skipped=sum(one.skipped for one in timeline),
            exit_code=exit_code,
            stopped=stopped,
        )
    )


def _precision(regions: Iterable[str]) -> str | None:
    """Return the format of the autocast regions, each a device and a dtype."""
    dtypes = {region.rpartition(" ")[2].removeprefix("torch.") for region in regions}
    return next((short for dtype, short in _FORMATS.items() if dtype in dtypes), None)


def _devices(sanitizer: Sanitizer) -> tuple[str, ...]:
    optimizers = [found for reference in sanitizer.run.optimizers.values() if (found := reference()) is not None]
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    return tuple(sorted({str(parameter.device) for group in groups for parameter in group["params"]}))
