"""Decides which layers make up a level of isolation, what is asked for, and how a run says what it had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifier.api import LEVELS, SANDBOXES

if TYPE_CHECKING:
    from verifier.api import Json, StageContext

_LAYERS: Mapping[str, tuple[str, ...]] = {
    "process": (
        *("own-session", "orphans-adopted", "dies-with-parent"),
        *("core-dumps-off", "cpu-time-limited", "file-size-limited", "open-files-limited"),
    ),
    "files": ("writes-outside-denied",),
    "network": ("tcp-denied", "udp-denied"),
}
_MEANS = {"landlock": ("landlock",), "namespaces": ("namespaces",), "auto": ("landlock", "namespaces")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What a run asks of its cage.

    Args:
        sandbox: one of `SANDBOXES`.
        require: one of `LEVELS`; None: whatever this machine has.
        network: the project may use the network.
        pass_env: names of environment variables that are handed down besides the harmless ones.
    """

    sandbox: str = "auto"
    require: str | None = None
    network: bool = False
    pass_env: tuple[str, ...] = ()

    def uses(self, mechanism: str) -> bool:
        return mechanism in _MEANS.get(self.sandbox, ())

    def problem(self, layers: Mapping[str, bool], mechanisms: Mapping[str, str]) -> str | None:
        """Return why nothing may be run with these layers, None where all that is asked for holds."""
        why = "; ".join(f"{name}: {text}" for name, text in mechanisms.items())
        if self.sandbox in mechanisms and not self._in_force(mechanisms):
            return f"--sandbox {self.sandbox} does not work on this machine: {mechanisms[self.sandbox]}"
        if self.sandbox == "bwrap" and not layers.get("writes-outside-denied"):
            return "--sandbox bwrap does not work on this machine: files outside could be written when tried"
        if self.require is None:
            return None
        absent = [name for name in _needed(self.require) if not layers.get(name)]
        if not absent:
            return None
        if self.network and {"tcp-denied", "udp-denied"} & set(absent):
            why = "allow-network lets the project use the network"
        return (
            f"--require-isolation {self.require} cannot be kept on this machine, so nothing was run: "
            f"{', '.join(absent)} did not hold when tried ({why})"
        )

    def _in_force(self, mechanisms: Mapping[str, str]) -> bool:
        return mechanisms[self.sandbox].startswith(("ABI ", "user and ", "not needed"))


AS_THE_MACHINE_HAS = Isolation()


def isolation_of(context: StageContext) -> Isolation:
    """Return what the command line and the configuration ask for."""
    config, task, options = context.config, context.task, context.options
    return Isolation(
        sandbox=options.sandbox,
        require=options.require_isolation,
        network=config.allow_network if task.allow_network is None else task.allow_network,
        pass_env=tuple(dict.fromkeys((*config.pass_env, *task.pass_env))),
    )


def level(layers: Mapping[str, bool]) -> str:
    """Return the highest level of which every layer holds; "none" where not even the first does."""
    reached = "none"
    for name in LEVELS:
        if not all(layers.get(layer) for layer in _LAYERS[name]):
            break
        reached = name
    return reached


def described(isolation: Isolation, layers: Mapping[str, bool], mechanisms: Mapping[str, str]) -> dict[str, Json]:
    """Return the layers for people and programs: those that were tried, and what they come to."""
    network = "allowed by the configuration" if isolation.network else _network(layers)
    return {
        "level": level(layers),
        "sandbox": f"{isolation.sandbox} ({SANDBOXES[isolation.sandbox]})",
        **mechanisms,
        "network": network,
        "file-writes": "scratch folders only" if layers.get("writes-outside-denied") else "not restricted",
        "environment": "allow-list" + (f", and {', '.join(isolation.pass_env)}" if isolation.pass_env else ""),
        **{name: bool(on) for name, on in layers.items()},
    }


def _network(layers: Mapping[str, bool]) -> str:
    tcp, udp = layers.get("tcp-denied"), layers.get("udp-denied")
    if tcp and udp:
        return "denied"
    return "TCP denied, UDP not restricted" if tcp else "not restricted"


def _needed(wanted: str) -> list[str]:
    names = list(LEVELS)
    return [layer for name in names[: names.index(wanted) + 1] for layer in _LAYERS[name]]
