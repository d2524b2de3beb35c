"""What the entry point names: the hooks, each returning values that are built elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.api import hookimpl

from verify_house_rules import licences, prints, sheet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.api import Renderer, Rule, Stage


@hookimpl
def verifier_stages() -> Iterable[Stage]:
    """Bring the stage `house`."""
    return (licences.STAGE,)


@hookimpl
def verifier_rules() -> Iterable[Rule]:
    """Bring HSE002, which joins the stage `syntax`."""
    return (prints.RULE,)


@hookimpl
def verifier_renderers() -> Iterable[Renderer]:
    """Bring the format `csv`."""
    return (sheet.RENDERER,)
