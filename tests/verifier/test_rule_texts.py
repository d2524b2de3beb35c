"""`verify explain` shows what a rule says, and `verify rules` lists every rule in three forms."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from verifier.api import load_plugins
from verifier.errors import UsageError
from verifier.rule_texts import explain, find_rule, list_of_rules

PLUGINS = load_plugins()


@pytest.mark.parametrize("name", ["SCP002", "scp002", "name-bound-in-other-scope"])
def test_a_rule_is_found_by_code_or_name(name: str) -> None:
    assert find_rule(PLUGINS, name).code == "SCP002"


@pytest.mark.parametrize(
    ("name", "near"), [("SCP02", "SCP002"), ("import-cycle-fail", "import-cycle-fails"), ("XYZ", "")]
)
def test_an_unknown_rule_is_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f'there is no rule "{name}" in this version.*{near}'):
        find_rule(PLUGINS, name)


@pytest.mark.parametrize("code", sorted(PLUGINS.rules))
def test_the_page_of_every_rule_says_all_of_it(code: str) -> None:
    rule = PLUGINS.rules[code]
    text = explain(PLUGINS, rule)
    words = " ".join(text.split())
    for part in (code, rule.name, rule.severity.name, rule.summary, rule.why, f"docs/rules/{code}.md"):
        assert part in words
    for example in rule.examples:
        for file in example.shown.values():
            assert " ".join(file.split()) in words
    assert "expect:" not in text
    assert (f"# verify: allow[{code}]" in text) == bool(PLUGINS.rule_stage[code])
    assert all(len(line) <= 120 and line == line.rstrip() for line in text.splitlines())


def test_a_strangers_rule_names_its_distribution_instead_of_a_page_of_ours() -> None:
    foreign = dataclasses.replace(PLUGINS, rule_origin={"SCP001": "other 1.0"})
    text = explain(foreign, foreign.rules["SCP001"])
    assert "from      other 1.0" in text
    assert "docs/rules" not in text
    (line,) = [line for line in list_of_rules(foreign, "text").splitlines() if line.startswith("SCP001")]
    assert line.endswith("  from other 1.0")


def test_lists_hold_every_rule() -> None:
    listed = json.loads(list_of_rules(PLUGINS, "json"))
    assert [item["code"] for item in listed] == list(PLUGINS.rules)
    assert {kind for item in listed for example in item["examples"] for kind in [example["kind"]]} == {"bad", "good"}
    text = list_of_rules(PLUGINS, "text")
    assert [line[:6] for line in text.splitlines()] == list(PLUGINS.rules)
    table = list_of_rules(PLUGINS, "md").splitlines()[2:]
    assert [line[2:8] for line in table] == list(PLUGINS.rules)


def test_explain_on_the_command_line() -> None:
    command = [sys.executable, "-m", "verifier", "explain"]
    done = subprocess.run([*command, "undefined-name"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "SCP001  undefined-name")
    wrong = subprocess.run([*command, "SCP01"], capture_output=True, text=True, timeout=60, check=False)
    assert (wrong.returncode, wrong.stdout, len(wrong.stderr.splitlines())) == (2, "", 1)
