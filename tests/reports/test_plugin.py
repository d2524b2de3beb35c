from __future__ import annotations

import subprocess
import sys

import pluggy

from reports import plugin
from tests.reports import samples
from verifier import hookspecs


def test_the_plugin_registers_and_brings_the_formats():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    (renderers,) = manager.hook.verifier_renderers()
    assert [(one.name, one.filename) for one in renderers] == [
        ("md", "report.md"),
        ("json", "report.json"),
        ("concise", "report.txt"),
        ("intoto", "report.intoto.json"),
    ]


def test_every_format_renders_both_samples():
    for renderer in plugin.RENDERERS:
        for report in (samples.blocked(), samples.passed()):
            said = {"PASS": "WARNED", "BLOCK": "FAILED"} if renderer.name == "intoto" else {}
            assert said.get(report.verdict, report.verdict) in renderer.render(report)
            assert set(renderer.extras(report)) >= ({"syntax.md"} if renderer.name == "md" else set())


def test_listing_the_formats_loads_neither_templates_nor_plots():
    code = (
        "import sys, reports.plugin; reports.plugin.verifier_renderers();"
        "assert not {'jinja2', 'matplotlib', 'torch'} & set(sys.modules), 'loaded too early'"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
