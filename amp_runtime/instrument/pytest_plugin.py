"""`pytest --amp-sanitize`: every test runs under the AMP sanitizer, and fails where it raises an alarm."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

LEVELS = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO")
_FOUND = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("amp", "mixed precision")
    group.addoption("--amp-sanitize", action="store_true", help="run every test under the AMP sanitizer")
    group.addoption(
        "--amp-sanitize-level",
        choices=[level.lower() for level in LEVELS],
        default="high",
        help="the least severity of an alarm that fails a test (default: high); others are shown at the end",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FOUND] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    if not item.config.getoption("--amp-sanitize"):
        return (yield)
    from .catalogue import RULES  # noqa: PLC0415 - torch is loaded only for those who ask
    from .sanitizer import Sanitizer  # noqa: PLC0415

    with Sanitizer(roots=(str(item.config.rootpath),)) as watching:
        result = yield
    report = watching.report()
    if not report.alarms:
        return result
    text = watching.summary()
    item.add_report_section("call", "AMP sanitizer", text)
    worst = LEVELS.index(item.config.getoption("--amp-sanitize-level").upper())
    if any(LEVELS.index(RULES[alarm.code].severity) <= worst for alarm in report.alarms):
        pytest.fail(text, pytrace=False)
    item.config.stash[_FOUND].append(f"{item.nodeid}\n{text}")
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--amp-sanitize") and "torch" not in sys.modules:
        terminalreporter.write_line("AMP sanitizer: no test ran, so nothing was watched")
    if found := config.stash[_FOUND]:
        terminalreporter.section("AMP sanitizer: alarms below the level that fails a test")
        for text in found:
            terminalreporter.write_line(text)
