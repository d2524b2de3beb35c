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
    "a placeholder that is replaced in a kernel's source": """
        import triton
        def specialised(rows):
            @triton.jit
            def kernel(x):
                LOAD_ROWS_HERE
                return x + MIDDLE_HERE
            text = kernel.src.replace("    LOAD_ROWS_HERE", rows)
            kernel.src = text.replace("MIDDLE_HERE", "row1")
            return kernel
        """,
}
FOUND = {
    "a placeholder that nothing replaces": """
        import triton
        @triton.jit
        def kernel(x):
            BODY_HERE  # noqa: F821
            return x
        text = kernel.src.replace("OTHER_HERE", "")
        """,
    "a text that is replaced, beside a function that is not compiled from its source": """
        def plain(x):
            return x + BODY_HERE
        text = "BODY_HERE".replace("BODY_HERE", "")
        """,
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


@pytest.mark.parametrize("name", ["jupyter_notebook_config.py", "ipython_config.py", "deep/jupyterhub_config.py"])
def test_a_configuration_file_of_jupyter_has_the_names_that_its_loader_gives(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("c = get_config()\nc.ServerApp.port = 8888\nload_subconfig('more.py')\nprint(gone)\n")
    found = run_stage(STAGE, tmp_path, [name]).findings
    assert [finding.symbol for finding in found if finding.rule == "SCP001"] == ["gone"]


def test_any_other_file_has_not(tmp_path: Path) -> None:
    (tmp_path / "app_config.py").write_text("c = get_config()\n")
    found = run_stage(STAGE, tmp_path, ["app_config.py"]).findings
    assert [finding.symbol for finding in found if finding.rule == "SCP001"] == ["get_config"]
