"""Decides what `verify doctor` says of stage 5: whether there is a secret scanner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.api import Ability, State, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.api import Config


@hookimpl
def verifier_machine(config: Config) -> Iterable[Ability]:
    from stages.security.scanner.program import NAME, REMEDY, find_scanner  # noqa: PLC0415 - `verify doctor` alone

    scanner = find_scanner(config.root)
    if scanner is not None and scanner.usable:
        return (Ability(name=NAME, state=State.WORKS, text=f"{scanner.version}, {scanner.path}"),)
    text = f"{scanner.version} is too old" if scanner is not None else "not installed"
    return (Ability(name=NAME, state=State.MISSING, text=text, remedy=REMEDY, defers=("security:secrets",)),)
