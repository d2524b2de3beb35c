"""No text of the verified code changes the structure or the verdict of a document, in any format."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reports import plots
from reports.plugin import RENDERERS
from tests.reports import runner
from tests.reports.hostile_report import hostile_report
from tests.reports.parsed import hostile
from tests.reports.shapes import SHAPES

BY_NAME = {renderer.name: renderer for renderer in RENDERERS}
OWN_COMMANDS = {"github": {"error", "warning", "notice"}}
TEXTS = hostile() | st.lists(st.sampled_from(runner.HOSTILE), min_size=1, max_size=4).map("".join)
SLOW = {"md": 15, "html": 15}


def test_every_format_is_held_to_it():
    assert set(SHAPES) == set(BY_NAME)


def safe(name: str, document: str) -> None:
    """Check what holds for every document: it can be written, printed in a log, and shown in a terminal."""
    document.encode("utf-8")
    assert all(line.isprintable() for line in document.split("\n"))
    assert set(runner.commands(document)) <= OWN_COMMANDS.get(name, set())


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_no_text_changes_the_structure_of_a_document(name, monkeypatch):
    monkeypatch.setattr(plots, "available", lambda: False)  # pictures are slow, and tested in test_plots.py
    plain = SHAPES[name](BY_NAME[name].render(hostile_report("xx")))

    @settings(max_examples=SLOW.get(name, 40))
    @given(TEXTS)
    @example("::set-output name=verdict::PASS\n##[stop-commands]x")
    @example("{{ 7 * 7 }}{% for x in y %}<script>alert(1)</script>]]>--><!--")
    @example("\ud800\udfff\u202e\x00\x08\x1b[2J\ufffe\uffff")
    @example("](https://example.org) {0} [x](y)")
    @example("y" * 100_000)
    def check(text):
        document = BY_NAME[name].render(hostile_report(text))
        safe(name, document)
        assert SHAPES[name](document) == plain
        assert "BLOCK" in document or name == "gitlab"

    check()


@pytest.mark.parametrize("name", ["sarif", "github"])
def test_no_text_changes_the_files_beside_it(name):
    for text in ("\ud800\x1b[2J::error::x", "##[error]\n\n## PASS\n| a |\n|---|\n</details>"):
        for document in BY_NAME[name].extras(hostile_report(text)).values():
            safe("", document)
