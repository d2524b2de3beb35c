"""Forms that public training code uses, and that are no undefined names: each was an alarm of ours once."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.syntax.stage import STAGE
from tests.builders import run_stage

SILENT = {
    "version test in a boolean expression": """
        import sys
        def check(x):
            return isinstance(x, str) or (sys.version_info[0] == 2 and isinstance(x, unicode))
        """,
    "version test in a condition": """
        import sys
        def check(x):
            if isinstance(x, str) or (sys.version_info[0] == 2 and isinstance(x, unicode)):
                return 1
            return 2
        """,
    "a name that is asked for": """
        try:
            SHELL = str(type(get_ipython()))
        except Exception:
            SHELL = ""
        """,
    "code below exit": """
        print("a")
        exit()
        print(dead)
        """,
    "code below sys.exit": """
        import sys
        def f():
            sys.exit(1)
            print(dead)
        """,
}
FOUND = {
    "the operand before the version test": """
        import sys
        def check(x):
            return isinstance(x, unicod) or sys.version_info[0] == 2
        """,
    "a body of several statements": """
        try:
            value = 1
            print(valeu)
        except Exception:
            value = 2
        """,
    "code beside an exit": """
        import sys
        def f(bad):
            if bad:
                sys.exit(1)
            print(dead)
        """,
}


def _codes(root: Path, text: str) -> set[str]:
    lines = [line[8:] for line in text.splitlines()]
    (root / "a.py").write_text("\n".join(lines) + "\n")
    return {finding.rule for finding in run_stage(STAGE, root, ["a.py"]).findings if finding.rule.startswith("SCP")}


@pytest.mark.parametrize("text", SILENT.values(), ids=SILENT)
def test_what_runs_fine_is_silent(tmp_path: Path, text: str) -> None:
    assert _codes(tmp_path, text) == set()


@pytest.mark.parametrize("text", FOUND.values(), ids=FOUND)
def test_what_raises_beside_it_is_still_found(tmp_path: Path, text: str) -> None:
    assert _codes(tmp_path, text) == {"SCP001"}
