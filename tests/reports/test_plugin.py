from __future__ import annotations

import subprocess
import sys

import pluggy

from reports import plugin
from tests.reports import samples
from verifier import hookspecs
from verifier.options import BUILT_IN_FORMATS


def test_the_plugin_registers_and_brings_the_formats():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    (renderers,) = manager.hook.verifier_renderers()
    assert [(one.name, one.filename) for one in renderers] == [
        ("md", "report.md"),
        ("json", "report.json"),
        ("json-lines", "report.jsonl"),
        ("concise", "report.txt"),
        ("agent", "agent.txt"),
        ("sarif", "report.sarif"),
        ("junit", "junit.xml"),
        ("github", "github.txt"),
        ("gitlab", "gl-code-quality-report.json"),
        ("html", "report.html"),
        ("intoto", "report.intoto.json"),
    ]


def test_the_help_of_the_command_line_names_them():
    assert tuple(one.name for one in plugin.RENDERERS) == BUILT_IN_FORMATS


def test_no_two_formats_write_the_same_file():
    report = samples.passed()
    names = [name for one in plugin.RENDERERS for name in (one.filename, *one.extras(report))]
    assert len(names) == len(set(names))


def test_every_format_renders_both_samples():
    for renderer in plugin.RENDERERS:
        for report in (samples.blocked(), samples.passed()):
            said = {"PASS": "WARNED", "BLOCK": "FAILED"} if renderer.name == "intoto" else {}
            assert said.get(report.verdict, report.verdict) in renderer.render(report) or renderer.name == "gitlab"
            assert set(renderer.extras(report)) >= ({"syntax.md"} if renderer.name == "md" else set())


def test_listing_the_formats_loads_neither_templates_nor_plots():
    code = (
        "import sys, reports.plugin; reports.plugin.verifier_renderers();"
        "assert not {'jinja2', 'matplotlib', 'torch'} & set(sys.modules), 'loaded too early';"
        "assert not [name for name in sys.modules if name.startswith('reports.') and name != 'reports.plugin']"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
