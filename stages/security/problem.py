"""What a rule says about one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast

    from verifier.api import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A rule's word.

    Args:
        severity: where it is not the rule's usual one.
        message: what is wrong here, in one sentence.
        why: what happens because of it.
        remedy: what to write instead.
        cause: problems of one file with the same cause are one finding, whose first place is its own.
        secret: a text of the file that no report may show.
    """

    node: ast.AST
    message: str
    severity: Severity | None = None
    symbol: str | None = None
    why: str = ""
    remedy: str = ""
    cause: str = ""
    secret: str = ""
