from __future__ import annotations

from reports.quality_view import config_table, conventions_line, conventions_table, lint_line, lint_table

ROW = {
    "path": "a.py",
    "functions": 4,
    "classes": 1,
    "docstrings": 3,
    "annotated": 2,
    "indent": "4 spaces",
    "naming": [],
}
LINT = {"tool": "ruff 1.2", "files": 3, "errors": 1, "rules": {"a": ["F50", "B016"], "b": ["F401"]}}


def test_lint_says_which_tool_read_how_much_for_how_many_rules() -> None:
    assert lint_line(LINT) == "ruff 1.2 read 3 files for 3 rules about defects, none about style: 1 error."


def test_lint_that_did_not_run_has_no_line() -> None:
    assert lint_line({}) == ""
    assert not lint_table({})


def test_a_file_that_was_not_read_is_named() -> None:
    line = lint_line(LINT | {"unread": [{"path": "b.py", "reason": "ruff died on it"}]})
    assert line.endswith("1 error. It could not read `b.py` (ruff died on it).")


def test_tests_do_not_count_among_conventions() -> None:
    line = conventions_line([ROW, ROW | {"path": "test_a.py", "test": True}])
    assert line == (
        "Docstrings on 3 of 5 public functions and classes; full annotations on 2 of 4 public functions; "
        "indentation: 4 spaces (1 file)."
    )
    assert len(conventions_table([ROW, ROW | {"path": "test_a.py", "test": True}]).rows) == 1


def test_files_of_several_units_are_counted_together() -> None:
    odd = [ROW | {"indent": f"4 spaces in {count} blocks, tab in 1 block"} for count in (2, 3)]
    assert "indentation: several units (2 files)" in conventions_line(odd)


def test_names_stand_with_their_lines() -> None:
    row = ROW | {"naming": [{"kind": "function", "name": "getX", "line": 7}]}
    assert conventions_table([row]).rows[0][-1] == "`getX` 7"


def test_every_configuration_file_has_a_row() -> None:
    shown = config_table([{"path": "a.yaml", "format": "YAML", "status": "FAIL", "error": "line 2: no"}])
    assert shown.rows == (("`a.yaml`", "YAML", "FAIL", "line 2: no"),)
