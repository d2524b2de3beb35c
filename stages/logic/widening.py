"""The edits that cast an argument to float32 where it is used, which fixes of several rules make."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.expressions import as_primary
from stages._source.rewriting.reading import reading
from verifier.api import Edit, Repair

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading
    from verifier.api import Finding, FixContext


def widen_first_argument(finding: Finding, context: FixContext) -> Repair | None:
    """Return the repair that casts what the call at the finding gets first; None where it gets nothing by position."""
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None or not call.args or isinstance(call.args[0], ast.Starred):
        return None
    return widened(read, call.args[0])


def widened(read: Reading, node: ast.expr) -> Repair:
    """Return the repair that casts one expression."""
    code = f"{as_primary(read, node)}.float()"
    return Repair(edits={read.path: (Edit(*read.text.span(node), code),)}, what=f"writes `{code}`")
