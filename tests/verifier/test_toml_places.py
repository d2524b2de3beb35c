"""An error about a key names the line on which it stands."""

from __future__ import annotations

import pytest

from verifier.toml_places import line_of

TEXT = """\
[tool.verifier]
block-at = "high"

[tool.verifier.tasks.T035]
title = "x"
files = [
  "a.py",
]

[[tool.verifier.tasks.T035.acceptance]]
text = "first"

[[tool.verifier.tasks.T035.acceptance]]
text = "second"
proven-by = ["a:b"]

[tool.verifier.tasks."T 36"]
files = ["b.py"]
"""
TASK = ("tool", "verifier", "tasks", "T035")


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("tool", "verifier", "block-at"), 2),
        ((*TASK, "files"), 6),
        ((*TASK, "acceptance", 0, "text"), 11),
        ((*TASK, "acceptance", 1, "proven-by"), 15),
        ((*TASK, "acceptance", 1, "absent"), 13),
        (("tool", "verifier", "tasks", "T 36", "files"), 18),
        (("nothing", "like", "it"), 1),
    ],
)
def test_line_of_a_key(keys: tuple[str | int, ...], line: int) -> None:
    assert line_of(TEXT, keys) == line
