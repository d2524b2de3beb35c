"""Run a training under the sanitizer, and demand that it says one thing about it, on the right line."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.amp_runtime.instrument.watching import watch

if TYPE_CHECKING:
    from amp_runtime.instrument.records import Alarm, SanitizerReport


def said(train: Callable[[], object]) -> SanitizerReport:
    """Return the report of a training in which torch may warn of what it sees itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return watch(train)


def only_alarm(train: Callable[[], object], code: str, text: str, within: Callable[..., object] | None = None) -> Alarm:
    """Return the one alarm that a training gives; its line must be the one in the test that holds `text`."""
    report = said(train)
    assert [alarm.code for alarm in report.alarms] == [code], report.alarms
    (alarm,) = report.alarms
    lines, first = inspect.getsourcelines(within or train)
    (line,) = [number for number, one in enumerate(lines, start=first) if text in one]
    assert (alarm.frames[-1].path, alarm.frames[-1].line) == (inspect.getsourcefile(within or train), line), alarm
    assert report.problems == ()
    return alarm


def silent(train: Callable[[], object], looked: str = "") -> None:
    """Demand that nothing is said of a training, and that the code's condition was looked at in it."""
    report = said(train)
    assert report.alarms == ()
    assert report.problems == ()
    if looked:
        assert looked in report.watched.looked
