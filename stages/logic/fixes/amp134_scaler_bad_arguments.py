"""Gives a scaler arguments that it can work with, or its own defaults."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.rewriting.arguments import take_out
from stages._source.rewriting.reading import method_call, reading
from verifier.api import Edit, Fix, Repair

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading
    from verifier.api import Finding, FixContext

_SPOKEN = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _repair(finding: Finding, context: FixContext) -> Repair | None:
    read = reading(context, finding.location.path)
    call = read.one_at(finding.location, ast.Call) if read is not None else None
    if read is None or call is None:
        return None
    if method_call(call, "update") is not None:
        return _update(read, call)
    parameter = finding.message.split("`")[1] if finding.message.startswith("`") else ""
    keyword = next((item for item in call.keywords if item.arg == parameter), None)
    if keyword is None:
        return None
    value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
    start = read.text.span(keyword)[0]
    if parameter == "device" and isinstance(value, bool) and not any(item.arg == "enabled" for item in call.keywords):
        edit = Edit(start, start + len("device"), "enabled")
        return Repair(edits={read.path: (edit,)}, what=f"passes {value} as `enabled`")
    if parameter == "enabled" and isinstance(value, str) and value.lower() in _SPOKEN:
        edit = Edit(*read.text.span(keyword.value), str(_SPOKEN[value.lower()]))
        return Repair(edits={read.path: (edit,)}, what=f"writes `enabled={_SPOKEN[value.lower()]}`")
    if parameter in ("device", "enabled"):
        return None
    edit = take_out(read.text, call, keyword)
    what = f"leaves out `{read.code(keyword)}`, so that the default counts"
    return Repair(edits={read.path: (edit,)}, what=what, safety="unsafe")


def _update(read: Reading, call: ast.Call) -> Repair | None:
    match call.args:
        case [ast.Constant(value=int()) as scale]:
            end, text = read.text.span(scale)[1], read.code(scale)
            if text.isdigit():
                return Repair(edits={read.path: (Edit(end, end, ".0"),)}, what=f"writes {text}.0")
    return None


FIX = Fix(
    rule="AMP134",
    safety="safe",
    summary=(
        "Writes a whole-number scale as a float, a flag passed as device as `enabled`, and a flag written as text as a"
        " flag; leaves out other values, so that the default counts (unsafe)."
    ),
    repair=_repair,
    declines="the argument stands by position, or names a device that does not exist",
)
