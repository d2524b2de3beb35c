"""SEC103: `numpy.load` is allowed to unpickle, so that whoever wrote the array runs code here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.security.loads import how_bad, origin_of
from stages.security.problem import Problem
from stages.security.view import argument, is_constant, shown
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.security.view import View

RULE = RuleInfo(
    code="SEC103",
    name="numpy-allow-pickle",
    severity=Severity.LOW,
    summary="`numpy.load` is allowed to unpickle, so that whoever wrote the array runs code here.",
    why=(
        "Arrays of objects are pickles, and a file of numbers can be exchanged for one. numpy refuses them since 1.16.3"
        " unless it is told `allow_pickle=True`. How severe it is follows SEC101; for the command line it is LOW."
    ),
    examples=(
        Bad("""
            import numpy as np


            def read(path):
                return np.load(path, allow_pickle=True)  # expect: SEC103
        """),
        Good("""
            import numpy as np


            def read(path, allowed):
                np.load(path, allow_pickle=allowed)
                np.load(path, allow_pickle=False)
                return np.load(path)
        """),
    ),
)
WANTED = Wanted(torch=False, every=(b"allow_pickle",))
_LOADS = frozenset(["numpy.load", "numpy.lib.npyio.load"])


def look(view: View) -> Iterator[Problem]:
    """Report loads that are told to unpickle."""
    for call, scope, _ in view.calls_of(_LOADS):
        if is_constant(argument(call, "allow_pickle", 2), True):
            file = argument(call, "file", 0)
            yield Problem(
                node=call,
                severity=how_bad(view, file, scope, unknown=Severity.LOW, command_line=Severity.LOW),
                message=f"`{shown(call)}` unpickles objects in the array; it comes from {origin_of(view, file, scope)}",
                remedy="Save arrays of numbers (`np.savez`), and what else belongs to them as JSON.",
                cause=f"{view.label(call)}",
            )
