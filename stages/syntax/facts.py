"""What stage 1 established besides findings, in the shape that reports show."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from stages._source.dependencies import Dependencies
from stages._source.parsing import parse

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from stages._source.records import FileScan
    from stages.syntax.imports.judge import ImportsOutcome
    from verifier.api import Finding, Json, SourceFile


def syntax_facts(
    root: Path,
    files: Sequence[SourceFile],
    scans: Mapping[str, FileScan],
    judged: ImportsOutcome,
    findings: Sequence[Finding],
    *,
    full: bool,
) -> dict[str, Json]:
    """Return the facts of the task; of a large tree only counts, the cycles, and the files that do not compile."""
    broken = Counter(finding.location.path for finding in findings if finding.rule == "SYN001")
    counts: dict[str, Json] = {
        "files": len(files),
        "lines": sum(file.line_count for file in files),
        "compiled": sum(scan.problem is None and not broken[path] for path, scan in scans.items()),
        **{f"imports of {group}": count for group, count in judged.counts.items() if group != "imports"},
        "cycles": len(judged.cycles),
    }
    facts: dict[str, Json] = {"counts": counts, "cycles": judged.facts["cycles"]}
    facts["compilation"] = [
        _compilation(file, scans[file.path], max(broken[file.path], scans[file.path].problem is not None))
        for file in files
        if full or broken[file.path] or scans[file.path].problem is not None
    ]
    if not full:
        return facts
    from stages.syntax.inventory import inventory  # noqa: PLC0415 - a large tree must not pay for it

    table: Any = judged.facts["imports"]
    rows = [{"path": path, **row} for path, found in table["files"].items() for row in found]
    graph: Any = judged.facts["import_graph"]
    facts["imports"] = rows
    facts["import_graph"] = {"modules": sorted(graph["names"].values()), "edges": graph["edges"]}
    facts["dependencies"] = _dependencies(root, rows, findings)
    return facts | inventory(list(_trees(files)))


def _compilation(file: SourceFile, scan: FileScan, errors: int) -> dict[str, Json]:
    return {
        "path": file.path,
        "status": "FAIL" if errors else "PASS",
        "errors": errors,
        "warnings": len(scan.warnings),
        "lines": file.line_count,
    }


def _dependencies(root: Path, rows: Sequence[Mapping[str, Any]], findings: Sequence[Finding]) -> list[Json]:
    """Return each third-party package once: who imports it, whether it is installed here, whether it is declared."""
    missing = {(finding.symbol or "").partition(".")[0] for finding in findings if finding.rule == "IMP002"}
    users: dict[str, set[str]] = {}
    for row in rows:
        if row["group"] == "third-party":
            users.setdefault(row["module"].partition(".")[0], set()).add(row["path"])
    dependencies = Dependencies(root)
    return [
        {
            "module": module,
            "imported_by": sorted(paths),
            "group": "third-party",
            "resolved": module not in missing,
            "declared": any(dependencies.declared_for(path).brings(module) for path in paths),
        }
        for module, paths in sorted(users.items())
    ]


def _trees(files: Sequence[SourceFile]) -> Iterator[tuple[str, ast.Module, list[str]]]:
    for file in files:
        tree = parse(file)
        if tree is not None:
            yield file.path, tree, file.text_lines
