"""Decides how a test has a small program fixed, as `verify fix` does it, and reads what came of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from verifier.api import Config, Plugins, RunOptions, RunReport, SourceFile, SourceTree, Task, load_plugins
from verifier.app import select_stages, verify
from verifier.fixing.rounds import Fixed, Fixer


@functools.cache
def plugins() -> Plugins:
    return load_plugins()


def write(root: Path, files: Mapping[str, str | bytes]) -> SourceTree:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return SourceTree(root, [SourceFile(path, root / path) for path in files])


def fixed(root: Path, tree: SourceTree, *, only: str | None = None, unsafe: bool = True, lint: bool = False) -> Fixed:
    """Fix a tree in memory.

    Args:
        only: the code of the one rule whose fix is applied; every rule judges the result all the same.
        lint: have stage 1 judge as well, which starts ruff.
    """
    known = plugins()
    config = Config(root=root)
    stages = ("syntax", "logic") if lint else ("logic",)
    selection = select_stages(known, stages, static_only=True)
    task = Task(name="check", title="check", files=tuple(file.path for file in tree))

    def judge(sources: SourceTree) -> RunReport:
        return verify(task, config, sources, known, selection, RunOptions(), command=("verify", "fix"))

    fixes = {code: fix for code, fix in known.fixes.items() if only in (None, code)}
    return Fixer(config=config, fixes=fixes, rules=known.rules, judge=judge, unsafe=unsafe).fix(tree)


def texts(tree: SourceTree) -> dict[str, str]:
    return {file.path: (file.data or b"").decode() for file in tree}


def codes(report: RunReport) -> list[str]:
    return sorted(item.finding.rule for stage in report.stages for item in stage.findings)
