"""What rules read out of a step that was looked into operator by operator."""

from __future__ import annotations

import linecache
import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .run import Found

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .deep.records import Birth, DeepStep, Fact, Site
    from .precision_events import DeepStepSeen
    from .run import Run

_ROOT = re.compile(r"sqrt|\*\*\s*-?0\.5|pow\(-?0\.5\)")
_BELOW = 3  # lines, with its own


def record_of(event: DeepStepSeen, run: Run) -> DeepStep | None:
    """Return the record, unless a fault was planted in the step: then its numbers are ours."""
    record: DeepStep = event.record
    return None if run.planted else record


def facts(record: DeepStep, *kinds: str) -> list[Fact]:
    return [fact for fact in record.facts if fact.kind in kinds]


def trains_half_weights(run: Run) -> bool:
    """Whether parameters themselves are in half: then half tensors outside of autocast are no accident."""
    half = (torch.float16, torch.bfloat16)
    known = (found() for found in run.optimizers.values())
    return any(
        parameter.dtype in half
        for optimizer in known
        if optimizer is not None
        for group in optimizer.param_groups
        for parameter in group["params"]
    )


def place_of(site: Site) -> tuple[str, int] | None:
    """Return the program's line of an operator; its caller's, where an installed package ran it."""
    frame = site.caller or site.frame
    return None if frame is None else (str(Path(frame.path).absolute()), frame.line)


def named(site: Site) -> str:
    """Return "addmm in layers.0.attention", to name an operator in a sentence."""
    name = site.api or site.through or site.operator.removeprefix("aten.")
    return f"{name} in {site.module}" if site.module else name


def found(one: Fact | Birth, message: str, values: dict[str, float] | None = None) -> Found:
    """Return what is said of a fact or a birth, with its values and its place."""
    given = getattr(one, "values", {}) if values is None else values
    return Found(message=message, values=dict(given), place=place_of(one.site))


def first_of_each_function(seen: Iterable[Fact]) -> list[Fact]:
    """Return the first fact in each function of the program: a value that is wrong there is wrong on several lines."""
    kept: dict[tuple[str, str], Fact] = {}
    for fact in seen:
        frame = fact.site.caller or fact.site.frame
        kept.setdefault(("", "") if frame is None else (frame.path, frame.function), fact)
    return list(kept.values())


def in_norm(site: Site) -> bool:
    """Whether the square root of a norm stands on the line or just below it."""
    place = place_of(site)
    if place is None:
        return False
    path, line = place
    return any(_ROOT.search(linecache.getline(path, line + below)) for below in range(_BELOW))
