from __future__ import annotations

import pytest

from reports import sarif_rules
from reports.sarif_rules import TAGS, descriptor
from tests.reports.parsed import blocks, plain
from verifier.api import load_plugins

RULES = load_plugins().rules


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_rule_of_ours_is_described(code):
    rule = RULES[code]
    told = descriptor(code, rule.name, rule)
    assert rule.summary.split()[0] in told["shortDescription"]["text"]
    assert rule.why in told["help"]["text"]
    assert told["help"]["text"].endswith(f"verify explain {code}")
    assert "helpUri" not in told
    assert 1 <= len(told["properties"]["tags"]) <= TAGS
    fences = [token.content for token in blocks(told["help"]["markdown"]) if token.type == "fence"]
    assert bool(fences) >= bool(rule.examples)


def test_a_rule_that_nobody_describes_has_code_and_name():
    assert descriptor("EXT001", "a-name", None) == {
        "id": "EXT001",
        "name": "a-name",
        "shortDescription": {"text": "a-name"},
    }


def test_the_help_shows_an_example_of_each_kind():
    text = descriptor("AMP103", "", RULES["AMP103"])["help"]["markdown"]
    words = [plain(token) for token in blocks(text) if token.type == "inline"]
    assert [word for word in words if word in ("Bad", "Good")] == ["Bad", "Good"]
    assert "verify: allow[AMP103]" in text


def test_a_documentation_that_the_package_names_is_linked(monkeypatch):
    monkeypatch.setattr(sarif_rules, "_documentation", lambda: "https://docs.example.org")
    assert descriptor("AMP103", "", RULES["AMP103"])["helpUri"] == "https://docs.example.org/rules/AMP103"


def test_only_security_has_a_security_severity():
    told = {code: descriptor(code, "", rule)["properties"] for code, rule in RULES.items()}
    assert {code[:3] for code, properties in told.items() if "security-severity" in properties} <= {"SEC"}
