"""Run a training under the sanitizer, and demand that it says one thing about it, on the right line."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from amp_runtime.instrument.sanitizer import Sanitizer
from tests.amp_runtime.instrument.watching import watch

if TYPE_CHECKING:
    from amp_runtime.instrument.looks import Looks
    from amp_runtime.instrument.records import Alarm, SanitizerReport


def said(train: Callable[[], object], looks: Looks | None = None) -> SanitizerReport:
    """Return the report of a training in which torch may warn of what it sees itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return watch(train) if looks is None else _looked_into(train, looks)


def _looked_into(train: Callable[[], object], looks: Looks) -> SanitizerReport:
    with Sanitizer(looks=looks) as sanitizer:
        train()
    return sanitizer.report()


def only_alarm(
    train: Callable[[], object],
    code: str,
    text: str,
    within: Callable[..., object] | None = None,
    looks: Looks | None = None,
) -> Alarm:
    """Return the one alarm that a training gives; its line must be the one in the test that holds `text`."""
    report = said(train, looks)
    assert [alarm.code for alarm in report.alarms] == [code], [(one.code, one.message) for one in report.alarms]
    (alarm,) = report.alarms
    lines, first = inspect.getsourcelines(within or train)
    (line,) = [number for number, one in enumerate(lines, start=first) if text in one]
    own = [frame for frame in alarm.frames if "site-packages" not in frame.path]
    assert (own[-1].path, own[-1].line) == (inspect.getsourcefile(within or train), line), alarm
    assert report.problems == ()
    return alarm


def silent(train: Callable[[], object], looked: str = "", looks: Looks | None = None) -> None:
    """Demand that nothing is said of a training, and that the code's condition was looked at in it."""
    report = said(train, looks)
    assert report.alarms == (), [(alarm.code, alarm.message) for alarm in report.alarms]
    assert report.problems == ()
    if looked:
        assert looked in report.watched.looked
