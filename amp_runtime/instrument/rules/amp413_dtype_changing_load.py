"""AMP413: loading with `assign=True` makes a model half."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..events import BackwardStarting, StateLoaded
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_HALF = ("float16", "bfloat16")


@dataclass(slots=True)
class _Load:
    """A load that made parameters half. It does harm once one of them is trained."""

    parameters: dict[int, weakref.ref[Any]]
    found: Found


def _loaded(event: StateLoaded, run: Run) -> Findings:
    if not isinstance(event.target, torch.nn.Module):
        return None
    types = list(zip(event.target.parameters(), event.before, event.after, strict=False))
    changed = [(one, new) for one, old, new in types if old == "float32" and new in _HALF]
    if not changed:
        return NOTHING
    message = (
        f"Loading turns {len(changed)} of {len(types)} parameters of {type(event.target).__name__} from float32 to "
        f"{changed[0][1]}, and they are trained so: `assign` takes the tensors of the checkpoint as they are."
    )
    values = {"changed": float(len(changed)), "parameters": float(len(types))}
    run.memory("AMP413").setdefault("loads", []).append(
        _Load(
            parameters={id(one): weakref.ref(one) for one, _new in changed},
            found=Found(message=message, values=values, place=event.place),
        )
    )
    return None


def _starting(event: BackwardStarting, run: Run) -> Findings:
    loads: list[_Load] = run.memory("AMP413").get("loads", [])
    if not loads or not run.close:
        return None
    reached = [gradient.parameter() for gradient, _ways in event.provenance.leaves.values()]
    trained = [load for load in loads if any(_holds(load, parameter) for parameter in reached)]
    for load in trained:
        loads.remove(load)
    return [load.found for load in trained] or NOTHING


def _holds(load: _Load, parameter: Any) -> bool:
    known = load.parameters.get(id(parameter))
    return known is not None and known() is parameter


CHECK = Check(
    code="AMP413",
    remedy="Load without assign, or cast the checkpoint to float32 first.",
    hears={StateLoaded: _loaded, BackwardStarting: _starting},
)
