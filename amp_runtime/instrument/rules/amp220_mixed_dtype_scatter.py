"""AMP220: half values are scattered into an fp32 buffer, which raises as soon as autocast is on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..precision_events import ProgramRaised
from ..raising import first_line, says
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_SCATTER = re.compile(
    r"Index put requires the source and destination dtypes match"
    r"|scatter\w*\(\): Expected self\.dtype to be equal to src\.dtype"
    r"|index_(?:add|copy|fill|reduce)_?\(\): .*same (?:scalar type|dtype)"
    r"|masked_scatter_?: expected self and source to have same dtypes"
)


def _raised(event: ProgramRaised, run: Run) -> Findings:
    if not run.entered or not says(event, _SCATTER):
        return None
    message = f"Values that autocast made half go into a buffer of another type: {first_line(event.error)}."
    return [Found(message=message)]


CHECK = Check(
    code="AMP220",
    remedy="Convert the values, `y.to(buffer.dtype)`, or make the buffer of them: `y.new_zeros(...)`.",
    hears={ProgramRaised: _raised},
)
