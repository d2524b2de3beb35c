"""A place in a notebook is told by its cell."""

from __future__ import annotations

from pathlib import Path

from tests.builders import finding
from tests.notebooks import code, write_notebook
from verifier.api import SourceTree
from verifier.notebooks.file import NotebookFile
from verifier.notebooks.places import with_cells


def _tree(tmp_path: Path) -> tuple[SourceTree, list[int]]:
    path = write_notebook(tmp_path / "a.ipynb", "x = 1", code("y = 2\nz = 3", id="ab12"))
    file = NotebookFile("a.ipynb", path)
    return SourceTree(tmp_path, [file]), [line for line, text in enumerate(file.text_lines, 1) if text]


def test_a_finding_names_its_cell_and_those_of_its_related_places(tmp_path: Path) -> None:
    tree, (first, _, third) = _tree(tmp_path)
    (told,) = with_cells([finding(at=f"a.ipynb:{third}", related=[(f"a.ipynb:{first}", "bound here")])], tree)
    assert told.message == "Cell 2, line 2: SCP001 happened"
    assert told.related[0].message == "bound here (cell 1, line 1)"
    assert told.evidence[-1].summary == f"line {third} of a.ipynb is line 2 of code cell 2 (ab12)"
    assert told.evidence[-1].data == {"cell": 2, "cell_line": 2, "cell_id": "ab12"}


def test_a_finding_elsewhere_names_the_cell_of_a_related_place_only(tmp_path: Path) -> None:
    tree, (first, *_) = _tree(tmp_path)
    (told,) = with_cells([finding(at="b.py:1", related=[(f"a.ipynb:{first}", "used here")])], tree)
    assert (told.message, told.evidence) == ("SCP001 happened", ())
    assert told.related[0].message == "used here (cell 1, line 1)"


def test_findings_in_no_cell_stay_as_they_are(tmp_path: Path) -> None:
    tree, _ = _tree(tmp_path)
    given = (finding(at="a.ipynb:1"), finding(at="b.py:3"), finding(at="gone.ipynb:3"))
    assert with_cells(given, tree) == given
