"""Time the training steps of a script, unmodified, by nothing but the detection of its steps."""

from __future__ import annotations

import itertools
import math
import sys
import time
from typing import TYPE_CHECKING

from ..wire import NotMeasured, ScriptTimed
from .devices import device_seen
from .ranks import Ranks
from .scripts import end_after, load
from .watched import devices_of

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        ranks = Ranks(script, request, timed=True)
        exit_code, stopped = ranks.run(program)
        took_s = _now() - begin
    finally:
        sanitizer.run.after_step.remove(ended)  # what stopping counts as a step ends no program
        devices = devices_of(sanitizer)
        sanitizer.stop()
    report = sanitizer.report()
    step_s, timeline = (
        tuple(later - earlier for earlier, later in itertools.pairwise(ends)),
        report.timeline[: len(ends)],
    )
    if not ends and (seen := ranks.seen()):  # the first of those that it started, as all go in step
        devices, report = seen[0].devices, seen[0].report
        timeline, step_s = report.timeline, tuple(one.seconds for one in report.timeline[1:])
    reporter.item(device_seen(devices[0] if devices else "cpu", _precision(report.watched.autocast)))
    reporter.item(
        ScriptTimed(
            start_s=ends[0] - begin if ends else took_s - sum(step_s),
            step_s=step_s,
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
