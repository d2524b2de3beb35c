"""What stage 2 takes from a file that it only searches."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.logic.searched import says
from verifier.api import SourceFile

TEXT = "import torch\n\n\ndef far(x, mask):\n    return x\n"
GIVEN = {"spoken": {"float16": True, "low": True, "pure": False}, "asked": ["asked.py"]}


def _said(folder: Path, text: str, name: str = "far.py") -> str:
    (folder / name).write_text(text)
    return says(GIVEN, SourceFile(name, folder / name))


@pytest.mark.parametrize("more", ["# more\n", "def more():\n    return far\n", "x = 1\n", '"""More."""\n'])
def test_what_no_rule_searches_for_changes_nothing(tmp_path: Path, more: str) -> None:
    assert _said(tmp_path, TEXT + more) == _said(tmp_path, more + TEXT) == _said(tmp_path, TEXT)


@pytest.mark.parametrize(
    "more",
    [
        "scaler = None\n",
        "y = x.masked_fill(mask, -1e9)\n",
        "y = x / (x.norm() + 1e-12)\n",
        "torch.set_grad_enabled(False)\n",
        "def more(loss):\n    loss.backward()\n",
        "# deepspeed\n",
        "# bf16\n",
        "# mixed_precision\n",
    ],
)
def test_what_some_rule_or_another_file_is_judged_by_changes_it(tmp_path: Path, more: str) -> None:
    assert _said(tmp_path, TEXT + more) != _said(tmp_path, TEXT)


def test_the_line_of_what_may_be_harmed_counts(tmp_path: Path) -> None:
    text = TEXT + "y = x.masked_fill(mask, -1e9)\n"
    assert _said(tmp_path, "\n" + text) != _said(tmp_path, text)


def test_whether_a_name_that_leads_into_it_has_it_read_counts_where_one_does(tmp_path: Path) -> None:
    assert _said(tmp_path, TEXT + "# optimizer\n") == _said(tmp_path, TEXT)
    assert _said(tmp_path, TEXT + "# optimizer\n", "asked.py") != _said(tmp_path, TEXT, "asked.py")


def test_a_file_that_cannot_be_read_says_something_else_than_an_empty_one(tmp_path: Path) -> None:
    missing = SourceFile("far.py", tmp_path / "missing.py")
    assert says(GIVEN, missing) != _said(tmp_path, "")
