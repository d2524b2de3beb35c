"""People see what a fix would change and the command that applies it; JSON carries the one word of the contract."""

from __future__ import annotations

from dataclasses import replace

from reports import json_report
from reports.markdown import render
from tests.builders import finding, reported, run_report, stage_result

DIFF = """\
--- a/pkg/a.py
+++ b/pkg/a.py
@@ -1,2 +1,3 @@
 x = 1
+```
 y = 2
--- a/pkg/my file.py
+++ b/pkg/my file.py
@@ -1 +1 @@
-x = 1
+x = 2
"""


def test_the_diff_stands_below_the_command_that_applies_it() -> None:
    text = render(run_report(stage_result(replace(reported(finding(fix="unsafe")), diff=DIFF))))
    assert "**Automatic fix** (unsafe): `verify fix --unsafe pkg/a.py 'pkg/my file.py'`" in text
    assert "````diff\n--- a/pkg/a.py\n" in text  # a fence of the code cannot end it
    assert "+x = 2\n````" in text


def test_a_fix_without_a_diff_is_named_all_the_same() -> None:
    text = render(run_report(stage_result(reported(finding(fix="safe")))))
    assert "**Automatic fix** (safe): `verify fix pkg/a.py`" in text
    assert "```diff" not in text


def test_json_carries_the_field_of_the_contract_and_no_diff() -> None:
    report = run_report(stage_result(replace(reported(finding(fix="safe")), diff=DIFF)))
    (item,) = json_report.document(report)["stages"][0]["findings"]
    assert item["fix"] == "safe"
    assert "diff" not in item
