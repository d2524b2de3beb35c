"""The page's blocks run as one program, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/training_step.md").read_text("utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_blocks_run_one_after_the_other(capsys):
    assert len(CODE) == 10
    exec(compile("\n".join(CODE), "docs/training_step.md", "exec"), {})
    said = capsys.readouterr().out
    assert said.startswith("1 False 65536.0\n")
    assert "('2',)" in said


def test_the_rules_and_files_it_names_exist():
    for code in re.findall(r"AMP\d{3}", PAGE):
        assert (ROOT / f"docs/rules/{code}.md").is_file()
    for path in re.findall(r"`(tests/[\w/]+\.py)`", PAGE):
        assert (ROOT / path).is_file()
