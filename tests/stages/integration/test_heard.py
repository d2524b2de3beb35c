"""The codes that stage 3 says it sees are those for which the sanitizer has a check, and each has its static half."""

from __future__ import annotations

from pathlib import Path

import amp_runtime
from amp_runtime.instrument.sanitizer import all_checks
from stages.integration.heard import heard
from stages.integration.stage import STAGE
from verifier.api import load_plugins

CHECKS = Path(amp_runtime.__file__).parent / "instrument" / "rules"


def test_it_hears_exactly_what_the_sanitizer_checks() -> None:
    assert heard() == tuple(check.code for check in all_checks())
    assert STAGE.also_reports == (*heard(), "AMP901")  # the latter is judged by how an emulated run ends


def test_every_check_is_the_run_time_half_of_the_rule_of_its_name() -> None:
    rules = load_plugins().rules
    names = {path.stem for path in CHECKS.glob("*.py")} - {"__init__"}
    assert names == {f"{code.lower()}_{rules[code].name.replace('-', '_')}" for code in heard()}
    assert {rules[code].mode for code in heard()} <= {"runtime", "both"}


def test_the_rules_say_where_they_are_looked_for() -> None:
    plugins = load_plugins()
    assert plugins.seen(plugins.rules["AMP103"]) == "in source text; at run time too, by stage 3 integration"
    assert plugins.seen(plugins.rules["RUN001"]) == "at run time"
    assert plugins.seen(plugins.rules["SCP001"]) == "in source text"
