from __future__ import annotations

import dataclasses

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reports.sarif_fixes import fixes
from tests.builders import finding, reported
from verifier.fixing.diffs import unified

LINES = st.lists(st.sampled_from(["a", "b", "-- c", "++ d", "@@ -1 +1 @@", "", "\tx"]), max_size=12)


def fixed(diff, fix="safe"):
    return fixes(dataclasses.replace(reported(finding(fix=fix)), diff=diff), "other.py")


def applied(old, changes):
    """Do what a reader of SARIF does: replace regions of the old text, the last one first."""
    lines = old.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    text = old
    for change in reversed(changes):
        region = change["deletedRegion"]
        begin = starts[region["startLine"] - 1] + region["startColumn"] - 1
        end = starts[region["endLine"] - 1] + region["endColumn"] - 1
        text = text[:begin] + change.get("insertedContent", {"text": ""})["text"] + text[end:]
    return text


@settings(max_examples=200)
@given(LINES, LINES)
@example(["a", "b"], ["a"])
@example(["a"], ["x", "a"])
@example(["-- c", "a"], ["a"])
def test_the_replacements_make_of_the_old_file_the_new_one(before, after):
    old, new = ("".join(f"{line}\n" for line in lines) for lines in (before, after))
    diff = unified("pkg/a.py", old.encode(), new.encode()).decode()
    made = fixed(diff)
    if old == new:
        assert made == []
        return
    (change,) = made[0]["artifactChanges"]
    assert change["artifactLocation"]["uri"] == "pkg/a.py"
    assert applied(old, change["replacements"]) == new


def test_a_fix_of_two_files_has_two_changes():
    diff = "".join(unified(path, b"a\nb\n", b"a\nc\n").decode() for path in ("a b.py", "c.py"))
    (made,) = fixed(diff, "unsafe")
    assert [one["artifactLocation"]["uri"] for one in made["artifactChanges"]] == ["a%20b.py", "c.py"]
    assert made["description"]["text"] == "verify fix --unsafe (may change what the program does)"


@pytest.mark.parametrize("diff", ["", "x" * 200_000, "no diff\nat all", "--- a/x\n+++ b/x\n"])
def test_what_is_no_diff_is_no_fix(diff):
    assert fixed(diff) == []
