"""Every AMP rule says truly which half of it is active, and where one is not, why."""

from __future__ import annotations

import pytest

from stages.logic.watch import watchers
from verifier.api import RuleInfo, load_plugins

PLUGINS = load_plugins()
AMP = [rule for code, rule in sorted(PLUGINS.rules.items()) if code.startswith("AMP")]
READ = watchers()
LISTENING = {
    *(code for checks in READ.checks.values() for code, _ in checks),
    *(code for code, *_ in (*READ.inspections, *READ.judges, *READ.suspicions)),
}
HEARD = {code for stage in PLUGINS.stages for code in stage.also_reports}


@pytest.mark.parametrize("rule", AMP, ids=lambda rule: rule.code)
def test_a_rule_is_in_source_text_where_it_says_so(rule: RuleInfo) -> None:
    assert (rule.code in LISTENING) is (rule.mode != "runtime")


@pytest.mark.parametrize("rule", AMP, ids=lambda rule: rule.code)
def test_a_rule_that_is_seen_in_both_is_heard_in_a_run(rule: RuleInfo) -> None:
    assert (rule.mode == "both") is (rule.code in LISTENING & HEARD)


@pytest.mark.parametrize("rule", AMP, ids=lambda rule: rule.code)
def test_a_rule_of_one_half_says_why(rule: RuleInfo) -> None:
    assert bool(rule.unseen) is (rule.code not in LISTENING & HEARD)


def test_the_catalogue_is_whole() -> None:
    families = {rule.code[3] for rule in AMP}
    assert families == set("123456789")
