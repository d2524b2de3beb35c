"""Private names inside a class: CPython changes the name of the module it imports, so every reader must."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from stages._source.bytecode import read
from stages.syntax.imports.conditions import Conditions
from stages.syntax.imports.statements import import_records
from stages.syntax.imports.tree_scan import scan_tree
from tests.stages.syntax.imports.projects import codes, findings, judge

FORMS = {
    "import __x": ("_C__x", None),
    "import __x as y": ("_C__x", None),
    "import __x.y": ("__x.y", None),
    "import __x__": ("__x__", None),
    "from __x import y": ("_C__x", ("y",)),
    "from m import __y, z as __w, __k__": ("m", ("_C__y", "z", "__k__")),
}


@pytest.mark.parametrize(
    "around", ["class C:\n    {}", "class C:\n  def f(self):\n    {}", "class __C:\n  if x:\n    {}"]
)
@pytest.mark.parametrize("form", FORMS)
def test_bytecode_tree_and_records_agree_inside_a_class(form: str, around: str) -> None:
    text = around.format(form) + "\n"
    tree = ast.parse(text)
    (compiled,) = read(compile(text, "a.py", "exec")).imports
    (scanned,) = scan_tree("a.py", tree).imports
    (record,) = import_records(tree, Conditions(version=(3, 11, 0), platform="linux", os_name="posix"))
    assert compiled == scanned
    assert (scanned.module, scanned.names) == FORMS[form]
    taken = None if record.names is None else tuple(name for name, _ in record.names)
    assert (record.module, taken) == FORMS[form]


def test_a_private_module_that_a_class_cannot_reach_is_unresolved(tmp_path: Path) -> None:
    files = {
        "__x.py": "",
        "a.py": "class C:\n  def f(self):\n    try:\n      import __x\n    except ImportError:\n      pass\n",
    }
    (finding,) = findings(judge(tmp_path, files), "IMP002")
    assert "'_C__x'" in finding.message
    assert finding.severity.name == "INFO"


def test_a_private_module_that_a_class_reaches_resolves(tmp_path: Path) -> None:
    assert codes(judge(tmp_path, {"_C__x.py": "", "a.py": "class C:\n    import __x\n"})) == []
