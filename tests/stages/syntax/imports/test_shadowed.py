"""IMP006: only modules that would really replace one of the standard library."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages.syntax.imports.projects import findings, judge


@pytest.mark.parametrize("path", ["random.py", "src/logging.py", "profile/__init__.py"])
def test_a_top_level_module_that_replaces_a_standard_one_is_reported(tmp_path: Path, path: str) -> None:
    (finding,) = findings(judge(tmp_path, {path: "", "main.py": "import random\n"}), "IMP006")
    assert finding.location.path == path


@pytest.mark.parametrize("path", ["sys.py", "os.py", "pkg/random.py", "test/__init__.py", "time.py", "randoms.py"])
def test_a_module_that_replaces_nothing_is_silent(tmp_path: Path, path: str) -> None:
    assert findings(judge(tmp_path, {path: "", "pkg/__init__.py": ""}), "IMP006") == []
