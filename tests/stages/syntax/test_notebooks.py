"""What stage 1 says of notebooks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stages.syntax.stage import STAGE
from tests.builders import run_stage
from tests.notebooks import R, code, markdown, write_notebook
from verifier.notebooks.file import NotebookFile

if TYPE_CHECKING:
    from verifier.api import Finding, StageOutcome

NAME = "train.ipynb"


def _outcome(tmp_path: Path, *cells: str | dict[str, Any], **fields: Any) -> StageOutcome:
    write_notebook(tmp_path / NAME, *cells, **fields)
    return run_stage(STAGE, tmp_path, [NAME])


def _findings(tmp_path: Path, *cells: str | dict[str, Any], **fields: Any) -> list[Finding]:
    return [finding for finding in _outcome(tmp_path, *cells, **fields).findings if finding.rule != "LNT001"]


def _said(tmp_path: Path, *cells: str | dict[str, Any], **fields: Any) -> list[tuple[str, str, str | None]]:
    found = _findings(tmp_path, *cells, **fields)
    return [(item.rule, item.severity.name, item.symbol) for item in sorted(found, key=lambda item: item.location)]


@pytest.mark.parametrize(
    "cells",
    [
        ["x = 1", "print(x, display, In, Out, _, __, _i3, _12, get_ipython())", "exit", "for _ in []: pass"],
        ["def f():\n    return later", "later = 1"],
        ["%matplotlib inline", "!pip install x", "files = !ls\nprint(files)", "%time y = 1", "print(y)"],
        ["%run other.py", "print(anything)"],
        ["%pylab inline", "plot(rand(3))"],
        ["%%capture out\nx = 1", "print(out, x)"],
        ["%%bash\necho {", "%%html\n<b>", "%%writefile a.py\nx = = 1"],
        ["x = 1;", "async def f(x): pass", "await f(x)"],
        ["if 'x' in globals():\n    del x\nx = 1"],
        ["from __future__ import print_function", "x = 1", "from __future__ import division"],
        [">>> x = 1\n>>> print(x)", "print(x)"],
        ["def f(): pass", "def f(): pass", "import os", "import os\nprint(os, f)"],
        [],
        [""],
    ],
)
def test_what_runs_cell_by_cell_is_silent(tmp_path: Path, cells: list[str]) -> None:
    assert _said(tmp_path, *cells) == []


def test_a_refused_cell_is_one_finding_and_the_others_keep_theirs(tmp_path: Path) -> None:
    found = _said(tmp_path, "model = 1", "loss = = model\nstep = 2", "print(loss, step, model, nowhere)", "for")
    assert found == [("SYN001", "CRITICAL", None), ("SCP001", "CRITICAL", "nowhere"), ("SYN001", "CRITICAL", None)]


def test_a_name_that_a_later_cell_binds_is_low_and_says_which(tmp_path: Path) -> None:
    (found,) = _findings(tmp_path, "print(x)", "y = 1", "x = 1")
    assert (found.rule, found.severity.name) == ("SCP003", "LOW")
    assert found.message == "`x` is not bound when the cells run from top to bottom: cell 3 binds it"


def test_a_name_that_a_cell_above_deletes_is_low(tmp_path: Path) -> None:
    assert _said(tmp_path, "x = 1", "del x", "print(x)") == [("SCP003", "LOW", "x")]


def test_a_name_that_only_its_own_cell_binds_too_late_is_certain(tmp_path: Path) -> None:
    (found,) = _findings(tmp_path, "y = 1", "x += y\nprint(x)")
    assert (found.rule, found.severity.name) == ("SCP003", "CRITICAL")


def test_a_name_bound_nowhere_is_certain_and_the_impact_is_that_of_a_cell(tmp_path: Path) -> None:
    (found,) = _findings(tmp_path, markdown("import x"), "print(x)")
    assert (found.rule, found.severity.name) == ("SCP001", "CRITICAL")
    assert found.impact == "Running this cell raises NameError."


def test_a_cell_that_is_meant_to_fail_is_a_note(tmp_path: Path) -> None:
    meant = code("print(nowhere)", metadata={"tags": ["raises-exception"]})
    assert _said(tmp_path, meant) == [("SCP001", "INFO", "nowhere")]


def test_imports_are_judged_as_those_of_a_script(tmp_path: Path) -> None:
    (tmp_path / "pkg.py").write_text("x = 1\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\nversion = "1"\ndependencies = ["numpy"]\n')
    found = _said(tmp_path, "from pkg import x, y\nimport notthere_anywhere")
    assert found == [("IMP001", "CRITICAL", "y"), ("IMP002", "HIGH", "notthere_anywhere")]


def test_an_import_may_be_of_a_module_that_the_notebook_writes_or_clones(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\nversion = "1"\ndependencies = ["numpy"]\n')
    for cells in (["%%writefile helper.py\nx = 1", "import helper"], ["!git clone a\n%cd a", "import helper"]):
        assert _said(tmp_path, *cells) == [("IMP002", "LOW", "helper")]


def test_a_folder_that_no_one_makes_a_package_may_share_its_name_with_one(tmp_path: Path) -> None:
    for name in ("sagemaker/scripts/train.py", "own/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x = 1\n")
    found = _said(tmp_path, "import sagemaker.huggingface\nimport own.gone")
    assert found == [("IMP001", "LOW", "sagemaker.huggingface"), ("IMP001", "CRITICAL", "own.gone")]


def test_no_module_is_found_in_a_notebook(tmp_path: Path) -> None:
    write_notebook(tmp_path / "helper.ipynb", "x = 1")
    (tmp_path / "a.py").write_text("import helper\n")
    found = run_stage(STAGE, tmp_path, ["a.py", "helper.ipynb"]).findings
    assert [(item.rule, item.location.path) for item in found if item.rule != "LNT001"] == [("IMP002", "a.py")]


def test_what_is_no_notebook_is_a_finding_at_its_place(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"cells": [\n<<<<<<< HEAD\n')
    (found,) = run_stage(STAGE, tmp_path, [NAME]).findings
    assert (found.rule, found.severity.name, found.location.line) == ("SYN001", "CRITICAL", 2)
    assert found.message == "Not a notebook: it is not JSON: Expecting value"


def test_a_notebook_of_another_language_is_counted_and_said_not_to_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    write_notebook(tmp_path / NAME, "x <- 1", metadata=R)
    outcome = run_stage(STAGE, tmp_path, ["a.py", NAME])
    assert outcome.findings == ()
    assert outcome.facts["notebooks"] == [{"path": NAME, "cells": 1, "refused_cells": [], "skipped": "R"}]
    assert outcome.facts["limitations"] == [f"{NAME} was not read: the kernel of this notebook is for R"]


def test_lint_stands_on_the_lines_of_the_file(tmp_path: Path) -> None:
    outcome = _outcome(tmp_path, markdown("t"), "%ls\nimport os", "def f(a=[]):\n    a.append(1)")
    lines = NotebookFile(NAME, tmp_path / NAME).text_lines
    found = {item.symbol: lines[item.location.line - 1] for item in outcome.findings if item.rule == "LNT001"}
    assert found == {"F401": "import os", "B006": "def f(a=[]):"}


def test_amp_points_of_cells_are_listed_and_nothing_is_offered_to_others(tmp_path: Path) -> None:
    text = "import torch\nscaler = torch.amp.GradScaler()\nwith torch.autocast('cuda'):\n    pass"
    facts: Any = _outcome(tmp_path, text, "def test_x(): pass").facts
    lines = NotebookFile(NAME, tmp_path / NAME).text_lines
    assert [(row["what"], lines[row["line"] - 1]) for row in facts["amp_points"]] == [
        ("scaler", "scaler = torch.amp.GradScaler()"),
        ("autocast", "with torch.autocast('cuda'):"),
    ]
    assert (facts["signatures"], facts["tests"], facts["misnamed_tests"], facts["conventions"]) == ([], [], [], ())


def test_the_gate_counts_a_notebook_with_a_refused_cell_as_one_that_does_not_compile(tmp_path: Path) -> None:
    outcome = _outcome(tmp_path, "x = = 1")
    (gate,) = [gate for gate in outcome.gates if gate.name == "compilation"]
    assert gate.evidence == "0 of 1 file compile"
    facts: Any = outcome.facts
    assert [(row["status"], row["errors"]) for row in facts["compilation"]] == [("FAIL", 1)]


def test_syntax_of_the_python_that_wrote_the_notebook_is_no_error(tmp_path: Path) -> None:
    newest = sys.version_info.minor
    written = {"language_info": {"name": "python", "version": f"3.{max(14, newest + 1)}.0"}}
    found = _said(tmp_path, "x = t'{1}'", "x = = 1", metadata=written)
    expected = [("SYN005", "INFO", None)] if newest < 14 else []
    assert found == [*expected, ("SYN001", "CRITICAL", None)]


def test_the_same_notebook_on_one_line_has_the_same_findings(tmp_path: Path) -> None:
    cells = ["x = 1\nprint(y)", "for", "z = 1\nprint(w)"]
    spread = [(item.rule, item.location.line) for item in _findings(tmp_path, *cells)]
    document = json.loads((tmp_path / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps(document))
    assert [(item.rule, item.location.line) for item in run_stage(STAGE, tmp_path, [NAME]).findings] == spread
