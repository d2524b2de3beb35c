"""A report of the sanitizer as text: what was watched, then every alarm with its place, its values and the remedy."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from .catalogue import RULES

if TYPE_CHECKING:
    from .records import Alarm, SanitizerReport

_WIDTH = 100
_FRAMES = 4  # of a stack, the innermost


def summary(report: SanitizerReport, base: str | None = None) -> str:
    """Return the report as text, worst alarms first.

    Args:
        base: paths below this folder are shown relative to it; None: the current folder.
    """
    folder = f"{Path(base or Path.cwd()).absolute()}{os.sep}"
    lines = [_head(report)]
    for alarm in sorted(report.alarms, key=lambda one: (-RULES[one.code].rank, one.step, one.code)):
        lines += ["", *_alarm(alarm, folder)]
    if report.problems:
        lines += ["", "What could not be seen:"]
        lines += [
            textwrap.fill(one, _WIDTH, initial_indent="  - ", subsequent_indent="    ") for one in report.problems
        ]
    return "\n".join(lines)


def _head(report: SanitizerReport) -> str:
    seen = report.watched
    found = f"{len(report.alarms)} alarm{'s' * (len(report.alarms) != 1)}" if report.alarms else "no alarm"
    if not seen.steps:
        return f"AMP sanitizer: {found}. No training step was seen, so nothing is shown."
    regions = ", ".join(f"{name} ({count} regions)" for name, count in seen.autocast.items()) or "no autocast"
    scaled = f"{seen.scalers} scaler{'s' * (seen.scalers != 1)}" if seen.scalers else "no loss scaling"
    skipped = f", {seen.skipped_steps} skipped" if seen.skipped_steps else ""
    rested = f", {seen.rested_steps} of them only for the loss scale" if seen.rested_steps else ""
    return f"AMP sanitizer: {found} in {seen.steps} training steps{rested}{skipped}; {regions}; {scaled}."


def _alarm(alarm: Alarm, folder: str) -> list[str]:
    rule = RULES[alarm.code]
    often = (
        f"step {alarm.step}" if alarm.count == 1 else f"{alarm.count} times in steps {alarm.step} to {alarm.last_step}"
    )
    planted = ", after a planted fault" if alarm.planted else ""
    lines = [f"{rule.severity} {alarm.code} {rule.name} ({often}{planted})"]
    lines.append(textwrap.fill(alarm.message, _WIDTH, initial_indent="  ", subsequent_indent="  "))
    for frame in reversed(alarm.frames[-_FRAMES:]):
        path = frame.path.removeprefix(folder)
        lines.append(f"    {path}:{frame.line}{f' in {frame.function}' if frame.function else ''}")
    lines.append(textwrap.fill(alarm.remedy, _WIDTH, initial_indent="  -> ", subsequent_indent="     "))
    return lines
