"""What one fast pass over a file establishes: small, frozen, picklable facts that every static check shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from verifier.api import Finding


@dataclass(frozen=True, slots=True)
class CompileProblem:
    """Why CPython refuses the file, or ("too-complex") why it could not be read to the end."""

    kind: Literal["syntax", "encoding", "null-bytes", "too-deep", "too-complex", "unreadable", "lfs-pointer"]
    message: str
    line: int = 1
    column: int = 1
    end_line: int | None = None


@dataclass(frozen=True, slots=True)
class CompileWarning:
    """A SyntaxWarning (or the DeprecationWarning that became one) that compiling gave."""

    category: str
    message: str
    line: int


@dataclass(frozen=True, slots=True)
class ImportSite:
    """One import instruction. `names`: None for `import a.b`, ("*",) for a star, else the imported names.

    `eager` is True at module and class level whatever guards it; the syntax tree refines that where it matters.
    """

    line: int
    module: str  # as written; "" for `from . import x`
    level: int  # leading dots
    names: tuple[str, ...] | None
    eager: bool


@dataclass(frozen=True, slots=True)
class FileScan:
    """One file after the fast pass.

    Args:
        imports: every import instruction, in source order.
        bindings: names bound at module level anywhere in the file, `global` declarations in functions included.
        dynamic: the module's namespace may hold names that cannot be seen (a module `__getattr__`, `globals()`
            written to, `exec`, `sys.modules[__name__]` replaced, ...).
        findings: name findings (SCP...) that are final.
        open_names: names used but bound nowhere in the file and no builtins, which a star import may bind; empty
            where there is no star import. They await `names.resolve_open`.
        injected: names this file puts among the builtins, which every file of the project may then read.
    """

    path: str
    problem: CompileProblem | None = None
    warnings: tuple[CompileWarning, ...] = ()
    imports: tuple[ImportSite, ...] = ()
    bindings: frozenset[str] = frozenset()
    dynamic: bool = False
    findings: tuple[Finding, ...] = ()
    open_names: frozenset[str] = frozenset()
    injected: frozenset[str] = frozenset()
