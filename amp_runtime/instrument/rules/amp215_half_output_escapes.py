"""AMP215: a bfloat16 tensor of an autocast region is turned into a NumPy array."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..precision_events import ProgramRaised
from ..raising import says
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_REFUSED = re.compile(r"unsupported ScalarType BFloat16")


def _raised(event: ProgramRaised, run: Run) -> Findings:
    if not run.entered or not isinstance(event.error, TypeError) or not says(event, _REFUSED):
        return None
    message = "NumPy is given a bfloat16 tensor, which it has no type for; autocast made it bfloat16."
    return [Found(message=message)]


CHECK = Check(
    code="AMP215",
    remedy="Convert it first: `.float().numpy()`.",
    hears={ProgramRaised: _raised},
)
