"""Names for findings that survive moved lines: rule, file, symbol and the statement's text, never a line number."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifier.model.finding import Finding
    from verifier.sources import SourceTree


def fingerprints(findings: Sequence[Finding], sources: SourceTree) -> list[str]:
    """Return one fingerprint per finding. Findings alike in everything are told apart by their order in the file."""
    lines: dict[str, list[bytes]] = {}
    seen: Counter[tuple[str, ...]] = Counter()
    marks: dict[int, str] = {}
    in_file_order = sorted(range(len(findings)), key=lambda index: (findings[index].location.line, index))
    for index in in_file_order:
        finding = findings[index]
        path = finding.location.path
        if path not in lines:
            file = sources.get(path)
            lines[path] = (file.data or b"").splitlines() if file else []
        text = lines[path][finding.location.line - 1 : finding.location.line]
        statement = b" ".join(text[0].split()).decode("utf-8", "backslashreplace") if text else ""
        key = (finding.rule, path, finding.symbol or "", statement)
        material = "\x1f".join((*key, str(seen[key])))
        seen[key] += 1
        marks[index] = hashlib.sha256(material.encode("utf-8", "backslashreplace")).hexdigest()[:20]
    return [marks[index] for index in range(len(findings))]
