"""Which configuration files a run reads, and what its gate says of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stages.syntax.configuration import check, check_configuration, pyproject
from verifier.api import GateStatus, Severity, SourceFile, SourceTree

VALID = '[project]\nname = "x"\nversion = "1"\n'


def configured(root: Path, files: dict[str, str], *, select: list[str] | None = None) -> check.Configured:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")
    chosen = list(files) if select is None else select
    return check_configuration(root, SourceTree(root, [SourceFile(path, root / path) for path in chosen]))


def statuses(result: check.Configured) -> dict[str, str]:
    return {str(row["path"]): str(row["status"]) for row in result.rows}


def test_the_files_of_the_task_and_the_roots_metadata_are_read(tmp_path: Path) -> None:
    files = {"a.py": "", "conf/a.yaml": "a: 1", "conf/b.json": "{", "pyproject.toml": VALID}
    result = configured(tmp_path, files, select=["a.py", "conf/a.yaml"])
    assert statuses(result) == {"pyproject.toml": "ok", "conf/a.yaml": "ok"}
    assert (result.status, result.evidence) == (GateStatus.PASS, "2 of 2 configuration files parse")


def test_without_configuration_files_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert configured(tmp_path, {"a.py": "x = 1"}).rows == ()


def test_what_does_not_parse_blocks_at_its_place(tmp_path: Path) -> None:
    (found,) = configured(tmp_path, {"a.yaml": "a: [1\nb: 2\n"}).findings
    assert (found.rule, found.severity, found.location.path) == ("SYN003", Severity.HIGH, "a.yaml")
    assert found.location.line == 2


def test_json_with_comments_does_not_block(tmp_path: Path) -> None:
    (found,) = configured(tmp_path, {"a.json": "{} // nothing\n"}).findings
    assert (found.rule, found.severity) == ("SYN003", Severity.LOW)


def test_a_template_is_named_and_no_finding(tmp_path: Path) -> None:
    result = configured(tmp_path, {"a.yaml": "{% if x %}\n"})
    assert statuses(result) == {"a.yaml": "template"}
    assert result.findings == ()


def test_a_nested_pyproject_is_judged_too(tmp_path: Path) -> None:
    (found,) = configured(tmp_path, {"sub/pyproject.toml": '[project]\nname = "x"\n'}).findings
    assert (found.rule, found.severity, found.location.path) == ("SYN004", Severity.MEDIUM, "sub/pyproject.toml")


def test_a_file_too_large_defers_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_OTHER_LIMIT_MIB", 0)
    result = configured(tmp_path, {"big.json": "{}"})
    assert (statuses(result), result.status) == ({"big.json": "not read"}, GateStatus.DEFERRED)
    assert "too large to be read: big.json" in result.evidence


def test_without_the_library_the_metadata_is_parsed_and_the_gate_deferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyproject, "can_judge", lambda: False)
    result = configured(tmp_path, {"pyproject.toml": '[project]\nname = "x"\n'})
    assert (result.findings, result.status) == ((), GateStatus.DEFERRED)
    assert pyproject.REMEDY in result.evidence


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (os.mkfifo, "it is not a regular file"),
        (lambda path: path.symlink_to("nowhere"), "it is a link that leads nowhere"),
    ],
)
def test_what_is_no_regular_file_is_a_finding_and_never_waited_for(tmp_path: Path, make, problem: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "a.json")
    (found,) = configured(tmp_path, {}, select=["a.json"]).findings
    assert found.message == f"The file cannot be read: {problem}"
