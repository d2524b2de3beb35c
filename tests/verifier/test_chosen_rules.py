"""`--select` and `--ignore` narrow what is reported, and can never make unjudged code look judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from verifier.chosen_rules import choose_rules
from verifier.errors import UsageError
from verifier.plugins import Plugins, load_plugins

SOURCE = """def used():
    return missing


def late():
    print(value)
    value = 1
    return value


def injected():
    return host  # verify: allow[SCP001] the host defines it
"""


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


def run(root: Path, *arguments: str, form: str = "json") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "verifier", "check", "a.py", "--output", "-", "--format", form, *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)


def report(root: Path, *arguments: str) -> dict[str, Any]:
    done = run(root, *arguments)
    assert done.stdout, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def rules(document: dict[str, Any]) -> list[str]:
    return sorted(item["rule"] for stage in document["stages"] for item in stage["findings"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_text(SOURCE)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["SCP001", "SCP003"]),
        (("--select", "SCP003"), ["SCP003"]),
        (("--select", "undefined-name"), ["SCP001"]),
        (("--select", "scp"), ["SCP001", "SCP003"]),
        (("--select", "SYN,SCP001"), ["SCP001"]),
        (("--ignore", "SCP001"), ["SCP003"]),
        (("--ignore", "SCP001", "--ignore", "used-before-binding"), []),
        (("--select", "SCP", "--ignore", "SCP001"), ["SCP003"]),
    ],
)
def test_only_what_is_selected_is_reported(project: Path, arguments: tuple[str, ...], expected: list[str]) -> None:
    assert rules(report(project, *arguments)) == expected


def test_what_is_left_out_neither_counts_nor_blocks_but_the_report_says_so(project: Path) -> None:
    document = report(project, "--ignore", "SCP")
    assert (document["verdict"], document["score"]) == ("PASS", 100)
    assert document["tool"]["selection"] == {
        "select": [],
        "ignore": ["SCP"],
        "left_out": ["SCP"],
        "rules": 3,
        "findings": 2,
        "blocking": 2,
    }


def test_a_gate_that_a_left_out_finding_would_fail_is_deferred_and_never_passed(project: Path) -> None:
    gates = {gate["name"]: gate for gate in report(project, "--ignore", "SCP001,SCP003")["stages"][0]["gates"]}
    assert gates["scope"]["status"] == "DEFERRED"
    assert gates["scope"]["evidence"].startswith("not decided: SCP001, SCP003, left out of this run, would fail it")
    assert gates["compilation"]["status"] == "PASS"


def test_a_gate_that_fails_by_what_is_reported_still_fails(project: Path) -> None:
    gates = {gate["name"]: gate["status"] for gate in report(project, "--ignore", "SCP001")["stages"][0]["gates"]}
    assert gates["scope"] == "FAIL"


def test_every_form_for_people_says_what_was_left_out(project: Path) -> None:
    concise = run(project, "--ignore", "SCP", form="concise").stdout
    assert "PASS 100/100, 0 findings, 1 gate deferred, 3 rules left out by --select or --ignore" in concise
    page = run(project, "--ignore", "SCP", form="md").stdout
    assert "3 rules were left out by `--ignore SCP`, and 2 findings of theirs would block." in page
    assert "Neither shown nor counted, by `--ignore SCP`: SCP; 2 findings, 2 of which would block." in page
    command = [sys.executable, "-m", "verifier", "check", "a.py", "--output", "out", "--ignore", "SCP"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)
    assert "3 rules left out by --select or --ignore" in done.stdout


def test_a_comment_for_a_rule_that_is_left_out_is_not_called_unused(project: Path) -> None:
    document = report(project, "--ignore", "SCP001")
    assert "VER002" not in rules(document)
    assert document["suppressed"] == []


def test_a_file_that_does_not_parse_is_reported_whatever_is_selected(project: Path) -> None:
    (project / "a.py").write_text("def f(:\n")
    for arguments in (("--select", "SCP"), ("--ignore", "SYN"), ("--select", "IMP", "--ignore", "SYN")):
        document = report(project, *arguments)
        assert (rules(document), document["verdict"]) == (["SYN001"], "BLOCK")


def test_the_verifiers_own_findings_stay(project: Path) -> None:
    (project / "a.py").write_text("x = 1  # verify: allow[SCP001]\n")
    assert rules(report(project, "--select", "SYN002")) == ["VER001"]


@pytest.mark.parametrize(
    ("select", "ignore", "sentence"),
    [
        (["SCP009"], [], r'--select: "SCP009" is no rule, rule name or family.*did you mean "SCP00\d"'),
        ([], ["undefined-nam"], 'did you mean "undefined-name"'),
        ([], ["SYN001"], "--ignore SYN001: it says what could not be judged"),
        ([], ["VER"], "--ignore VER: it says what could not be judged"),
        (["VER"], [], "--select VER leaves no rule"),
        (["RUN"], [], "--select RUN leaves no rule that the stages of this run could report"),
        (["SCP"], ["SCP"], "--select SCP --ignore SCP leaves no rule"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(
    plugins: Plugins, select: list[str], ignore: list[str], sentence: str
) -> None:
    static = [stage for stage in plugins.stages if not stage.runs_code]
    with pytest.raises(UsageError, match=sentence):
        choose_rules(plugins, static, select, ignore)


def test_without_options_nothing_is_left_out(plugins: Plugins) -> None:
    assert choose_rules(plugins, plugins.stages).left_out == frozenset()


def test_no_choice_leaves_out_an_essential_rule(plugins: Plugins) -> None:
    essential = {code for code, rule in plugins.rules.items() if rule.essential}
    assert {"SYN001", "VER001", "VER002", "VER003", "VER004"} <= essential
    for code in plugins.rules:
        if plugins.rule_stage[code]:
            assert not choose_rules(plugins, plugins.stages, [code]).left_out & essential
