"""The Markdown of `verify analyze`: eight sections in order, and nothing of the code changes its structure."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings

from reports.analysis import markdown
from tests.builders import finding, reported
from tests.reports.parsed import hostile, shape
from verifier.api import AnalysisReport, ModuleAnalysis, Soundness

SECTIONS = [
    "1. Purpose and role",
    "2. Interface contracts and dependencies",
    "3. Correctness",
    "4. Robustness and error handling",
    "5. Performance and scale",
    "6. Security and safety",
    "7. Maintainability",
    "8. Verdict",
]


def facts(text: str) -> dict[str, Any]:
    function = {"name": text, "line": 1, "end_line": 2, "signature": f"(a={text})", "returns": text, "docstring": text}
    return {
        "purpose": {"module": text, "docstring": text, "is_script": True, "imported_by": [{"path": text, "line": 3}]},
        "interface": {
            "classes": [
                {"name": text, "line": 1, "end_line": 9, "bases": [text], "decorators": [text], "docstring": text,
                 "fields": [{"name": text, "type": text, "default": text, "line": 2}], "methods": [function]}
            ],
            "functions": [function],
            "dependencies": {"project": [{"module": text, "lines": [1], "kinds": ["lazy"], "resolved": False}]},
        },
        "robustness": {
            "handlers": [{"line": 4, "catches": [text], "broad": True, "does": "returns"}],
            "raises": [{"line": 5, "what": text}], "asserts": [6], "finally": [7], "unclosed": [8],
        },
        "performance": {
            "loop_count": 1, "warm_ups": [{"line": 1, "end_line": 2, "over": text}],
            "loops": [{"line": 1, "end_line": 2, "over": text, "depth": 1, "syncs": [{"line": 2, "what": text}],
                       "allocations": []}],
        },
        "security": {"unpickles": [{"line": 9, "what": text}], "runs commands": []},
        "maintainability": {
            "lines": 10, "code": 8, "comments": 1, "classes": 1, "functions": 1, "mean_complexity": 1.5,
            "longest": {"name": text, "line": 1, "lines": 3}, "annotated": 1, "annotatable": 2, "documented": 0,
            "documentable": 0, "complexity": [{"name": text, "line": 1, "complexity": 3}],
            "configuration_access": [{"parameter": text, "function": text, "line": 1, "settings": [text]}],
        },
    }  # fmt: skip


def rendered(text: str, *found: Any) -> str:
    module = ModuleAnalysis(path="a.py", verdict=Soundness.UNSOUND, findings=found, facts=facts(text))
    return markdown(AnalysisReport(verdict=Soundness.UNSOUND, modules=(module,), tool={"command": "verify analyze a"}))


def headings(document: str, level: int) -> list[str]:
    return re.findall(rf"^{'#' * level} (.*)$", document, re.MULTILINE)


def test_eight_sections_in_their_order() -> None:
    assert headings(rendered("plain"), 3) == SECTIONS


def document_of(text: str) -> str:
    return rendered(text, reported(finding("MOD501", at="a.py:3", severity="HIGH", message=text, remediation=text)))


@given(hostile())
@settings(max_examples=60, deadline=None)
def test_nothing_from_the_code_alters_the_structure(text: str) -> None:
    assert shape(document_of(text)) == shape(document_of("plain"))


def test_facts_are_told_in_words() -> None:
    document = rendered("plain")
    assert "- Cleans up in `finally`: line 7." in document
    assert "- 1 loop; 1 waits for the device or allocates in each turn." in document
    assert "Looked for and not found: runs commands." in document
    assert "1 of 2 (50%)" in document
