"""A plugin that cannot be trusted whole is an error that names it."""

from __future__ import annotations

import sys
import textwrap
from importlib import metadata
from pathlib import Path

import pytest

from verifier.errors import PluginError
from verifier.plugins import load_plugins

GOOD = """
from verifier.api import Renderer, RuleInfo, Severity, Stage, StageOutcome, hookimpl

RULE = RuleInfo(code="EXT001", name="extra", severity=Severity.LOW, summary="s", why="w")
STAGE = Stage(number=7, name="extra", title="E", summary="s", runs_code=False, rules=(RULE,),
              run=lambda context: StageOutcome(checks_run=1))

@hookimpl
def verifier_stages():
    return (STAGE,)

@hookimpl
def verifier_renderers():
    return (Renderer(name="plain", filename="plain.txt", summary="s", render=lambda report: report.verdict),)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, text: str) -> metadata.EntryPoint:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        sys.modules.pop(name, None)
        return metadata.EntryPoint(name=name, value=name, group="verifier.plugins")

    return make


def test_a_plugin_of_no_distribution_has_no_origin(plugin) -> None:
    plugins = load_plugins([plugin("ext_good", GOOD)])
    assert (plugins.stage_origin, plugins.rule_origin, plugins.third_party) == ({}, {}, ())


def test_a_plugin_brings_stage_rule_and_format(plugin) -> None:
    plugins = load_plugins([plugin("ext_good", GOOD)])
    assert [stage.name for stage in plugins.stages] == ["extra"]
    assert plugins.rule_stage["EXT001"] == "extra"
    assert "plain" in plugins.renderers
    assert plugins.stage("7") is plugins.stage("extra")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("import no_such_module_anywhere", 'plugin "ext_bad" failed to load'),
        ("raise SystemError('boom')", "SystemError: boom"),
        (
            "from verifier.api import hookimpl\n@hookimpl\ndef verifier_stagez():\n    return ()\n",
            "verifier_stagez",
        ),
        (
            "from verifier.api import hookimpl\n@hookimpl\ndef verifier_stages():\n    return (3,)\n",
            'plugin "ext_bad" returned int from verifier_stages',
        ),
    ],
)
def test_a_broken_plugin_is_an_error_that_names_it(plugin, text: str, part: str) -> None:
    with pytest.raises(PluginError, match=part):
        load_plugins([plugin("ext_good", GOOD), plugin("ext_bad", text)])


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("number=7", "number=8", 'the stage "extra"'),
        ('name="extra", title', 'name="other", title', 'the stage number "7"'),
    ],
)
def test_the_same_name_or_number_twice_is_refused(plugin, old: str, new: str, part: str) -> None:
    twin = GOOD.replace(old, new)
    with pytest.raises(PluginError, match=part):
        load_plugins([plugin("ext_good", GOOD), plugin("ext_twin", twin)])


def test_the_same_rule_code_twice_is_refused(plugin) -> None:
    twin = GOOD.replace("number=7", "number=8").replace('name="extra", title', 'name="o", title')
    twin = twin.replace('name="plain"', 'name="plain2"')
    with pytest.raises(PluginError, match='rule code "EXT001"'):
        load_plugins([plugin("ext_good", GOOD), plugin("ext_twin", twin)])


FIX = """
from verifier.api import Fix, hookimpl

@hookimpl
def verifier_fixes():
    return (Fix(rule="EXT001", safety="safe", summary="s", repair=lambda finding, context: None),)
"""


def test_a_plugin_brings_a_fix_for_the_rule_of_another(plugin) -> None:
    plugins = load_plugins([plugin("ext_good", GOOD), plugin("ext_fix", FIX)])
    assert plugins.fixes["EXT001"].safety == "safe"


def test_two_fixes_of_a_rule_and_a_fix_of_no_rule_are_refused(plugin) -> None:
    with pytest.raises(PluginError, match='two plugins bring the fix of "EXT001"'):
        load_plugins([plugin("ext_good", GOOD), plugin("ext_fix", FIX), plugin("ext_other", FIX)])
    with pytest.raises(PluginError, match="a fix of EXT009, a rule that no plugin brings"):
        load_plugins([plugin("ext_good", GOOD), plugin("ext_fix", FIX.replace("EXT001", "EXT009"))])


def test_no_plugins_at_all_is_an_error_never_an_empty_run() -> None:
    with pytest.raises(PluginError, match="reinstall"):
        load_plugins([])
