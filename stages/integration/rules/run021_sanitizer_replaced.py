"""RUN021: the program put functions of its own where the sanitizer listens."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN021",
    name="sanitizer-replaced",
    severity=Severity.CRITICAL,
    summary="The program put functions of its own where the sanitizer listens.",
    why=(
        "Calls that go through a replaced function of torch are not seen any more, so nothing is proven about them. A "
        "replacement that names the original as its `__wrapped__`, as functools.wraps does, and calls it is no problem."
    ),
    mode="runtime",
)
