"""Every fix, on the Bad examples of its rule: the rule is silent afterwards, and a second time changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages.fixing import codes, fixed, plugins, texts, write
from verifier.api import Bad, Example

# examples that no edit mends soundly, or not whole: (rule, place among its examples) -> findings that are left
LEFT = {
    ("AMP102", 1): 1,  # the plain step is that of FP32 too
    ("AMP111", 1): 1,  # a test guards the clipping as well
    ("AMP111", 2): 1,
    ("AMP113", 1): 1,  # a test guards the step
    ("AMP114", 1): 1,  # the two stand in different functions
    ("AMP114", 2): 1,  # it comes behind the step
    ("AMP114", 3): 1,  # accelerate unscales by itself
    ("AMP114", 4): 1,  # the second is that of the next micro-batch
    ("AMP114", 5): 1,
    ("AMP128", 3): 1,  # one schedule stands behind the steps of many optimizers
    ("AMP103", 6): 1,  # a callback of another object clips, which does not know the scaler
    ("AMP207", 2): 1,  # a decorator makes the region
    ("AMP210", 1): 1,  # nobody can say what the context was made for
    ("AMP216", 1): 1,  # the sigmoid is applied out of sight
    ("AMP216", 2): 1,
    ("AMP216", 3): 1,
    ("AMP224", 1): 1,  # the decorator is a partial
    ("AMP301", 2): 2,  # the number is a factor, or fills a tensor without a name
    ("AMP301", 3): 1,  # the number is a default
    ("IMP003", 1): 1,  # the package offers what it imports
    ("IMP004", 0): 1,
    ("LNT001", 0): 2,  # other errors than unused imports
}
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
    assert codes(first.report).count(code) == LEFT.get((code, number), 0)
    assert {item.finding.rule for item in first.applied} <= {code}
    assert bool(first.applied) is (texts(first.sources) != texts(before))
    for path, text in texts(first.sources).items():
        compile(text, path, "exec")
    again = fixed(tmp_path, first.sources, only=code, lint=in_stage_1)
    assert not again.applied
