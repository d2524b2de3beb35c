"""Decides what stage 1 says of lint: its findings, the word of its gate, and the facts of the run."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from stages._source.ruff.binary import REMEDY, find_ruff
from stages._source.ruff.process import Read, RuffError
from stages._source.ruff.reading import read_files, target_of
from stages.syntax.lint.grouping import findings
from stages.syntax.lint.refine import Refinement, name_in
from stages.syntax.lint.selection import GROUPS, SELECT
from verifier.api import GateStatus, compile_glob, rest_of_project

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stages._source.records import FileScan
    from stages._source.ruff.binary import Ruff
    from stages._source.ruff.diagnostics import Diagnostic
    from verifier.api import Config, Finding, Json, StageContext

_NAMED = 3  # files and rules that a gate's evidence spells out


@dataclass(frozen=True, slots=True, kw_only=True)
class Linted:
    """What lint came to. `status` is the gate's own word; the core makes it FAIL where too many errors remain."""

    status: GateStatus
    evidence: str
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    files: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What asking ruff came to: there is none, it refused our options, or it read the files."""

    ruff: Ruff | None
    read: Read = field(default_factory=Read)
    refused: str = ""


class Linting:
    """Ruff at work beside the rest of the stage, on every file that CPython compiles and that is not exempt from lint.

    A context: ruff is ended, and the thread that waits for it, when it is left.
    """

    def __init__(self, context: StageContext, scans: Mapping[str, FileScan]) -> None:
        self._context = context
        self._scans = scans
        exempt = _exempt(context.config)
        self._paths = [path for path, scan in scans.items() if scan.problem is None and not exempt(path)]
        self._target = target_of(context.root)
        self._answer: _Answer | BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name="lint", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.settle()

    def settle(self) -> None:
        """Wait until ruff is done: a process is not to be forked while another thread runs."""
        self._thread.join()

    def _read(self) -> None:
        try:
            self._answer = self._ask()
        except BaseException as error:  # raised again where the outcome is asked for
            self._answer = error

    def _ask(self) -> _Answer:
        ruff = find_ruff(self._context.root)
        if ruff is None:
            return _Answer(None)
        try:
            read = read_files(
                ruff, self._context, self._paths, target=self._target, select=SELECT, stopped=self._stopped
            )
        except RuffError as error:
            return _Answer(ruff, refused=str(error))
        return _Answer(ruff, read)

    def outcome(self, found: Sequence[Finding], *, by_file: bool) -> Linted:
        """Return what lint came to.

        Args:
            found: what the stage has found so far; a name that it reports is not repeated.
        """
        self._context.progress(f"ruff reads {len(self._paths)} files")
        self.settle()
        answer = self._answer
        if not isinstance(answer, _Answer):
            raise answer or RuntimeError("ruff was not started")
        ruff, read = answer.ruff, answer.read
        if ruff is None:
            return Linted(status=GateStatus.DEFERRED, evidence=f"ruff is not installed; {REMEDY}")
        if answer.refused:
            evidence = f"ruff {ruff.version} does not take our options: {answer.refused}"
            return Linted(status=GateStatus.DEFERRED, evidence=evidence)
        context = self._context
        refinement = Refinement(context.sources, self._scans, lambda: rest_of_project(context.config, context.sources))
        known = {(item.location.path, item.symbol) for item in found if item.rule.startswith("SCP")}
        errors = sorted(hit for hit in refinement.of(read.found) if (hit.path, name_in(hit)) not in known)
        read_count = len(self._paths) - len(read.unread)
        return Linted(
            status=GateStatus.DEFERRED if read.unread else GateStatus.PASS,
            evidence=_evidence(ruff.version, read_count, errors, read),
            findings=tuple(findings(errors, context.sources, by_file=by_file)),
            facts=_facts(ruff.version, self._target, self._paths, errors, read),
            files=read_count,
        )


def _exempt(config: Config) -> Callable[[str], bool]:
    """Return what tells the files for which `per-file-ignores` leaves lint out."""
    patterns = [compile_glob(glob) for glob, codes in config.per_file_ignores.items() if "LNT001".startswith(codes)]
    return lambda path: any(pattern.match(path) for pattern in patterns)


def _evidence(version: str, read_count: int, errors: Sequence[Diagnostic], read: Read) -> str:
    found = f"ruff {version} found {_count(len(errors), 'error')} in {_count(read_count, 'file')}"
    if errors:
        codes = Counter(error.code for error in errors).most_common()
        rest = len(errors) - sum(count for _, count in codes[:_NAMED])
        found += f": {', '.join(f'{count} {code}' for code, count in codes[:_NAMED])}"
        found += f", {rest} others" if rest else ""
    if not read.unread:
        return found
    names = [f"{path} ({reason})" for path, reason in sorted(read.unread.items())]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"not read: {', '.join(names[:_NAMED])}{more}; {found}"


def _facts(
    version: str, target: str, paths: Sequence[str], errors: Sequence[Diagnostic], read: Read
) -> dict[str, Json]:
    rules = Counter((error.code, error.name) for error in errors)
    return {
        "tool": f"ruff {version}",
        "target": target,
        "rules": {group: list(codes) for group, codes in GROUPS.items()},
        "files": len(paths) - len(read.unread),
        "errors": len(errors),
        "by_rule": [
            {
                "code": code,
                "name": name,
                "errors": count,
                "files": len({error.path for error in errors if error.code == code}),
            }
            for (code, name), count in sorted(rules.items())
        ],
        "unread": [{"path": path, "reason": reason} for path, reason in sorted(read.unread.items())],
    }


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
