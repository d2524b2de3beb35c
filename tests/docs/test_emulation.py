from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "emulation.md").read_text("utf-8")


def test_the_example_runs():
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=120)


def test_every_file_that_the_page_names_is_there():
    folder = Path(__file__).parents[2] / "amp_runtime" / "emulation"
    named = set(re.findall(r"`(\w+\.py)`", PAGE))
    assert len(named) > 8
    assert {name for name in named if not (folder / name).is_file()} == set()
