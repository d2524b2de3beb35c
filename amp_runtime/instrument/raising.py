"""What rules read out of an exception that passes by."""

from __future__ import annotations

import linecache
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .precision_events import ProgramRaised

_DTYPES = re.compile(r"same (?:dtype|scalar type)|expected scalar type|dtypes match")
_NAMES = {"Half": "float16", "BFloat16": "bfloat16", "Float": "float32", "float": "float32", "Double": "float64"}


def first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(". ")


def says(event: ProgramRaised, pattern: re.Pattern[str]) -> bool:
    return pattern.search(str(event.error)) is not None


def clashing(event: ProgramRaised) -> frozenset[str]:
    """Return the dtypes that torch refuses to compute with together; empty for any other error."""
    text = str(event.error)
    if not isinstance(event.error, RuntimeError) or _DTYPES.search(text) is None:
        return frozenset()
    return frozenset(_NAMES[name] for name in re.findall(r"\b(?:c10::)?(BFloat16|Half|Double|Float|float)\b", text))


def source(event: ProgramRaised) -> str:
    """Return the line of the program that raised."""
    return linecache.getline(*event.place).strip()


def function_of(event: ProgramRaised) -> Any:
    """Return the autograd function whose backward raised, by the context it got; None where there is none."""
    trace, found = event.error.__traceback__, None
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_name == "backward" and frame.f_code.co_argcount:
            context = frame.f_locals.get(frame.f_code.co_varnames[0])
            found = getattr(context, "_forward_cls", found)
        trace = trace.tb_next
    return found
