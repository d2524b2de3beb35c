"""AMP313: a matrix decomposition gets a half tensor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..precision_events import ProgramRaised
from ..raising import first_line, says
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_REFUSED = re.compile(
    r"Low precision dtypes not supported. Got (Half|BFloat16)"
    r"|\w*(?:linalg|cholesky|svd|qr|eig|lu_|inverse|triangular|ctc)\w*\W+not implemented for '(Half|BFloat16)'"
)


def _raised(event: ProgramRaised, run: Run) -> Findings:
    if not says(event, _REFUSED):
        return None
    return [Found(message=f"There is no such decomposition in half precision: {first_line(event.error)}.")]


CHECK = Check(
    code="AMP313",
    remedy="Convert with `.float()`, inside torch.autocast(..., enabled=False).",
    hears={ProgramRaised: _raised},
)
