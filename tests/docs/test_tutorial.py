"""docs/tutorial.md does what it says: its script blocks, is mended by its commands, and ends as the page shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.verifier.command import Command

PAGE = (Path(__file__).parents[2] / "docs/tutorial.md").read_text("utf-8")
SCRIPTS = dict(re.findall(r'```python title="(.*?)"\n(.*?)```', PAGE, re.DOTALL))
SAID = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


def test_from_the_first_alarm_to_pass(command: Command) -> None:
    script = command.write("train.py", SCRIPTS["train.py"])
    first = command("check", "train.py")
    assert first.code == 1
    assert SAID[0].strip() in first.out
    mended = command("fix", "train.py")
    assert mended.code == 0
    assert all(line in mended.out.splitlines() for line in SAID[1].strip().splitlines())
    assert command("fix", "--unsafe", "train.py").code == 0
    last = command("check", "train.py")
    assert (last.code, "AMP" in last.out) == (0, False)
    assert script.read_text() == SCRIPTS["fixed.py"]
