"""Decides what `verify doctor` says of stage 1: whether there is a ruff to lint with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.api import Ability, State, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.api import Config


@hookimpl
def verifier_machine(config: Config) -> Iterable[Ability]:
    from stages._source.ruff.binary import REMEDY, find_ruff  # noqa: PLC0415 - `verify doctor` alone comes here

    ruff = find_ruff(config.root)
    if ruff is not None:
        return (Ability(name="ruff", state=State.WORKS, text=f"{ruff.version}, {ruff.path}"),)
    return (Ability(name="ruff", state=State.MISSING, text="not installed", remedy=REMEDY, defers=("syntax:lint",)),)
