"""Every fix, on the Bad examples of its rule: the rule is silent afterwards, and a second time changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages.fixing import codes, fixed, plugins, texts, write
from verifier.api import Bad, Example

# examples that no edit mends soundly: rule -> their places among the examples of the rule; docs/fixes.md says why
DECLINED: dict[str, tuple[int, ...]] = {
    "AMP103": (6,),
    "IMP003": (1,),
}
PARTLY = {"LNT001": 2}  # findings that are left, of errors other than unused imports
CASES = [
    pytest.param(code, number, example, id=f"{code}-{number}")
    for code in plugins().fixes
    for number, example in enumerate(plugins().rules[code].examples)
    if isinstance(example, Bad)
]


@pytest.mark.parametrize(("code", "number", "example"), CASES)
def test_a_bad_example_is_mended_or_left_as_it_is(code: str, number: int, example: Example, tmp_path: Path) -> None:
    before = write(tmp_path, example.files)
    in_stage_1 = plugins().rule_stage[code] == "syntax"
    first = fixed(tmp_path, before, only=code, lint=in_stage_1)
    if number in DECLINED.get(code, ()):
        assert texts(first.sources) == texts(before)
        return
    assert codes(first.report).count(code) == PARTLY.get(code, 0)
    assert {item.finding.rule for item in first.applied} == {code}
    for path, text in texts(first.sources).items():
        compile(text, path, "exec")
    again = fixed(tmp_path, first.sources, only=code, lint=in_stage_1)
    assert not again.applied
