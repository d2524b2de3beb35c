"""Decides which facts about single files are kept for the next run: those that follow from the file alone."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from stages._source.records import CompileProblem, CompileWarning, FileScan, ImportSite
from verifier.api import EditedFile, NotebookFile, NotPlainError, finding_from_json, finding_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from verifier.api import Shelf, SourceFile, SourceTree

# the others may be the machine's: it was short of memory, or a worker was ended
_CERTAIN = frozenset({"syntax", "encoding", "null-bytes", "lfs-pointer"})


class KeptScans:
    """Scans by the content and the path of their file."""

    def __init__(self, shelf: Shelf | None) -> None:
        self._shelf = shelf

    def known(self, files: Iterable[SourceFile]) -> dict[str, FileScan]:
        """Return by path what is known of files that have not changed."""
        if self._shelf is None:
            return {}
        found = {}
        for file in files:
            if _can_be_kept(file) and (value := self._shelf.get(_key(file))) is not None:
                found[file.path] = _from_json(file.path, value)
        return found

    def keep(self, files: Iterable[SourceFile], scans: Mapping[str, FileScan]) -> None:
        """Keep what follows from a file alone."""
        if self._shelf is None:
            return
        for file in files:
            scan = scans[file.path]
            if _can_be_kept(file) and (scan.problem is None or scan.problem.kind in _CERTAIN):
                try:
                    self._shelf.put(_key(file), _to_json(scan))
                except NotPlainError:
                    continue
        self._shelf.save()


def kept_scans(sources: SourceTree) -> KeptScans:
    """Return the scans of earlier runs; none where there is no cache."""
    return KeptScans(None if sources.cache is None else sources.cache.shelf("scans"))


def _can_be_kept(file: SourceFile) -> bool:
    return file.problem is None and not file.is_replaced and not isinstance(file, NotebookFile | EditedFile)


def _key(file: SourceFile) -> str:
    return f"{file.sha256}:{file.path}"


def _to_json(scan: FileScan) -> Any:
    return [
        None if scan.problem is None else astuple(scan.problem),
        [astuple(warning) for warning in scan.warnings],
        [[site.line, site.module, site.level, site.names, site.eager] for site in scan.imports],
        *(sorted(scan.bindings), scan.dynamic),
        [finding_to_json(finding) for finding in scan.findings],
        *(sorted(scan.open_names), sorted(scan.injected)),
    ]


def _from_json(path: str, value: Any) -> FileScan:
    problem, warnings, imports, bindings, dynamic, findings, open_names, injected = value
    return FileScan(
        path,
        None if problem is None else CompileProblem(*problem),
        tuple(CompileWarning(*warning) for warning in warnings),
        tuple(
            ImportSite(line, module, level, None if names is None else tuple(names), eager)
            for line, module, level, names, eager in imports
        ),
        frozenset(bindings),
        dynamic,
        tuple(finding_from_json(finding) for finding in findings),
        frozenset(open_names),
        frozenset(injected),
    )
