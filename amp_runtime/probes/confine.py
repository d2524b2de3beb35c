"""Shut the harness in: limits, namespaces, Landlock, in the order in which each still allows the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import capabilities, landlock, namespaces, process_tree, rlimits

if TYPE_CHECKING:
    from ..wire import Cage
    from .keeper import Outside


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanisms:
    """What was put in place, or why not, by name; and the layers that only their maker can try."""

    texts: dict[str, str]
    layers: dict[str, bool]


def confine(cage: Cage, outside: Outside) -> Mechanisms:
    """Confine this process, which has one thread and knows nothing of the project yet."""
    process_tree.adopt_orphans()
    rlimits.set_limits(cage)
    apart, in_namespaces = _namespaces(cage, outside)
    outside.close()
    counted = apart and rlimits.limit_processes(cage.processes)
    capabilities.give_up()
    process_tree.die_with_parent()  # a change of user namespace or of capabilities may forget it
    process_tree.hide(hidden=True)
    return Mechanisms(
        texts={"landlock": _landlock(cage, network=cage.network or apart), "namespaces": in_namespaces},
        layers={"processes-limited": counted},
    )


def confine_unit(cage: Cage) -> None:
    """Put a forked unit into a domain within the harness's, from which it can neither signal nor read the harness."""
    process_tree.hide(hidden=False)  # the unit itself may be looked at: by the harness, and by debuggers of its own
    if cage.landlock and landlock.why_not() is None:
        landlock.restrict(cage.writable, network=True)  # what the outer domain denies stays denied


def _namespaces(cage: Cage, outside: Outside) -> tuple[bool, str]:
    if not cage.namespaces:
        return False, "not asked for"
    if cage.network:
        return False, "not needed: the network is allowed"
    if reason := namespaces.why_not(outside.map_ids):
        return False, reason
    namespaces.enter(outside.map_ids)
    return True, "user and network"


def _landlock(cage: Cage, *, network: bool) -> str:
    """Enter the domain. `network`: TCP is allowed, or already of no use outside, so that loopback keeps working."""
    if not cage.landlock:
        return "not asked for"
    if reason := landlock.why_not():
        return reason
    landlock.restrict(cage.writable, network=network)
    return f"ABI {landlock.abi()}"
